"""Find, follow and score the people of one camera, picture by picture."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator

import numpy as np

from anomaly.scoring.scores import ClipScores, Counting
from pipeline.following import PeopleFollower
from pipeline.scoring import OnlineScorer, Scorer
from pose_extract.estimators.base import PoseEstimator
from pose_extract.tracking import TrackedPeople
from pose_extract.tracks.records import ClipTracks, Frame, PoseDetections
from pose_extract.tracks.things import ClipThings, Things

Block = tuple[int, ClipTracks, ClipScores]


class FollowedPeople:
    """The people of a camera, from pictures to scores: what `score` gives online, of one picture after another.

    Args:
        camera: its name.
        scorer: its model, which scores online.
        estimator: finds the people; nobody else's meanwhile.
        fps: frames a second.
        frame_size: (width, height) in pixels.
        first_ids: the lowest ids that a person and a thing may get.
        counting: who counts, as `score_clip` has it.

    Attributes:
        people: who was seen in the latest frame.
        took_s: seconds that it took to find them.
        frames: how many were taken.
    """

    def __init__(
        self,
        camera: str,
        scorer: Scorer,
        estimator: PoseEstimator,
        fps: float,
        frame_size: tuple[int, int],
        first_ids: tuple[int, int] = (1, 1),
        counting: Counting | None = None,
    ) -> None:
        self._camera, self._skeleton, self._fps, self._size = camera, estimator.skeleton, fps, frame_size
        first, thing = first_ids
        self._follower = PeopleFollower(
            estimator, scorer.settings.tracking, fps, frame_size, first, scorer.settings.things, thing
        )
        self._with_things = scorer.settings.things.find
        self._online = OnlineScorer(scorer, counting=counting)
        self._waiting: deque[float] = deque()  # times of frames whose people are not settled
        self.people, self.took_s, self.frames = PoseDetections.empty(0), 0.0, 0

    @property
    def next_ids(self) -> tuple[int, int]:
        """Ids that no person and no thing has yet."""
        return self._follower.next_id, self._follower.next_thing

    def take(self, frame: Frame, found: PoseDetections | None = None) -> Iterator[Block]:
        """Take the next frame, whose people may be known; yields the blocks that have their scores by now."""
        began_s = time.monotonic()
        settled, [people] = self._follower.estimate([frame], None if found is None else [found])
        self.took_s, self.people = time.monotonic() - began_s, people
        yield from self._settle(settled)
        self._waiting.append(frame.time_s)
        self.frames += 1
        yield from self._settle(self._follower.track(frame, people))

    def finish(self) -> Iterator[Block]:
        """No frames follow: score those that wait."""
        yield from self._settle(self._follower.finish())
        yield from self._online.finish()

    def _settle(self, emitted: list[TrackedPeople]) -> Iterator[Block]:
        """Hand frames whose people are settled on to the score."""
        for people in emitted:
            yield from self._online.add(self._part(people, self._waiting.popleft()))

    def _part(self, people: TrackedPeople, time_s: float) -> ClipTracks:
        return ClipTracks(
            clip=self._camera,
            skeleton=self._skeleton,
            fps=self._fps,
            frame_size=self._size,
            time_s=np.array([time_s]),
            frame=np.zeros(len(people.ids), np.int32),
            track=people.ids,
            keypoints=people.people.keypoints,
            boxes=people.people.boxes,
            things=_of_one_frame(people.things) if self._with_things else None,
        )


def _of_one_frame(things: Things | None) -> ClipThings:
    if things is None:
        return ClipThings.empty()
    return ClipThings(np.zeros(1, np.int32), np.zeros(len(things), np.int32), things)
