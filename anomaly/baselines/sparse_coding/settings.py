"""Settings of temporally coherent sparse coding: the config section ``sparse_coding``. Imports no torch."""

from __future__ import annotations

from dataclasses import dataclass

from pose_extract.checking import MOST, MOST_FACTOR, expect_between
from pose_extract.errors import ConfigError


@dataclass(frozen=True)
class SparseCodingSettings:
    """How a dictionary of what patches of frames show is learned; the paper's where we know what it states.

    Attributes:
        size: frames are scaled to squares of this side in pixels.
        grids: a frame is cut into 1 x 1, 2 x 2, ... patches, as the paper pools its features.
        patch: each patch is scaled to a square of this side; its grey levels and their change from the frame before are
            the numbers that are coded. The paper codes features of a network that was trained on labelled actions.
        atoms: of the dictionary.
        layers: of the stacked network: steps of the iteration that finds a code.
        steps_in_time: consecutive frames that it learns from at once.
        similarity: d in the similarity exp(-|x - x'|^2 / 2 d^2) of a patch and that of the frame before; patches have a
            mean square length of 1.
        sparsity: lambda_1, what a code's entries cost, at the start: the network learns it.
        coherence: lambda_2, what a change of the code costs between like frames, at the start: the network learns it.
        steps: of training.
        batch_size: runs of ``steps_in_time`` frames a step.
        learning_rate: Adam's.
        normalise: scale errors to 0..1 in each clip, as the paper does. A clip's mean is then no measure of how
            abnormal the clip is: leave it off where clips are compared.
    """

    size: int = 224
    grids: tuple[int, ...] = (1, 2, 4)
    patch: int = 16
    atoms: int = 2048
    layers: int = 3
    steps_in_time: int = 10
    similarity: float = 1.0
    sparsity: float = 0.05
    coherence: float = 0.1
    steps: int = 20_000
    batch_size: int = 16
    learning_rate: float = 1e-3
    normalise: bool = False

    def __post_init__(self) -> None:
        expect_between("sparse_coding", self, 16, 1024, "size")
        expect_between("sparse_coding", self, 2, 128, "patch")
        expect_between("sparse_coding", self, 1, 64, "grids")
        if not self.grids or any(self.size % grid for grid in self.grids):
            raise ConfigError(
                f"sparse_coding.grids: expected numbers that divide the size of {self.size} pixels, got "
                f"{list(self.grids)}"
            )
        expect_between("sparse_coding", self, 1, 65_536, "atoms")
        expect_between("sparse_coding", self, 1, 1000, "layers")
        expect_between("sparse_coding", self, 2, 1000, "steps_in_time")
        expect_between(
            "sparse_coding", self, 0, MOST_FACTOR, "similarity", "sparsity", "coherence", above=True
        )
        expect_between("sparse_coding", self, 1, MOST, "steps")
        expect_between("sparse_coding", self, 1, 1024, "batch_size")
        expect_between("sparse_coding", self, 0, 1, "learning_rate", above=True)
