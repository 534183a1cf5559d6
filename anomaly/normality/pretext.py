"""Tell windows from tampered copies of themselves (a self-supervised pretext task); doubt is an anomaly score.

A network learns to tell normal windows from the same windows played backwards, with two thirds swapped, in slow motion,
and with left and right leg swapped. What it takes for one of these moves as nobody normal does.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_softmax

from anomaly.normality.mlp import FloatArray, Perceptron, perceptron_shapes
from anomaly.settings import DensitySettings
from pose_extract.skeletons import Skeleton
from pose_extract.skeletons.stature import fit_figure, mean_place

if TYPE_CHECKING:
    from torch import Tensor

_DROPOUT = 0.2
_LEG = ("hip", "knee", "ankle")


def _identity(points: FloatArray, skeleton: Skeleton) -> FloatArray:
    return points


def _reversed(points: FloatArray, skeleton: Skeleton) -> FloatArray:
    return points[:, ::-1]


def _shuffled(points: FloatArray, skeleton: Skeleton) -> FloatArray:
    third = points.shape[1] // 3
    return np.concatenate([points[:, third : 2 * third], points[:, :third], points[:, 2 * third :]], axis=1)


def _slowed(points: FloatArray, skeleton: Skeleton) -> FloatArray:
    frames = points.shape[1]
    at = np.linspace(0, frames // 2, frames)
    low = at.astype(int)
    high = np.minimum(low + 1, frames - 1)
    share = (at - low).astype(np.float32)[None, :, None, None]
    out = points[:, low] * (1 - share) + points[:, high] * share
    out[..., 2] = np.minimum(points[:, low][..., 2], points[:, high][..., 2])  # of both sights, or missing
    return out


def _legs_swapped(points: FloatArray, skeleton: Skeleton) -> FloatArray:
    order = [
        skeleton.mirror[j] if name.rpartition("_")[2] in _LEG else j for j, name in enumerate(skeleton.joints)
    ]
    return points[:, :, order]


# Of windows (N, T, V, 3); the first is the one that nothing was done to.
TASKS: tuple[Callable[[FloatArray, Skeleton], FloatArray], ...] = (
    _identity, _reversed, _shuffled, _slowed, _legs_swapped,
)  # fmt: skip


class Pretext(Perceptron):
    """Tells what was done to a window: from `pose_features`'s numbers to a logit for each of `TASKS`."""

    def anomaly(self, x: FloatArray) -> NDArray[np.float64]:
        """(N,) minus the log probability that nothing was done to windows, of which these are the numbers (N, D)."""
        told: NDArray[np.float64] = -log_softmax(self.run(x).astype(np.float64), axis=1)[:, 0]
        return told

    @classmethod
    def fit(cls, points: FloatArray, skeleton: Skeleton, settings: DensitySettings, seed: int) -> Pretext:
        """Learn from normal windows (N, T, V, 3), in pixels, and their changed copies, by the cross entropy."""
        import torch
        from torch.nn.functional import cross_entropy

        x = np.concatenate([pose_features(change(points, skeleton), skeleton) for change in TASKS])
        kinds = torch.arange(len(TASKS)).repeat_interleave(len(points))

        def loss(found: Tensor, rows: Tensor) -> Tensor:
            return cross_entropy(found, kinds[rows])

        width, epochs = settings.width, settings.pretext_epochs
        return cls.trained(x, len(TASKS), loss, width, epochs, _DROPOUT, seed)


def pretext_shapes(settings: DensitySettings, frames: int, joints: int) -> dict[str, tuple[int, ...]]:
    """Shapes of `Pretext.arrays`."""
    return perceptron_shapes(3 * frames * joints, settings.width, len(TASKS))


def pose_features(points: FloatArray, skeleton: Skeleton) -> FloatArray:
    """(N, 3 T V) joints in statures from the mean place of the trunk's middle, 0 where missing, and which are seen."""
    stature, middle = fit_figure(points, skeleton)
    seen = (points[..., 2:] > 0).astype(np.float32)
    origin = mean_place(middle).astype(np.float32)[:, None, None]
    where = (points[..., :2] - origin) / stature[:, None, None, None] * seen
    return np.concatenate([where, seen], axis=3).reshape(len(points), -1)
