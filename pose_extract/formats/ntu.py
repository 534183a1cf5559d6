"""NTU RGB+D: ``.skeleton`` text files of a Kinect, 25 joints in metres, and where they are in the colour picture.

The file is a stream of numbers: frames; for each frame, bodies; for each body, ten numbers about it (its id first), its
joints, and for each joint x y z, place in the depth and in the colour picture, orientation, and whether it was tracked.
The name ``S001C002P003R002A013`` tells setup, camera, person, repetition and action.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pose_extract.errors import FormatError
from pose_extract.files import complete_or_absent, read_input
from pose_extract.formats.base import checked_for_export, files_in, targets
from pose_extract.formats.clip_builder import ClipSource, Rows, make_clip
from pose_extract.formats.options import ImportOptions
from pose_extract.formats.parsing import boxes_around
from pose_extract.skeletons import NTU25
from pose_extract.tracks.records import ClipTracks

_FPS, _SIZE = 30.0, (1920, 1080)  # of the colour camera, in whose pixels boxes are
_NAME = re.compile(r"S(\d{3})C(\d{3})P(\d{3})R(\d{3})A(\d{3})", re.IGNORECASE)
_NAME_PARTS = ("setup", "camera", "person", "repetition", "action")
_BODY, _JOINT = 10, 12  # numbers about each
_CONFIDENCE = np.array([0.0, 0.5, 1.0])  # not tracked, inferred, tracked
_COLOUR = slice(5, 7)
_FAR = 1e6
_INSIDE = 1.0 / 1.2  # share of a box that the joints' extent fills, with the margin that reading adds around


def find(path: Path) -> list[Path]:
    """Every ``.skeleton`` file."""
    return files_in(path, "*.skeleton")


def parse_name(name: str) -> dict[str, int]:
    """Setup, camera, person, repetition and action of a clip's name; nothing if it is named otherwise."""
    match = _NAME.search(name)
    return dict(zip(_NAME_PARTS, map(int, match.groups()), strict=True)) if match else {}


def read(part: Path, options: ImportOptions) -> Iterator[ClipTracks]:
    """The clip of a file; 30 fps unless the options say otherwise.

    A confidence is 1 where the Kinect tracked the joint, 0.5 where it inferred it, else 0. People are numbered as they
    come; ``provenance["import"]["bodies"]`` has the Kinect's ids.
    """
    values, frame, bodies, joints = _parse(part)
    order = list(dict.fromkeys(bodies))
    number = {body: i + 1 for i, body in enumerate(order)}
    rows = Rows()
    for index, body, start in zip(frame, bodies, joints, strict=True):
        table = values[start : start + 25 * _JOINT].reshape(25, _JOINT)
        state = np.clip(np.nan_to_num(table[:, -1], nan=0.0), 0, 2).astype(int)
        confidence = _CONFIDENCE[state][:, None]
        if np.abs(table[:, :3]).max() > _FAR:
            raise FormatError(
                f"{part}: frame {index}: expected joints in metres, found {np.abs(table[:, :3]).max():g}"
            )
        # A joint may be out of the colour picture and still be known in space.
        box = boxes_around(np.concatenate([table[:, _COLOUR], confidence], 1)[None])[0]
        rows.add(index, number[body], np.concatenate([table[:, :3], confidence], 1), box, str(part))
    rows.size = 4
    yield make_clip(
        rows,
        ClipSource(
            where=part,
            clip=part.stem,
            format_name="ntu",
            skeleton=NTU25,
            fps=options.rate(_FPS),
            frame_size=options.size(_SIZE),
            frame_count=int(values[0]),
            facts={**parse_name(part.stem), "bodies": order},
        ),
        options,
    )


def _parse(part: Path) -> tuple[NDArray[np.float64], list[int], list[str], list[int]]:
    """All numbers; and for each body its frame, its id and where its joints begin.

    Raises:
        FormatError: the file is empty, cut off, or holds something else.
    """
    words = read_input(part).split()
    if not words:
        raise FormatError(f"{part}: expected an NTU skeleton file, but it is empty")
    try:
        values = np.array(words, dtype="S32").astype(np.float64)
    except ValueError as error:
        raise FormatError(f"{part}: expected nothing but numbers: {error}") from None
    at = 0

    def count(what: str, most: int) -> int:
        nonlocal at
        if at >= len(values):
            raise FormatError(f"{part}: breaks off before {what}")
        number = values[at]
        if not (0 <= number <= most and number == int(number)):
            raise FormatError(f"{part}: expected {what}, 0..{most}, as number {at + 1}, found {number:g}")
        at += 1
        return int(number)

    frame: list[int] = []
    bodies: list[str] = []
    joints: list[int] = []
    frames = count("the number of frames", 1_000_000)
    for index in range(frames):
        for _ in range(count(f"the number of bodies in frame {index} of {frames}", 100)):
            at += _BODY
            found = count(f"the number of joints in frame {index}", 1000)
            if found != 25:
                raise FormatError(f"{part}: frame {index}: expected 25 joints, found {found}")
            if at + 25 * _JOINT > len(values):
                raise FormatError(f"{part}: breaks off in frame {index} of {frames}")
            frame.append(index)
            bodies.append(words[at - 1 - _BODY].decode(errors="replace"))
            joints.append(at)
            at += 25 * _JOINT
    if at != len(values):
        raise FormatError(f"{part}: expected {at} numbers for its {frames} frames, found {len(values)}")
    return values, frame, bodies, joints


def write(clips: Iterable[ClipTracks], path: Path) -> None:
    """Write one ``.skeleton`` file a clip of ntu25.

    A confidence becomes the nearest of 0, 0.5 and 1. Places in the colour picture are not known joint by joint: the
    body is drawn into its box as it is seen from the front, so that the box is kept.
    """
    for clip, file in targets(clips, path, ".skeleton"):
        checked_for_export(clip, "ntu", ("ntu25",), size=4)
        bounds = np.searchsorted(clip.frame, np.arange(clip.frame_count + 1)).tolist()
        with complete_or_absent(file) as out:
            out.write(f"{clip.frame_count}\n")
            for begin, end in pairwise(bounds):
                out.write(f"{end - begin}\n")
                for row in range(begin, end):
                    out.write(f"{clip.track[row]} 0 0 0 0 0 0 0 0 2\n25\n")
                    for line in _joint_table(clip.keypoints[row], clip.boxes[row]).tolist():
                        out.write(" ".join(f"{v:.9g}" for v in line[:-1]) + f" {int(line[-1])}\n")


def _joint_table(keypoints: NDArray[Any], box: NDArray[Any]) -> NDArray[np.float64]:
    """(25, 12) numbers of a body."""
    keypoints = keypoints.astype(np.float64)
    missing = ~np.isfinite(keypoints).all(1)
    keypoints[missing] = 0.0
    state = np.rint(keypoints[:, 3] * 2)
    state[missing] = 0.0
    table = np.zeros((25, _JOINT))
    table[:, :3] = keypoints[:, :3]
    table[:, -1] = state
    seen = state > 0
    if seen.any():
        # Metres point up, pixels down.
        points = keypoints[:, :2] * (1, -1)
        low, extent = points[seen].min(0), np.ptp(points[seen], axis=0)
        share = np.where(extent > 0, (points - low) / np.where(extent > 0, extent, 1.0), 0.5)
        size = (box[2:] - box[:2]).astype(np.float64)
        table[:, _COLOUR] = box[:2] + size * (0.5 + _INSIDE * (share - 0.5))
    return table
