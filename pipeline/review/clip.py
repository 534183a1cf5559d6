"""Gather what the page needs of one clip, chunk by chunk: memory grows by some forty bytes a frame."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from anomaly.evaluation.intervals import runs_of
from anomaly.scoring.explanation import explain
from anomaly.scoring.scores import ClipScores, FrameScores, WindowScores
from anomaly.settings.scoring import CAUSES, FLOW, STAYS
from pipeline.events.events import CULPRIT_SHARE
from pipeline.review.files import packed, write_script
from pipeline.review.poses import PoseFiles, levels
from pipeline.review.thresholds import Peaks, Thresholds
from pipeline.scoring import Scorer
from pipeline.scoring.familiarity import Coverage, left_out, strange
from pipeline.scoring.reasons import rarity, reasons_of
from pose_extract.tracks.clip_time import after_holes
from pose_extract.tracks.records import ClipTracks
from pose_extract.tracks.things import UNKNOWN

CELL_S = 2.0  # of a clip's time has one explanation
_PEOPLE = 5  # named in it
_SHORT_S = 900.0  # a clip's lanes are finer up to here
_LANE_S = (0.125, 0.5)
_SPARKS = 96  # columns of the small curve in the list of videos
_KNOT_S = 0.001  # frames' times are kept to this


@dataclass
class ClipData:
    """What the list of videos says of a clip, once its files are written.

    Attributes:
        frames: number of frames.
        duration_s: from the first frame to the end of the last.
        people: number of different people.
        score: its highest frame score.
        counts: its events at each stop of the threshold.
        worst: the highest score in them, None without events.
        highest: the frame of that score.
        peaks: of its events.
        peak_ms: (P,) their times, in milliseconds.
        people_of: (F,) the most unusual person of each frame, 0: nobody, or its score is about a crowd.
        things_of: (F,) the thing that the score of each frame is about, 0: none.
        spark: base64 of some highest scores over its time, float32.
        bytes: size of its files.
        remarks: what a reader of the scores must know of it, a sentence each.
        left_out: what of it is in no score, a sentence each.
    """

    frames: int
    duration_s: float
    people: int
    score: float
    counts: list[int]
    worst: list[float | None]
    highest: int
    peaks: Peaks
    peak_ms: NDArray[np.int64]
    people_of: NDArray[np.int32]
    things_of: NDArray[np.int32]
    spark: str
    bytes: int
    remarks: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()


@dataclass
class _Lanes:
    """How unusual each person was in each short span of time."""

    seconds: float
    parts: list[tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.uint8]]] = field(default_factory=list)

    def add(self, part: ClipTracks, percentile: NDArray[np.float64]) -> None:
        if not len(part):
            return
        span = np.floor(part.time_s[part.frame] / self.seconds).astype(np.int32)
        order = np.lexsort((span, part.track))
        track, span, level = part.track[order], span[order], levels(percentile)[order]
        first = np.flatnonzero(np.diff(track, prepend=-1) | np.diff(span, prepend=-1))
        self.parts.append((track[first], span[first], np.maximum.reduceat(level, first)))

    def finish(self) -> list[list[Any]]:
        """A list [track id, number of its first span, base64 of its levels] for each person, 0 where not seen."""
        if not self.parts:
            return []
        track, span, level = (np.concatenate(column) for column in zip(*self.parts, strict=True))
        order = np.lexsort((span, track))
        track, span, level = track[order], span[order], level[order]
        lanes = []
        for own in np.split(np.arange(len(track)), np.flatnonzero(np.diff(track)) + 1):
            row = np.zeros(int(span[own[-1]] - span[own[0]]) + 1, np.uint8)
            np.maximum.at(row, span[own] - span[own[0]], level[own])
            lanes.append([int(track[own[0]]), int(span[own[0]]), packed(row, "u1")])
        return lanes


class _Explanations:
    """The most abnormal window of each stretch of time in which there could be an event, explained."""

    def __init__(self, scorer: Scorer, lowest: float) -> None:
        self._model = scorer.model
        self._lowest = lowest
        self._cells: dict[int, dict[str, Any]] = {}

    def add(self, begin: int, scores: ClipScores) -> None:
        frames, windows = scores.frames, scores.windows
        possible = np.unique(np.floor(frames.time_s[frames.score > self._lowest] / CELL_S)).astype(int)
        if not len(windows) or not len(possible):
            return
        cell = np.floor(windows.windows.start_s / CELL_S).astype(int)
        track = windows.windows.track
        wanted = np.flatnonzero(
            np.isin(cell, np.concatenate([possible - 1, possible])) | windows.windows.whole
        )
        order = wanted[np.lexsort((-windows.score[wanted], track[wanted], cell[wanted]))]
        each = order[
            np.flatnonzero(np.diff(cell[order], prepend=-9) | np.diff(track[order], prepend=-1))
        ]  # everybody's worst window in each cell
        if not len(each):
            return
        each = each[np.lexsort((-windows.score[each], cell[each]))]
        starts = np.flatnonzero(np.diff(cell[each], prepend=-9))
        explanation = explain(self._model, windows.windows.batch(each[starts]))
        names = self._model.settings.windows.body.joints
        for n, own in enumerate(np.split(each, starts[1:])):
            top = own[0]
            self._put(
                int(cell[top]),
                {
                    "first": int(begin + windows.first_frame[top]),
                    "last": int(begin + windows.last_frame[top]),
                    "track": int(track[top]),
                    "score": round(float(windows.score[top]), 4),
                    "percentile": round(float(windows.percentile[top]), 3),
                    "component": int(explanation.component[n]),
                    "words": [
                        [int(word), round(float(weight), 4)]
                        for word, weight in zip(explanation.words[n], explanation.weights[n], strict=True)
                        if word
                    ],
                    "joints": [
                        [names[joint], round(float(share), 4)]
                        for joint, share in zip(explanation.joints[n], explanation.shares[n], strict=True)
                        if joint >= 0
                    ],
                    "reasons": [
                        [reason.does, reason.rarity] for reason in reasons_of(self._model, windows, int(top))
                    ],
                    "people": _people(windows, own[:_PEOPLE]),
                },
            )

    def _put(self, cell: int, found: dict[str, Any]) -> None:
        """A stretch of time may lie across two parts of the clip."""
        there = self._cells.get(cell)
        if there is None:
            self._cells[cell] = found
            return
        best: dict[int, list[Any]] = {}
        for person in sorted([*there["people"], *found["people"]], key=lambda person: person[1]):
            best[person[0]] = person
        worst = sorted(best.values(), key=lambda person: -person[1])[:_PEOPLE]
        self._cells[cell] = {**max(there, found, key=lambda one: one["score"]), "people": worst}

    def finish(self) -> list[list[Any]]:
        return [[cell, self._cells[cell]] for cell in sorted(self._cells)]


def causes_of(scorer: Scorer, begin: int, part: ClipTracks, scores: ClipScores) -> list[list[Any]]:
    """The stretches of a part of the clip whose score is about something else than how somebody moves.

    Args:
        scorer: what scored it.
        begin: its first frame.
        part: its tracks.
        scores: its scores.

    Returns:
        Of each its first frame, the frame after its last, its cause by its place in `CAUSES`, the thing (or the person
        who stays, or 0), the thing's kind (or 0), how rare it is where it is rarest, as a share of normal moments and
        in words.
    """
    frames, around, learned, things = scores.frames, scores.around, scorer.model.surroundings, part.things
    if around is None or learned is None or things is None or not frames.cause.any():
        return []
    kind = np.zeros(len(frames), np.int64)
    for frame in np.flatnonzero(frames.thing_id):
        seen = things.at(int(frame))
        own = seen.kinds[seen.ids == frames.thing_id[frame]].tolist()
        kind[frame] = own[0] if own else UNKNOWN
    who = np.where(frames.cause == CAUSES.index(STAYS), frames.track_id, frames.thing_id)
    same = np.stack([frames.cause, who, kind])
    cuts = np.flatnonzero(np.any(same[:, 1:] != same[:, :-1], axis=0)) + 1
    stretches = []
    for first, stop in zip([0, *cuts.tolist()], [*cuts.tolist(), len(frames)], strict=True):
        if frames.cause[first]:
            p = float(around.p[first:stop].min())
            told = rarity(100 * (1 - p), learned.looks)
            stretches.append([begin + first, begin + stop, *same[:, first].tolist(), p, told])
    return stretches


def _people(windows: WindowScores, which: NDArray[np.int64]) -> list[list[Any]]:
    return [
        [
            int(windows.windows.track[i]),
            round(float(windows.score[i]), 4),
            round(float(windows.percentile[i]), 3),
        ]
        for i in which
    ]


class ClipFiles:
    """Writes a clip's files while it is scored: ``name/clip.js`` and its poses in pieces (``name/poses-0.js``).

    Args:
        folder: of the page's data.
        name: of the clip's folder in it.
        scorer: what scores it.
        tracks: the clip, as extracted.
        thresholds: the slider's scale.

    Attributes:
        part_frames: how many frames it wants at once; smaller parts are gathered.
    """

    def __init__(
        self, folder: Path, name: str, scorer: Scorer, tracks: ClipTracks, thresholds: Thresholds
    ) -> None:
        self._folder, self._name, self._scorer = folder, name, scorer
        self._tracks, self._thresholds = tracks, thresholds
        seconds = tracks.time_s[-1] - tracks.time_s[0] + 1 / tracks.fps if tracks.frame_count else 0.0
        self._duration = float(seconds)
        self._lanes = _Lanes(_LANE_S[0] if seconds <= _SHORT_S else _LANE_S[1])
        self._poses = PoseFiles(folder, name, tracks)
        self._explanations = _Explanations(scorer, float(thresholds.stops[0]))
        self._curve: list[FrameScores] = []
        self._coverage = Coverage()
        self._causes: list[list[Any]] = []
        self.part_frames = self._poses.part_frames

    def add(self, begin: int, part: ClipTracks, scores: ClipScores) -> None:
        """Take in the part of the clip that begins at frame ``begin``."""
        self._curve.append(scores.frames)
        self._poses.add(begin, part, scores.row_percentile)
        self._lanes.add(part, scores.row_percentile)
        self._explanations.add(begin, scores)
        self._coverage.add(scores.row_percentile)
        self._causes += causes_of(self._scorer, begin, part, scores)

    def finish(self) -> ClipData:
        """Write what is left, when all parts are there."""
        tracks, scorer, thresholds, poses = self._tracks, self._scorer, self._thresholds, self._poses
        frames = FrameScores.concatenate(self._curve)
        score = frames.score.astype(np.float32)
        time_s = np.asarray(tracks.time_s, np.float64)
        counts, worst, peaks = thresholds.count(time_s, tracks.fps, score)
        people = self._lanes.finish()
        not_judged = runs_of(~frames.judged, after_holes(time_s, tracks.fps))
        size = write_script(
            self._folder,
            f"{self._name}/clip",
            {
                "score": packed(score, "f4"),
                "worst": packed(frames.track_id, "i4"),
                "culprit_share": CULPRIT_SHARE,
                "causes": self._causes,
                "not_judged": [(first, stop) for first, stop in not_judged if stop - first >= tracks.fps],
                "knots": time_knots(time_s, tracks.fps),
                "lane_s": self._lanes.seconds,
                "lanes": people,
                "cell_s": CELL_S,
                "cells": self._explanations.finish(),
                "poses": poses.describe(),
            },
        )
        return ClipData(
            frames=len(score),
            duration_s=self._duration,
            people=len(people),
            score=float(score.max(initial=thresholds.reference[0])),
            counts=counts,
            worst=worst,
            highest=int(score.argmax()) if len(score) else 0,
            peaks=peaks,
            peak_ms=np.round(1000 * time_s[peaks.frame]).astype(np.int64),
            people_of=np.where(frames.cause == CAUSES.index(FLOW), 0, frames.track_id),
            things_of=frames.thing_id,
            spark=packed(highest(score, _SPARKS), "f4"),
            bytes=size + poses.bytes,
            remarks=(*strange(tracks, scorer.seen, scorer.model.settings.windows), *self._coverage.remarks()),
            left_out=tuple(left_out(tracks, self._coverage, frames.judged)),
        )


def highest(score: NDArray[np.float32], columns: int) -> NDArray[np.float32]:
    """The highest score in each of up to ``columns`` equal stretches: no peak is lost."""
    if len(score) <= columns:
        return score
    return np.maximum.reduceat(score, np.linspace(0, len(score), columns, endpoint=False).astype(int))


def time_knots(time_s: NDArray[np.float64], fps: float) -> list[list[float]]:
    """Frames and their times such that the times of all others lie on the lines between, to a millisecond.

    Two of them where the frame rate is constant. Both frames about a hole are among them, by which the page knows it.
    """
    if not len(time_s):
        return []
    frame, resumed = np.arange(len(time_s)), after_holes(time_s, fps)
    knots = {0, len(time_s) - 1, *resumed.tolist(), *(resumed - 1).tolist()}
    open_ = list(pairwise(sorted(knots)))
    while open_:
        a, b = open_.pop()
        if b - a < 2:
            continue
        between = np.interp(frame[a : b + 1], (a, b), (time_s[a], time_s[b]))
        off = np.abs(time_s[a : b + 1] - between)
        farthest = int(off.argmax())
        if off[farthest] > _KNOT_S:
            middle = a + min(max(farthest, 1), b - a - 1)
            knots.add(middle)
            open_ += [(a, middle), (middle, b)]
    return [[k, round(float(time_s[k]), 6)] for k in sorted(knots)]
