"""Cameras that take turns."""

from __future__ import annotations

import threading
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import jsonschema
import numpy as np
import pytest

from benchmarks.helpers.scripted import ScriptedEstimator, number_of
from pipeline.events.events import Event
from pipeline.live.capture.capture import Capture
from pipeline.live.capture.feed import LiveFrame
from pipeline.live.events.schema import event_schema
from pipeline.live.rules.limits import Limits
from pipeline.live.rules.settings import RuleSettings
from pipeline.live.settings import LiveSettings
from pipeline.live.watching.camera import WatchedCamera
from pipeline.live.watching.judge import Judge, Told
from pipeline.live.watching.open_events import OpenEvents
from pipeline.live.watching.picture import PictureWatch
from pipeline.live.watching.watcher import Watcher
from tests.helpers import walkers
from tests.pipeline.live.helpers import event

START = datetime(2026, 11, 29, tzinfo=UTC)
FOUND = Event(0, 9, 0.0, 0.4, 3, 0.1, 3.5, 99.9, (1,), np.array([99.9]), np.array([[1.0, 2.0, 20.0, 60.0]]))
TOLD = Told("new", FOUND, START, START + timedelta(seconds=0.4), (), 3.0, 0.0)


class Played(Capture):
    """Gives frames that show their numbers; none is dropped."""

    def __init__(self, name, arrivals, frames):
        super().__init__(name, arrivals, drop=False)
        self._frames = frames

    def run(self):
        for number in range(self._frames):
            image = np.full((96, 192, 3), 90 + number % 7, np.uint8)
            image[::3] = 150
            for bit in range(12):
                image[:24, 16 * bit : 16 * bit + 16] = 255 * ((number >> bit) & 1)
            self.received += 1
            time_s = number / 24
            if not self.mailbox.put(
                LiveFrame(time_s, image, START + timedelta(seconds=time_s), 0.0, 24.0, 1)
            ):
                break
        self.finished = True


class Mixing(ScriptedEstimator):
    """Takes frames of several cameras at once."""

    batch_size = 4
    mixes = True

    def __init__(self, clip):
        super().__init__(clip)
        self.sizes = []

    def estimate(self, frames):
        self.sizes.append(len(frames))
        return super().estimate(frames)


class Sink:
    def __init__(self):
        self.events = []

    def send(self, event, context=None):
        self.events.append(event)

    def close(self, timeout_s):
        pass


@pytest.fixture(scope="module")
def scorer():
    return walkers.online_scorer()


def watched(scorer, estimators, out, frames=60, threshold=None):
    """Each camera's scores, with what was told."""
    arrivals, live, sink = threading.Condition(), LiveSettings(moved_below=0), Sink()
    cameras, scores = [], {}
    for number, estimator in enumerate(estimators):
        name = f"camera{number}"
        judge = Judge(name, scorer, estimator, live, exact=True)
        judge.threshold = judge.threshold if threshold is None else threshold
        scores[name] = []
        judge.on_scores = lambda begin, part, found, name=name: scores[name].append(found.frames.score)
        cameras.append(WatchedCamera(name, Played(name, arrivals, frames), judge, PictureWatch(live)))
    Watcher(cameras, live, sink, OpenEvents(out / "open.jsonl"), arrivals).run()
    return {name: np.concatenate(found) for name, found in scores.items()}, cameras, sink


def test_cameras_take_turns_and_none_is_left_out(scorer, tmp_path):
    clip = walkers.clip("walk", people=2, frames=60, seed=5)
    scores, cameras, sink = watched(scorer, [ScriptedEstimator(clip) for _ in range(3)], tmp_path)
    assert [camera.judge.counts.frames for camera in cameras] == [60, 60, 60]
    for found in scores.values():
        np.testing.assert_array_equal(found, scores["camera0"])
    assert [e.state for e in sink.events if e.kind == "state"] == ["online"] * 3


class Frozen(Capture):
    """Gives nothing, for ever."""

    def run(self):
        self._stopping.wait(60)


def test_no_camera_waits_for_one_that_gives_nothing(scorer, tmp_path):
    clip = walkers.clip("walk", people=2, frames=60, seed=5)
    arrivals, live, sink = threading.Condition(), LiveSettings(lost_after_s=0.5), Sink()
    judges = [Judge(name, scorer, ScriptedEstimator(clip), live, exact=True) for name in ("bad", "good")]
    cameras = [
        WatchedCamera("bad", Frozen("bad", arrivals, drop=True), judges[0], PictureWatch(live)),
        WatchedCamera("good", Played("good", arrivals, 60), judges[1], PictureWatch(live)),
    ]
    watcher = Watcher(cameras, live, sink, OpenEvents(tmp_path / "open.jsonl"), arrivals)
    mailbox, waited = cameras[1].capture.mailbox, []
    wait, me = arrivals.wait, threading.get_ident()

    def watched_wait(seconds):
        if threading.get_ident() == me:
            waited.append(len(mailbox))
            if cameras[1].done and cameras[0].state == "lost":
                watcher.stop()
        return wait(seconds)

    arrivals.wait = watched_wait
    cameras[0].capture.trouble = "it is frozen"  # then it is not waited for longer than lost_after_s
    watcher.run()
    assert judges[1].counts.frames == 60
    assert waited
    assert not any(waited)  # never while the other one has a frame
    assert [e.state for e in sink.events if e.camera == "bad"] == ["lost"]


