"""Several videos at a time, each in a process of its own: the same results, and one that dies stops no other."""

import json

import numpy as np
import pytest

from pipeline.extraction.run import find_all_sources
from pipeline.workspace import Workspace
from pose_extract.errors import UsageError
from pose_extract.formats.base import export_clips
from pose_extract.tracks.cache import load_tracks
from pose_extract.video import VideoWriter
from tests.helpers.scarecrow import install, install_estimators
from tests.helpers.two_walkers import walkers

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
        "extract", folder, "--pose", pose, "--write-json", "--workspace", workspace, "--jobs", jobs, "--quiet"
    )


def test_tracks_do_not_depend_on_how_many_are_made_at_a_time(cli, tmp_path, recordings, monkeypatch):
    found = {}
    for jobs in (1, 2):
        if jobs == 2:  # then only the workers, which this does not reach, load the networks
            monkeypatch.setattr("pipeline.extraction.spread.create_estimator", None)
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
        out, page = tmp_path / f"scores_{jobs}", tmp_path / f"page_{jobs}"
        result = cli(
            "score", recordings, "--out", out, "--people", out, "--events", out, "--report", page, "--jobs", jobs,
            "--model", truth_workspace / "model", "--workspace", tmp_path / f"by_{jobs}",
            "--set", "pose.estimator=scarecrow", "--quiet",
        )  # fmt: skip
        assert result.code == 4, result.err
        files = [*out.iterdir(), *(page / "data").glob("*/*")]
        printed = (
            result.out.replace(f"scores_{jobs}", "").replace(f"page_{jobs}", "").replace(f"by_{jobs}", "")
        )
        named = {f"{path.parent.name.removesuffix(f'_{jobs}')}/{path.name}": path for path in files}
        found[jobs] = {name: path.read_bytes() for name, path in named.items()}, printed
        assert len(list(out.iterdir())) == 3 * 5 + 1  # and the events of all
        assert len(list((page / "data").glob("*/clip.js"))) == 3
    assert found[1] == found[2]
    for jobs in (1, 2):  # and `report` makes the same page
        again = tmp_path / f"report_{jobs}"
        result = cli(
            "report", recordings, "--out", again, "--jobs", jobs, "--model", truth_workspace / "model",
            "--workspace", tmp_path / "by_2", "--set", "pose.estimator=scarecrow", "--quiet",
        )  # fmt: skip
        assert result.code == 4, result.err
        assert "not used: cam2" in result.out
        files = {
            f"{path.parent.name}/{path.name}": path.read_bytes() for path in (again / "data").glob("*/*")
        }
        assert len(files) > 3
        assert files.items() <= found[1][0].items()


def test_a_number_of_jobs_that_is_none_is_refused(cli, tmp_path, recordings, capfd):
    with pytest.raises(SystemExit, match="2"):
        extract(cli, tmp_path / "workspace", recordings, 0)
    assert "argument --jobs: expected a whole number of 1 to 1024, got '0'" in capfd.readouterr().err


def test_scores_of_a_worker_elsewhere_go_to_no_standard_output_of_this_one(cli, tmp_path, recordings):
    for option in ("--out", "--people"):
        outputs = {"--out": tmp_path / "scores.csv"} | {option: "-"}
        words = [word for pair in outputs.items() for word in pair]
        result = cli("score", recordings / "cam0.mp4", *words, "--ray", "--workspace", tmp_path / "w")
        assert result.code == 2
        assert "to standard output: with --ray it would be a worker's" in result.err


