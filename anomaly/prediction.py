"""How well the next frames of a person follow from those before.

The autoencoder of the paper reconstructs what it has seen. Here the last third of a window is told from what comes
before it, joints and the way through the picture together: nothing is normalised away but place and size.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from anomaly.density_settings import DensitySettings
from anomaly.perceptron import FloatArray, Perceptron, perceptron_shapes
from anomaly.stature import fit_figure
from pose_extract.errors import TrainingError

if TYPE_CHECKING:
    from torch import Tensor

    from pose_extract.skeleton import Skeleton

_DROPOUT = 0.1
_FEWEST = 8  # windows to learn from


def past_frames(frames: int) -> int:
    """How many of a window's frames the others are predicted from."""
    return 2 * frames // 3 or 1


def describe_course(points: FloatArray, skeleton: Skeleton) -> FloatArray:
    """(N, T, V + 1, 2) joints and, last, the trunk's middle; NaN where missing.

    In statures, from the mean place of the trunk's middle in the past. Who was not there then has no course.

    Args:
        points: (N, T, V, 3) joints of windows in pixels and their confidence, 0 where missing.
        skeleton: whose joints they are.
    """
    stature, middle = fit_figure(points, skeleton)
    past = middle[:, : past_frames(points.shape[1])]
    there = np.isfinite(past[..., 0])
    count = there.sum(axis=1)[:, None]
    origin = np.where(there[..., None], past, 0).sum(axis=1) / np.maximum(count, 1)
    origin[count[:, 0] == 0] = np.nan
    where = np.where(points[..., 2:] > 0, points[..., :2], np.nan)
    course = np.concatenate([where, middle[:, :, None]], axis=2) - origin[:, None, None]
    return (course / stature[:, None, None, None]).astype(np.float32)


@dataclass(frozen=True)
class Predictor:
    """Tells a window's future from its past.

    Attributes:
        network: from `split`'s inputs to its future.
    """

    network: Perceptron

    def anomaly(self, course: FloatArray) -> NDArray[np.float64]:
        """(N,) how far off the future of courses (N, T, V + 1, 2) is; minus infinity where there is none to tell.

        The mean error of the joints' coordinates and that of the trunk's middle, added up.
        """
        inputs, future = split(course)
        off = np.abs(self.network(inputs).reshape(future.shape) - future)
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
        if len(course) < _FEWEST:
            raise TrainingError(
                f"prediction: expected at least {_FEWEST} windows to learn from, got {len(course)}: train on more video"
            )
        inputs, future = split(course)
        wanted = torch.from_numpy(future).flatten(1)
        seen, wanted = wanted.isfinite().float(), wanted.nan_to_num()

        def loss(found: Tensor, rows: Tensor) -> Tensor:
            off = (found - wanted[rows]).abs() * seen[rows]
            return off.sum() / seen[rows].sum().clamp(min=1)

        width, epochs = settings.width, settings.predictor_epochs
        return cls(Perceptron.fit(inputs, wanted.shape[1], loss, width, epochs, _DROPOUT, seed))

    def arrays(self) -> dict[str, FloatArray]:
        """What was learned, by name."""
        return self.network.arrays()

    @classmethod
    def from_arrays(cls, arrays: dict[str, FloatArray]) -> Predictor:
        """The predictor whose `arrays` these are; raises ValueError as `Perceptron.from_arrays`."""
        return cls(Perceptron.from_arrays(arrays))


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
