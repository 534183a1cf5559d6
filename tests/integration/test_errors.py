"""Whatever goes wrong, a user gets one clear message and an exit code, never a traceback, and keeps what was done."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys

import numpy as np
import pytest

from pipeline.workspace import Workspace
from tests.helpers.commands import TINY


@pytest.fixture
def workspace(tmp_path):
    return tmp_path / "workspace"


@pytest.fixture
def trained(truth_workspace, workspace):
    """A copy of the trained workspace that a test may damage."""
    shutil.copytree(truth_workspace, workspace)
    return workspace


def test_train_with_nothing_extracted_says_what_to_run_first(cli, workspace):
    result = cli("train", "--workspace", workspace)
    assert result.code == 8
    assert f"First run: gepc-pipeline extract VIDEOS --workspace {workspace}" in result.err


def test_score_without_a_model_says_what_to_run_first(cli, workspace, street_video):
    result = cli("score", street_video, "--out", "x.csv", "--workspace", workspace)
    assert result.code == 7
    assert "gepc-pipeline train" in result.err


def test_info_without_a_workspace_says_how_to_make_one(cli, workspace):
    result = cli("info", "--workspace", workspace)
    assert result.code == 2
    assert "gepc-pipeline extract" in result.err


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["extract", "v.mp4", "--set", "video.maxside=3"], 3, "did you mean 'max_side'"),
        (["extract", "v.mp4", "--config", "nosuch"], 3, "no config 'nosuch'"),
        (["extract", "v.mp4", "--pose", "openpose"], 3, "blazepose"),
        (["extract", "v.mp4", "--fps", "0"], 3, "video.fps"),
        (["extract", "nowhere/"], 4, "nowhere"),
        (["extract", "*.nothing"], 4, "nothing"),
        (["train", "--set", "clustering.clusters=many"], 3, "clustering.clusters: expected int, got 'many'"),
        (["score", "--out", "x.csv"], 2, "expected either a video"),
        (["score", "v.mp4", "--tracks", "t.npz", "--out", "x.csv"], 2, "expected either a video"),
        (
            ["score", "--tracks", "t.npz", "--out", "x.csv", "--overlay", "o.mp4"],
            2,
            "--overlay needs the video",
        ),
    ],
)
def test_a_wrong_argument_is_named(cli, workspace, arguments, code, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = cli(*arguments, "--workspace", workspace)
    assert result.code == code
    assert message in result.err


@pytest.mark.parametrize("kind", ["missing", "empty", "text", "audio only"])
def test_a_video_that_cannot_be_used_is_an_error_that_names_it(cli, workspace, kind, tmp_path, make_video):
    path = tmp_path / "bad.mp4"
    if kind == "empty":
        path.touch()
    elif kind == "text":
        path.write_text("this is not a video\n" * 100)
    elif kind == "audio only":
        from tests.helpers.videos import run_ffmpeg

        run_ffmpeg("-f", "lavfi", "-i", "sine=duration=1", "-c:a", "aac", path)
    result = cli("extract", path, "--workspace", workspace)
    assert result.code == 4
    assert "bad.mp4" in result.err + result.out


@pytest.mark.slow
def test_a_video_damaged_in_the_middle_is_used_and_the_damage_reported_with_its_time(
    cli, workspace, tmp_path, ten_seconds, caplog
):
    content = bytearray((ten_seconds / "a.ts").read_bytes())
    middle = len(content) // 2
    content[middle : middle + 20_000] = bytes(20_000)
    path = tmp_path / "damaged.ts"
    path.write_bytes(content)
    assert cli("extract", path, "--workspace", workspace, "--set=video.max_side=64").code == 0
    (entry,) = Workspace(workspace).entries()
    assert 150 <= entry.frames <= 250
    assert entry.damage
    minutes, seconds = entry.damage[0].split(": ")[0].split(":")
    assert int(minutes) == 0
    assert 2 <= int(seconds) <= 8
    assert "its readable frames are used" in caplog.text
    assert f"damaged at {entry.damage[0]}" in cli("info", "--workspace", workspace).out.replace("\n", "")


@pytest.mark.slow
def test_a_broken_video_in_a_folder_is_reported_and_the_rest_goes_on(cli, workspace, tmp_path, empty_scene):
    folder = tmp_path / "videos"
    folder.mkdir()
    (folder / "a_broken.mp4").write_bytes(b"\x00" * 1000)
    shutil.copy(empty_scene, folder / "good.mp4")
    (folder / "z_empty.mp4").touch()
    result = cli("extract", folder, "--workspace", workspace)
    assert result.code == 4
    assert "1 of 3 videos done" in result.out
    assert "not used: a_broken" in result.out
    assert "not used: z_empty" in result.out
    assert [e.clip for e in Workspace(workspace).entries()] == ["good"]


@pytest.mark.slow
def test_a_video_of_nobody_is_extracted_and_scored_at_the_floor(cli, trained, tmp_path, empty_scene):
    result = cli("extract", empty_scene, "--workspace", workspace_of(trained, "nobody"))
    assert result.code == 0
    assert "nobody was found in empty" in result.out
    out = tmp_path / "scores.csv"
    assert cli("score", empty_scene, "--out", out, "--workspace", trained).code == 0
    table = np.genfromtxt(out, delimiter=",", names=True)
    assert len(table) == 12
    assert np.all(table["people"] == 0)
    assert np.all(table["alarm"] == 0)
    assert len(np.unique(table["score"])) == 1
    assert np.all(table["percentile"] < 50)


def workspace_of(root, name):
    return root.parent / name


def test_training_on_videos_of_nobody_says_how_much_is_needed(cli, workspace, truth_workspace):
    from pipeline.synthetic.clips import simulate_clip
    from pipeline.synthetic.street.scene import StreetSettings
    from tests.helpers.commands import add_street_clip

    add_street_clip(Workspace(workspace), simulate_clip("short", 0, StreetSettings(seconds=0.6)))
    result = cli("train", "--workspace", workspace)
    assert result.code == 8
    assert "too little to train on" in result.err
    assert not (workspace / "model").exists()


def test_a_failed_training_keeps_the_old_model(cli, trained):
    before = (trained / "model" / "card.json").read_bytes()
    for clip in ("normal_0", "normal_1", "normal_2"):
        (trained / "tracks" / f"{clip}.npz").unlink()
    assert cli("train", "--workspace", trained, *TINY).code == 8
    assert (trained / "model" / "card.json").read_bytes() == before


@pytest.mark.parametrize("name", ["weights.safetensors", "normality.npz", "config.yaml", "card.json"])
@pytest.mark.parametrize("damage", ["missing", "empty", "cut", "garbage"])
def test_a_damaged_model_is_a_clear_error(cli, trained, name, damage, tmp_path):
    path = trained / "model" / name
    content = path.read_bytes()
    if damage == "missing":
        path.unlink()
    else:
        path.write_bytes(
            {"empty": b"", "cut": content[: len(content) // 2], "garbage": b"\x93garbage" * 99}[damage]
        )
    tracks = trained / "tracks" / "normal_0.npz"
    result = cli("score", "--tracks", tracks, "--out", tmp_path / "x.csv", "--workspace", trained)
    assert result.code == 7
    assert "train" in result.err
    assert not (tmp_path / "x.csv").exists()


def test_a_model_of_another_version_is_named(cli, trained, tmp_path):
    path = trained / "model" / "card.json"
    card = json.loads(path.read_text())
    path.write_text(json.dumps({**card, "version": 99}))
    tracks = trained / "tracks" / "normal_0.npz"
    result = cli("score", "--tracks", tracks, "--out", tmp_path / "x.csv", "--workspace", trained)
    assert result.code == 7
    assert "version 99" in result.err


def test_a_setting_that_the_model_has_learned_cannot_be_changed_afterwards(cli, trained, tmp_path):
    tracks = trained / "tracks" / "normal_0.npz"
    result = cli(
        "score",
        "--tracks",
        tracks,
        "--out",
        tmp_path / "x.csv",
        "--workspace",
        trained,
        "--set=windows.frames=24",
    )
    assert result.code == 3
    assert "windows.frames" in result.err


def test_tracks_that_nobody_should_trust_are_refused(cli, trained, tmp_path):
    path = tmp_path / "evil.npz"
    np.savez(path, header=np.array([{"a": 1}], dtype=object), allow_pickle=True)
    result = cli("score", "--tracks", path, "--out", tmp_path / "x.csv", "--workspace", trained)
    assert result.code == 5
    assert "evil.npz" in result.err


def test_an_output_may_not_overwrite_the_video(cli, trained, street_video, tmp_path):
    video = tmp_path / "v.mp4"
    shutil.copy(street_video, video)
    result = cli("score", video, "--out", tmp_path / "x.csv", "--overlay", video, "--workspace", trained)
    assert result.code == 9
    assert video.read_bytes() == street_video.read_bytes()


def test_an_output_that_is_a_folder_is_named(cli, trained, tmp_path):
    tracks = trained / "tracks" / "normal_0.npz"
    result = cli("score", "--tracks", tracks, "--out", tmp_path, "--workspace", trained)
    assert result.code == 9
    assert str(tmp_path) in result.err


def test_a_device_that_is_not_there_is_named(cli, trained, tmp_path):
    tracks = trained / "tracks" / "normal_0.npz"
    result = cli(
        "score", "--tracks", tracks, "--out", tmp_path / "x.csv", "--workspace", trained, "--device", "tpu"
    )
    assert result.code == 2
    assert "tpu" in result.err


@pytest.fixture
def small_disk(tmp_path):
    """A folder on a disk of 32 KiB."""
    folder = tmp_path / "small"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=32k", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True).returncode != 0:
        pytest.skip("needs the right to mount a small file system")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def test_a_full_disk_is_said_and_the_half_written_file_removed(cli, trained, small_disk):
    tracks = trained / "tracks" / "normal_0.npz"
    out, people = small_disk / "scores.csv", small_disk / "people.csv"
    result = cli("score", "--tracks", tracks, "--out", out, "--people", people, "--workspace", trained)
    assert result.code == 9
    assert "disk is full" in result.err
    assert not people.exists()
    assert list(small_disk.glob(".*partial")) == []


def test_a_model_that_does_not_fit_on_the_disk_is_said(cli, truth_workspace, small_disk):
    (small_disk / "tracks").symlink_to(truth_workspace / "tracks")
    result = cli("train", "--workspace", small_disk, *TINY)
    assert result.code == 9
    assert "space" in result.err
    assert not (small_disk / "model").exists()


def test_a_closed_pipe_is_no_error_message(truth_workspace):
    command = f"{sys.executable} -m pipeline.cli info --workspace {truth_workspace} --json | head -c 10"
    done = subprocess.run(command, shell=True, capture_output=True, text=True)
    assert "Traceback" not in done.stderr
    assert done.stdout
