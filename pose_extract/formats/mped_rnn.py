"""MPED-RNN's trajectories: ``trajectories/<camera>/<clip>/<person>.csv``, a row a frame: frame, x0, y0, x1, y1, …

COCO's 17 joints in pixels, frames from 0, no confidence: a joint at (0, 0) is missing, the others are certain.
"""

from __future__ import annotations

import logging
import re
import warnings
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pose_extract.errors import FormatError
from pose_extract.files import complete_or_absent, open_input
from pose_extract.formats.base import ExportFolders, checked_for_export
from pose_extract.formats.clip_builder import ClipSource, Rows, make_clip
from pose_extract.formats.options import ImportOptions
from pose_extract.formats.parsing import clip_name, finite_joints, skeleton_of
from pose_extract.tracks.records import ClipTracks

logger = logging.getLogger(__name__)


def find(path: Path) -> list[Path]:
    """Every folder of persons' files; but not the release's camera ``00``, which holds all the others again."""
    folder = path.parent if path.is_file() else path
    found = sorted({file.parent for file in folder.rglob("*.csv")})
    if not found:
        raise FormatError(
            f"{path}: expected folders <camera>/<clip> with a file <person>.csv for each person"
        )
    cameras = {clip.parent for clip in found}
    again = {
        camera
        for camera in cameras
        if camera.name == "00"
        and any(c.parent == camera.parent and c.name.isdigit() and c != camera for c in cameras)
    }
    for camera in sorted(again):
        logger.warning("%s: left out, it holds the other cameras' people again", camera)
    return [clip for clip in found if clip.parent not in again]


def read(part: Path, options: ImportOptions) -> Iterator[ClipTracks | FormatError]:
    """The clip of a folder, named ``<camera>_<clip>``; a damaged person's file is reported and left out."""
    rows = Rows()
    for file in sorted(part.glob("*.csv")):
        try:
            table = _table(file)
            joints = (table.shape[1] - 1) // 2
            skeleton_of(joints, str(file))
            points = table[:, 1:].reshape(len(table), joints, 2)
            seen = (points != 0).any(-1, keepdims=True)
            person = int(file.stem) if re.fullmatch(r"\d{1,9}", file.stem) else file.stem
            numbers = table[:, 0].astype(np.int64).tolist()
            rows.extend(numbers, [person] * len(table), np.concatenate([points, seen], -1), None, str(file))
        except FormatError as error:
            yield error
    if not len(rows):
        return
    folder = part.resolve()
    camera = folder.parent.name
    yield make_clip(
        rows,
        ClipSource(
            where=part,
            clip=f"{camera}_{folder.name}" if re.fullmatch(r"\d+", camera) else folder.name,
            format_name="mped-rnn",
            fps=options.rate(),
            frame_size=options.size(),
        ),
        options,
    )


def _table(file: Path) -> NDArray[np.float64]:
    """(rows, 1 + 2 V) numbers. Raises FormatError that names the line at which something else is."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # an empty file; it is an error of ours
            with open_input(file) as lines:
                table = np.loadtxt(lines, delimiter=",", ndmin=2, encoding="utf-8-sig")
    except OSError as error:
        raise FormatError(f"{file}: cannot be read: {error.strerror or error}") from None
    except UnicodeDecodeError:
        raise FormatError(f"{file}: expected lines of numbers, found bytes that are no text") from None
    except ValueError as error:
        raise FormatError(f"{file}: expected lines of numbers, frame,x0,y0,…: {error}") from None
    if table.size == 0:
        raise FormatError(f"{file}: expected lines of numbers, but it is empty")
    if table.shape[1] % 2 == 0:
        raise FormatError(f"{file}: expected a frame and pairs x, y, found {table.shape[1]} columns")
    frame = table[:, 0]
    whole = (np.abs(frame) < 1e9) & (frame == np.floor(frame))
    if not whole.all():
        line = int((~whole).argmax())
        raise FormatError(f"{file}: line {line + 1}: expected a frame number, found {frame[line]:g}")
    return np.asarray(table, np.float64)


def write(clips: Iterable[ClipTracks], path: Path) -> None:
    """Write ``path/trajectories/<camera>/<clip>/<person>.csv`` for clips of coco17, coco18, halpe26 or body25.

    A clip ``01_0014`` is clip 0014 of camera 01, one of another name is of camera 01. Confidences are lost: a joint of
    confidence 0 is missing, the others are certain.
    """
    folders = ExportFolders()
    for clip in clips:
        checked_for_export(clip, "mped-rnn", ("coco17", "coco18", "halpe26", "body25"))
        match = re.fullmatch(r"(\d+)_(.+)", clip.clip)
        camera, name = (match[1], match[2]) if match else ("01", clip.clip)
        folder = path / "trajectories" / camera / clip_name(name)
        ids = np.unique(clip.track).tolist()
        folders.check(folder, clip.clip, "*.csv", frozenset(f"{person:04d}.csv" for person in ids))
        if not ids:
            logger.warning("clip %s: nobody is in it, so mped-rnn has no file of it", clip.clip)
        for person in ids:
            rows = np.flatnonzero(clip.track == person)
            keypoints = finite_joints(clip.keypoints[rows])
            points = np.where(keypoints[..., 2:] > 0, keypoints[..., :2], 0.0).reshape(len(rows), -1)
            table = np.concatenate([clip.frame[rows, None], points], 1)
            with complete_or_absent(folder / f"{person:04d}.csv") as out:
                np.savetxt(out, table, delimiter=",", fmt="%.9g")
