"""Settings of patches: the config section ``patches``; imports nothing heavy."""

from __future__ import annotations

from dataclasses import dataclass

from pose_extract.checking import expect_between, expect_one_of

SOURCES = ("crops", "network")


@dataclass(frozen=True)
class PatchSettings:
    """Where the joints' appearance features come from, and how large crops are.

    Attributes:
        source: "crops", square pieces of the picture around each joint through a small residual network
            (`gepc-pipeline patches` makes them), or "network", what the pose network says of each joint, kept by
            `extract` (openmmlab.features, blazepose.features).
        size: side of a crop in pixels, which is what the network sees.
        relative: side of a crop as a share of the person's height (the larger side of the box), resampled to ``size``
            pixels, so that people near and far are seen alike; 0: ``size`` pixels of the frame, as published.
        min_confidence: a joint below this confidence, or outside the frame, has no crop.
        encoder: safetensors file of the residual network; "": the one that `gepc-pipeline patches` trains on the
            workspace's own clips.
        width: channels of the first stage of the network that is trained; vectors have 4 times as many.
        blocks: residual blocks in each of its three stages; 3 make the published ResNet-20.
        crops: at most so many crops are learned from.
        epochs: of training.
        most_gb: most disk that the features of one run may take, in GB; `extract` and `patches` do not start, or
            stop, where that is not enough.
    """

    source: str = "crops"
    size: int = 16
    relative: float = 0.0
    min_confidence: float = 0.05
    encoder: str = ""
    width: int = 16
    blocks: int = 1
    crops: int = 20_000
    epochs: int = 5
    most_gb: float = 20.0

    def __post_init__(self) -> None:
        expect_one_of("patches.source", self.source, SOURCES)
        expect_between("patches", self, 4, 128, "size")
        expect_between("patches", self, 0, 2, "relative")
        expect_between("patches", self, 0, 0.999, "min_confidence")
        expect_between("patches", self, 1, 256, "width")
        expect_between("patches", self, 1, 18, "blocks")
        expect_between("patches", self, 100, 10_000_000, "crops")
        expect_between("patches", self, 1, 1000, "epochs")
        expect_between("patches", self, 0, 1e6, "most_gb")
