"""The slider's stops: what each costs, and that the page counts the events that `score` finds."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from anomaly.evaluation.intervals import frame_seconds
from anomaly.scoring.calibration import Calibration, threshold
from anomaly.scoring.scores import ClipScores, FrameScores, WindowScores
from anomaly.scoring.smoothing import smooth
from anomaly.settings import FRAME_MODES, SCORE_KINDS, ScoringSettings
from pipeline.events.settings import EventSettings
from pipeline.review.thresholds import NEVER, Thresholds, spans
from pose_extract.tracks.records import ClipTracks
from tests.helpers.events import find_events


def clip_of(time_s, alarm, fps, score=None):
    """Tracks without people and scores of a clip with these alarms."""
    nobody, none, no_ids = np.zeros(0, np.int32), np.zeros(0), np.zeros(len(alarm), np.int32)
    tracks = ClipTracks(
        "c", "coco17", fps, (64, 48), time_s, nobody, nobody, np.zeros((0, 17, 3), np.float32),
        np.zeros((0, 4), np.float32),
    )  # fmt: skip
    score = np.asarray(alarm, float) if score is None else score
    frames = FrameScores(
        np.arange(len(alarm), dtype=np.int32),
        time_s,
        score,
        score,
        np.asarray(alarm),
        no_ids,
        no_ids,
        no_ids.astype(np.int8),
        no_ids,
    )
    windows = WindowScores(None, none, none, none.astype(int), none.astype(int))
    return tracks, ClipScores("c", frames, none, none, windows)


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.booleans(), min_size=1, max_size=60),
    st.integers(0, 2**32 - 1),
    st.sampled_from([0.0, 0.1, 0.3, 1.0]),
    st.sampled_from([0.0, 0.2, 0.5]),
)
def test_the_page_counts_the_events_that_score_finds(alarm, seed, gap, shortest):
    alarm = np.array(alarm)
    rng = np.random.default_rng(seed)
    time_s = np.cumsum(rng.choice([0.04, 0.1, 0.25], len(alarm))) - 0.04
    rule = EventSettings(merge_gap_s=gap, min_s=shortest)
    found = spans(time_s, time_s + frame_seconds(time_s, 25.0), alarm, rule)
    tracks, scores = clip_of(time_s, alarm, 25.0, rng.normal(size=len(alarm)))
    events = find_events(tracks, scores, rule)
    assert found == [(event.start_frame, event.end_frame) for event in events]


def made_thresholds(normal: list[np.ndarray], rate: float = 0.05, fps: float = 25.0) -> Thresholds:
    raw = np.concatenate(normal)
    calibration = Calibration(
        np.repeat(np.arange(len(normal), dtype=np.int32), [len(n) for n in normal]),
        np.concatenate([np.arange(len(n)) / fps for n in normal]),
        np.broadcast_to(raw, (4, 2, len(raw))),
        np.broadcast_to(np.sort(raw), (4, 2, len(raw))),
        np.zeros((2, 1)),
        np.ones(2),
    )
    scoring = ScoringSettings(smoothing_s=0.0)
    alarm = threshold(calibration.reference(scoring.frames, 0.0), rate)
    return Thresholds.from_calibration(calibration, scoring, alarm, EventSettings(min_s=0.0))


def test_the_models_own_threshold_is_a_stop_and_the_false_alarms_are_those_of_normal_video():
    rng = np.random.default_rng(0)
    quiet, loud = rng.normal(size=1000), np.zeros(500)
    loud[[100, 300]] = 50.0  # two moments, seconds apart
    thresholds = made_thresholds([quiet, loud], rate=0.01)
    own = thresholds.stops[thresholds.usual]
    assert np.mean(thresholds.reference.astype(np.float32) > own) <= 0.01
    assert np.all(np.diff(thresholds.stops) > 0)
    assert thresholds.normal_s == pytest.approx(60)
    beyond_quiet = np.flatnonzero((thresholds.stops > quiet.max()) & (thresholds.stops < 50))
    assert {thresholds.false_alarms[i] for i in beyond_quiet} <= {2}
    assert thresholds.false_alarms[-1] == 0
    assert thresholds.stops[0] <= np.quantile(thresholds.reference, 0.8) + 1e-6


def test_a_thinned_reference_keeps_the_tail_as_it_is():
    normal = np.random.default_rng(1).gamma(1.0, size=50_000)
    scores, shares = made_thresholds([normal]).thinned_reference()
    assert len(scores) <= 500
    ordered = np.sort(normal)
    assert scores[-300:] == pytest.approx(ordered[-300:], abs=1e-5)
    assert shares[-1] == pytest.approx(100 * (1 - 1 / 50_000), abs=1e-4)
    asked = np.quantile(ordered, [0.1, 0.5, 0.9, 0.99])
    assert np.interp(asked, scores, shares) == pytest.approx([10, 50, 90, 99], abs=0.3)


def test_a_clip_has_its_events_at_every_stop_and_the_worst_of_them():
    thresholds = made_thresholds([np.linspace(0, 1, 1000)], rate=0.1)
    score = np.zeros(500, np.float32)
    score[100:110], score[300:310] = 0.95, 7.0
    counts, worst, peaks = thresholds.count(np.arange(500) / 25, 25.0, score)
    own = thresholds.usual
    assert (counts[own], worst[own]) == (2, 7.0)
    assert counts == sorted(counts, reverse=True)
    first_above = int(np.searchsorted(thresholds.stops, 7.0))
    assert counts[first_above:] == [0] * (len(counts) - first_above)
    assert worst[-1] is None
    assert peaks.frame.tolist() == [100, 300]
    assert peaks.last.tolist() == [
        int(np.searchsorted(thresholds.stops, np.float32(s))) - 1 for s in (0.95, 7.0)
    ]
    assert peaks.join.tolist() == [NEVER, NEVER]


@pytest.mark.parametrize("mode", FRAME_MODES)
@pytest.mark.parametrize(("whole", "tail"), [(False, "log"), (False, "linear"), (True, "log")])
def test_the_normal_video_is_scored_as_clips_are(mode, whole, tail):
    rng = np.random.default_rng(3)
    raw = rng.gamma(1.0, size=(len(SCORE_KINDS), len(FRAME_MODES), 90))
    clip, time_s = np.repeat([2, 5], [50, 40]).astype(np.int32), np.tile(np.arange(50) / 25, 2)[:90]
    rows = np.sort(raw, axis=2)
    calibration = Calibration(clip, time_s, raw, rows, np.zeros((2, 1)), np.ones(2))
    scoring = ScoringSettings(frames=mode, by="reconstruction", tail=tail, smoothing_s=0.3)
    made = Thresholds.from_calibration(calibration, scoring, 0.5, EventSettings(), whole)
    sigma_s = 0.0 if whole else 0.3
    shaped = calibration.shape(
        raw[SCORE_KINDS.index("reconstruction"), FRAME_MODES.index(mode)], mode, tail, "reconstruction"
    )
    np.testing.assert_array_equal(
        made.reference, calibration.reference(mode, sigma_s, tail, "reconstruction")
    )
    assert len(made.normal) == 2
    for (time, end, score), number in zip(made.normal, (2, 5), strict=True):
        own = clip == number
        np.testing.assert_array_equal(time, time_s[own])
        np.testing.assert_allclose(end, time + 0.04)
        expected = smooth(shaped[own], time_s[own], sigma_s, causal=mode == "online")
        np.testing.assert_array_equal(score, expected)
    assert made.normal_s == pytest.approx(90 / 25)


def test_stops_go_from_a_fifth_of_the_normal_frames_to_far_beyond_the_highest():
    normal = np.arange(1000.0)
    made = made_thresholds([normal])
    low, high = np.quantile(normal, (0.25, 0.75))
    assert made.stops[0] == 799  # a fifth of the frames are above
    assert made.stops[-1] == pytest.approx(999 + 0.05 * (high - low) * 1.25**39, rel=1e-5)
    beyond = made.stops[made.stops > 999]
    assert len(beyond) == 40
    np.testing.assert_allclose(np.diff(beyond)[1:] / np.diff(beyond)[:-1], 1.25, rtol=1e-3)
    below = made.stops[made.stops <= 999]
    assert below[-1] == 999
    assert 25 <= len(below) <= 41
    assert made.stops[made.usual] == 949
    flat = made_thresholds([np.zeros(50)])  # nothing is divided by, nor multiplied with, 0
    assert len(flat.stops) > 40


@pytest.mark.parametrize("shortest", [0.1, 0.2])
def test_an_event_of_exactly_the_shortest_length_is_one_for_score_and_for_the_slider(shortest):
    rule = EventSettings(merge_gap_s=0.0, min_s=shortest)
    for fps in (10.0, 25.0, 30.0, 29.97):
        frames = round(shortest * fps)
        rule = EventSettings(merge_gap_s=0.0, min_s=frames / fps)
        for start in range(0, 600, 37):
            time_s = np.arange(700) / fps
            alarm = np.zeros(700, bool)
            alarm[start : start + frames] = True
            found = spans(time_s, time_s + frame_seconds(time_s, fps), alarm, rule)
            assert found == [(start, start + frames)]
            tracks, scores = clip_of(time_s, alarm, fps)
            assert [(e.start_frame, e.end_frame) for e in find_events(tracks, scores, rule)] == found


def test_few_normal_scores_are_all_kept():
    scores, shares = made_thresholds([np.array([3.0, 1.0, 2.0, 2.0])]).thinned_reference()
    assert scores == [1.0, 2.0, 3.0]
    assert shares == [0.0, 25.0, 75.0]


def test_a_peak_is_the_highest_frame_of_its_event_wherever_that_is():
    thresholds = made_thresholds([np.linspace(0, 1, 1000)])
    score = np.zeros(200, np.float32)
    score[50:60], score[100:110] = np.linspace(2, 5, 10), np.linspace(6, 3, 10)
    counts, worst, peaks = thresholds.count(np.arange(200) / 25, 25.0, score)
    assert (counts[thresholds.usual], worst[thresholds.usual]) == (2, 6.0)
    assert peaks.frame.tolist() == [59, 100]


def test_a_clip_of_one_frame_lasts_as_long_as_its_rate_says():
    rng = np.random.default_rng(0)
    thresholds = replace(made_thresholds([rng.normal(size=1000)]), events=EventSettings(min_s=0.5))
    for fps, events in ((2.0, 1), (2.5, 0)):
        assert thresholds.count(np.zeros(1), fps, np.array([9.0], np.float32))[0][0] == events


def test_no_normal_score_is_above_itself_for_the_page_whose_scores_are_of_single_precision():
    thresholds = made_thresholds([np.random.default_rng(2).normal(size=1000)])
    assert thresholds.stops.dtype == np.float32
    normal = thresholds.reference.astype(np.float32)
    shares = [(normal > stop).mean() for stop in thresholds.stops]
    assert shares[0] == 0.2
    assert shares[thresholds.usual] == 0.05
    assert shares[int(np.searchsorted(thresholds.stops, normal[-1]))] == 0


def test_of_many_normal_scores_the_lowest_and_the_highest_are_kept():
    scores, shares = made_thresholds([np.arange(2000.0)]).thinned_reference()
    assert (scores[0], scores[-1], shares[0], shares[-1]) == (0, 1999, 0, 99.95)
