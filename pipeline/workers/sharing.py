"""How many workers, and where: processes of this machine, or actors of a Ray cluster."""

from __future__ import annotations

import multiprocessing
from collections.abc import Generator, Sequence
from contextlib import suppress
from pathlib import Path

from pipeline.workers.cluster import Cluster, OwnCount, on_cluster
from pipeline.workers.jobs import Done, J, Maker, R, SharedCount, Tell
from pipeline.workers.processes import in_processes
from pose_extract.devices import processors
from pose_extract.errors import UsageError

Jobs = int | Cluster | None
"""How many jobs at once on this machine (None: as many as it carries), or on which cluster."""

MOST_WORKERS = 1024
_A_LOT = 1 << 50  # bytes
_MEMORY_EACH = 1 << 30  # bytes that a worker may take: networks, decoded frames, windows


def jobs_for(count: int, asked: Jobs = None) -> int | Cluster:
    """How many workers to start: as many as asked for, or as cores and memory carry, but no more than jobs.

    A cluster is handed on: it says itself how many it carries.

    Raises:
        UsageError: what is asked for is no such number.
    """
    if isinstance(asked, Cluster):
        return asked
    if asked is not None and not 1 <= asked <= MOST_WORKERS:
        raise UsageError(f"jobs: expected a number from 1 to {MOST_WORKERS}, got {asked}")
    if asked is None:
        asked = min(processors(), max(1, _free_memory() // _MEMORY_EACH))
    return max(1, min(asked, count))


def side_by_side(
    make: Maker[J, R],
    jobs: Sequence[J],
    workers: int | Cluster,
    told: Tell = lambda note: None,
    threads: int | None = None,
) -> Generator[Done[J, R], None, None]:
    """Do the jobs, and yield what became of each as soon as it is known: `in_processes`, or `on_cluster`.

    Args:
        make: see `Maker`.
        jobs: what to do.
        workers: how many processes, or where.
        told: called with what the workers tell.
        threads: of each process; None: its share of the processors. On a cluster its ``cpus`` say it.
    """
    if isinstance(workers, Cluster):
        return on_cluster(make, jobs, workers, told)
    return in_processes(make, jobs, workers, told, threads)


def shared_count(workers: int | Cluster) -> SharedCount:
    """A number with ``value`` and ``get_lock``, 0 at first, for `Maker`s to count with; on a cluster each its own."""
    if isinstance(workers, Cluster):
        return OwnCount()
    return multiprocessing.get_context("spawn").Value("d", 0.0)


def _free_memory() -> int:
    """Bytes that are free, or can be made so; a lot where the system does not say."""
    free = _free_in_container(Path("/proc/self/cgroup"), Path("/sys/fs/cgroup"))
    with suppress(OSError, ValueError, IndexError):
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return min(free, int(line.split()[1]) << 10)
    return free


def _free_in_container(own: Path, root: Path) -> int:
    """Bytes that a container or a service may still take (Linux's cgroups of version 2); a lot without a limit.

    What it has read of files counts as taken, and is given back when memory is needed: that is added.

    Args:
        own: says which of the groups is this process's.
        root: folder of all groups.
    """
    free, name = _A_LOT, ""
    with suppress(OSError):
        name = next((line[3:] for line in own.read_text().splitlines() if line.startswith("0::")), "")
    folder = root / name.strip("/")
    for group in (folder, *folder.parents):
        with suppress(OSError, ValueError):  # one without a limit says "max"
            limit = int((group / "memory.max").read_text())
            taken = int((group / "memory.current").read_text())
            stat = dict(line.split() for line in (group / "memory.stat").read_text().splitlines())
            free = min(free, max(0, limit - taken + int(stat.get("inactive_file", 0))))
    return free
