"""Extract one video to cached tracks: decode, estimate, track, write; resumable."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from pipeline.extraction.people import PeopleFinder
from pipeline.extraction.pieces import PIECES_VERSION, PieceOf, PieceWork, whole
from pipeline.patches.budget import FeatureDiskBudget
from pipeline.progress import Progress, Stopwatch, format_duration
from pipeline.settings import Settings
from pipeline.versions import versions
from pipeline.workspace import ClipEntry, ClipIndex, Workspace, entry_of
from pose_extract.errors import CacheError, VideoError, is_memory_short
from pose_extract.estimators.base import PoseEstimator
from pose_extract.skeletons import get_skeleton
from pose_extract.tracks.cache import TracksWriter, load_header, load_tracks, save_tracks
from pose_extract.tracks.clip_time import FASTEST, SLOWEST, clip_rate, holes
from pose_extract.tracks.joining import JoinError
from pose_extract.video import VideoReader, VideoSource, content_hash
from pose_extract.video.remote import fetched, mark_of

logger = logging.getLogger(__name__)

_THINGS_VERSION = 7  # of what `pose_extract.things` finds: raise it when that changes


def clip_key(content: str, settings: Settings, estimator: PoseEstimator) -> str:
    """Hash of a video's content and of every setting that shapes its tracks.

    Cleaning and what follows it are left out: they run when the tracks are read.
    """
    sections = settings.for_tracks
    video = dict(sections["video"])
    if settings.video.pieces_min is None:
        del video["pieces_min"]
    else:
        video["pieces"] = PIECES_VERSION
    shaping = {
        "content": content,
        "video": video,
        "estimator": estimator.identity,
        "tracking": sections["tracking"],
        "things": [_THINGS_VERSION, sections["things"]],
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
            with nullcontext(source) if self.then is None else fetched(source) as here:
                entry, is_new = self.clip(here)
                result = None if self.then is None else self.then(here, entry)
            outcome = ClipOutcome(entry, is_new, result=result)
        except VideoError as error:
            outcome = ClipOutcome(error=error)
        except Exception as error:
            if not is_memory_short(error):
                raise
            text = f"{source.location}: too little memory for its frames; try --set video.max_side=960"
            outcome = ClipOutcome(error=VideoError(text))
        self.watch.lap("opening")
        return replace(outcome, seconds=self._new_seconds())

    def _new_seconds(self) -> dict[str, float]:
        """Time spent by stage since this was asked last."""
        seconds, before = self._seconds(), self._accounted
        self._accounted = seconds
        return {name: seconds[name] - before.get(name, 0.0) for name in seconds}

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
        settings, content = self.work.settings_for(source), _content(source)
        key = clip_key(content, settings, self.estimator)
        entry = self._find(key, source.name)
        if entry is None:
            # Beside other processes, but not one that makes this clip or one of this name.
            with self.workspace.adding_clips(), self.workspace.holding(source.name, key):
                entry = self._find(key, source.name)
                if entry is None:
                    with fetched(source) as here:
                        return self._extract(here, key, content, settings), True
        logger.info("%s: its tracks are there already", source.name)
        return self._learned_from(entry) if self.train else entry, False

    def _learned_from(self, entry: ClipEntry) -> ClipEntry:
        """The entry of a clip that `train` learns from, which had perhaps only been scored; its file says so, too."""
        if not entry.train:
            path = self.workspace.tracks_path(entry.clip)
            tracks = load_tracks(path)
            save_tracks(path, replace(tracks, provenance={**tracks.provenance, "train": True}))
        return self.index.promote(entry)

    @cached_property
    def finder(self) -> PeopleFinder:
        """What finds the people."""
        return PeopleFinder(self.settings, self.estimator, self.budget, self.watch)

    @cached_property
    def work(self) -> PieceWork:
        """What cuts long videos into pieces."""
        return PieceWork(self.workspace, self.finder)

    def is_there(self, source: VideoSource) -> bool:
        """Whether a video's tracks are there; of one that cannot be read, no."""
        with suppress(VideoError):
            key = clip_key(_content(source), self.work.settings_for(source), self.estimator)
            return self._find(key, source.name) is not None
        return False

    def take(self, source: VideoSource, path: Path) -> ClipEntry:
        """Put tracks of a video that were made elsewhere, with the same settings, into the workspace."""
        tracks = load_tracks(path)
        key = tracks.provenance["key"]
        with self.workspace.adding_clips(), self.workspace.holding(source.name, key):
            clip = self.index.name_for(source.name, source.location, key, self.train)
            provenance = {**tracks.provenance, "train": self._learns(clip, key)}
            own = replace(tracks, clip=clip, provenance=provenance)
            save_tracks(self.workspace.tracks_path(clip), own)
            entry = entry_of(provenance, clip)
            self.index.add(entry)
        return entry

    def pieces_to_make(self, source: VideoSource) -> list[PieceOf]:
        """The pieces of a video that are not there; none of one that is done, too short, or cannot be used."""
        try:
            settings = self.work.settings_for(source)
            if settings.video.pieces_min is None:
                return []
            key = clip_key(_content(source), settings, self.estimator)
            if self._find(key, source.name) is not None:
                return []
            with VideoReader(source, settings.video) as reader:
                pieces = self.work.pieces(reader)
        except VideoError:
            return []  # it is met again when its turn comes, and said then
        missing = [PieceOf(source, key, piece) for piece in pieces if not self.work.is_made(key, piece)]
        return missing if len(pieces) > 1 else []

    def make_piece(self, of: PieceOf) -> dict[str, float]:
        """Find the people of a piece of a video, beside other processes; returns the seconds that each stage took."""
        with self.workspace.adding_clips(), self.show(of.name, of.piece.frames) as progress:
            try:
                if self._find(of.key, of.source.name) is None:  # another process may have joined them by now
                    self.work.make(of, progress)
            except Exception as error:  # of the video: met again when the pieces are joined, and said then
                if not (isinstance(error, VideoError) or is_memory_short(error)):
                    raise
        return self._new_seconds()

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

    def _say_if_found_otherwise(self, name: str, clip: str, location: str, key: str) -> None:
        """Say that a video's people were found by another estimator before, or otherwise: so scores differ, too."""
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
        elif before is not None and before.source == location and before.key != key:
            logger.info(
                "%s: it was extracted before, as another video or with other settings; that is replaced", name
            )

    def _learns(self, clip: str, key: str) -> bool:
        """Whether `train` learns from a clip: from this run on, or already from its tracks before they were spoilt."""
        before = self.index.named(clip)
        return self.train or (before is not None and before.train and before.key == key)

    def _extract(self, source: VideoSource, key: str, content: str, settings: Settings) -> ClipEntry:
        try:
            entry = self._write(source, key, content, settings, settings.video.pieces_min is not None)
        except JoinError as error:
            logger.warning("%s: %s; it is extracted in one go", source.name, error)
            entry = self._write(source, key, content, settings, False)
        self.work.forget(key)
        return entry

    def _write(self, source: VideoSource, key: str, content: str, settings: Settings, cut: bool) -> ClipEntry:
        skeleton = get_skeleton(self.estimator.skeleton)
        location = source.location
        clip = self.index.name_for(source.name, location, key, self.train)
        self._say_if_found_otherwise(source.name, clip, location, key)
        path = self.workspace.tracks_path(clip)
        with VideoReader(source, self.settings.video) as reader, TracksWriter(path, durable=False) as writer:
            with self.show(source.name, reader.info.frame_count) as progress:
                self.budget.announce_clip(source.name, reader.info.frame_count)
                pieces = self.work.pieces(reader) if cut else []
                if len(pieces) > 1:
                    found = self.work.join(source, key, pieces, writer, progress)
                else:
                    found = whole(reader, self.finder, writer, progress, self.forecast)
            times = writer.read_times()
            frames = len(times)
            if frames == 0:
                raise VideoError(f"{location}: not one frame could be read")
            fps = clip_rate(times, reader.info.fps)
            if not SLOWEST <= fps <= FASTEST:
                raise VideoError(
                    f"{location}: expected {SLOWEST:g} to {FASTEST:g} frames a second, its timestamps make {fps:.3g}"
                )
            damage = [f"{format_duration(time_s)}: {message}" for time_s, message in found.damage]
            if missing := holes(times, fps):
                first, last = missing[0]
                logger.warning(
                    "%s: %d holes in its time, the first from %s to %s; each stretch between them is as a clip of its "
                    "own, and nothing is filled in",
                    source.name,
                    len(missing),
                    format_duration(first),
                    format_duration(last),
                )
            for text in damage:
                logger.warning("%s: damaged at %s; its readable frames are used", source.name, text)
            provenance = {
                "source": location,
                "key": key,
                **({} if source.address else {"content": content}),
                "train": self._learns(clip, key),
                "settings": settings.for_tracks,
                "estimator": self.estimator.identity,
                "versions": versions(),
                "scene": found.scene,
                **({} if found.borders is None else {"borders": found.borders}),
                "summary": {
                    "frames": frames,
                    "rows": writer.rows,
                    "tracks": found.tracks,
                    "seconds": round(float(times[-1] - times[0] + 1 / fps), 3),
                    "coverage": round(found.covered / frames, 4),
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


def _content(source: VideoSource) -> str:
    """Hash of a source's content; of one that is elsewhere of what its system says of it."""
    return mark_of(source.address) if source.address else content_hash(source)
