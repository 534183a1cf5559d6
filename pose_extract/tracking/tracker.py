"""Track people over time: give every detection the id of its person.

Two stages. `pose_extract.tracking.association` joins detections from frame to frame into tracklets (OC-SORT, with
poses and clothes in its cost). `pose_extract.tracking.linking` joins tracklets across the times when nobody was
detected. Ids are handed out with a short delay, so that a new tracklet can prove itself and be linked before its
first frame leaves.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pose_extract.skeletons import Skeleton
from pose_extract.tracking.association import PoseAssociator, PoseSimilarity
from pose_extract.tracking.clothing import clothing_histograms
from pose_extract.tracking.crossings import ClothingMemory
from pose_extract.tracking.linking import LEFT_S, Tracklet, link
from pose_extract.tracking.settings import TrackingSettings
from pose_extract.tracking.sides import Sides
from pose_extract.tracks.records import Frame, PoseDetections
from pose_extract.tracks.things import Things


@dataclass(frozen=True)
class TrackedPeople:
    """One frame's people with their ids.

    Attributes:
        frame: index of the frame.
        ids: (P,) int32, from 1, ascending.
        people: the P people, in the order of ``ids``.
        things: what else is there; None where nobody looked.
    """

    frame: int
    ids: NDArray[np.int32]
    people: PoseDetections
    things: Things | None = None


class _Waiting(NamedTuple):
    """A frame whose ids are not settled yet: P people, keys of their tracklets, and what `Sides.ways` said of them."""

    time_s: float
    frame: int
    people: PoseDetections
    keys: NDArray[np.int64]
    ways: NDArray[np.float64] | None


class PeopleTracker:
    """Tracks the people of one video. Make a new one for each video: ids start at 1 and nothing is shared.

    Frames come out in order, each exactly once, `lag_frames` after they went in. Memory does not grow with the video.

    Args:
        settings: see `TrackingSettings`.
        fps: mean frame rate of the video, frames a second.
        frame_size: (width, height) in pixels.
        skeleton: of the detections' keypoints.
        mend_sides: whether left and right of limbs are put right by continuity (`tracking.sides`).
    """

    def __init__(
        self,
        settings: TrackingSettings,
        fps: float,
        frame_size: tuple[int, int],
        skeleton: Skeleton,
        mend_sides: bool = False,
    ) -> None:
        if not (np.isfinite(fps) and fps > 0):
            raise ValueError(f"PeopleTracker: expected a frame rate above 0, got {fps}")
        self._settings, self._fps, self._frame_size, self._skeleton = settings, fps, frame_size, skeleton
        self.lag_frames: int = round(settings.delay_s * fps)
        self._clothing = ClothingMemory(fps, settings.exchange_margin, settings.min_colour)
        similarity = PoseSimilarity(
            np.array(skeleton.sigmas),
            settings.pose_weight,
            settings.pose_tolerance,
            settings.colour_weight,
            settings.min_colour,
            self._clothing.profile,
        )
        self._coast_s = max(settings.coast_s, 3.0 / fps)
        # At few frames a second, people move far between two of them, and at first nobody's velocity is known.
        least = settings.min_similarity * min(1.0, fps / 10.0)
        self._associator = PoseAssociator(similarity, fps, self._coast_s, least, settings.direction_weight)
        self._waiting: deque[_Waiting] = deque()
        self._sides = Sides(skeleton, fps) if mend_sides else None
        self._tracklets: dict[int, Tracklet] = {}  # by key, those that may still be asked for
        self._people: dict[int, Tracklet] = {}  # by id, each person's last tracklet
        self._next_id = 1
        self._time = -np.inf

    def update(self, frame: Frame, detections: PoseDetections) -> list[TrackedPeople]:
        """Take the next frame's people; returns the frames that are ready (none at first, then one a call)."""
        # The motion model needs time that moves on, which damaged videos do not always give.
        self._time = max(frame.time_s, self._time + 0.1 / self._fps)
        detections = self._usable(detections)
        boxes = detections.boxes.astype(np.float64)
        boxes[:, 2:] = np.maximum(boxes[:, 2:], boxes[:, :2] + 1.0)
        for tracklet in self._tracklets.values():
            # Whoever comes in where somebody has left is somebody else.
            gone = LEFT_S < self._time - tracklet.last_time <= self._coast_s + 1 / self._fps
            if gone and tracklet.has_left(self._frame_size):
                self._associator.forget(tracklet.key)
        colours = clothing_histograms(frame.image, detections, self._skeleton).astype(np.float64)
        keys = self._associator.update(boxes, detections.keypoints, colours, self._time)
        for row, key in enumerate(keys.tolist()):
            self._tracklets.setdefault(key, Tracklet(key)).add(self._time, boxes[row])
        ways = None
        if self._sides is not None:
            ways = self._sides.ways(keys, detections.keypoints, boxes, self._time)
        self._waiting.append(_Waiting(self._time, frame.index, detections, keys, ways))
        for a, b in self._clothing.update(keys.tolist(), boxes, colours, self._time):
            if b is None:
                self._part(a, self._clothing.clothes[a].apart_since)
            else:
                self._exchange(a, b)
        for key in keys.tolist():
            turn = self._tracklets[key].turned_at_border(self._frame_size)
            if turn is not None:
                self._part(key, turn)
        ready = []
        while len(self._waiting) > self.lag_frames:
            ready.append(self._release())
        self._forget()
        return ready

    def finish(self) -> list[TrackedPeople]:
        """End of the video: the frames still waiting."""
        return [self._release() for _ in range(len(self._waiting))]

    def _usable(self, detections: PoseDetections) -> PoseDetections:
        """Detections with a finite box and a sufficient score."""
        good = np.isfinite(detections.boxes).all(1) & (detections.scores >= self._settings.min_score)
        return detections if good.all() else detections.select(good)

    def _release(self) -> TrackedPeople:
        """Settle the ids of the oldest waiting frame and let it go."""
        oldest = self._waiting.popleft()
        _, index, detections, keys, _ = oldest
        undecided = [self._tracklets[key] for key in keys.tolist() if self._tracklets[key].person is None]
        proven = [tracklet for tracklet in undecided if tracklet.hits >= self._settings.min_hits]
        if proven:
            self._identify(proven)
        ids = np.array([self._tracklets[key].person or 0 for key in keys.tolist()], np.int32)
        # A tracklet may begin a moment before the one that it goes on with ends: then the newer one counts.
        order = np.lexsort((-keys, ids))
        order = order[(ids[order] > 0) & (np.diff(ids[order], prepend=0) > 0)]
        people = detections.select(order)
        if self._sides is not None:
            joints = [self._sides.settle(key, self._ways(oldest, key)) for key in keys[order].tolist()]
            people = people.rearranged(
                np.array(joints, np.intp).reshape(len(order), people.keypoints.shape[1])
            )
        return TrackedPeople(index, ids[order], people)

    def _ways(self, oldest: _Waiting, key: int) -> list[NDArray[np.float64]]:
        """What `Sides.ways` said of a tracklet in a frame and in those that wait after it."""
        found = []
        for waiting in (oldest, *self._waiting):
            rows = np.flatnonzero(waiting.keys == key)
            if len(rows) and waiting.ways is not None:
                found.append(waiting.ways[rows[0]])
        return found

    def _identify(self, due: list[Tracklet]) -> None:
        """Give each tracklet a lost person's id, or a new one."""
        # Tracklets that are not due yet take part in the choice, so that a better fit a moment later can win.
        begun = [
            t for t in self._tracklets.values() if t.person is None and t.hits >= self._settings.min_hits
        ]
        people = list(self._people.items())
        links = link(
            begun,
            [tracklet for _, tracklet in people],
            self._time,
            self._frame_size,
            self._settings.reattach_s,
            self._settings.reattach_distance,
            self._clothing.profile,
        )
        for tracklet in due:
            if tracklet.key in links:
                person, last = people[links[tracklet.key]]
                # Its old tracklet may still be coasting; were it to revive, one id would be in two places.
                self._associator.forget(last.key)
            else:
                person, self._next_id = self._next_id, self._next_id + 1
            tracklet.person = person
            self._people[person] = tracklet

    def _exchange(self, a: int, b: int) -> None:
        """Put right that two people were taken for one another: each tracklet goes on as the other person."""
        first, second = self._tracklets[a], self._tracklets[b]
        holder = self._people.get(second.person or 0)
        # The other one may have been taken for lost, and found again as a tracklet in the clothes of the first.
        if holder is not None and holder is not second and self._clothing.wears(holder.key, a, rather_than=b):
            second = holder
        for tracklet in (first, second):
            # Somebody who has been found again elsewhere since, or has no id yet, cannot be exchanged.
            if tracklet.person is None or self._people.get(tracklet.person) is not tracklet:
                self._clothing.settle_exchange(a, b)
                return
        first.person, second.person = second.person, first.person
        for tracklet in (first, second):
            self._people[tracklet.person or 0] = tracklet
        self._clothing.exchange(a, b)

    def _part(self, key: int, time_s: float) -> None:
        """A tracklet went over to somebody else at ``time_s``: from then on it is a new one, and its person lost."""
        new = self._associator.rename(key)
        self._tracklets[new] = self._tracklets[key].split(new, time_s)
        self._clothing.split(key, new)
        for waiting in self._waiting:
            if waiting.time_s >= time_s:
                waiting.keys[waiting.keys == key] = new

    def _forget(self) -> None:
        """Drop what cannot be asked for again."""
        oldest = (
            self._time - self._settings.reattach_s - self._settings.delay_s - self._coast_s - 2 / self._fps
        )
        waiting = {key for frame in self._waiting for key in frame.keys.tolist()}
        self._people = {i: t for i, t in self._people.items() if t.last_time >= oldest}
        self._tracklets = {k: t for k, t in self._tracklets.items() if k in waiting or t.last_time >= oldest}
        self._clothing.forget(set(self._tracklets))
        if self._sides is not None:
            self._sides.forget(set(self._tracklets))
