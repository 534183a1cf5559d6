"""Find and write the people of a video's frames, as they come."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import closing
from dataclasses import dataclass

from pipeline.following import PeopleFollower
from pipeline.patches.budget import FeatureDiskBudget
from pipeline.progress import Forecast, Progress, Stopwatch
from pipeline.settings import Settings
from pose_extract.estimators.base import PoseEstimator
from pose_extract.tracking import TrackedPeople
from pose_extract.tracks.cache import TracksWriter
from pose_extract.tracks.clip_time import longest_step
from pose_extract.tracks.records import Frame
from pose_extract.video.prefetch import batches, prefetch
from pose_extract.video.reader import VideoInfo
from pose_extract.video.scene import SceneLearner

# Decoded frames that may wait for the estimator: its batch, or so many if that is less, but only so many bytes.
_AHEAD_FRAMES = 4
_AHEAD_BYTES = 256 << 20


@dataclass(frozen=True)
class PeopleFinder:
    """What finds people in one video after another.

    Attributes:
        settings: how to find and track them.
        estimator: its networks loaded.
        budget: disk that the joints' features may take.
        watch: time spent by stage.
    """

    settings: Settings
    estimator: PoseEstimator
    budget: FeatureDiskBudget
    watch: Stopwatch

    def write(
        self,
        frames: Iterable[Frame],
        info: VideoInfo,
        writer: TracksWriter,
        progress: Progress,
        forecast: bool = False,
    ) -> tuple[SceneLearner, int, int]:
        """Write a video's frames, people and things.

        Args:
            frames: the video's, or a piece's of it.
            info: what is known of the video.
            writer: of the tracks.
            progress: how far it is.
            forecast: say what an hour of such video takes.

        Returns:
            what was learned of the scene; how many people there are, and how many frames show somebody.
        """
        estimator, watch = self.estimator, self.watch
        ids: set[int] = set()
        covered = 0

        def write(emitted: list[TrackedPeople]) -> None:
            nonlocal covered
            watch.lap("tracking")
            for people in emitted:
                self.budget.reserve(len(people.ids))
                writer.add_people(people.frame, people.ids, people.people)
                writer.add_things(people.frame, people.things)
                ids.update(people.ids.tolist())
                covered += len(people.ids) > 0
            watch.lap("writing")

        follower = PeopleFollower(
            estimator, self.settings.tracking, info.fps, info.frame_size, things=self.settings.things
        )
        scene = SceneLearner()
        watch.lap("opening")
        pace = Forecast(info.fps, info.frame_count if forecast else 0)
        with closing(prefetch(frames, _frames_ahead(estimator.batch_size, info.frame_size))) as ahead:
            for batch in batches(ahead, estimator.batch_size, longest_step(info.fps)):
                watch.lap("decoding")
                settled, found = follower.estimate(batch)
                watch.lap("estimating")
                write(settled)
                for frame, people in zip(batch, found, strict=True):
                    writer.add_frame(frame.time_s)
                    scene.see(frame.image, frame.time_s)
                    write(follower.track(frame, people))
                progress.advance(len(batch), f"{len(ids)} tracks")
                pace.advance(len(batch))
                batch.clear()  # its pictures make room for the next ones
            watch.lap("decoding")
        write(follower.finish())
        return scene, len(ids), covered


def _frames_ahead(batch_size: int, frame_size: tuple[int, int]) -> int:
    """How many decoded frames of (width, height) pixels may wait."""
    width, height = frame_size
    return max(1, min(max(batch_size, _AHEAD_FRAMES), _AHEAD_BYTES // (width * height * 3)))
