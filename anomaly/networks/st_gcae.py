"""ST-GCAE, the spatio-temporal graph convolutional autoencoder (paper, section 3.3)."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

from anomaly.networks.clustering import ClusteringLayer
from anomaly.networks.graph import static_adjacency
from anomaly.networks.layers import SpatioTemporalBlock
from anomaly.settings import ModelSettings, NetworkSettings
from pose_extract.skeletons import Skeleton


class Autoencoder(nn.Module):
    """ST-GCAE: windows -> latent vectors -> windows.

    Args:
        settings: shape of the network.
        skeleton: whose joints the windows have.
        channels: C, features a joint.
        frames: T, frames a window.

    Raises:
        ConfigError: if T cannot be divided by the strides.
    """

    def __init__(self, settings: NetworkSettings, skeleton: Skeleton, channels: int, frames: int) -> None:
        super().__init__()
        settings.check_window(frames)
        static = torch.from_numpy(static_adjacency(skeleton, settings.partition))
        common: dict[str, Any] = {
            "static": static,
            "kinds": settings.adjacencies,
            "kernel": settings.temporal_kernel,
        }

        blocks: list[nn.Module] = []
        width = channels
        for factor, stride in zip(settings.encoder, settings.strides, strict=True):
            blocks.append(
                SpatioTemporalBlock(
                    width, factor * settings.width, stride=stride, dropout=settings.dropout, **common
                )
            )
            width = factor * settings.width
        self.encoder = nn.Sequential(*blocks)
        self.latent_shape = (width, frames // math.prod(settings.strides), skeleton.num_joints)

        blocks = []
        for factor, scale in zip(settings.decoder, settings.upsampling, strict=True):
            if scale > 1:
                blocks.append(nn.Upsample(scale_factor=(scale, 1), mode="bilinear", align_corners=False))
            blocks.append(
                SpatioTemporalBlock(width, factor * settings.width, dropout=settings.dropout, **common)
            )
            width = factor * settings.width
        blocks.append(SpatioTemporalBlock(width, channels, activate=False, **common))
        self.decoder = nn.Sequential(*blocks)

    @property
    def latent_size(self) -> int:
        """D, length of a latent vector."""
        return math.prod(self.latent_shape)

    def encode(self, x: Tensor) -> Tensor:
        """(N, C, T, V) -> latent vectors z (N, D)."""
        return self.encoder(x.contiguous(memory_format=torch.channels_last)).flatten(1)

    def decode(self, z: Tensor) -> Tensor:
        """Latent vectors (N, D) -> windows (N, C, T, V)."""
        z = z.unflatten(1, self.latent_shape)
        return self.decoder(z.contiguous(memory_format=torch.channels_last))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(N, C, T, V) -> latent vectors (N, D) and reconstruction (N, C, T, V)."""
        z = self.encode(x)
        return z, self.decode(z)


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
