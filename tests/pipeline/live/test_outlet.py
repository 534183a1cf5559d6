import json
import threading
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import cv2
import numpy as np
import pytest

from pipeline.events.events import Event
from pipeline.live.capture.feed import LiveFrame
from pipeline.live.events.record import EventPerson, LiveEvent
from pipeline.live.outlet import Outlet
from pipeline.live.recording.recorder import Recorder
from pipeline.live.recording.settings import RecordingSettings
from pipeline.live.sinks.dispatcher import Dispatcher
from pipeline.live.sinks.settings import CsvSettings, JsonLinesSettings, SinkSettings
from pipeline.live.status.metrics import Metrics
from pipeline.live.status.monitor import Monitor
from pipeline.live.watching.camera import Context
from pipeline.live.watching.judge import Told
from tests.pipeline.live.helpers import event, state, wait_for
from tests.pipeline.live.recording.people import COCO, at, nobody, person, picture

NEW = event(1, start_time=at(4.0), people=(EventPerson(7, tuple(map(float, person(4).boxes[0])), 99.9),))
END = replace(NEW, type="end", end_time=at(5.0), end_reason="quiet")


def context(peak_s: float) -> Context:
    found = Event(
        40,
        50,
        4.0,
        5.0,
        round(10 * peak_s),
        peak_s,
        3.5,
        99.9,
        (7,),
        np.array([99.9]),
        person(4).boxes.astype(float),
    )
    return Context(Told("new", found, at(4.0), at(5.0), (), 3.0, 0.0), (320, 240), 0.25)


class Place:
    """An outlet whose events land in a file, and a clock that is set."""

    def __init__(self, folder: Path, **recording: object) -> None:
        self.folder, self.now = folder, at(0)
        sinks = {
            "log": SinkSettings(jsonl=JsonLinesSettings(str(folder / "out.jsonl"))),
            "table": SinkSettings(csv=CsvSettings(str(folder / "tables"))),
        }
        self.dispatcher = Dispatcher(sinks, folder / "queues")
        self.recorder = Recorder(
            RecordingSettings(before_s=2.0, after_s=1.0, **recording),  # type: ignore[arg-type]
            folder,
            lambda _: 2**40,
        )
        self.metrics = Metrics(list)
        self.outlet = Outlet(
            self.dispatcher,
            self.recorder,
            Monitor(self.dispatcher, 30.0),
            self.metrics,
            [folder / "tables"],
            self.clock,
        )

    def clock(self) -> datetime:
        return self.now

    def watch(self, begin: float, end: float) -> None:
        for i in range(round(begin * 10), round(end * 10)):
            frame = LiveFrame(i / 10, picture(i / 10), at(i / 10), 0.0, 10.0, 1)
            self.outlet.push("door", frame, person(i / 10), COCO, 0.02)

    def sent(self) -> list[LiveEvent]:
        path = self.folder / "out.jsonl"
        return [LiveEvent.from_json(line) for line in path.read_text().splitlines()] if path.exists() else []


@pytest.fixture
def place(tmp_path):
    place = Place(tmp_path)
    yield place
    place.outlet.close(20)


def test_an_event_is_sent_with_its_picture_and_ends_with_its_clip(place):
    place.watch(0, 4.6)
    place.outlet.send(NEW, context(4.2))
    place.watch(4.6, 5.5)
    place.outlet.send(END, context(4.2))
    place.watch(5.5, 7)
    wait_for(lambda: len(place.sent()) == 2)
    new, end = place.sent()
    assert new.picture == end.picture == str(place.folder / "pictures" / "2026-11-29" / "door-1.jpg")
    assert (new.clip, end.clip) == (None, str(place.folder / "clips" / "2026-11-29" / "door-1.mp4"))
    wait_for(lambda: Path(end.clip).is_file(), 60)


def test_a_worse_frame_takes_the_place_of_the_picture_and_a_lesser_one_does_not(place):
    place.watch(0, 6)
    place.outlet.send(NEW, context(4.0))
    first = Path(place.folder / "pictures" / "2026-11-29" / "door-1.jpg").read_bytes()
    place.outlet.send(replace(NEW, type="update"), context(5.0))
    assert Path(place.folder / "pictures" / "2026-11-29" / "door-1.jpg").read_bytes() == first
    place.outlet.send(replace(NEW, type="update", score=9.0), context(5.0))
    assert Path(place.folder / "pictures" / "2026-11-29" / "door-1.jpg").read_bytes() != first
    place.outlet.send(END, context(5.0))
    assert not place.outlet._drawn


