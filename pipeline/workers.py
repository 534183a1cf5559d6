"""Work on many jobs side by side: processes that load once what they need, and take one job after another."""

from __future__ import annotations

import logging
import multiprocessing
import os
import pickle
import signal
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, Generic, TypeVar

from pipeline.processes import Ended, ending_by_signals
from pose_extract.devices import PROCESSORS, processors
from pose_extract.errors import GepcError, MemoryShortError

logger = logging.getLogger(__name__)

J = TypeVar("J")
R = TypeVar("R")
Tell = Callable[[Any], None]
SharedCount = Any
"""A number that processes count together: `shared_count`."""
Maker = Callable[[Tell], AbstractContextManager[Callable[[J], R]]]
"""Loads what a worker needs and gives its work, one job to one result. It is pickled: a function of a module, or a
`functools.partial` of one. What it tells while at work reaches the parent's ``told``."""

_MOST_TRIES = 2  # of a job whose worker dies
_END_WITHIN_S = 1.5  # of a worker that is asked to end; then it is killed
_MEMORY_EACH = 1 << 30  # bytes that a worker may take: networks, decoded frames, windows


@dataclass(frozen=True)
class Done(Generic[J, R]):
    """What became of a job.

    Attributes:
        job: which one.
        result: of the work; None if it was lost.
        lost: how the workers ended that had it in hand, or "".
    """

    job: J
    result: R | None
    lost: str = ""


