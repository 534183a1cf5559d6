"""Settings of the network's shape: the config section ``model``."""

from __future__ import annotations

import math
from dataclasses import dataclass

from pose_extract.checking import expect_between, expect_one_of
from pose_extract.errors import ConfigError, short

ADJACENCIES = ("static", "global", "inferred")

PARTITIONS = ("spatial", "distance", "uniform")

_MOST_BLOCKS, _MOST_CHANNELS, _MOST_STEP = (
    64,
    2048,
    1000,
)  # a config from elsewhere must not be able to ask for all memory


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
        adjacencies: which of "static" (A), "global" (B) and "inferred" (C) the spatial convolution uses. With "static"
            alone, a block is ST-GCN's.
        partition: how A's neighbours are split into subsets with weights of their own: "spatial" (same distance from
            the body's centre, nearer, farther; the paper's), "distance" (the joint itself, its neighbours) or
            "uniform" (one set).
    """

    width: int = 8
    encoder: tuple[int, ...] = (4, 4, 4, 6, 6, 6, 8, 8, 4)
    strides: tuple[int, ...] = (1, 1, 2, 1, 1, 3, 1, 1, 1)
    decoder: tuple[int, ...] = (8, 8, 6, 6, 6)
    upsampling: tuple[int, ...] = (3, 1, 2, 1, 1)
    temporal_kernel: int = 9
    dropout: float = 0.3
    adjacencies: tuple[str, ...] = ADJACENCIES
    partition: str = "spatial"

    def __post_init__(self) -> None:
        for blocks, steps, names in (
            (self.encoder, self.strides, "encoder and strides"),
            (self.decoder, self.upsampling, "decoder and upsampling"),
        ):
            if not blocks or len(blocks) != len(steps) or len(blocks) > _MOST_BLOCKS:
                raise ConfigError(
                    f"model: expected {names} of one length (1 to {_MOST_BLOCKS}), got {short(blocks)} and "
                    f"{short(steps)}"
                )
        expect_between("model", self, 1, _MOST_CHANNELS, "width", "encoder", "decoder")
        expect_between("model", self, 1, _MOST_STEP, "strides", "upsampling")
        if self.width * max(self.encoder + self.decoder) > _MOST_CHANNELS:
            raise ConfigError(
                f"model: expected width times each of encoder and decoder of 1 to {_MOST_CHANNELS} channels, got width "
                f"{short(self.width)}, encoder {short(self.encoder)} and decoder {short(self.decoder)}"
            )
        if math.prod(self.strides) != math.prod(self.upsampling):
            raise ConfigError(
                f"model: expected upsampling to undo the strides, got a product of {math.prod(self.upsampling)} "
                f"against {math.prod(self.strides)}"
            )
        expect_between("model", self, 1, 99, "temporal_kernel")
        if self.temporal_kernel % 2 == 0:
            raise ConfigError(
                f"model: expected an odd temporal_kernel of 1 to 99, got {short(self.temporal_kernel)}"
            )
        expect_between("model", self, 0, 1, "dropout", below=True)
        unknown = set(self.adjacencies) - set(ADJACENCIES)
        if unknown or not self.adjacencies or len(set(self.adjacencies)) != len(self.adjacencies):
            raise ConfigError(
                f"model: expected adjacencies out of {ADJACENCIES}, got {short(self.adjacencies)}"
            )
        expect_one_of("model.partition", self.partition, PARTITIONS)

    def check_window(self, frames: int) -> None:
        """Raise ConfigError unless windows of ``frames`` frames pass through the strides without a remainder."""
        total = math.prod(self.strides)
        if frames % total:
            raise ConfigError(
                f"model: windows of {frames} frames cannot be divided by the strides' product {total}; "
                f"set windows.frames to a multiple of {total} or change model.strides and model.upsampling"
            )
