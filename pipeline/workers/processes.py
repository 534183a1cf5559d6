"""Work on many jobs in processes that load once what they need, and take one job after another."""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
import threading
import time
from collections import deque
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager, suppress
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any, Generic

from pipeline.processes import Ended, ending_by_signals
from pipeline.workers.jobs import Done, J, Maker, R, Tell, Tries, log_to, repeat, sendable
from pose_extract.devices import PROCESSORS, processors
from pose_extract.errors import MemoryShortError

logger = logging.getLogger(__name__)

_END_WITHIN_S = 1.5  # of a worker that is asked to end; then it is killed
_FINISH_WITHIN_S = 30.0  # of one whose work is done: it writes what is left to write


def in_processes(
    make: Maker[J, R],
    jobs: Sequence[J],
    workers: int,
    told: Tell = lambda note: None,
    threads: int | None = None,
) -> Generator[Done[J, R], None, None]:
    """Do the jobs, and yield what became of each as soon as it is known.

    The machine's processors are divided among the workers. A worker that dies (killed, out of memory) costs its job one
    more try; if that one dies too, the job is yielded as lost and the others go on. Whatever ends this generator ends
    the workers; they end with this process, too, however that ends. Where one dies before it can begin, the others do
    all.

    Args:
        make: see `Maker`.
        jobs: what to do, in the order in which they are begun.
        workers: how many processes.
        told: called with what the workers tell.
        threads: of each; None: its share.

    Raises:
        GepcError: the work, or what it needs, raised this, or anything else that is no outcome of one job.
        MemoryShortError: all workers die before they can begin.
    """
    crew = _Crew(make, min(workers, len(jobs)), threads or max(1, processors() // workers))
    waiting, tries = deque(jobs), Tries()
    finished = False
    try:
        crew.go_on(waiting)
        while waiting or crew.busy():
            for worker in crew.heard():
                kind, value = worker.message()
                job = worker.job
                outcome: Done[J, R] | None = None
                if kind == "told":
                    told(value)
                elif kind == "log":
                    repeat(value)
                elif kind == "raised":
                    raise value
                elif kind == "lost":
                    crew.dismiss(worker)
                    if job is not None and tries.another(job[0], value):
                        waiting.append(job[0])
                    elif job is not None:
                        outcome = Done(job[0], None, value)
                else:
                    worker.job, worker.began = None, True
                    if job is not None:
                        outcome = Done(job[0], value)
                crew.go_on(waiting)
                if outcome is not None:
                    yield outcome
        finished = True
    finally:
        crew.end(finished)


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

    def __init__(self, make: Maker[J, R], most: int, share: int) -> None:
        self._make, self._most, self._share = make, most, share
        self._context = multiprocessing.get_context("spawn")
        self._workers: dict[Connection, _Worker[J]] = {}
        self._short = False  # of memory, it seems: not all could begin

    def busy(self) -> bool:
        return any(worker.job is not None for worker in self._workers.values())

    def heard(self) -> list[_Worker[J]]:
        """Those with something to say; waits for it."""
        return [self._workers[pipe] for pipe in wait(list(self._workers)) if isinstance(pipe, Connection)]

    def go_on(self, waiting: deque[J]) -> None:
        """Give the jobs that wait to those who are idle, and hire as many for the rest as there may be."""
        for worker in self._workers.values():
            if waiting and worker.began and worker.job is None:
                worker.give(waiting.popleft())
        while waiting and len(self._workers) < self._most:
            self._hire()

    def _hire(self) -> None:
        own, theirs = self._context.Pipe()
        level = logging.getLogger("pipeline").getEffectiveLevel()
        process = self._context.Process(
            target=_serve, args=(theirs, self._make, level, os.getpid()), daemon=True
        )
        with share_of_processors(self._share), _interrupts_waiting():
            process.start()
            self._workers[own] = _Worker(process, own)
            theirs.close()  # so that its end is heard

    def dismiss(self, worker: _Worker[J]) -> None:
        """Forget one that died. If it could not begin, no more are hired; `MemoryShortError` if there is no other."""
        del self._workers[worker.pipe]
        worker.pipe.close()
        if worker.began:
            return
        if not self._workers:
            raise MemoryShortError("worker processes end before they can begin; try --jobs 1")
        if not self._short:
            logger.warning(
                "a worker ended before it could begin (is memory short?); the others go on without it"
            )
        self._most, self._short = len(self._workers), True

    def end(self, finished: bool) -> None:
        """Ask all to end, and kill those that do not; where all is done they have time to finish what they write."""
        for worker in self._workers.values():
            with suppress(BrokenPipeError):
                worker.pipe.send(None)
            if worker.job is not None or not worker.began:
                worker.process.terminate()
        asked = time.monotonic()
        for worker in self._workers.values():
            within = _FINISH_WITHIN_S if finished and worker.began else _END_WITHIN_S
            worker.process.join(max(0.0, asked + within - time.monotonic()))
            if worker.process.is_alive():
                worker.process.kill()
                worker.process.join()
            worker.pipe.close()


def _serve(pipe: Connection, make: Maker[Any, Any], level: int, parent: int) -> None:
    """What a worker does."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent says when to stop
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    end_with(parent)
    lock = threading.Lock()

    def say(kind: str, value: Any) -> None:
        with lock:
            pipe.send((kind, value))

    log_to(say, level)
    try:
        with ending_by_signals(), make(lambda note: say("told", note)) as work:
            say("ready", None)
            while (job := pipe.recv()) is not None:
                say("done", work(job[0]))
    except (Ended, EOFError, BrokenPipeError):
        pass
    except Exception as error:
        logger.debug("traceback", exc_info=error)
        say("raised", sendable(error))


def end_with(parent: int) -> None:
    """Let this process end when its parent has ended, however that ended."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(1)
        os._exit(1)

    threading.Thread(target=watch, name="parent", daemon=True).start()


@contextmanager
def _interrupts_waiting() -> Iterator[None]:
    """Let Ctrl-C wait until the block is over; for processes started in it, until they say that they are ready for it.

    Without it, one that is still importing would print a traceback.
    """
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    resource_tracker.ensure_running()  # which ends such a wait when it starts
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


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
