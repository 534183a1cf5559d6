"""Set the alarm threshold from an operator's marks."""

from __future__ import annotations

import logging
import math
import os
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from anomaly.bundle.card import write_marked
from anomaly.evaluation.intervals import frame_seconds
from anomaly.scoring.marked_threshold import MarkedThreshold
from anomaly.scoring.scores import FrameScores
from anomaly.scoring.threshold import alarm_percentile, alarm_threshold, budget_of
from pipeline.events.events import spans
from pipeline.events.settings import EventSettings
from pipeline.progress import stage
from pipeline.review.marks import FALSE, RIGHT, Mark, write_marks
from pipeline.scoring import Scorer, score_chunks
from pipeline.versions import versions
from pipeline.workspace import Workspace
from pose_extract.errors import UsageError
from pose_extract.files import writing
from pose_extract.tracks.cache import load_header
from pose_extract.tracks.records import ClipTracks

logger = logging.getLogger(__name__)

_CLEAR = 0.01  # of the interquartile range of held-out normal frames: how far the threshold stays off a mark
_TIMES_DIFFER_S = 1.0  # between a mark's seconds and those of its frames: then it is of another video
_SCORES_DIFFER = 0.01  # of that range, between a mark's score and the model's: then it is of another model


@dataclass(frozen=True)
class Choice:
    """A threshold and what it does to the marks.

    Attributes:
        threshold: the score above which a frame raises the alarm.
        kept: (R,) which of the right alarms stay alarms.
        quiet: (N,) which of the false ones no longer are.
    """

    threshold: float
    kept: NDArray[np.bool_]
    quiet: NDArray[np.bool_]


def choose_threshold(
    right: Sequence[float], false: Sequence[float], start: float, spread: float = 0.0, keep_right: float = 1.0
) -> Choice:
    """The threshold nearest to ``start`` that keeps right alarms and silences false ones.

    Right ones come first: the threshold stays below the lowest of them (or of the share ``keep_right`` of them, giving
    up as few as silence the most false ones). Within that, it is above every false one that it can be above. If that
    leaves room, it moves as little as it must. Where a mark moves it, it stays ``spread / 100`` off that mark, or half
    of the room.

    Args:
        right: the highest score of each right alarm.
        false: of each false one.
        start: the threshold without marks.
        spread: interquartile range of held-out normal frames' scores.
        keep_right: share of the right alarms, above 0 and up to 1, that must stay alarms.
    """
    rights, falses = np.sort(np.asarray(right, float)), np.asarray(false, float)
    most = math.floor((1 - keep_right) * len(rights) + 1e-9)
    bounds = [float(bound) for bound in [*rights, math.inf][: most + 1]]
    bound = max(bounds, key=lambda b: ((falses < b).sum(), -b))  # the lowest of those that silence the most
    low = float(falses[falses < bound].max(initial=-math.inf))
    clear = min(_CLEAR * spread, (bound - low) / 2)
    if start < low:
        threshold = low + clear
    elif start >= bound:
        threshold = min(bound - clear, float(np.nextafter(bound, -math.inf)))
    else:
        threshold = start
    return Choice(threshold, np.asarray(right, float) > threshold, falses <= threshold)


@dataclass(frozen=True)
class Recalibration:
    """What marks do to a model.

    Attributes:
        marked: the threshold; None if the marks ask for no other than that without marks.
        marks: all marks, earlier ones too.
        lines: what to tell the user.
    """

    marked: MarkedThreshold | None
    marks: tuple[Mark, ...]
    lines: tuple[str, ...]


@dataclass(frozen=True)
class _Scored:
    """A clip's marks and its scores by today's model."""

    tracks: ClipTracks
    path: Path
    marks: tuple[Mark, ...]
    score: NDArray[np.float64]

    def count_events(self, threshold: float, settings: EventSettings) -> int:
        time_s = np.asarray(self.tracks.time_s)
        end_s = time_s + frame_seconds(time_s, self.tracks.fps)
        return len(spans(time_s, end_s, self.score > threshold, settings))

    def peak(self, mark: Mark) -> float:
        return float(self.score[mark.start_frame : mark.end_frame].max())


