"""Work on many jobs on a Ray cluster: actors that load once what they need, and take one job after another."""

from __future__ import annotations

import logging
import os
import socket
from collections import deque
from collections.abc import Generator, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.workers.jobs import (
    MOST_TRIES,
    Brought,
    Done,
    J,
    Maker,
    R,
    Tell,
    Tries,
    log_to,
    repeat,
    sendable,
)
from pose_extract.devices import PROCESSORS
from pose_extract.errors import EstimatorError, MemoryShortError, UsageError
from pose_extract.files import scratch_folder, writing

logger = logging.getLogger(__name__)

_LISTEN_S = 0.2  # between two looks at what the actors tell
_KNOCK_S = 5.0  # for a cluster to answer
_END_WITHIN_S, _FINISH_WITHIN_S = 2.0, 30.0  # of actors that are asked to end; of those whose work is done
_PIECE_BYTES, _PIECES_AHEAD = 8 << 20, 4  # of a file that comes back
INSTALL = "pip install 'gepc-pipeline[ray]'"


@dataclass(frozen=True)
class Cluster:
    """Where jobs are done. All its machines see the same folders under the same paths, unless ``apart``.

    Attributes:
        address: of a running cluster, as Ray has it (``auto``, ``host:6379``, ``ray://host:10001``); "": one is
            started on this machine for as long as the work takes.
        workers: how many actors; None: as many as the cluster has room for.
        cpus: processors of each.
        gpus: share of a GPU of each.
        apart: they do not: results' files come back through the object store.
    """

    address: str = ""
    workers: int | None = None
    cpus: float = 1.0
    gpus: float = 0.0
    apart: bool = False

    def __post_init__(self) -> None:
        if self.workers is not None and self.workers < 1:
            raise UsageError(f"jobs: expected a number from 1, got {self.workers}")
        if not (0 < self.cpus <= 1024 and 0 <= self.gpus <= 1024):
            raise UsageError(f"expected processors above 0 for each worker, got {self.cpus:g}")


class OwnCount:
    """A count of one actor's own, in the place of one that processes share."""

    def __init__(self) -> None:
        self.value = 0.0

    def get_lock(self) -> AbstractContextManager[None]:
        """Nobody else counts."""
        return nullcontext()


def on_cluster(
    make: Maker[J, R], jobs: Sequence[J], cluster: Cluster, told: Tell = lambda note: None
) -> Generator[Done[J, R], None, None]:
    """Do the jobs, and yield what became of each as soon as it is known.

    An actor that dies (its process killed, its machine gone) costs its job one more try; if that one dies too, the job
    is yielded as lost and the others go on. Whatever ends this generator ends the actors.

    Args:
        make: see `Maker`.
        jobs: what to do, in the order in which they are begun.
        cluster: where.
        told: called with what the actors tell.

    Raises:
        UsageError: Ray is not installed, or there is no such cluster.
        GepcError: the work, or what it needs, raised this, or anything else that is no outcome of one job.
        MemoryShortError: all actors die before they can begin.
    """
    with _connected(cluster) as ray:
        crew = _Crew(ray, make, cluster, len(jobs))
        waiting, tries = deque(jobs), Tries()
        finished = False
        try:
            while waiting or crew.busy():
                while waiting and crew.idle:
                    crew.give(waiting.popleft())
                while waiting and crew.size < crew.most:
                    crew.hire()
                for job, kind, value in crew.heard(told):
                    if kind == "raised":
                        raise value
                    if kind == "lost" and job is not None:
                        if tries.another(job[0], value):
                            waiting.appendleft(job[0])
                        else:
                            yield Done(job[0], None, value)
                    if kind == "done" and job is not None:
                        yield Done(job[0], value)
            finished = True
        finally:
            crew.end(finished)


class _Actor:
    """What runs on the cluster; made into an actor by `_Crew`."""

    def __init__(self, packed: bytes, level: int, heard: Any, folder: str) -> None:
        self._packed, self._level, self._heard, self._folder = packed, level, heard, folder
        self._made: Any = None
        self._work: Any = None

    def _say(self, kind: str, value: Any) -> None:
        with suppress(Exception):  # what is told is progress and log: no work fails for want of a listener
            self._heard.put((kind, value))

    def begin(self) -> tuple[str, Any]:
        """Load what the work needs."""
        import cloudpickle

        log_to(self._say, self._level)
        try:
            if self._folder:
                os.chdir(self._folder)
            self._made = cloudpickle.loads(self._packed)(lambda note: self._say("told", note))
            self._work = self._made.__enter__()
        except Exception as error:
            return "raised", sendable(error)
        return "ready", None

    def work(self, job: Any) -> tuple[str, Any]:
        """Do a job."""
        try:
            return "done", self._work(job)
        except Exception as error:
            return "raised", sendable(error)

    def pieces(self, path: str) -> Iterator[bytes]:
        """Hand a file over, piece by piece, and remove it."""
        with open(path, "rb") as file:
            while piece := file.read(_PIECE_BYTES):
                yield piece
        os.unlink(path)

    def end(self) -> None:
        """Give back what was loaded."""
        if self._work is not None:
            self._made.__exit__(None, None, None)


