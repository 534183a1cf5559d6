"""ST-GCAE, the spatio-temporal graph convolutional autoencoder (paper, section 3.3), and its settings."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from anomaly.graph import spatial_adjacency
from anomaly.layers import ADJACENCIES, SpatioTemporalBlock
from pose_extract.errors import ConfigError
from pose_extract.skeletons import Skeleton

_MOST_BLOCKS, _MOST_CHANNELS = 64, 2048  # a config from elsewhere must not be able to ask for all memory


@dataclass(frozen=True)
class NetworkSettings:
    """Shape of the network; the defaults are the published ones (config section ``model``).

    Attributes:
        width: channels that the numbers in ``encoder`` and ``decoder`` count in.
        encoder: width of each encoder block.
        strides: temporal stride of each encoder block.
        decoder: width of each decoder block; a last block back to the input features follows.
        upsampling: temporal upsampling factor before each decoder block.
        temporal_kernel: frames that a temporal convolution sees, odd.
        dropout: probability in every block but the last.
        adjacencies: which of "static" (A), "global" (B) and "inferred" (C) the spatial convolution uses.
    """

    width: int = 8
    encoder: tuple[int, ...] = (4, 4, 4, 6, 6, 6, 8, 8, 4)
    strides: tuple[int, ...] = (1, 1, 2, 1, 1, 3, 1, 1, 1)
    decoder: tuple[int, ...] = (8, 8, 6, 6, 6)
    upsampling: tuple[int, ...] = (3, 1, 2, 1, 1)
    temporal_kernel: int = 9
    dropout: float = 0.3
    adjacencies: tuple[str, ...] = ADJACENCIES

    def __post_init__(self) -> None:
        for blocks, steps, names in (
            (self.encoder, self.strides, "encoder and strides"),
            (self.decoder, self.upsampling, "decoder and upsampling"),
        ):
            if not blocks or len(blocks) != len(steps) or len(blocks) > _MOST_BLOCKS:
                raise ConfigError(
                    f"model: expected {names} of one length (1 to {_MOST_BLOCKS}), got {blocks} and {steps}"
                )
            if min(blocks) < 1 or min(steps) < 1:
                raise ConfigError(f"model: expected {names} of numbers from 1, got {blocks} and {steps}")
        if self.width < 1 or self.width * max(self.encoder + self.decoder) > _MOST_CHANNELS:
            raise ConfigError(
                f"model: expected widths of 1 to {_MOST_CHANNELS} channels, got width {self.width}"
            )
        if math.prod(self.strides) != math.prod(self.upsampling):
            raise ConfigError(
                f"model: expected upsampling to undo the strides, got a product of {math.prod(self.upsampling)} "
                f"against {math.prod(self.strides)}"
            )
        if self.temporal_kernel < 1 or self.temporal_kernel % 2 == 0 or self.temporal_kernel > 99:
            raise ConfigError(
                f"model: expected an odd temporal_kernel of 1 to 99, got {self.temporal_kernel}"
            )
        if not 0 <= self.dropout < 1:
            raise ConfigError(f"model: expected a dropout of at least 0 and below 1, got {self.dropout}")
        unknown = set(self.adjacencies) - set(ADJACENCIES)
        if unknown or not self.adjacencies or len(set(self.adjacencies)) != len(self.adjacencies):
            raise ConfigError(f"model: expected adjacencies out of {ADJACENCIES}, got {self.adjacencies}")

    def check_window(self, frames: int) -> None:
        """Raise ConfigError unless windows of ``frames`` frames pass through the strides without a remainder."""
        total = math.prod(self.strides)
        if frames % total:
            raise ConfigError(
                f"model: windows of {frames} frames cannot be divided by the strides' product {total}; "
                f"set windows.frames to a multiple of {total} or change model.strides and model.upsampling"
            )


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
        static = torch.from_numpy(spatial_adjacency(skeleton))
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
        return self.encoder(x).flatten(1)

    def decode(self, z: Tensor) -> Tensor:
        """Latent vectors (N, D) -> windows (N, C, T, V)."""
        return self.decoder(z.unflatten(1, self.latent_shape))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(N, C, T, V) -> latent vectors (N, D) and reconstruction (N, C, T, V)."""
        z = self.encode(x)
        return z, self.decode(z)