def recalibrate(
    scorer: Scorer,
    workspace: Workspace,
    marks: Sequence[Mark],
    tracks: Sequence[Path] = (),
    keep_right: float = 1.0,
    quiet: bool = False,
) -> Recalibration:
    """Find the threshold that marks ask for. Nothing is written.

    The marked clips are scored anew, so marks that were made with another model or threshold count too.

    Args:
        scorer: the model, scoring by its own settings.
        workspace: where the marked clips' tracks are.
        marks: all of them.
        tracks: tracks files of clips that are not in the workspace.
        keep_right: see `choose_threshold`.
        quiet: no progress.

    Raises:
        UsageError: a mark's clip is unknown, or the mark does not fit it.
        CacheError: a clip's tracks are damaged.
        ModelError: the model has a budget of alarms a day, and too little held-out video to tell.
    """
    if not 0 < keep_right <= 1:
        raise UsageError(f"--keep-right: expected a share above 0 and up to 1, got {keep_right}")
    rate = scorer.settings.calibration.false_alarm_rate
    scoring = scorer.settings.scoring
    budget = None if scorer.by_rate else budget_of(scorer.model, scoring)
    start = alarm_threshold(scorer.model, scoring, rate) if budget is None else budget.threshold
    follow = {"false_alarm_rate": rate} if budget is None else {"alarms_per_day": budget.alarms_per_day}
    scored = _score_clips(scorer, workspace, marks, tracks, quiet)
    spread = _spread(scorer)
    by_verdict = {
        v: [(m, s.peak(m)) for s in scored for m in s.marks if m.verdict == v] for v in (RIGHT, FALSE)
    }
    right, false = by_verdict[RIGHT], by_verdict[FALSE]
    choice = choose_threshold([p for _, p in right], [p for _, p in false], start, spread, keep_right)
    before, after = (alarm_percentile(scorer.model, t, scoring) for t in (start, choice.threshold))
    events = [
        sum(s.count_events(t, scorer.settings.events) for s in scored) for t in (start, choice.threshold)
    ]
    facts: dict[str, Any] = {
        "made": datetime.now().astimezone().isoformat(timespec="seconds"),
        "right": len(right),
        "right_kept": int(choice.kept.sum()),
        "false": len(false),
        "false_quiet": int(choice.quiet.sum()),
        "keep_right": keep_right,
        "without_marks": {**follow, "score": start, "percentile": before},
        "percentile": after,
        "versions": versions(),
    }
    changed = choice.threshold != start
    marked = MarkedThreshold.from_score(choice.threshold, scoring, facts) if changed else None
    lines = [
        f"alarm above score {choice.threshold:.4f} (percentile {after:.2f})"
        + (f"; without marks {start:.4f} ({before:.2f})" if changed else ", as without marks"),
        f"right alarms: {facts['right_kept']} of {len(right)} stay alarms",
        *_some(m for (m, _), kept in zip(right, choice.kept, strict=True) if not kept),
        f"false alarms: {facts['false_quiet']} of {len(false)} are quiet now",
        *_some(m for (m, _), quiet in zip(false, choice.quiet, strict=True) if not quiet),
    ]
    if not choice.quiet.all():
        lines.append(
            "  these score as high as right alarms: a threshold cannot tell them apart. --learn and train again, or "
            "give up some right alarms with --keep-right 0.9"
        )
    lines.append(
        f"then: alarm in {100 - after:.2f} % of held-out normal frames (without marks {100 - before:.2f} %); "
        f"{events[1]} events in the marked videos (without marks {events[0]})"
    )
    if changed and choice.threshold > start:
        lines.append("  whatever scores in between no longer raises an alarm, in any video")
    return Recalibration(marked, tuple(marks), tuple(lines))


def _some(marks: Iterable[Mark], most: int = 10) -> list[str]:
    listed = [f"  not so: {mark}" for mark in marks]
    return listed[:most] + ([f"  and {len(listed) - most} more"] if len(listed) > most else [])


