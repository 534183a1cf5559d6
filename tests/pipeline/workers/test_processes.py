"""Jobs done side by side: by processes that may die, fail, or be asked to end."""

import logging
import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from functools import partial

import psutil
import pytest

from pipeline.workers import jobs_for, shared_count, side_by_side
from pipeline.workers.sharing import _free_in_container
from pose_extract.devices import PROCESSORS, processors
from pose_extract.errors import MemoryShortError, VideoError
from tests.helpers import ROOT
from tests.helpers.processes import own_children
from tests.helpers.working import done, dying, only_one_fits, refusing

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


@contextmanager
def squaring(count, folder, tell):
    """Squares numbers; what it is told by files in ``folder`` may kill it."""
    logging.getLogger("pipeline").warning("a worker begins")

    def work(job):
        with count.get_lock():
            count.value += 1
        if job < 0:
            raise VideoError(f"{job} is below zero")
        fatal = folder / str(job)
        if fatal.exists():
            if fatal.read_text() == "once":
                fatal.unlink()
            os.kill(os.getpid(), signal.SIGKILL)
        tell(job)
        return job * job, processors()

    yield work


@contextmanager
def slow_to_end(folder, tell):
    """Takes longer to write its list than a worker has that is told to stop."""
    yield lambda job: job
    time.sleep(2.5)
    (folder / str(os.getpid())).touch()


def test_every_job_is_done_once_and_what_workers_say_is_heard(tmp_path, caplog, monkeypatch):
    monkeypatch.setenv(PROCESSORS, "4")
    count, told = shared_count(2), []
    found = done(partial(squaring, count, tmp_path), range(5), 2, told=told.append)
    assert {job: one.result for job, one in found.items()} == {
        n: (n * n, 2) for n in range(5)
    }  # 4 processors, 2 each
    assert count.value == 5
    assert sorted(told) == list(range(5))
    assert 1 <= caplog.messages.count("a worker begins") <= 2  # the first may have done all by then
    assert os.environ[PROCESSORS] == "4"
    assert own_children() == []


def test_a_worker_that_dies_costs_its_job_one_more_try_and_then_the_job(tmp_path, caplog):
    (tmp_path / "1").write_text("once")
    (tmp_path / "2").write_text("always")
    count = shared_count(2)
    found = done(partial(squaring, count, tmp_path), range(4), 2)
    assert [found[n].result and found[n].result[0] for n in range(4)] == [0, 1, None, 9]
    assert "killed by signal 9" in found[2].lost
    assert found[1].lost == ""
    assert count.value == 6
    assert sum("tried once more" in text for text in caplog.messages) == 2


def test_what_the_work_raises_ends_all(tmp_path):
    with pytest.raises(VideoError, match="-1 is below zero"):
        done(partial(squaring, shared_count(2), tmp_path), [0, -1, 2, 3], 2)
    assert own_children() == []


def test_what_a_worker_cannot_load_is_the_caller_s_error():
    with pytest.raises(VideoError, match="no networks"):
        done(refusing, [1, 2], 2)


def test_workers_that_die_before_they_begin_are_no_endless_loop():
    with pytest.raises(MemoryShortError, match="before they can begin"):
        done(dying, [1, 2, 3], 2)


def test_where_one_worker_cannot_begin_the_other_does_all(tmp_path, caplog):
    found = done(partial(only_one_fits, tmp_path), range(5), 2)
    assert {job: one.result for job, one in found.items()} == {n: n for n in range(5)}
    assert sum("before it could begin" in text for text in caplog.messages) == 1


def test_a_worker_whose_work_is_done_may_write_what_is_left_to_write(tmp_path):
    found = done(partial(slow_to_end, tmp_path), range(2), 2)
    assert len(found) == 2
    assert list(tmp_path.iterdir())


def test_leaving_early_ends_the_workers(tmp_path):
    found = side_by_side(partial(squaring, shared_count(2), tmp_path), range(50), 2)
    next(found)
    found.close()
    assert own_children() == []


