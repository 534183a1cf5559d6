from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from anomaly.evaluation.event_metrics import count_events
from anomaly.evaluation.intervals import frame_seconds, stretches_of
from anomaly.scoring.smoothing import smooth
from pose_extract.tracks.cleaning import clean_tracks
from pose_extract.tracks.clip_time import (
    ShownTime,
    apart,
    clip_rate,
    film_cuts,
    holes,
    longest_step,
    shown_times,
    stretch_numbers,
    together,
    usual_rate,
)
from pose_extract.tracks.records import ClipTracks, cut_frames
from pose_extract.tracks.settings import CleaningSettings

# The frames of each stretch, and the seconds of the hole after it.
STRETCHES = st.lists(st.tuples(st.integers(3, 40), st.floats(1.5, 1e5)), min_size=1, max_size=5)
RATES = st.sampled_from([2.0, 10.0, 24000 / 1001, 25.0, 60.0, 480.0, 1000.0])


def times_of(stretches, fps):
    """Times of a recording of those stretches with holes between them."""
    steps = np.concatenate([[*[1 / fps] * (count - 1), hole + 1 / fps] for count, hole in stretches])
    return np.concatenate([[0.0], np.cumsum(steps[:-1])])


def people_in(frames, fps, seed=0):
    """Two people in some of the frames, with ids that go on through every hole."""
    rng = np.random.default_rng(seed)
    frame = np.repeat(np.arange(frames, dtype=np.int32), 2)
    track = np.tile(np.array([1, 2], np.int32), frames)
    kept = rng.random(len(frame)) < 0.8
    frame, track = frame[kept], track[kept]
    keypoints = rng.normal(100, 20, (len(frame), 17, 3)).astype(np.float32)
    keypoints[..., 2] = rng.choice([0.0, 0.9], (len(frame), 17), p=[0.2, 0.8])
    low, high = keypoints[..., :2].min(1), keypoints[..., :2].max(1)
    boxes = np.concatenate([low, high], 1)
    return ClipTracks("c", "coco17", fps, (640, 480), np.arange(frames) / fps, frame, track, keypoints, boxes)


@given(STRETCHES, RATES)
def test_the_rate_is_that_within_the_stretches_whatever_the_holes(stretches, fps):
    time_s = times_of(stretches, fps)
    assert usual_rate(time_s) == pytest.approx(fps, rel=1e-4)
    assert clip_rate(time_s, (len(time_s) - 1) / time_s[-1]) == pytest.approx(fps, rel=0.011)


@given(STRETCHES, RATES)
def test_every_hole_is_found_and_nothing_else(stretches, fps):
    time_s = times_of(stretches, fps)
    expected = np.repeat(np.arange(len(stretches)), [count for count, _ in stretches])
    assert stretch_numbers(time_s, fps).tolist() == expected.tolist()
    assert len(holes(time_s, fps)) == len(stretches) - 1


def test_timestamps_rounded_to_milliseconds_have_the_rate_they_were_rounded_from():
    assert usual_rate(np.round(np.arange(3000) * 1001 / 30000, 3)) == pytest.approx(30000 / 1001, rel=1e-4)


@pytest.mark.parametrize("time_s", [[0.0, 1.0, 5.0], [0.0, 4.0, 5.0], [0.0, 0.1, 9.0, 9.1, 500.0]])
def test_few_frames_with_holes_have_a_rate(time_s):
    assert np.isfinite(usual_rate(np.array(time_s)))


def test_the_example_of_a_motion_triggered_recording():
    time_s = times_of([(250, 600.0), (250, 1.0)], 25.0)
    assert (len(time_s) - 1) / time_s[-1] < 1  # what the mean rate would be
    assert usual_rate(time_s) == pytest.approx(25.0)


@given(STRETCHES, RATES)
def test_a_film_shows_no_hole_and_keeps_the_rest(stretches, fps):
    time_s = times_of(stretches, fps)
    shown = shown_times(time_s, fps)
    assert np.diff(shown) == pytest.approx(1 / fps, rel=1e-3, abs=1e-9)
    one_by_one = ShownTime(fps)
    assert [one_by_one(t) for t in time_s.tolist()] == pytest.approx(shown.tolist(), abs=1e-6)


@given(STRETCHES, RATES)
def test_no_frame_lasts_through_a_hole(stretches, fps):
    seconds = frame_seconds(times_of(stretches, fps), fps)
    assert seconds.max() <= longest_step(fps)
    assert seconds.sum() == pytest.approx(sum(count for count, _ in stretches) / fps, rel=1e-3)


