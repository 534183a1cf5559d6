"""Cache tracks on disk: one NPZ a clip, written as a stream, complete or absent, read without loading it.

The members are uncompressed ``.npy`` files, so that they can be mapped into memory. Each has the checksum that the zip
format gives it; all but the features, which are most of a file, are checked against theirs when tracks are opened, by
reading them once. ``header`` is JSON in a uint8 array. No member is ever unpickled.
"""

from __future__ import annotations

import json
import os
import shutil
import struct
import zipfile
from contextlib import ExitStack, nullcontext, suppress
from pathlib import Path
from tempfile import SpooledTemporaryFile
from types import TracebackType
from typing import IO, Any

import numpy as np
from numpy.lib import format as npy_format
from numpy.typing import NDArray

from pose_extract.errors import CacheError
from pose_extract.files import open_input, place_beside, plain_name, refusal_explained, writing
from pose_extract.tracks.clip_time import clip_rate
from pose_extract.tracks.faults import fault_of
from pose_extract.tracks.header import check_header
from pose_extract.tracks.records import ClipTracks, PoseDetections
from pose_extract.tracks.things import THING_TYPES, ClipThings, Things

FORMAT = "gepc-tracks"
FORMAT_VERSION = 1
_MEMBERS: dict[str, type] = {
    "time_s": np.float64,
    "frame": np.int32,
    "track": np.int32,
    "keypoints": np.float32,
    "boxes": np.float32,
    "features": np.float16,
}
_THINGS: dict[str, type[np.generic]] = {
    "things_looked": np.int32,
    "things_frame": np.int32,
    **{f"things_{name}": kind for name, kind in THING_TYPES.items()},
}  # there only where things were looked for
_TYPES: dict[str, Any] = {**_MEMBERS, **_THINGS}
_HALF_MAX = float(np.finfo(np.float16).max)
_EPOCH = (1980, 1, 1, 0, 0, 0)  # zip members carry no time, so that equal tracks are equal files
_COPY_BYTES = 1 << 20
_IN_MEMORY = 1 << 20  # bytes of a member
_SOON_MADE = 1 << 20  # bytes of a file, at most, that is made again within minutes


