"""Videos by address (``s3://bucket/cam1/``, any that fsspec knows): found, told apart, fetched to be read."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any

from pose_extract.errors import UsageError, VideoError
from pose_extract.files import plain_name, scratch_folder
from pose_extract.video.sources import VIDEO_SUFFIXES, VideoSource, natural_key, with_unique_names

INSTALL = "pip install 'gepc-pipeline[ray]'"


def is_address(name: str) -> bool:
    """Whether a name is an address, and no file or folder."""
    return "://" in name and not os.path.lexists(name)


def find_by_address(address: str) -> list[VideoSource]:
    """The videos at an address, in a fixed order: one, those of a folder at any depth, or those that match a pattern.

    Raises:
        VideoError: there is none, or it cannot be looked up.
        UsageError: what that takes is not installed.
    """
    system, path = _system(address)
    try:
        if "*" in path:
            found = [name for name in system.glob(path) if not _is_hidden(name, path) and system.isfile(name)]
        elif system.isdir(path):
            found = [
                name
                for name in system.find(path)
                if PurePosixPath(name).suffix.lower() in VIDEO_SUFFIXES and not _is_hidden(name, path)
            ]
        else:
            found = [path] if system.exists(path) else []
    except Exception as error:  # each system has its own
        raise _not_read(address, error) from error
    if not found:
        raise VideoError(f"{address}: there is no video")
    sources = []
    for name in sorted(found, key=natural_key):
        where = system.unstrip_protocol(name)
        sources.append(VideoSource(Path(where), "video", plain_name(PurePosixPath(name).stem), address=where))
    return with_unique_names(sources, Path(os.path.commonpath([source.path.parent for source in sources])))


def mark_of(address: str) -> str:
    """What tells the content at an address from another one without reading it: 32 hex digits.

    Raises:
        VideoError: it cannot be looked up.
    """
    system, path = _system(address)
    try:
        mark = system.ukey(path)
    except Exception as error:
        raise _not_read(address, error) from error
    return hashlib.blake2b(f"{address}\n{mark}".encode(), digest_size=16).hexdigest()


@contextmanager
def fetched(source: VideoSource) -> Iterator[VideoSource]:
    """The same video as a file of this machine, for as long as the block runs; what is one already stays as it is.

    Raises:
        VideoError: it cannot be read.
    """
    if not source.address or source.path.is_absolute():
        yield source
        return
    system, path = _system(source.address)
    with scratch_folder() as folder:
        place = folder / plain_name(PurePosixPath(path).name)
        try:
            system.get_file(path, str(place))
        except Exception as error:
            raise _not_read(source.address, error) from error
        try:
            yield replace(source, path=place)
        except VideoError as error:
            raise VideoError(str(error).replace(str(place), source.address)) from error


def _is_hidden(name: str, below: str) -> bool:
    """Whether a part of a name begins with a dot, beyond those that were asked for."""
    return any(
        part.startswith(".") for part in PurePosixPath(name).parts[len(PurePosixPath(below).parts) - 1 :]
    )


def _system(address: str) -> tuple[Any, str]:
    try:
        import fsspec
    except ModuleNotFoundError:
        raise UsageError(f"{address}: addresses need fsspec, which is not installed: {INSTALL}") from None
    try:
        found: tuple[Any, str] = fsspec.url_to_fs(address)
    except ImportError as error:  # it says which package
        raise UsageError(f"{address}: {error}") from error
    except Exception as error:
        raise _not_read(address, error) from error
    return found


def _not_read(address: str, error: Exception) -> VideoError:
    said = " ".join(str(error).split()) or type(error).__name__
    return VideoError(f"{address} cannot be read: {said}")