def test_where_frames_may_be_mixed_they_are_looked_at_together_and_scores_stay(scorer, tmp_path):
    clip = walkers.clip("walk", people=2, frames=60, seed=5)
    first = Mixing(clip)
    together, cameras, _ = watched(scorer, [first, first.twin(), first.twin()], tmp_path)
    alone, _, _ = watched(scorer, [ScriptedEstimator(clip)], tmp_path)
    assert max(first.sizes) > 1
    assert sum(first.sizes) >= 3 * 60
    for camera in cameras:
        np.testing.assert_array_equal(together[camera.name], alone["camera0"])


class Slow(Mixing):
    """Takes its time."""

    def estimate(self, frames):
        time.sleep(0.05)
        return super().estimate(frames)


def test_the_time_of_a_batch_is_shared_by_its_cameras(scorer, tmp_path):
    first = Slow(walkers.clip("walk", people=2, frames=60, seed=5))
    began = time.monotonic()
    _, cameras, _ = watched(scorer, [first, first.twin(), first.twin()], tmp_path, frames=20)
    took = time.monotonic() - began
    spent = [camera.judging_s for camera in cameras]
    assert min(spent) > 0.1
    assert 0.05 * len(first.sizes) < sum(spent) <= took


def test_a_recording_that_comes_slowly_is_not_lost(scorer, tmp_path):
    clip = walkers.clip("walk", people=2, frames=60, seed=5)
    arrivals, live, sink = threading.Condition(), LiveSettings(lost_after_s=0.5), Sink()
    judge = Judge("door", scorer, ScriptedEstimator(clip), live, exact=True)
    played = Played("door", arrivals, 20)
    put, came = played.mailbox.put, []

    def late(frame):
        came.append(frame)
        if len(came) == 10:
            time.sleep(1.2)  # of a network drive
        played.last_s = time.monotonic()
        return put(frame)

    played.mailbox.put = late
    camera = WatchedCamera("door", played, judge, None)
    Watcher([camera], live, sink, OpenEvents(tmp_path / "open.jsonl"), arrivals).run()
    assert [e.state for e in sink.events if e.kind == "state"] == ["online"]
    assert judge.counts.frames == 20


class Dead(Capture):
    """Begins a connection that gives nothing."""

    kicks = 0

    def run(self):
        self._stopping.wait(60)

    def kick(self):
        self.kicks += 1


def test_a_connection_that_has_just_begun_is_not_given_up(scorer, tmp_path):
    arrivals, live = threading.Condition(), LiveSettings(lost_after_s=0.5)
    judge = Judge("door", scorer, ScriptedEstimator(walkers.clip(frames=30)), live, exact=False)
    dead = Dead("door", arrivals, drop=True)
    dead.trouble, dead.last_s = "it gives nothing", time.monotonic() - 100
    camera = WatchedCamera("door", dead, judge, PictureWatch(live))
    watcher = Watcher([camera], live, Sink(), OpenEvents(tmp_path / "open.jsonl"), arrivals)
    for began_s, kicks in ((time.monotonic() - 5, 0), (time.monotonic() - 20, 1), (time.monotonic(), 1)):
        dead.began_s = began_s
        watcher._looked_s = -np.inf
        watcher._patrol()
        assert dead.kicks == kicks


def test_what_an_earlier_run_has_left_open_is_ended_with_its_own_id(scorer, tmp_path):
    kept = OpenEvents(tmp_path / "open.jsonl")
    kept.put(event(3, "new"))
    kept.told(event(3, "new"))
    kept.put(event(4, "new"))  # killed before it was told, or just after
    _, _, sink = watched(scorer, [ScriptedEstimator(walkers.clip(frames=30))], tmp_path, frames=5)
    assert [(each.id, each.type, each.end_reason) for each in sink.events[:3]] == [
        ("door-3", "end", "restart"), ("door-4", "new", None), ("door-4", "end", "restart"),
    ]  # fmt: skip
    assert OpenEvents(tmp_path / "open.jsonl").left == ()


class Failing(ScriptedEstimator):
    """Cannot look at some frames."""

    def estimate(self, frames):
        if number_of(frames[0].image) in (40, 41, 100):
            raise ValueError("what nobody foresaw")
        return super().estimate(frames)


