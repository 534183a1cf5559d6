"""Read the parts of an import, one after the other or by several processes, which hand them over in order."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import pickle
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

from pipeline.io.import_checks import checked
from pipeline.workers import Tell, jobs_for, side_by_side
from pose_extract.errors import FormatError
from pose_extract.files import folder_beside, writing
from pose_extract.formats.base import get_format, read_part
from pose_extract.formats.options import ImportOptions
from pose_extract.tracks.records import ClipTracks

logger = logging.getLogger(__name__)

_KEY_VERSION = 2  # another one makes what was imported before be imported again
LAST = "last"
"""Ends the key of a part's last clip, so that a part that is wholly there needs not be read again."""
_WORTHWHILE = 64 << 20  # bytes from which processes that have to be started first are quicker

Items = Iterator[ClipTracks | FormatError]
ReadPart = tuple[Path, str | FormatError, Items]
"""A part, its key, or why it has none, and its clips."""


@dataclass(frozen=True)
class PartReader:
    """Reads the parts of one import.

    Attributes:
        format: a name in `pose_extract.formats.base.FORMATS`.
        options: what the format does not tell.
    """

    format: str
    options: ImportOptions

    def key(self, part: Path) -> str | FormatError:
        """Hash of a file's content, or a folder's files', and of everything that shapes what is made of it."""
        try:
            content = hashlib.sha256()
            files = [part] if part.is_file() else sorted(file for file in part.iterdir() if file.is_file())
            for file in files:
                with open(file, "rb") as stream:
                    digest = hashlib.file_digest(stream, "sha256").hexdigest()
                content.update(os.fsencode(f"{file.name}\0{digest}\n"))  # a name need not be UTF-8
        except OSError as error:
            return FormatError(f"{part}: cannot be read: {error.strerror or error}")
        shaping = {
            "version": _KEY_VERSION,
            "format": self.format,
            # Clips are named after their files, or folders and the folders around those.
            "name": part.resolve().parts[-1 if part.is_file() else -2 :],
            "content": content.hexdigest(),
            "options": plain_options(self.options),
        }
        return hashlib.sha256(json.dumps(shaping, sort_keys=True).encode()).hexdigest()

    def items(self, part: Path) -> Items:
        """A part's clips; what is damaged comes as an error in its place."""
        return checked(read_part(get_format(self.format), part, self.options), part)


def plain_options(options: ImportOptions) -> dict[str, Any]:
    """The options that shape what is read."""
    return {name: value for name, value in asdict(options).items() if name != "trust_pickle"}


def read_parts(
    reader: PartReader, parts: Sequence[Path], known: frozenset[str], beside: Path, jobs: int | None
) -> Generator[ReadPart, None, None]:
    """Yield the parts in their order; what is asked of a part's clips ends with the next part.

    Args:
        reader: of this import.
        parts: files or folders.
        known: keys of clips that are there: by several processes, what begins with one of these is not read before it
            is asked for.
        beside: where processes keep what waits for its turn, in a folder beside this.
        jobs: how many processes; None: as many as the machine carries, but one where there is little to read.
    """
    if jobs is None and not _is_much(parts):
        jobs = 1
    workers = jobs_for(len(parts), jobs)
    if workers == 1:
        for part in parts:
            yield part, reader.key(part), reader.items(part)
        return
    logger.info("%d files, %d at a time (--jobs)", len(parts), workers)
    new = [place for place in beside.parents[:2] if not place.exists()]
    try:
        with (
            folder_beside(beside) as folder,
            closing(
                side_by_side(partial(_worker, reader, known, folder), list(enumerate(parts)), workers)
            ) as all_done,
        ):
            waiting: dict[int, tuple[str | FormatError, Path | None]] = {}
            turn = 0
            for done in all_done:
                number, part = done.job
                waiting[number] = done.result or (FormatError(f"{part}: {done.why_lost('read it')}"), None)
                while turn in waiting:
                    key, kept = waiting.pop(turn)
                    part, turn = parts[turn], turn + 1
                    yield part, key, reader.items(part) if kept is None else _kept_items(kept)
                    if kept is not None:
                        kept.unlink(missing_ok=True)
    finally:
        for place in new:  # unless a clip has been put there
            with suppress(OSError):
                place.rmdir()


@contextmanager
def _worker(
    reader: PartReader, known: frozenset[str], folder: Path, tell: Tell
) -> Iterator[Callable[[tuple[int, Path]], tuple[str | FormatError, Path | None]]]:
    def read(job: tuple[int, Path]) -> tuple[str | FormatError, Path | None]:
        number, part = job
        key = reader.key(part)
        if isinstance(key, FormatError) or not known.isdisjoint((f"{key}-0", f"{key}-0-{LAST}")):
            return key, None
        path = folder / str(number)
        with writing(path), open(path, "wb") as file:
            for item in reader.items(part):
                pickle.dump(item, file, pickle.HIGHEST_PROTOCOL)
        return key, path

    yield read


def _kept_items(path: Path) -> Items:
    """What a process has read, clip by clip."""
    with open(path, "rb") as file:
        while True:
            try:
                item: ClipTracks | FormatError = pickle.load(file)
            except EOFError:
                return
            yield item


def _is_much(parts: Sequence[Path]) -> bool:
    """Whether there is enough to read for processes to be worth their start."""
    count = 0
    for part in parts:
        with suppress(OSError):  # reading it says what is wrong
            for file in (part,) if part.is_file() else part.iterdir():
                with suppress(OSError):
                    count += file.stat().st_size
                if count >= _WORTHWHILE:
                    return True
    return False
