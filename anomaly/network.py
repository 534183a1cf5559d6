"""The learned network: the graph autoencoder with the clustering layer on its latent vectors."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor, nn

from anomaly.autoencoder import Autoencoder
from anomaly.clustering import ClusteringLayer

if TYPE_CHECKING:
    from anomaly.settings import ModelSettings


class Network(nn.Module):
    """The learned part: ST-GCAE and the clustering layer on its latent vectors (figure 1)."""

    def __init__(self, settings: ModelSettings) -> None:
        super().__init__()
        windows, clustering = settings.windows, settings.clustering
        self.autoencoder = Autoencoder(settings.model, windows.body, windows.channels, windows.frames)
        self.clustering = ClusteringLayer(clustering, self.autoencoder.latent_size)

    def assign(self, x: Tensor) -> Tensor:
        """Windows (N, C, T, V) -> log soft assignments (N, K); the encoder and equation 1."""
        return self.clustering(self.autoencoder.encode(x))
