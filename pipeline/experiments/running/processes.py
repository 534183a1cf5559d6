"""Running an experiment: in this process, or by several workers that share its folder."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path

from pipeline.experiments.running.cells import Cell, Experiment, Store, work
from pipeline.progress import stage
from pipeline.workers import Cluster, Tell, jobs_for, side_by_side

logger = logging.getLogger(__name__)

_TABLES_EVERY_S = 5.0


def run(
    experiment: Experiment,
    folder: Path,
    workers: int | Cluster = 1,
    quiet: bool = False,
    finished: Callable[[Store], None] = lambda store: None,
) -> Store:
    """Measure every cell that is not there yet.

    Every worker computes with one thread, so that the numbers do not depend on how many there are. One that dies costs
    its cell one more try. Another command may work on the same folder at the same time. What failed in an earlier run
    is tried again.

    Args:
        experiment: what; for several workers it is pickled.
        folder: where results are kept, in ``cells``.
        workers: how many processes, or on which cluster, whose machines see the same folders.
        quiet: no progress.
        finished: called with all results after each cell, and in the end.

    Returns:
        All results.

    Raises:
        OutputError: results cannot be written.
    """
    from anomaly.runtime.processors import on_processors

    store = Store(folder / "cells", experiment)
    store.forget_failures()
    total = len(experiment.cells()) * len(experiment.methods)
    with stage("measure", "results", total, quiet) as progress:
        progress.update(len(store.results()))
        if workers != 1:
            shown = time.monotonic()
            for _ in _by_workers(experiment, store, workers, lambda note: progress.advance(1, note)):
                if time.monotonic() - shown > _TABLES_EVERY_S:
                    finished(store)
                    shown = time.monotonic()
        else:
            last = None
            with on_processors(1), quiet_training():
                for result in work(experiment, store):
                    progress.advance(1, f"{result.cell.name}: {result.method}")
                    if last is not None and result.cell != last:
                        finished(store)
                    last = result.cell
    finished(store)
    return store


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


def _by_workers(
    experiment: Experiment, store: Store, workers: int | Cluster, told: Callable[[str], None]
) -> Iterator[None]:
    """Yields after each cell; cells that other commands are at come last, when those have let go."""
    given_up: set[str] = set()
    for wait in (False, True):
        cells = [cell for cell in experiment.cells() if cell.name not in given_up and store.missing(cell)]
        if not cells:
            return
        make = partial(_worker, experiment, store.folder, wait)
        with closing(side_by_side(make, cells, jobs_for(len(cells), workers), told, threads=1)) as every:
            for done in every:
                if done.lost:
                    given_up.add(done.job.name)
                    logger.error(
                        "%s: the process that measured it %s, twice; start the same command again",
                        done.job.name,
                        done.lost,
                    )
                yield


@contextmanager
def _worker(experiment: Experiment, folder: Path, wait: bool, tell: Tell) -> Iterator[Callable[[Cell], bool]]:
    from anomaly.runtime.memory import keep_memory
    from anomaly.runtime.processors import on_processors

    keep_memory()
    store = Store(folder, experiment)

    def measure(cell: Cell) -> bool:
        for result in work(experiment, store, [cell], (-1.0 if wait else 0.0,)):
            tell(f"{result.cell.name}: {result.method}")
        return True

    with on_processors(1), quiet_training():
        yield measure
