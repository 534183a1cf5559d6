"""Add marked false alarms to the workspace as normal training clips: their people's tracks, cut out of the clip."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.adding import add_clip
from pipeline.review.marks import FALSE, RIGHT, Mark
from pipeline.scoring import Scorer
from pipeline.workspace import ClipEntry, Workspace
from pose_extract.tracks.cache import load_header, load_tracks
from pose_extract.tracks.records import ClipTracks, cut_frames

logger = logging.getLogger(__name__)

_NORMAL = "-normal-"  # in the names of its clips


def learn_false_alarms(
    scorer: Scorer, workspace: Workspace, marks: Sequence[Mark], tracks: Sequence[Path] = ()
) -> list[ClipEntry]:
    """Add the people of marked false alarms to the workspace as normal training clips; returns the new ones.

    A clip is the event with a window's length before and after, without what is marked right. Clips that were added
    before and show what is marked right by now are removed.

    Raises:
        BusyError: another process is writing tracks, and the workspace is not to wait for it.
        OutputError: a clip cannot be written; those before it are kept.
    """
    windows = scorer.model.settings.windows
    margin_s = windows.frames / windows.fps
    files = {str(load_header(path)["clip"]): path for path in tracks}
    made = []
    with workspace.writing_tracks(), workspace.index() as index:
        _remove_right(workspace, marks)
        for mark in (m for m in marks if m.verdict == FALSE):
            source = load_tracks(files.get(mark.clip) or workspace.tracks_path(mark.clip))
            rights = [m for m in marks if m.verdict == RIGHT and m.clip == mark.clip]
            first, stop = _without(mark, rights, source, margin_s)
            part = cut_frames(source, first, stop)
            if not len(part):
                logger.warning(
                    "nothing to learn from %s: nobody is seen there, or it is marked right too", mark
                )
                continue
            clip = f"{mark.clip}{_NORMAL}{first}-{stop}"
            original = str(source.provenance.get("key") or "")
            key = hashlib.sha256(json.dumps([original, mark.clip, first, stop]).encode()).hexdigest()
            there = index.find(key)
            if there is not None:
                index.promote(there)
                continue
            entry = _save(workspace, part, clip, key, mark, first)
            made.append(entry)
    return made


def _remove_right(workspace: Workspace, marks: Sequence[Mark]) -> None:
    """Remove the clips of false alarms in which something is marked right."""
    wrong = []
    for entry, learned in _learned(workspace):
        first = int(learned.get("first_frame", 0))
        for mark in marks:
            if mark.verdict != RIGHT or mark.clip != learned.get("clip"):
                continue
            if mark.start_frame < first + entry.frames and first < mark.end_frame:
                logger.warning("the training clip %s is removed: %s is in it", entry.clip, mark)
                wrong.append(entry)
                break
    workspace.remove(*wrong)


def _learned(workspace: Workspace) -> list[tuple[ClipEntry, dict[str, Any]]]:
    """The clips that `learn_false_alarms` added, and what each was made of."""
    found = []
    for entry in (entry for entry in workspace.entries() if _NORMAL in entry.clip):
        learned = load_header(workspace.tracks_path(entry.clip))["provenance"].get("learned")
        if learned:
            found.append((entry, learned))
    return found


def _without(mark: Mark, rights: Sequence[Mark], tracks: ClipTracks, margin_s: float) -> tuple[int, int]:
    """The frames of a mark with its margins, as far around its peak as nothing in them is marked right."""
    time_s = tracks.time_s
    first, stop = np.searchsorted(time_s, [mark.start_s - margin_s - 1e-6, mark.end_s + margin_s - 1e-6])
    peak = int(np.searchsorted(time_s, mark.peak_s - 1e-6))
    for other in rights:
        if other.start_frame <= peak < other.end_frame:
            return 0, 0
        if other.end_frame <= peak:
            first = max(first, other.end_frame)
        else:
            stop = min(stop, other.start_frame)
    return int(first), int(stop)


def _save(workspace: Workspace, part: ClipTracks, clip: str, key: str, mark: Mark, first: int) -> ClipEntry:
    learned = {
        "clip": mark.clip,
        "start_s": mark.start_s,
        "end_s": mark.end_s,
        "verdict": mark.verdict,
        "first_frame": first,
    }
    source = str(part.provenance.get("source") or "")
    estimator = part.provenance.get("estimator") or {"name": "unknown"}
    part = replace(part, clip=clip, time_s=part.time_s - part.time_s[0])
    return add_clip(workspace, part, source=source, key=key, estimator=estimator, learned=learned)


def forget_false_alarms(workspace: Workspace) -> list[ClipEntry]:
    """Remove the clips that `learn_false_alarms` added; they are cut from others, which stay. Returns them."""
    with workspace.writing_tracks():
        learned = [entry for entry, _ in _learned(workspace)]
        workspace.remove(*learned)
    return learned
