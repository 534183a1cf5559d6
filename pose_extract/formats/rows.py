"""From the rows of any file to `ClipTracks`: confidences, boxes and order made good, people numbered or followed."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pose_extract.errors import FormatError
from pose_extract.formats.options import ImportOptions
from pose_extract.formats.values import boxes_around, clip_name
from pose_extract.records import ClipTracks, Frame, PoseDetections
from pose_extract.skeletons import Skeleton
from pose_extract.tracking import PeopleTracker

MOST_FRAMES = 10_000_000
"""Four days; a damaged frame number must not ask for all memory."""
_MOST_PIXELS = 1e6
_NO_PICTURE = np.zeros((1, 1, 3), np.uint8)


def make_clip(
    *,
    where: Path,
    clip: str,
    format_name: str,
    skeleton: Skeleton,
    frame: Sequence[int] | NDArray[Any],
    people: Sequence[Any] | None,
    keypoints: NDArray[Any],
    boxes: NDArray[Any] | None,
    fps: float,
    frame_size: tuple[int, int],
    options: ImportOptions,
    first_frame: int = 0,
    frame_count: int = 0,
    facts: dict[str, Any] | None = None,
) -> ClipTracks:
    """Put a clip's rows, in any order, into a record.

    A joint with a coordinate or a confidence that is no finite number is missing. Of several rows of one person in one
    frame, the one with the most confidence stays. Rows without a joint and without a box are dropped.

    Args:
        where: the file, for messages.
        clip: name of the clip.
        format_name: of the file, for the provenance.
        skeleton: of the keypoints, whose first joints are taken.
        frame: (M,) frame numbers, as in the file.
        people: (M,) who it is: numbers or names; None if the format does not tell, then people are followed.
        keypoints: (M, V, 3 or 4), confidences on the file's scale.
        boxes: (M, 4) x1 y1 x2 y2, NaN where the file has none; or None: drawn around the joints.
        fps: frames a second.
        frame_size: (width, height) in pixels.
        options: see `ImportOptions`.
        first_frame: the format's usual number of the first frame.
        frame_count: least number of frames, if the file tells.
        facts: what else the file tells, for the provenance.

    Raises:
        FormatError: a frame number or coordinate is out of all bounds.
    """
    clip = clip_name(clip)
    start = first_frame if options.first_frame is None else options.first_frame
    frames = _frames(frame, start, where)
    joints = np.array(keypoints[:, : skeleton.num_joints], np.float64)
    if joints.shape[1:2] != (skeleton.num_joints,) and len(frames):
        raise FormatError(f"{where}: expected {skeleton.num_joints} joints, found {joints.shape[1]}")
    if not len(frames):
        joints = np.zeros((0, skeleton.num_joints, keypoints.shape[2] if keypoints.ndim == 3 else 3))
    joints = _confident(joints, options.confidence_scale)
    limit = np.abs(np.nan_to_num(joints[..., :-1], nan=0.0))
    if limit.size and limit.max() > _MOST_PIXELS:
        row = int(limit.reshape(len(limit), -1).max(1).argmax())
        raise FormatError(
            f"{where}: expected coordinates within {_MOST_PIXELS:.0f}, found {limit[row].max():g} in frame "
            f"{frames[row] + start}"
        )
    around = boxes_around(joints)
    drawn = around if boxes is None else np.array(boxes, np.float64)
    good = (np.abs(drawn) <= 10 * _MOST_PIXELS).all(axis=1) & (drawn[:, 2:] >= drawn[:, :2]).all(axis=1)
    drawn = np.where(good.reshape(-1, 1), drawn, around)
    keep = np.flatnonzero(np.isfinite(drawn).all(axis=1))
    rows_without_joints = len(frames) - len(keep)
    frames = frames[keep]
    poses, corners = joints[keep].astype(np.float32), drawn[keep].astype(np.float32)
    count = max(frame_count, options.frame_counts.get(clip, 0), int(frames.max(initial=-1)) + 1)
    if count > MOST_FRAMES:
        raise FormatError(f"{where}: expected at most {MOST_FRAMES} frames, found {count}")
    if people is None:
        frames, tracks, poses, corners = _follow(
            frames, poses, corners, fps, frame_size, skeleton, options, count
        )
    else:
        tracks = _numbered([people[row] for row in keep.tolist()])
    order = np.lexsort((-poses[..., -1].sum(1), tracks, frames))
    first = np.ones(len(order), bool)
    first[1:] = (np.diff(frames[order]) != 0) | (np.diff(tracks[order]) != 0)
    order = order[first]
    imported: dict[str, Any] = {"format": format_name, **(facts or {})}
    if rows_without_joints:
        imported["rows_without_joints"] = rows_without_joints
    if people is None:
        imported["followed"] = "by boxes and joints"
    return ClipTracks(
        clip=clip,
        skeleton=skeleton.name,
        fps=fps,
        frame_size=frame_size,
        time_s=np.arange(count) / fps,
        frame=frames[order].astype(np.int32),
        track=tracks[order],
        keypoints=poses[order],
        boxes=corners[order],
        provenance={"source": str(where), "import": imported},
    )


def _frames(frame: Sequence[int] | NDArray[Any], start: int, where: Path) -> NDArray[np.int64]:
    """Frame numbers from 0."""
    for number in (min(frame), max(frame)) if len(frame) else ():
        if not start <= number < MOST_FRAMES + start:
            raise FormatError(
                f"{where}: expected frame numbers {start}..{MOST_FRAMES + start - 1}, found {number}"
                + ("; say what number the first frame has (first_frame)" if 0 <= number < start else "")
            )
    return np.asarray(frame, np.int64).reshape(-1) - start


def _confident(keypoints: NDArray[np.float64], scale: float) -> NDArray[np.float64]:
    """Confidences in 0..1, and 0 where anything of a joint is not a finite number."""
    finite = np.isfinite(keypoints)
    coordinates = np.where(finite[..., :-1], keypoints[..., :-1], np.nan)
    confidence = np.clip(np.nan_to_num(keypoints[..., -1], nan=0.0) / scale, 0.0, 1.0)
    confidence = np.where(finite.all(-1), confidence, 0.0)
    return np.concatenate([coordinates, confidence[..., None]], -1)


def _numbered(people: Sequence[Any]) -> NDArray[np.int32]:
    """Ids from 1. Whole numbers from 1 stay as they are, from 0 they grow by 1; others are counted as they come."""
    whole = all(isinstance(p, (int, np.integer)) and 0 <= p < 2**31 - 1 for p in people)
    if whole:
        ids = np.array(people, np.int32).reshape(-1)
        return ids + np.int32(1) if ids.min(initial=1) == 0 else ids
    place: dict[Any, int] = {}
    return np.array([place.setdefault(p, len(place) + 1) for p in people], np.int32)


def _follow(
    frames: NDArray[np.int64],
    keypoints: NDArray[np.float32],
    boxes: NDArray[np.float32],
    fps: float,
    frame_size: tuple[int, int],
    skeleton: Skeleton,
    options: ImportOptions,
    count: int,
) -> tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.float32], NDArray[np.float32]]:
    """Frames, ids, keypoints and boxes of the people that our own tracker makes out.

    There are no pictures to tell people's clothes from, so boxes and joints decide. Somebody who is seen in too few
    frames to be followed is dropped; of a single picture, everybody counts.
    """
    order = np.argsort(frames, kind="stable")
    frames, keypoints, boxes = frames[order], keypoints[order], boxes[order]
    if count <= 1:
        return frames, np.arange(1, len(frames) + 1, dtype=np.int32), keypoints, boxes
    tracker = PeopleTracker(options.tracking, fps, frame_size, skeleton)
    settings = options.tracking
    linger = (
        int((settings.reattach_s + settings.delay_s + settings.coast_s) * fps) + 5
    )  # then all is forgotten
    tracked = []
    starts = np.searchsorted(frames, np.arange(int(frames.max(initial=-1)) + 2)).tolist()
    last = -linger
    for index, (begin, end) in enumerate(pairwise(starts)):
        if end > begin:
            last = index
        elif index - last > linger:
            continue
        rows = slice(begin, end)
        # Not finite is unknown to the motion model as well.
        seen = PoseDetections(boxes[rows], np.nan_to_num(keypoints[rows]), np.ones(end - begin, np.float32))
        tracked += tracker.update(Frame(index, index / fps, _NO_PICTURE), seen)
    tracked = [found for found in [*tracked, *tracker.finish()] if len(found.ids)]
    if not tracked:
        return frames[:0], np.zeros(0, np.int32), keypoints[:0], boxes[:0]
    return (
        np.concatenate([np.full(len(found.ids), found.frame, np.int64) for found in tracked]),
        np.concatenate([found.ids for found in tracked]).astype(np.int32),
        np.concatenate([found.people.keypoints for found in tracked]),
        np.concatenate([found.people.boxes for found in tracked]),
    )
