"""The commands as a user runs them: what they print, write and return."""

from __future__ import annotations

import csv
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace

import numpy as np
import pytest

from pipeline.cli import COMMANDS
from pipeline.scoring import load_scorer, score_chunks
from pipeline.settings import load_settings
from pipeline.synthetic.clips import simulate_clip
from pipeline.synthetic.street.scene import StreetSettings
from pipeline.workspace import Workspace
from pose_extract.tracks.cache import load_tracks
from tests.helpers.commands import TINY, add_street_clip


def read_csv(path):
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def test_help_lists_every_command_and_imports_nothing_heavy():
    code = (
        "import sys; from pipeline.cli import build_parser; text = build_parser().format_help(); "
        f"assert all(name in text for name in {COMMANDS!r}); "
        "heavy = {'torch', 'cv2', 'numpy', 'scipy', 'sklearn', 'mmengine', 'rich'} & set(sys.modules); "
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself_with_an_example(command, capsys):
    from pipeline.cli import main

    with pytest.raises(SystemExit) as stop:
        main([command, "--help"])
    assert stop.value.code == 0
    text = capsys.readouterr().out
    assert "example:" in text
    assert f"gepc-pipeline {command}" in text


def test_train_says_what_it_learned_and_what_comes_next(truth_workspace, cli, tmp_path):
    result = cli("info", "--workspace", truth_workspace)
    assert result.code == 0
    for text in ("normal_0", "192", "100%", "training", "model:"):
        assert text in result.out
    shown = " ".join(result.out.split())
    assert re.search(r"trained by gepc-pipeline \S+ on 3 clips \(0:24\), \d+ people; seed 0", shown)
    assert "false alarms in" in shown
    assert "train again" not in shown
    data = json.loads(cli("info", "--workspace", truth_workspace, "--json").out)
    assert [clip["clip"] for clip in data["clips"]] == ["normal_0", "normal_1", "normal_2"]
    assert data["model"]["seed"] == 0
    assert data["model"]["versions"]["torch"]
    workspace = Workspace(shutil.copytree(truth_workspace, tmp_path / "more"))
    add_street_clip(workspace, simulate_clip("normal_3", 3, StreetSettings(seconds=1)))
    shown = " ".join(cli("info", "--workspace", workspace.root).out.split())
    assert "there is more to learn from, train again: normal_3" in shown


def test_scores_have_a_row_for_every_frame_in_the_stated_columns(truth_workspace, cli, tmp_path):
    tracks = truth_workspace / "tracks" / "normal_0.npz"
    out, people = tmp_path / "scores.csv", tmp_path / "people.csv"
    result = cli(
        "score", "--tracks", tracks, "--out", out, "--people", people, "--workspace", truth_workspace
    )
    assert result.code == 0, result.err
    rows = read_csv(out)
    assert list(rows[0]) == [
        "frame",
        "time_s",
        "score",
        "percentile",
        "alarm",
        "people",
        "track_id",
        "judged",
        "thing_id",
    ]
    assert [int(r["frame"]) for r in rows] == list(range(192))
    assert all(0 <= float(r["percentile"]) <= 100 and r["alarm"] in "01" for r in rows)
    assert all(np.isfinite(float(r["score"])) for r in rows)
    order = np.argsort([float(r["score"]) for r in rows])
    assert np.all(np.diff([float(rows[i]["percentile"]) for i in order]) >= 0)
    persons = read_csv(people)
    assert len(persons) >= len(load_tracks(tracks))
    counts = np.bincount([int(p["frame"]) for p in persons], minlength=192)
    assert [int(r["people"]) for r in rows] == counts.tolist()


def test_the_same_seed_gives_the_same_scores_to_the_byte(truth_workspace, cli, tmp_path):
    import shutil

    written = []
    for name in ("a", "b"):
        root = tmp_path / name
        shutil.copytree(truth_workspace / "tracks", root / "tracks")
        assert cli("train", "--workspace", root, "--seed", 5, *TINY).code == 0
        tracks = root / "tracks" / "normal_1.npz"
        assert cli("score", "--tracks", tracks, "--out", root / "s.csv", "--workspace", root).code == 0
        written.append((root / "s.csv").read_bytes())
    assert written[0] == written[1]
    tracks = truth_workspace / "tracks" / "normal_1.npz"
    cli("score", "--tracks", tracks, "--out", tmp_path / "other.csv", "--workspace", truth_workspace)
    assert (tmp_path / "other.csv").read_bytes() != written[0]


def test_scoring_in_parts_gives_the_scores_of_the_whole(truth_workspace):
    scorer = load_scorer(truth_workspace / "model", ["scoring.smoothing_s=0.2"])
    tracks = load_tracks(truth_workspace / "tracks" / "normal_2.npz")

    def scored(chunk: int):
        parts = [
            (s.frames.score, s.row_score, s.frames.people) for _, _, s in score_chunks(scorer, tracks, chunk)
        ]
        return [np.concatenate(arrays) for arrays in zip(*parts, strict=True)]

    whole, parts = scored(10**9), scored(29)
    for a, b in zip(whole, parts, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-4)


def test_the_time_that_somebody_is_hidden_makes_no_windows(truth_workspace):
    """Cleaning bridges it with boxes, for the eye; the model must not see movements that nobody saw."""

    from anomaly.data.windows import make_windows
    from pose_extract.tracks.cleaning import clean_tracks
    from pose_extract.tracks.settings import CleaningSettings

    whole = load_tracks(truth_workspace / "tracks" / "normal_0.npz")
    seen = ~((whole.frame >= 60) & (whole.frame < 90))
    arrays = {name: getattr(whole, name)[seen] for name in ("frame", "track", "keypoints", "boxes")}
    hidden = replace(whole, **arrays)
    settings = load_scorer(truth_workspace / "model").model.settings.windows
    bridged, holed = (clean_tracks(hidden, CleaningSettings(max_hidden_s=s)) for s in (2.0, 0.0))
    assert len(bridged) > len(holed)
    a, b = make_windows(bridged, settings, 1), make_windows(holed, settings, 1)
    np.testing.assert_array_equal(a.first, b.first)
    np.testing.assert_array_equal(a.x, b.x)


def test_plot_is_a_picture_of_the_scores_and_of_the_labels(truth_workspace, cli, tmp_path):
    tracks = truth_workspace / "tracks" / "normal_0.npz"
    mask = np.zeros(192, np.uint8)
    mask[48:96] = 1
    np.save(tmp_path / "mask.npy", mask)
    (tmp_path / "labels.csv").write_text("clip,start_s,end_s\nnormal_0,2,4\nanother,0,100\n")
    score = ("score", "--tracks", tracks, "--out", tmp_path / "s.csv", "--workspace", truth_workspace)

    def plotted(*options):
        pictures = []
        for name in ("plot.png", "plot.svg"):
            result = cli(*score, "--plot", tmp_path / name, *options)
            assert result.code == 0, result.err
            pictures.append((tmp_path / name).read_bytes())
        return pictures

    plain, drawn = plotted()
    assert plain[:4] == b"\x89PNG"
    assert b'id="score"' in drawn
    assert b'id="threshold"' in drawn
    assert b"labelled abnormal" not in drawn
    by_mask = plotted("--labels", tmp_path / "mask.npy")
    assert b'id="labelled abnormal"' in by_mask[1]
    assert by_mask[0] == plotted("--labels", tmp_path / "labels.csv")[0] != plain
    np.save(tmp_path / "mask.npy", 1 - mask)
    assert by_mask[0] == plotted("--labels", tmp_path / "mask.npy", "--abnormal", "0")[0]


def test_labels_that_do_not_fit_the_clip_are_refused(truth_workspace, cli, tmp_path):
    tracks = truth_workspace / "tracks" / "normal_0.npz"
    score = ("score", "--tracks", tracks, "--out", tmp_path / "s.csv", "--workspace", truth_workspace)
    np.save(tmp_path / "short.npy", np.zeros(100, np.uint8))
    np.savez(tmp_path / "others.npz", normal_1=np.zeros(192, np.uint8))
    for labels, message in (
        ("short.npy", "the clip has 192 frames, its mask 100"),
        ("others.npz", "there are no labels of normal_0"),
        ("gone.csv", "there is no such file"),
    ):
        result = cli(*score, "--plot", tmp_path / "p.png", "--labels", tmp_path / labels)
        assert result.code != 0
        assert message in result.err
    result = cli(*score, "--labels", tmp_path / "short.npy")
    assert "add --plot" in result.err


def test_a_lower_false_alarm_rate_raises_fewer_alarms(truth_workspace, cli, tmp_path):
    tracks = truth_workspace / "tracks" / "normal_0.npz"
    alarms = []
    for rate in (0.5, 0.01):
        cli(
            "score", "--tracks", tracks, "--out", tmp_path / "s.csv", "--workspace", truth_workspace,
            f"--set=calibration.false_alarm_rate={rate}",
        )  # fmt: skip
        alarms.append(sum(int(r["alarm"]) for r in read_csv(tmp_path / "s.csv")))
    assert alarms[0] > alarms[1]


@pytest.mark.slow
def test_extract_then_score_reuses_the_tracks_and_writes_the_overlay(
    street_video, truth_workspace, cli, tmp_path
):
    import shutil

    import cv2

    root = tmp_path / "workspace"
    shutil.copytree(truth_workspace, root)
    out, overlay = tmp_path / "scores.csv", tmp_path / "overlay.mp4"
    first = cli("score", street_video, "--out", out, "--overlay", overlay, "--workspace", root)
    assert first.code == 0, first.err
    rows = read_csv(out)
    assert len(rows) == 36
    assert max(int(r["people"]) for r in rows) >= 1
    capture = cv2.VideoCapture(str(overlay))
    assert capture.get(cv2.CAP_PROP_FRAME_COUNT) == 36
    npz = root / "tracks" / "street.npz"
    before = npz.stat().st_mtime_ns
    scores = out.read_bytes()
    assert cli("score", street_video, "--out", out, "--workspace", root).code == 0
    assert npz.stat().st_mtime_ns == before
    assert out.read_bytes() == scores
    assert "street" not in {e.clip for e in Workspace(root).training_clips()}
    scored = load_tracks(npz)
    extracted = cli("extract", street_video, "--workspace", root, "--write-json")
    assert "1 were done before" in extracted.out
    learned = load_tracks(npz)  # the file itself says that it is learned from
    assert learned.provenance == {**scored.provenance, "train": True}
    assert np.array_equal(learned.keypoints, scored.keypoints, equal_nan=True)
    assert "street" in {e.clip for e in Workspace(root).training_clips()}
    assert len(json.loads((root / "tracks" / "street.json").read_text())["time_s"]) == 36


@pytest.mark.slow
def test_a_folder_is_scored_into_a_folder_and_a_broken_video_does_not_stop_it(
    empty_scene, truth_workspace, cli, tmp_path
):
    import shutil

    root, videos, out = tmp_path / "workspace", tmp_path / "videos", tmp_path / "out"
    shutil.copytree(truth_workspace, root)
    videos.mkdir()
    for name in ("a.mp4", "c.mp4"):
        (videos / name).write_bytes(empty_scene.read_bytes())
    (videos / "b.mp4").write_bytes(b"broken")
    result = cli("score", videos, "--out", out, "--plot", out, "--workspace", root)
    assert result.code == 4
    assert "not used: b" in result.out
    assert sorted(p.name for p in out.iterdir()) == ["a.csv", "a.png", "c.csv", "c.png"]
    assert len(read_csv(out / "a.csv")) == 12


@pytest.mark.slow
def test_tracks_are_made_anew_when_content_or_a_setting_that_matters_changes(
    street_video, empty_scene, cli, tmp_path
):
    video = tmp_path / "clip.mp4"
    video.write_bytes(empty_scene.read_bytes())
    root = tmp_path / "workspace"

    def stamp(*options: object) -> int:
        assert cli("extract", video, "--workspace", root, *options).code == 0
        return (root / "tracks" / "clip.npz").stat().st_mtime_ns

    first = stamp()
    assert stamp() == first
    assert stamp("--set=training.finetune_epochs=3", "--set=cleaning.smooth_s=0.1") == first
    assert stamp("--set=movenet.threads=1", "--set=blazepose.threads=1") == first
    second = stamp("--max-side", 80)
    assert second != first
    video.write_bytes(street_video.read_bytes())
    assert stamp("--max-side", 80) != second


@pytest.mark.slow
def test_extract_killed_at_any_moment_and_restarted_gives_the_same_arrays(street_video, tmp_path):
    """Three kills at random moments; then the arrays equal those of an unbroken run to the byte."""
    videos = tmp_path / "videos"
    videos.mkdir()
    for i in range(2):
        (videos / f"v{i}.mp4").write_bytes(
            street_video.read_bytes() + bytes(i)
        )  # another hash, the same picture

    def start(root):
        command = [sys.executable, "-m", "pipeline.cli", "extract", str(videos), "--workspace", str(root)]
        return subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
        )

    whole = start(tmp_path / "whole")
    begin = time.monotonic()
    assert whole.wait() == 0
    took = time.monotonic() - begin
    rng = np.random.default_rng(int(os.environ.get("GEPC_KILL_SEED", "0")))
    for moment in rng.uniform(0.1, 0.95, 3) * took:
        process = start(tmp_path / "killed")
        time.sleep(moment)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    assert start(tmp_path / "killed").wait() == 0
    for name in ("v0.npz", "v1.npz"):
        a, b = (load_tracks(tmp_path / root / "tracks" / name) for root in ("whole", "killed"))
        assert len(a) > 0
        for field in ("time_s", "frame", "track", "keypoints", "boxes"):
            assert np.asarray(getattr(a, field)).tobytes() == np.asarray(getattr(b, field)).tobytes()
    assert not list((tmp_path / "killed" / "tracks").glob("*.partial"))


