"""Settings of MPED-RNN: the config section ``mped_rnn``. Imports no torch."""

from __future__ import annotations

from dataclasses import dataclass

from pose_extract.checking import MOST_FACTOR, MOST_RATE, MOST_ROUNDS, expect_between

_MOST_HIDDEN = 1024  # a config from elsewhere must not be able to ask for all memory


@dataclass(frozen=True)
class MpedRnnSettings:
    """MPED-RNN of Morais et al. (CVPR 2019); sections and equations are that paper's.

    What the method is (its equations, that units are gated recurrent, that the last states of the encoder start both
    decoders, and how features are scaled) is the paper's. Sizes, weights and the length of training are not stated in
    its equations: the defaults are segments of 12 frames and 6 that follow, equal weights, and for the rest our choice.

    Attributes:
        input: T, frames of a segment that are encoded and reconstructed.
        prediction: P, frames after it that are predicted, at most.
        stride: s of equation 13, frames from one segment's begin to the next in training.
        score_stride: frames from one segment of a person to the next when scoring.
        hidden_global: size of the global branch's states. They are the bottleneck.
        hidden_local: size of the local branch's states.
        weight_global: lambda_g of equation 15.
        weight_local: lambda_l.
        weight_perceptual: lambda_p.
        batch_size: segments a step.
        epochs: passes through all segments.
        learning_rate: of Adam.
    """

    input: int = 12
    prediction: int = 6
    stride: int = 1
    score_stride: int = 1
    hidden_global: int = 16
    hidden_local: int = 32
    weight_global: float = 1.0
    weight_local: float = 1.0
    weight_perceptual: float = 1.0
    batch_size: int = 256
    epochs: int = 50
    learning_rate: float = 1e-3

    def __post_init__(self) -> None:
        expect_between("mped_rnn", self, 1, 1000, "input", "prediction")
        expect_between(
            "mped_rnn", self, 1, self.input, "stride", "score_stride"
        )  # segments leave no frame out
        expect_between("mped_rnn", self, 1, _MOST_HIDDEN, "hidden_global", "hidden_local")
        expect_between("mped_rnn", self, 0, MOST_FACTOR, "weight_global", "weight_local")
        # What scores are made of.
        expect_between("mped_rnn", self, 0, MOST_FACTOR, "weight_perceptual", above=True)
        expect_between("mped_rnn", self, 0, MOST_RATE, "learning_rate", above=True)
        expect_between("mped_rnn", self, 1, 65_536, "batch_size")
        expect_between("mped_rnn", self, 1, MOST_ROUNDS, "epochs")

    def lengths(self, frames: int) -> tuple[int, int]:
        """(T, P) of the segments in windows of ``frames`` frames.

        Windows shorter than T + P are split in the same proportion.
        """
        if frames >= self.input + self.prediction:
            return self.input, self.prediction
        share = self.input / (self.input + self.prediction)
        encoded = min(max(round(frames * share), 1), frames - 1)
        return encoded, frames - encoded
