"""Write files so that they are complete or absent, and say what stands in the way."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from pose_extract.errors import OutputError


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn the operating system's refusal to write ``path`` into an `OutputError` that says what to do."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            message = f"cannot write {path}: the disk is full. Free some space and run the command again"
        elif isinstance(error, FileNotFoundError):
            message = f"cannot write {path}: its folder does not exist"
        else:
            message = f"cannot write {path}: {error.strerror or error}"
        raise OutputError(message) from error


@contextmanager
def complete_or_absent(path: Path, mode: str = "w") -> Iterator[IO[Any]]:
    """Open ``path`` for writing so that it holds either the old content or all of the new.

    Args:
        path: the file; its folder is made if need be.
        mode: "w" for UTF-8 text, "wb" for bytes.

    Raises:
        OutputError: it cannot be written; nothing half-written is left.
    """
    partial = path.with_name(f".{path.name}.partial")
    text: dict[str, Any] = {} if "b" in mode else {"encoding": "utf-8", "newline": ""}
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.is_dir():
            raise IsADirectoryError(errno.EISDIR, "it is a folder; expected the name of a file")
        try:
            with open(partial, mode, **text) as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            os.replace(partial, path)
        finally:
            partial.unlink(missing_ok=True)


def write_atomically(path: Path, data: bytes) -> None:
    """Write ``data`` to ``path``, complete or not at all."""
    with complete_or_absent(path, "wb") as file:
        file.write(data)
