"""Find and follow the people of one clip or camera, and things beside them, anew after every hole in its time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from pose_extract.errors import EstimatorError
from pose_extract.estimators.base import PoseEstimator
from pose_extract.skeletons import get_skeleton
from pose_extract.things.settings import ThingSettings
from pose_extract.things.watch import ThingWatch
from pose_extract.tracking import PeopleTracker, TrackedPeople, TrackingSettings
from pose_extract.tracks.clip_time import longest_step
from pose_extract.tracks.records import Frame, PoseDetections


class PeopleFollower:
    """Gives every person of a clip an id that no other one of it has.

    A stretch between holes is as a clip of its own: nobody is followed across.

    Args:
        estimator: finds the people; it is this clip's alone meanwhile.
        settings: of tracking.
        fps: frames a second of the clip.
        frame_size: (width, height) in pixels.
        first_id: the lowest id that may be given to a person.
        things: how to look for things that are not people; None: not at all.
        first_thing: the lowest id that may be given to a thing.
    """

    def __init__(
        self,
        estimator: PoseEstimator,
        settings: TrackingSettings,
        fps: float,
        frame_size: tuple[int, int],
        first_id: int = 1,
        things: ThingSettings | None = None,
        first_thing: int = 1,
    ) -> None:
        self._estimator, self._settings = estimator, settings
        self._thing_settings = things if things is not None and things.find else None
        self._next_thing = first_thing
        self._fps, self._frame_size = fps, frame_size
        self._longest_s = longest_step(fps)
        self._last_s: float | None = None
        self._earlier = self._most = first_id - 1
        self._tracker = self._begin()

    @property
    def next_id(self) -> int:
        """An id that nobody has yet."""
        return self._most + 1

    @property
    def next_thing(self) -> int:
        """An id that no thing has yet."""
        return self._next_thing

    def estimate(
        self, frames: Sequence[Frame], found: list[PoseDetections] | None = None
    ) -> tuple[list[TrackedPeople], list[PoseDetections]]:
        """Look at the next frames, which have no hole between them; `track` takes what is found.

        Args:
            frames: these frames.
            found: their people, if they are known.

        Returns:
            People whose ids are settled because a hole comes before these frames; and who is in the frames.
        """
        settled: list[TrackedPeople] = []
        if self._last_s is not None and frames[0].time_s - self._last_s > self._longest_s:
            settled = self.finish()
            self._tracker = self._begin()
        self._last_s = frames[-1].time_s
        return settled, self._checked(self._estimator.estimate(frames) if found is None else found)

    def track(self, frame: Frame, people: PoseDetections) -> list[TrackedPeople]:
        """Follow the people found in a frame; returns the frames that are ready."""
        if self._things is not None:
            self._things.look(frame, people)
        return self._own(self._tracker.update(frame, replace(people, uncovered=None)))

    def finish(self) -> list[TrackedPeople]:
        """The end of the clip, or of a stretch: the frames still waiting."""
        return self._own(self._tracker.finish())

    def _checked(self, found: list[PoseDetections]) -> list[PoseDetections]:
        """The same; EstimatorError if confidences are on another scale than tracks have."""
        for people in found:
            confidence = people.keypoints[..., -1]
            low = np.fmin.reduce(confidence, axis=None, initial=0)
            high = np.fmax.reduce(confidence, axis=None, initial=0)
            if low < 0 or high > 1:
                wrong = low if low < 0 else high
                raise EstimatorError(
                    f"estimator {self._estimator.name}: expected confidences of 0 to 1, got {wrong:g}"
                )
        return found

    def _begin(self) -> PeopleTracker:
        self._earlier = self._most
        self._estimator.start(self._fps, self._frame_size)
        skeleton, mends = get_skeleton(self._estimator.skeleton), self._estimator.mixes_sides
        self._things = None
        if self._thing_settings is not None:
            self._things = ThingWatch(
                self._thing_settings, self._fps, self._frame_size, skeleton, self._next_thing
            )
        return PeopleTracker(self._settings, self._fps, self._frame_size, skeleton, mends)

    def _own(self, people: list[TrackedPeople]) -> list[TrackedPeople]:
        own = [replace(each, ids=each.ids + self._earlier) for each in people]
        if self._things is not None:
            own = [replace(each, things=self._things.settle(each)) for each in own]
            self._next_thing = self._things.next_id
        self._most = max([self._most, *(int(each.ids.max()) for each in own if len(each.ids))])
        return own