class TracksWriter:
    """Writes one clip's tracks frame by frame; the file appears under its name when `finish` has been called.

    Used as a context manager: leaving it without `finish` leaves nothing behind.

    Args:
        path: the ``.npz`` to make. Rows wait in memory, or beside it in files without a name, until then.
        durable: whether it is on the disk when it is put in place. Not needed of what is soon made again: the next
            reader sees what a power cut has left of it, but for joints' features, which are not checked. A
            large file, which took hours, is on the disk all the same.
    """

    def __init__(self, path: Path, durable: bool = True) -> None:
        self.path, self._durable = path, durable
        self._place = ExitStack()
        self._files: dict[str, SpooledTemporaryFile[bytes]] = {}
        self._shapes: dict[str, tuple[int, ...]] = {}

    def __enter__(self) -> TracksWriter:
        with writing(self.path):
            self._partial, self._put = self._place.enter_context(place_beside(self.path))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for file in self._files.values():
            # a full disk shows again here, when the buffer is flushed; the first error is the one to report
            with nullcontext() if kind is None else suppress(OSError):
                file.close()
        self._place.close()

    def add_frame(self, time_s: float) -> None:
        """Count one more frame of the clip, shown at ``time_s``."""
        self._append("time_s", np.array([time_s], np.float64))

    def add_people(self, frame: int, ids: NDArray[np.int32], people: PoseDetections) -> None:
        """Append one frame's people (rows in order of their track id).

        Features are kept in float16: to three digits, and larger ones than 65504 as that.
        """
        if len(ids) == 0:
            return
        self._append("frame", np.full(len(ids), frame, np.int32))
        self._append("track", np.asarray(ids, np.int32))
        self._append("keypoints", people.keypoints.astype(np.float32, copy=False))
        self._append("boxes", people.boxes.astype(np.float32, copy=False))
        if people.features is not None:
            self._append("features", _half(people.features))

    def add_things(self, frame: int, things: Things | None) -> None:
        """Append the things of a frame; none of them says that somebody looked, None that nobody did."""
        if things is not None:
            looked = np.array([frame], np.int32)
            self._append_things(ClipThings(looked, np.full(len(things), frame, np.int32), things))

    def add_part(self, part: ClipTracks, first_frame: int = 0) -> None:
        """Append the frames and people of a part of a clip that begins at ``first_frame``."""
        for name in _MEMBERS:
            array = getattr(part, name)
            if array is None or len(array) == 0:
                continue
            if name == "frame":
                array = array + np.int32(first_frame)
            self._append(name, _half(array) if name == "features" else array)
        if part.things is not None:
            things, base = part.things, np.int32(first_frame)
            self._append_things(ClipThings(things.looked + base, things.frame + base, things.things))

    def _append_things(self, found: ClipThings) -> None:
        self._append("things_looked", found.looked)
        self._append("things_frame", found.frame)
        for name, kind in THING_TYPES.items():
            self._append(f"things_{name}", getattr(found.things, name).astype(kind, copy=False))

    def _append(self, name: str, rows: NDArray[Any]) -> None:
        with refusal_explained(self.path):
            if name not in self._files:
                self._files[name] = SpooledTemporaryFile(_IN_MEMORY, dir=str(self._partial.parent))  # noqa: SIM115, closed by __exit__
                self._shapes[name] = (0, *rows.shape[1:])
            self._files[name].write(np.ascontiguousarray(rows).reshape(-1).view(np.uint8).data)
        self._shapes[name] = (self._shapes[name][0] + len(rows), *self._shapes[name][1:])

    def read_times(self) -> NDArray[np.float64]:
        """The times of all frames counted so far, (F,)."""
        if "time_s" not in self._files:
            return np.zeros(0)
        self._files["time_s"].seek(0)
        return np.frombuffer(self._files["time_s"].read(), np.float64)

    @property
    def rows(self) -> int:
        """Number of rows (a person in a frame) so far."""
        return self._shapes.get("frame", (0,))[0]

    def finish_like(self, tracks: ClipTracks) -> None:
        """`finish` with everything but the arrays taken from ``tracks``."""
        self.finish(
            clip=tracks.clip,
            skeleton=tracks.skeleton,
            num_joints=tracks.keypoints.shape[1],
            fps=tracks.fps,
            frame_size=tracks.frame_size,
            provenance=tracks.provenance,
        )

    def finish(
        self,
        *,
        clip: str,
        skeleton: str,
        num_joints: int,
        fps: float,
        frame_size: tuple[int, int],
        provenance: dict[str, Any],
    ) -> None:
        """Put the file together and move it into place."""
        header = {
            "format": FORMAT,
            "version": FORMAT_VERSION,
            "clip": clip,
            "skeleton": skeleton,
            "fps": fps,
            "frame_size": list(frame_size),
            "provenance": provenance,
        }
        no_rows = {
            "time_s": (0,),
            "frame": (0,),
            "track": (0,),
            "keypoints": (0, num_joints, 3),
            "boxes": (0, 4),
        }
        with refusal_explained(self.path), open(self._partial, "wb") as file:
            with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED, allowZip64=True) as archive:
                text = json.dumps(header, sort_keys=True, allow_nan=False).encode()
                _write_member(archive, "header", (len(text),), np.dtype(np.uint8), text)
                for name, dtype in _TYPES.items():
                    shape = self._shapes.get(name, no_rows.get(name))
                    if shape is not None:
                        _write_member(archive, name, shape, np.dtype(dtype), self._files.get(name))
            file.flush()
            if self._durable or "features" in self._files or file.tell() > _SOON_MADE:
                os.fsync(file.fileno())
            file.close()
            self._put()


def _half(features: NDArray[Any]) -> NDArray[np.float16]:
    """In float16, where what is too large would become infinite if it were not clipped."""
    if features.dtype == np.float16:
        return features
    return np.clip(features, -_HALF_MAX, _HALF_MAX).astype(np.float16)


def _write_member(
    archive: zipfile.ZipFile,
    name: str,
    shape: tuple[int, ...],
    dtype: np.dtype[Any],
    data: bytes | IO[bytes] | None,
) -> None:
    with archive.open(zipfile.ZipInfo(f"{name}.npy", _EPOCH), "w", force_zip64=True) as member:
        npy_format.write_array_header_1_0(
            member, {"descr": npy_format.dtype_to_descr(dtype), "fortran_order": False, "shape": shape}
        )
        if isinstance(data, bytes):
            member.write(data)
        elif data is not None:
            data.flush()
            data.seek(0)
            shutil.copyfileobj(data, member, _COPY_BYTES)


def save_tracks(path: Path, tracks: ClipTracks) -> None:
    """Write ``tracks`` to ``path``, as `TracksWriter` does from a stream."""
    with TracksWriter(path) as writer:
        writer.add_part(tracks)
        writer.finish_like(tracks)


