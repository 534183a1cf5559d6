"""Remove what is too old, or too much: by days and by bytes, and only files that `watch` has named."""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

from pose_extract.files import clear_left

logger = logging.getLogger(__name__)

_FOLDER = re.compile(r"\d{4}-\d\d-\d\d")
_TABLE = re.compile(r"events-(\d{4}-\d\d-\d\d)\.csv")
# Of an event's picture and clip: its id (camera, time, eight signs), as `Recorder` makes a name of it.
_RECORDED = re.compile(r"[A-Za-z0-9._-]*-\d{8}T\d{6}-[0-9a-f]{8}\.(jpg|mp4)")


@dataclass(frozen=True)
class Kept:
    """A file that may be removed.

    Attributes:
        day: of its events.
        changed_s: when it was written, for the order within a day.
        path: the file.
        nbytes: its size.
    """

    day: date
    changed_s: float
    path: Path
    nbytes: int


def kept_files(folders: Sequence[Path], tables: Sequence[Path] = ()) -> list[Kept]:
    """What `watch` has written, the oldest first.

    Args:
        folders: with a folder a day, of pictures or clips.
        tables: folders with a CSV table a day.
    """
    found = []
    for folder in folders:
        for below in _listed(folder):
            if _FOLDER.fullmatch(below.name) and below.is_dir() and not below.is_symlink():
                ours = (path for path in _listed(below) if _RECORDED.fullmatch(path.name))
                found += [_kept(below.name, path) for path in ours]
    for folder in tables:
        found += [_kept(match[1], path) for path in _listed(folder) if (match := _TABLE.fullmatch(path.name))]
    return sorted((kept for kept in found if kept is not None), key=lambda k: (k.day, k.changed_s, k.path))


def sweep(
    today: date, keep_days: int, keep_bytes: float, folders: Sequence[Path], tables: Sequence[Path] = ()
) -> tuple[int, int]:
    """Remove what is older than ``keep_days`` and, of pictures and clips, the oldest beyond ``keep_bytes``.

    Args:
        today: by the clock of the events, not of the files.
        keep_days: so many days besides today are kept; 0: all.
        keep_bytes: what pictures and clips may take together; 0: any size.
        folders: with a folder a day, of pictures or clips.
        tables: folders with a CSV table a day.

    Returns:
        How many files were removed, and the bytes that those take that are left.
    """
    files = kept_files(folders, tables)
    removed, left = 0, []
    for kept in files:
        old = keep_days and kept.day < today - timedelta(days=keep_days)
        if old and _remove(kept.path):
            removed += 1
        else:
            left.append(kept)
    pictures = [kept for kept in left if _RECORDED.fullmatch(kept.path.name)]
    total = sum(kept.nbytes for kept in pictures)
    for kept in pictures:
        if not keep_bytes or total <= keep_bytes:
            break
        if _remove(kept.path):
            removed += 1
            total -= kept.nbytes
    for folder in folders:
        for below in _listed(folder):
            if _FOLDER.fullmatch(below.name) and below.name != today.isoformat() and not below.is_symlink():
                clear_left(below)  # nobody writes there again
                with suppress(OSError):  # it is not empty
                    below.rmdir()
    if removed:
        logger.info("%d old files removed; pictures and clips take %.0f MiB", removed, total / 2**20)
    return removed, total


def _listed(folder: Path) -> list[Path]:
    try:
        return [path for path in folder.iterdir() if not path.name.startswith(".")]
    except OSError:
        return []


def _kept(day: str, path: Path) -> Kept | None:
    try:
        stat = path.lstat()
        return Kept(date.fromisoformat(day), stat.st_mtime, path, stat.st_size)
    except (OSError, ValueError):
        return None


def _remove(path: Path) -> bool:
    try:
        path.unlink()
    except FileNotFoundError:
        return True
    except OSError as error:
        logger.warning("%s cannot be removed: %s", path, error.strerror or error)
        return False
    return True
