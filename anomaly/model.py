"""What every trained model can do, whatever runs its network. Nothing here imports torch."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from anomaly.normality import NormalityModel

if TYPE_CHECKING:
    from anomaly.calibration import Calibration
    from anomaly.settings import ModelSettings


@dataclass
class Model:
    """A model that can score, without its network.

    Attributes:
        settings: what it was trained with.
        normality: mixture over the training set's soft assignments.
        calibration: scores of held-out normal video; None only while training.
        history: one dict an epoch: stage, epoch, losses, learning rate, share of changed labels.
        facts: what training found: windows, clusters in use, saturation, mixture components in use.
    """

    settings: ModelSettings
    normality: NormalityModel
    calibration: Calibration | None = None
    history: list[dict[str, Any]] = field(default_factory=list)
    facts: dict[str, Any] = field(default_factory=dict)

    def assign(self, x: NDArray[np.float32]) -> NDArray[np.float32]:
        """Windows (N, C, T, V) -> log soft assignments (N, G, K) of each window's G transformed copies."""
        raise NotImplementedError

    def transforms_of(self, x: NDArray[np.float32]) -> NDArray[np.float64]:
        """(N, G) log-likelihood of each window's G transformed copies; x is (N, C, T, V)."""
        log_p = self.assign(x)
        return self.normality.log_likelihood(log_p.reshape(-1, log_p.shape[2])).reshape(log_p.shape[:2])

    def anomaly(self, x: NDArray[np.float32]) -> NDArray[np.float64]:
        """(N,) anomaly score of windows (N, C, T, V): -log likelihood, the mean over each window's own transforms."""
        return -self.transforms_of(x).mean(axis=1)
