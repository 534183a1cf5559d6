"""Record who moves how before a camera, to learn from, without keeping its pictures."""

from __future__ import annotations

import hashlib
import logging
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from itertools import chain, count

import numpy as np

from anomaly.data.resampling import LONGEST_STEP_S
from pipeline.following import PeopleFollower
from pipeline.live.backoff import Backoff
from pipeline.live.capture.capture import StreamCapture
from pipeline.live.capture.feed import LiveFrame
from pipeline.live.capture.pace import Pace, Paced
from pipeline.live.settings import LiveSettings
from pipeline.progress import show_downloads, stage
from pipeline.settings import Settings
from pipeline.versions import versions
from pipeline.workspace import ClipEntry, Workspace, entry_of
from pose_extract.errors import VideoError
from pose_extract.estimators.base import PoseEstimator, chosen_estimator, create_estimator
from pose_extract.skeletons import get_skeleton
from pose_extract.tracking import TrackedPeople
from pose_extract.tracks.cache import TracksWriter
from pose_extract.tracks.clip_time import usual_rate
from pose_extract.tracks.records import Frame
from pose_extract.video.scene import SceneLearner
from pose_extract.video.streams import StreamSource

logger = logging.getLogger(__name__)

CLIP_S = 600.0
"""Seconds of a clip: what is lost at most if the machine dies."""

_NO_PICTURE_S = 30.0  # from the start, after which nobody waits for the first one any more
_TRIAL_S = 5.0  # after which it is known how many frames a second there are


