"""Extract one video to cached tracks: decode, estimate, track, write; resumable."""

from __future__ import annotations

import hashlib
import json
import logging
import os
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, closing
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from pipeline.following import PeopleFollower
from pipeline.patches.budget import FeatureDiskBudget
from pipeline.progress import Forecast, Progress, Stopwatch, format_duration
from pipeline.settings import Settings
from pipeline.versions import versions
from pipeline.workspace import ClipEntry, ClipIndex, Workspace, entry_of
from pose_extract.errors import CacheError, VideoError, is_memory_short
from pose_extract.estimators.base import PoseEstimator
from pose_extract.skeletons import get_skeleton
from pose_extract.tracking import TrackedPeople
from pose_extract.tracks.cache import TracksWriter, load_header, load_tracks
from pose_extract.tracks.clip_time import FASTEST, SLOWEST, clip_rate, holes, longest_step
from pose_extract.video import VideoReader, VideoSource, content_hash
from pose_extract.video.prefetch import batches, prefetch
from pose_extract.video.scene import SceneLearner

logger = logging.getLogger(__name__)

# Decoded frames that may wait for the estimator: its batch, or so many if that is less, but only so many bytes.
_AHEAD_FRAMES = 4
_AHEAD_BYTES = 256 << 20


def clip_key(content: str, settings: Settings, estimator: PoseEstimator) -> str:
    """Hash of a video's content and of every setting that shapes its tracks.

    Cleaning and what follows it are left out: they run when the tracks are read.
    """
    shaping = {
        "content": content,
        "video": asdict(settings.video),
        "estimator": estimator.identity,
        "tracking": asdict(settings.tracking),
    }
    return hashlib.sha256(json.dumps(shaping, sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True)
class ClipOutcome:
    """What became of one source.

    Attributes:
        entry: the clip's; None if the source cannot be used.
        is_new: whether it was extracted now.
        error: why it cannot be used.
        result: of what is done with each clip then.
        seconds: wall-clock time by stage since the outcome before, see `ExtractReport`.
    """

    entry: ClipEntry | None = None
    is_new: bool = False
    error: VideoError | None = None
    result: Any = None
    seconds: Mapping[str, float] = field(default_factory=dict)


Then = Callable[[VideoSource, ClipEntry], Any]
"""Done with each clip when its tracks are there; pickled where several processes are at work."""

ShowClip = Callable[[str, float | None], AbstractContextManager[Progress]]
"""Shows how far a clip of that name is, with so many frames if that is known, for as long as the block runs."""


@dataclass
class ExtractionRun:
    """What the clips of one run, or of one worker of it, share: the estimator with its networks, the disk taken.

    Attributes:
        workspace: where the tracks are kept.
        settings: how to decode, find people and track them.
        estimator: its networks loaded.
        budget: disk that the joints' features may take.
        train: whether `train` shall learn from these clips.
        then: what is done with each clip that is there; None: nothing.
        show: how far a clip is.
        forecast: say what an hour of such video takes.
        watch: time spent by stage since the run was opened.
        index: the workspace's clips.
    """

    workspace: Workspace
    settings: Settings
    estimator: PoseEstimator
    budget: FeatureDiskBudget
    train: bool
    then: Then | None
    show: ShowClip
    forecast: bool
    watch: Stopwatch
    index: ClipIndex
    _accounted: dict[str, float] = field(default_factory=dict)

    def attempt(self, source: VideoSource) -> ClipOutcome:
        """Extract a video unless it is there, and do what comes then; say so if it cannot be used.

        Raises:
            OutputError: the tracks cannot be written.
        """
        try:
            entry, is_new = self.clip(source)
            result = None if self.then is None else self.then(source, entry)
            outcome = ClipOutcome(entry, is_new, result=result)
        except VideoError as error:
            outcome = ClipOutcome(error=error)
        except Exception as error:
            if not is_memory_short(error):
                raise
            text = f"{source.path}: too little memory for its frames; try --set video.max_side=960"
            outcome = ClipOutcome(error=VideoError(text))
        self.watch.lap("opening")
        seconds, before = self._seconds(), self._accounted
        self._accounted = seconds
        return replace(outcome, seconds={name: seconds[name] - before.get(name, 0.0) for name in seconds})

    def _seconds(self) -> dict[str, float]:
        """The stopwatch's stages, "estimating" split into what the estimator says of itself and the rest."""
        seconds, estimator = self.watch.seconds, self.estimator
        own = {f"{estimator.name}.{name}": spent for name, spent in estimator.timings.items()}
        rest = max(0.0, seconds.get("estimating", 0.0) - sum(own.values()))
        return {**seconds, **own, "estimating": rest}

    def clip(self, source: VideoSource) -> tuple[ClipEntry, bool]:
        """The workspace's entry of a video, extracted unless it is there; and whether it was extracted now.

        Raises:
            VideoError: the video cannot be used.
            OutputError: the tracks cannot be written.
        """
        key = clip_key(content_hash(source), self.settings, self.estimator)
        entry = self._find(key, source.name)
        if entry is None:
            # Beside other processes, but not one that makes this clip or one of this name.
            with self.workspace.adding_clips(), self.workspace.holding(source.name, key):
                entry = self._find(key, source.name)
                if entry is None:
                    return self._extract(source, key), True
        logger.info("%s: its tracks are there already", source.name)
        return self.index.promote(entry) if self.train else entry, False

    def _find(self, key: str, name: str) -> ClipEntry | None:
        """The clip's entry, unless its people were followed at a rate that its frames do not have."""
        entry = self.index.find(key, name)
        if entry is None:
            return None
        path = self.workspace.tracks_path(entry.clip)
        try:
            tracks, stated = load_tracks(path, features=False), load_header(path)["fps"]
        except CacheError as error:
            logger.warning("%s; it is made again", error)
            return None
        if tracks.fps == stated:
            return entry
        logger.warning("%s: its tracks were made for %.3g frames a second, it has %.3g; they are made again",
                       entry.clip, stated, tracks.fps)  # fmt: skip
        return None

    def _say_if_found_otherwise(self, name: str, clip: str, location: str) -> None:
        """Say that a video's people were found by another estimator before: poses differ, and so do scores."""
        before, now = self.index.named(clip), self.estimator.identity["name"]
        if before is not None and before.source == location and before.estimator not in ("", now):
            logger.warning(
                "%s: its people were found by %s before, and are found by %s now; a model is for the poses of one of "
                "them (--pose %s goes on with those)",
                name,
                before.estimator,
                now,
                before.estimator,
            )

    def _extract(self, source: VideoSource, key: str) -> ClipEntry:
        skeleton = get_skeleton(self.estimator.skeleton)
        location = os.path.realpath(source.path)
        clip = self.index.name_for(source.name, location, key)
        self._say_if_found_otherwise(source.name, clip, location)
        path = self.workspace.tracks_path(clip)
        with VideoReader(source, self.settings.video) as reader, TracksWriter(path) as writer:
            with self.show(source.name, reader.info.frame_count) as progress:
                self.budget.announce_clip(source.name, reader.info.frame_count)
                scene = SceneLearner()
                tracks, covered = self._find_people(reader, writer, progress, scene)
            times = writer.read_times()
            frames = len(times)
            if frames == 0:
                raise VideoError(f"{source.path}: not one frame could be read")
            fps = clip_rate(times, reader.info.fps)
            if not SLOWEST <= fps <= FASTEST:
                raise VideoError(
                    f"{source.path}: expected {SLOWEST:g} to {FASTEST:g} frames a second, its timestamps make {fps:.3g}"
                )
            damage = [f"{format_duration(d.time_s)}: {d.message}" for d in reader.damage]
            if found := holes(times, fps):
                first, last = found[0]
                logger.warning(
                    "%s: %d holes in its time, the first from %s to %s; each stretch between them is as a clip of its "
                    "own, and nothing is filled in",
                    source.name,
                    len(found),
                    format_duration(first),
                    format_duration(last),
                )
            for text in damage:
                logger.warning("%s: damaged at %s; its readable frames are used", source.name, text)
            provenance = {
                "source": location,
                "key": key,
                "train": self.train,
                "settings": self.settings.for_tracks(),
                "estimator": self.estimator.identity,
                "versions": versions(),
                "scene": scene.text,
                "summary": {
                    "frames": frames,
                    "rows": writer.rows,
                    "tracks": tracks,
                    "seconds": round(float(times[-1] - times[0] + 1 / fps), 3),
                    "coverage": round(covered / frames, 4),
                    "damage": damage,
                },
            }
            writer.finish(
                clip=clip,
                skeleton=skeleton.name,
                num_joints=skeleton.num_joints,
                fps=float(fps),
                frame_size=reader.info.frame_size,
                provenance=provenance,
            )
        entry = entry_of(provenance, clip)
        self.index.add(entry)
        self.watch.lap("writing")
        return entry

    def _find_people(
        self, reader: VideoReader, writer: TracksWriter, progress: Progress, scene: SceneLearner
    ) -> tuple[int, int]:
        """Write a clip's frames and people; return the number of tracks, and of frames with somebody in them."""
        info, estimator, watch = reader.info, self.estimator, self.watch
        ids: set[int] = set()
        covered = 0

        def write(emitted: list[TrackedPeople]) -> None:
            nonlocal covered
            watch.lap("tracking")
            for people in emitted:
                self.budget.reserve(len(people.ids))
                writer.add_people(people.frame, people.ids, people.people)
                ids.update(people.ids.tolist())
                covered += len(people.ids) > 0
            watch.lap("writing")

        follower = PeopleFollower(estimator, self.settings.tracking, info.fps, info.frame_size)
        watch.lap("opening")
        forecast = Forecast(info.fps, info.frame_count if self.forecast else 0)
        with closing(prefetch(reader, _frames_ahead(estimator.batch_size, info.frame_size))) as frames:
            for batch in batches(frames, estimator.batch_size, longest_step(info.fps)):
                watch.lap("decoding")
                settled, found = follower.estimate(batch)
                watch.lap("estimating")
                write(settled)
                for frame, people in zip(batch, found, strict=True):
                    writer.add_frame(frame.time_s)
                    scene.see(frame.image, frame.time_s)
                    if people.objects is not None:
                        writer.add_objects(frame.index, people.objects)
                    write(follower.track(frame, people))
                progress.advance(len(batch), f"{len(ids)} tracks")
                forecast.advance(len(batch))
                batch.clear()  # its pictures make room for the next ones
            watch.lap("decoding")
        write(follower.finish())
        return len(ids), covered


def _frames_ahead(batch_size: int, frame_size: tuple[int, int]) -> int:
    """How many decoded frames of (width, height) pixels may wait."""
    width, height = frame_size
    return max(1, min(max(batch_size, _AHEAD_FRAMES), _AHEAD_BYTES // (width * height * 3)))
