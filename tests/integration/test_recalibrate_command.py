"""`recalibrate` as a user runs it: marks in, other alarms out, and back."""

from __future__ import annotations

import csv
import json
import shutil

import numpy as np
import pytest

from anomaly.bundle import load_bundle
from pipeline.events.settings import EventSettings
from pipeline.review.marks import COLUMNS
from pipeline.scoring import load_scorer, score_chunks
from pipeline.workspace import Workspace
from pose_extract.tracks.cache import load_tracks
from tests.helpers.bundles import without_digests


@pytest.fixture
def workspace(truth_workspace, tmp_path):
    """A workspace of one's own, whose model alarms often."""
    shutil.copytree(truth_workspace, tmp_path / "ws")
    workspace = Workspace(tmp_path / "ws")
    config = without_digests(workspace.model) / "config.yaml"
    config.write_text(config.read_text().replace("false_alarm_rate: 0.05", "false_alarm_rate: 0.9"))
    return workspace


def scores_of(workspace, clip="normal_0"):
    scorer = load_scorer(workspace.model)
    tracks = load_tracks(workspace.tracks_path(clip))
    return scorer, np.concatenate([s.frames.score for _, _, s in score_chunks(scorer, tracks)])


def mark(score, verdict, start, stop, clip="normal_0", fps=24.0, **changes):
    peak = start + int(np.argmax(score[start:stop]))
    return {
        "video": f"{clip}.mp4", "clip": clip, "start_frame": start, "end_frame": stop, "start_s": start / fps,
        "end_s": stop / fps, "peak_s": peak / fps, "score": round(float(score[peak]), 6), "percentile": 99.0,
        "verdict": verdict, **changes,
    }  # fmt: skip


def write(path, *marks):
    path.write_text(json.dumps({"format": "gepc-marks", "version": 1, "marks": marks}))
    return path


@pytest.fixture
def peaks(workspace):
    """The clip's scores, its peak's span and another span that scores lower."""
    _, score = scores_of(workspace)
    top = int(np.argmax(score))
    high = (max(0, top - 5), min(len(score), top + 6))
    rest = score.copy()
    rest[max(0, high[0] - 24) : high[1] + 24] = -np.inf
    lower = int(np.argmax(rest))
    return score, high, (max(0, lower - 2), min(len(score), lower + 3))


def alarms(cli, workspace, tmp_path, *more):
    result = cli(
        "score",
        "--workspace",
        workspace.root,
        "--tracks",
        workspace.tracks_path("normal_0"),
        "--out",
        tmp_path / "s.csv",
        *more,
    )
    assert result.code == 0
    with open(tmp_path / "s.csv", newline="") as file:
        return np.array([row["alarm"] == "1" for row in csv.DictReader(file)])


def test_marks_move_the_threshold_and_reset_brings_it_back(workspace, peaks, cli, tmp_path):
    score, high, low = peaks
    before = alarms(cli, workspace, tmp_path)
    card = json.loads((workspace.model / "card.json").read_text())
    assert before[slice(*low)].any()
    marks = write(tmp_path / "m.json", mark(score, "false", *high), mark(score, "false", *low))
    result = cli("recalibrate", "--workspace", workspace.root, "--marks", marks)
    assert result.code == 0
    assert "false alarms: 2 of 2 are quiet now" in result.out
    assert "then: alarm in" in result.out
    assert not alarms(cli, workspace, tmp_path).any()

    marks = write(tmp_path / "m.json", mark(score, "right", *high))  # the later mark of an event counts
    result = cli("recalibrate", "--workspace", workspace.root, "--marks", marks)
    assert "right alarms: 1 of 1 stay alarms" in result.out
    after = alarms(cli, workspace, tmp_path, "--events", tmp_path / "e.json", "--plot", tmp_path / "p.png")
    assert after[slice(*high)].any()
    assert not after[slice(*low)].any()
    threshold = json.loads((tmp_path / "e.json").read_text())["threshold"]
    assert threshold["from"] == "marks"
    assert score[slice(*low)].max() < threshold["score"] < score.max()
    facts = load_bundle(workspace.model).marked.facts
    assert (facts["false"], facts["right"], facts["false_quiet"]) == (1, 1, 1)

    result = cli("recalibrate", "--workspace", workspace.root, "--reset")
    assert result.code == 0
    assert (alarms(cli, workspace, tmp_path) == before).all()
    found = json.loads((workspace.model / "card.json").read_text())
    assert found.pop("digests")  # the card before had none
    assert found == card
    assert len(json.loads((workspace.root / "marks-1.json").read_text())["marks"]) == 2


