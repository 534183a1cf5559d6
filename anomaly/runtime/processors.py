"""Compute with a number of processors, so that the same number gives the same result."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from threadpoolctl import threadpool_limits

from pose_extract.devices import PROCESSORS


@contextmanager
def on_processors(count: int | None) -> Iterator[None]:
    """Let networks and libraries have so many threads, and what starts processes so many of them, within the block.

    With another number of threads floats are added in another order. None: everything stays as it is.
    """
    if count is None:
        yield
        return
    import sklearn.cluster  # noqa: F401  its libraries, and SciPy's, are limited only if they are there by now

    threads, named = torch.get_num_threads(), os.environ.get(PROCESSORS)
    os.environ[PROCESSORS] = str(count)
    try:
        with threadpool_limits(count):
            torch.set_num_threads(count)
            yield
    finally:
        torch.set_num_threads(threads)
        if named is None:
            del os.environ[PROCESSORS]
        else:
            os.environ[PROCESSORS] = named
