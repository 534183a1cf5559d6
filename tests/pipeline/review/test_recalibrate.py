"""Which threshold marks ask for, and what becomes of it."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from anomaly.scoring.calibration import Calibration
from anomaly.scoring.marked_threshold import MarkedThreshold
from anomaly.scoring.scores import FrameScores
from anomaly.settings import FRAME_MODES, CalibrationSettings, ScoringSettings
from pipeline.events.settings import EventSettings
from pipeline.review import recalibrate as module
from pipeline.review.marks import Mark, read_marks
from pipeline.review.recalibrate import (
    Recalibration,
    apply,
    choose_threshold,
    put_threshold,
    recalibrate,
    reset,
)
from pipeline.workspace import Workspace
from pose_extract.errors import BusyError, UsageError


def choose(right, false, start, **options):
    choice = choose_threshold(right, false, start, **options)
    return choice.threshold, int(choice.kept.sum()), int(choice.quiet.sum())


def test_false_alarms_raise_the_threshold_just_above_the_highest_of_them():
    threshold, kept, quiet = choose([9, 8], [3, 5], start=2, spread=1)
    assert 5 < threshold < 5.1
    assert (kept, quiet) == (2, 2)


def test_a_missed_event_lowers_it_just_below():
    threshold, kept, quiet = choose([4], [1], start=6, spread=1)
    assert 3.9 < threshold < 4
    assert (kept, quiet) == (1, 1)


def test_marks_that_the_threshold_satisfies_leave_it_alone():
    assert choose([9], [1], start=2) == (2, 1, 1)
    assert choose([9], [], start=2) == (2, 1, 0)
    assert choose([], [1], start=2) == (2, 0, 1)


def test_only_false_alarms_silence_all_of_them():
    threshold, _, quiet = choose([], [3, 5], start=2)
    assert threshold == 5
    assert quiet == 2


def test_where_they_overlap_right_alarms_stay_and_lower_false_ones_are_silenced():
    threshold, kept, quiet = choose([4, 9], [3, 5, 6], start=2, spread=1)
    assert 3 <= threshold < 4
    assert (kept, quiet) == (2, 1)


def test_right_alarms_may_be_given_up_for_false_ones_but_no_more_than_asked_and_than_helps():
    rights, falses = [4, 6, 9, 10], [3, 5, 8]
    assert choose(rights, falses, 2, keep_right=1)[1:] == (4, 1)
    assert choose(rights, falses, 2, keep_right=0.75)[1:] == (3, 2)
    assert choose(rights, falses, 2, keep_right=0.5)[1:] == (2, 3)
    assert choose(rights, falses, 2, keep_right=0.25)[1:] == (2, 3)
    assert choose(rights, [3], 2, keep_right=0.25)[1:] == (4, 1)


def test_no_threshold_can_part_equal_scores():
    threshold, kept, quiet = choose([5], [5], start=2)
    assert (threshold, kept, quiet) == (2, 1, 0)


@pytest.mark.parametrize("seed", range(20))
def test_no_other_threshold_does_better(seed):
    rng = np.random.default_rng(seed)
    right, false = rng.integers(0, 20, rng.integers(0, 6)), rng.integers(0, 20, rng.integers(0, 6))
    start = float(rng.integers(0, 20))
    threshold, kept, quiet = choose(right, false, start, spread=rng.choice([0, 10]))
    assert kept == len(right)
    candidates = [t for t in np.arange(-1, 21, 0.25) if (right > t).all()]
    best = max((false <= t).sum() for t in candidates)
    assert quiet == best
    nearest = min(abs(t - start) for t in candidates if (false <= t).sum() == best)
    assert abs(threshold - start) <= nearest + 0.25


def test_nine_tenths_of_the_right_alarms_means_no_fewer():
    """What the help recommends: of five right alarms at most half a one may be given up, which is none."""
    rights = [4, 6, 8, 9, 10]
    assert choose(rights, [5], 2, keep_right=0.9)[1:] == (5, 0)
    assert choose(rights, [5], 2, keep_right=0.8)[1:] == (4, 1)
    assert choose([*rights, 11, 12, 13, 14, 15], [5], 2, keep_right=0.9)[1:] == (9, 1)


def test_right_alarms_that_silence_nothing_more_are_not_given_up():
    threshold, kept, quiet = choose([6, 8, 9, 10], [3], start=12, spread=1, keep_right=0.25)
    assert (kept, quiet) == (4, 1)
    assert 5.9 < threshold < 6
    assert choose([6, 8, 9, 10], [7], start=12, keep_right=0.25)[1:] == (3, 1)


def test_the_threshold_stays_a_hundredth_of_the_spread_off_the_mark_that_moves_it_or_half_of_the_room():
    assert choose([], [5], start=2, spread=10)[0] == pytest.approx(5.1)
    assert choose([4], [], start=6, spread=10)[0] == pytest.approx(3.9)
    assert choose([5.1], [5], start=2, spread=100)[0] == pytest.approx(5.05)
    assert choose([4], [3.9], start=6, spread=100)[0] == pytest.approx(3.95)
    assert choose([4], [], start=4, spread=0)[0] == np.nextafter(4.0, 0)


def test_kept_and_quiet_follow_the_order_of_the_marks():
    choice = choose_threshold([4, 9, 6], [5, 3], start=2, keep_right=0.5)
    assert choice.kept.tolist() == [False, True, True]
    assert choice.quiet.tolist() == [True, True]


# ---- recalibrate, of a model whose scores are given


SCORES = {"street": np.arange(100.0), "yard": np.full(50, 20.0)}


def scorer(marked=None):
    """A scorer of two clips with the scores above; held-out normal frames score 0, 0.5, ..., 49.5: alarm above 44.5."""
    frames = np.broadcast_to(np.arange(100.0) / 2, (4, 2, 100))
    scoring = ScoringSettings(smoothing_s=0, tail="linear", by="clustering")
    settings = SimpleNamespace(
        scoring=scoring,
        windows=SimpleNamespace(extent="sliding"),
        calibration=CalibrationSettings(false_alarm_rate=0.1),
        events=EventSettings(merge_gap_s=0.0, min_s=0.0),
    )
    fitted = Calibration(
        np.zeros(100, np.int32), np.arange(100) / 10, frames, frames, np.zeros((1, 1)), np.ones(1)
    )
    model = SimpleNamespace(settings=settings, fitted_calibration=fitted, marked=marked)
    return SimpleNamespace(model=model, settings=settings, load=lambda path: path, by_rate=False)


def mark(verdict, start, stop, clip="street", **changes):
    facts = {
        "video": f"{clip}.mp4",
        "clip": clip,
        "start_frame": start,
        "end_frame": stop,
        "verdict": verdict,
    }
    times = {"start_s": start / 10, "end_s": stop / 10, "peak_s": (stop - 1) / 10}
    known = {"score": float(SCORES[clip][start:stop].max()) if clip in SCORES else None, "percentile": 99.0}
    return Mark(**{**facts, **times, **known, **changes})


@pytest.fixture
def place(monkeypatch, tmp_path):
    """A workspace in which both clips are, each scored in two chunks."""

    def chunks(_, clip):
        half = len(clip.score) // 2
        for part in (clip.score[:half], clip.score[half:]):
            none = np.zeros(len(part), np.int32)
            yield (
                0,
                clip,
                SimpleNamespace(frames=FrameScores(none, part, part, part, part > 0, none, none, none, none)),
            )

    def clip(path):
        score = SCORES[path.stem]
        return SimpleNamespace(
            score=score, frame_count=len(score), time_s=np.arange(len(score)) / 10, fps=10.0
        )

    monkeypatch.setattr(module, "score_chunks", chunks)
    monkeypatch.setattr(module, "load_header", lambda path: {"clip": path.stem})
    made = scorer()
    made.load = clip
    workspace = SimpleNamespace(
        entries=lambda: [SimpleNamespace(clip="street")],
        tracks=tmp_path,
        tracks_path=lambda name: tmp_path / f"{name}.npz",
    )
    return made, workspace, tmp_path


def test_the_threshold_goes_where_the_marks_want_it_and_the_model_s_facts_say_what_it_does(place):
    made, workspace, _ = place
    marks = [mark("right", 80, 90), mark("false", 40, 61), mark("right", 45, 48)]
    result = recalibrate(made, workspace, marks, keep_right=0.5)
    assert result.marks == tuple(marks)
    assert result.marked is not None
    facts = result.marked.facts
    assert 60 < result.marked.score < 60.3
    assert result.marked.fits(made.settings.scoring)
    assert (facts["right"], facts["right_kept"], facts["false"], facts["false_quiet"]) == (2, 1, 1, 1)
    assert facts["keep_right"] == 0.5
    assert facts["without_marks"] == {"false_alarm_rate": 0.1, "score": 44.5, "percentile": 90.0}
    assert facts["percentile"] == 100.0
    text = "\n".join(result.lines)
    assert "alarm above score 60.2" in text
    assert "; without marks 44.5000 (90.00)" in text
    assert "right alarms: 1 of 2 stay alarms" in text
    assert "not so: street 4.50 s to 4.80 s (right)" in text
    assert "false alarms: 1 of 1 are quiet now" in text
    assert "then: alarm in 0.00 % of held-out normal frames (without marks 10.00 %); 1 events" in text
    assert "whatever scores in between no longer raises an alarm" in text
    assert "cannot tell them apart" not in text


def test_marks_that_are_satisfied_leave_the_model_as_it_is(place):
    made, workspace, _ = place
    result = recalibrate(made, workspace, [mark("right", 80, 90), mark("false", 10, 20)])
    assert result.marked is None
    assert result.lines[0] == "alarm above score 44.5000 (percentile 90.00), as without marks"
    assert not any("in between" in line for line in result.lines)


def test_a_missed_event_lowers_the_threshold_and_says_what_that_costs(place):
    made, workspace, _ = place
    result = recalibrate(made, workspace, [mark("right", 20, 30)])
    assert result.marked.score == pytest.approx(29 - 0.01 * 24.5, abs=0.02)  # 24.5: between the quartiles
    assert not any("in between" in line for line in result.lines)
    assert any(line.startswith("then: alarm in 42.00 %") for line in result.lines)


def test_what_a_threshold_cannot_part_is_said(place):
    made, workspace, _ = place
    result = recalibrate(made, workspace, [mark("right", 50, 60), mark("false", 70, 80)])
    text = "\n".join(result.lines)
    assert "right alarms: 1 of 1 stay alarms" in text
    assert "false alarms: 0 of 1 are quiet now" in text
    assert "not so: street 7.00 s to 8.00 s (false)" in text
    assert "--keep-right 0.9" in text


def test_many_marks_that_are_not_so_are_counted(place):
    made, workspace, _ = place
    false = [mark("false", 60 + i, 62 + i) for i in range(14)]
    lines = recalibrate(made, workspace, [mark("right", 50, 55), *false]).lines
    assert sum("not so" in line for line in lines) == 10
    assert "  and 4 more" in lines


def test_clips_outside_of_the_workspace_come_by_their_tracks_and_unknown_ones_are_named(place):
    made, workspace, folder = place
    marks = [mark("false", 10, 20, "yard", score=20.0)]
    with pytest.raises(UsageError, match=r"not in .*: yard; name the workspace"):
        recalibrate(made, workspace, marks)
    assert recalibrate(made, workspace, marks, tracks=[folder / "yard.npz"]).marked is None
    unknown = [mark("false", 10, 20, f"c{i}") for i in range(7)]
    with pytest.raises(UsageError, match="c0, c1, c2, c3, c4 and 2 more"):
        recalibrate(made, workspace, unknown)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"end_frame": 101}, "ends at frame 101, but the clip has 100"),
        ({"start_s": 2.1, "peak_s": 3.0}, r"first frame, 10, is shown at 1\.00 s"),
    ],
)
def test_a_mark_of_another_video_is_refused(place, changes, message):
    made, workspace, _ = place
    with pytest.raises(UsageError, match=message):
        recalibrate(made, workspace, [mark("false", 10, 20, **changes)])
    fits = [mark("false", 10, 100), mark("false", 10, 20, start_s=1.9, peak_s=1.9)]
    assert len(recalibrate(made, workspace, fits).marks) == 2


def test_marks_whose_scores_are_another_model_s_are_counted(place, caplog):
    made, workspace, _ = place
    same, known_not = mark("false", 10, 20, score=19.2), mark("false", 20, 30, score=None)
    recalibrate(made, workspace, [same, known_not])
    assert "another model" not in caplog.text
    recalibrate(made, workspace, [same, known_not, mark("false", 30, 40, score=39.3)])
    assert "1 of 3 marks were made with another model" in caplog.text


def test_the_threshold_is_of_scores_made_as_the_scorer_makes_them_and_not_by_the_model_s_settings(place):
    made, workspace, _ = place
    online = replace(made.settings.scoring, frames="online")
    made.settings = SimpleNamespace(**{**vars(made.settings), "scoring": online})
    frames = made.model.fitted_calibration.frames.copy()
    frames[:, FRAME_MODES.index("online")] *= 0.1  # 0 to 4.95, so that the threshold without marks is 4.45
    made.model.fitted_calibration = replace(made.model.fitted_calibration, frames=frames)
    result = recalibrate(made, workspace, [mark("false", 3, 5), mark("right", 10, 20)])
    assert result.marked is None
    assert result.lines[0] == "alarm above score 4.4500 (percentile 90.00), as without marks"
    result = recalibrate(made, workspace, [mark("right", 2, 3)])
    assert result.marked.fits(online)
    assert result.marked.facts["without_marks"] == {
        "false_alarm_rate": 0.1,
        "score": 4.45,
        "percentile": 90.0,
    }
    assert result.marked.facts["percentile"] == 40.0
    assert result.marked.score == pytest.approx(2 - 0.01 * 2.5)  # the quartiles are 2.5 apart


def test_earlier_marks_threshold_is_forgotten_when_all_marks_are_looked_at_anew(place):
    made, workspace, _ = place
    made.model.marked = MarkedThreshold.from_score(70.0, made.settings.scoring, {})
    result = recalibrate(made, workspace, [mark("right", 80, 90)])
    assert result.marked is None
    assert result.lines[0] == "alarm above score 44.5000 (percentile 90.00), as without marks"


def test_the_threshold_starts_where_a_budget_of_alarms_puts_it(place, monkeypatch):
    made, workspace, _ = place
    budget = SimpleNamespace(threshold=70.0, alarms_per_day=24)
    monkeypatch.setattr(module, "budget_of", lambda model, scoring: budget)
    result = recalibrate(made, workspace, [mark("false", 40, 61)])
    assert result.marked is None  # it is quiet as it is: nothing may lower the threshold to just above it
    assert result.lines[0] == "alarm above score 70.0000 (percentile 100.00), as without marks"
    result = recalibrate(made, workspace, [mark("false", 70, 81)])
    assert 80 < result.marked.score < 80.3
    assert result.marked.facts["without_marks"] == {"alarms_per_day": 24, "score": 70.0, "percentile": 100.0}
    made.by_rate = True
    assert recalibrate(made, workspace, [mark("right", 80, 90)]).lines[0].startswith("alarm above score 44.5")


def test_progress_counts_the_marked_clips(place, monkeypatch):
    made, workspace, folder = place
    seen = []

    @contextmanager
    def stage(*what):
        seen.append(what)
        yield SimpleNamespace(advance=lambda *step: seen.append(step))

    monkeypatch.setattr(module, "stage", stage)
    marks = [mark("false", 10, 20), mark("false", 10, 20, "yard", score=20.0), mark("false", 5, 20)]
    recalibrate(made, workspace, marks, tracks=[folder / "yard.npz"])
    assert seen == [("score marked clips", "clips", 2, False), (1, "street"), (1, "yard")]
    recalibrate(made, workspace, marks[:1], quiet=True)
    assert seen[3:] == [("score marked clips", "clips", 1, True), (1, "street")]


@pytest.mark.parametrize("share", [0.0, -0.1, 1.1])
def test_a_share_of_right_alarms_out_of_range_is_refused(place, share):
    made, workspace, _ = place
    with pytest.raises(UsageError, match="--keep-right"):
        recalibrate(made, workspace, [mark("false", 10, 20)], keep_right=share)


def test_marks_are_applied_to_the_model_and_reset_keeps_them_out_of_use(tmp_path, monkeypatch):
    written = []
    monkeypatch.setattr(module, "write_marked", lambda model, marked: written.append((model, marked)))
    workspace = Workspace(tmp_path)
    result = Recalibration("threshold", (mark("false", 10, 20),), ())
    other = tmp_path / "other"
    apply(result, workspace, other)
    assert written == [(other, "threshold")]
    assert read_marks(workspace.marks) == list(result.marks)
    assert reset(workspace, other) == tmp_path / "marks-1.json"
    assert written[-1] == (other, None)
    assert not workspace.marks.exists()
    apply(result, workspace, workspace.model)
    assert reset(workspace, workspace.model) == tmp_path / "marks-2.json"
    assert read_marks(tmp_path / "marks-2.json") == list(result.marks)
    assert reset(workspace, workspace.model) is None


def test_a_threshold_is_put_into_a_model_and_into_the_workspace_s_own_only_while_nobody_trains_it(
    tmp_path, monkeypatch
):
    written = []
    monkeypatch.setattr(module, "write_marked", lambda model, marked: written.append((model, marked)))
    workspace = Workspace(tmp_path, wait=False)
    other = tmp_path / "other"
    put_threshold("threshold", workspace, workspace.model)
    with workspace.writing_model():
        put_threshold(None, workspace, other)
        for change in (
            lambda: put_threshold("new", workspace, workspace.model),
            lambda: apply(Recalibration("new", (), ()), workspace, workspace.model),
            lambda: reset(workspace, workspace.model),
        ):
            with pytest.raises(BusyError):
                change()
    assert written == [(workspace.model, "threshold"), (other, None)]
    assert not workspace.marks.exists()
