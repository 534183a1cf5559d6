"""Fit a network with two hidden layers to plain numbers: torch trains it, NumPy runs it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from torch import Tensor

FloatArray = NDArray[np.float32]

LAYERS = 3
_BATCH, _RATE = 256, 3e-3


@dataclass(frozen=True)
class Perceptron:
    """Linear layers with rectified outputs, but for the last.

    Attributes:
        weights: (in, out) of each of the `LAYERS` layers.
        biases: (out,) of each.
    """

    weights: tuple[FloatArray, ...]
    biases: tuple[FloatArray, ...]

    def run(self, x: FloatArray) -> FloatArray:
        """(N, in) -> (N, out)."""
        for layer, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            x = x @ weight + bias
            if layer < LAYERS - 1:
                x = np.maximum(x, 0)
        return x

    @classmethod
    def trained(
        cls,
        x: FloatArray,
        outputs: int,
        loss: Callable[[Tensor, Tensor], Tensor],
        width: int,
        epochs: int,
        dropout: float,
        seed: int,
    ) -> Self:
        """Learn by gradient descent.

        Args:
            x: (N, in) inputs.
            outputs: how many numbers come out.
            loss: of outputs (B, out) for the inputs of rows (B,).
            width: numbers in a hidden layer.
            epochs: times that it learns from all inputs.
            dropout: share of the first hidden layer that is dropped in training.
            seed: of weights, dropout and the order of the inputs; the same gives the same network on one machine.
        """
        import torch
        from torch import nn

        from anomaly.runtime.seeding import seeded

        inputs = torch.from_numpy(x)
        with seeded(seed, "cpu"):
            network = nn.Sequential(
                nn.Linear(x.shape[1], width), nn.ReLU(), nn.Dropout(dropout),
                nn.Linear(width, width), nn.ReLU(),
                nn.Linear(width, outputs),
            )  # fmt: skip
            optimizer = torch.optim.Adam(network.parameters())
            steps = epochs * -(-len(x) // _BATCH)
            rate = torch.optim.lr_scheduler.OneCycleLR(optimizer, _RATE, total_steps=steps)
            for _ in range(epochs):
                for rows in torch.randperm(len(x)).split(_BATCH):
                    optimizer.zero_grad()
                    loss(network(inputs[rows]), rows).backward()
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
    def from_arrays(cls, arrays: dict[str, FloatArray]) -> Self:
        """The network whose `arrays` these are, their shapes being right.

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


def perceptron_shapes(inputs: int, width: int, outputs: int) -> dict[str, tuple[int, ...]]:
    """Shapes of `Perceptron.arrays`."""
    sizes = (inputs, width, width, outputs)
    out: dict[str, tuple[int, ...]] = {f"weights{i}": sizes[i : i + 2] for i in range(LAYERS)}
    return out | {f"biases{i}": (sizes[i + 1],) for i in range(LAYERS)}