@given(STRETCHES, st.integers(1, 1000))
def test_frames_that_are_put_apart_come_together_again(stretches, distance):
    stretch = np.repeat(np.arange(len(stretches)), [count for count, _ in stretches])
    frame = np.arange(len(stretch))
    spread, begins = apart(frame, stretch, distance)
    assert together(spread, begins, distance).tolist() == frame.tolist()
    assert (np.diff(spread)[np.diff(stretch) > 0] == distance + 1).all()


@settings(deadline=None, max_examples=40)
@given(STRETCHES, st.sampled_from([10.0, 25.0]), st.integers(0, 3))
def test_a_recording_with_holes_is_cleaned_as_its_stretches_are(stretches, fps, seed):
    time_s = times_of(stretches, fps)
    whole = replace(people_in(len(time_s), fps, seed), time_s=time_s)
    cleaned = clean_tracks(whole, CleaningSettings())
    begin = 0
    for count, _ in stretches:
        alone = clean_tracks(cut_frames(whole, begin, begin + count), CleaningSettings())
        part = cut_frames(cleaned, begin, begin + count)
        assert part.frame.tolist() == alone.frame.tolist()
        assert part.track.tolist() == alone.track.tolist()
        np.testing.assert_allclose(part.keypoints, alone.keypoints, atol=1e-3)
        begin += count


@given(STRETCHES, st.floats(0.05, 3.0))
def test_scores_are_smoothed_as_those_of_the_stretches_are(stretches, sigma_s):
    time_s = times_of(stretches, 25.0)
    values = np.random.default_rng(0).normal(size=len(time_s))
    whole, begin = smooth(values, time_s, sigma_s), 0
    for count, _ in stretches:
        part = slice(begin, begin + count)
        assert whole[part] == pytest.approx(smooth(values[part], time_s[part], sigma_s), abs=1e-9)
        begin += count


def test_a_clip_of_a_thousand_frames_a_second_can_be_cleaned():
    tracks = people_in(1500, 1000.0)
    assert len(clean_tracks(tracks, CleaningSettings())) >= len(tracks)


# ---- by hand

GAPPED = np.array([0.0, 0.1, 0.2, 5.0, 5.1, 5.2, 20.0])


def test_holes_and_stretches_by_hand():
    assert stretch_numbers(GAPPED, 10.0).tolist() == [0, 0, 0, 1, 1, 1, 2]
    assert stretch_numbers(GAPPED).tolist() == [0, 0, 0, 1, 1, 1, 2]
    assert holes(GAPPED, 10.0) == [(0.2, 5.0), (5.2, 20.0)]
    assert holes(GAPPED, 0.3) == [(5.2, 20.0)]  # at 0.3 frames a second 4.8 s are no hole
    assert stretch_numbers(np.array([0.0, 1.0]), 10.0).tolist() == [0, 0]  # a second exactly
    assert stretch_numbers(np.array([0.0, 1.01]), 10.0).tolist() == [0, 1]
    assert stretch_numbers(np.array([0.0, 9.0])).tolist() == [0, 0]  # two frames have no other interval
    for few in (np.zeros(0), np.zeros(1), np.zeros(3)):
        assert stretch_numbers(few).tolist() == [0] * len(few)
        assert stretch_numbers(few, 10.0).tolist() == [0] * len(few)
        assert stretch_numbers(few).dtype == np.int64


def test_shown_times_by_hand():
    expected = [0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6]
    np.testing.assert_allclose(shown_times(GAPPED, 10.0), expected)
    np.testing.assert_allclose(shown_times(GAPPED + 7, 10.0), np.add(expected, 7))
    np.testing.assert_allclose(shown_times(np.array([3.0, 9.0]), 10.0), [3.0, 3.1])
    assert shown_times(np.array([3.0]), 10.0).tolist() == [3.0]
    shown = ShownTime(10.0)
    np.testing.assert_allclose([shown(t) for t in GAPPED + 7], np.add(expected, 7))
    late = ShownTime(10.0)
    np.testing.assert_allclose([late(50.0), late(50.1), late(51.1), late(52.2)], [50.0, 50.1, 51.1, 51.2])


def test_frames_are_put_apart_and_together_by_hand():
    stretch = np.array([0, 0, 0, 1, 1, 2])
    frames = np.arange(6)
    moved, begins = apart(frames, stretch, 10)
    assert moved.tolist() == [0, 1, 2, 13, 14, 25]
    assert begins.tolist() == [0, 13, 25]
    assert together(moved, begins, 10).tolist() == frames.tolist()