def load_tracks(path: Path, features: bool = True, no_frames: bool = False) -> ClipTracks:
    """Open a tracks file; its arrays are read from disk as they are touched.

    Args:
        path: the file.
        features: whether the joints' feature vectors come along, if it has some. They are not checked for damage.
        no_frames: whether it may be without frames, as a piece of a damaged video is.

    Raises:
        CacheError: the file is missing, damaged, compressed, or none of ours. Nothing in it is ever executed.
    """
    header, members = _open(path, check=True)
    try:
        vectors = members.pop("features", None)
        things = _things_in(members)
        tracks = ClipTracks(
            clip=plain_name(header["clip"]),
            skeleton=header["skeleton"],
            fps=clip_rate(members["time_s"], float(header["fps"])),
            frame_size=tuple(header["frame_size"]),
            provenance=header["provenance"],
            features=vectors if features else None,
            things=things,
            **members,
        )
        if fault := fault_of(tracks, no_frames):
            raise ValueError(fault)
        return tracks
    except Exception as error:
        said = f"{path}: damaged tracks file: {error}. Delete it and extract the clip again"
        raise CacheError(said) from error


def _things_in(members: dict[str, NDArray[Any]]) -> ClipThings | None:
    """Take the things out of a file's members; None where nobody looked for them."""
    own = {name: members.pop(name) for name in list(members) if name in _THINGS}
    if not own:
        return None
    things = Things(**{name: own[f"things_{name}"] for name in THING_TYPES})
    return ClipThings(own["things_looked"], own["things_frame"], things)


def load_header(path: Path) -> dict[str, Any]:
    """The JSON header of a tracks file: clip, skeleton, fps, frame_size, provenance. Raises like `load_tracks`."""
    return _open(path)[0]


def _open(path: Path, check: bool = False) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    try:
        size = path.stat().st_size
        with open_input(path) as file, zipfile.ZipFile(file) as archive:
            members = {
                info.filename.removesuffix(".npy"): _map_member(path, file, info, size)
                for info in archive.infolist()
            }
            for name in members.keys() - {"features"} if check else ():
                with archive.open(f"{name}.npy") as member:
                    while member.read(_COPY_BYTES):  # the zip module compares checksums at the end
                        pass
        header = json.loads(bytes(members.pop("header")), parse_constant=lambda _: None)  # NaN is no JSON
        if not isinstance(header, dict) or header.get("format") != FORMAT:
            raise ValueError("its header is not that of a tracks file")
        if header.get("version") != FORMAT_VERSION:
            raise CacheError(
                f"{path}: tracks format version {header.get('version')!r}, this program reads version "
                f"{FORMAT_VERSION}. Extract the clip again"
            )
        check_header(header)
        unknown = set(members) - set(_TYPES)
        if unknown:
            raise ValueError(f"unknown members {sorted(unknown)}")
        return header, members
    except CacheError:
        raise
    except FileNotFoundError:
        raise CacheError(f"{path}: there is no such tracks file") from None
    except OSError as error:
        raise CacheError(f"{path} cannot be read: {error.strerror or error}") from None
    except Exception as error:
        raise CacheError(
            f"{path}: expected a tracks file of gepc-pipeline, found something else or a damaged one ({error}). "
            "Extract the clip again"
        ) from error


def _map_member(path: Path, file: IO[bytes], info: zipfile.ZipInfo, size: int) -> NDArray[Any]:
    """Map one uncompressed member into memory; every length is checked against the file's before it is used."""
    if info.compress_type != zipfile.ZIP_STORED:
        raise ValueError(f"member {info.filename} is compressed, expected uncompressed members")
    file.seek(info.header_offset)
    local = file.read(30)
    if len(local) != 30 or local[:4] != b"PK\x03\x04":
        raise ValueError(f"member {info.filename} has no local header")
    name_length, extra_length = struct.unpack("<HH", local[26:30])
    file.seek(info.header_offset + 30 + name_length + extra_length)
    version = npy_format.read_magic(file)
    if version != (1, 0):
        raise ValueError(f"member {info.filename} has .npy version {version}")
    shape, fortran_order, dtype = npy_format.read_array_header_1_0(file)
    name = info.filename.removesuffix(".npy")
    expected = np.dtype(np.uint8 if name == "header" else _TYPES.get(name, np.float32))
    if fortran_order or dtype != expected:
        raise ValueError(f"member {info.filename} holds {dtype}, expected {expected} in C order")
    offset = file.tell()
    count = 1
    for length in shape:
        if length < 0:
            raise ValueError(f"member {info.filename} has shape {shape}")
        count *= length
    if offset + count * dtype.itemsize > size:
        raise ValueError(f"member {info.filename} of shape {shape} is longer than the file")
    if count == 0:
        return np.zeros(shape, dtype)
    return np.memmap(path, dtype, "r", offset, shape)
