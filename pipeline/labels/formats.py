"""Read labels that are stretches of frames: a CSV of intervals, UBnormal's track files, Avenue's .mat files."""

from __future__ import annotations

import logging
import math
import re
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipeline.labels.mat_files import read_cells
from pose_extract.errors import FormatError, short
from pose_extract.tables import read_table

Mask = NDArray[np.bool_]
Times = Mapping[str, NDArray[np.float64]]
"""clip -> the time of each of its frames in seconds, (F,)"""

logger = logging.getLogger(__name__)

_COLUMNS = (("start_frame", "end_frame"), ("first_frame", "last_frame"), ("start_s", "end_s"))
_COLUMNS_TEXT = (
    "expected columns clip and either start_frame,end_frame (the end is the first frame after), first_frame,last_frame "
    "(both are abnormal) or start_s,end_s (seconds)"
)
_SLACK_S = 1.0  # by which an interval in seconds may end after its clip: people round


def read_intervals(path: Path, clips: Times, others: bool = False) -> dict[str, Mask]:
    """Masks of all ``clips`` from a CSV with a row an abnormal stretch.

    The columns say what they hold: ``clip,start_frame,end_frame``: frames from 0, the end is the first frame that is no
    longer abnormal; ``clip,first_frame,last_frame``: both are abnormal; ``clip,start_s,end_s``: the frames shown at
    start_s <= time < end_s, in seconds or as ``minutes:seconds``. Further columns are ignored. A clip without a row is
    normal throughout. With ``others``, rows of clips that are not among these are passed over.

    Raises:
        FormatError: names the line; columns are missing, a clip is unknown, an interval is reversed, empty, outside its
            clip, or overlaps another.
    """
    rows = _read_rows(path)
    columns = next((c for c in _COLUMNS if set(c) <= set(rows[0][1])), None)
    if "clip" not in rows[0][1] or columns is None:
        raise FormatError(f"{path}: {_COLUMNS_TEXT}; found {short(','.join(rows[0][1]))}")
    stretches: dict[str, list[tuple[int, int, int]]] = {}
    for line, row in rows[1:]:
        where = f"{path}: line {line}"
        if len(row) != len(rows[0][1]):
            raise FormatError(
                f"{where}: expected {len(rows[0][1])} values as in the first line, found {len(row)}"
            )
        entry = dict(zip(rows[0][1], row, strict=True))
        clip = _clip_called(entry["clip"], clips)
        if clip not in clips:
            if others:
                continue
            raise FormatError(f"{where}: there is no clip {short(clip)}; there are {_some(clips)}")
        start, end = (_seconds if columns[0] == "start_s" else _frames)(columns, entry, clips[clip], where)
        stretches.setdefault(clip, []).append((start, end, line))
    masks = {clip: np.zeros(len(times), np.bool_) for clip, times in clips.items()}
    for clip, found in stretches.items():
        found.sort()
        for (_, end, line), (start, _, other) in pairwise(found):
            if start < end:
                raise FormatError(
                    f"{path}: lines {line} and {other}: two intervals of the clip {clip} overlap"
                )
        for start, end, _ in found:
            masks[clip][start:end] = True
    return masks


def _read_rows(path: Path) -> list[tuple[int, list[str]]]:
    """(line number, values) of each line that is not empty, the header first."""
    rows = read_table(path)
    if not rows:
        raise FormatError(f"{path}: {_COLUMNS_TEXT}; the file is empty")
    return rows


def _clip_called(name: str, clips: Times) -> str:
    """The clip of this name, or of a video's file of this name; the name itself if there is none."""
    file = re.split(r"[\\/]", name)[-1]
    return next((each for each in (name, file, file.rpartition(".")[0]) if each in clips), name)


def _frames(
    columns: tuple[str, str], entry: dict[str, str], times: NDArray[np.float64], where: str
) -> tuple[int, int]:
    """(first frame, frame after the last) of a row with frame numbers."""
    for column in columns:
        if not re.fullmatch(r"\d{1,9}", entry[column]):
            raise FormatError(
                f"{where}: {column}: expected a frame number from 0, found {short(entry[column])}"
            )
    start, end = int(entry[columns[0]]), int(entry[columns[1]])
    inclusive = columns[1] == "last_frame"
    if end < start or (end == start and not inclusive):
        raise FormatError(f"{where}: {columns[1]} {end} must come after {columns[0]} {start}")
    end += inclusive
    if end > len(times):
        raise FormatError(
            f"{where}: the clip {entry['clip']} has {len(times)} frames, this interval ends at {end}"
        )
    return start, end


def _seconds(
    columns: tuple[str, str], entry: dict[str, str], times: NDArray[np.float64], where: str
) -> tuple[int, int]:
    """The same of a row with times."""
    start_s, end_s = (_time(entry[column], f"{where}: {column}") for column in columns)
    if end_s <= start_s:
        raise FormatError(f"{where}: end_s {end_s:g} must come after start_s {start_s:g}")
    last = float(times[-1]) if len(times) else 0.0
    if end_s > last + _SLACK_S:
        raise FormatError(
            f"{where}: the last frame of the clip {entry['clip']} is at {last:.2f} s, found {end_s:g}"
        )
    start, end = np.searchsorted(times, [start_s, end_s])
    if start == end:
        raise FormatError(
            f"{where}: no frame of the clip {entry['clip']} is shown from {start_s:g} to {end_s:g} s"
        )
    return int(start), int(end)


