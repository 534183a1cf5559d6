"""Jobs done on a Ray cluster of several nodes, which may die, fail, or be taken away."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from pipeline.workers import Brought, Cluster, side_by_side
from pose_extract.devices import processors
from pose_extract.errors import GepcError, MemoryShortError, UsageError, VideoError
from pose_extract.video import VideoWriter
from tests.helpers import ROOT
from tests.helpers.scarecrow import install, install_estimators
from tests.helpers.working import done, dying, only_one_fits, refusing

ray = pytest.importorskip("ray")
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]


@contextmanager
def squaring(folder, tell):
    """Squares numbers; files in ``folder`` say which of them kill it, and which take long."""
    import logging

    logging.getLogger("pipeline").warning("a worker begins")

    def work(job):
        if job < 0:
            raise VideoError(f"{job} is below zero")
        fatal = folder / str(job)
        if fatal.exists():
            if fatal.read_text() == "once":
                fatal.unlink()
            if fatal.exists() and fatal.read_text() == "slow":
                fatal.unlink()
                (folder / f"{job}.at").write_text(ray.get_runtime_context().get_node_id())
                time.sleep(600)
            os.kill(os.getpid(), signal.SIGKILL)
        time.sleep(0.2)
        tell(job)
        return job * job, processors(), os.getcwd()

    yield work


SLOW = """
import time
from scarecrow_poses import Scarecrow


class Slow(Scarecrow):
    name = "slow"

    def estimate(self, frames):
        time.sleep(0.2)
        return super().estimate(frames)
"""


@contextmanager
def filing(folder, tell):
    """Hands a file of its own over: as many pieces as the job says, or none."""

    def work(job):
        path = folder / f"own_{job}"
        path.write_bytes(bytes([job]) * (job * (8 << 20) + 5))
        return Brought(job, None if job == 0 else str(path))

    yield work


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """Where estimators are installed that the nodes know."""
    folder = tmp_path_factory.mktemp("site")
    install(folder)
    install_estimators(folder, "slow_poses", SLOW, slow="Slow")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", os.pathsep.join([str(folder), str(ROOT)]))
        yield folder


@pytest.fixture(scope="module")
def nodes(site):
    """A cluster of a head, where nobody works, and three nodes of one processor each."""
    from ray.cluster_utils import Cluster as Nodes

    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    found = Nodes(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
    for _ in range(3):
        found.add_node(num_cpus=1)
    found.wait_for_nodes()
    yield found
    ray.shutdown()
    found.shutdown()


def test_every_job_is_done_once_and_what_workers_say_is_heard(nodes, tmp_path, caplog):
    told = []
    found = done(partial(squaring, tmp_path), range(12), Cluster(nodes.address, 3), told=told.append)
    assert {job: one.result for job, one in found.items()} == {n: (n * n, 1, os.getcwd()) for n in range(12)}
    assert set(told) <= set(range(12))
    assert "a worker begins" in caplog.text


def test_a_worker_that_is_killed_costs_its_job_one_more_try(nodes, tmp_path):
    (tmp_path / "2").write_text("once")
    (tmp_path / "4").write_text("always")
    found = done(partial(squaring, tmp_path), range(6), Cluster(nodes.address, 2))
    assert {job for job, one in found.items() if one.result is None} == {4}
    assert found[2].result[0] == 4
    assert "ended" in found[4].lost


def test_where_the_others_cannot_begin_one_worker_does_all(nodes, tmp_path, caplog):
    found = done(partial(only_one_fits, tmp_path), range(60), Cluster(nodes.address, 2))
    assert {job: one.result for job, one in found.items()} == {n: n for n in range(60)}
    assert sum("before they can begin" in text for text in caplog.messages) == 1


def test_files_come_back_in_pieces_and_are_gone_afterwards(nodes, tmp_path):
    found = {}
    for one in side_by_side(partial(filing, tmp_path), range(3), Cluster(nodes.address, 2, apart=True)):
        brought = one.result
        found[brought.result] = brought.file and Path(brought.file).read_bytes()
    assert found == {0: None} | {n: bytes([n]) * (n * (8 << 20) + 5) for n in (1, 2)}
    assert [path.name for path in tmp_path.iterdir()] == ["own_0"]


def test_a_killed_driver_goes_on_where_it_was_with_the_same_bytes_and_nothing_twice(nodes, tmp_path, site):
    folder, rng = tmp_path / "videos", np.random.default_rng(0)
    folder.mkdir()
    for name in ("cam0", "cam1", "cam2"):
        with VideoWriter(folder / f"{name}.mp4", 24, (64, 120)) as writer:
            for _ in range(12):
                writer.write(rng.integers(90, 130, (120, 64, 3), np.uint8))

    def start(workspace, *where):
        options = ("--pose", "slow", "--workspace", str(workspace), "--quiet", *where)
        command = [sys.executable, "-W", "ignore", "-m", "pipeline.cli", "extract", str(folder), *options]
        return subprocess.Popen(
            command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )

    cluster, cut = ("--ray", nodes.address, "--jobs", "1"), tmp_path / "cut"
    driver = start(cut, *cluster)
    first = cut / "tracks" / "cam0.npz"
    until = time.monotonic() + 120
    while not first.exists() and driver.poll() is None and time.monotonic() < until:
        time.sleep(0.02)
    driver.kill()
    driver.communicate()
    done = {path.name: path.stat().st_mtime_ns for path in (cut / "tracks").glob("*.npz")}
    assert "cam0.npz" in done
    again = start(cut, *cluster)
    said, _ = again.communicate(timeout=120)
    assert f"3 of 3 videos done ({len(done)} were done before)" in said
    for name, when in done.items():
        assert (cut / "tracks" / name).stat().st_mtime_ns == when
    here = start(tmp_path / "here", "--jobs", "1")
    assert "3 of 3 videos done" in here.communicate(timeout=120)[0]
    files = [
        {p.name: p.read_bytes() for p in (place / "tracks").glob("*.npz")}
        for place in (cut, tmp_path / "here")
    ]
    assert len(files[0]) == 3
    assert files[0] == files[1]


def test_a_node_that_is_taken_away_loses_nothing(nodes, tmp_path):
    (tmp_path / "0").write_text("slow")
    results, removed = {}, False
    for one in side_by_side(partial(squaring, tmp_path), range(9), Cluster(nodes.address, 3)):
        results[one.job] = one.result
        if not removed and (place := tmp_path / "0.at").exists():
            by_id = {node.node_id: node for node in nodes.worker_nodes}
            nodes.remove_node(by_id[place.read_text()], allow_graceful=False)
            removed = True
    assert removed
    assert {job: result[0] for job, result in results.items()} == {n: n * n for n in range(9)}


def test_errors_of_the_work_are_the_callers(nodes, tmp_path):
    with pytest.raises(VideoError, match="-1 is below zero"):
        done(partial(squaring, tmp_path), [1, -1, 2], Cluster(nodes.address, 1))
    with pytest.raises(VideoError, match="no networks"):
        done(refusing, [1], Cluster(nodes.address, 1))
    with pytest.raises(MemoryShortError, match="before they can begin"):
        done(dying, [1], Cluster(nodes.address, 1))
    with pytest.raises(UsageError, match="no room for a worker of 64"):
        done(refusing, [1], Cluster(nodes.address, cpus=64))


def test_no_cluster_at_an_address_is_said():
    with pytest.raises(GepcError, match="does not answer"):
        done(refusing, [1], Cluster("127.0.0.1:1"))
    with pytest.raises(UsageError, match="expected a number from 1"):
        Cluster(workers=0)