def test_the_usual_rate_is_that_of_the_intervals_near_the_median():
    steps = np.array([0.1, 0.1, 0.1, 0.14, 0.16, 9.0, 0.0])  # 0.14 is near enough, 0.16 and 9 are not
    assert usual_rate(np.append(0, np.cumsum(steps))) == pytest.approx(1 / np.mean([0.1, 0.1, 0.1, 0.14]))
    assert usual_rate(np.cumsum([0, 0.2, 0.1, 0.1])) == pytest.approx(10)  # 0.2 is twice the median
    assert usual_rate(np.array([0.0, 0.1, 5.1])) == pytest.approx(10)  # of two, the shorter
    assert usual_rate(np.zeros(3)) is None
    assert usual_rate(np.zeros(1)) is None
    assert usual_rate(np.array([0.0, 0.0, 0.0, 0.0, 0.5])) == pytest.approx(2)


def test_a_stated_rate_counts_unless_frames_come_at_another_one():
    def times(fps):
        return np.arange(50) / fps

    assert clip_rate(times(24.9), 25.0) == 25.0
    assert clip_rate(times(25.2), 25.0) == 25.0
    assert clip_rate(times(24.6), 25.0) == pytest.approx(24.6)
    assert clip_rate(times(25.4), 25.0) == pytest.approx(25.4)
    assert clip_rate(np.zeros(1), 25.0) == 25.0
    assert longest_step(25.0) == 1.0
    assert longest_step(1.0) == 2.5


def test_alarms_end_at_a_hole_in_plots_figures_and_labels():
    time_s = np.array([0.0, 0.1, 0.2, 600.2, 600.3, 600.4])
    on = np.array([False, True, True, True, True, False])
    np.testing.assert_allclose(stretches_of(on, time_s, 10.0), [(0.1, 0.3), (600.2, 600.4)])
    np.testing.assert_allclose(stretches_of(on, time_s), [(0.1, 0.3), (600.2, 600.4)])
    assert stretches_of(~on & on, time_s).shape == (0, 2)
    counts = count_events(time_s, on, on, fps=10.0)
    assert (counts.events, counts.found, counts.matched, counts.delays_s.tolist()) == (2, 2, 2, [0.0, 0.0])
    assert count_events(time_s, on, ~on & on, fps=10.0).false_alarms == 2


def test_the_cuts_of_a_film_are_where_its_stretches_begin_in_it_and_in_the_clip():
    np.testing.assert_allclose(film_cuts(GAPPED + 7, 10.0), [(7.0, 7.0), (7.3, 12.0), (7.6, 27.0)])
    assert film_cuts(GAPPED[:3], 10.0) == ()
    assert film_cuts(GAPPED, 0.1) == ()  # at a frame every ten seconds there is no hole
    assert film_cuts(np.array([3.0]), 10.0) == ()
    assert film_cuts(np.zeros(0), 10.0) == ()
    np.testing.assert_allclose(film_cuts(np.array([1.0, 9.0]), 10.0), [(1.0, 1.0), (1.1, 9.0)])


def test_a_hole_is_longer_than_a_second_and_than_two_and_a_half_frames():
    assert [longest_step(fps) for fps in (100.0, 2.5, 2.0, 0.5)] == [1.0, 1.0, 1.25, 5.0]
    assert stretch_numbers(np.array([0.0, 1.25, 2.51]), 2.0).tolist() == [0, 0, 1]
    exactly = ShownTime(2.0)
    assert [exactly(t) for t in (0.0, 1.25, 2.51)] == pytest.approx([0.0, 1.25, 1.75])
    np.testing.assert_allclose(shown_times(np.array([0.0, 1.25, 2.51]), 2.0), [0.0, 1.25, 1.75])
    assert holes(np.array([5.0, 6.25, 7.51]), 2.0) == [(6.25, 7.51)]


@pytest.mark.parametrize("wrong", [0.0, -25.0, np.inf, np.nan])
def test_a_rate_that_is_none_is_refused_whatever_the_frames_say(wrong):
    with pytest.raises(ValueError, match="frame rate above 0"):
        clip_rate(np.arange(10) / 25, wrong)


@pytest.mark.parametrize("odd", [1.0, 2.25])
def test_intervals_up_to_half_as_long_again_as_the_median_and_down_to_two_thirds_are_usual(odd):
    assert usual_rate(np.cumsum([0, 1.5, 1.5, odd, 1.5])) == pytest.approx(4 / (4.5 + odd))
    far = 0.999 if odd < 1.5 else 2.251
    assert usual_rate(np.cumsum([0, 1.5, 1.5, far, 1.5])) == pytest.approx(1 / 1.5)