def score(cli, workspace, out, *options, clip="normal_2"):
    """The rows that `score` writes for one of the workspace's clips."""
    tracks = workspace / "tracks" / f"{clip}.npz"
    result = cli("score", "--tracks", tracks, "--out", out, "--workspace", workspace, *options)
    assert result.code == 0, result.err
    return read_csv(out)


@pytest.mark.parametrize("by", ["reconstruction", "both", "sum"])
def test_score_by_is_short_for_the_setting(truth_workspace, cli, tmp_path, by):
    usual = score(cli, truth_workspace, tmp_path / "usual.csv")
    short = score(cli, truth_workspace, tmp_path / "short.csv", "--score-by", by)
    long = score(cli, truth_workspace, tmp_path / "long.csv", "--set", f"scoring.by={by}")
    assert short == long
    assert [r["score"] for r in short] != [r["score"] for r in usual]
    assert [r["people"] for r in short] == [r["people"] for r in usual]
    # Held-out normal frames are its scale, of this kind: normal video lies among them.
    low = 0 if by == "sum" else 5  # most of the sum's densities have seen the clip
    assert low < np.mean([float(r["percentile"]) for r in short]) < 95


def test_the_default_goes_from_training_to_explanations(truth_workspace, cli, tmp_path):
    workspace = tmp_path / "workspace"
    shutil.copytree(truth_workspace, workspace)
    by = load_settings("default").scoring
    own = (f"--set=scoring.by={by.by}", f"--set=scoring.tail={by.tail}")
    result = cli("train", "--workspace", workspace, "--fresh", *TINY, *own)
    assert result.code == 0, result.err
    extra = ("--explain", tmp_path / "windows.csv", "--plot", tmp_path / "plot.png")
    rows = score(cli, workspace, tmp_path / "s.csv", *extra)
    assert len({r["score"] for r in rows}) > 10
    assert min(float(r["score"]) for r in rows) >= 0  # a sum of minus logarithms of shares
    assert (tmp_path / "plot.png").stat().st_size > 1000
    assert len(read_csv(tmp_path / "windows.csv")) > 10
    other = ("--set", "scoring.parts=[motion]", "--out", tmp_path / "o.csv")
    result = cli("score", "--workspace", workspace, "--tracks", workspace / "tracks" / "normal_0.npz", *other)
    assert result.code != 0
    assert "train again" in result.err