def _time(text: str, where: str) -> float:
    """Seconds; also of ``12:34.5`` and ``1:02:03``."""
    if re.fullmatch(r"(\d+:){0,2}\d+(\.\d*)?", text):
        seconds = sum(60**i * float(part) for i, part in enumerate(reversed(text.split(":"))))
        if math.isfinite(seconds):
            return seconds
    raise FormatError(f"{where}: expected seconds from 0, or minutes:seconds, found {short(text)}")


def _some(clips: Times) -> str:
    names = sorted(clips)
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")


def read_ubnormal(path: Path, clips: Times) -> dict[str, Mask]:
    """Masks of all ``clips`` from UBnormal's ``<clip>_tracks.txt``, in folders of any depth.

    A line is an abnormal object: its id, first and last frame, from 0, the last one included (so the data set's own
    ``write_frame_level_ground_truth.py`` reads them; it leaves ``<clip>_new_tracks.txt`` alone, and so do we). Objects
    may overlap in time. Clips called ``normal_…`` have no file and are normal. Frames after a clip's last one are left
    out, with a warning: poses do not tell how long a clip goes on without people.

    Raises:
        FormatError: a clip called ``abnormal_…`` has no file, or a file is damaged.
    """
    files = {
        file.name.removesuffix("_tracks.txt"): file
        for file in sorted(path.rglob("*_tracks.txt"))
        if not file.name.endswith("_new_tracks.txt")
    }
    if not files:
        raise FormatError(f"{path}: expected UBnormal's files <clip>_tracks.txt, found none")
    missing = sorted(clip for clip in clips if clip not in files and not clip.startswith("normal_"))
    if missing:
        raise FormatError(
            f"{path}: expected <clip>_tracks.txt for {_some(dict.fromkeys(missing, np.zeros(0)))}"
        )
    masks = {}
    for clip, times in clips.items():
        masks[clip] = np.zeros(len(times), np.bool_)
        if clip not in files:
            continue
        beyond = 0
        for first, last in _object_frames(files[clip]):
            masks[clip][first : last + 1] = True
            beyond = max(beyond, last + 1 - max(first, len(times)))
        if beyond:
            logger.warning(
                "%s: %d labelled frames lie after the clip's end (%d frames)", files[clip], beyond, len(times)
            )
    return masks


def _object_frames(file: Path) -> list[tuple[int, int]]:
    """(first, last) frame of each object of a track file."""
    found = []
    for line, values in _read_rows(file):
        where = f"{file}: line {line}"
        try:
            numbers = [float(value) for value in values]
        except ValueError:
            numbers = []
        if len(numbers) < 3 or not all(0 <= n < 1e9 and n == int(n) for n in numbers[1:3]):
            raise FormatError(
                f"{where}: expected object, first frame, last frame, found {short(','.join(values))}"
            )
        if numbers[2] < numbers[1]:
            raise FormatError(f"{where}: last frame {numbers[2]:g} comes before the first, {numbers[1]:g}")
        found.append((int(numbers[1]), int(numbers[2])))
    return found


def read_avenue(path: Path, clips: Times | None, prefix: str = "") -> dict[str, Mask]:
    """Masks from CUHK Avenue's ``.mat`` files.

    Args:
        path: a folder of the data set's own ``<number>_label.mat`` (variable ``volLabel``: a mask of pixels a frame; a
            frame with any is abnormal), or the file ``avenue.mat`` in use elsewhere (variable ``gt``: first and last
            abnormal frame, from 1, of each stretch of each clip).
        clips: needed for the second form, which does not tell how long the clips are.
        prefix: clips are called ``<prefix>01``, ``<prefix>02``, …

    Raises:
        FormatError: a file is damaged or something else; MATLAB's objects and functions are never read.
    """
    if path.is_dir():
        files = sorted(
            (int(m[1]), file)
            for file in path.rglob("*.mat")
            if (m := re.fullmatch(r"(\d{1,6})_label", file.stem))
        )
        if not files:
            raise FormatError(f"{path}: expected Avenue's files <number>_label.mat, found none")
        numbers = [number for number, _ in files]
        if len(set(numbers)) < len(numbers):
            raise FormatError(f"{path}: there are two label files of one number")
        volumes = read_cells([file for _, file in files], "volLabel")
        return {
            f"{prefix}{number:02d}": np.array([frame.nonzero for frame in volume], np.bool_)
            for number, volume in zip(numbers, volumes, strict=True)
        }
    masks = {}
    for i, cell in enumerate(read_cells([path], "gt")[0]):
        clip, where = f"{prefix}{i + 1:02d}", f"{path}: gt{{{i + 1}}}"
        if clips is None or clip not in clips:
            raise FormatError(
                f"{where}: this file does not tell how many frames the clip {clip} has, and its tracks "
                "are not there either"
            )
        mask = np.zeros(len(clips[clip]), np.bool_)
        if cell.values and cell.shape[0] != 2:
            raise FormatError(
                f"{where}: expected first and last frame of each stretch (2 rows), found shape {cell.shape}"
            )
        count = len(cell.values) // 2
        for first, last in zip(cell.values[:count], cell.values[count:], strict=True):
            if not (1 <= first <= last <= len(mask) and first == int(first) and last == int(last)):
                raise FormatError(
                    f"{where}: expected frames 1 to {len(mask)}, first before last, found {first:g} to {last:g}"
                )
            mask[int(first) - 1 : int(last)] = True
        masks[clip] = mask
    return masks
