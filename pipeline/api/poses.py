"""Poses at hand, in an array or a table, as the tracks of a clip."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pipeline.io.columns import joint_columns
from pose_extract.errors import UsageError, short
from pose_extract.formats.clip_builder import ClipSource, Rows, make_clip
from pose_extract.formats.options import ImportOptions
from pose_extract.tracks.records import ClipTracks

if TYPE_CHECKING:
    from pose_extract.skeletons import Skeleton

_WHERE = Path("poses")


def tracks_from(
    poses: Any,
    skeleton: Skeleton,
    fps: float | None,
    frame_size: tuple[int, int] | None,
    same_people: bool,
    clip: str,
) -> ClipTracks:
    """The tracks of people whose poses are at hand.

    Args:
        poses: (F, P, V, 3) x px, y px, confidence of P people in F frames; NaN or confidence 0: a joint is missing, all
            joints missing: nobody is there. Or a table (pandas, polars) with the columns ``frame`` (from 0),
            ``track_id`` and, for each joint, ``<joint>_x``, ``<joint>_y`` and ``<joint>_confidence``.
        skeleton: whose V joints these are.
        fps: frames a second.
        frame_size: (width, height) in pixels.
        same_people: whether a place in the array, or a track_id, is the same person in every frame; if not, people are
            followed.
        clip: its name.

    Raises:
        UsageError: fps or frame_size is missing, or the shape or a column is not as expected.
        FormatError: values are no poses in pixels of the frame.
    """
    if fps is None or frame_size is None:
        raise UsageError(
            "poses in an array or a table do not tell the frame rate and the frame size: give fps=25 and "
            "frame_size=(1280, 720)"
        )
    if not isinstance(fps, (int, float, np.number)):
        raise UsageError(f"fps: expected a number, got {short(fps)}")
    options = ImportOptions(fps=fps, frame_size=frame_size, first_frame=0)
    rows = Rows()
    columns = getattr(poses, "columns", None)
    count = 0
    if columns is None:
        count = _add_array(rows, poses, skeleton, same_people)
    else:
        _add_table(rows, poses, [str(name) for name in columns], skeleton, same_people)
    source = ClipSource(
        _WHERE, clip, "Python", options.rate(), options.size(), skeleton=skeleton, frame_count=count
    )
    return make_clip(rows, source, options)


def _add_array(rows: Rows, poses: Any, skeleton: Skeleton, same_people: bool) -> int:
    """Add the rows of an array; returns how many frames it has."""
    expected = f"(frames, people, {skeleton.num_joints}, 3)"
    try:
        poses = np.asarray(poses)
    except ValueError:  # lists of different lengths
        raise UsageError(f"poses: expected an array {expected}, got lists that are none") from None
    if poses.ndim != 4 or poses.shape[2:] != (skeleton.num_joints, 3):
        raise UsageError(
            f"poses: expected an array {expected}, joints as {skeleton.name} has them, got {poses.shape}"
        )
    if not np.issubdtype(poses.dtype, np.number):
        raise UsageError(f"poses: expected numbers, got {poses.dtype}")
    seen = (np.isfinite(poses).all(-1) & (poses[..., 2] > 0)).any(-1)
    frame, person = np.nonzero(seen)
    people: Sequence[int | None] = (person + 1).tolist() if same_people else [None] * len(frame)
    rows.extend(frame.tolist(), people, poses[frame, person], None, str(_WHERE))
    return len(poses)


def _add_table(rows: Rows, table: Any, columns: list[str], skeleton: Skeleton, same_people: bool) -> None:
    joints = joint_columns(skeleton.joints, 3)
    missing = [name for name in ("frame", *(["track_id"] * same_people), *joints) if name not in columns]
    if missing:
        more = f" and {len(missing) - 3} more" if len(missing) > 3 else ""
        raise UsageError(
            f"poses: the table lacks the columns {', '.join(missing[:3])}{more}; joints are named as "
            f"{skeleton.name} has them"
        )
    frame = np.asarray(table["frame"])
    if not np.issubdtype(frame.dtype, np.integer):
        raise UsageError(f"poses: expected whole numbers in the column frame, got {frame.dtype}")
    try:
        values = np.stack([np.asarray(table[name], np.float32) for name in joints], 1)
    except (TypeError, ValueError) as error:
        raise UsageError(f"poses: expected numbers in the columns of joints: {error}") from None
    people = np.asarray(table["track_id"]).tolist() if same_people else [None] * len(frame)
    rows.extend(frame.tolist(), people, values.reshape(len(frame), skeleton.num_joints, 3), None, str(_WHERE))
