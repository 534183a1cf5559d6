"""Build `ClipTracks` from the rows of any file: confidences, boxes and order made good, people numbered or followed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pose_extract.errors import FormatError
from pose_extract.formats.identities import believed, numbered
from pose_extract.formats.options import ImportOptions
from pose_extract.formats.parsing import boxes_around, clip_name, skeleton_of
from pose_extract.formats.report import ReadReport
from pose_extract.skeletons import Skeleton
from pose_extract.tracking import PeopleTracker
from pose_extract.tracks.records import ClipTracks, Frame, PoseDetections

MOST_FRAMES = 10_000_000
"""Four days; a damaged frame number must not ask for all memory."""
_MOST_PEOPLE = 1000  # in a frame: following more would ask for all memory
_MOST_PIXELS = 1e6
_BLOCK = 4096  # rows that are worked on at once, so that they stay in the processor's cache
_FEW_PIXELS = 8
_BEYOND = 0.25  # of the frame's sides: joints that are guessed lie a little outside
_MOST_BEYOND = 0.2  # share of joints farther out than that
_NO_BOX = np.full(4, np.nan, np.float32).tobytes()


class Rows:
    """The rows of a clip while its file is read: a person in a frame each, in any order, in single precision."""

    def __init__(self) -> None:
        self.people: list[Any] = []
        self.joints, self.size = 0, 3
        self._frame, self._keypoints, self._boxes = bytearray(), bytearray(), bytearray()
        self._crowd: Counter[int] = Counter()
        self.left_out: Counter[str] = Counter()  # why -> people of the file that are no row

    def __len__(self) -> int:
        return len(self.people)

    def add(
        self, frame: int, person: Any, keypoints: NDArray[Any], box: NDArray[Any] | None, where: str
    ) -> None:
        """Append one row; see `extend`."""
        self.extend([frame], [person], keypoints[None], None if box is None else box[None], where)

    def extend(
        self,
        frame: Sequence[int],
        people: Sequence[Any],
        keypoints: NDArray[Any],
        boxes: NDArray[Any] | None,
        where: str,
    ) -> None:
        """Append M rows.

        Args:
            frame: frame numbers, as in the file.
            people: who it is: numbers or names; None where the file does not tell.
            keypoints: (M, V, 3 or 4), confidences on the file's scale.
            boxes: (M, 4) x1 y1 x2 y2, NaN where the file has none; None: nowhere.
            where: the place in the file, for messages.

        Raises:
            FormatError: V is not as before, a frame number is out of all bounds, or a frame is too crowded.
        """
        if not len(frame):
            return
        if len(self) and keypoints.shape[1] != self.joints:
            raise FormatError(f"{where}: expected {self.joints} joints as before, found {keypoints.shape[1]}")
        low, high = min(frame), max(frame)
        if not -MOST_FRAMES < low <= high < 2 * MOST_FRAMES:
            raise FormatError(f"{where}: expected frame numbers, found {low if low < 0 else high}")
        with np.errstate(over="ignore"):
            single = np.asarray(keypoints).astype(np.float32)
        infinite = np.isinf(single)
        if infinite.any() and (infinite & np.isfinite(keypoints)).any():
            raise FormatError(f"{where}: expected coordinates in pixels, found {np.abs(keypoints).max():g}")
        self._crowd.update(frame)
        most = max(map(self._crowd.__getitem__, frame))
        if most > _MOST_PEOPLE:
            crowded = next(number for number in frame if self._crowd[number] == most)
            raise FormatError(
                f"{where}: expected at most {_MOST_PEOPLE} people in a frame, {crowded} has more"
            )
        self.joints, self.size = keypoints.shape[1:]
        self.people.extend(people)
        self._frame += np.asarray(frame, np.int64).tobytes()
        self._keypoints += single.tobytes()
        if boxes is None:
            self._boxes += _NO_BOX * len(frame)
        else:
            self._boxes += np.clip(boxes, -1e9, 1e9).astype(np.float32).tobytes()

    def divided(self, clip: Sequence[str], frame: Sequence[int]) -> dict[str, Rows]:
        """The rows by clip, given the clip and the frame that each of their frame numbers stands for."""
        frames, keypoints, boxes = self.arrays()
        names = list(dict.fromkeys(clip))
        if len(names) == 1:  # without a copy
            frames[:] = np.array(frame, np.int64)[frames]
            return {names[0]: self}
        place = {name: number for number, name in enumerate(names)}
        of_row = np.array([place[name] for name in clip], np.int64)[frames] if len(clip) else frames
        new = np.array(frame, np.int64)[frames] if len(clip) else frames
        out: dict[str, Rows] = {}
        for number, name in enumerate(names):
            rows = np.flatnonzero(of_row == number)
            part = out[name] = Rows()
            part.joints, part.size = self.joints, self.size
            part.people = [self.people[row] for row in rows.tolist()]
            part._frame += new[rows].tobytes()
            part._keypoints += keypoints[rows].tobytes()
            part._boxes += boxes[rows].tobytes()
        return out

    def arrays(self) -> tuple[NDArray[np.int64], NDArray[np.float32], NDArray[np.float32]]:
        """Frames (M,), keypoints (M, V, C) and boxes (M, 4); changing them changes the rows."""
        keypoints = np.frombuffer(self._keypoints, np.float32).reshape(len(self), self.joints, self.size)
        return (
            np.frombuffer(self._frame, np.int64),
            keypoints,
            np.frombuffer(self._boxes, np.float32).reshape(-1, 4),
        )


@dataclass(frozen=True)
class ClipSource:
    """What a file, or its format, tells of a clip besides its rows.

    Attributes:
        where: the file, for messages.
        clip: name of the clip.
        format_name: of the file, for the provenance.
        fps: frames a second.
        frame_size: (width, height) in pixels.
        skeleton: of the keypoints, whose first joints are taken; by their number if None.
        first_frame: the format's usual number of the first frame.
        frame_count: least number of frames, if the file tells.
        facts: what else the file tells, for the provenance.
        scaled: whether coordinates that the format has as shares of the frame are pixels already.
    """

    where: Path
    clip: str
    format_name: str
    fps: float
    frame_size: tuple[int, int]
    skeleton: Skeleton | None = None
    first_frame: int = 0
    frame_count: int = 0
    facts: dict[str, Any] = field(default_factory=dict)
    scaled: bool = False


def make_clip(rows: Rows, source: ClipSource, options: ImportOptions) -> ClipTracks:
    """Put a clip's rows into a record; ``rows`` is used up.

    A joint with a coordinate or a confidence that is no finite number is missing. Boxes that the file lacks, or that
    are empty, are drawn around the joints; rows without a joint and without a box are dropped. Who has no id, or one
    that is none (`identities.believed`), is followed by our own tracker. The provenance has a `ReadReport`: what was
    read is what is kept and what is left out.

    Raises:
        FormatError: a frame number or coordinate is out of all bounds, or no skeleton has so many joints.
    """
    clip, where = clip_name(source.clip), source.where
    start = source.first_frame if options.first_frame is None else options.first_frame
    skeleton = source.skeleton or skeleton_of(rows.joints if len(rows) else 17, str(where))
    frames, joints, corners = rows.arrays()
    frames = _counted(frames, start, where)
    if not len(rows):
        joints = np.zeros((0, skeleton.num_joints, rows.size), np.float32)
    elif rows.joints < skeleton.num_joints:
        raise FormatError(f"{where}: expected {skeleton.num_joints} joints, found {rows.joints}")
    joints = joints[:, : skeleton.num_joints]
    above = _settle(joints, options.confidence_scale)
    if options.normalised and not source.scaled:
        joints[..., :2] *= source.frame_size
        corners[:] *= np.tile(np.array(source.frame_size, np.float32), 2)
    _check_place(joints, frames + start, source)
    drawn = (np.abs(corners) <= 10 * _MOST_PIXELS).all(axis=1) & (corners[:, 2:] > corners[:, :2]).all(axis=1)
    bare = np.flatnonzero(~drawn)
    for some in np.array_split(bare, len(bare) // _BLOCK + 1):
        corners[some] = boxes_around(joints[some])
    keep = np.flatnonzero(np.isfinite(corners).all(axis=1))
    told = options.frame_counts.get(clip, options.frame_counts.get(source.clip, 0))
    report = ReadReport(len(rows) + rows.left_out.total(), left_out=rows.left_out, confidences_cut=above)
    people = rows.people
    if len(keep) < len(rows):
        frames, joints, corners = frames[keep], joints[keep], corners[keep]
        people = [people[row] for row in keep.tolist()]
        report.leave_out("without a joint and a box", len(rows) - len(keep))
    count = max(source.frame_count, told, int(frames.max(initial=-1)) + 1)
    if count > MOST_FRAMES:
        raise FormatError(f"{where}: expected at most {MOST_FRAMES} frames, found {count}")
    imported: dict[str, Any] = {"format": source.format_name, **source.facts}
    known = believed(frames, people)
    unknown = np.flatnonzero([person is None for person in known])
    tracks = numbered([person for person in known if person is not None])
    if len(unknown):
        imported["followed"] = "by boxes and joints" if joints.shape[2] == 3 else "by boxes"
        rest = np.flatnonzero([person is not None for person in known])
        seen = (frames[unknown], joints[unknown], corners[unknown])
        rows_followed, made = _follow(*seen, source.fps, source.frame_size, skeleton, options, count)
        report.leave_out("seen too briefly to be followed", len(unknown) - len(made))
        report.ids_made = len(made)
        report.ids_refused = sum(people[row] is not None for row in unknown.tolist())
        if int(tracks.max(initial=0)) + int(made.max(initial=0)) >= 2**31:
            tracks = np.unique(tracks, return_inverse=True)[1].astype(np.int32) + np.int32(1)
        tracks = np.concatenate([tracks, made + np.int32(tracks.max(initial=0))])
        keep = np.concatenate([rest, unknown[rows_followed]])
        frames, joints, corners = frames[keep], joints[keep], corners[keep]
    imported["report"] = report.as_json(kept=len(frames))
    order = np.lexsort((tracks, frames))
    return ClipTracks(
        clip=clip,
        skeleton=skeleton.name,
        fps=source.fps,
        frame_size=source.frame_size,
        time_s=np.arange(count) / source.fps,
        frame=frames[order].astype(np.int32),
        track=tracks[order],
        keypoints=joints[order],
        boxes=corners[order],
        provenance={"source": str(where), "import": imported},
    )


def _counted(frames: NDArray[np.int64], start: int, where: Path) -> NDArray[np.int64]:
    """Frame numbers from 0."""
    for number in (frames.min(), frames.max()) if len(frames) else ():
        if not start <= number < MOST_FRAMES + start:
            raise FormatError(
                f"{where}: expected frame numbers {start}..{MOST_FRAMES + start - 1}, found {number}"
                + ("; say what number the first frame has (first_frame)" if 0 <= number < start else "")
            )
    return frames - start


def _settle(keypoints: NDArray[np.float32], scale: float) -> int:
    """Bring confidences into 0..1, in place; 0 where anything of a joint is not a finite number.

    Returns:
        how many were above 1 and are 1 now.
    """
    finite = np.isfinite(keypoints)
    confidence = keypoints[..., -1]
    if not finite.all():
        keypoints[..., :-1][~finite[..., :-1]] = np.nan
        confidence[~finite.all(axis=-1)] = 0.0
    if scale != 1.0:
        confidence /= np.float32(scale)
    above = int((confidence > 1.0).sum())
    np.clip(confidence, 0.0, 1.0, out=confidence)
    return above


def _check_place(joints: NDArray[np.float32], frames: NDArray[np.int64], source: ClipSource) -> None:
    """Raise FormatError if joints are no pixels of the frame."""
    least, most = (f.reduce(joints, axis=None, initial=0.0) for f in (np.fmin, np.fmax))
    if least < -_MOST_PIXELS or most > _MOST_PIXELS:
        row = int((np.abs(joints[..., :-1]) > _MOST_PIXELS).any(axis=(1, 2)).argmax())
        raise FormatError(
            f"{source.where}: expected coordinates within {_MOST_PIXELS:.0f}, found {np.nanmax(np.abs(joints[row])):g} "
            f"in frame {frames[row]}"
        )
    if not len(joints) or joints.shape[2] != 3 or source.scaled:  # joints in space are no pixels
        return
    xy, seen = joints[..., :2], joints[..., 2] > 0
    if not seen.any():
        return
    size = np.array(source.frame_size, np.float32)
    if min(source.frame_size) > _FEW_PIXELS and np.abs(xy[seen]).max() <= _FEW_PIXELS / 4:
        raise FormatError(
            f"{source.where}: all joints lie within {_FEW_PIXELS // 4} pixels; if these are shares of the frame, "
            "say so with --normalised"
        )
    beyond = ((xy < -_BEYOND * size) | (xy > (1 + _BEYOND) * size)).any(axis=2) & seen
    share = beyond.sum() / seen.sum()
    if share > _MOST_BEYOND:
        width, height = np.ceil(np.nanmax(xy[seen], axis=0)).astype(int).tolist()
        raise FormatError(
            f"{source.where}: {share:.0%} of the joints lie outside the frame of {source.frame_size[0]}x"
            f"{source.frame_size[1]} pixels, they reach to {width}x{height}; is --frame-size right?"
        )


def _follow(
    frames: NDArray[np.int64],
    keypoints: NDArray[np.float32],
    boxes: NDArray[np.float32],
    fps: float,
    frame_size: tuple[int, int],
    skeleton: Skeleton,
    options: ImportOptions,
    count: int,
) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
    """Which rows are of people whom our own tracker makes out, and their ids.

    There are no pictures to tell people's clothes from, so boxes and joints decide; of joints in space, boxes alone.
    Somebody who is seen in too few frames to be followed is dropped; of a single picture, everybody counts.
    """
    order = np.argsort(frames, kind="stable")
    if count <= 1:
        return order, np.arange(1, len(frames) + 1, dtype=np.int32)
    frames, boxes = frames[order], boxes[order]
    # Not finite is unknown to the motion model as well.
    points = np.nan_to_num(keypoints[order]) if keypoints.shape[2] == 3 else np.zeros_like(keypoints[..., :3])
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
        place = np.arange(end - begin, dtype=np.float32)[:, None, None].repeat(points.shape[1], 1)
        seen = PoseDetections(boxes[rows], points[rows], np.ones(end - begin, np.float32), place)
        tracked += tracker.update(Frame.without_picture(index, index / fps), seen)
    tracked = [found for found in [*tracked, *tracker.finish()] if len(found.ids)]
    if not tracked:
        return order[:0], np.zeros(0, np.int32)
    places = [found.people.features[:, 0, 0].astype(np.intp) for found in tracked]  # type: ignore[index]
    return (
        np.concatenate([order[starts[f.frame] + place] for f, place in zip(tracked, places, strict=True)]),
        np.concatenate([found.ids for found in tracked]).astype(np.int32),
    )
