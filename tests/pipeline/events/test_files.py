"""The files of events say what the events are, in formats that other programs read."""

from __future__ import annotations

import csv
import io
import json
import re
from dataclasses import replace

import cv2
import jsonschema
import numpy as np
import pytest

from pipeline.events.events import Event
from pipeline.events.files import (
    COLUMNS,
    EventList,
    events_csv,
    events_json,
    events_vtt,
    vtt_time,
    write_events,
)
from pipeline.events.schema import clip_events_schema
from pipeline.events.settings import EventSettings
from pipeline.pictures.event_pictures import write_event_pictures
from pose_extract.errors import UsageError
from pose_extract.tracks.records import ClipTracks
from pose_extract.video import VideoReader, VideoSource


def event(start, end, peak, score=3.0, people=(4, 2), boxes=((1, 2, 30, 40), (np.nan,) * 4), fps=25.0):
    return Event(
        start, end, start / fps, end / fps, peak, peak / fps, score, 99.5, people,
        np.linspace(99, 90, len(people)), np.array(boxes, float).reshape(-1, 4), tuple(people[:1]),
    )  # fmt: skip


def listed(*events, clip="street"):
    return EventList(
        clip,
        "/videos/street.mp4",
        25.0,
        (64, 48),
        250,
        10.0,
        1.5,
        95.0,
        "false_alarm_rate",
        EventSettings(),
        events,
    )


def test_json_has_everything_with_its_units():
    data = json.loads(events_json(listed(event(10, 20, 12), event(50, 60, 55, people=(), boxes=()))))
    assert (data["format"], data["version"], data["clip"]) == ("gepc-events", 1, "street")
    assert data["threshold"] == {"score": 1.5, "percentile": 95.0, "from": "false_alarm_rate"}
    assert (data["frames"], data["seconds"], data["frame_size"]) == (250, 10.0, [64, 48])
    first, second = data["events"]
    assert (first["event"], first["start_frame"], first["end_frame"], first["peak_frame"]) == (1, 10, 20, 12)
    assert (first["start_s"], first["end_s"], first["peak_s"]) == (0.4, 0.8, 0.48)
    assert first["people"] == [
        {"track_id": 4, "culprit": True, "percentile": 99.0, "box": [1.0, 2.0, 30.0, 40.0]},
        {"track_id": 2, "culprit": False, "percentile": 90.0, "box": None},
    ]
    assert second["people"] == []


def test_json_of_no_events_is_json():
    assert json.loads(events_json(listed()))["events"] == []


def test_json_has_the_published_form():
    schema = clip_events_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    check = jsonschema.Draft202012Validator(schema)
    unscored = event(50, 60, 55, people=(), boxes=(), score=np.inf)
    car = replace(
        event(30, 40, 33),
        cause="things",
        things=(3,),
        thing_kinds=(2,),
        thing_boxes=np.array([[1.0, 2, 3, 4]]),
    )
    data = json.loads(events_json(listed(event(10, 20, 12), car, unscored)))
    check.validate(data)
    for wrong in ({"cause": "luck"}, {"more": 1}, {"peak_frame": None}):
        assert not check.is_valid({**data, "events": [{**data["events"][0], **wrong}]})


def test_numbers_that_json_does_not_know_become_null():
    text = events_json(listed(event(0, 9, 3, score=np.inf)))
    assert json.loads(text, parse_constant=lambda name: pytest.fail(name))["events"][0]["score"] is None


def test_csv_has_a_row_an_event():
    text = events_csv(listed(event(10, 20, 12), event(50, 60, 55, people=(), boxes=()), clip='a,"b'))
    first, second = csv.DictReader(io.StringIO(text))
    assert list(first) == list(COLUMNS)
    assert (first["clip"], first["event"], first["start_s"], first["peak_frame"]) == (
        'a,"b',
        "1",
        "0.400000",
        "12",
    )
    assert (first["people"], first["people_percentile"]) == ("4 2", "99.000 90.000")
    assert first["boxes"] == "1.0 2.0 30.0 40.0;"
    assert (second["people"], second["boxes"]) == ("", "")


CUE = re.compile(r"(\d+)\n(\d\d+:\d\d:\d\d\.\d{3}) --> (\d\d+:\d\d:\d\d\.\d{3})\n([^\n]+(?:\n[^\n]+)*)")


