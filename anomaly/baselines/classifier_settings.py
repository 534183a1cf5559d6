"""Settings of the supervised classifier: the config section ``classifier``."""

from __future__ import annotations

from dataclasses import dataclass

from pose_extract.checking import MOST_RATE, MOST_ROUNDS, expect_between
from pose_extract.errors import ConfigError, short

_MOST_BLOCKS, _MOST_CHANNELS, _MOST_STEP = (
    64,
    2048,
    1000,
)  # a config from elsewhere must not be able to ask for all memory


@dataclass(frozen=True)
class ClassifierSettings:
    """The ST-GCN classifier: half as many blocks as Yan et al.'s nine, with their widths.

    The paper says "a shallower variant" and no more. Transforms of the windows, the partition of the joints' neighbours
    and the precision are the model's.

    Attributes:
        width: channels that the numbers in ``encoder`` count in.
        encoder: width of each block.
        strides: temporal stride of each block.
        temporal_kernel: frames that a temporal convolution sees, odd.
        dropout: probability in every block.
        epochs: how often every training window is seen (in every transform, where the model's settings say so).
        rate: highest learning rate of Adam, from which a half cosine falls to 0.
        weight_decay: of Adam.
        batch_size: windows a step.
    """

    width: int = 64
    encoder: tuple[int, ...] = (1, 1, 2, 4)
    strides: tuple[int, ...] = (1, 1, 2, 2)
    temporal_kernel: int = 9
    dropout: float = 0.5
    epochs: int = 30
    rate: float = 1e-3
    weight_decay: float = 1e-4
    batch_size: int = 64

    def __post_init__(self) -> None:
        if not 1 <= len(self.encoder) == len(self.strides) <= _MOST_BLOCKS:
            raise ConfigError(
                f"classifier: expected encoder and strides of one length (1 to {_MOST_BLOCKS}), got "
                f"{short(self.encoder)} and {short(self.strides)}"
            )
        expect_between("classifier", self, 1, _MOST_CHANNELS, "width", "encoder")
        expect_between("classifier", self, 1, _MOST_STEP, "strides")
        if self.width * max(self.encoder) > _MOST_CHANNELS:
            raise ConfigError(
                f"classifier: expected width times each of encoder of 1 to {_MOST_CHANNELS} channels, got width "
                f"{self.width}, encoder {short(self.encoder)}"
            )
        expect_between("classifier", self, 1, 99, "temporal_kernel")
        if self.temporal_kernel % 2 == 0:
            raise ConfigError(
                f"classifier: expected an odd temporal_kernel of 1 to 99, got {short(self.temporal_kernel)}"
            )
        expect_between("classifier", self, 0, 1, "dropout", below=True)
        expect_between("classifier", self, 1, MOST_ROUNDS, "epochs")
        expect_between("classifier", self, 2, 65_536, "batch_size")
        expect_between("classifier", self, 0, MOST_RATE, "rate", above=True)
        expect_between("classifier", self, 0, 100, "weight_decay")
