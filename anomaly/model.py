"""A trained model: from windows to anomaly scores."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from anomaly.augment import apply_transform
from anomaly.autoencoder import Autoencoder
from anomaly.clustering import ClusteringLayer
from anomaly.normality import NormalityModel
from pose_extract.skeletons import get_skeleton

if TYPE_CHECKING:
    from anomaly.calibration import Calibration
    from anomaly.settings import ModelSettings

_BATCH = 512


class Network(nn.Module):
    """The learned part: ST-GCAE and the clustering layer on its latent vectors (figure 1)."""

    def __init__(self, settings: ModelSettings) -> None:
        super().__init__()
        windows, clustering = settings.windows, settings.clustering
        self.autoencoder = Autoencoder(
            settings.model, get_skeleton(windows.skeleton), windows.channels, windows.frames
        )
        self.clustering = ClusteringLayer(
            clustering.clusters, self.autoencoder.latent_size, clustering.bias, clustering.temperature
        )

    def assign(self, x: Tensor) -> Tensor:
        """Windows (N, C, T, V) -> log soft assignments (N, K); the encoder and equation 1."""
        return self.clustering(self.autoencoder.encode(x))


@dataclass
class TrainedModel:
    """A model that can score.

    Attributes:
        settings: what it was trained with.
        network: the learned network, in evaluation mode.
        normality: mixture over the training set's soft assignments.
        calibration: scores of held-out normal video; None only while training.
        history: one dict an epoch: stage, epoch, losses, learning rate, share of changed labels.
        facts: what training found: windows, clusters in use, saturation, mixture components in use.
    """

    settings: ModelSettings
    network: Network
    normality: NormalityModel
    calibration: Calibration | None = None
    history: list[dict[str, Any]] = field(default_factory=list)
    facts: dict[str, Any] = field(default_factory=dict)

    @property
    def device(self) -> torch.device:
        """Where the network is."""
        return self.network.clustering.theta.device

    def to(self, device: str) -> TrainedModel:
        """Move the network to ``device``; returns the model."""
        self.network.to(device)
        return self

    def transforms_of(self, x: NDArray[np.float32]) -> NDArray[np.float64]:
        """(N, G) log-likelihood of each window's G transformed copies; x is (N, C, T, V)."""
        skeleton = get_skeleton(self.settings.windows.skeleton)
        names = self.settings.training.transforms
        out = np.empty((len(x), len(names)))
        for begin in range(0, len(x), _BATCH):
            batch = torch.from_numpy(x[begin : begin + _BATCH]).to(self.device)
            for g, name in enumerate(names):
                log_p = assign_batch(self.network, apply_transform(name, batch, skeleton))
                out[begin : begin + len(batch), g] = self.normality.log_likelihood(log_p)
        return out

    def anomaly(self, x: NDArray[np.float32]) -> NDArray[np.float64]:
        """(N,) anomaly score of windows (N, C, T, V): -log likelihood, the mean over each window's own transforms."""
        return -self.transforms_of(x).mean(axis=1)


@torch.no_grad()
def assign_batch(network: Network, x: Tensor) -> NDArray[np.float32]:
    """Log soft assignments (N, K) of one batch (N, C, T, V) in evaluation mode."""
    network.eval()
    return network.assign(x).float().cpu().numpy()
