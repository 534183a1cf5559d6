"""Settings of latent space autoregression: the config section ``latent_autoregression``. Imports no torch."""

from __future__ import annotations

import math
from dataclasses import dataclass

from pose_extract.checking import MOST, MOST_FACTOR, expect_between
from pose_extract.errors import ConfigError


@dataclass(frozen=True)
class LatentAutoregressionSettings:
    """The autoencoder, the density of its latent, and training; the paper's where we know what it states.

    Attributes:
        size: frames are scaled to squares of this side in pixels (the paper: 256 x 512 for ShanghaiTech).
        frames: T, of the clips that are scored; a frame has the mean score of those that cover it.
        foreground: black out what hardly differs from the clip's background, as the paper does for ShanghaiTech, by a
            mixture of Gaussians; here the background is the median of frames of the whole clip.
        width: channels of the first block; each of the next has twice as many.
        blocks: of the encoder; each halves the frames' sides.
        latent: d, numbers of the latent that each frame has.
        channels: of the hidden layers of the density, for each number.
        layers: of the density.
        reach: frames that a convolution over time of the density sees, the number's own and those before.
        bins: that each latent number, of 0..1, is divided into: its density is a multinomial over them.
        weight: lambda, of minus the log likelihood beside the reconstruction's squared error.
        steps: of training.
        batch_size: clips a step.
        learning_rate: Adam's.
        normalise: scale both terms to 0..1 in each clip before they are added, as the paper does. A clip's mean is then
            no measure of how abnormal it is; otherwise they are scaled by the training clips.
        score_every: score clips that start every n frames.
    """

    size: int = 256
    frames: int = 16
    foreground: bool = True
    width: int = 8
    blocks: int = 5
    latent: int = 64
    channels: int = 32
    layers: int = 4
    reach: int = 3
    bins: int = 100
    weight: float = 1.0
    steps: int = 20_000
    batch_size: int = 8
    learning_rate: float = 1e-3
    normalise: bool = False
    score_every: int = 1

    def __post_init__(self) -> None:
        section = "latent_autoregression"
        expect_between(section, self, 8, 1024, "size")
        expect_between(section, self, 1, 8, "blocks")
        if self.size % 2**self.blocks:
            raise ConfigError(
                f"{section}.size: expected pixels divisible by {2**self.blocks} for {self.blocks} blocks, got "
                f"{self.size}"
            )
        expect_between(section, self, 2, 256, "frames", "bins")
        expect_between(section, self, 1, 512, "width", "latent", "channels")
        expect_between(section, self, 2, 16, "layers")
        expect_between(section, self, 1, 64, "reach")
        expect_between(section, self, 0, MOST_FACTOR, "weight")
        expect_between(section, self, 1, MOST, "steps", "score_every")
        expect_between(section, self, 1, 1024, "batch_size")
        expect_between(section, self, 0, 1, "learning_rate", above=True)

    @property
    def smallest(self) -> int:
        """Side in pixels of what the last block gives."""
        return self.size // 2**self.blocks

    @property
    def sample_numbers(self) -> int:
        """Numbers in a clip that is reconstructed."""
        return 3 * self.frames * math.prod([self.size] * 2)
