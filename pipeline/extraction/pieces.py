"""Cut a long video into pieces that several workers extract, and join what they have found.

A piece is looked at from a while before it begins: then the background is known, and who is there is followed. Where
pieces begin depends on the video and the settings alone, so the tracks do not depend on how many workers there are.
"""

from __future__ import annotations

import logging
import math
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipeline.extraction.people import PeopleFinder
from pipeline.processes import locked
from pipeline.progress import Progress
from pipeline.settings import Settings
from pipeline.workspace import Workspace
from pose_extract.errors import CacheError, VideoError
from pose_extract.skeletons import get_skeleton
from pose_extract.tracks.cache import TracksWriter, load_header, load_tracks
from pose_extract.tracks.clip_time import stretch_numbers
from pose_extract.tracks.joining import joined
from pose_extract.tracks.records import ClipTracks
from pose_extract.video import VideoReader, VideoSource
from pose_extract.video.scene import mean_sketch

logger = logging.getLogger(__name__)

PIECES_VERSION = 1  # of how pieces are cut and joined: raise it when that changes
_WARM_UP_S = 60.0  # for which a piece is looked at before it begins; the background is remembered for as long


@dataclass(frozen=True)
class Piece:
    """A part of a video.

    Attributes:
        number: which one, from 0.
        looked_from_s: when to begin to look, in seconds since the video's first frame.
        begins_s: when it begins.
        ends_s: when the next one begins; infinite of the last.
        frames: how many are looked at.
    """

    number: int
    looked_from_s: float
    begins_s: float
    ends_s: float
    frames: int

    def as_json(self) -> dict[str, Any]:
        """The same, of the last one without an end."""
        return asdict(self) | {"ends_s": self.ends_s if math.isfinite(self.ends_s) else None}


class PieceOf(NamedTuple):
    """A piece of one video; ``key`` is that of the clip."""

    source: VideoSource
    key: str
    piece: Piece

    @property
    def name(self) -> str:
        """What it is called where its progress is shown."""
        return f"{self.source.name}, piece {self.piece.number + 1}"


class Found(NamedTuple):
    """What was found in a clip.

    Attributes:
        tracks: how many people.
        covered: how many frames show somebody.
        damage: when, in seconds, and what could not be read.
        scene: a sketch of it.
        borders: of a video that was cut: when each piece but the first begins, how many people were followed into it,
            and whether both pieces see the same at that moment.
    """

    tracks: int
    covered: int
    damage: list[tuple[float, str]]
    scene: str | None
    borders: list[dict[str, Any]] | None = None


def cut(time_s: NDArray[np.float64], fps: float, piece_s: float, rhythm: int) -> list[Piece]:
    """Cut a video into pieces of about the same length: at holes near by, without anything that is looked at twice.

    Args:
        time_s: (F,) when its frames are shown.
        fps: frames a second.
        piece_s: about how long pieces are.
        rhythm: frames from the beginning of a stretch at which a piece may be looked at first are multiples of this.
    """
    stretch = stretch_numbers(time_s, fps)
    begins = np.flatnonzero(np.diff(stretch, prepend=-1))
    starts: dict[int, int] = {0: 0}  # frame with which a piece begins -> with which it is looked at first
    for number in range(1, max(1, round(float(time_s[-1]) / piece_s))):
        frame = int(np.searchsorted(time_s, number * piece_s))
        hole = int(begins[np.abs(time_s[begins] - number * piece_s).argmin()])
        since = int(begins[stretch[frame]])
        if hole > 0 and abs(time_s[hole] - number * piece_s) <= piece_s / 2:
            frame = since = hole
        warm = int(np.searchsorted(time_s, time_s[frame] - min(_WARM_UP_S, piece_s / 2)))
        starts[frame] = since + max(0, warm - since) // rhythm * rhythm
    frames = sorted(starts)

    def moment(frame: int) -> float:
        return 0.0 if frame == 0 else float(time_s[frame - 1] + time_s[frame]) / 2

    ends = [*map(moment, frames[1:]), math.inf]
    stops = [*frames[1:], len(time_s)]
    return [
        Piece(number, moment(starts[frame]), moment(frame), end, stop - starts[frame])
        for number, (frame, end, stop) in enumerate(zip(frames, ends, stops, strict=True))
    ]