def test_an_event_that_an_earlier_run_has_left_keeps_its_picture(place):
    path = place.folder / "pictures" / "2026-11-29" / "door-1.jpg"
    path.parent.mkdir(parents=True)
    cv2.imwrite(str(path), picture(0))
    place.outlet.send(replace(END, end_reason="restart"), Context())
    wait_for(place.sent)
    assert (place.sent()[0].picture, place.sent()[0].clip) == (str(path), None)


@pytest.mark.parametrize("now", ["lost", "blind", "moved", "no-model"])
def test_states_are_sent_as_they_are_and_a_camera_that_nobody_judges_ends_its_clip(place, now):
    place.watch(0, 4.6)
    place.outlet.send(NEW, context(4.2))
    place.outlet.send(state(now), Context())
    wait_for(lambda: (place.folder / "clips" / "2026-11-29" / "door-1.mp4").is_file(), 60)
    wait_for(lambda: len(place.sent()) == 2)
    assert place.sent()[1] == state(now)


def test_a_clip_of_a_camera_that_is_left_holds_nothing_of_the_one_that_follows(place):
    place.watch(0, 4.6)
    place.outlet.send(NEW, context(4.2))
    place.outlet.send(replace(END, end_time=at(4.6), end_reason="shutdown"), context(4.2))
    path = place.folder / "clips" / "2026-11-29" / "door-1.mp4"
    wait_for(path.is_file, 60)  # no further frame is waited for
    assert not place.recorder._cameras["door"].clips


def test_metrics_count_events_and_how_late_they_are(place):
    place.watch(0, 5)
    place.outlet.send(NEW, context(4.2))
    place.outlet.send(replace(NEW, type="update"), context(4.2))
    place.outlet.send(END, context(4.2))
    place.outlet.send(state("blind"), Context())
    text = place.metrics.text().decode()
    assert 'gepc_events_total{camera="door",kind="anomaly"} 1.0' in text
    assert 'gepc_events_total{camera="door",kind="state"} 1.0' in text
    assert 'gepc_frame_to_alarm_seconds_count{camera="door"} 1.0' in text
    assert 'gepc_inference_seconds_count{camera="door"} 50.0' in text


def test_pictures_that_are_not_wanted_keep_no_event(tmp_path):
    place = Place(tmp_path, pictures=False, clips=False)
    place.watch(0, 5)
    place.outlet.send(NEW, context(4.2))
    place.outlet.close(20)
    assert place.sent() == [NEW]


def test_a_day_of_the_clock_later_what_is_too_old_goes_tables_too(tmp_path):
    place = Place(tmp_path, keep_days=2)
    for day in range(6):
        place.now = at(86_400 * day)
        start = at(86_400 * day)
        place.outlet.push("door", LiveFrame(0, picture(0), start, 0.0, 10.0, 1), nobody(), COCO, 0.0)
        told = context(4.0).told
        assert told is not None
        there = Context(replace(told, start=start))
        named = replace(event(day, start_time=start), id=f"door-{start:%Y%m%dT%H%M%S}-0123abcd")
        place.outlet.send(named, there)
        wait_for(lambda day=day: len(place.sent()) == day + 1)
        place.outlet.patrol()
        wait_for(lambda: not place.outlet._sweeping.is_alive())
    place.outlet.close(20)
    days = {(at(0) + timedelta(days=day)).date().isoformat() for day in (3, 4, 5)}
    assert {path.parent.name for path in tmp_path.glob("pictures/*/*.jpg")} == days
    assert {path.name for path in tmp_path.glob("tables/*")} == {f"events-{day}.csv" for day in days}
    assert len(place.sent()) == 6


def test_closing_leaves_no_thread_and_every_event_delivered(tmp_path):
    place = Place(tmp_path)
    place.watch(0, 4.6)
    place.outlet.send(NEW, context(4.2))
    place.outlet.patrol()
    place.outlet.close(30)
    assert [json.loads(line)["id"] for line in (tmp_path / "out.jsonl").read_text().splitlines()] == [
        "door-1"
    ]
    assert (tmp_path / "clips" / "2026-11-29" / "door-1.mp4").is_file()
    names = {thread.name for thread in threading.enumerate()}
    assert not {name for name in names if name.startswith(("sink-", "clip-"))}


def test_freed_memory_is_given_back_now_and_then(place, monkeypatch):
    times = []
    monkeypatch.setattr("pipeline.live.outlet.give_back_memory", lambda: times.append(1))
    place.outlet.patrol()
    assert not times
    monkeypatch.setattr("pipeline.live.outlet._GIVE_BACK_S", 0.0)
    place.outlet.patrol()
    assert len(times) == 1
