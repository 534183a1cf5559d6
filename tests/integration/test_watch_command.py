"""`watch` as a user runs it, on files."""

from __future__ import annotations

import csv
import json
from datetime import datetime

import numpy as np
import pytest

from benchmarks.helpers.scripted import ScriptedEstimator, scripted_video
from pipeline.live.events.record import LiveEvent
from pipeline.synthetic.clips import simulate_clip
from pipeline.synthetic.street.scene import StreetSettings


@pytest.fixture(scope="module")
def street():
    """Somebody falls, in the middle of others."""
    return simulate_clip("door", 31, StreetSettings(seconds=12), abnormal=("falling",)).truth


@pytest.fixture
def scripted(monkeypatch, street):
    """Every estimator is one that knows the street's people."""
    for module in ("pipeline.extraction.spread", "pipeline.live.cameras"):
        monkeypatch.setattr(f"{module}.chosen_estimator", lambda name: name)
        monkeypatch.setattr(f"{module}.create_estimator", lambda *_: ScriptedEstimator(street))


@pytest.fixture(scope="module")
def video(tmp_path_factory, street):
    return scripted_video(tmp_path_factory.mktemp("video") / "door.mp4", street.frame_count, street.fps)


def events_in(text: str) -> list[LiveEvent]:
    return [LiveEvent.from_json(line) for line in text.splitlines()]


def scored_by_watch(monkeypatch):
    """Gathers what `watch` scores."""
    from pipeline.live.watching.judge import Judge

    found, original = [], Judge._scored

    def scored(self, begin, part, scores):
        found.append((begin, scores))
        yield from original(self, begin, part, scores)

    monkeypatch.setattr(Judge, "_scored", scored)
    return found


def test_scores_of_a_file_are_those_of_score_to_the_bit(
    cli, truth_workspace, scripted, video, tmp_path, monkeypatch
):
    from pipeline.scoring import load_scorer, score_chunks
    from pipeline.workspace import Workspace

    watched = scored_by_watch(monkeypatch)
    workspace = tmp_path / "workspace"
    model = ("--model", truth_workspace / "model", "--workspace", workspace)
    result = cli("watch", video, *model, "--out", tmp_path / "out", "--quiet")
    assert result.code == 0
    scored = cli(
        "score", video, *model, "--out", tmp_path / "s.csv", "--set", "scoring.frames=online", "--quiet"
    )
    assert scored.code == 0

    scorer = load_scorer(truth_workspace / "model", ["scoring.frames=online"])
    tracks = scorer.load(Workspace(workspace).tracks_path("door"))
    whole = [scores for _, _, scores in score_chunks(scorer, tracks)]
    assert [begin for begin, _ in watched] == np.cumsum([0, *(len(s.frames) for s in whole[:-1])]).tolist()
    for name in ("time_s", "score", "percentile", "alarm", "people", "track_id"):
        mine, theirs = (
            np.concatenate([getattr(s.frames, name) for s in found])
            for found in ([scores for _, scores in watched], whole)
        )
        np.testing.assert_array_equal(mine, theirs, err_msg=name)
    with open(tmp_path / "s.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["score"] for row in rows] == [
        f"{score:.6f}" for _, scores in watched for score in scores.frames.score
    ]


