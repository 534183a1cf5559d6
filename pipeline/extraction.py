"""Extract videos to cached tracks: decode, estimate, track, write; one clip after another, resumable."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from pipeline.following import PeopleFollower
from pipeline.patches.budget import FeatureDiskBudget
from pipeline.progress import Forecast, Progress, Stopwatch, format_duration, show_downloads, stage
from pipeline.settings import Settings
from pipeline.versions import versions
from pipeline.workspace import ClipEntry, Workspace, entry_of
from pose_extract.errors import CacheError, GepcError, VideoError, is_memory_short
from pose_extract.estimators.base import PoseEstimator, chosen_estimator, create_estimator
from pose_extract.formats import gepc
from pose_extract.skeletons import get_skeleton
from pose_extract.tracking import TrackedPeople
from pose_extract.tracks.cache import TracksWriter, load_tracks
from pose_extract.tracks.clip_time import clip_rate, holes, longest_step
from pose_extract.video import VideoReader, VideoSource, content_hash, find_sources
from pose_extract.video.prefetch import batches, prefetch
from pose_extract.video.scene import SceneLearner

logger = logging.getLogger(__name__)

# Decoded frames that may wait for the estimator: its batch, or so many if that is less, but only so many bytes.
_AHEAD_FRAMES = 4
_AHEAD_BYTES = 256 << 20


@dataclass(frozen=True)
class ExtractReport:
    """What `extract_all` did.

    Attributes:
        made: clips extracted now.
        reused: clips that were done before.
        failed: name of each video that could not be used, with its error.
        seconds: wall-clock time spent.
        timings: wall-clock seconds by stage: "loading" the estimator, "opening" videos (and finding out whether they
            are done), "decoding" (only the time waited for frames: decoding goes on meanwhile), the estimator's own
            stages ("blazepose.network", say), "estimating" (what those do not cover), "tracking" and "writing".
    """

    made: tuple[ClipEntry, ...]
    reused: tuple[ClipEntry, ...]
    failed: tuple[tuple[str, GepcError], ...]
    seconds: float
    timings: dict[str, float]


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


def find_all_sources(names: Sequence[str]) -> list[VideoSource]:
    """The sources of several arguments, each source once, clip names made unique.

    Raises:
        VideoError: an argument names nothing.
    """
    sources: dict[Path, VideoSource] = {}
    taken: set[str] = set()
    for name in names:
        for source in find_sources(name):
            path = Path(os.path.realpath(source.path))
            if path in sources:
                continue
            unique, number = source.name, 2
            while unique in taken:
                unique, number = f"{source.name}-{number}", number + 1
            taken.add(unique)
            sources[path] = replace(source, name=unique)
    return list(sources.values())


def extract_all(
    sources: list[VideoSource],
    workspace: Workspace,
    settings: Settings,
    *,
    train: bool = True,
    json_too: bool = False,
    quiet: bool = False,
) -> ExtractReport:
    """Extract every source that the workspace does not hold yet; a broken one is reported, the rest goes on.

    Args:
        sources: videos and image folders.
        workspace: where the tracks are kept.
        settings: how to decode, find people and track them.
        train: whether `train` shall learn from these clips.
        json_too: also write each clip's tracks as JSON.
        quiet: no progress.
    """
    start = time.monotonic()
    watch = Stopwatch()
    made: list[ClipEntry] = []
    reused: list[ClipEntry] = []
    failed: list[tuple[str, GepcError]] = []
    with show_downloads(quiet):
        settings = settings.with_estimator(chosen_estimator(settings.pose.estimator))
        estimator = create_estimator(settings.pose.estimator, *settings.of_estimator())
    watch.lap("loading")
    budget = FeatureDiskBudget(estimator, settings.patches.most_gb)
    budget.announce()
    run = ExtractionRun(workspace, settings, estimator, watch, budget, train, quiet)
    with closing(estimator):
        for number, source in enumerate(sources, 1):
            title = f"extract {source.name}" + (f" ({number}/{len(sources)})" if len(sources) > 1 else "")
            try:
                entry, is_new = run.clip(source, title)
                (made if is_new else reused).append(entry)
                if json_too:
                    path = workspace.tracks_path(entry.clip)
                    gepc.write([load_tracks(path, features=False)], path.with_suffix(".json"))
            except VideoError as error:
                failed.append((source.name, error))
                if len(sources) > 1:  # of one, the command says it
                    logger.error("%s", error)
            except Exception as error:
                if not is_memory_short(error):
                    raise
                text = f"{source.path}: too little memory for its frames; try --set video.max_side=960"
                failed.append((source.name, VideoError(text)))
                if len(sources) > 1:
                    logger.error("%s", text)
    watch.lap("opening")
    seconds = time.monotonic() - start
    return ExtractReport(
        tuple(made), tuple(reused), tuple(failed), seconds, _with_stages_of(estimator, watch.seconds)
    )


def _with_stages_of(estimator: PoseEstimator, seconds: dict[str, float]) -> dict[str, float]:
    """The stopwatch's stages, "estimating" split into what the estimator says of itself and the rest."""
    own = {f"{estimator.name}.{name}": spent for name, spent in estimator.timings.items()}
    rest = max(0.0, seconds.get("estimating", 0.0) - sum(own.values()))
    return {**seconds, **own, "estimating": rest}


