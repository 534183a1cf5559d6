"""Settings of the recurrent baseline; nothing here imports torch."""

from __future__ import annotations

from dataclasses import dataclass

from pose_extract.errors import ConfigError

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
        score_stride: the same when scoring.
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
        if not 1 <= self.input <= 1000 or not 1 <= self.prediction <= 1000:
            raise ConfigError(
                f"mped_rnn: expected input and prediction of 1 to 1000 frames, got {self.input} and {self.prediction}"
            )
        if not (1 <= self.stride <= self.input and 1 <= self.score_stride <= self.input):
            raise ConfigError(
                f"mped_rnn: expected strides of 1 to input ({self.input}), so that segments leave no frame out, got "
                f"{self.stride} and {self.score_stride}"
            )
        if not (1 <= self.hidden_global <= _MOST_HIDDEN and 1 <= self.hidden_local <= _MOST_HIDDEN):
            raise ConfigError(
                f"mped_rnn: expected hidden_global and hidden_local of 1 to {_MOST_HIDDEN}, got {self.hidden_global} "
                f"and {self.hidden_local}"
            )
        weights = (self.weight_global, self.weight_local, self.weight_perceptual)
        if min(weights[:2]) < 0 or self.weight_perceptual <= 0:
            raise ConfigError(
                "mped_rnn: expected weight_global and weight_local of 0 or above and a weight_perceptual above 0, "
                f"which is what scores are made of, got {weights}"
            )
        if self.batch_size < 1 or self.epochs < 1 or self.learning_rate <= 0:
            raise ConfigError(
                "mped_rnn: expected batch_size and epochs of 1 or above and a learning_rate above 0, got "
                f"{self.batch_size}, {self.epochs} and {self.learning_rate}"
            )

    def lengths(self, frames: int) -> tuple[int, int]:
        """(T, P) of the segments in windows of ``frames`` frames.

        Windows shorter than T + P are split in the same proportion.
        """
        if frames >= self.input + self.prediction:
            return self.input, self.prediction
        share = self.input / (self.input + self.prediction)
        encoded = min(max(round(frames * share), 1), frames - 1)
        return encoded, frames - encoded