def _spread(scorer: Scorer) -> float:
    low, high = (alarm_threshold(scorer.model, scorer.settings.scoring, share) for share in (0.75, 0.25))
    return high - low


def _score_clips(
    scorer: Scorer, workspace: Workspace, marks: Sequence[Mark], tracks: Sequence[Path], quiet: bool
) -> list[_Scored]:
    paths = {entry.clip: workspace.tracks_path(entry.clip) for entry in workspace.entries()}
    paths |= {str(load_header(path)["clip"]): path for path in tracks}
    by_clip: dict[str, list[Mark]] = {}
    for mark in marks:
        by_clip.setdefault(mark.clip, []).append(mark)
    unknown = sorted(by_clip.keys() - paths.keys())
    if unknown:
        raise UsageError(
            f"marks of clips whose tracks are not in {workspace.tracks}: {', '.join(unknown[:5])}"
            + (f" and {len(unknown) - 5} more" if len(unknown) > 5 else "")
            + "; name the workspace that they were scored in (--workspace), or their tracks (--tracks FILE.npz)"
        )
    found = []
    with stage("score marked clips", "clips", len(by_clip), quiet) as progress:
        for clip, own in sorted(by_clip.items()):
            loaded = scorer.load(paths[clip])
            for mark in own:
                _check(mark, loaded)
            frames = FrameScores.concatenate(scores.frames for _, _, scores in score_chunks(scorer, loaded))
            found.append(_Scored(loaded, paths[clip], tuple(own), frames.score))
            progress.advance(1, clip)
    known = [(s.peak(m), m.score) for s in found for m in s.marks if m.score is not None]
    off = sum(abs(now - then) > max(_SCORES_DIFFER * _spread(scorer), 1e-4) for now, then in known)
    if off:
        logger.warning(
            "%d of %d marks were made with another model or other settings: their scores differ from this model's. "
            "They count by what this model says of the same moments",
            off,
            len(marks),
        )
    return found


def _check(mark: Mark, tracks: ClipTracks) -> None:
    """Raise UsageError unless the mark can be of this clip."""
    if mark.end_frame > tracks.frame_count:
        raise UsageError(
            f"mark {mark}: it ends at frame {mark.end_frame}, but the clip has {tracks.frame_count}: the mark is of "
            "another video, or the video was extracted again with another frame rate"
        )
    there = float(tracks.time_s[mark.start_frame])
    if abs(there - mark.start_s) > _TIMES_DIFFER_S:
        raise UsageError(
            f"mark {mark}: its first frame, {mark.start_frame}, is shown at {there:.2f} s of the clip: the mark is of "
            "another video, or the video was extracted again with another frame rate"
        )


def apply(result: Recalibration, workspace: Workspace, model: Path) -> None:
    """Keep the marks in the workspace and put the threshold into the model's bundle.

    Raises:
        UsageError: another process is training this model.
        OutputError: a file cannot be written.
    """
    with ExitStack() as alone:
        if os.path.realpath(model) == os.path.realpath(workspace.model):
            alone.enter_context(workspace.writing_model())
        write_marks(workspace.marks, result.marks)
        write_marked(model, result.marked)


def put_threshold(marked: MarkedThreshold | None, workspace: Workspace, model: Path) -> None:
    """Put a threshold into the model's bundle; raises as `apply` does."""
    with ExitStack() as alone:
        if model.resolve() == workspace.model.resolve():
            alone.enter_context(workspace.writing_model())
        write_marked(model, marked)


def reset(workspace: Workspace, model: Path) -> Path | None:
    """Take the threshold out of the model, and the kept marks out of use; returns where those are now.

    Raises:
        ModelError: there is no model.
        OutputError: a file cannot be written.
    """
    with ExitStack() as alone:
        if os.path.realpath(model) == os.path.realpath(workspace.model):
            alone.enter_context(workspace.writing_model())
        write_marked(model, None)
        if not workspace.marks.is_file():
            return None
        kept, number = workspace.marks.with_name("marks-1.json"), 1
        while kept.exists():
            number += 1
            kept = workspace.marks.with_name(f"marks-{number}.json")
        with writing(kept):
            os.rename(workspace.marks, kept)
        return kept