def test_what_fails_for_one_camera_is_counted_and_troubles_no_other_one(scorer, tmp_path, caplog):
    clip = walkers.clip("walk", people=2, frames=120, seed=5)
    estimators = [Failing(clip), ScriptedEstimator(clip)]
    scores, (bad, good), sink = watched(scorer, estimators, tmp_path, frames=120, threshold=-1e9)
    assert (bad.failed, bad.judge.counts.restarts, good.failed) == (3, 3, 0)
    assert bad.judge.counts.frames == 117
    assert 19 < len(scores["camera0"]) < 117
    assert len(scores["camera1"]) == 120
    assert caplog.text.count("a frame could not be judged") == 1
    told = [(e.type, e.end_reason) for e in sink.events if e.camera == "camera0" and e.kind == "anomaly"]
    assert told == [("new", None), ("end", "error")] * 2 + [("new", None), ("end", "shutdown")]
    assert OpenEvents(tmp_path / "open.jsonl").left == ()


def test_a_name_with_an_end_of_line_of_its_own_is_no_end_of_a_line(tmp_path):
    kept = OpenEvents(tmp_path / "open.jsonl")
    kept.put(event(1, zone="gate\u2028north"))
    assert [each.event.zone for each in OpenEvents(tmp_path / "open.jsonl").left] == ["gate\u2028north"]


def test_a_full_disk_costs_what_a_restart_would_end_and_no_alarm(scorer, tmp_path, caplog):
    (tmp_path / "open.jsonl").mkdir()  # cannot be written
    kept = OpenEvents(tmp_path / "open.jsonl")
    kept.put(event(1))
    kept.put(event(2))
    kept.remove(event(1, "end"))
    assert caplog.text.count("cannot write") == 1


def test_a_camera_without_a_model_says_so_and_the_others_go_on(scorer, tmp_path):
    clip = walkers.clip("walk", people=2, frames=60, seed=5)
    arrivals, live, sink = threading.Condition(), LiveSettings(), Sink()
    judge = Judge("good", scorer, ScriptedEstimator(clip), live, exact=True)
    cameras = [
        WatchedCamera("bad", Played("bad", arrivals, 20), None, PictureWatch(live), no_model="there is none"),
        WatchedCamera("good", Played("good", arrivals, 20), judge, PictureWatch(live)),
    ]
    Watcher(cameras, live, sink, OpenEvents(tmp_path / "open.jsonl"), arrivals).run()
    states = {e.camera: (e.state, e.reasons) for e in sink.events if e.kind == "state"}
    assert states == {"bad": ("no-model", ("there is none",)), "good": ("online", ())}
    assert cameras[0].unjudged == 20
    assert judge.counts.frames == 20


class Grudging:
    """Lets an event through when it is asked for the third time."""

    def __init__(self):
        self.asked = 0

    def let_through(self, event, now):
        if event.kind != "anomaly":
            return event
        self.asked += 1
        return None if self.asked < 3 else replace(event, type="new") if self.asked == 3 else event

    def holds(self, event):
        return False


def test_an_event_that_was_kept_back_at_its_beginning_begins_when_it_is_let_through(scorer, tmp_path):
    arrivals, live, sink = threading.Condition(), LiveSettings(moved_below=0, update_s=0), Sink()
    clip = walkers.clip("walk", people=2, frames=120, seed=5)
    judge = Judge("door", scorer, ScriptedEstimator(clip), live, exact=True)
    camera = WatchedCamera("door", Played("door", arrivals, 120), judge, None, limits=Grudging())
    steps = ["new", "update", "update", "update", "end"]

    def take(frame, people=None):
        judge.counts.frames += 1
        if judge.counts.frames % 20 == 0 and steps:
            yield replace(TOLD, type=steps.pop(0))

    judge.take = take
    Watcher([camera], live, sink, OpenEvents(tmp_path / "open.jsonl"), arrivals).run()
    told = [e for e in sink.events if e.kind == "anomaly"]
    assert [e.type for e in told] == ["new", "update", "end"]
    assert len({e.id for e in told}) == 1
    assert (camera.events, camera.delays_s) == (1, [])
    assert OpenEvents(tmp_path / "open.jsonl").left == ()


def steps_at(judge, steps, wait_s=0.0):
    """Let a judge tell what is said for some of its frames."""

    def take(frame, people=None):
        time.sleep(wait_s)
        judge.counts.frames += 1
        if judge.counts.frames in steps:
            yield steps[judge.counts.frames]

    judge.take = take


