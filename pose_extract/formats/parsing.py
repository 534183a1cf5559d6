"""Parse single values of a file: numbers, joints, boxes, frame numbers, names."""

from __future__ import annotations

import re
import struct
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pose_extract.errors import FormatError, short
from pose_extract.skeletons import SKELETONS, Skeleton

_MARGIN = 0.1  # of a box around joints, as a share of the joints' extent, on each side
_SKELETONS_BY_JOINTS = {17: "coco17", 18: "coco18", 25: "body25", 26: "halpe26"}
_FIRST_JOINTS = {136: "halpe26", 133: "coco17"}  # whole bodies, whose first joints are another skeleton's


def skeleton_of(joints: int, where: str) -> Skeleton:
    """The skeleton that an estimator's people with ``joints`` joints follow; of whole bodies, the body.

    Raises:
        FormatError: none is known with that many.
    """
    name = _SKELETONS_BY_JOINTS.get(joints) or _FIRST_JOINTS.get(joints)
    if name is None:
        known = ", ".join(map(str, sorted([*_SKELETONS_BY_JOINTS, *_FIRST_JOINTS])))
        raise FormatError(f"{where}: expected people of {known} joints, found {joints}")
    return SKELETONS[name]


def numbers(values: Any, where: str) -> NDArray[np.float64]:
    """A nested list of numbers as an array; null is NaN.

    Raises:
        FormatError: there is something else in it, or its lists differ in length.
    """
    try:
        array = np.asarray(values)
        if array.dtype.kind in "iuf" or array.size == 0:
            return array.astype(np.float64)
        if array.dtype.kind == "O":  # null, whole numbers beyond 64 bits, or lists that differ in length
            flat = array.ravel().tolist()
            if all(v is None or (isinstance(v, (int, float)) and not isinstance(v, bool)) for v in flat):
                return array.astype(np.float64)
    except (ValueError, OverflowError, RecursionError):
        pass
    raise FormatError(f"{where}: expected a list of numbers, found {short(values)}")


def joints_of(values: Any, where: str) -> NDArray[np.float64]:
    """Keypoints (V, 3) from a flat list x1, y1, c1, x2, … or from a list of triples."""
    array = numbers(values, where)
    if array.size == 0 or array.size % 3 or not (array.ndim == 1 or array.shape[1:] == (3,)):
        raise FormatError(
            f"{where}: expected x, y, confidence of each joint, found numbers of shape {array.shape}"
        )
    return array.reshape(-1, 3)


def stack_joints(people: Sequence[Any], where: str) -> NDArray[np.float64]:
    """Keypoints (M, V, 3) of M people, each a flat list x1, y1, c1, …, of as many joints.

    Raises:
        FormatError: names the first one that is something else.
    """
    if not people:
        return np.zeros((0, 0, 3))
    try:
        width = len(people[0])
        if width and width % 3 == 0:
            pack = struct.Struct(f"{width}d").pack  # three times as fast as NumPy makes an array of lists
            return np.frombuffer(b"".join([pack(*pose) for pose in people])).reshape(len(people), -1, 3)
    except (TypeError, struct.error, OverflowError):
        pass
    each = [joints_of(values, f"{where}, pose {i}") for i, values in enumerate(people)]
    for i, keypoints in enumerate(each):
        if len(keypoints) != len(each[0]):
            raise FormatError(
                f"{where}, pose {i}: expected {len(each[0])} joints as in pose 0, found {len(keypoints)}"
            )
    return np.stack(each)


def box_from_size(values: Any, where: str) -> NDArray[np.float64]:
    """x1 y1 x2 y2 from x, y, width, height; NaN where there is none."""
    if values is None:
        return np.full(4, np.nan)
    box = numbers(values, where)
    if box.shape != (4,):
        raise FormatError(f"{where}: expected x, y, width, height, found {short(values)}")
    box[2:] += box[:2]
    return box


def box_as_size(box: NDArray[Any]) -> list[float] | None:
    """x, y, width, height of x1 y1 x2 y2; None of a box that has NaN, which JSON cannot hold."""
    if not np.isfinite(box).all():
        return None
    x1, y1, x2, y2 = box.tolist()
    return [x1, y1, x2 - x1, y2 - y1]


def finite_joints(keypoints: NDArray[Any]) -> NDArray[np.float64]:
    """Keypoints for formats that know no NaN: a joint that has one is all 0."""
    return np.where(np.isfinite(keypoints).all(-1, keepdims=True), keypoints, 0.0).astype(np.float64)


def boxes_around(keypoints: NDArray[Any]) -> NDArray[np.float64]:
    """Boxes (M, 4) around the joints that were found, with a margin; NaN where none was."""
    columns = [
        np.ascontiguousarray(keypoints[..., i].T) for i in (0, 1, -1)
    ]  # NumPy is fast along long axes only
    seen = np.isfinite(columns).all(0) & (columns[2] > 0)
    if keypoints.shape[2] > 3:
        seen &= np.isfinite(keypoints).all(-1).T
    corners = [
        reduce(np.where(seen, column, end), axis=0, initial=end).astype(np.float64)
        for reduce, end in ((np.min, np.inf), (np.max, -np.inf))
        for column in columns[:2]
    ]
    low, high = np.stack(corners[:2], 1), np.stack(corners[2:], 1)
    found = seen.any(0)
    low[~found], high[~found] = np.nan, np.nan
    margin = np.maximum(_MARGIN * (high - low), 0.5)
    return np.concatenate([low - margin, high + margin], 1)


def clip_name(text: str) -> str:
    """A name that is safe as a file's: it comes out of somebody else's file."""
    return re.sub(r"[^\w.\-]+", "_", text).strip("._")[:200] or "clip"


def frame_number(name: Any, where: str) -> int:
    """The number that a file name or key ends with: 12 of ``"frame_000012.jpg"``; whole numbers are themselves."""
    if isinstance(name, int) and not isinstance(name, bool):
        return name
    if isinstance(name, float) and name.is_integer():
        return int(name)
    if isinstance(name, str):
        if re.fullmatch(r"-\d{1,18}", name):
            return int(name)
        found = re.findall(r"\d{1,18}", name.rsplit("/", 1)[-1].split(".")[0])
        if found:
            return int(found[-1])
    raise FormatError(f"{where}: expected a frame's number or a name that has one, found {short(name)}")