def test_events_are_those_of_score(cli, truth_workspace, scripted, video, tmp_path):
    model = ("--model", truth_workspace / "model", "--workspace", tmp_path / "workspace")
    told = events_in(cli("watch", video, *model, "--out", tmp_path / "out", "--quiet").out)
    cli(
        "score", video, *model, "--out", tmp_path / "s.csv", "--set", "scoring.frames=online", "--quiet",
        "--events", tmp_path / "events.json",
    )  # fmt: skip
    expected = json.loads((tmp_path / "events.json").read_text())["events"]
    assert expected
    state, *told = told
    assert (state.kind, state.state) == ("state", "online")
    ends = [event for event in told if event.type == "end"]
    assert len(ends) == len(expected) == sum(event.type == "new" for event in told)
    start = min(event.start_time for event in told)
    for event, known in zip(ends, expected, strict=True):
        assert event.score == pytest.approx(known["score"], abs=1e-6)
        assert event.end_reason in ("quiet", "shutdown")
        lasted = (event.end_time - event.start_time).total_seconds()
        assert lasted == pytest.approx(known["end_s"] - known["start_s"], abs=2e-3)
        since = (event.start_time - start).total_seconds()
        assert since == pytest.approx(known["start_s"] - expected[0]["start_s"], abs=2e-3)
        assert [person.track_id for person in event.people] == [
            person["track_id"] for person in known["people"] if person["culprit"]
        ]
    assert len({event.id for event in ends}) == len(ends)
    assert all(event.reasons and event.model_id for event in ends)
    assert start.utcoffset() == datetime.now().astimezone().utcoffset()


def test_what_cannot_be_watched_is_one_clear_line(cli, truth_workspace, tmp_path):
    model = ("--model", truth_workspace / "model", "--out", tmp_path / "out")
    for words, code, text in (
        (("ftp://host/x",), 2, "rtsp://"),
        (("nothing.mp4",), 4, "nothing.mp4"),
        ((), 2, "--camera"),
        (("--camera", "door"), 3, "NAME=SOURCE"),
        (("rtsp://host/x", "--realtime"), 2, "live already"),
    ):
        result = cli("watch", *words, *model)
        assert result.code == code, words
        assert text in result.err
        assert len(result.err.strip().splitlines()) == 1
    result = cli("watch", "rtsp://host/x", "--model", tmp_path / "none", "--out", tmp_path / "out")
    assert result.code == 7


def test_check_says_what_is_watched_and_hides_passwords(cli, truth_workspace, tmp_path):
    config = tmp_path / "watch.yaml"
    config.write_text(
        "cameras:\n  door: {source: 'rtsp://me:secret@host/x'}\nsinks:\n  table: {csv: {folder: events}}\n"
    )
    result = cli("watch", config, "--model", truth_workspace / "model", "--check")
    assert result.code == 0
    assert "door: rtsp://host/x" in result.out
    assert "secret" not in result.out
    config.write_text("cameras: {door: {source: 'rtsp://host/x'}}\nset: [calibration.alarms_per_day=24]\n")
    result = cli("watch", config, "--model", truth_workspace / "model", "--check")
    assert result.code == 7
    assert "minutes of held-out normal video" in result.err
    config.write_text("cameras:\n  door: {sources: 'rtsp://host/x'}\n")
    result = cli("watch", config, "--model", truth_workspace / "model", "--check")
    assert result.code == 3
    assert "did you mean 'source'" in result.err


def test_days_that_watch_has_kept_set_the_threshold(cli, truth_workspace, tmp_path):
    import shutil

    from anomaly.scoring.threshold import reference_of
    from pipeline.live.cameras import model_id
    from pipeline.live.watching.days import DayScores
    from pipeline.scoring import load_scorer

    model, out = tmp_path / "model", tmp_path / "kept"
    shutil.copytree(truth_workspace / "model", model)
    identity = model_id(model)
    scorer = load_scorer(model, ["scoring.frames=online"])
    before = scorer.alarm_above()
    words = ("recalibrate", "--model", model, "--watched", out, "--workspace", tmp_path)
    assert "holds nothing" in cli(*words, "--from-watch", 3).err
    reference = reference_of(scorer.model, scorer.settings.scoring)
    scores = np.random.default_rng(0).choice(reference, 20_000) + 0.5 * (reference[-1] - reference[0])
    day = DayScores(out / "scores", "door", identity, reference)
    day.add(scores, before, 0.05, datetime.now().astimezone().date(), 0.0)
    day.close()
    dry = cli(*words, "--from-watch", 3, "--dry-run")
    assert (dry.code, load_scorer(model, ["scoring.frames=online"]).alarm_above()) == (0, before)
    assert "camera door" in dry.out
    assert cli(*words, "--from-watch", 3).code == 0
    after = load_scorer(model, ["scoring.frames=online"])
    rate = after.settings.calibration.false_alarm_rate
    assert rate / 2 < (scores > after.alarm_above()).mean() <= rate
    assert after.threshold_from() == "marks"
    assert model_id(model) == identity
    assert load_scorer(model).alarm_above() == load_scorer(truth_workspace / "model").alarm_above()
    assert cli("recalibrate", "--model", model, "--reset", "--workspace", tmp_path).code == 0
    assert load_scorer(model, ["scoring.frames=online"]).alarm_above() == before


