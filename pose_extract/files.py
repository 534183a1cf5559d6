"""Write files so that they are complete or absent, and say what stands in the way.

The one writer of outputs. A regular file is written beside its place under a name of its own and renamed when it is
whole; a link is followed, so that it stays a link; pipes and devices are written directly. A temporary name is locked
while its process lives, so that the next run recognises what a killed one left, and clears it.
"""

from __future__ import annotations

import ctypes
import errno
import os
import re
import shutil
import stat
import tempfile
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import lru_cache
from pathlib import Path
from typing import IO, Any, BinaryIO

from pose_extract.errors import OutputError
from pose_extract.places import descriptor_of, is_stream, spare_models

try:
    import fcntl
except ImportError:  # Windows: no locks there, and nothing is cleared
    fcntl = None  # type: ignore[assignment]

_ENDING = ".gepc-part"
_NAME_SIGNS = 40  # of the file's own name in a temporary one: file systems allow 255 bytes
_ATTEMPTS = 20  # at a temporary name that others may clear before it is locked
_NO_WAITING = getattr(os, "O_NONBLOCK", 0)


@contextmanager
def writing(path: Path, into_model: bool = False) -> Iterator[None]:
    """Turn the operating system's refusal to write ``path`` into an `OutputError` that says what to do.

    Raises:
        OutputError: also where it lies in a model's folder, unless it is to (``into_model``).
    """
    if not into_model:
        spare_models(path)
    with refusal_explained(path):
        yield


@contextmanager
def refusal_explained(path: Path) -> Iterator[None]:
    """`writing` for one piece after another of a file whose place has been looked at."""
    try:
        yield
    except BrokenPipeError:
        raise  # who read a pipe has seen enough
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            message = f"cannot write {path}: the disk is full. Free some space and run the command again"
        elif isinstance(error, FileNotFoundError):
            message = f"cannot write {path}: its folder does not exist"
        else:
            message = f"cannot write {path}: {error.strerror or error}"
        raise OutputError(message) from error


@contextmanager
def complete_or_absent(path: Path, mode: str = "w", into_model: bool = False) -> Iterator[IO[Any]]:
    """Open ``path`` for writing so that it holds either the old content or all of the new.

    Args:
        path: the file; its folder is made if need be. "-" and what is no regular file (a pipe, a device) are written
            directly, as whoever reads them expects.
        mode: "w" for UTF-8 text, "wb" for bytes.
        into_model: whether it may be a file of a model.

    Raises:
        OutputError: it cannot be written; nothing half-written is left.
    """
    text: dict[str, Any] = {} if "b" in mode else {"encoding": "utf-8", "newline": ""}
    with writing(path, into_model):
        if is_stream(path):
            descriptor = descriptor_of(path)
            with open(path if descriptor is None else os.dup(descriptor), mode, **text) as file:
                yield file
            return
        with place_beside(path) as (partial, put), open(partial, mode, **text) as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
            file.close()
            put()


def open_input(path: str | Path) -> BinaryIO:
    """Open a file that a user names, to read its bytes.

    Raises:
        OSError: it cannot be opened, or is no regular file: a pipe would be waited for, a device be read for ever.
    """
    file = open(path, "rb", opener=lambda name, flags: os.open(name, flags | _NO_WAITING))  # noqa: SIM115
    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        file.close()
        raise OSError(errno.EINVAL, "it is a pipe or a device, expected a file", str(path))
    return file


def read_input(path: str | Path) -> bytes:
    """All bytes of a file that a user names; raises OSError as `open_input` does."""
    with open_input(path) as file:
        return file.read()


def plain_name(text: str) -> str:
    """A clip's name that files, terminals and spreadsheets take for a name, whatever it was: no formula, no control."""
    text = re.sub(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff/]", lambda sign: f"_{ord(sign[0]) & 0xFF:02x}", text)
    return "_" + text if text[:1] in ("", "=", "+", "-", "@") or text in (".", "..") else text


def write_atomically(path: Path, data: bytes, into_model: bool = False) -> None:
    """Write ``data`` to ``path``, complete or not at all; see `complete_or_absent`."""
    with complete_or_absent(path, "wb", into_model) as file:
        file.write(data)


@contextmanager
def place_beside(path: Path) -> Iterator[tuple[Path, Any]]:
    """A temporary file beside a file that is to be written, and what gives it that file's name.

    Yields:
        the path of an empty file to fill, and a function without arguments that puts it in place. What has not been put
        in place when the context ends is removed.

    Raises:
        OutputError: ``path`` is a folder, or no regular file.
        OSError: the folder cannot be written to.
    """
    target = _followed(path)
    if is_stream(path):
        raise OutputError(f"cannot write {path}: it is a pipe or a device; expected the name of a file")
    target.parent.mkdir(parents=True, exist_ok=True)
    if target.is_dir():
        raise IsADirectoryError(errno.EISDIR, "it is a folder; expected the name of a file")
    _clear(str(target.parent))
    partial, lock = _own(lambda: _empty_file(target))

    def put() -> None:
        with suppress(OSError):
            shutil.copymode(target, partial)  # of the file that was there
        os.replace(partial, target)

    try:
        yield partial, put
    finally:
        partial.unlink(missing_ok=True)
        if lock is not None:
            os.close(lock)


