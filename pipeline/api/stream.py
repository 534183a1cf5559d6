"""Score a camera's frames as they come."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from anomaly.scoring.scores import FrameScores
from pipeline.events.events import Event, EventFinder
from pipeline.live.watching.followed import Block, FollowedPeople
from pose_extract.errors import ModelError, UsageError
from pose_extract.estimators.base import PoseEstimator, chosen_estimator, create_estimator
from pose_extract.formats.parsing import boxes_around
from pose_extract.skeletons import Skeleton
from pose_extract.tracks.records import Frame, PoseDetections

if TYPE_CHECKING:
    from pipeline.scoring import Scorer


@dataclass(frozen=True)
class Pushed:
    """What is known by now that was not before.

    Attributes:
        scores: of the frames whose scores are known now, in their order; often none, then several at once.
        events: that are complete now.
    """

    scores: FrameScores
    events: tuple[Event, ...]

    def __repr__(self) -> str:
        return f"<Pushed: {len(self.scores)} frames, {len(self.events)} events>"


class Stream:
    """One camera's frames in, scores out: those of ``scoring.frames: online``. Made by `Model.stream`.

    A frame gets its score about a second later: when the ids of its people are settled, the block of a quarter of a
    second that it is in is complete, and the 0.3 s that cleaning waits for (``cleaning.online_s``) have come. Memory
    holds some seconds, however long the camera runs.

    Args:
        scorer: the model, scoring online.
        skeleton: of poses that are pushed.
        fps: frames a second.
        frame_size: (width, height) in pixels.
        name: of the camera, where the model tells cameras apart.

    Raises:
        ModelError: the model is one of whole clips, or needs pictures of joints.
    """

    def __init__(
        self,
        scorer: Scorer,
        skeleton: Skeleton,
        fps: float,
        frame_size: tuple[int, int],
        name: str = "stream",
    ) -> None:
        whole = scorer.model.settings.windows.extent == "clip"
        if whole or scorer.patches is not None:
            what = "whole clips" if whole else "patch features"
            raise ModelError(f"a model of {what} cannot score a stream")
        if not _is_rate(fps) or len(frame_size) != 2 or min(frame_size) < 1:
            raise UsageError(
                f"stream: expected a frame rate above 0 and a frame size in pixels, got {fps} and {frame_size}"
            )
        self._scorer, self._skeleton, self._name = scorer, skeleton, name
        self._fps, self._size = float(fps), (int(frame_size[0]), int(frame_size[1]))
        self._finder = EventFinder(self._fps, scorer.settings.events)
        self._followed: FollowedPeople | None = None
        self._of_pictures = False
        self._last_s = -np.inf

    def __repr__(self) -> str:
        width, height = self._size
        seen = 0 if self._followed is None else self._followed.frames
        return f"<Stream {self._name}: {width}x{height}, {self._fps:.4g} a second, {seen} frames so far>"

    def push(self, frame: Any, time_s: float | None = None) -> Pushed:
        """Take the next frame.

        Args:
            frame: the picture, (H, W, 3) BGR uint8, in which people are looked for; or their poses, (P, V, 3)
                of floats: x px, y px, confidence (0 or NaN: a joint is missing). People are followed from frame to
                frame: their order does not matter. A stream is of one or the other.
            time_s: when the frame is shown, in seconds of the stream; ``fps`` tells it if left out.

        Raises:
            UsageError: the frame is neither, is of another size, or is not later than the last one.
        """
        found = np.asarray(frame)
        picture = found.dtype == np.uint8
        followed = self._followed
        if followed is not None and picture != self._of_pictures:
            raise UsageError("push: a stream is of pictures (uint8) or of poses (floats), not of both")
        number = 0 if followed is None else followed.frames
        shown_s = number / self._fps if time_s is None else float(time_s)
        if not self._last_s < shown_s < np.inf:
            raise UsageError(f"push: expected a time after {self._last_s:g} s, got {shown_s:g}")
        people = None if picture else self._people(found)
        if picture and found.shape != (self._size[1], self._size[0], 3):
            raise UsageError(
                f"push: expected a picture of shape {(self._size[1], self._size[0], 3)}, got {found.shape}"
            )
        if followed is None:  # what was refused decides nothing
            followed = self._followed = self._begin(picture)
        self._last_s, self._of_pictures = shown_s, picture
        frame = Frame(number, shown_s, found) if picture else Frame.without_picture(number, shown_s)
        return self._pushed(followed.take(frame, people))

    def finish(self) -> Pushed:
        """The end of the stream: the scores that are left, and the event that goes on."""
        if self._followed is None:
            return self._pushed(())
        rest = self._pushed(self._followed.finish())
        self._followed, self._last_s = None, -np.inf
        return Pushed(rest.scores, (*rest.events, *self._finder.finish()))

    def _pushed(self, blocks: Iterable[Block]) -> Pushed:
        events: list[Event] = []
        scores = []
        begun = 0
        for number, (begin, part, found) in enumerate(blocks):
            begun = begun if number else begin
            events += self._finder.add(begin, part, found)
            scores.append(found.frames)
        joined = FrameScores.concatenate(scores)
        joined.frame[:] += begun
        return Pushed(joined, tuple(events))

    def _begin(self, picture: bool) -> FollowedPeople:
        if picture:
            settings = self._scorer.settings
            settings = settings.with_estimator(chosen_estimator(settings.pose.estimator))
            estimator = create_estimator(settings.pose.estimator, *settings.of_estimator())
        else:
            estimator = _Known(self._skeleton)
        return FollowedPeople(self._name, self._scorer, estimator, self._fps, self._size)

    def _people(self, poses: Any) -> PoseDetections:
        joints = self._skeleton.num_joints
        if poses.size == 0:
            return PoseDetections.empty(joints)
        if poses.ndim != 3 or poses.shape[1:] != (joints, 3) or poses.dtype.kind not in "fiu":
            raise UsageError(
                f"push: expected a picture (H, W, 3) of uint8, or poses (people, {joints}, 3) of floats, joints as "
                f"{self._skeleton.name} has them; got {poses.shape} of {poses.dtype}"
            )
        poses = poses.astype(np.float32)
        seen = np.isfinite(poses).all(-1)
        poses[..., 2][~seen] = 0
        boxes = boxes_around(poses).astype(np.float32)
        there = np.isfinite(boxes).all(-1)
        return PoseDetections(boxes[there], poses[there], poses[there][..., 2].max(-1))


def _is_rate(fps: Any) -> bool:
    return isinstance(fps, (int, float, np.number)) and bool(np.isfinite(fps) and fps > 0)


class _Known(PoseEstimator):
    """Stands where an estimator does; its people are known."""

    name = "known"
    identity: dict[str, str]
    timings: dict[str, float]

    def __init__(self, skeleton: Skeleton) -> None:
        self.skeleton, self.identity, self.timings = skeleton.name, {"name": self.name}, {}

    def start(self, fps: float, frame_size: tuple[int, int]) -> None:
        """Nothing to get ready."""

    def estimate(self, frames: Any) -> list[PoseDetections]:
        """Never asked."""
        raise NotImplementedError
