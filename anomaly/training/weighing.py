"""Measure what each part of the score says of abnormal motions put into held-out normal video, and weigh the parts."""

from __future__ import annotations

import logging

import numpy as np
from numpy.typing import NDArray

from anomaly.data.windows import Windows
from anomaly.scoring.calibration import TailProbabilities
from anomaly.scoring.model import Model
from anomaly.scoring.part_weights import FEWEST_STRETCHES, PartWeights, learned_weights
from anomaly.training.injected import CHANGES, inject
from pose_extract.skeletons import SKELETONS
from pose_extract.tracks.records import ClipTracks

logger = logging.getLogger(__name__)

# What the pretext task trains on shows nothing of what it is worth.
KINDS = tuple(name for name in CHANGES if name not in ("backwards", "swapped"))
_ENOUGH = 400  # changed stretches
_MOST_ROUNDS = 12  # times that the clips are changed
_NEEDED = {"shoulder", "elbow", "wrist", "hip", "knee", "ankle"}  # joints that changes are about


def weigh_parts(model: Model, held_out: list[ClipTracks], tails: TailProbabilities, seed: int) -> PartWeights:
    """What each part of the kind "sum" counts for this model.

    Args:
        model: with everything but its calibration.
        held_out: normal clips that it has not learned from.
        tails: what turns the parts' scores into tail probabilities.
        seed: of what is put into the clips.
    """
    parts = len(model.settings.scoring.parts)
    if model.settings.scoring.weights == "equal" or parts == 1 or not can_inject(model, held_out):
        return PartWeights.equal(parts)
    normal, found = _means(model, held_out, None, tails), 0
    rounds: list[NDArray[np.float64]] = []
    for number in range(_MOST_ROUNDS):
        clips, done = inject(held_out, 1000 * seed + number, KINDS)
        rounds.append(_means(model, clips, done, tails))
        found += len(rounds[-1])
        if found >= _ENOUGH or not found:
            break
    weights = learned_weights(normal, np.concatenate(rounds))
    if np.isnan(weights.normal).all():
        logger.warning(
            "parts of the score count alike: %d people in the held-out video are seen for long enough to weigh them "
            "by, expected %d: train on more video",
            len(normal),
            FEWEST_STRETCHES,
        )
    return weights


def can_inject(model: Model, clips: list[ClipTracks]) -> bool:
    """Whether motions can be put into clips: people in the picture, by joints alone, of a skeleton with limbs."""
    windows = model.settings.windows
    if windows.patches or windows.depth or windows.extent == "clip":
        return False
    skeletons = {clip.skeleton for clip in clips}
    if len(skeletons) != 1 or not skeletons <= SKELETONS.keys():
        return False
    return {name.rpartition("_")[2] for name in SKELETONS[skeletons.pop()].joints} >= _NEEDED


def _means(
    model: Model, clips: list[ClipTracks], done: list[NDArray[np.int64]] | None, tails: TailProbabilities
) -> NDArray[np.float64]:
    """(S, P) mean of minus log tail probability of each person by each part, or NaN; of those changed only."""
    out = []
    for number, clip in enumerate(clips):
        windows = model.windows_of(clip, model.settings.windows.train_stride)
        if done is not None:
            windows = windows.pick(np.flatnonzero(_changed(windows, clip, done[number])))
        if not len(windows):
            continue
        logs = tails.logs(model.parts(windows, held_out=True))
        _, person = np.unique(windows.track, return_inverse=True)
        told = np.isfinite(logs)
        count = np.stack([np.bincount(person, row) for row in told])
        total = np.stack([np.bincount(person, row) for row in np.where(told, logs, 0)])
        out.append(np.where(count > 0, total / np.maximum(count, 1), np.nan).T)
    return np.concatenate([np.zeros((0, len(model.settings.scoring.parts))), *out])


def _changed(windows: Windows, clip: ClipTracks, done: NDArray[np.int64]) -> NDArray[np.bool_]:
    """(N,) whether somebody's motion was replaced in at least half of a window."""
    order = np.lexsort((clip.frame, clip.track))
    track, time_s = clip.track[order], clip.time_s[clip.frame[order]]
    before = np.append(0, np.cumsum(done[order] > 0))
    first = _place(track, time_s, windows.track, windows.start_s - 1e-6)
    stop = _place(track, time_s, windows.track, windows.end_s + 1e-6)
    return 2 * (before[stop] - before[first]) >= np.maximum(stop - first, 1)


def _place(
    track: NDArray[np.int32], time_s: NDArray[np.float64], of: NDArray[np.int32], at_s: NDArray[np.float64]
) -> NDArray[np.int64]:
    """How many rows, ordered by track and then by time, come before each track's time."""
    span = (time_s.max() if len(time_s) else 0.0) + 2.0
    return np.searchsorted(track * span + time_s, of * span + np.clip(at_s, -0.5, span - 1.0))