@contextmanager
def folder_beside(path: Path) -> Iterator[Path]:
    """A temporary folder beside a file or folder that is to be written; what is left of it at the end is removed."""
    target = _followed(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    _clear(str(target.parent))
    with _locked_folder(target.parent, f".{target.name[:_NAME_SIGNS]}.", _ENDING) as folder:
        yield folder


@contextmanager
def scratch_folder() -> Iterator[Path]:
    """A folder among the system's temporary ones, gone at the end; those that killed runs left are cleared first."""
    place = Path(tempfile.gettempdir())
    clear_left(place)
    with _locked_folder(place, ".scratch.", _ENDING) as folder:
        yield folder


def swap_folders(new: Path, target: Path) -> None:
    """Put folder ``new`` in the place of ``target`` at once; the old one, if any, is removed afterwards.

    Where the system cannot exchange two names in one step, there is a moment between two renames.
    """
    old = previous_of(target)
    if target.exists() and _exchange(new, target):
        old = new
    else:
        if target.exists():
            shutil.rmtree(old, ignore_errors=True)
            os.rename(target, old)
        os.rename(new, target)
    shutil.rmtree(old, ignore_errors=True)


def previous_of(target: Path) -> Path:
    """Where the old folder waits where names cannot be exchanged; it is still there if the program was killed."""
    return target.with_name(f".{target.name}.previous")


def _followed(path: Path) -> Path:
    """Where a file is to be; raises OSError if its link leads nowhere, round in a circle."""
    if (target := Path(os.path.realpath(path))).is_symlink():
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
    return target


def _lock(path: str | Path) -> int:
    """Open a file or folder and hold its lock while the descriptor is open; OSError if another process does."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        if fcntl is not None:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if not os.path.samestat(os.fstat(descriptor), os.lstat(path)):
            raise FileNotFoundError(errno.ENOENT, "it is gone", str(path))
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _own(make: Callable[[], Path]) -> tuple[Path, int | None]:
    """What ``make`` makes under a name that nobody else has, and the descriptor that holds its lock; None: no locks.

    What others have cleared, or are clearing, between making and locking is made again.
    """
    for _ in range(_ATTEMPTS):
        path = make()
        if fcntl is None:
            return path, None
        try:
            return path, _lock(path)
        except (FileNotFoundError, BlockingIOError):
            continue
        except OSError:
            return path, None  # a file system without locks
    raise OSError(errno.EBUSY, "temporary files vanish as soon as they are made")


def _empty_file(target: Path) -> Path:
    path = target.with_name(f".{target.name[:_NAME_SIGNS]}.{uuid.uuid4().hex[:8]}{_ENDING}")
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666))
    return path


@contextmanager
def _locked_folder(parent: Path, prefix: str, ending: str) -> Iterator[Path]:
    folder, lock = _own(lambda: Path(tempfile.mkdtemp(prefix=prefix, suffix=ending, dir=parent)))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        if lock is not None:
            os.close(lock)


@lru_cache(maxsize=4096)
def _clear(folder: str) -> None:
    """Remove what killed runs left in a folder; once a process, since folders may hold very many files."""
    clear_left(Path(folder))


def clear_left(folder: Path) -> None:
    """Remove the half-written files and folders that killed runs left in a folder; those in somebody's hand stay."""
    for entry in _listed(folder):
        if entry.name.startswith(".") and entry.name.endswith(_ENDING):
            _remove_if_left(entry)


def _listed(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except OSError:
        return []


def _remove_if_left(entry: os.DirEntry[str]) -> None:
    """Remove a temporary file or folder whose process lives no more: nobody holds its lock."""
    if fcntl is None or entry.is_symlink():
        return
    with suppress(OSError):
        descriptor = _lock(entry.path)
        try:
            if entry.is_dir(follow_symlinks=False):
                shutil.rmtree(entry.path, ignore_errors=True)
            else:
                os.unlink(entry.path)
        finally:
            os.close(descriptor)


def _exchange(one: Path, other: Path) -> bool:
    """Exchange two names in one step, where the system can (Linux's renameat2)."""
    try:
        rename = ctypes.CDLL(None, use_errno=True).renameat2
    except (OSError, AttributeError, TypeError):
        return False
    at_cwd, exchange = -100, 2
    return rename(at_cwd, os.fsencode(one), at_cwd, os.fsencode(other), exchange) == 0