def test_imports_do_not_depend_on_how_many_files_are_read_at_a_time(cli, tmp_path):
    folder = tmp_path / "in"
    for place, seed in (("a", 0), ("b", 1)):  # clips of one name
        export_clips("alphapose", [walkers("01_0001", seed=seed), walkers(f"02_{place}")], folder / place)
    (folder / "a" / "03_alphapose_tracked_person.json").write_text("{")
    found = {}
    for jobs in (1, 2):
        workspace = tmp_path / f"by_{jobs}"
        options = (
            "--fps",
            "24",
            "--frame-size",
            "640x360",
            "--workspace",
            workspace,
            "--jobs",
            jobs,
            "--quiet",
        )
        result = cli("import", "alphapose", folder, *options)
        assert result.code == 11
        printed = result.out.replace(f"by_{jobs}", "").replace(result.out.splitlines()[0], "")
        found[jobs] = {path.name: path.read_bytes() for path in (workspace / "tracks").iterdir()}, printed
    assert len([name for name in found[1][0] if name.endswith(".npz")]) == 4
    assert found[1] == found[2]
    again = cli("import", "alphapose", folder, *options)
    assert "0 clips imported, 4 were there before" in again.out
    (tmp_path / "bad").mkdir()
    for name in "xy":
        (tmp_path / "bad" / f"{name}_alphapose_tracked_person.json").write_text("{")
    nothing = cli(
        "import", "alphapose", tmp_path / "bad", *options[:4], "--workspace", tmp_path / "w", "--jobs", 2
    )
    assert nothing.code == 11
    assert not (tmp_path / "w").exists()


@pytest.mark.slow
def test_a_ray_cluster_makes_the_same_tracks(cli, tmp_path, recordings):
    ray = pytest.importorskip("ray")
    found = {}
    ray.init(address="local", num_cpus=2, include_dashboard=False, log_to_driver=False)
    try:
        for how in (("--jobs", 1), ("--jobs", 2, "--ray"), ("--ray", "--ray-apart")):
            workspace = tmp_path / how[-1] if "--ray" in how else tmp_path / "here"
            result = cli("extract", recordings, "--pose", "scarecrow", "--workspace", workspace, *how)
            assert result.code == 4, result.err
            assert "not used: cam2" in result.out
            assert "3 of 4 videos done (0 were done before)" in result.out
            tracks = sorted((workspace / "tracks").glob("*.npz"))
            found[how] = {path.name: path.read_bytes() for path in tracks}
        by_address = cli(
            "extract",
            f"file://{recordings}",
            "--pose",
            "scarecrow",
            "--workspace",
            tmp_path / "far",
            "--ray",
            "--ray-apart",
        )
        assert "3 of 4 videos done (0 were done before)" in by_address.out
        (entry, *_) = Workspace(tmp_path / "far").entries()
        assert entry.source == f"file://{recordings}/cam0.mp4"
    finally:
        ray.shutdown()
    one, other, apart = found.values()
    assert len(one) == 3
    assert one == other == apart


def test_videos_by_address_are_extracted_and_known_again_without_being_fetched(
    cli, tmp_path, recordings, monkeypatch
):
    fsspec = pytest.importorskip("fsspec")
    here = tmp_path / "here"
    assert extract(cli, here, recordings / "cam0.mp4", 1).code == 0
    system, far = fsspec.filesystem("memory"), tmp_path / "far"
    system.pipe("/shop/cam0.mp4", (recordings / "cam0.mp4").read_bytes())
    try:
        first = cli("extract", "memory://shop/", "--pose", "scarecrow", "--workspace", far, "--quiet")
        assert "1 of 1 videos done (0 were done before)" in first.out
        one, other = (load_tracks(place / "tracks" / "cam0.npz") for place in (here, far))
        np.testing.assert_array_equal(one.keypoints, other.keypoints)
        assert other.provenance["source"] == "memory:///shop/cam0.mp4"
        monkeypatch.setattr(type(system), "get_file", lambda *_: pytest.fail("fetched again"))
        with pytest.raises(UsageError, match="only extract and score take addresses"):
            find_all_sources(["memory://shop/"])
        again = cli("extract", "memory://shop/*.mp4", "--pose", "scarecrow", "--workspace", far, "--quiet")
        assert "1 of 1 videos done (1 were done before)" in again.out
    finally:
        system.rm("/shop", recursive=True)
