"""Jobs and those who do them: what processes and clusters have in common."""

from __future__ import annotations

import logging
import pickle
from collections import Counter
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from pose_extract.errors import GepcError

logger = logging.getLogger(__name__)

J = TypeVar("J")
R = TypeVar("R")
Tell = Callable[[Any], None]
SharedCount = Any
"""A number that processes count together: `shared_count`."""
Maker = Callable[[Tell], AbstractContextManager[Callable[[J], R]]]
"""Loads what a worker needs and gives its work, one job to one result. It is pickled: a function of a module, or a
`functools.partial` of one. What it tells while at work reaches the parent's ``told``."""

MOST_TRIES = 2
"""Of a job whose worker dies."""


class Tries:
    """Counts how often jobs were lost with their workers."""

    def __init__(self) -> None:
        self._lost = Counter[int]()

    def another(self, job: object, how: str) -> bool:
        """Whether a job is to be tried once more, which is said; ``how`` its worker ended."""
        self._lost[id(job)] += 1
        if self._lost[id(job)] < MOST_TRIES:
            logger.warning("a worker %s; what it had in hand is tried once more", how)
            return True
        return False


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

    def why_lost(self, did: str) -> str:
        """Why there is no result, of a worker that ``did`` something with it: "read it", say."""
        return f"the process that {did} {self.lost}, twice; is memory short? Try --jobs 1"


@dataclass(frozen=True)
class Brought(Generic[R]):
    """A result with a file: a worker names one of its own, its job's outcome one of this machine.

    Attributes:
        result: the result.
        file: path of the file, which is to be moved away by who takes it; None: there is none.
    """

    result: R
    file: str | None


def sendable(error: Exception) -> Exception:
    """The same error, or one that says the same and can be pickled."""
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:
        return GepcError(f"{type(error).__name__}: {error}")
    return error


class _Handler(logging.Handler):
    def __init__(self, say: Callable[[str, Any], None]) -> None:
        super().__init__()
        self._say = say

    def emit(self, record: logging.LogRecord) -> None:
        with suppress(OSError):
            self._say("log", (record.name, record.levelno, record.getMessage()))


def log_to(say: Callable[[str, Any], None], level: int) -> None:
    """Let this process's log be told by ``say("log", record)``; `repeat` logs it where it is heard."""
    logging.basicConfig(level=logging.WARNING, handlers=[_Handler(say)])
    for name in ("pipeline", "pose_extract", "anomaly"):
        logging.getLogger(name).setLevel(level)


def repeat(record: tuple[str, int, str]) -> None:
    """Log what another process has logged."""
    name, level, message = record
    logging.getLogger(name).log(level, "%s", message)
