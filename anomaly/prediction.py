"""How well the next frames of a person follow from those before: prediction by a small network.

The autoencoder of the paper reconstructs what it has seen. Here the last third of a window is told from what comes
before it, joints and the way through the picture together: nothing is normalised away but place and size.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from anomaly.density_settings import DensitySettings
from anomaly.stature import fit_figure
from pose_extract.errors import TrainingError

if TYPE_CHECKING:
    from pose_extract.skeleton import Skeleton

FloatArray = NDArray[np.float32]

LAYERS = 3
_BATCH, _RATE, _DROPOUT = 256, 3e-3, 0.1  # of training
_FEWEST = 32  # windows to learn from


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
    """A network with two hidden layers, from a window's past to its future.

    Attributes:
        weights: (in, out) of each of the `LAYERS` layers.
        biases: (out,) of each.
    """

    weights: tuple[FloatArray, ...]
    biases: tuple[FloatArray, ...]

    def anomaly(self, course: FloatArray) -> NDArray[np.float64]:
        """(N,) how far off the future of courses (N, T, V + 1, 2) is; minus infinity where there is none to tell.

        The mean error of the joints' coordinates and that of the trunk's middle, added up.
        """
        inputs, future = split(course)
        x = inputs
        for layer, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            x = x @ weight + bias
            if layer < LAYERS - 1:
                x = np.maximum(x, 0)
        off = np.abs(x.reshape(future.shape) - future)
        told = np.isfinite(future).any(axis=(1, 2, 3))
        return np.where(told, _mean(off[:, :, :-1]) + _mean(off[:, :, -1:]), -np.inf)

    @classmethod
    def fit(cls, course: FloatArray, settings: DensitySettings, seed: int) -> Predictor:
        """Learn from the courses (N, T, V + 1, 2) of normal windows, by the mean absolute error of what is seen.

        Raises:
            TrainingError: there are too few.
        """
        import torch
        from torch import nn

        from anomaly.steps import seeded

        course = course[np.isfinite(course).any(axis=(1, 2, 3))]
        if len(course) < _FEWEST:
            raise TrainingError(
                f"prediction: expected at least {_FEWEST} windows to learn from, got {len(course)}: train on more video"
            )
        inputs, future = (torch.from_numpy(part) for part in split(course))
        future = future.flatten(1)
        seen, wanted = future.isfinite().float(), future.nan_to_num()
        width, epochs = settings.predictor_width, settings.predictor_epochs
        steps = -(-len(inputs) // _BATCH)
        with seeded(seed, "cpu"):
            network = nn.Sequential(
                nn.Linear(inputs.shape[1], width), nn.ReLU(), nn.Dropout(_DROPOUT),
                nn.Linear(width, width), nn.ReLU(),
                nn.Linear(width, wanted.shape[1]),
            )  # fmt: skip
            optimizer = torch.optim.Adam(network.parameters())
            rate = torch.optim.lr_scheduler.OneCycleLR(optimizer, _RATE, total_steps=epochs * steps)
            for _ in range(epochs):
                for rows in torch.randperm(len(inputs)).split(_BATCH):
                    off = (network(inputs[rows]) - wanted[rows]).abs() * seen[rows]
                    loss = off.sum() / seen[rows].sum().clamp(min=1)
                    optimizer.zero_grad()
                    loss.backward()
                    optimizer.step()
                    rate.step()
        layers = [layer for layer in network if isinstance(layer, nn.Linear)]
        return cls(
            tuple(layer.weight.detach().numpy().T.copy() for layer in layers),
            tuple(layer.bias.detach().numpy().copy() for layer in layers),
        )

    def arrays(self) -> dict[str, FloatArray]:
        """What was learned, by name."""
        out = {f"weights{i}": weight for i, weight in enumerate(self.weights)}
        return out | {f"biases{i}": bias for i, bias in enumerate(self.biases)}

    @classmethod
    def from_arrays(cls, arrays: dict[str, FloatArray]) -> Predictor:
        """The predictor whose `arrays` these are, their shapes being right.

        Raises:
            ValueError: they are not finite.
        """
        for name, values in arrays.items():
            if not np.isfinite(values).all():
                raise ValueError(f"{name} has values that are not finite")
        return cls(
            tuple(arrays[f"weights{i}"] for i in range(LAYERS)),
            tuple(arrays[f"biases{i}"] for i in range(LAYERS)),
        )


def predictor_shapes(settings: DensitySettings, frames: int, joints: int) -> dict[str, tuple[int, ...]]:
    """Shapes of `Predictor.arrays`."""
    past, points, width = past_frames(frames), joints + 1, settings.predictor_width
    sizes = (3 * past * points, width, width, 2 * (frames - past) * points)
    out: dict[str, tuple[int, ...]] = {f"weights{i}": sizes[i : i + 2] for i in range(LAYERS)}
    return out | {f"biases{i}": (sizes[i + 1],) for i in range(LAYERS)}


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