class _Crew:
    """The actors of one run."""

    def __init__(self, ray: Any, make: Any, cluster: Cluster, jobs: int) -> None:
        import cloudpickle
        from ray.util.queue import Queue
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        self._ray, self._packed = ray, cloudpickle.dumps(make)
        room = ray.cluster_resources()
        fits = room.get("CPU", 1) / cluster.cpus
        if cluster.gpus:
            fits = min(fits, room.get("GPU", 0) / cluster.gpus)
        if fits < 1:
            raise UsageError(
                f"the cluster has {room.get('CPU', 0):g} processors and {room.get('GPU', 0):g} GPUs: no room for a "
                f"worker of {cluster.cpus:g} and {cluster.gpus:g}"
            )
        self.most = max(1, min(cluster.workers or int(fits), jobs))
        share = str(max(1, int(cluster.cpus)))
        self._class = ray.remote(_Actor).options(
            num_cpus=cluster.cpus,
            num_gpus=cluster.gpus,
            runtime_env={"env_vars": {PROCESSORS: share, "OMP_NUM_THREADS": share}},
        )
        here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=True)
        self._queue = Queue(actor_options={"num_cpus": 0, "scheduling_strategy": here})
        self._level = logging.getLogger("pipeline").getEffectiveLevel()
        self.at_work: dict[Any, tuple[Any, tuple[Any] | None]] = {}  # of each answer: who, and at which job
        self.idle: list[Any] = []
        self._in_vain = 0
        self._folder = "" if cluster.apart else os.getcwd()
        self._place = ExitStack()  # of files that come back
        self._files = self._place.enter_context(scratch_folder()) if cluster.apart else Path()
        self._count = 0

    @property
    def size(self) -> int:
        return len(self.at_work) + len(self.idle)

    def busy(self) -> bool:
        return any(job is not None for _, job in self.at_work.values())

    def hire(self) -> None:
        actor = self._class.remote(self._packed, self._level, self._queue, self._folder)
        self.at_work[actor.begin.remote()] = actor, None

    def give(self, job: Any) -> None:
        actor = self.idle.pop()
        self.at_work[actor.work.remote(job)] = actor, (job,)

    def heard(self, told: Tell) -> Iterator[tuple[tuple[Any] | None, str, Any]]:
        """Answers that have come: of which job, what kind, what; waits for a while."""
        ready, _ = self._ray.wait(list(self.at_work), num_returns=1, timeout=_LISTEN_S)
        self._listen(told)
        for answer in ready:
            actor, job = self.at_work.pop(answer)
            try:
                kind, value = self._ray.get(answer)
                if isinstance(value, Brought) and value.file is not None:
                    value = Brought(value.result, self._bring(actor, value.file))
            except self._ray.exceptions.RayError as error:
                self._in_vain = 0 if job is not None else self._in_vain + 1
                if self._in_vain > MOST_TRIES:
                    if not self.size:
                        raise MemoryShortError("workers on the cluster end before they can begin") from error
                    if self._in_vain == MOST_TRIES + 1:
                        logger.warning("workers on the cluster end before they can begin; the others go on")
                    self.most = self.size
                yield job, "lost", f"ended ({type(error).__name__})"
                continue
            if kind != "raised":
                self.idle.append(actor)
            yield job, kind, value

    def _bring(self, actor: Any, file: str) -> str:
        """Fetch a worker's file, which may be larger than what the object store holds; where it lies now."""
        self._count += 1
        path = self._files / str(self._count)
        pieces = actor.pieces.options(
            num_returns="streaming", _generator_backpressure_num_objects=_PIECES_AHEAD
        )
        with writing(path), open(path, "wb") as own:
            for piece in pieces.remote(file):
                own.write(self._ray.get(piece))
        return str(path)

    def _listen(self, told: Tell) -> None:
        with suppress(self._ray.exceptions.RayError):
            for kind, value in self._queue.get_nowait_batch(self._queue.qsize()):
                if kind == "log":
                    repeat(value)
                else:
                    told(value)

    def end(self, finished: bool) -> None:
        """Ask the idle ones to end, and kill the others; where all is done they have time to finish what they write."""
        endings = [actor.end.remote() for actor in self.idle]
        with suppress(self._ray.exceptions.RayError):
            within = _FINISH_WITHIN_S if finished else _END_WITHIN_S
            self._ray.wait(endings, num_returns=len(endings), timeout=within) if endings else None
        for actor in (*self.idle, *(actor for actor, _ in self.at_work.values())):
            with suppress(self._ray.exceptions.RayError):
                self._ray.kill(actor)
        with suppress(self._ray.exceptions.RayError):
            self._queue.shutdown(force=True)
        self._place.close()


def _knock(address: str) -> None:
    """Raise OSError where nobody listens: Ray would try for minutes."""
    host, colon, port = address.rpartition("://")[2].rpartition(":")
    if colon and port.isdigit():
        socket.create_connection((host, int(port)), _KNOCK_S).close()


@contextmanager
def _connected(cluster: Cluster) -> Iterator[Any]:
    """Ray, connected to the cluster, or to one that is started here."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing is told to anybody
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    try:
        import ray
    except ModuleNotFoundError:
        raise UsageError(f"--ray needs Ray, which is not installed: {INSTALL}") from None
    mine = not ray.is_initialized()
    if mine:
        try:
            _knock(cluster.address)
            ray.init(
                address=cluster.address or "local",
                include_dashboard=False if not cluster.address else None,
                log_to_driver=False,
                logging_level=logging.ERROR,
            )
        except (ConnectionError, OSError, RuntimeError, ValueError) as error:
            where = cluster.address or "a cluster on this machine"
            raise EstimatorError(f"--ray: {where} does not answer: {error}") from error
    try:
        yield ray
    finally:
        if mine:
            ray.shutdown()