def test_a_clip_of_a_camera_that_training_has_not_seen_is_said_to_be_one(
    truth_workspace, cli, tmp_path, monkeypatch, caplog
):
    monkeypatch.setattr("anomaly.normality.parts._FEWEST_OF_A_CAMERA", 20)
    workspace = tmp_path / "workspace"
    shutil.copytree(truth_workspace, workspace)
    prefix = "--set=densities.camera=prefix"
    parts = "--set=scoring.parts=[clustering,motion+place]"
    result = cli("train", "--workspace", workspace, "--fresh", *TINY, prefix, parts)
    assert result.code == 0, result.err
    scorer = load_scorer(workspace / "model")
    here = load_tracks(workspace / "tracks" / "normal_2.npz")
    for clip, warned in ((here, False), (replace(here, clip="yard_1"), True)):
        caplog.clear()
        assert len(list(score_chunks(scorer, clip)))
        assert ("camera 'yard'" in caplog.text) == warned


def test_scores_are_of_the_kind_that_the_model_was_trained_for(truth_workspace, cli, tmp_path):
    usual = score(cli, truth_workspace, tmp_path / "usual.csv")
    assert usual == score(cli, truth_workspace, tmp_path / "named.csv", "--score-by", "clustering")


def test_explanations_name_the_parts_of_the_sum_that_say_most(truth_workspace, cli, tmp_path):
    score(
        cli, truth_workspace, tmp_path / "s.csv", "--explain", tmp_path / "windows.csv", "--score-by", "sum"
    )
    rows = read_csv(tmp_path / "windows.csv")
    for row in rows:
        assert len({row[f"part{i}"] for i in (1, 2, 3)}) == 3
        assert {row[f"part{i}"] for i in (1, 2, 3)} <= set(load_settings("default").scoring.parts)
        shares = [float(row[f"part_percentile{i}"]) for i in (1, 2, 3)]
        assert 100 >= shares[0] >= shares[1] >= shares[2] >= 0
    most, least = (pick(rows, key=lambda row: float(row["score"])) for pick in (max, min))
    assert float(most["part_percentile1"]) > float(least["part_percentile1"])