def test_vtt_is_a_caption_track():
    text = events_vtt(listed(event(10, 20, 12), event(50, 50, 50), clip="a --> b ---> c\n\n<img src=x>"))
    head, note, *cues = text.rstrip("\n").split("\n\n")
    assert head == "WEBVTT"
    assert note.startswith("NOTE ")
    assert "-->" not in note
    parsed = [CUE.fullmatch(cue).groups() for cue in cues]
    assert [(number, start) for number, start, _, _ in parsed] == [
        ("1", "00:00:00.400"),
        ("2", "00:00:02.000"),
    ]
    assert "99.5" in parsed[0][3]
    assert "Unusual: 4\nAlso there: 2" in parsed[0][3]
    assert not any(sign in cue[3] for cue in parsed for sign in "<>")
    assert all(start < end for _, start, end, _ in parsed)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "00:00:00.000"), (59.9996, "00:01:00.000"), (3661.5, "01:01:01.500"), (360_000, "100:00:00.000")],
)
def test_times_of_captions(seconds, text):
    assert vtt_time(seconds) == text


def test_the_name_decides_the_format(tmp_path):
    for name, start in (("e.json", '{"format"'), ("e.CSV", "clip,"), ("e.vtt", "WEBVTT")):
        write_events(tmp_path / name, listed(event(1, 9, 3)))
        assert (tmp_path / name).read_text().startswith(start)
    with pytest.raises(UsageError, match=r"e\.txt: expected a name that ends in \.json, \.csv, \.vtt"):
        write_events(tmp_path / "e.txt", listed())


def tracks_of(frames, fps=25.0):
    return ClipTracks(
        "street", "coco17", fps, (64, 48), np.arange(frames) / fps, np.zeros(0, np.int32),
        np.zeros(0, np.int32), np.zeros((0, 17, 3), np.float32), np.zeros((0, 4), np.float32),
    )  # fmt: skip


def grey_of(path):
    return cv2.imread(str(path)).mean()


def test_a_thumbnail_shows_the_peak_and_a_clip_the_event_with_its_margin(make_video, tmp_path):
    from tests.helpers.videos import X264, grey

    video = make_video("v.mp4", *X264, frames=60)
    events = [
        event(10, 14, 12, boxes=((2, 2, 20, 30), (-50, 5, 200, 90))),
        event(12, 40, 30),
        event(50, 55, 52),
    ]
    settings = EventSettings(margin_s=0.2)
    done = write_event_pictures(
        VideoSource(video, "video", "street"), tracks_of(60), events, tmp_path / "t", tmp_path / "c", settings
    )
    assert [path.name for path in done] == [
        f"street.event-000{n}{end}" for end in (".mp4", ".jpg") for n in (1, 2, 3)
    ]
    for number, (first, stop) in enumerate(((5, 19), (7, 45), (45, 60)), 1):
        with VideoReader(tmp_path / "c" / f"street.event-000{number}.mp4") as reader:
            levels = [frame.image.mean() for frame in reader]
        assert np.abs(np.array(levels) - [grey(n) for n in range(first, stop)]).max() < 4
    assert abs(grey_of(tmp_path / "t" / "street.event-0003.jpg") - grey(52)) < 25  # with a box drawn
    corner = cv2.imread(str(tmp_path / "t" / "street.event-0003.jpg"))[40:, 50:].mean()
    assert abs(corner - grey(52)) < 3


def test_only_the_worst_events_get_pictures_and_long_ones_are_cut_around_their_peak(make_video, tmp_path):
    from tests.helpers.videos import X264, grey

    video = make_video("v.mp4", *X264, frames=60)
    events = [event(0, 9, 3, score=1), event(10, 58, 50, score=9)]
    settings = EventSettings(margin_s=0, most_clip_s=1.0, most_pictures=1)
    [path] = write_event_pictures(
        VideoSource(video, "video", "street"), tracks_of(60), events, None, tmp_path, settings
    )
    assert path.name == "street.event-0002.mp4"
    with VideoReader(path) as reader:
        levels = [frame.image.mean() for frame in reader]
    assert len(levels) == 25
    assert abs(levels[0] - grey(33)) < 4


def test_a_video_that_ends_early_gives_what_it_has(make_video, tmp_path):
    from tests.helpers.videos import X264

    video = make_video("v.mp4", *X264, frames=25)
    events = [event(10, 30, 12), event(50, 55, 52)]
    done = write_event_pictures(
        VideoSource(video, "video", "street"), tracks_of(60), events, tmp_path, tmp_path
    )
    assert [path.name for path in done] == ["street.event-0001.jpg", "street.event-0001.mp4"]
