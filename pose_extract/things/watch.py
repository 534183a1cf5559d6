"""Look for things frame by frame, and follow them as soon as it is known who the people around them are."""

from __future__ import annotations

from collections import deque

from pose_extract.skeletons import Skeleton
from pose_extract.things.finder import Sighting, ThingFinder
from pose_extract.things.follower import ThingFollower
from pose_extract.things.settings import ThingSettings
from pose_extract.tracking.tracker import TrackedPeople
from pose_extract.tracks.records import Frame, PoseDetections
from pose_extract.tracks.things import Things


class ThingWatch:
    """The things of one stretch of a clip, in step with the tracker, whose people come some frames late.

    Args:
        settings: see `ThingSettings`.
        fps: frames a second.
        frame_size: (width, height) in pixels.
        skeleton: of the people.
        first_id: the lowest id that may be given to a thing.
    """

    def __init__(
        self,
        settings: ThingSettings,
        fps: float,
        frame_size: tuple[int, int],
        skeleton: Skeleton,
        first_id: int = 1,
    ) -> None:
        self._finder = ThingFinder(settings, fps, frame_size, skeleton)
        self._follower = ThingFollower(settings, fps, frame_size, first_id)
        self._waiting: deque[tuple[int, float, Sighting]] = deque()

    @property
    def next_id(self) -> int:
        """An id that no thing has yet."""
        return self._follower.next_id

    def look(self, frame: Frame, people: PoseDetections) -> None:
        """Take the next frame, with everybody who is found in it."""
        seen = self._finder.look(frame, people)
        if seen is not None:
            self._waiting.append((frame.index, frame.time_s, seen))

    def settle(self, people: TrackedPeople) -> Things | None:
        """The things of the next frame whose people have their ids; None where it was not looked at."""
        if not self._waiting or self._waiting[0][0] != people.frame:
            return None
        _, time_s, seen = self._waiting.popleft()
        things = self._follower.update(time_s, seen, people.ids, people.people.boxes)
        for box in self._follower.holes:
            self._finder.learn_hole(box, self._follower.named_boxes())
        return things