def test_online_scores_of_a_command_know_nothing_of_the_future(truth_workspace, cli, tmp_path):
    settings = ("--set", "scoring.frames=online")
    whole = score(cli, truth_workspace, tmp_path / "online.csv", *settings)
    assert whole != score(cli, truth_workspace, tmp_path / "backtracked.csv")
    assert len(whole) == 192


def test_explanations_have_a_row_for_every_window_of_every_person(truth_workspace, cli, tmp_path):
    from pipeline.scoring.window_table import WINDOW_COLUMNS

    table, people = tmp_path / "windows.csv", tmp_path / "people.csv"
    by = ("--score-by", "reconstruction", "--set", "scoring.frames=online")
    score(cli, truth_workspace, tmp_path / "s.csv", "--explain", table, "--people", people, *by)
    rows = read_csv(table)
    assert list(rows[0]) == list(WINDOW_COLUMNS)
    assert tuple(WINDOW_COLUMNS)[:8] == (
        "track_id", "first_frame", "last_frame", "start_s", "end_s", "score", "percentile", "component",
    )  # fmt: skip
    joints = load_scorer(truth_workspace / "model").model.settings.windows.body.joints
    for row in rows:
        assert int(row["last_frame"]) - int(row["first_frame"]) == 11  # 12 frames at the video's own rate
        assert 1 <= int(row["component"]) <= 3
        words, weights = ([float(row[f"{name}{i}"]) for i in (1, 2, 3)] for name in ("word", "weight"))
        assert len(set(words)) == 3
        assert set(words) <= {1, 2, 3, 4}
        assert 1.001 >= sum(weights) > 0
        assert weights == sorted(weights, reverse=True)
        shares = [float(row[f"share{i}"]) for i in (1, 2, 3)]
        assert shares == sorted(shares, reverse=True)
        assert 3 / 18 - 1e-3 <= sum(shares) <= 1
        assert {row[f"joint{i}"] for i in (1, 2, 3)} <= set(joints)
        assert row["part1"] == row["part_percentile3"] == ""  # of scores by the sum only
    assert len({(row["track_id"], row["first_frame"]) for row in rows}) == len(rows)
    # Online, a person's score in a frame is that of the window that ends there.
    persons = {(p["frame"], p["track_id"]): p for p in read_csv(people) if p["score"]}
    windows = {(row["last_frame"], row["track_id"]): row for row in rows}
    assert windows.keys() <= persons.keys()
    assert 2 * len(windows) >= len(persons)  # every second frame ends one
    for key, window in windows.items():
        assert persons[key]["score"] == window["score"]
        assert persons[key]["percentile"] == window["percentile"]


