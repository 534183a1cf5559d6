"""Fit many estimators side by side, a process on each core, with the result of one after another."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from pose_extract.devices import processors

T = TypeVar("T")

_WORTH = 15_000  # rows that all estimators together learn from; of fewer, processes take longer to start


def fit_all(fit: Callable[..., T], jobs: Iterable[tuple[Any, ...]], rows: int, processes: int = 0) -> list[T]:
    """What ``fit`` makes of each of ``jobs``, in their order.

    Every fit computes with one thread, in this process or another, so that the result is the same for any number.

    Args:
        fit: a function of a module.
        jobs: its arguments, made one after another while others are in work.
        rows: that all jobs together learn from.
        processes: how many; 0: one for each core that this process may use if the rows are worth it.
    """
    from joblib import Parallel, delayed
    from joblib.externals.loky import get_reusable_executor

    if not processes:
        processes = processors() if rows >= _WORTH and not _within_a_worker() else 1
    run = Parallel(n_jobs=processes, max_nbytes=None, pre_dispatch="n_jobs")
    try:
        return list(run(delayed(_alone)(fit, *job) for job in jobs))
    finally:
        if processes > 1:  # idle ones would keep their memory for minutes
            get_reusable_executor().shutdown(wait=True)


def _alone(fit: Callable[..., T], *arguments: Any) -> T:
    from anomaly.runtime.processors import on_processors

    with on_processors(1):
        return fit(*arguments)


def _within_a_worker() -> bool:
    """Whether others compute beside this process already: several trainings, a process each."""
    import multiprocessing

    return multiprocessing.parent_process() is not None or int(os.environ.get("WORLD_SIZE", "1")) > 1