class LiveExtraction:
    """Follows the people of a camera for some time and keeps their tracks, as clips of ten minutes.

    Args:
        source: the camera.
        name: its name; clips are called by it and by the time of their beginning.
        workspace: where the tracks are kept, for `train` to learn from.
        settings: how to find people and follow them.
        live: how to connect.
        clip_s: seconds of a clip.
    """

    def __init__(
        self,
        source: StreamSource,
        name: str,
        workspace: Workspace,
        settings: Settings,
        live: LiveSettings | None = None,
        clip_s: float = CLIP_S,
    ) -> None:
        self._source, self._name, self._workspace = source, name, workspace
        self._settings, self._live, self._clip_s = settings, live or LiveSettings(), clip_s
        self._arrivals = threading.Condition()
        self.entries: list[ClipEntry] = []
        self.dropped = 0

    def run(self, seconds: float, quiet: bool = False) -> list[ClipEntry]:
        """Record for so long, or until Ctrl-C; what was seen so far is kept in any case.

        Raises:
            VideoError: there was no picture.
        """
        with show_downloads(quiet):
            settings = self._settings.with_estimator(chosen_estimator(self._settings.pose.estimator))
            estimator = create_estimator(settings.pose.estimator, *settings.of_estimator())
        backoff = Backoff(self._live.retry_first_s, self._live.retry_most_s)
        capture = StreamCapture(self._name, [self._source], self._arrivals, settings.video.max_side, backoff)
        capture.start()
        try:
            with (
                closing(estimator),
                stage(f"extract {self._name}", "seconds", round(seconds), quiet) as progress,
            ):
                frames = self._frames(capture, seconds)
                rate = self._trial(frames, estimator)
                while (entry := self._clip(frames, estimator, settings, rate)) is not None:
                    self.entries.append(entry)
                    progress.advance(round(entry.seconds), f"{entry.clip}: {entry.tracks} tracks")
        finally:
            capture.stop()
            capture.join(5.0)
            self.dropped = capture.mailbox.dropped
        if not self.entries:
            what = (
                f"it gave pictures for less than the {_TRIAL_S:g} s that it takes to see how many can be looked at"
                if capture.received
                else "no picture came"
            )
            raise VideoError(
                f"{self._source.shown}: {what}" + (f" ({capture.trouble})" if capture.trouble else "")
            )
        return self.entries

    def _frames(self, capture: StreamCapture, seconds: float) -> Iterator[LiveFrame]:
        """The camera's frames of so many seconds; a camera that freezes is connected to anew."""
        began = time.monotonic()
        until = began + seconds
        pace, looking_s = Pace(), 0.0
        while (now := time.monotonic()) < until:
            pace.look([Paced(capture.mailbox, looking_s)], now)
            frame = capture.mailbox.take()
            if frame is not None:
                yield frame
                looking_s += time.monotonic() - now
                continue
            if capture.finished:
                return
            patience_s = self._live.lost_after_s + 5
            if capture.age_s > patience_s and time.monotonic() - capture.began_s > patience_s + 5:
                if not capture.received and time.monotonic() - began >= _NO_PICTURE_S:
                    return  # so is an address that is wrong
                why = f" ({capture.trouble})" if capture.trouble else ""
                logger.warning("%s: no picture for %.0f s%s", self._name, capture.age_s, why)
                capture.last_s = time.monotonic()
                capture.kick()
            with self._arrivals:
                self._arrivals.wait(0.1)

    def _trial(self, frames: Iterator[LiveFrame], estimator: PoseEstimator) -> float:
        """Frames a second that can be looked at, by looking at some."""
        times: list[float] = []
        for frame in frames:
            if not times:
                estimator.start(frame.fps or 25.0, frame.size)
            times.append(frame.time_s)
            estimator.estimate([Frame(len(times) - 1, frame.time_s, frame.image)])
            if times[-1] - times[0] >= _TRIAL_S:
                break
        rate = usual_rate(np.array(times)[len(times) // 2 :]) or 25.0  # by then the pace is even
        if rate < 1 / LONGEST_STEP_S:
            logger.warning(
                "%s: only %.1f frames a second can be looked at; from fewer than %.0f nothing can be learned. Set "
                "video.max_side, or take a faster estimator",
                self._name, rate, 1 / LONGEST_STEP_S,
            )  # fmt: skip
        return rate

    def _free_name(self, first: LiveFrame) -> str:
        """A clip's name by its first frame, local time; in the night when summer time ends an hour comes twice."""
        name = f"{self._name}-{first.at.strftime('%Y%m%dT%H%M%S')}"
        names = chain([name], (f"{name}-{number}" for number in count(2)))
        return next(each for each in names if not self._workspace.tracks_path(each).exists())

    def _clip(
        self, frames: Iterator[LiveFrame], estimator: PoseEstimator, settings: Settings, rate: float
    ) -> ClipEntry | None:
        """Record one clip; None where there are no frames any more."""
        first = next(frames, None)
        if first is None:
            return None
        name = self._free_name(first)
        skeleton, size = get_skeleton(estimator.skeleton), first.size
        follower = PeopleFollower(estimator, settings.tracking, rate, size, things=settings.things)
        ids: set[int] = set()
        covered, frame, last, index, scene = 0, first, first, 0, SceneLearner()
        with self._workspace.adding_clips(), TracksWriter(self._workspace.tracks_path(name)) as writer:

            def write(emitted: list[TrackedPeople]) -> None:
                nonlocal covered
                for people in emitted:
                    writer.add_people(people.frame, people.ids, people.people)
                    writer.add_things(people.frame, people.things)
                    ids.update(people.ids.tolist())
                    covered += len(people.ids) > 0

            interrupted: BaseException | None = None
            try:
                while frame is not None and frame.size == size and frame.time_s - first.time_s < self._clip_s:
                    picture = Frame(index, frame.time_s - first.time_s, frame.image)
                    settled, [found] = follower.estimate([picture])
                    write(settled)
                    writer.add_frame(picture.time_s)
                    scene.see(picture.image, picture.time_s)
                    write(follower.track(picture, found))
                    index, last = index + 1, frame
                    following = next(frames, None)
                    if following is None:
                        break
                    frame = following
            except KeyboardInterrupt as error:
                if not index:
                    raise
                interrupted = error
            write(follower.finish())
            times = writer.read_times()
            fps = usual_rate(times) or rate
            seconds = float(times[-1] - times[0] + 1 / fps)
            provenance = {
                "source": self._source.shown,
                "key": hashlib.sha256(f"{self._source.shown} {first.at.isoformat()}".encode()).hexdigest(),
                "train": True,
                "settings": settings.for_tracks,
                "estimator": estimator.identity,
                "versions": versions(),
                "scene": scene.text,
                "recorded": {"from": first.at.isoformat(), "to": last.at.isoformat()},
                "summary": {
                    "frames": len(times),
                    "rows": writer.rows,
                    "tracks": len(ids),
                    "seconds": round(seconds, 3),
                    "coverage": round(covered / len(times), 4),
                    "damage": [],
                },
            }
            writer.finish(
                clip=name,
                skeleton=skeleton.name,
                num_joints=skeleton.num_joints,
                fps=float(fps),
                frame_size=size,
                provenance=provenance,
            )
        entry = entry_of(provenance, name)
        self._workspace.record(entry)
        if interrupted is not None:
            self.entries.append(entry)
            raise interrupted
        return entry
