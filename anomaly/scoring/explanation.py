"""Explain scores: action words, mixture components and joints of a window, and what the model takes for normal.

An action word is a cluster of the training windows (paper, sections 3.3 and 3.4: a dictionary of underlying actions).
Words and components are numbered from 1.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from anomaly.data.windows import Windows
from anomaly.scoring.model import Model

if TYPE_CHECKING:
    from anomaly.data.training_set import TrainingSet

TOP = 3  # words and joints that an explanation names
EXAMPLES = 3  # typical windows kept of each word


@dataclass(frozen=True)
class Explanations:
    """What N windows' scores rest on, the most important first.

    Attributes:
        words: (N, 3) numbers of the nearest action words, from 1; 0 where the model has fewer.
        weights: (N, 3) their soft assignments p (equation 1).
        component: (N,) number of the mixture component that most likely made the assignment, from 1.
        joints: (N, 3) indices of the joints that are reconstructed worst; -1 where the model cannot reconstruct.
        shares: (N, 3) their shares of the reconstruction error, which sum to 1 over all joints; NaN likewise.
    """

    words: NDArray[np.int64]
    weights: NDArray[np.float64]
    component: NDArray[np.int64]
    joints: NDArray[np.int64]
    shares: NDArray[np.float64]


def explain(model: Model, x: NDArray[np.float32]) -> Explanations:
    """Explain the scores of windows (N, C, T, V).

    Words and component are those of the window as it is, not of its transformed copies: a person turned by 90 degrees
    does something else. The joints' errors are the mean over all copies, as in the score.
    """
    log_p = model.assign(x)[:, copy_as_is(model.settings.training.transforms)]
    words, weights = _largest(np.exp(log_p.astype(np.float64)))
    component = model.normality.responsibilities(log_p).argmax(axis=1) + 1
    if not model.can_reconstruct:
        nothing = np.full((len(x), TOP), -1), np.full((len(x), TOP), np.nan)
        return Explanations(words + 1, weights, component, *nothing)
    return Explanations(words + 1, weights, component, *_largest(joint_shares(model.joint_errors(x))))


def joint_shares(errors: NDArray[np.float64]) -> NDArray[np.float64]:
    """Each joint's share of a window's reconstruction error; (N, V) -> (N, V), rows sum to 1."""
    total = errors.sum(axis=1, keepdims=True)
    return np.where(total > 0, errors / np.where(total > 0, total, 1), 1 / errors.shape[1])


def typical_windows(
    log_p: NDArray[np.floating], data: TrainingSet, examples: int = EXAMPLES
) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """The training windows that each cluster is surest of, one a person as far as there are people.

    Args:
        log_p: (N * G, K) log soft assignments of all items of the training set.
        data: the training set of N windows in G transforms; windows are shown as they are, not transformed.
        examples: E, windows of each cluster.

    Returns:
        (K, E, C, T, V) the windows' coordinates, NaN where a cluster has fewer, and (K,) the share of the windows whose
        most likely cluster this is.
    """
    transforms = data.transforms
    as_is = copy_as_is(transforms)
    own = log_p[as_is :: len(transforms)]
    who = _people(data.windows)
    nearest = own.argmax(axis=1)
    clusters = own.shape[1]
    chosen = []
    for k in range(clusters):
        members = np.flatnonzero(nearest == k)
        order = members[np.argsort(-own[members, k], kind="stable")]
        firsts = np.sort(np.unique(who[order], return_index=True)[1])[
            :examples
        ]  # each person's surest window
        rest = np.setdiff1d(np.arange(len(order)), firsts)[: examples - len(firsts)]
        chosen.append(order[np.concatenate([firsts, rest])])
    items = np.concatenate(chosen) * len(transforms) + as_is
    # What these people did is shown, not what they looked like.
    looks = data.windows.patches is not None
    x = data.windows.without_patches.batch(items) if looks else data.get(items).cpu().numpy()
    words = np.full((clusters, examples, *x.shape[1:]), np.nan, np.float32)
    for k, found in enumerate(np.split(x, np.cumsum([len(c) for c in chosen])[:-1])):
        words[k, : len(found)] = found
    return words, np.bincount(nearest, minlength=clusters) / len(own)


def copy_as_is(transforms: tuple[str, ...]) -> int:
    """Which of a window's transformed copies is the window itself; the first one if none is."""
    return transforms.index("identity") if "identity" in transforms else 0


def _people(windows: Windows) -> NDArray[np.int64]:
    """(N,) a number for each window's person in its clip; windows are ordered by clip, track and time."""
    earlier = np.diff(windows.first) <= 0  # the next clip may begin with the same id
    return np.concatenate([[0], np.cumsum((np.diff(windows.track) != 0) | earlier)])


def _largest(values: NDArray[np.float64]) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Columns and values of each row's largest entries, (N, M) -> (N, 3) each; -1 and NaN beyond M."""
    order = np.argsort(-values, axis=1, kind="stable")[:, :TOP]
    missing = ((0, 0), (0, TOP - order.shape[1]))
    top = np.take_along_axis(values, order, axis=1)
    return np.pad(order, missing, constant_values=-1), np.pad(top, missing, constant_values=np.nan)
