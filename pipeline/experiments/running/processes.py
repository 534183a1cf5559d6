"""Running an experiment: in this process, or in several that share its folder."""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from pipeline.experiments.running.cells import Experiment, Store, work
from pipeline.progress import stage
from pipeline.workers import end_with, share_of_processors

logger = logging.getLogger(__name__)

_LOOK_EVERY_S = 0.5
_TABLES_EVERY_S = 5.0


def run(
    experiment: Experiment,
    folder: Path,
    processes: int = 1,
    quiet: bool = False,
    finished: Callable[[Store], None] = lambda store: None,
) -> Store:
    """Measure every cell that is not there yet.

    Every process computes with one thread, so that the numbers do not depend on how many there are. Another command
    may work on the same folder at the same time. What failed in an earlier run is tried again.

    Args:
        experiment: what; with more than one process it is pickled.
        folder: where results are kept, in ``cells``.
        processes: how many to start.
        quiet: no progress.
        finished: called with all results after each cell, and in the end.

    Returns:
        All results.

    Raises:
        OutputError: results cannot be written.
    """
    store = Store(folder / "cells", experiment)
    store.forget_failures()
    total = len(experiment.cells()) * len(experiment.methods)
    with stage("measure", "results", total, quiet) as progress:
        progress.update(len(store.results()))
        if processes > 1:
            for note in _in_processes(experiment, store, processes):
                progress.update(len(store.results()), note)
                finished(store)
        else:
            last = None
            with one_thread(), quiet_training():
                for result in work(experiment, store):
                    progress.advance(1, f"{result.cell.name}: {result.method}")
                    if last is not None and result.cell != last:
                        finished(store)
                    last = result.cell
    finished(store)
    return store


@contextmanager
def one_thread() -> Iterator[None]:
    """Let torch compute with one thread: with others it adds floats in another order."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def quiet_training() -> Iterator[None]:
    """Leave out what training says of each model, unless everything is to be said: there are hundreds."""
    anomaly = logging.getLogger("anomaly")
    before = anomaly.level
    if anomaly.getEffectiveLevel() > logging.DEBUG:
        anomaly.setLevel(logging.ERROR)
    try:
        yield
    finally:
        anomaly.setLevel(before)


def _in_processes(experiment: Experiment, store: Store, count: int) -> Iterator[str]:
    """Yields now and then, until all processes have ended; says where they stand."""
    context = multiprocessing.get_context("spawn")
    level = logging.getLogger("pipeline").getEffectiveLevel()
    workers = [
        context.Process(target=_worker, args=(experiment, store.folder, level, os.getpid()), daemon=True)
        for _ in range(count)
    ]
    try:
        with share_of_processors(1):
            for worker in workers:
                worker.start()
        shown = time.monotonic()
        while any(worker.is_alive() for worker in workers):
            time.sleep(_LOOK_EVERY_S)
            if time.monotonic() - shown > _TABLES_EVERY_S:
                shown = time.monotonic()
                yield f"{sum(worker.is_alive() for worker in workers)} processes"
    finally:
        for worker in workers:
            if worker.is_alive():
                worker.terminate()
        for worker in workers:
            if worker.pid is not None:
                worker.join()
    for worker in workers:
        if worker.exitcode:
            logger.error(
                "a process ended with code %d before it was done; start the same command again",
                worker.exitcode,
            )


def _worker(experiment: Experiment, folder: Path, level: int, parent: int) -> None:
    """What a process does; it ends with its parent, however that ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent says when to stop
    end_with(parent)
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s: %(message)s")
    for name in ("pipeline", "pose_extract", "anomaly"):
        logging.getLogger(name).setLevel(level if level <= logging.DEBUG else logging.WARNING)
    from anomaly.runtime.memory import keep_memory

    keep_memory()
    with one_thread(), quiet_training():
        for _ in work(experiment, Store(folder, experiment)):
            pass