def test_a_rate_that_is_asked_for_goes_before_marks(workspace, peaks, cli, tmp_path):
    score, high, _ = peaks
    marks = write(tmp_path / "m.json", mark(score, "false", *high))
    rate = "--set=calibration.false_alarm_rate=0.9"
    before = alarms(cli, workspace, tmp_path, rate)
    assert cli("recalibrate", "--workspace", workspace.root, "--marks", marks).code == 0
    assert (alarms(cli, workspace, tmp_path, rate) == before).all()
    assert not alarms(cli, workspace, tmp_path).any()


def test_scores_on_another_scale_do_not_use_the_threshold_and_say_so(workspace, peaks, cli, tmp_path, caplog):
    score, high, _ = peaks
    other = "--set=scoring.smoothing_s=0.1"
    before = alarms(cli, workspace, tmp_path, other)
    cli(
        "recalibrate",
        "--workspace",
        workspace.root,
        "--marks",
        write(tmp_path / "m.json", mark(score, "false", *high)),
    )
    assert (alarms(cli, workspace, tmp_path, other) == before).all()
    assert "the alarm threshold that marks have set does not count" in caplog.text


def test_a_dry_run_changes_nothing(workspace, peaks, cli, tmp_path):
    score, high, _ = peaks
    before = {p: p.read_bytes() for p in workspace.root.rglob("*") if p.is_file()}
    result = cli(
        "recalibrate",
        "--workspace",
        workspace.root,
        "--marks",
        write(tmp_path / "m.json", mark(score, "false", *high)),
        "--dry-run",
        "--learn",
    )
    assert result.code == 0
    assert "nothing was changed" in result.out
    assert {p: p.read_bytes() for p in workspace.root.rglob("*") if p.is_file()} == before


def test_marks_are_kept_for_the_next_model(workspace, peaks, cli, tmp_path):
    score, high, _ = peaks
    cli(
        "recalibrate",
        "--workspace",
        workspace.root,
        "--marks",
        write(tmp_path / "m.json", mark(score, "false", *high)),
    )
    again = cli("recalibrate", "--workspace", workspace.root)
    assert again.code == 0
    assert "false alarms: 1 of 1 are quiet now" in again.out


def test_learned_false_alarms_are_normal_training_clips(workspace, peaks, cli, tmp_path):
    from tests.helpers.commands import TINY

    score, high, _ = peaks
    marks = write(tmp_path / "m.json", mark(score, "false", *high))
    result = cli("recalibrate", "--workspace", workspace.root, "--marks", marks, "--learn")
    assert result.code == 0
    assert "1 new training clip of" in result.out
    [entry] = [e for e in workspace.training_clips() if "-normal-" in e.clip]
    part = load_tracks(workspace.tracks_path(entry.clip))
    assert high[1] - high[0] < part.frame_count <= high[1] - high[0] + 2 * 12  # half a second around it
    assert part.time_s[0] == 0
    again = cli("recalibrate", "--workspace", workspace.root, "--marks", marks, "--learn")
    assert "0 new training clips" in again.out
    assert "training" in cli("info", "--workspace", workspace.root).out
    trained = cli("train", "--workspace", workspace.root, "--quiet", *TINY)
    assert trained.code == 0
    assert "from 4 clips" in trained.out
    assert "gepc-pipeline recalibrate" in trained.out  # the new model does not have the threshold yet
    result = cli("recalibrate", "--workspace", workspace.root, "--reset", "--learn")
    assert "1 clip of false alarms removed" in result.out
    assert "-normal-" not in cli("info", "--workspace", workspace.root).out
    assert len(workspace.training_clips()) == 3
    assert not workspace.tracks_path(entry.clip).exists()


def test_what_is_marked_right_is_not_learned(workspace, peaks, cli, tmp_path):
    score, _, _ = peaks
    wide = mark(score, "false", 20, 60, peak_s=30 / 24)
    marks = write(tmp_path / "m.json", wide, mark(score, "right", 40, 50))
    assert cli("recalibrate", "--workspace", workspace.root, "--marks", marks, "--learn").code == 0
    [entry] = [e for e in workspace.training_clips() if "-normal-" in e.clip]
    assert entry.clip.endswith("-40")


def test_an_exported_model_keeps_the_threshold(workspace, peaks, cli, tmp_path):
    pytest.importorskip("onnx")
    score, high, _ = peaks
    cli(
        "recalibrate",
        "--workspace",
        workspace.root,
        "--marks",
        write(tmp_path / "m.json", mark(score, "false", *high)),
    )
    assert cli("onnx", "--workspace", workspace.root, "--out", tmp_path / "onnx").code == 0
    assert load_bundle(tmp_path / "onnx").marked == load_bundle(workspace.model).marked is not None


