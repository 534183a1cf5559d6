"""Settings of the two phases of training: the config section ``training``."""

from __future__ import annotations

from dataclasses import dataclass

from pose_extract.checking import MOST, MOST_RATE, MOST_ROUNDS, expect_between, expect_one_of
from pose_extract.errors import ConfigError, short

# name -> (mirrored first, rotation in degrees)
TRANSFORMS: dict[str, tuple[bool, float]] = {
    "identity": (False, 0.0),
    "mirror": (True, 0.0),
    "rotate90": (False, 90.0),
    "mirror_rotate90": (True, 90.0),
    "rotate45": (False, 45.0),
}

PRECISIONS = ("float32", "bfloat16")


@dataclass(frozen=True)
class TrainingSettings:
    """The two phases of training; the defaults are the published ones.

    Attributes:
        transforms: which of the fixed transforms a window is seen in, in training and in scoring.
        all_transforms: every epoch sees each window in every transform; otherwise in one, drawn anew.
        batch_size: windows a step.
        weight_decay: of Adam, in both phases.
        pretrain_epochs: epochs on the reconstruction loss alone.
        pretrain_rate: lowest and highest learning rate, between which a cosine swings.
        pretrain_swings: half cycles of that cosine, from highest to lowest or back; odd ends at the lowest.
        finetune_epochs: at most this many epochs on the combined loss (equation 4).
        finetune_rate: learning rate of the first.
        finetune_decay: its factor from an epoch to the next.
        most_windows: the network learns from at most so many windows, drawn at random; null: from all.
        masked: joints that are missing (confidence 0) take no part in the reconstruction loss and error.
        precision: "float32", or "bfloat16" for automatic mixed precision.
    """

    transforms: tuple[str, ...] = tuple(TRANSFORMS)
    all_transforms: bool = True
    batch_size: int = 512
    weight_decay: float = 1e-5
    pretrain_epochs: int = 10
    pretrain_rate: tuple[float, float] = (1e-5, 1e-3)
    pretrain_swings: int = 5
    finetune_epochs: int = 25
    finetune_rate: float = 8e-4
    finetune_decay: float = 0.98
    most_windows: int | None = None
    masked: bool = False
    precision: str = "float32"

    def __post_init__(self) -> None:
        expect_one_of("training.precision", self.precision, PRECISIONS)
        unknown = set(self.transforms) - set(TRANSFORMS)
        if unknown or not self.transforms or len(set(self.transforms)) != len(self.transforms):
            raise ConfigError(
                f"training: expected transforms out of {tuple(TRANSFORMS)}, got {short(self.transforms)}"
            )
        expect_between("training", self, 2, 65_536, "batch_size")
        expect_between("training", self, 0, MOST_ROUNDS, "pretrain_epochs", "finetune_epochs")
        expect_between("training", self, 0, 100, "weight_decay")
        expect_between("training", self, 1, MOST_ROUNDS, "pretrain_swings")
        if self.most_windows is not None:
            expect_between("training", self, 1, MOST, "most_windows")
        expect_between("training", self, 0, MOST_RATE, "pretrain_rate", "finetune_rate", above=True)
        if self.pretrain_rate[0] > self.pretrain_rate[1]:
            raise ConfigError(
                f"training: expected pretrain_rate as [lowest, highest], got {self.pretrain_rate}"
            )
        expect_between("training", self, 0, 1, "finetune_decay", above=True)
