"""Thumbnails of the plot show the frames of the peaks, with the boxes of those who are in them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from pipeline.events.events import Event
from pipeline.pictures.drawing import ALARM, anomaly_colour
from pipeline.pictures.event_pictures import peak_picture, read_peaks
from pose_extract.tracks.records import ClipTracks
from pose_extract.video import VideoSettings, find_sources
from tests.helpers.videos import KEYED, grey


def nobody(frames, fps=25.0, size=(160, 120)):
    none = np.zeros(0, np.int32)
    return ClipTracks(
        "clip", "coco17", fps, size, np.arange(frames) / fps, none, none,
        np.zeros((0, 17, 3), np.float32), np.zeros((0, 4), np.float32),
    )  # fmt: skip


def event(frame, score, box=(np.nan,) * 4, fps=25.0):
    time_s = frame / fps
    return Event(
        frame, frame + 1, time_s, time_s, frame, time_s, score, 99.0, (1,), np.array([100.0]), np.array([box])
    )


def test_the_worst_peaks_are_read_under_their_own_numbers(make_video):
    [source] = find_sources(make_video("grey.mp4", *KEYED, frames=200, size=(160, 120)))
    events = [event(3, 1.0), event(40, 9.0), event(141, 5.0), event(199, 7.0)]
    found = read_peaks(source, nobody(200), events, 3, 80)
    assert list(found) == [2, 3, 4]
    for number, picture in found.items():
        assert picture.shape == (60, 80, 3)
        np.testing.assert_allclose(picture.mean(), grey(events[number - 1].peak_frame), atol=4)


def test_people_at_the_peak_have_boxes_in_the_colour_of_their_score(make_video):
    [source] = find_sources(make_video("grey.mp4", *KEYED, frames=200, size=(160, 120)))
    tracks = nobody(200, size=(320, 240))  # of a larger reading
    picture = read_peaks(source, tracks, [event(30, 1.0, (80, 60, 240, 200))], 1, 160)[1]
    red = np.all(np.abs(picture.astype(int) - anomaly_colour(1.0)) < 10, axis=2)
    rows, columns = np.nonzero(red[35:])  # below the number
    assert (columns.min(), columns.max()) == pytest.approx((40, 120), abs=1)
    assert rows.max() + 35 == pytest.approx(100, abs=1)


def test_events_of_a_resampled_reading_are_found_by_their_times(make_video):
    [source] = find_sources(make_video("grey.mp4", *KEYED, frames=200, size=(160, 120)))
    peak = event(20, 1.0, fps=5.0)
    [picture] = read_peaks(source, nobody(40, fps=5.0), [peak], 1, 160, VideoSettings(fps=5.0)).values()
    assert min(abs(picture.mean() - grey(n)) for n in range(98, 103)) < 4


def test_things_that_an_event_is_about_have_boxes_and_it_says_so():
    grey_picture = np.full((120, 160, 3), 128, np.uint8)
    plain = event(30, 1.0)
    box = np.array([[160.0, 120.0, 280.0, 220.0]])
    about = replace(plain, cause="things", things=(4,), thing_kinds=(2,), thing_boxes=box)
    picture = peak_picture(grey_picture, about, (320, 240), 160).astype(int)
    red = np.abs(picture - ALARM).max(axis=2) < 10
    rows, columns = np.nonzero(red[62:])  # below its word
    assert (columns.min(), columns.max()) == pytest.approx((80, 140), abs=3)
    assert rows.max() + 62 == pytest.approx(110, abs=3)
    assert red[:30, :80].sum() > 100  # "Car, unusual here"
    assert (peak_picture(grey_picture, plain, (320, 240), 160) == 128).all()


def test_who_stays_is_in_the_colour_of_the_alarm_however_they_move():
    grey_picture = np.full((120, 160, 3), 128, np.uint8)
    usual = replace(event(30, 1.0, (40, 40, 80, 110)), people_percentile=np.array([10.0]), cause="stays")
    for culprits, found in (((1,), True), ((), False)):
        picture = peak_picture(grey_picture, replace(usual, culprits=culprits), (160, 120), 160)
        red = np.abs(picture.astype(int) - ALARM).max(axis=2) < 10
        assert red[60:115].any() == found
