"""Events: alarms merged, their peak and their people, the same in parts as in one piece."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from anomaly.evaluation.intervals import frame_seconds
from anomaly.scoring.scores import FrameScores
from pipeline.events.events import EventFinder, spans
from pipeline.events.settings import EventSettings
from pose_extract.errors import ConfigError
from pose_extract.tracks.records import ClipTracks, cut_frames
from tests.helpers.events import find_events
from tests.helpers.things import clip_things, things

FPS = 10.0


def clip(score, people=((1, 0, None),), time_s=None):
    """Tracks and scores of a clip with an alarm wherever the frame's score is above 1.

    ``people``: (track, first frame, scores or None for the frames' own).
    """
    score = np.asarray(score, float)
    time_s = np.arange(len(score)) / FPS if time_s is None else np.asarray(time_s, float)
    rows = sorted(
        (frame, track, own[frame - first] if own is not None else score[frame])
        for track, first, own in people
        for frame in range(first, first + (len(score) - first if own is None else len(own)))
    )
    frame = np.array([r[0] for r in rows], np.int32)
    track = np.array([r[1] for r in rows], np.int32)
    boxes = np.stack([frame, track, frame + 10, track + 20], 1).astype(np.float32)
    tracks = ClipTracks(
        "clip", "coco17", FPS, (64, 48), time_s, frame, track, np.ones((len(rows), 17, 3), np.float32), boxes
    )
    row_score = np.array([r[2] for r in rows], float)
    frames = FrameScores(
        np.arange(len(score), dtype=np.int32), time_s, score, 10 * score, score > 1,
        np.bincount(frame, minlength=len(score)).astype(np.int32), np.zeros(len(score), np.int32),
        np.zeros(len(score), np.int8), np.zeros(len(score), np.int32),
    )  # fmt: skip
    return tracks, SimpleNamespace(frames=frames, row_score=row_score, row_percentile=10 * row_score)


def in_parts(tracks, scores, sizes, settings=None):
    finder, found, begin = EventFinder(tracks.fps, settings), [], 0
    for size in sizes:
        end = min(begin + size, tracks.frame_count)
        rows = slice(*np.searchsorted(tracks.frame, [begin, end]))
        values = {k: v[begin:end] for k, v in vars(scores.frames).items()}
        part = SimpleNamespace(
            frames=FrameScores(**values),
            row_score=scores.row_score[rows],
            row_percentile=scores.row_percentile[rows],
        )
        found += finder.add(begin, cut_frames(tracks, begin, end), part)
        begin = end
    return found + finder.finish()


def test_an_event_runs_from_its_first_alarm_to_the_end_of_its_last():
    [event] = find_events(*clip([0, 0, 2, 5, 3, 0, 0]))
    assert (event.start_frame, event.end_frame, event.peak_frame) == (2, 5, 3)
    assert (event.start_s, event.end_s, event.peak_s) == pytest.approx((0.2, 0.5, 0.3))
    assert (event.score, event.percentile, event.length_s) == pytest.approx((5, 50, 0.3))
    assert event.people == event.culprits == (1,)


def test_a_hole_after_the_last_alarm_of_a_part_parts_events_as_in_one_piece():
    time_s = np.append(np.arange(10), np.arange(24, 34)) / FPS  # a hole of 1.5 s before frame 10
    score = np.zeros(20)
    score[5:8] = score[15:18] = 2
    tracks, scores = clip(score, time_s=time_s)
    settings = EventSettings(merge_gap_s=3)
    for sizes in ([20], [12, 8], [9, 11], [10, 2, 8]):
        found = in_parts(tracks, scores, sizes, settings)
        assert [(e.start_frame, e.end_frame) for e in found] == [(5, 8), (15, 18)], sizes


def test_alarms_a_short_gap_apart_are_one_event():
    score = [2, 2, 0, 0, 0, 3, 3, 0, 0, 0, 0, 4, 4]
    found = find_events(*clip(score), EventSettings(merge_gap_s=0.3))
    assert [(e.start_frame, e.end_frame, e.peak_frame) for e in found] == [(0, 7, 5), (11, 13, 11)]


def test_an_event_below_the_shortest_length_is_left_out_but_two_of_them_merged_are_not():
    settings = EventSettings(merge_gap_s=0.1, min_s=0.3)
    assert find_events(*clip([0, 2, 2, 0, 0, 0, 0]), settings) == []
    assert len(find_events(*clip([0, 2, 0, 2, 0, 0, 0]), settings)) == 1


def test_the_worst_person_of_the_alarm_frames_comes_first():
    score = [0, 2, 2, 2, 0]
    people = [(1, 0, [9, 2, 2, 2, 9]), (2, 1, [1, 4]), (3, 1, [np.nan] * 3), (5, 3, [3.0])]
    [event] = find_events(*clip(score, people))
    assert event.people[0] in event.culprits
    assert set(event.culprits) <= set(event.people)
    assert event.people == (2, 5, 1)  # 1 is worse outside of the event only; 3 was never scored
    np.testing.assert_allclose(event.people_percentile, [40, 30, 20])
    assert event.peak_frame == 1
    np.testing.assert_allclose(event.boxes[[0, 2]], [[1, 2, 11, 22], [1, 1, 11, 21]])
    assert np.isnan(event.boxes[1]).all()  # not there yet at the peak


def test_an_event_of_several_runs_has_everybody_s_highest_score_and_counts_all_alarm_frames_for_culprits():
    score = [2, 2, 0, 3, 2, 0, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2]
    people = [(1, 0, [2.0, 2, 0, 1, 1, 0, *[1.0] * 10]), (2, 3, [3.0, 2, 0, *[2.0] * 10]), (4, 0, [1.5] * 16)]
    tracks, scores = clip(score, people)
    worst = np.array([1, 1, 0, 2, 4, 0, *[2] * 10], np.int32)
    frames = FrameScores(**{**vars(scores.frames), "track_id": worst})
    scores = SimpleNamespace(**{**vars(scores), "frames": frames})
    settings = EventSettings(merge_gap_s=0.15, min_s=0)
    for found in (find_events(tracks, scores, settings), in_parts(tracks, scores, [3, 2, 4, 9], settings)):
        [event] = found
        assert (event.start_frame, event.end_frame, event.peak_frame, event.score) == (0, 16, 3, 3.0)
        assert event.people == (2, 1, 4)
        np.testing.assert_allclose(event.people_percentile, [30, 20, 15])
        assert event.culprits == (2, 1)  # 1 in two of 14 alarm frames; 4 in one only
        np.testing.assert_allclose(event.boxes[0], [3, 2, 13, 22])


def test_who_is_the_most_unusual_in_a_later_run_only_is_a_culprit_too():
    tracks, scores = clip([4, 4, 0, 3, 3, 3], [(1, 0, [4.0] * 6), (2, 0, [3.0] * 6), (3, 0, [2.0] * 6)])
    worst = np.array([1, 1, 0, 2, 2, 2], np.int32)
    scores.frames = FrameScores(**{**vars(scores.frames), "track_id": worst})
    settings = EventSettings(merge_gap_s=0.15, min_s=0)
    for found in (find_events(tracks, scores, settings), in_parts(tracks, scores, [3, 3], settings)):
        [event] = found
        assert (event.people, event.culprits) == ((1, 2, 3), (1, 2))


def test_an_event_of_exactly_the_shortest_length_and_a_gap_of_exactly_the_longest_count():
    assert len(find_events(*clip([2, 2, 2, 0]), EventSettings(merge_gap_s=0, min_s=0.3))) == 1
    assert len(find_events(*clip([2, 2, 2, 0]), EventSettings(merge_gap_s=0, min_s=0.31))) == 0
    assert len(find_events(*clip([2, 0, 0, 2, 0]), EventSettings(merge_gap_s=0.2, min_s=0))) == 1
    assert len(find_events(*clip([2, 0, 0, 2, 0]), EventSettings(merge_gap_s=0.19, min_s=0))) == 2


def test_of_equal_peaks_the_first_counts_also_over_runs():
    [event] = find_events(*clip([2, 3, 0, 3, 2]), EventSettings(merge_gap_s=1, min_s=0))
    assert event.peak_frame == 1


def test_only_so_many_people_are_named():
    people = [(track, 0, [float(track)] * 4) for track in range(1, 9)]
    [event] = find_events(*clip([2, 2, 2, 2], people), EventSettings(most_people=3))
    assert event.people == (8, 7, 6)
    assert event.boxes.shape == (3, 4)


def test_a_clip_of_nothing_or_nobody_has_no_events():
    assert find_events(*clip([], people=())) == []
    assert find_events(*clip([0, 0, 0], people=())) == []


def test_an_alarm_with_nobody_in_it_is_an_event_without_people():
    [event] = find_events(*clip([2, 2, 2], people=()))
    assert event.people == ()
    assert event.boxes.shape == (0, 4)


def test_times_are_the_videos_own():
    time_s = [0, 0.1, 0.2, 1.2, 1.3, 2.0]
    [event] = find_events(*clip([0, 2, 2, 0, 0, 0], time_s=time_s))
    assert (event.start_s, event.end_s) == (0.1, 1.2)  # shown until the next frame
    [event] = find_events(*clip([0, 0, 0, 0, 2, 2], time_s=time_s))
    assert event.end_s == pytest.approx(2.1)


def test_an_event_ends_at_a_hole_in_the_clips_time_and_another_begins_after_it():
    time_s = [0, 0.1, 0.2, 0.3, 600.0, 600.1, 600.2, 600.3]
    events = find_events(*clip([0, 0, 2, 2, 2, 2, 2, 0], time_s=time_s))
    assert [(e.start_frame, e.end_frame) for e in events] == [(2, 4), (4, 7)]
    assert [e.length_s for e in events] == pytest.approx([0.2, 0.3])
    for merge_gap_s in (5.0, 5000.0):
        assert (
            len(find_events(*clip([0, 2, 2, 0, 0, 2, 2, 0], time_s=time_s), EventSettings(merge_gap_s, 0.1)))
            == 2
        )


@pytest.mark.parametrize("sizes", [[6], [3, 3], [4, 2], [2, 4], [2, 2, 2], [1] * 6])
def test_a_hole_ends_an_event_wherever_the_clip_is_cut_into_parts(sizes):
    time_s = [0, 0.1, 0.2, 600.0, 600.1, 600.2]
    found = in_parts(*clip([2] * 6, time_s=time_s), sizes, EventSettings(merge_gap_s=5000.0, min_s=0.0))
    assert [(e.start_frame, e.end_frame) for e in found] == [(0, 3), (3, 6)]
    assert [e.length_s for e in found] == pytest.approx([0.3, 0.3])


def test_an_event_that_goes_on_is_told_as_soon_as_it_is_long_enough():
    tracks, scores = clip([0, 2, 3, 2, 0])
    for frames, min_s, told in (
        (2, 0.2, False),
        (3, 0.2, True),
        (3, 0.21, False),
        (4, 0.3, True),
        (1, 0.0, False),
    ):
        finder = EventFinder(FPS, EventSettings(merge_gap_s=1.0, min_s=min_s))
        rows = tracks.frame < frames
        part = SimpleNamespace(
            frames=FrameScores(**{k: v[:frames] for k, v in vars(scores.frames).items()}),
            row_score=scores.row_score[rows],
            row_percentile=scores.row_percentile[rows],
        )
        assert finder.add(0, cut_frames(tracks, 0, frames), part) == []
        now = finder.unfinished
        assert (now is not None) == told
        if now is not None:
            assert (now.start_frame, now.end_frame, now.peak_frame) == (1, frames, 2)
            assert [e.end_frame for e in finder.finish()] == [frames]
        assert finder.unfinished is None or not told


@pytest.mark.parametrize(
    ("alarm", "merge_gap_s", "min_s", "found"),
    [
        ([0, 1, 1, 0, 1, 0], 0.1, 0.0, [(1, 5)]),
        ([0, 1, 1, 0, 1, 0], 0.09, 0.0, [(1, 3), (4, 5)]),
        ([0, 1, 1, 0, 1, 0], 0.09, 0.2, [(1, 3)]),
        ([0, 1, 1, 0, 1, 0], 0.09, 0.21, []),
        ([1, 0, 0, 1, 0, 1], 0.1, 0.1, [(0, 1), (3, 6)]),
        ([1, 1, 1, 1, 1, 1], 0.0, 0.6, [(0, 6)]),
        ([0, 0, 0, 0, 0, 0], 0.0, 0.0, []),
    ],
)
def test_the_slider_s_spans_by_hand(alarm, merge_gap_s, min_s, found):
    time_s = np.arange(6) / FPS
    rule = EventSettings(merge_gap_s=merge_gap_s, min_s=min_s)
    assert spans(time_s, time_s + 1 / FPS, np.array(alarm, bool), rule) == found
    with_hole = time_s + 100.0 * (np.arange(6) >= 2)  # between the frames 1 and 2
    whole = spans(
        with_hole, with_hole + 1 / FPS, np.ones(6, bool), EventSettings(merge_gap_s=80_000.0, min_s=0.0)
    )
    assert whole == [(0, 2), (2, 6)]
    around = spans(
        with_hole, with_hole + 1 / FPS, np.array([1, 0, 0, 1, 0, 1], bool), EventSettings(80_000.0, 0.0)
    )
    assert around == [(0, 1), (3, 6)]


def test_another_threshold_gives_other_events():
    tracks, scores = clip([0, 0.5, 0.7, 0, 0, 0])
    assert find_events(tracks, scores) == []
    assert len(find_events(tracks, scores, alarm=scores.frames.score > 0.4)) == 1


@pytest.mark.parametrize("gap", [0.0, 0.25, 1.0])
def test_events_of_parts_are_those_of_the_whole(gap):
    rng = np.random.default_rng(int(gap * 100))
    for _ in range(60):
        n = int(rng.integers(1, 60))
        score = rng.choice([0, 0, 0, 0, 2, 3, 4], n) * rng.choice([1.0, 1.1])
        people = [(t, 0, rng.uniform(0, 5, n)) for t in (1, 2, 3)]
        time_s = np.cumsum(rng.choice([0.0, 0.05, 0.1, 0.6], n, p=[0.1, 0.2, 0.6, 0.1]))
        tracks, scores = clip(score, people, time_s)
        settings = EventSettings(merge_gap_s=gap, min_s=0.1, most_people=2)
        sizes = rng.integers(0, 9, 400)
        whole, parts = find_events(tracks, scores, settings), in_parts(tracks, scores, sizes, settings)
        assert len(whole) == len(parts)
        for a, b in zip(whole, parts, strict=True):
            for name, value in vars(a).items():
                np.testing.assert_array_equal(value, getattr(b, name), err_msg=name)


@pytest.mark.parametrize("wrong", [{"merge_gap_s": -1}, {"min_s": float("nan")}, {"most_people": -1}])
def test_settings_out_of_range_are_refused(wrong):
    with pytest.raises(ConfigError, match="events"):
        EventSettings(**wrong)


def with_things(score, cause, thing=None, who=None, **at):
    """A clip whose frames' scores are about these causes, with things at frames: ``f4=things(2)``."""
    tracks, scores = clip(score)
    none = np.zeros(len(score), np.int32)
    frames = replace(
        scores.frames,
        cause=np.asarray(cause, np.int8),
        thing_id=none if thing is None else np.asarray(thing, np.int32),
        track_id=none + 1 if who is None else np.asarray(who, np.int32),
    )
    seen = clip_things(len(score), 1, **at)
    return replace(tracks, things=seen), SimpleNamespace(**{**vars(scores), "frames": frames})


def a_car(x):
    return things(2, ids=[5], boxes=[[x, 0, x + 9, 5]])


def test_an_event_is_about_what_most_of_its_alarm_frames_are_about():
    score, cause, thing = [0, 2, 3, 5, 3, 2, 0], [0, 0, 1, 1, 1, 0, 0], [0, 0, 5, 5, 5, 0, 0]
    tracks, scores = with_things(score, cause, thing, f2=a_car(10), f3=a_car(20), f4=a_car(30))
    [event] = find_events(tracks, scores)
    assert (event.cause, event.things, event.thing_kinds) == ("things", (5,), (2,))
    assert event.about == "car, unusual here"
    assert event.culprits == ()
    assert event.people == (1,)
    assert event.thing_boxes.tolist() == [[20, 0, 29, 5]]  # at the peak, not where it was last
    tracks, scores = with_things(score, [0, 0, 0, 1, 1, 0, 0], [0, 0, 0, 5, 5, 0, 0], f3=a_car(20))
    [event] = find_events(tracks, scores)
    assert (event.cause, event.about, event.culprits) == ("movement", "", (1,))
    assert event.things == (5,)  # what it is about in a part of it is told all the same


@pytest.mark.parametrize("size", [1, 2, 3, 7])
def test_the_box_at_the_peak_is_told_however_the_clip_is_cut(size):
    score, thing = [0, 2, 5, 3, 2, 2, 0], [0, 5, 5, 5, 5, 5, 0]
    at = {f"f{i}": a_car(10 * i) for i in range(1, 6)}
    tracks, scores = with_things(score, [0, 1, 1, 1, 1, 1, 0], thing, **at)
    finder, found = EventFinder(tracks.fps), []
    for begin in range(0, 7, size):
        end = min(begin + size, 7)
        frames = FrameScores(**{k: v[begin:end] for k, v in vars(scores.frames).items()})
        own = {"row_score": scores.row_score[begin:end], "row_percentile": scores.row_percentile[begin:end]}
        found += finder.add(begin, cut_frames(tracks, begin, end), SimpleNamespace(frames=frames, **own))
    [event] = found + finder.finish()
    assert event.thing_boxes.tolist() == [[20, 0, 29, 5]]


def test_who_stays_is_the_culprit_and_nobody_is_of_a_crowd():
    people = ((1, 0, None), (2, 0, [0.0, 0.5, 0.5, 0.5, 0.0]))
    tracks, scores = clip([0, 2, 3, 2, 0], people)
    for cause, culprits, about in (
        (2, (2,), "somebody stays unusually long here"),
        (3, (), "many move as they usually do not here"),
    ):
        frames = replace(
            scores.frames, cause=np.array([0, 1, 1, 1, 0], np.int8) * cause, track_id=np.full(5, 2, np.int32)
        )
        [event] = find_events(tracks, SimpleNamespace(**{**vars(scores), "frames": frames}))
        assert (event.culprits, event.about) == (culprits, about)


@pytest.mark.parametrize(("step", "events"), [(1.25, 1), (1.3125, 2)])
def test_the_longest_step_between_two_parts_is_no_hole_and_a_longer_one_is(step, events):
    """Two frames a second: what is farther apart than two and a half of them has a hole between."""
    time_s = np.array([0, 0.5, 1.0, 1.0 + step, 1.5 + step, 2.0 + step])
    tracks, scores = clip([0, 2, 2, 2, 2, 0], time_s=time_s)
    tracks = replace(tracks, fps=2.0)
    settings = EventSettings(merge_gap_s=5.0, min_s=0.0)
    for sizes in ([6], [3, 3], [2, 4]):
        found = in_parts(tracks, scores, sizes, settings)
        assert len(found) == events, sizes
        assert found[0].end_s == pytest.approx(1.5 if events == 2 else 2.0 + step)


@pytest.mark.parametrize(("step", "found"), [(0.9, [(0, 6)]), (1.05, [(0, 3), (3, 6)])])
def test_a_hole_of_hardly_more_than_a_second_parts_the_slider_s_spans_as_it_parts_events(step, found):
    time_s = np.arange(6) / FPS + (step - 1 / FPS) * (np.arange(6) >= 3)
    rule = EventSettings(merge_gap_s=60.0, min_s=0.0)
    assert spans(time_s, time_s + frame_seconds(time_s, FPS), np.ones(6, bool), rule) == found
    events = find_events(*clip([2] * 6, time_s=time_s), rule)
    assert [(event.start_frame, event.end_frame) for event in events] == found
