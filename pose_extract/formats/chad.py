"""Read and write CHAD: a pickle a video, frame -> person -> array of a bounding box and keypoints.

Pickle is a program, and a file from elsewhere can make it do anything. These files are refused unless the user says
that they are to be trusted, and even then only numbers, text, lists, dictionaries and NumPy arrays are made from them
(see `pose_extract.formats.safe_pickle`). They are never written.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pose_extract.errors import FormatError, UsageError, short
from pose_extract.formats.base import files_in
from pose_extract.formats.clip_builder import ClipSource, Rows, make_clip
from pose_extract.formats.options import ImportOptions
from pose_extract.formats.parsing import frame_number, numbers
from pose_extract.formats.safe_pickle import load_plain_pickle
from pose_extract.tracks.records import ClipTracks

_FPS = 30.0
_NAME = re.compile(r"(?P<camera>[1-4])_(?P<video>\d+)_(?P<anomalous>[01])")


def find(path: Path) -> list[Path]:
    """Every ``.pkl`` file."""
    return files_in(path, "*.pkl", "*.pickle")


def read(part: Path, options: ImportOptions) -> Iterator[ClipTracks]:
    """The clip of a file; 30 fps, 1920x1080 (camera 4: 1280x720) unless the options say otherwise.

    Boxes are drawn around the joints: what the file's four numbers are is not stated anywhere.
    """
    if not options.trust_pickle:
        raise UsageError(
            f"{part}: a pickle file can run any program when it is read. If you trust where it comes from, ask for it "
            "(trust_pickle); even then nothing but numbers, text and arrays is taken from it"
        )
    content = load_plain_pickle(part)
    if not isinstance(content, dict):
        raise FormatError(
            f"{part}: expected a dictionary frame -> person -> array, found {type(content).__name__}"
        )
    rows = Rows()
    for number, persons in content.items():
        where = f"{part}: [{short(number)}]"
        if not isinstance(persons, dict):
            raise FormatError(
                f"{where}: expected a dictionary person -> array, found {type(persons).__name__}"
            )
        for person, value in persons.items():
            here = f"{where}[{short(person)}]"
            rows.add(_whole(number, where), _whole(person, here), _pose(value, here), None, here)
    match = _NAME.fullmatch(part.stem)
    yield make_clip(
        rows,
        ClipSource(
            where=part,
            clip=part.stem,
            format_name="chad",
            fps=options.rate(_FPS),
            frame_size=options.size((1280, 720) if match and match["camera"] == "4" else (1920, 1080)),
            facts={key: int(value) for key, value in match.groupdict().items()} if match else {},
        ),
        options,
    )


def _whole(value: Any, where: str) -> int:
    """A number, or the number in a text."""
    return frame_number(value.item() if isinstance(value, np.generic) else value, where)


def _pose(value: Any, where: str) -> NDArray[np.float64]:
    """(V, 3) joints from an array (or list) of a box and keypoints, flat or in pairs or triples."""
    items = value.tolist() if isinstance(value, np.ndarray) else value
    if not isinstance(items, (list, tuple)) or len(items) != 2:
        raise FormatError(f"{where}: expected an array of a box and keypoints, found {type(value).__name__}")
    box, keypoints = (
        numbers(item.tolist() if isinstance(item, np.ndarray) else item, where) for item in items
    )
    if box.size != 4:
        raise FormatError(f"{where}: expected a box of 4 numbers, found {box.size}")
    size = keypoints.shape[1] if keypoints.ndim == 2 else 3 if keypoints.size in (51, 54, 78) else 2
    if size not in (2, 3) or keypoints.size == 0 or keypoints.size % size:
        raise FormatError(
            f"{where}: expected x, y (and confidence) of each joint, found {keypoints.size} numbers"
        )
    pose = keypoints.reshape(-1, size)
    if size == 2:
        pose = np.concatenate([pose, (pose != 0).any(1, keepdims=True)], 1)
    return pose


def write(clips: Iterable[ClipTracks], path: Path) -> None:
    """Not possible: this program writes no pickle."""
    raise UsageError(
        "chad files are pickles, which this program never writes; export to gepc or coco instead"
    )