@pytest.mark.parametrize(
    ("count", "asked", "expected"), [(8, 3, 3), (2, 5, 2), (0, None, 1), (1, None, 1), (9, 1, 1)]
)
def test_no_more_workers_than_jobs(count, asked, expected):
    assert jobs_for(count, asked) == expected


def test_the_machine_s_cores_are_the_default(monkeypatch):
    monkeypatch.setenv(PROCESSORS, "3")
    monkeypatch.setattr("pipeline.workers.sharing._free_memory", lambda: 64 << 30)
    assert jobs_for(100) == 3
    monkeypatch.setattr("pipeline.workers.sharing._free_memory", lambda: 2 << 30)
    assert jobs_for(100) == 2
    monkeypatch.setattr("pipeline.workers.sharing._free_memory", lambda: 0)
    assert jobs_for(100) == 1


def test_a_container_s_limit_counts(tmp_path):
    own, root = tmp_path / "cgroup", tmp_path / "groups"
    own.write_text("4:memory:/other\n0::/pod/mine\n")
    assert _free_in_container(own, root) == _free_in_container(tmp_path / "none", root) == 1 << 50
    for group, limit, taken in (
        ("", "max", 9 << 30),
        ("pod", 8 << 30, 5 << 30),
        ("pod/mine", "max", 5 << 30),
    ):
        (root / group).mkdir(parents=True)
        (root / group / "memory.max").write_text(f"{limit}\n")
        (root / group / "memory.current").write_text(f"{taken}\n")
        (root / group / "memory.stat").write_text(f"anon {4 << 30}\ninactive_file {1 << 30}\n")
    assert _free_in_container(own, root) == 4 << 30
    (root / "pod/mine/memory.max").write_text(f"{1 << 30}\n")
    assert _free_in_container(own, root) == 0


STARTING = """
import os, signal, time
if __name__ == "__mp_main__":
    os.write(1, b"starting\\n")  # at once, since two do
    time.sleep(0.5)
from contextlib import contextmanager
from pipeline.workers import side_by_side

@contextmanager
def idling(tell):
    yield lambda job: job

def slowly(*_):
    time.sleep(1)  # time enough for a worker to complain
    raise KeyboardInterrupt

if __name__ == "__main__":
    signal.signal(signal.SIGINT, slowly)
    try:
        list(side_by_side(idling, [1, 2], 2))
    except KeyboardInterrupt:
        print("interrupted", flush=True)
"""


@pytest.mark.skipif(not hasattr(signal, "pthread_sigmask"), reason="Windows has no such signals")
def test_ctrl_c_while_workers_start_prints_no_traceback(tmp_path):
    (tmp_path / "starting.py").write_text(STARTING)
    process = subprocess.Popen(
        [sys.executable, "starting.py"],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert process.stdout is not None
    try:
        assert process.stdout.readline() == "starting\n"
        os.killpg(process.pid, signal.SIGINT)
        said, complained = process.communicate(timeout=60)
    finally:
        process.kill()
    assert said.endswith("interrupted\n")
    assert "Traceback" not in complained


SLEEPERS = """
import os, signal, time
from contextlib import contextmanager
from pipeline.workers import side_by_side

@contextmanager
def sleeping(tell):
    def work(job):
        os.write(1, b"begun\\n")  # at once, since two do
        time.sleep(600)
    yield work

if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored where the tests run in the background
    list(side_by_side(sleeping, [1, 2], 2))
"""


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_workers_end_with_their_parent(tmp_path, number):
    (tmp_path / "sleepers.py").write_text(SLEEPERS)
    own = os.environ | {"PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(
        [sys.executable, "sleepers.py"], cwd=tmp_path, env=own, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdout is not None
    try:
        for _ in range(2):
            assert process.stdout.readline() == b"begun\n"
        workers = own_children(psutil.Process(process.pid))
        assert len(workers) >= 2
        process.send_signal(number)
        begun = time.monotonic()
        process.communicate()
        _, alive = psutil.wait_procs(workers, timeout=20)
        assert not alive
        assert time.monotonic() - begun < 20
    finally:  # a failure here must not fail the tests that count this process's children
        process.kill()
        process.communicate()