@pytest.mark.parametrize("stride", [1, 5])
def test_explanations_in_parts_are_those_of_the_whole(truth_workspace, tmp_path, monkeypatch, stride):

    from pipeline.scoring import tables as module

    scorer = load_scorer(truth_workspace / "model", ["scoring.smoothing_s=0.2"])
    settings = scorer.model.settings
    strided = replace(settings, windows=replace(settings.windows, score_stride=stride))
    scorer = replace(scorer, model=replace(scorer.model, settings=strided))
    tracks = load_tracks(truth_workspace / "tracks" / "normal_2.npz")
    tables = []
    original = module.score_chunks
    for chunk in (10**9, 37):
        monkeypatch.setattr(module, "score_chunks", lambda s, t, chunk=chunk: original(s, t, chunk))
        path = tmp_path / f"{chunk}.csv"
        module.score_tracks(scorer, tracks, tmp_path / "s.csv", explain=path, quiet=True)
        tables.append({(r["track_id"], r["first_frame"], r["last_frame"]): r for r in read_csv(path)})
    whole, parts = tables
    assert len(whole) > 20
    assert whole.keys() == parts.keys()
    for key, row in whole.items():
        for name in ("start_s", "end_s", "word1", "joint1"):
            assert row[name] == parts[key][name]
        for name in ("score", "weight1", "share1"):
            assert float(parts[key][name]) == pytest.approx(float(row[name]), rel=1e-3, abs=2e-4)