def test_an_event_of_which_there_is_no_news_begins_too_when_nothing_keeps_it_back(scorer, tmp_path):
    arrivals, live, sink = threading.Condition(), LiveSettings(), Sink()
    judge = Judge("door", scorer, ScriptedEstimator(walkers.clip(frames=30)), live, exact=True)
    limits = Limits(RuleSettings())
    limits._why = lambda now: "schedule" if judge.counts.frames < 40 else None
    camera = WatchedCamera("door", Played("door", arrivals, 120), judge, None, limits=limits)
    steps_at(judge, {20: TOLD, 110: replace(TOLD, type="end")}, 0.01)
    Watcher([camera], live, sink, OpenEvents(tmp_path / "open.jsonl"), arrivals).run()
    assert [e.type for e in sink.events if e.kind == "anomaly"] == ["new", "end"]
    assert limits.kept_back == {"schedule": 1}


def test_an_event_that_is_cut_is_not_said_to_be_over(scorer, tmp_path):
    arrivals, live, sink = threading.Condition(), LiveSettings(), Sink()
    judge = Judge("door", scorer, ScriptedEstimator(walkers.clip(frames=30)), live, exact=True)
    camera = WatchedCamera("door", Played("door", arrivals, 40), judge, None)
    end = replace(TOLD, type="end")
    earlier = replace(
        end, start=START - timedelta(hours=1), end=START - timedelta(hours=1)
    )  # by a clock set back
    steps_at(judge, {5: TOLD, 10: replace(end, cut=True), 11: TOLD, 20: earlier})
    Watcher([camera], live, sink, OpenEvents(tmp_path / "open.jsonl"), arrivals).run()
    ends = [e for e in sink.events if e.type == "end"]
    assert [e.end_reason for e in ends] == ["long", "quiet"]
    for each in ends:
        assert each.end_time >= each.start_time
        jsonschema.validate(each.to_dict(), event_schema())


def test_what_goes_on_in_a_recording_ends_with_it_though_others_go_on(scorer, tmp_path):
    clip = walkers.clip("walk", people=2, frames=60, seed=5)
    arrivals, live, sink = threading.Condition(), LiveSettings(lost_after_s=60), Sink()
    judges = [Judge(name, scorer, ScriptedEstimator(clip), live, exact=True) for name in ("still", "film")]
    judges[1].threshold = -1e9
    cameras = [
        WatchedCamera("still", Frozen("still", arrivals, drop=True), judges[0], None),
        WatchedCamera("film", Played("film", arrivals, 60), judges[1], None),
    ]
    until, there = time.monotonic() + 20, []

    def patrol():
        there[:] = [(e.type, e.end_reason) for e in sink.events if e.kind == "anomaly"]
        if (there and there[-1][0] == "end") or time.monotonic() > until:
            watcher.stop()

    watcher = Watcher(cameras, live, sink, OpenEvents(tmp_path / "open.jsonl"), arrivals, patrol=patrol)
    watcher.run()
    assert there[-1] == ("end", "shutdown")
    assert judges[1].counts.scored == 60


def test_the_rate_that_can_be_judged_is_known_when_a_camera_is_back(scorer):
    judge = Judge("door", scorer, ScriptedEstimator(walkers.clip(frames=30)), LiveSettings(), exact=False)

    def take(begin_s, seconds):
        for step in range(6 * seconds):  # every fourth frame of 24 a second
            time_s = begin_s + step / 6
            image = np.zeros((96, 192, 3), np.uint8)
            list(judge.take(LiveFrame(time_s, image, START + timedelta(seconds=time_s), time_s, 24.0, 1)))

    take(0, 5)
    assert (judge.fps, judge.counts.restarts) == (pytest.approx(6, rel=0.01), 1)
    list(judge.finish())
    take(60, 5)
    judge.abandon()
    take(70, 5)
    assert (judge.fps, judge.counts.restarts) == (pytest.approx(6, rel=0.01), 2)


def test_a_cooldown_goes_on_where_people_are_followed_anew(scorer):
    clip = walkers.clip("walk", people=2, frames=120, seed=5)

    def kinds(cooldown_s, between):
        judge = Judge(
            "door", scorer, ScriptedEstimator(clip), LiveSettings(cooldown_s=cooldown_s), exact=True
        )
        judge.threshold = -1e9
        played, found = Played("door", threading.Condition(), 120), []
        played.start()
        for number in range(120):
            while (frame := played.mailbox.take()) is None:
                time.sleep(0.001)
            found += [told.type for told in judge.take(frame)]
            if number == 60:
                found += between(judge)
        return found + [told.type for told in judge.finish()]

    def lost(judge):
        return [told.type for told in judge.finish()]

    def failed(judge):
        judge.abandon()
        return []

    assert [kind for kind in kinds(0, lost) if kind != "update"] == ["new", "end"] * 2
    assert [kind for kind in kinds(60, lost) if kind != "update"] == ["new", "end"]
    assert [kind for kind in kinds(60, failed) if kind != "update"] == ["new"]
