"""Where a command's outputs go: never over what it reads, and directly where that is no file."""

import hashlib
import os
import shutil
from dataclasses import replace

import numpy as np
import pytest

from pose_extract.tracks.cache import load_tracks, save_tracks


def digest(folder):
    """Every file below a folder with its content."""
    return {
        p.relative_to(folder): hashlib.sha256(p.read_bytes()).hexdigest()
        for p in folder.rglob("*")
        if p.is_file()
    }


@pytest.fixture
def workspace(truth_workspace, tmp_path):
    """A workspace to change, with marks and labels beside it."""
    copy = tmp_path / "workspace"
    shutil.copytree(truth_workspace, copy)
    (copy / "marks.json").write_text("{}")
    return copy


@pytest.mark.parametrize("option", ["--out", "--people", "--explain", "--events", "--plot"])
@pytest.mark.parametrize(
    "read",
    ["tracks/normal_0.npz", "tracks/normal_1.npz", "tracks/manifest.json", "marks.json", "model/card.json",
     "model/new.csv"],
)  # fmt: skip
def test_score_never_writes_over_what_it_reads(cli, workspace, tmp_path, option, read):
    before = digest(workspace)
    given = workspace / read
    tracks = workspace / "tracks" / "normal_0.npz"
    if option in ("--events", "--plot"):  # whose names must end right: a link does
        link = tmp_path / ("link.json" if option == "--events" else "link.png")
        link.symlink_to(given)
        given = link
    rest = [] if option == "--out" else ["--out", tmp_path / "scores.csv"]
    result = cli("score", "--tracks", tracks, option, given, *rest, "--workspace", workspace, "--quiet")
    assert result.code == 9, result.err
    assert digest(workspace) == before
    assert not (tmp_path / "scores.csv").exists()


def test_scores_go_to_standard_output_alone(cli, workspace, tmp_path):
    tracks = workspace / "tracks" / "normal_0.npz"
    common = ("--tracks", tracks, "--workspace", workspace, "--quiet")
    assert cli("score", *common, "--out", tmp_path / "scores.csv").code == 0
    result = cli("score", *common, "--out", "-")
    assert result.code == 0
    assert result.out == (tmp_path / "scores.csv").read_bytes().decode()
    assert "normal_0: 192 frames" in result.err


def test_scores_through_a_link_replace_its_target(cli, workspace, tmp_path):
    target, link = tmp_path / "real.csv", tmp_path / "link.csv"
    target.write_text("old")
    link.symlink_to(target)
    tracks = workspace / "tracks" / "normal_0.npz"
    assert cli("score", "--tracks", tracks, "--out", link, "--workspace", workspace, "--quiet").code == 0
    assert link.is_symlink()
    assert target.read_text().startswith("frame,time_s,score")


def test_export_never_writes_over_the_tracks_that_it_reads(cli, workspace):
    before = digest(workspace)
    tracks = workspace / "tracks" / "normal_0.npz"
    for out in (tracks, workspace / "tracks"):
        assert cli("export", "gepc", out, "--tracks", tracks, "--workspace", workspace).code == 9
    assert digest(workspace) == before
    assert sorted(os.listdir(workspace)) == ["marks.json", "model", "tracks", "training"]


def test_scores_do_not_take_the_place_of_the_video_that_the_tracks_are_of(cli, workspace, tmp_path):
    video, path = tmp_path / "hall.mp4", tmp_path / "hall.npz"
    video.write_text("a video")
    tracks = load_tracks(workspace / "tracks" / "normal_0.npz")
    arrays = {
        name: np.array(getattr(tracks, name)) for name in ("time_s", "frame", "track", "keypoints", "boxes")
    }
    save_tracks(path, replace(tracks, **arrays, provenance={**tracks.provenance, "source": str(video)}))
    result = cli("score", "--tracks", path, "--workspace", workspace, "--out", video)
    assert (result.code, video.read_text()) == (9, "a video")


def test_nothing_is_written_into_a_model_or_over_what_the_workspace_keeps(cli, workspace, tmp_path):
    before = digest(workspace)
    elsewhere = tmp_path / "a.npz"
    shutil.copy(workspace / "tracks" / "normal_0.npz", elsewhere)
    for out in ("marks.json", "model/card.json", "model", "model/new"):
        result = cli("export", "coco", workspace / out, "--tracks", elsewhere, "--workspace", workspace)
        assert result.code == 9, result.err
    assert cli("import", "gepc", elsewhere, "--workspace", workspace / "model").code == 9
    assert digest(workspace) == before


def test_alarms_have_an_exit_code_on_request(cli, workspace, tmp_path):
    common = ("score", "--tracks", workspace / "tracks" / "normal_0.npz", "--workspace", workspace, "--quiet")
    often = (*common, "--out", tmp_path / "scores.csv", "--set=calibration.false_alarm_rate=0.9")
    assert cli(*often, "--exit-code").code == 13
    assert ",1," in (tmp_path / "scores.csv").read_text()
    assert cli(*often).code == 0


def test_the_commands_print_what_is_in_no_score_and_what_training_has_not_seen(
    truth_workspace, cli, tmp_path, caplog
):
    tracks = load_tracks(truth_workspace / "tracks" / "normal_0.npz")
    some = (tracks.track != tracks.track[0]) | (tracks.frame - tracks.frame[0] < 5)  # one is seen too shortly
    rows = {name: np.array(getattr(tracks, name)[some]) for name in ("frame", "track", "keypoints", "boxes")}
    path = tmp_path / "odd.npz"
    save_tracks(path, replace(tracks, **rows, time_s=np.array(tracks.time_s), frame_size=(4000, 360)))
    for command, source, out in (("score", ("--tracks", path), "scores.csv"), ("report", (path,), "page")):
        done = cli(command, *source, "--workspace", truth_workspace, "--out", tmp_path / out)
        assert done.code == 0, done.err
        assert (
            f"of {some.sum()} sightings (a person in a frame) were too brief or unclear to judge" in done.out
        )
        assert "its frames are 4000x360 pixels" in caplog.text + done.err
        caplog.clear()
