"""Compare a clip with what training saw: rate, frame size, people's size, skeleton, estimator; and say what differs.

What a model has not seen it cannot call normal or abnormal. Scores come nevertheless, and look like any others.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from anomaly.data.resampling import slowest_rate
from anomaly.evaluation.intervals import frame_seconds
from anomaly.settings import WindowSettings
from pose_extract.checking import build
from pose_extract.errors import CacheError, ConfigError
from pose_extract.formats.base import FORMATS
from pose_extract.formats.report import ReadReport
from pose_extract.tracks.cache import load_tracks
from pose_extract.tracks.records import ClipTracks
from pose_extract.video.scene import likeness, sketch_from_text

_MOST_ROWS = 20_000  # of a clip whose people are measured
_MOST_SIZES = 50
_MOST_SCENES = 64
_ALIKE = 0.8  # correlation of two sketches from which on they show one scene
_MOST_CLIPS = 50
_RATE_FACTOR = 2.0
_SIZE_FACTOR = 1.5  # between frames, or people, that are of like size
_SHAPE = 1.05  # between frames of the same shape
_UNUSUAL = 0.2  # share of people in single frames above the 99th percentile; of normal ones it is 0.01
_NOT_JUDGED = 0.5
_FEW = 50  # people in single frames, from which shares say something


@dataclass(frozen=True)
class Seen:
    """What a model was trained on.

    Attributes:
        fps: lowest and highest frame rate of its clips; empty: not known.
        frame_sizes: their different (width, height), in pixels.
        heights: 1st, 50th and 99th percentile of people's heights, in pixels; empty: nobody.
        skeletons: of the tracks, as extracted.
        estimators: what found the people; of imported poses, their format.
        scenes: sketches of what the cameras showed (`pose_extract.video.scene`), one of those that are alike; empty:
            not known, or too many.
    """

    fps: tuple[float, ...] = ()
    frame_sizes: tuple[tuple[int, int], ...] = ()
    heights: tuple[float, ...] = ()
    skeletons: tuple[str, ...] = ()
    estimators: tuple[str, ...] = ()
    scenes: tuple[str, ...] = ()

    @classmethod
    def from_clips(cls, clips: Iterable[ClipTracks]) -> Seen:
        """What these clips show; one of them is in memory at a time."""
        rates, sizes, skeletons, estimators = [], set(), set(), set()
        heights: list[NDArray[np.float64]] = []
        scenes: list[str] = []
        for clip in clips:
            scenes.append(str(clip.provenance.get("scene") or ""))
            rates.append(clip.fps)
            sizes.add((int(clip.frame_size[0]), int(clip.frame_size[1])))
            skeletons.add(clip.skeleton)
            estimators.add(_estimator_of(clip))
            heights.append(_heights(clip))
        every = np.concatenate([np.zeros(0), *heights])
        percentiles = np.percentile(every, (1, 50, 99)).round(1).tolist() if len(every) else ()
        return cls(
            (round(min(rates), 3), round(max(rates), 3)) if rates else (),
            tuple(sorted(sizes)[:_MOST_SIZES]),
            tuple(percentiles),
            tuple(sorted(skeletons)),
            tuple(sorted(estimators - {""})),
            _different(scenes),
        )

    @property
    def sketches(self) -> list[NDArray[np.float32]]:
        """The sketches of the scenes."""
        return [sketch for sketch in map(_sketch, self.scenes) if sketch is not None]

    @classmethod
    def from_card(cls, card: Mapping[str, Any]) -> Seen:
        """What a bundle's card says; nothing, if that is none or the bundle is older."""
        try:
            return build(cls, card.get("seen") or {})
        except ConfigError:
            return cls()


def strange(tracks: ClipTracks, seen: Seen, windows: WindowSettings) -> list[str]:
    """What of a clip a model has not seen in training, a sentence each; empty: it is like its training clips.

    Args:
        tracks: the clip, as extracted.
        seen: what the model was trained on.
        windows: the model's.
    """
    slow = too_slow(tracks, windows) if windows.extent == "sliding" else ""
    found = [slow, *_strange_pictures(tracks, seen)]
    heights = _heights(tracks)
    if len(seen.heights) == 3 and len(heights):
        middle, (low, usual, high) = float(np.median(heights)), seen.heights
        if not low / _SIZE_FACTOR <= middle <= high * _SIZE_FACTOR:
            found.append(
                f"people are {middle:.0f} pixels tall, in training {usual:.0f} ({low:.0f} to {high:.0f}); train on "
                "video of such a view"
            )
    estimator = _estimator_of(tracks)
    if seen.estimators and estimator and estimator not in seen.estimators:
        other = f"its people were found by {estimator}, those of training by {', '.join(seen.estimators)}"
        if set(seen.estimators) <= FORMATS.keys():
            other += ": the model was trained on imported poses; better import this clip's from the same tool"
        found.append(f"{other}; poses differ, and so do scores")
    elif seen.skeletons and tracks.skeleton not in seen.skeletons:
        found.append(f"its joints are {tracks.skeleton}, those of training {', '.join(seen.skeletons)}")
    return [text for text in found if text]


def strange_clips(paths: Sequence[Path], seen: Seen, windows: WindowSettings) -> list[str]:
    """Clips that a model has not seen the like of, a line each; of many clips, the newest ones are looked at.

    Args:
        paths: tracks files.
        seen: what the model was trained on.
        windows: the model's.
    """
    newest = sorted(paths, key=lambda path: path.stat().st_mtime, reverse=True)[:_MOST_CLIPS]
    found = []
    for path in newest:
        try:
            tracks = load_tracks(path, features=False)
        except CacheError as error:
            found.append(str(error))
            continue
        if texts := strange(tracks, seen, windows):
            found.append(f"{tracks.clip}: {'; '.join(texts)}")
    return found


