"""Cells of an experiment: each measured once and kept as files, by one process or by several at a time."""

from __future__ import annotations

import hashlib
import json
import logging
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from filelock import FileLock, Timeout

from pose_extract.errors import GepcError, OutputError
from pose_extract.files import write_atomically

logger = logging.getLogger(__name__)

_VERSION = 1  # another one makes every cell be measured again


@dataclass(frozen=True)
class Cell:
    """One training set, seed and test: what all methods are compared on.

    Attributes:
        name: which it is, different from all others of the experiment.
        seed: of everything random.
        facts: what it is, as JSON can hold it: split, direction, ….
    """

    name: str
    seed: int
    facts: Mapping[str, Any]


@dataclass(frozen=True)
class Result:
    """What one method came to on one cell.

    Attributes:
        cell: on which.
        method: its name.
        figures: name -> number; empty if it failed.
        seconds: of a processor that it took, training included; what several methods share counts for the first that
            needs it.
        failed: why there are no figures, or "".
    """

    cell: Cell
    method: str
    figures: Mapping[str, Any]
    seconds: float = 0.0
    failed: str = ""


class Experiment(Protocol):
    """Cells, the methods that are measured on them, and how."""

    methods: Sequence[str]

    def cells(self) -> Sequence[Cell]:
        """All cells, in the order in which they are measured."""
        ...

    def made_from(self, cell: Cell, method: str) -> dict[str, Any]:
        """Everything that shapes the result, as JSON can hold it."""
        ...

    def begin(self, cell: Cell) -> Any:
        """What the methods of a cell share; given to `measure`."""
        ...

    def measure(self, shared: Any, method: str) -> dict[str, Any]:
        """The figures of one method.

        Raises:
            GepcError: it fails, which is noted; other methods and cells go on.
        """
        ...


class Store:
    """Results in a folder: a JSON file for each cell and method, named by everything that shapes it.

    Args:
        folder: where they are.
        experiment: whose.
    """

    def __init__(self, folder: Path, experiment: Experiment) -> None:
        self.folder, self.experiment = folder, experiment
        self._paths: dict[tuple[str, str], Path] = {}

    def path(self, cell: Cell, method: str) -> Path:
        """Where the result is kept."""
        if (cell.name, method) not in self._paths:
            made_from = self.experiment.made_from(cell, method)
            name = f"{_slug(cell.name)}-{method}-{digest([_VERSION, made_from])[:16]}.json"
            self._paths[cell.name, method] = self.folder / name
        return self._paths[cell.name, method]

    def get(self, cell: Cell, method: str) -> Result | None:
        """The result, or None where there is none, or no whole one."""
        try:
            known = json.loads(self.path(cell, method).read_text(encoding="utf-8"))
            return Result(cell, method, known["figures"], known["seconds"], known["failed"])
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def save(self, result: Result) -> None:
        """Keep a result; raises `OutputError`."""
        cell, method = result.cell, result.method
        content = {
            "cell": cell.name,
            "method": method,
            "seed": cell.seed,
            **cell.facts,
            "figures": result.figures,
            "seconds": round(result.seconds, 3),
            "failed": result.failed,
            "made_from": self.experiment.made_from(cell, method),
        }
        write_atomically(self.path(cell, method), json.dumps(content, indent=1, sort_keys=True).encode())

    def missing(self, cell: Cell) -> list[str]:
        """The methods that there is no result of."""
        return [method for method in self.experiment.methods if self.get(cell, method) is None]

    def results(self) -> list[Result]:
        """All there are, in the order of cells and methods."""
        found = (self.get(cell, m) for cell in self.experiment.cells() for m in self.experiment.methods)
        return [result for result in found if result is not None]

    def forget_failures(self) -> None:
        """Let what failed be tried again."""
        for result in self.results():
            if result.failed:
                self.path(result.cell, result.method).unlink(missing_ok=True)

    def lock(self, cell: Cell) -> FileLock:
        """Held by the process that measures the cell; the system takes it from a killed one."""
        self.folder.mkdir(parents=True, exist_ok=True)
        return FileLock(self.folder / f".{_slug(cell.name)}-{digest(cell.name)[:8]}.lock")


def work(
    experiment: Experiment,
    store: Store,
    cells: Sequence[Cell] | None = None,
    timeouts: Sequence[float] = (0.0, -1.0),
) -> Iterator[Result]:
    """Measure what is missing, and yield it; cells that other processes are at come last, when those have let go.

    Args:
        experiment: what.
        store: where results are kept.
        cells: these cells; None: all.
        timeouts: seconds to wait for other processes, -1 for ever, in one round over the cells after the other.

    Raises:
        OutputError: results cannot be written.
    """
    for timeout in timeouts:
        for cell in experiment.cells() if cells is None else cells:
            if store.missing(cell):
                try:
                    with store.lock(cell).acquire(timeout=timeout):
                        yield from _measure(experiment, store, cell)
                except Timeout:
                    continue


def _measure(experiment: Experiment, store: Store, cell: Cell) -> Iterator[Result]:
    shared = None
    for method in store.missing(cell):
        logger.debug("%s: %s", cell.name, method)
        start = time.process_time()
        figures: dict[str, Any] = {}
        failed = ""
        try:
            if shared is None:
                shared = experiment.begin(cell)
            figures = experiment.measure(shared, method)
        except OutputError:
            raise
        except GepcError as error:
            failed = str(error)
        except Exception as error:
            failed = f"unexpected {type(error).__name__}: {error}. This is a defect: run with --debug and report it"
            logger.debug("traceback", exc_info=error)
        if failed:
            logger.error("%s, %s: %s", cell.name, method, failed)
        result = Result(cell, method, figures, time.process_time() - start, failed)
        store.save(result)
        yield result


def digest(value: Any) -> str:
    """A name for what JSON can hold."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


def _slug(name: str) -> str:
    return re.sub(r"[^a-z0-9.]+", "-", name.lower()).strip("-")[:80]