def complaints(cli, workspace, path, *more):
    before = (workspace.model / "card.json").read_bytes()
    result = cli("recalibrate", "--workspace", workspace.root, "--marks", path, *more)
    assert result.code != 0
    assert (workspace.model / "card.json").read_bytes() == before
    assert not workspace.marks.exists()
    return result.err


def test_marks_that_do_not_fit_are_refused_and_nothing_changes(workspace, peaks, cli, tmp_path):
    score, high, _ = peaks
    fine = mark(score, "false", *high)

    def told(*marks):
        return complaints(cli, workspace, write(tmp_path / "m.json", *marks))

    assert "marks of clips whose tracks are not in" in told(fine, {**fine, "clip": "nowhere"})
    assert "the clip has 192" in told({**fine, "end_frame": 500, "end_s": 30})
    assert "another video" in told({**fine, "start_s": 90, "peak_s": 91, "end_s": 92})
    assert "marked right and false" in told(fine, {**fine, "verdict": "right"})
    assert "no marks in" in told()
    assert "--keep-right" in complaints(cli, workspace, write(tmp_path / "m.json", fine), "--keep-right", "0")
    result = cli("recalibrate", "--workspace", tmp_path / "none", "--marks", write(tmp_path / "m.json", fine))
    assert result.code == 7
    assert "train one first" in result.err
    assert cli("recalibrate", "--workspace", workspace.root).code == 2  # no marks at all
    assert cli("recalibrate", "--workspace", workspace.root, "--reset", "--dry-run").code == 2


def test_marks_of_another_model_count_by_what_this_one_says(workspace, peaks, cli, tmp_path, caplog):
    score, high, _ = peaks
    marks = write(tmp_path / "m.json", {**mark(score, "false", *high), "score": 1234.0})
    result = cli("recalibrate", "--workspace", workspace.root, "--marks", marks)
    assert result.code == 0
    assert "1 of 1 marks were made with another model" in caplog.text
    assert load_bundle(workspace.model).marked.score < 1000


def test_marks_of_tracks_outside_of_the_workspace(workspace, peaks, cli, tmp_path):
    score, high, _ = peaks
    shutil.copy(workspace.tracks_path("normal_0"), tmp_path / "elsewhere.npz")
    (workspace.tracks_path("normal_0")).unlink()
    marks = write(tmp_path / "m.json", mark(score, "false", *high))
    assert "are not in" in complaints(cli, workspace, marks)
    result = cli(
        "recalibrate",
        "--workspace",
        workspace.root,
        "--marks",
        marks,
        "--tracks",
        tmp_path / "elsewhere.npz",
        "--learn",
    )
    assert result.code == 0
    assert any(e.clip.startswith("normal_0-normal-") for e in workspace.training_clips())


@pytest.mark.parametrize(
    "damage",
    [
        7,
        [],
        {"score": 1.0},
        {"score": "x"},
        {"score": True},
        {"frames": "sometimes"},
        {"facts": 3},
        {"smoothing_s": None},
    ],
)
def test_a_damaged_threshold_is_refused_and_can_be_reset(workspace, peaks, cli, tmp_path, damage):
    path = workspace.model / "card.json"
    card = json.loads(path.read_text())
    whole = {
        "score": 1.0, "frames": "backtracked", "by": "clustering", "tail": "log", "smoothing_s": 0.25, "facts": {}
    }  # fmt: skip
    several = isinstance(damage, dict) and len(damage) == 1 and damage != {"score": 1.0}
    path.write_text(json.dumps({**card, "marked_threshold": {**whole, **damage} if several else damage}))
    result = cli("score", "--workspace", workspace.root, "--tracks", "x.npz", "--out", tmp_path / "s.csv")
    assert result.code == 7
    assert "recalibrate --reset" in result.err
    assert cli("recalibrate", "--workspace", workspace.root, "--reset").code == 0
    assert load_bundle(workspace.model).marked is None


def test_columns_are_those_of_the_review_page():
    from importlib.resources import files

    script = files("pipeline.review").joinpath("page/marks.js").read_text()
    assert "[" + ", ".join(f'"{name}"' for name in COLUMNS) + "]" in script


def test_events_settings_have_a_place_in_every_bundle(workspace):
    scorer = load_scorer(workspace.model)
    assert scorer.settings.events == EventSettings()