def too_slow(tracks: ClipTracks, windows: WindowSettings) -> str:
    """Why nobody in a clip can be scored, or learned from, whose frames are too far apart; empty if they are not."""
    slowest = slowest_rate(windows)
    if tracks.fps >= slowest * 0.999:
        return ""
    return (
        f"{tracks.fps:.3g} frames a second are too few to tell how people move: {slowest:.3g} or more are needed. Of "
        f"{len(tracks)} people in single frames nobody can be judged; record at a higher rate"
    )


def _strange_pictures(tracks: ClipTracks, seen: Seen) -> list[str]:
    found = []
    if len(seen.fps) == 2 and not seen.fps[0] / _RATE_FACTOR <= tracks.fps <= seen.fps[1] * _RATE_FACTOR:
        rates = f"{seen.fps[0]:.3g}" + (f" to {seen.fps[1]:.3g}" if seen.fps[1] > seen.fps[0] else "")
        found.append(f"it has {tracks.fps:.3g} frames a second, training had {rates}")
    width, height = tracks.frame_size
    if not seen.frame_sizes or min(width, height) < 1:
        return found
    nearest = min(
        seen.frame_sizes, key=lambda size: abs(math.log(width * height / max(size[0] * size[1], 1)))
    )
    if min(nearest) < 1:
        return found
    wider = (width / height) / (nearest[0] / nearest[1])
    larger = math.sqrt(width * height / (nearest[0] * nearest[1]))
    if max(wider, 1 / wider) > _SHAPE or max(larger, 1 / larger) > _SIZE_FACTOR:
        found.append(f"its frames are {width}x{height} pixels, those of training {nearest[0]}x{nearest[1]}")
    return found


@dataclass
class Coverage:
    """How many of a clip's people could be scored, counted chunk by chunk.

    Attributes:
        people: people in single frames.
        scored: those of them that a window covers.
        unusual: those that are above the 99th percentile of held-out normal ones.
    """

    people: int = 0
    scored: int = 0
    unusual: int = 0

    def add(self, row_percentile: NDArray[np.floating]) -> None:
        """Count the rows of a chunk, NaN where not scored."""
        judged = np.isfinite(row_percentile)
        self.people += len(row_percentile)
        self.scored += int(judged.sum())
        self.unusual += int((row_percentile[judged] > 99).sum())

    def remarks(self) -> list[str]:
        """What a reader of the scores must know."""
        if not self.people:
            return []
        if not self.scored:
            return [f"none of the {self.people} people in single frames could be judged: no score is theirs"]
        found = []
        if self.people >= _FEW and 1 - self.scored / self.people > _NOT_JUDGED:
            found.append(
                f"{1 - self.scored / self.people:.0%} of the people in single frames could not be judged: they are "
                "seen too shortly, or with too many gaps"
            )
        if self.scored >= _FEW and self.unusual / self.scored > _UNUSUAL:
            found.append(
                f"{self.unusual / self.scored:.0%} of the people are above the 99th percentile of normal ones: either "
                "much is wrong here, or the model was trained on another view"
            )
        return found


def left_out(tracks: ClipTracks, coverage: Coverage, judged: NDArray[np.bool_]) -> list[str]:
    """What of a clip is in no score, a sentence each: poses that an import left out, people whom no window covers.

    Args:
        tracks: the clip, as extracted.
        coverage: of the whole clip.
        judged: (F,) bool, False where people are there and none could be scored.
    """
    found = []
    summary = tracks.provenance.get("summary")
    report = summary.get("report") if isinstance(summary, Mapping) else None
    if isinstance(report, Mapping) and (total := ReadReport.total([report])).left_out:
        found.append(f"its file: {total.lines()[0]}")
    if missing := coverage.people - coverage.scored:
        seconds = float(frame_seconds(tracks.time_s, tracks.fps)[~judged].sum())
        found.append(
            f"{missing} of {coverage.people} sightings (a person in a frame) were too brief or unclear to judge"
            + (f"; for {seconds:.1f} s those of everybody in view" if seconds else "")
        )
    return found


def _different(scenes: Iterable[str]) -> tuple[str, ...]:
    """One of those scenes that are alike; none where a clip has none, or there are too many."""
    kept: list[tuple[str, NDArray[np.float32]]] = []
    for text in scenes:
        sketch = _sketch(text)
        if sketch is None:
            return ()
        if all(likeness(sketch, known) < _ALIKE for _, known in kept):
            kept.append((text, sketch))
    return tuple(text for text, _ in kept) if len(kept) <= _MOST_SCENES else ()


def _sketch(text: str) -> NDArray[np.float32] | None:
    try:
        return sketch_from_text(text)
    except ValueError:
        return None


def _heights(tracks: ClipTracks) -> NDArray[np.float64]:
    """Heights in pixels of some people's boxes."""
    step = max(1, -(-len(tracks) // _MOST_ROWS))
    boxes = np.asarray(tracks.boxes[::step], np.float64)
    heights = boxes[:, 3] - boxes[:, 1]
    return heights[np.isfinite(heights) & (heights > 0)]


def _estimator_of(tracks: ClipTracks) -> str:
    estimator = tracks.provenance.get("estimator")
    name = estimator.get("name") if isinstance(estimator, Mapping) else None
    return name if isinstance(name, str) else ""
