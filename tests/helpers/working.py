"""Work that workers cannot do, and a way to hand out jobs, for tests of processes and of clusters."""

from __future__ import annotations

import os
import signal
import time
from contextlib import contextmanager

from pipeline.workers import side_by_side
from pose_extract.errors import VideoError


@contextmanager
def refusing(tell):
    """Cannot begin, and says why."""
    raise VideoError("there are no networks")
    yield


@contextmanager
def dying(tell):
    """Dies before it can begin."""
    os._exit(3)
    yield


@contextmanager
def only_one_fits(folder, tell):
    """Dies while it loads unless it is the first."""
    try:
        (folder / "taken").touch(exist_ok=False)
    except FileExistsError:
        os.kill(os.getpid(), signal.SIGKILL)

    def work(job):
        time.sleep(0.3)
        return job

    yield work


def done(make, jobs, workers, **options):
    """What became of each job."""
    return {one.job: one for one in side_by_side(make, jobs, workers, **options)}
