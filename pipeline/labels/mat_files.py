"""Read MATLAB files by SciPy in a process of its own: there are damaged ones that crash SciPy's reader.

``python -m pipeline.labels.mat_files NAME FILE …`` prints a line of JSON a file: ``{"cells": [...]}`` or ``{"error":
...}``.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from pose_extract.errors import FormatError, short
from pose_extract.files import open_input

_MOST_BYTES = 512 << 20  # of a file
_MOST_MEMORY = 4 << 30  # of the process; a small file can claim to hold any amount
_MOST_VALUES = 10_000  # of a cell whose numbers are of interest, not only whether there is any
_TIMEOUT_S = 600


@dataclass(frozen=True)
class Cell:
    """One array of a cell array.

    Attributes:
        shape: of the array.
        nonzero: whether there is any number but 0 in it.
        values: its numbers, row by row; empty if they are more than 10,000.
    """

    shape: tuple[int, ...]
    nonzero: bool
    values: tuple[float, ...]


def read_cells(files: Sequence[Path], name: str) -> list[list[Cell]]:
    """The cell array ``name`` of numeric arrays in each of the files.

    Raises:
        FormatError: names the file that is missing, damaged, or has no such variable. Objects, functions and text are
            refused.
    """
    for file in files:
        try:
            open_input(file).close()
        except OSError as error:
            raise FormatError(f"{file}: cannot be read: {error.strerror or error}") from None
    command = [
        sys.executable,
        "-m",
        "pipeline.labels.mat_files",
        name,
        *(str(file.resolve()) for file in files),
    ]
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1"}
    # Started where this package lies: elsewhere there may be another folder called pipeline.
    place = Path(__file__).resolve().parents[2]
    try:
        done = subprocess.run(command, capture_output=True, timeout=_TIMEOUT_S, env=environment, cwd=place)
    except subprocess.TimeoutExpired:
        raise FormatError(
            f"{files[0].parent}: reading its .mat files took more than {_TIMEOUT_S} s"
        ) from None
    lines = done.stdout.decode(errors="replace").splitlines()
    contents = []
    for i, file in enumerate(files):
        try:
            answer = json.loads(lines[i])
        except (IndexError, ValueError):
            raise FormatError(
                f"{file}: expected a MATLAB file; it is damaged: it crashed SciPy's reader"
            ) from None
        if "error" in answer:
            raise FormatError(f"{file}: {answer['error']}")
        contents.append(
            [Cell(tuple(cell["shape"]), cell["nonzero"], tuple(cell["values"])) for cell in answer["cells"]]
        )
    return contents


def _main(name: str, files: Sequence[str]) -> None:
    _limit_memory()
    for file in files:
        try:
            answer: dict[str, object] = {"cells": [asdict(cell) for cell in _read(Path(file), name)]}
        except FormatError as error:
            answer = {"error": str(error)}
        except OSError as error:
            answer = {"error": f"cannot be read: {error.strerror or error}"}
        except NotImplementedError:
            answer = {"error": "MATLAB's version 7.3 (HDF5); save it again with -v7"}
        except Exception as error:  # a damaged file ends in about any error
            answer = {"error": f"expected a MATLAB file; it is damaged or none ({error!s:.100})"}
        print(json.dumps(answer), flush=True)  # a crash is told from the lines that are there


def _limit_memory() -> None:
    try:
        import resource
    except ImportError:  # Windows
        return
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    limit = _MOST_MEMORY if hard == resource.RLIM_INFINITY else min(_MOST_MEMORY, hard)
    resource.setrlimit(resource.RLIMIT_AS, (limit, hard))


def _read(file: Path, name: str) -> Iterator[Cell]:
    import numpy as np
    from scipy.io import loadmat, whosmat

    size = file.stat().st_size
    if size > _MOST_BYTES:
        raise FormatError(f"{size >> 20} MiB; expected at most {_MOST_BYTES >> 20} MiB")
    kinds = {variable: kind for variable, _, kind in whosmat(file, appendmat=False)}
    if kinds.get(name) != "cell":
        found = ", ".join(f"{variable} ({kind})" for variable, kind in kinds.items())
        raise FormatError(f"expected a cell array {name}, found {short(found)}")
    for i, item in enumerate(loadmat(file, variable_names=[name], appendmat=False)[name].ravel()):
        if not isinstance(item, np.ndarray) or item.dtype.kind not in "biuf":
            raise FormatError(f"{name}{{{i + 1}}}: expected numbers, found {type(item).__name__}")
        few = item.size <= _MOST_VALUES
        values = tuple(item.astype(float).ravel().tolist()) if few else ()
        yield Cell(item.shape, bool(item.any()), values)


if __name__ == "__main__":
    _main(sys.argv[1], sys.argv[2:])
