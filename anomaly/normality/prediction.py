"""Predict the end of a person's window from its beginning; the error is an anomaly score.

The autoencoder of the paper reconstructs what it has seen. Here the last third of a window is told from what comes
before it, joints and the way through the picture together: nothing is normalised away but place and size.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from anomaly.normality.mlp import FloatArray, Perceptron, perceptron_shapes
from anomaly.settings import DensitySettings
from anomaly.settings.densities import FEWEST_WINDOWS
from pose_extract.errors import TrainingError
from pose_extract.skeletons import Skeleton
from pose_extract.skeletons.stature import fit_figure, mean_place

if TYPE_CHECKING:
    from torch import Tensor

_DROPOUT = 0.1


def past_frames(frames: int) -> int:
    """How many of a window's frames the others are predicted from."""
    return 2 * frames // 3 or 1


def trajectory_features(points: FloatArray, skeleton: Skeleton) -> FloatArray:
    """(N, T, V + 1, 2) joints and, last, the trunk's middle; NaN where missing.

    In statures, from the mean place of the trunk's middle in the past. Who was not there then has no course.

    Args:
        points: (N, T, V, 3) joints of windows in pixels and their confidence, 0 where missing.
        skeleton: whose joints they are.
    """
    stature, middle = fit_figure(points, skeleton)
    past = middle[:, : past_frames(points.shape[1])]
    origin = mean_place(past)
    origin[np.isnan(past[..., 0]).all(axis=1)] = np.nan
    where = np.where(points[..., 2:] > 0, points[..., :2], np.nan)
    course = np.concatenate([where, middle[:, :, None]], axis=2) - origin[:, None, None]
    return (course / stature[:, None, None, None]).astype(np.float32)


class Predictor(Perceptron):
    """Tells a window's future from its past: from `split`'s inputs to its future."""

    def anomaly(self, course: FloatArray) -> NDArray[np.float64]:
        """(N,) how far off the future of courses (N, T, V + 1, 2) is; minus infinity where there is none to tell.

        The mean error of the joints' coordinates and that of the trunk's middle, added up.
        """
        inputs, future = split(course)
        off = np.abs(self.run(inputs).reshape(future.shape) - future)
        told = np.isfinite(future).any(axis=(1, 2, 3))
        return np.where(told, _mean(off[:, :, :-1]) + _mean(off[:, :, -1:]), -np.inf)

    @classmethod
    def fit(cls, course: FloatArray, settings: DensitySettings, seed: int) -> Predictor:
        """Learn from the courses (N, T, V + 1, 2) of normal windows, by the mean absolute error of what is seen.

        Raises:
            TrainingError: there are too few.
        """
        import torch

        course = course[np.isfinite(course).any(axis=(1, 2, 3))]
        if len(course) < FEWEST_WINDOWS:
            raise TrainingError(
                f"prediction: expected at least {FEWEST_WINDOWS} windows to learn from, got {len(course)}: train on "
                "more video"
            )
        inputs, future = split(course)
        wanted = torch.from_numpy(future).flatten(1)
        seen, wanted = wanted.isfinite().float(), wanted.nan_to_num()

        def loss(found: Tensor, rows: Tensor) -> Tensor:
            off = (found - wanted[rows]).abs() * seen[rows]
            return off.sum() / seen[rows].sum().clamp(min=1)

        width, epochs = settings.width, settings.predictor_epochs
        return cls.trained(inputs, wanted.shape[1], loss, width, epochs, _DROPOUT, seed)


def predictor_shapes(settings: DensitySettings, frames: int, joints: int) -> dict[str, tuple[int, ...]]:
    """Shapes of `Predictor.arrays`."""
    past, points = past_frames(frames), joints + 1
    return perceptron_shapes(3 * past * points, settings.width, 2 * (frames - past) * points)


def split(course: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Courses (N, T, P, 2) -> the network's input (N, 3 P H), missing places 0 and told apart, and (N, T - H, P, 2)."""
    past = past_frames(course.shape[1])
    before = course[:, :past]
    seen = np.isfinite(before[..., :1]).astype(np.float32)
    inputs = np.concatenate([np.nan_to_num(before), seen], axis=3)
    return inputs.reshape(len(course), -1), course[:, past:]


def _mean(off: FloatArray) -> NDArray[np.float64]:
    """(N,) mean of (N, T, P, 2) without the NaN; 0 where there is nothing else."""
    known = np.isfinite(off)
    total = np.where(known, off, 0).sum(axis=(1, 2, 3), dtype=np.float64)
    mean: NDArray[np.float64] = total / np.maximum(known.sum(axis=(1, 2, 3)), 1)
    return mean