def test_a_new_threshold_and_marks_are_taken_over_without_a_restart(
    cli, truth_workspace, scripted, video, tmp_path
):
    import shutil
    from functools import partial

    from anomaly.bundle.card import write_marked
    from anomaly.scoring.marked_threshold import MarkedThreshold
    from pipeline.live.service import Service
    from pipeline.live.settings import load_watch

    model = tmp_path / "model"
    shutil.copytree(truth_workspace / "model", model)
    config = tmp_path / "watch.yaml"
    marks = tmp_path / "marks.jsonl"
    config.write_text(f"cameras: {{door: {{source: '{video}'}}}}\nlive: {{marks: '{marks}'}}\n")
    service = Service(partial(load_watch, config), model, tmp_path / "out", "cpu")
    [camera] = service.watcher.cameras
    usual = camera.judge.threshold
    service._look_at_thresholds()
    assert camera.judge.threshold == usual
    scoring = camera.judge.scorer.settings.scoring
    write_marked(model, MarkedThreshold.from_score(usual + 1, scoring, {}))
    service._look_at_thresholds()
    assert camera.judge.threshold == usual + 1
    service.run()
    kept = [json.loads(line) for line in (tmp_path / "out" / "history.jsonl").read_text().splitlines()]
    assert kept
    marks.write_text("".join(json.dumps({"id": row["id"], "verdict": "false"}) + "\n" for row in kept))
    service._look_at_thresholds()
    assert camera.judge.threshold > max(row["score"] for row in kept)
    marks.write_text("nonsense\n")
    service._looked_s = float("-inf")
    service._patrol()
    assert camera.judge.threshold > usual + 1
    assert list((tmp_path / "out" / "scores").glob("*_door_*.json"))


def test_settings_are_read_again_and_only_what_changes_is_begun_anew(
    cli, truth_workspace, scripted, video, tmp_path
):
    from functools import partial

    from pipeline.live.service import Service
    from pipeline.live.settings import load_watch

    config = tmp_path / "watch.yaml"
    config.write_text(f"cameras:\n  door: {{source: '{video}'}}\n  yard: {{source: '{video}'}}\n")
    service = Service(partial(load_watch, config), truth_workspace / "model", tmp_path / "out", "cpu")
    door, yard = service.watcher.cameras
    config.write_text(
        f"cameras:\n  door: {{source: '{video}'}}\n  yard: {{source: '{video}', rules: {{most_a_day: 1}}}}\n"
        f"  gate: {{source: '{video}'}}\nsinks: {{table: {{csv: {{folder: '{tmp_path}'}}}}}}\n"
    )
    service.reload()
    service._patrol()
    names = [camera.name for camera in service.watcher.cameras]
    assert names == ["door", "yard", "gate"]
    assert service.watcher.cameras[0] is door
    assert service.watcher.cameras[1] is not yard
    config.write_text("cameras: {door: {sources: x}}\n")
    service.reload()
    service._patrol()
    assert [camera.name for camera in service.watcher.cameras] == names
    service.watcher.stop()
    service.run()
