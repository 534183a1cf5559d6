"""Give windows' scores to people and frames (paper, section 4.1)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from anomaly.data.windows import Windows
from pose_extract.tracks.records import ClipTracks

NOBODY = 0  # track id of a frame in which nobody was scored; ids start at 1


def row_scores(
    windows: Windows, anomaly: NDArray[np.float64], tracks: ClipTracks, mode: str, stride: int = 1
) -> NDArray[np.float64]:
    """(M,) anomaly of each row of the tracks; NaN where no window says anything about it.

    A whole clip's window says the same of every row of its person, or of its two people.
    """
    out = np.full(len(tracks), np.nan)
    if not len(windows) or not len(tracks):  # online, a window may end just before somebody has left
        return out
    if windows.whole:
        together = windows.partner > 0
        ids = np.concatenate([windows.track, windows.partner[together]])
        order = np.argsort(ids, kind="stable")
        scores = np.concatenate([anomaly, anomaly[together]])[order]
        mine = np.minimum(np.searchsorted(ids[order], tracks.track), len(ids) - 1)
        return np.where(ids[order][mine] == tracks.track, scores[mine], np.nan)
    length = windows.frames
    at = tracks.time_s[tracks.frame] * windows.fps  # in steps of the windows' grid
    ids, who = np.unique(windows.track, return_inverse=True)
    mine = np.minimum(np.searchsorted(ids, tracks.track), len(ids) - 1)  # of each row, its place among `ids`
    known = ids[mine] == tracks.track
    if mode == "online":
        # Tracks one after another on one axis, so that a row finds the last window that had ended by then with one
        # search; 1e-6 forgives rounding, a whole grid step would be the future.
        ends = windows.first + length - 1
        now = np.floor(at + 1e-6).astype(np.int64)
        low = min(ends.min(), now.min())
        span = max(ends.max(), now.max()) - low + 1
        latest = np.searchsorted(who * span + ends - low, mine * span + now - low, side="right") - 1
        fresh = known & (latest >= 0) & (who[latest] == mine) & (at - ends[latest] < stride - 1e-6)
        out[fresh] = anomaly[latest[fresh]]
        return out
    # Grids of the tracks, each from its first window to its last, one after another.
    begin = np.concatenate([[0], np.flatnonzero(np.diff(who)) + 1])
    low = windows.first[begin]
    span = np.append(windows.first[begin[1:] - 1], windows.first[-1]) + length - low
    start = np.cumsum(span) - span
    at_grid = windows.first - low[who] + start[who]
    total, count = np.zeros((2, span.sum()))
    for step in range(length):
        total += np.bincount(at_grid + step, anomaly, len(total))
        count += np.bincount(at_grid + step, minlength=len(total))
    spot = np.ceil(at - 0.5).astype(np.int64) - low[mine]  # the nearest grid frame, as `make_windows` rounds
    covered = known & (spot >= 0) & (spot < span[mine])
    spot += start[mine]
    covered[covered] = count[spot[covered]] > 0
    out[covered] = total[spot[covered]] / count[spot[covered]]
    return out


def frame_scores(
    rows: NDArray[np.float64], tracks: ClipTracks
) -> tuple[NDArray[np.float64], NDArray[np.int32]]:
    """Each frame's highest anomaly over people (F,), NaN where nobody was scored, and whose it is (F,)."""
    score = np.full(tracks.frame_count, -np.inf)
    worst = np.full(tracks.frame_count, NOBODY, np.int32)
    scored = np.flatnonzero(~np.isnan(rows))
    frame = tracks.frame[scored]
    np.maximum.at(score, frame, rows[scored])
    decides = scored[rows[scored] == score[frame]][::-1]  # the first of equals is written last
    worst[tracks.frame[decides]] = tracks.track[decides]
    return np.where(np.isneginf(score), np.nan, score), worst


def nearest_frame(time_s: NDArray[np.float64], at_s: NDArray[np.float64]) -> NDArray[np.int64]:
    """(N,) index of the frame that is nearest to each of N times, the earlier of two as near."""
    return np.searchsorted((time_s[1:] + time_s[:-1]) / 2, at_s)
