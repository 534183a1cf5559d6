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
    for module in ("pipeline.extraction", "pipeline.live.cameras"):
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
    config.write_text("cameras:\n  door: {sources: 'rtsp://host/x'}\n")
    result = cli("watch", config, "--model", truth_workspace / "model", "--check")
    assert result.code == 3
    assert "did you mean 'source'" in result.err
