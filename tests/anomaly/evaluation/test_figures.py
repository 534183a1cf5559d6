"""Figures of an evaluation against scikit-learn, and against counting by hand."""

from __future__ import annotations

import dataclasses
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, roc_auc_score, roc_curve

from anomaly.evaluation.event_metrics import count_events, total
from anomaly.evaluation.figures import LabelledScores, by_scene, evaluate, legacy, over_models
from anomaly.evaluation.intervals import frame_seconds, runs_of
from pose_extract.errors import ConfigError, UsageError

KINDS = ("mixed", "normal", "abnormal")


def labelled(clip, score, abnormal, kept=None, alarm=None, fps=10.0):
    count = len(score)
    return LabelledScores(
        clip,
        np.arange(count) / fps,
        np.asarray(score, float),
        np.asarray(abnormal, bool),
        np.ones(count, bool) if kept is None else np.asarray(kept, bool),
        None if alarm is None else np.asarray(alarm, bool),
        fps,
    )


@st.composite
def clip_lists(draw):
    """One to five clips, some all normal or all abnormal, with many ties and frames left out."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    clips = []
    for number in range(draw(st.integers(1, 5))):
        count = draw(st.integers(1, 40))
        kind = draw(st.sampled_from(KINDS))
        abnormal = {"mixed": rng.random(count) < 0.4, "normal": np.zeros(count), "abnormal": np.ones(count)}
        levels = draw(st.sampled_from([1, 2, 5, 1000]))
        score = rng.integers(levels, size=count) / 7 - rng.integers(3)
        kept = rng.random(count) < draw(st.sampled_from([0.5, 1.1]))
        alarm = rng.random(count) < 0.3
        clips.append(labelled(f"clip{number}", score, abnormal[kind], kept, alarm))
    return clips


def pooled(clips):
    return (
        np.concatenate([c.score[c.kept] for c in clips]),
        np.concatenate([c.abnormal[c.kept] for c in clips]),
    )


def both_kinds(labels):
    return 0 < labels.sum() < len(labels)


@given(clip_lists())
@settings(max_examples=200, deadline=None)
def test_micro_figures_are_scikit_learns_of_all_frames_that_count(clips):
    score, abnormal = pooled(clips)
    figures = evaluate(clips)
    assert (figures.frames, figures.abnormal) == (len(abnormal), abnormal.sum())
    if not both_kinds(abnormal):
        assert np.isnan([figures.auc_micro, figures.ap, figures.eer, figures.auc_macro]).all()
        return
    assert figures.auc_micro == pytest.approx(roc_auc_score(abnormal, score), abs=1e-9)
    assert figures.ap == pytest.approx(average_precision_score(abnormal, score), abs=1e-9)
    false, hits, _ = roc_curve(abnormal, score, drop_intermediate=False)
    excess = false + hits - 1  # of false alarms over misses; rises from -1 to 1
    k = int(np.argmax(excess >= 0))
    way = excess[k - 1] / (excess[k - 1] - excess[k])
    assert figures.eer == pytest.approx(false[k - 1] + way * (false[k] - false[k - 1]), abs=1e-9)


@given(clip_lists())
@settings(max_examples=100, deadline=None)
def test_macro_is_the_mean_over_clips_that_have_both_kinds(clips):
    own = [
        roc_auc_score(c.abnormal[c.kept], c.score[c.kept]) for c in clips if both_kinds(c.abnormal[c.kept])
    ]
    figures = evaluate(clips)
    assert figures.macro_clips == len(own)
    assert figures.auc_macro == pytest.approx(np.mean(own) if own else np.nan, abs=1e-9, nan_ok=True)


def test_many_frames_with_ties_agree_with_scikit_learn():
    rng = np.random.default_rng(0)
    abnormal = rng.random(200_000) < 0.2
    score = (rng.normal(size=200_000) + abnormal).round(2)
    clips = [
        labelled(f"{i}", s, a)
        for i, (s, a) in enumerate(zip(score.reshape(20, -1), abnormal.reshape(20, -1), strict=True))
    ]
    figures = evaluate(clips)
    assert figures.auc_micro == pytest.approx(roc_auc_score(abnormal, score), abs=1e-9)
    assert figures.ap == pytest.approx(average_precision_score(abnormal, score), abs=1e-9)


def test_only_normal_video_has_no_auc_but_false_alarms_an_hour():
    alarm = np.zeros(36_000, bool)  # an hour
    alarm[[5, 6, 7, 100, 35_999]] = True
    figures = evaluate([labelled("night", np.zeros(36_000), np.zeros(36_000), alarm=alarm)])
    assert np.isnan(
        [figures.auc_micro, figures.auc_macro, figures.ap, figures.eer, figures.event_recall]
    ).all()
    assert figures.false_alarms_per_hour == pytest.approx(3)
    assert figures.normal_hours == pytest.approx(1)
    few = evaluate(
        [labelled("a", np.zeros(5990), np.zeros(5990), alarm=alarm[:5990])]
    )  # 9 minutes and 59 seconds
    assert np.isnan(few.false_alarms_per_hour)
    assert few.false_alarms == 2
    assert figures.normal_alarm_share == pytest.approx(5 / 36_000)


def test_frames_left_out_change_no_figure_whatever_they_hold():
    rng = np.random.default_rng(1)
    score, abnormal, alarm = rng.normal(size=60), rng.random(60) < 0.5, rng.random(60) < 0.5
    kept = np.arange(60) < 40
    clip = labelled("a", score, abnormal, kept, alarm)
    wild = dataclasses.replace(clip, score=np.where(kept, score, 1e9))
    cut = labelled("a", score[:40], abnormal[:40], None, alarm[:40])
    assert evaluate([wild]) == evaluate([clip])
    assert evaluate([clip]).auc_micro == evaluate([cut]).auc_micro
    assert evaluate([clip]).events == evaluate([cut]).events


def test_nothing_to_evaluate_is_an_error():
    with pytest.raises(UsageError, match="got none"):
        evaluate([])


def test_scores_that_do_not_fit_their_labels_are_an_error():
    with pytest.raises(UsageError, match="clip a: expected times, scores and labels of the same frames"):
        LabelledScores("a", np.zeros(3), np.zeros(3), np.zeros(4, bool), np.ones(3, bool))
    with pytest.raises(UsageError, match="finite"):
        labelled("a", [0, np.nan], [0, 1])


def test_whole_clips_are_compared_by_their_highest_frame_that_counts():
    clips = [
        labelled("a", [0, 5, 1], [0, 1, 0]),
        labelled("b", [3, 9, 2], [0, 0, 0], kept=[1, 0, 1]),
        labelled("c", [6, 0, 0], [0, 0, 0]),
        labelled("d", [9, 9, 9], [0, 0, 0], kept=[0, 0, 0]),  # counts for nothing
    ]
    assert evaluate(clips).auc_clips == pytest.approx(0.5)  # 5 lies above 3 and below 6
    assert np.isnan(evaluate(clips[:1]).auc_clips)


# Events


def brute_events(time_s, alarm, abnormal, kept):
    """Events and alarms by walking through the frames, as they are defined."""

    def walk(mask):
        run, found = [], []
        for i, on in enumerate(mask):
            if on:
                run.append(i)
            elif run:
                found.append(run)
                run = []
        return found + ([run] if run else [])

    events, delays, false = 0, [], 0
    for run in walk(abnormal):
        counted = [i for i in run if kept[i]]
        events += bool(counted)
        hits = [i for i in counted if alarm[i]]
        if hits:
            delays.append(time_s[hits[0]] - time_s[counted[0]])
    for run in walk(alarm):
        if any(kept[i] for i in run) and not any(abnormal[i] for i in run):
            false += 1
    return events, delays, false


@given(st.integers(0, 2**32 - 1), st.integers(0, 60), st.sampled_from([0.1, 0.5, 0.9]))
@settings(max_examples=300, deadline=None)
def test_events_and_false_alarms_are_those_that_one_finds_by_hand(seed, count, share):
    rng = np.random.default_rng(seed)
    time_s = np.cumsum(rng.integers(1, 9, count)) / 25
    alarm, abnormal, kept = rng.random((3, count)) < [[share], [0.4], [0.8]]
    counts = count_events(time_s, alarm, abnormal, kept)
    events, delays, false = brute_events(time_s, alarm, abnormal, kept)
    assert (counts.events, counts.false_alarms, counts.detected) == (events, false, len(delays))
    np.testing.assert_allclose(counts.delays_s, delays)
    lasts = [b - a for a, b in pairwise(time_s)] if count else []
    lasts += [np.median(lasts) if lasts else 0.0] * bool(count)
    normal = [s for s, k, a in zip(lasts, kept, abnormal, strict=True) if k and not a]
    assert counts.normal_s == pytest.approx(sum(normal))


@given(st.lists(st.booleans(), max_size=30))
def test_runs_are_maximal_and_cover_what_is_true(values):
    mask = np.array(values, bool)
    found = runs_of(mask)
    rebuilt = np.zeros(len(mask), bool)
    for first, stop in found:
        assert not rebuilt[first:stop].any()
        rebuilt[first:stop] = True
    np.testing.assert_array_equal(rebuilt, mask)
    assert all(b < a for (_, b), (a, _) in pairwise(found))  # a gap between any two


def test_an_alarm_that_is_on_when_an_event_begins_detects_it_at_once_and_is_no_false_alarm():
    alarm = np.array([0, 1, 1, 0, 0, 0, 1], bool)
    abnormal = np.array([0, 0, 1, 1, 0, 0, 0], bool)
    counts = count_events(np.arange(7.0), alarm, abnormal)
    assert (counts.events, counts.detected, counts.false_alarms) == (1, 1, 1)
    assert counts.median_delay_s == 0
    assert counts.recall == 1


def test_the_delay_is_the_time_to_the_first_alarm_within_the_event():
    abnormal = np.arange(100) >= 50
    alarm = np.arange(100) >= 80
    counts = count_events(np.arange(100) / 10, alarm, abnormal)
    assert counts.median_delay_s == pytest.approx(3.0)


def test_events_do_not_run_on_from_clip_to_clip():
    one = count_events(np.arange(4.0), np.array([0, 0, 0, 1], bool), np.array([0, 0, 1, 1], bool))
    both = total([one, one])
    assert (both.events, both.detected, both.normal_s) == (2, 2, 4.0)


def test_frames_last_until_the_next_one():
    np.testing.assert_allclose(frame_seconds(np.array([0, 1, 3.0])), [1, 2, 1.5])
    np.testing.assert_allclose(frame_seconds(np.array([5.0]), 25), [0.04])
    assert len(frame_seconds(np.zeros(0), 25)) == 0


# The legacy protocol


def naive_legacy(scores, sigma):
    """Joined, mirrored at both ends, and weighted with a Gaussian cut off at 4 sigmas, frame by frame."""
    joined = np.concatenate(scores)
    reach = int(4 * sigma + 0.5)
    weights = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma) ** 2)
    weights /= weights.sum()
    count, out = len(joined), []
    for i in range(count):
        around = [(i + k) % (2 * count) for k in range(-reach, reach + 1)]  # d c b a | a b c d | d c b a
        around = [j if j < count else 2 * count - 1 - j for j in around]
        out.append(sum(w * joined[j] for w, j in zip(weights, around, strict=True)))
    return np.array(out)


@pytest.mark.parametrize("sigma", [1.0, 40.0])
@pytest.mark.parametrize("normalise", ["none", "clip"])
def test_legacy_scores_are_those_of_all_clips_joined_and_smoothed_together(sigma, normalise):
    rng = np.random.default_rng(2)
    clips = [
        labelled(f"{i}", rng.normal(i, 1 + i, 30 + 7 * i), rng.random(30 + 7 * i) < 0.4) for i in range(4)
    ]
    scores = [c.score for c in clips]
    if normalise == "clip":
        scores = [(s - s.min()) / (s.max() - s.min()) for s in scores]
    expected = naive_legacy(scores, sigma)
    found = legacy(clips, sigma, normalise)
    np.testing.assert_allclose(np.concatenate([c.score for c in found]), expected, atol=1e-12)
    assert [len(c.score) for c in found] == [len(c.score) for c in clips]
    labels = np.concatenate([c.abnormal for c in clips])
    assert evaluate(found).auc_micro == pytest.approx(roc_auc_score(labels, expected), abs=1e-9)


def test_legacy_smoothing_crosses_the_borders_of_clips():
    quiet, loud = labelled("a", np.zeros(100), np.zeros(100)), labelled("b", np.full(100, 9.0), np.ones(100))
    first, second = legacy([quiet, loud])
    assert first.score[-1] > 3
    assert second.score[0] < 6


def test_legacy_scores_have_no_alarms_and_so_no_false_ones():
    clip = labelled("a", np.arange(10), np.arange(10) > 5, alarm=np.ones(10))
    figures = evaluate(legacy([clip]))
    assert np.isnan([figures.false_alarms, figures.false_alarms_per_hour, figures.events]).all()


def test_a_clip_of_equal_scores_is_normalised_to_zeros():
    (found,) = legacy([labelled("a", np.full(5, 3.0), np.zeros(5))], normalise="clip")
    assert not found.score.any()


def test_an_unknown_normalisation_is_an_error():
    with pytest.raises(ConfigError, match="normalise"):
        legacy([], normalise="minmax")


def test_mean_and_deviation_over_models():
    clips = [labelled("a", [0, 1, 2, 3], [0, 1, 0, 1]), labelled("a", [0, 1, 2, 3], [0, 0, 1, 1])]
    spread = over_models([evaluate([c]) for c in clips])["auc_micro"]
    assert spread.mean == pytest.approx(0.875)
    assert spread.deviation == pytest.approx(np.std([0.75, 1.0], ddof=1))
    assert np.isnan(over_models([evaluate(clips[:1])])["auc_micro"].deviation)


def test_scenes_hold_their_clips():
    clips = [labelled(name, [0, 1], [0, 1]) for name in ("02_1", "01_1", "02_2")]
    scenes = by_scene(clips, {c.clip: c.clip[:2] for c in clips})
    assert {name: [c.clip for c in its] for name, its in scenes.items()} == {
        "01": ["01_1"],
        "02": ["02_1", "02_2"],
    }


def test_found_events_match_true_ones_that_share_half_of_their_time():
    abnormal = np.zeros(100, bool)
    abnormal[10:30] = abnormal[50:60] = True
    alarm = np.zeros(100, bool)
    alarm[14:34] = True  # shares 16 of 24 frames with the first
    alarm[58:70] = True  # shares 2 of 20 with the second
    alarm[80:82] = True
    counts = count_events(np.arange(100) / 10, alarm, abnormal)
    assert (counts.events, counts.found, counts.matched) == (2, 3, 1)
    assert counts.f1 == pytest.approx(2 / 5)
    assert counts.detected == 2  # one alarm frame is enough for that
    merged = count_events(np.arange(100) / 10, alarm, abnormal, found=[(14, 34), (58, 82)])
    assert (merged.found, merged.matched, merged.f1) == (2, 1, 0.5)


def test_exactly_half_matches_and_one_found_event_matches_one_true_one():
    abnormal, alarm = np.zeros(12, bool), np.zeros(12, bool)
    abnormal[0:3] = abnormal[6:9] = True
    alarm[0:6] = True  # 3 of 6 frames
    counts = count_events(np.arange(12.0), alarm, abnormal)
    assert (counts.events, counts.found, counts.matched) == (2, 1, 1)
    alarm[:] = True  # 3 of 12 with either
    assert count_events(np.arange(12.0), alarm, abnormal).matched == 0


def test_what_is_left_out_matches_nothing_and_is_not_missed():
    abnormal = np.zeros(20, bool)
    abnormal[2:6] = abnormal[10:14] = True
    kept = np.ones(20, bool)
    kept[0:8] = False
    counts = count_events(np.arange(20.0), abnormal, abnormal, kept)
    assert (counts.events, counts.found, counts.matched, counts.f1) == (1, 1, 1, 1.0)
    nothing = count_events(np.arange(20.0), np.zeros(20, bool), np.zeros(20, bool))
    assert np.isnan(nothing.f1)


def test_counts_of_clips_add_up_found_events_too():
    abnormal, alarm = np.array([0, 1, 1, 0], bool), np.array([0, 1, 1, 0], bool)
    one = count_events(np.arange(4.0), alarm, abnormal)
    other = count_events(np.arange(4.0), alarm, np.roll(abnormal, 1))
    both = total([one, other])
    assert (both.found, both.matched) == (2, one.matched + other.matched)


def test_frames_whose_people_could_not_be_judged_are_counted_and_can_be_left_out():
    score, abnormal = np.array([0.0, 1.0, 2.0, 3.0, 0.0, 0.0]), np.array([0, 0, 1, 1, 1, 0], bool)
    judged = np.array([1, 1, 1, 1, 0, 0], bool)
    clip = LabelledScores("a", np.arange(6.0), score, abnormal, np.ones(6, bool), judged=judged)
    figures = evaluate([clip])
    assert figures.not_judged == 2
    assert figures.auc_judged == 1
    assert figures.auc_micro < 1  # by the protocol they count
    assert evaluate([dataclasses.replace(clip, judged=None)]).not_judged == 0
