"""Several videos at a time, each in a process of its own: the same results, and one that dies stops no other."""

import json

import numpy as np
import pytest

from pose_extract.video import VideoWriter
from tests.helpers.scarecrow import install, install_estimators

CLUMSY = """
import os, signal
from scarecrow_poses import Scarecrow


class Clumsy(Scarecrow):
    name = "clumsy"

    def start(self, fps, frame_size):
        if frame_size == (66, 120):
            os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture
def recordings(tmp_path, monkeypatch):
    """Four videos, of which the third cannot be read."""
    install(tmp_path / "site")
    install_estimators(tmp_path / "site", "clumsy_poses", CLUMSY, clumsy="Clumsy")
    monkeypatch.syspath_prepend(tmp_path / "site")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "site"))
    rng = np.random.default_rng(0)
    folder = tmp_path / "videos"
    folder.mkdir()
    for name, width in (("cam0", 64), ("cam1", 66), ("cam3", 64)):
        with VideoWriter(folder / f"{name}.mp4", 24, (width, 120)) as writer:
            for _ in range(20):
                writer.write(rng.integers(90, 130, (120, width, 3), np.uint8))
    (folder / "cam2.mp4").write_bytes(b"no video")
    return folder


def extract(cli, workspace, folder, jobs, pose="scarecrow"):
    return cli(
        "extract", folder, "--pose", pose, "--json", "--workspace", workspace, "--jobs", jobs, "--quiet"
    )


def test_tracks_do_not_depend_on_how_many_are_made_at_a_time(cli, tmp_path, recordings):
    found = {}
    for jobs in (1, 2):
        workspace = tmp_path / f"by_{jobs}"
        result = extract(cli, workspace, recordings, jobs)
        assert result.code == 4
        assert "3 of 4 videos done" in result.out
        assert "not used: cam2" in result.out
        made = [path for path in (workspace / "tracks").iterdir() if path.suffix in (".npz", ".json")]
        files = {path.name: path.read_bytes() for path in made}
        assert len(files) == 7
        found[jobs] = files, result.out.replace(f"by_{jobs}", "").partition(" of video in ")[0]
    assert found[1] == found[2]
    assert extract(cli, tmp_path / "by_2", recordings, 2).out.startswith(
        "3 of 4 videos done (3 were done before)"
    )


def test_a_process_that_dies_twice_costs_its_video_and_no_other(cli, tmp_path, recordings, caplog):
    result = extract(cli, tmp_path / "workspace", recordings, 2, "clumsy")
    assert result.code == 4
    assert "2 of 4 videos done" in result.out
    assert "not used: cam1" in result.out
    assert "killed by signal 9" in result.out
    assert "tried once more" in caplog.text
    listed = json.loads((tmp_path / "workspace" / "tracks" / "manifest.json").read_text())["clips"]
    assert sorted(listed) == ["cam0", "cam3"]


def test_scores_do_not_depend_on_how_many_are_made_at_a_time(cli, tmp_path, recordings, truth_workspace):
    found = {}
    for jobs in (1, 2):
        out = tmp_path / f"scores_{jobs}"
        result = cli(
            "score", recordings, "--out", out, "--people", out, "--events", out, "--model", truth_workspace / "model",
            "--workspace", tmp_path / f"by_{jobs}", "--set", "pose.estimator=scarecrow", "--jobs", jobs, "--quiet",
        )  # fmt: skip
        assert result.code == 4, result.err
        printed = result.out.replace(f"scores_{jobs}", "")
        found[jobs] = {path.name: path.read_bytes() for path in out.iterdir()}, printed
    assert len(found[1][0]) == 3 * 5
    assert found[1] == found[2]


def test_a_number_of_jobs_that_is_none_is_refused(cli, tmp_path, recordings):
    result = extract(cli, tmp_path / "workspace", recordings, 0)
    assert result.code == 2
    assert "--jobs: expected a number from 1 to 1024, got 0" in result.err
