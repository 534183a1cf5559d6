"""Score a clip as it comes, block by block: nothing that happens later than a short while after a moment counts.

One way for recordings and for cameras: `score` feeds it a whole clip, `watch` every frame, and the scores are the same.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from anomaly.data.surroundings import AROUND_S
from anomaly.scoring.frame_scores import nearest_frame
from anomaly.scoring.scores import ClipScores, Counting, Earlier, WindowScores, score_clip
from anomaly.scoring.smoothing import REACH_SIGMAS
from anomaly.settings import ScoringSettings
from pipeline.scoring.scorer import Scorer
from pose_extract.tracks.cleaning import clean_tracks
from pose_extract.tracks.records import ClipTracks, cut_frames
from pose_extract.tracks.things import ClipThings

_BLOCK_S = 0.25  # frames that are scored at once
_ROUNDING = 1e-6  # of a step of the windows' grid, as `row_scores` has it


class OnlineScorer:
    """Scores frames in blocks, each as soon as ``cleaning.online_s`` after it is known.

    What a block is depends on the frames' times alone, and so do its scores, however the frames come in. Memory holds
    some seconds.

    Args:
        scorer: the model.
        scoring: how to score, ``frames`` being "online"; the scorer's own way if left out.
        counting: who counts, as `score_clip` has it.

    Raises:
        ValueError: scores are not to be online, or the model is one of whole clips.
    """

    def __init__(
        self, scorer: Scorer, scoring: ScoringSettings | None = None, counting: Counting | None = None
    ) -> None:
        self._scoring = scoring or scorer.settings.scoring
        if self._scoring.frames != "online" or scorer.model.settings.windows.extent == "clip":
            raise ValueError("OnlineScorer: expected scoring.frames online and a model of sliding windows")
        self._scorer, self._grid, self._counting = scorer, scorer.model.settings.windows, counting
        self._block = max(1, round(_BLOCK_S * self._grid.fps))  # in steps of the windows' grid
        self._parts: list[ClipTracks] = []  # frames that are not needed for the last time yet
        self._first = 0  # number of the first of them in the clip
        self._done = 0  # so many of them are scored
        self._last_s = -np.inf
        self._earlier = Earlier()

    def add(self, part: ClipTracks) -> Iterator[tuple[int, ClipTracks, ClipScores]]:
        """Take the next frames of the clip, as extracted, and score the blocks that are complete with them.

        Args:
            part: the frames; they count from its first, and times are the clip's.

        Yields:
            As `score_chunks` does.
        """
        if not part.frame_count:
            return
        self._parts.append(part)
        self._last_s = float(part.time_s[-1])
        yield from self._ready(self._last_s * self._grid.fps)

    def finish(self) -> Iterator[tuple[int, ClipTracks, ClipScores]]:
        """The end of the clip: score the frames that are left. Yields as `add` does."""
        yield from self._ready(np.inf)

    def _ready(self, now: float) -> Iterator[tuple[int, ClipTracks, ClipScores]]:
        """Score the blocks that are complete when the frames of ``now``, in steps of the grid, have come."""
        ahead = self._scorer.settings.cleaning.online_s * self._grid.fps
        if self._parts and now < self._end_of_block(self._time_s(self._done)) + ahead:
            return  # the usual case: nothing is put together for a single frame
        known = join_tracks(self._parts)
        self._parts = [known] if self._parts else []
        at = known.time_s * self._grid.fps
        while self._done < len(at):
            end = self._end_of_block(float(known.time_s[self._done]))
            if now < end + ahead:
                break
            stop = int(np.searchsorted(np.floor(at + _ROUNDING), end))
            stop = max(stop, self._done + 1)
            yield self._score(known, stop, max(stop, int(np.searchsorted(at, end + ahead))), end)
            self._done = stop
        self._forget(known)

    def _time_s(self, number: int) -> float:
        for part in self._parts:
            if number < part.frame_count:
                return float(part.time_s[number])
            number -= part.frame_count
        return np.inf

    def _end_of_block(self, time_s: float) -> float:
        """Where the block of a moment ends, in steps of the grid."""
        if time_s == np.inf:
            return np.inf
        return (np.floor(time_s * self._grid.fps + _ROUNDING) // self._block + 1) * self._block

    def _score(
        self, known: ClipTracks, stop: int, ahead: int, end: float
    ) -> tuple[int, ClipTracks, ClipScores]:
        """Score the frames up to ``stop``, a block that ends at step ``end``, from those up to ``ahead``."""
        first, model, scoring = self._done, self._scorer.model, self._scoring
        start_s = float(known.time_s[first])
        base = int(np.searchsorted(known.time_s, start_s - self._cleaned_s(known.fps)))
        low = int(np.searchsorted(known.time_s, start_s - self._windows_s(known.fps)))
        cleaned = clean_tracks(cut_frames(known, base, ahead), self._scorer.settings.cleaning)
        chunk = cut_frames(cleaned, low - base, ahead - base)
        windows = model.windows_of(chunk)
        ends = windows.first + self._grid.frames - 1
        windows = windows.pick(
            np.flatnonzero((ends > end - self._block - self._grid.score_stride) & (ends < end))
        )
        anomaly, parts = model.score_windows(windows, scoring.by)
        none = np.zeros(len(windows))
        found = WindowScores(windows, anomaly, none, none.astype(np.int64), none.astype(np.int64), parts)
        part = cut_frames(chunk, first - low, stop - low)
        around = None
        if scoring.by == "sum" and model.surroundings is not None:
            since = int(np.searchsorted(known.time_s, start_s - AROUND_S))
            seen = cut_frames(cleaned, since - base, ahead - base)
            around = model.surroundings_of(_counted(seen, self._counting))
            around = None if around is None else around.cut(first - since, stop - since)
        rate = self._scorer.rate_for(scoring)
        scores = score_clip(model, part, scoring, rate, found, self._earlier, self._counting, around)
        self._earlier = self._earlier.then(
            scores, float(part.time_s[-1]) - REACH_SIGMAS * scoring.smoothing_s - 1
        )
        return self._first + first, part, _of_the_clip(scores, chunk, first - low, end - self._block)

    def _windows_s(self, fps: float) -> float:
        """Seconds before a block that its windows are made of."""
        return (
            self._grid.frames + self._grid.max_missing + 3 + self._grid.score_stride
        ) / self._grid.fps + 2 / fps

    def _cleaned_s(self, fps: float) -> float:
        """Seconds before a block that its cleaned rows depend on."""
        around = 0.0 if self._scorer.model.surroundings is None else AROUND_S
        context = (self._scorer.settings.cleaning.context_frames(fps) + 1) / fps
        return max(self._windows_s(fps), around) + context

    def _forget(self, known: ClipTracks) -> None:
        """Drop the frames that no later block depends on."""
        if not known.frame_count:
            return
        next_s = float(known.time_s[min(self._done, known.frame_count - 1)])
        drop = int(np.searchsorted(known.time_s, next_s - self._cleaned_s(known.fps) - 1))
        drop = min(drop, self._done)
        self._parts = [cut_frames(known, drop, known.frame_count)]
        self._first, self._done = self._first + drop, self._done - drop


def _counted(tracks: ClipTracks, counting: Counting | None) -> ClipTracks:
    """The people and things that count where they are, however usual they are."""
    things = tracks.things
    if counting is None or things is None:
        return tracks

    def rows(boxes: NDArray[np.float32]) -> NDArray[np.intp]:
        return np.flatnonzero(counting(boxes, np.full(len(boxes), 100.0), tracks.frame_size))

    people, own = rows(tracks.boxes), rows(things.things.boxes)
    return dataclasses.replace(
        tracks,
        frame=tracks.frame[people],
        track=tracks.track[people],
        keypoints=tracks.keypoints[people],
        boxes=tracks.boxes[people],
        features=None,
        things=ClipThings(things.looked, things.frame[own], things.things.select(own)),
    )


def join_tracks(parts: Sequence[ClipTracks]) -> ClipTracks:
    """Successive parts of one clip as one."""
    if len(parts) == 1:
        return parts[0]
    starts = np.cumsum([0, *(part.frame_count for part in parts)])
    looks = [part.features for part in parts]

    known = [part.things for part in parts if part.things is not None]
    joined_things = ClipThings.concatenate(known, starts[:-1].tolist()) if len(known) == len(parts) else None

    def joined(name: str) -> NDArray:
        return np.concatenate([getattr(part, name) for part in parts])

    return dataclasses.replace(
        parts[0],
        time_s=joined("time_s"),
        frame=np.concatenate([p.frame + n for p, n in zip(parts, starts, strict=False)]).astype(np.int32),
        track=joined("track"),
        keypoints=joined("keypoints"),
        boxes=joined("boxes"),
        features=None if looks[0] is None else np.concatenate([np.asarray(look) for look in looks]),
        things=joined_things,
    )


def _of_the_clip(scores: ClipScores, chunk: ClipTracks, first: int, begin: float) -> ClipScores:
    """The block's scores with its own windows only, whose frames count from the block's first and may be before it."""
    windows = scores.windows
    own = np.flatnonzero(windows.windows.first + windows.windows.frames - 1 >= begin)
    return dataclasses.replace(
        scores,
        windows=WindowScores(
            windows.windows.pick(own),
            windows.score[own],
            windows.percentile[own],
            nearest_frame(chunk.time_s, windows.windows.start_s[own]) - first,
            nearest_frame(chunk.time_s, windows.windows.end_s[own]) - first,
            windows.parts[:, own],
        ),
    )
