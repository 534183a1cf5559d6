"""Store a clip's crop features on disk, beside its tracks: float16, in chunks, mapped into memory.

``<clip>.patches/`` holds ``header.json`` and chunks ``00000.npy``, ... of (rows, V, D), a row for each row of the
tracks, in their order. A chunk is complete or absent; what is there when a run is cut off is kept.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pose_extract.errors import CacheError, WeightsError
from pose_extract.files import complete_or_absent, read_input, write_atomically, writing
from pose_extract.tracks.feature_rows import FeatureRows

FORMAT, VERSION = "gepc-patches", 1
CHUNK_ROWS = 4096
_HEADER = "header.json"


def patches_path(tracks: Path) -> Path:
    """Where the crop features of a tracks file lie."""
    return tracks.with_name(f"{tracks.stem}.patches")


def disk_bytes(rows: int, joints: int, channels: int) -> int:
    """What the features of so many rows take on disk, file headers left out."""
    return rows * joints * channels * np.dtype(np.float16).itemsize


class PatchStore:
    """The features of one clip.

    Args:
        folder: ``<clip>.patches``.
        identity: what makes them: crops' settings, hash of the network, hash of the tracks.
        shape: (M, V, D) of all rows.
    """

    def __init__(self, folder: Path, identity: dict[str, Any], shape: tuple[int, int, int]) -> None:
        self.folder, self.identity, self.shape = folder, identity, shape

    @property
    def chunks(self) -> int:
        """How many chunks there will be."""
        return -(-self.shape[0] // CHUNK_ROWS)

    @property
    def is_begun(self) -> bool:
        """Whether what is there is of this kind, as far as it goes."""
        return read_header(self.folder) == self._header()

    def begin(self) -> int:
        """Get ready to write; returns how many chunks are there before the first that is not, or is of no use.

        Chunks of another kind are removed.
        """
        if not self.is_begun:
            with writing(self.folder):
                shutil.rmtree(self.folder, ignore_errors=True)
                self.folder.mkdir(parents=True)
            write_atomically(self.folder / _HEADER, json.dumps(self._header(), sort_keys=True).encode())
        for number in range(self.chunks):
            try:
                _open_chunk(self.folder, number, self.shape)
            except (OSError, ValueError, EOFError):
                return number
        return self.chunks

    def write(self, number: int, features: NDArray[np.float16]) -> None:
        """Write chunk ``number``: rows number * CHUNK_ROWS and on.

        Raises:
            CacheError: another process has begun others there, which must not be mixed with these.
            OutputError: it cannot be written.
        """
        want = _chunk_shape(number, self.shape)
        if features.shape != want or features.dtype != np.float16:
            raise ValueError(f"PatchStore: expected {want} float16, got {features.shape}")
        if not self.is_begun:
            raise CacheError(
                f"{self.folder}: another process makes other features of this clip; run this again when it is done"
            )
        with complete_or_absent(_chunk(self.folder, number), "wb") as file:
            np.lib.format.write_array(file, features, version=(1, 0), allow_pickle=False)

    def _header(self) -> dict[str, Any]:
        return {"format": FORMAT, "version": VERSION, "shape": list(self.shape), "identity": self.identity}


def read_header(folder: Path) -> dict[str, Any] | None:
    """What a folder of features says of itself; None if there is none, or none of ours."""
    try:
        header = json.loads(read_input(folder / _HEADER))
    except (OSError, ValueError, RecursionError):
        return None
    fits = isinstance(header, dict) and header.get("format") == FORMAT and header.get("version") == VERSION
    return header if fits and isinstance(header.get("identity"), dict) else None


def open_patches(folder: Path, rows: int) -> FeatureRows:
    """The features of a clip of ``rows`` rows, read as they are asked for.

    Raises:
        CacheError: they are not complete, damaged, or of another clip.
    """
    header = read_header(folder)
    try:
        if header is None:
            raise ValueError("there are no complete features")
        count, joints, channels = (int(n) for n in header["shape"])
        if count != rows:
            raise ValueError(f"they are of {count} rows of tracks, expected {rows}")
        if not rows:
            return FeatureRows([np.zeros((0, joints, channels), np.float16)])
        shape = count, joints, channels
        return FeatureRows([_open_chunk(folder, number, shape) for number in range(-(-count // CHUNK_ROWS))])
    except (OSError, ValueError, KeyError, TypeError, EOFError) as error:
        raise CacheError(
            f"{folder}: no usable patch features: {error}. Make them again: gepc-pipeline patches"
        ) from error


def _chunk(folder: Path, number: int) -> Path:
    return folder / f"{number:05d}.npy"


def _chunk_shape(number: int, shape: tuple[int, int, int]) -> tuple[int, int, int]:
    """That of a chunk of features of ``shape``."""
    return (min(CHUNK_ROWS, shape[0] - number * CHUNK_ROWS), *shape[1:])


def _open_chunk(folder: Path, number: int, shape: tuple[int, int, int]) -> NDArray[np.float16]:
    """Map a chunk of features of ``shape``; raises OSError, ValueError or EOFError if it is not there, or damaged."""
    part, want = (
        np.load(_chunk(folder, number), mmap_mode="r", allow_pickle=False),
        _chunk_shape(number, shape),
    )
    if part.shape != want or part.dtype != np.float16:
        raise ValueError(f"chunk {number} holds {part.dtype} {part.shape}, expected float16 {want}")
    return part


def encoder_digest(path: Path) -> str:
    """SHA-256 of the file, in hexadecimal; raises WeightsError if it cannot be read."""
    try:
        return hashlib.sha256(read_input(path)).hexdigest()
    except OSError as error:
        raise WeightsError(f"{path}: cannot be read: {error.strerror or error}") from error