def test_explanations_of_several_videos_go_into_a_folder(tmp_path):
    from pathlib import Path

    from pipeline.outputs import Outputs
    from pose_extract.errors import OutputError

    files = Outputs(Path("s"), people=Path("s"), explain=Path("s")).in_folder_for("clip")
    assert [files.scores, files.people, files.explain] == [
        Path("s/clip.csv"), Path("s/clip.people.csv"), Path("s/clip.windows.csv"),
    ]  # fmt: skip
    with pytest.raises(OutputError):
        Outputs(Path("a.csv"), explain=Path("a.csv")).check()


def test_an_interrupted_table_of_windows_is_absent(truth_workspace, tmp_path, monkeypatch):
    from pipeline.scoring import tables as module

    def fail(*args):
        raise RuntimeError("stopped in the middle")

    monkeypatch.setattr(module, "write_windows", fail)
    scorer = load_scorer(truth_workspace / "model")
    tracks = load_tracks(truth_workspace / "tracks" / "normal_2.npz")
    with pytest.raises(RuntimeError, match="in the middle"):
        module.score_tracks(scorer, tracks, tmp_path / "s.csv", explain=tmp_path / "windows.csv", quiet=True)
    assert list(tmp_path.iterdir()) == []


def test_words_are_a_picture_of_what_the_model_takes_for_normal(truth_workspace, cli, tmp_path):
    out = tmp_path / "words.png"
    result = cli("words", "--workspace", truth_workspace, "--out", out)
    assert result.code == 0, result.err
    assert out.read_bytes()[:4] == b"\x89PNG"
    assert "of 4 action words" in result.out
    assert str(out) in result.out
    missing = cli("words", "--workspace", tmp_path / "nothing")
    assert missing.code != 0
    assert "gepc-pipeline train" in missing.err


def test_a_model_that_cannot_reconstruct_says_so_before_anything_is_scored(truth_workspace, monkeypatch):
    from pose_extract.errors import ModelError

    scorer = load_scorer(truth_workspace / "model", ["scoring.by=both"])
    assert scorer.settings.scoring.by == "both"
    monkeypatch.setattr(type(scorer.model), "can_reconstruct", False)
    with pytest.raises(ModelError, match="cannot reconstruct; use clustering"):
        load_scorer(truth_workspace / "model", ["scoring.by=both"])
    assert load_scorer(truth_workspace / "model").settings.scoring.by == "clustering"