@dataclass(frozen=True)
class PieceWork:
    """What the pieces of one run, or of one worker of it, share.

    Attributes:
        workspace: where they are kept until their clip is done.
        finder: finds the people.
    """

    workspace: Workspace
    finder: PeopleFinder

    def settings_for(self, source: VideoSource) -> Settings:
        """The run's settings, without pieces if a video is too short, or elsewhere; VideoError if it cannot be read."""
        settings = self.finder.settings
        minutes = settings.video.pieces_min
        if minutes is None:
            return settings
        length_s = None
        if not source.address:
            with VideoReader(source, settings.video) as reader:
                length_s = reader.info.duration_s
        if length_s is not None and length_s > 90 * minutes:
            return settings
        return replace(settings, video=replace(settings.video, pieces_min=None))

    def pieces(self, reader: VideoReader) -> list[Piece]:
        """The pieces of a video; a single one if its file does not tell the times of its frames in order."""
        settings, info, time_s = self.finder.settings, reader.info, reader.frame_times()
        if time_s is None or settings.video.pieces_min is None:
            if time_s is None:
                logger.warning(
                    "%s: not cut into pieces, for its file does not tell when all of its frames are shown",
                    reader.source.name,
                )
            return [Piece(0, 0.0, 0.0, math.inf, info.frame_count or 0)]
        things = settings.things
        looks = max(1, round(things.interval_s * info.fps)) if things.find else 1
        rhythm = math.lcm(self.finder.estimator.rhythm(info.fps), looks)
        return cut(time_s, info.fps, 60 * settings.video.pieces_min, rhythm)

    def _path(self, key: str, number: int) -> Path:
        return self.workspace.tracks / "pieces" / key[:16] / f"{number:05d}.npz"

    def is_made(self, key: str, piece: Piece) -> bool:
        """Whether a piece of the clip of this key is there."""
        path = self._path(key, piece.number)
        try:
            made = load_header(path)["provenance"] if path.is_file() else {}
        except CacheError as error:
            logger.warning("%s; it is made again", error)
            return False
        return bool(made.get("key") == key and made.get("piece") == piece.as_json())

    def make(self, of: PieceOf, progress: Progress) -> None:
        """Find the people of a piece, unless it is there; VideoError if the video cannot be used.

        Waits, or raises BusyError, while another process makes it.
        """
        lock = self._path(of.key, of.piece.number).with_suffix(".lock")
        busy = f"another gepc-pipeline is making {of.name} in {self.workspace.root}"
        if not self.is_made(of.key, of.piece):
            with locked(lock, busy, wait=self.workspace.wait):
                if not self.is_made(of.key, of.piece):
                    self._make(of, progress)

    def _make(self, of: PieceOf, progress: Progress) -> None:
        source, key, piece = of
        path, finder = self._path(key, piece.number), self.finder
        skeleton = get_skeleton(finder.estimator.skeleton)
        with (
            VideoReader(source, finder.settings.video) as reader,
            TracksWriter(path, durable=False) as writer,
        ):
            frames = reader.frames(piece.looked_from_s, piece.ends_s)
            scene, *_ = finder.write(frames, reader.info, writer, progress)
            damage = [[d.time_s, d.message] for d in reader.damage if d.time_s < piece.ends_s]
            writer.finish(
                clip=source.name,
                skeleton=skeleton.name,
                num_joints=skeleton.num_joints,
                fps=float(reader.info.fps),
                frame_size=reader.info.frame_size,
                provenance={
                    "key": key,
                    "piece": piece.as_json(),
                    "damage": damage,
                    "scene": scene.text,
                },
            )

    def join(
        self, source: VideoSource, key: str, pieces: Sequence[Piece], writer: TracksWriter, progress: Progress
    ) -> Found:
        """Write a clip from its pieces; those that are not there are made.

        Raises:
            JoinError: two of them have not seen the same frames.
            VideoError: the video cannot be used.
        """
        damage: list[tuple[float, str]] = []
        scenes: list[str] = []

        def parts() -> Iterator[tuple[ClipTracks, int]]:
            last_s = -math.inf
            for piece in pieces:
                tracks = self._made(PieceOf(source, key, piece), progress)
                made = tracks.provenance
                damage.extend((when, what) for when, what in made["damage"] if when >= last_s)
                scenes.extend([made["scene"]] if made["scene"] else [])
                last_s = float(tracks.time_s[-1]) if tracks.frame_count else last_s
                yield tracks, int(np.searchsorted(tracks.time_s, piece.begins_s))

        first, covered, ids, borders = 0, 0, set[int](), []
        for tracks, border in joined(parts()):
            writer.add_part(tracks, first)
            first += tracks.frame_count
            covered += len(np.unique(tracks.frame))
            ids.update(np.unique(tracks.track).tolist())
            progress.update(first, f"{len(ids)} tracks")
            if border is not None:
                borders.append(border._asdict())
        logger.info(
            "%s: joined from %d pieces; at %d of %d borders both see the same, %d people are followed across",
            source.name,
            len(pieces),
            sum(border["same"] for border in borders),
            len(borders),
            sum(border["people"] for border in borders),
        )
        return Found(len(ids), covered, list(dict.fromkeys(damage)), mean_sketch(scenes), borders)

    def _made(self, of: PieceOf, progress: Progress) -> ClipTracks:
        """The tracks of a piece, which is made unless it is there; VideoError if what is made cannot be read."""
        path = self._path(of.key, of.piece.number)
        self.make(of, progress)
        try:
            return load_tracks(path, no_frames=True)
        except CacheError as error:
            logger.warning("%s; it is made again", error)
        path.unlink(missing_ok=True)
        self.make(of, progress)
        try:
            return load_tracks(path, no_frames=True)
        except CacheError as error:
            raise VideoError(
                f"{of.source.location}: its piece {of.piece.number + 1} is of no use: {error}"
            ) from error

    def forget(self, key: str) -> None:
        """Remove the pieces of a clip that is done."""
        shutil.rmtree(self._path(key, 0).parent, ignore_errors=True)


def whole(
    reader: VideoReader, finder: PeopleFinder, writer: TracksWriter, progress: Progress, forecast: bool
) -> Found:
    """Write a clip's people from its first frame to its last."""
    scene, tracks, covered = finder.write(reader, reader.info, writer, progress, forecast)
    return Found(tracks, covered, [(d.time_s, d.message) for d in reader.damage], scene.text)
