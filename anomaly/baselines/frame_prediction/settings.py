"""Settings of future-frame prediction: the config section ``frame_prediction``. Imports no torch."""

from __future__ import annotations

from dataclasses import dataclass

from pose_extract.checking import MOST, MOST_FACTOR, expect_between
from pose_extract.errors import ConfigError, short


@dataclass(frozen=True)
class FramePredictionSettings:
    """How a network learns to predict frames; the defaults are the published ones where the paper states them.

    Attributes:
        size: frames are scaled to squares of this side in pixels.
        past: frames that a prediction is made from (t).
        width: channels of the U-Net's first scale; each of the next has twice as many.
        scales: of the U-Net, each half as large as the one before; the paper draws 4.
        change: predict the change of the last frame instead of the frame, which the paper does not do: a small network
            then need not learn the background first, and a few hundred steps do.
        steps: of training. The paper does not state it.
        batch_size: segments of ``past`` + 1 frames a step.
        learning_rate: Adam's, for the network.
        discriminator_rate: Adam's, for the discriminator.
        discriminator_width: channels of its first layer. The paper does not state it; 64 is that of the discriminator
            which the paper refers to.
        intensity: weight of the squared differences of pixels.
        gradient: weight of the differences of image gradients.
        flow: weight of the differences of optical flow; 0 leaves it out.
        adversarial: weight of the adversarial term; 0 leaves it and the discriminator out.
        flow_levels: scales of the pyramid in which flow is found. This and the next two are of our own flow.
        flow_iterations: steps at each of them.
        flow_window: side in pixels, odd, of the box (twice applied) in which motion is taken as one.
        normalise: scale PSNR to 0..1 in each clip, as the paper does for frames. A clip's mean is then no measure of
            how abnormal the clip is: leave it off where clips are compared.
        score_every: predict every n-th frame only when scoring; the frames between take the score before them.
    """

    size: int = 256
    past: int = 4
    width: int = 64
    scales: int = 4
    change: bool = False
    steps: int = 80_000
    batch_size: int = 4
    learning_rate: float = 2e-4
    discriminator_rate: float = 2e-5
    discriminator_width: int = 64
    intensity: float = 1.0
    gradient: float = 1.0
    flow: float = 2.0
    adversarial: float = 0.05
    flow_levels: int = 3
    flow_iterations: int = 3
    flow_window: int = 5
    normalise: bool = False
    score_every: int = 1

    def __post_init__(self) -> None:
        expect_between("frame_prediction", self, 1, 6, "scales")
        expect_between("frame_prediction", self, 16, 1024, "size")
        whole = 2 ** (self.scales - 1)
        if self.size % whole:
            raise ConfigError(
                f"frame_prediction.size: expected pixels divisible by {whole} for {self.scales} scales, got {self.size}"
            )
        expect_between("frame_prediction", self, 1, 32, "past")
        expect_between("frame_prediction", self, 1, 256, "width", "discriminator_width")
        expect_between("frame_prediction", self, 1, 1024, "batch_size")
        expect_between("frame_prediction", self, 1, 8, "flow_levels")
        expect_between("frame_prediction", self, 1, 20, "flow_iterations")
        expect_between("frame_prediction", self, 1, 1000, "score_every")
        expect_between("frame_prediction", self, 1, MOST, "steps")
        expect_between("frame_prediction", self, 1, 31, "flow_window")
        if self.flow_window % 2 == 0:
            raise ConfigError(
                f"frame_prediction.flow_window: expected an odd number, got {short(self.flow_window)}"
            )
        expect_between("frame_prediction", self, 0, 1, "learning_rate", "discriminator_rate", above=True)
        expect_between("frame_prediction", self, 0, MOST_FACTOR, "gradient", "flow", "adversarial")
        expect_between("frame_prediction", self, 0, MOST_FACTOR, "intensity", above=True)