@dataclass
class ExtractionRun:
    """What all clips of one run share: the estimator with its networks loaded, the time spent, the disk taken.

    Attributes:
        workspace: where the tracks are kept.
        settings: how to decode, find people and track them.
        estimator: its networks loaded.
        watch: time spent by stage.
        budget: disk that the joints' features may take.
        train: whether `train` shall learn from these clips.
        quiet: no progress.
    """

    workspace: Workspace
    settings: Settings
    estimator: PoseEstimator
    watch: Stopwatch
    budget: FeatureDiskBudget
    train: bool
    quiet: bool

    def clip(self, source: VideoSource, title: str) -> tuple[ClipEntry, bool]:
        """The workspace's entry of a video, extracted unless it is there; and whether it was extracted now.

        Raises:
            VideoError: the video cannot be used.
            OutputError: the tracks cannot be written.
        """
        key = clip_key(content_hash(source), self.settings, self.estimator)
        entry = self._find(key)
        if entry is None:
            # Beside other processes, but not one that makes this clip or one of this name.
            with self.workspace.adding_clips(), self.workspace.holding(source.name, key):
                entry = self._find(key)
                if entry is None:
                    return self._extract(source, key, title), True
        logger.info("%s: its tracks are there already", source.name)
        return self.workspace.promote(entry) if self.train else entry, False

    def _find(self, key: str) -> ClipEntry | None:
        """The clip's entry, unless its people were followed at a rate that its frames do not have."""
        entry = self.workspace.find(key)
        if entry is None:
            return None
        try:
            tracks = load_tracks(self.workspace.tracks_path(entry.clip), features=False)
        except CacheError as error:
            logger.warning("%s; it is made again", error)
            return None
        rate = clip_rate(tracks.time_s, tracks.fps)
        if rate == tracks.fps:
            return entry
        logger.warning("%s: its tracks were made for %.3g frames a second, it has %.3g; they are made again",
                       entry.clip, tracks.fps, rate)  # fmt: skip
        return None

    def _extract(self, source: VideoSource, key: str, title: str) -> ClipEntry:
        skeleton = get_skeleton(self.estimator.skeleton)
        location = os.path.realpath(source.path)
        clip = self.workspace.name_for(source.name, location, key)
        path = self.workspace.tracks_path(clip)
        with VideoReader(source, self.settings.video) as reader, TracksWriter(path) as writer:
            with stage(title, "frames", reader.info.frame_count, self.quiet) as progress:
                self.budget.announce_clip(source.name, reader.info.frame_count)
                scene = SceneLearner()
                tracks, covered = self._find_people(reader, writer, progress, scene)
            times = writer.read_times()
            frames = len(times)
            if frames == 0:
                raise VideoError(f"{source.path}: not one frame could be read")
            fps = clip_rate(times, reader.info.fps)
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
        self.workspace.record(entry)
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
        forecast = Forecast(info.fps, info.frame_count)
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