def jobs_for(count: int, asked: int | None = None) -> int:
    """How many workers to start: as many as asked for, or as cores and memory carry, but no more than jobs."""
    if asked is None:
        asked = min(processors(), max(1, _free_memory() // _MEMORY_EACH))
    return max(1, min(asked, count))


def side_by_side(
    make: Maker[J, R], jobs: Sequence[J], workers: int, told: Tell = lambda note: None
) -> Iterator[Done[J, R]]:
    """Do the jobs, and yield what became of each as soon as it is known.

    The machine's processors are divided among the workers. A worker that dies (killed, out of memory) costs its job one
    more try; if that one dies too, the job is yielded as lost and the others go on. Whatever ends this generator ends
    the workers; they end with this process, too, however that ends.

    Args:
        make: see `Maker`.
        jobs: what to do, in the order in which they are begun.
        workers: how many processes.
        told: called with what the workers tell.

    Raises:
        GepcError: the work, or what it needs, raised this, or anything else that is no outcome of one job.
        MemoryShortError: workers die before they can begin.
    """
    crew = _Crew(make, workers)
    waiting, tries = deque(jobs), Counter[int]()
    try:
        for _ in range(min(workers, len(jobs))):
            crew.hire()
        while waiting or crew.busy():
            for worker in crew.heard():
                kind, value = worker.message()
                if kind == "told":
                    told(value)
                elif kind == "log":
                    _repeat(value)
                elif kind == "raised":
                    raise value
                elif kind == "lost":
                    crew.dismiss(worker, began=worker.began)
                    job = worker.job
                    if job is not None:
                        tries[id(job[0])] += 1
                        if tries[id(job[0])] < _MOST_TRIES:
                            logger.warning("a worker %s; what it had in hand is tried once more", value)
                            waiting.append(job[0])
                        else:
                            yield Done(job[0], None, value)
                    if waiting and crew.size < workers:
                        crew.hire()
                else:
                    job, worker.job, worker.began = worker.job, None, True
                    if waiting:
                        worker.give(waiting.popleft())
                    if kind == "done" and job is not None:
                        yield Done(job[0], value)
    finally:
        crew.end()


def shared_count() -> SharedCount:
    """A number with ``value`` and ``get_lock``, 0 at first, for `Maker`s to count with."""
    return multiprocessing.get_context("spawn").Value("d", 0.0)


class _Worker(Generic[J]):
    """A process, the parent's end of its pipe, and the job that it has in hand."""

    def __init__(self, process: BaseProcess, pipe: Connection) -> None:
        self.process, self.pipe = process, pipe
        self.job: tuple[J] | None = None
        self.began = False

    def give(self, job: J) -> None:
        self.job = (job,)
        with suppress(BrokenPipeError):  # it is dead, which is heard next
            self.pipe.send(self.job)

    def message(self) -> tuple[str, Any]:
        try:
            found: tuple[str, Any] = self.pipe.recv()
            return found
        except (EOFError, OSError):
            self.process.join()
            code = self.process.exitcode or 0
            return "lost", f"was killed by signal {-code}" if code < 0 else f"ended with code {code}"


class _Crew(Generic[J, R]):
    """The workers of one run."""

    def __init__(self, make: Maker[J, R], workers: int) -> None:
        self._make, self._share = make, max(1, processors() // workers)
        self._context = multiprocessing.get_context("spawn")
        self._workers: dict[Connection, _Worker[J]] = {}
        self._in_vain = 0

    @property
    def size(self) -> int:
        return len(self._workers)

    def busy(self) -> bool:
        return any(worker.job is not None for worker in self._workers.values())

    def heard(self) -> list[_Worker[J]]:
        """Those with something to say; waits for it."""
        return [self._workers[pipe] for pipe in wait(list(self._workers)) if isinstance(pipe, Connection)]

    def hire(self) -> None:
        own, theirs = self._context.Pipe()
        level = logging.getLogger("pipeline").getEffectiveLevel()
        process = self._context.Process(
            target=_serve, args=(theirs, self._make, level, os.getpid()), daemon=True
        )
        with share_of_processors(self._share):
            process.start()
        theirs.close()  # so that its end is heard
        self._workers[own] = _Worker(process, own)

    def dismiss(self, worker: _Worker[J], began: bool) -> None:
        """Forget one that died; raises `MemoryShortError` where they cannot even begin."""
        del self._workers[worker.pipe]
        worker.pipe.close()
        self._in_vain = 0 if began else self._in_vain + 1
        if self._in_vain > 1 or (not began and not self._workers):
            raise MemoryShortError("worker processes end before they can begin; try --jobs 1")

    def end(self) -> None:
        """Ask all to end, and kill those that do not."""
        for worker in self._workers.values():
            with suppress(BrokenPipeError):
                worker.pipe.send(None)
            if worker.job is not None or not worker.began:
                worker.process.terminate()
        until = time.monotonic() + _END_WITHIN_S
        for worker in self._workers.values():
            worker.process.join(max(0.0, until - time.monotonic()))
            if worker.process.is_alive():
                worker.process.kill()
                worker.process.join()
            worker.pipe.close()


def _serve(pipe: Connection, make: Maker[Any, Any], level: int, parent: int) -> None:
    """What a worker does."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent says when to stop
    end_with(parent)
    lock = threading.Lock()

    def say(kind: str, value: Any) -> None:
        with lock:
            pipe.send((kind, value))

    _log_to(say, level)
    try:
        with ending_by_signals(), make(lambda note: say("told", note)) as work:
            say("ready", None)
            while (job := pipe.recv()) is not None:
                say("done", work(job[0]))
    except (Ended, EOFError, BrokenPipeError):
        pass
    except Exception as error:
        logger.debug("traceback", exc_info=error)
        say("raised", _sendable(error))


def end_with(parent: int) -> None:
    """Let this process end when its parent has ended, however that ended."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(1)
        os._exit(1)

    threading.Thread(target=watch, name="parent", daemon=True).start()


def _sendable(error: Exception) -> Exception:
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:
        return GepcError(f"{type(error).__name__}: {error}")
    return error


class _PipeHandler(logging.Handler):
    def __init__(self, say: Callable[[str, Any], None]) -> None:
        super().__init__()
        self._say = say

    def emit(self, record: logging.LogRecord) -> None:
        with suppress(OSError):
            self._say("log", (record.name, record.levelno, record.getMessage()))


def _log_to(say: Callable[[str, Any], None], level: int) -> None:
    logging.basicConfig(level=logging.WARNING, handlers=[_PipeHandler(say)])
    for name in ("pipeline", "pose_extract", "anomaly"):
        logging.getLogger(name).setLevel(level)


def _repeat(record: tuple[str, int, str]) -> None:
    name, level, message = record
    logging.getLogger(name).log(level, "%s", message)


@contextmanager
def share_of_processors(share: int) -> Iterator[None]:
    """Tell processes that are started meanwhile how many processors are theirs."""
    mine = {PROCESSORS: str(share), "OMP_NUM_THREADS": str(share)}
    before = {name: os.environ.get(name) for name in mine}
    os.environ.update(mine)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _free_memory() -> int:
    """Bytes that are free, or can be made so; a lot where the system does not say."""
    with suppress(OSError, ValueError, IndexError):
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) << 10
    return 1 << 50
