"""All settings of the model in one place, and their plain form for a bundle's config file.

Nothing here imports torch: a model exported to ONNX is read and run without it.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from anomaly.augment import TRANSFORMS
from anomaly.calibration import CalibrationSettings
from anomaly.density_settings import FITTED_PARTS, DensitySettings
from anomaly.normality_settings import NormalitySettings
from anomaly.scoring import ScoringSettings
from anomaly.windows import WindowSettings
from pose_extract.checking import build, expect_one_of
from pose_extract.errors import ConfigError

ADJACENCIES = ("static", "global", "inferred")
PARTITIONS = ("spatial", "distance", "uniform")
ASSIGNMENTS = ("softmax", "student")
TARGETS = ("whole", "batch")
DIVERGENCES = ("target_model", "model_target")
REDUCTIONS = ("mean", "sum")
STARTS = ("kmeans", "random")
PRECISIONS = ("float32", "bfloat16")
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
        expect_one_of("model.partition", self.partition, PARTITIONS)

    def check_window(self, frames: int) -> None:
        """Raise ConfigError unless windows of ``frames`` frames pass through the strides without a remainder."""
        total = math.prod(self.strides)
        if frames % total:
            raise ConfigError(
                f"model: windows of {frames} frames cannot be divided by the strides' product {total}; "
                f"set windows.frames to a multiple of {total} or change model.strides and model.upsampling"
            )


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
    masked: bool = False
    precision: str = "float32"

    def __post_init__(self) -> None:
        expect_one_of("training.precision", self.precision, PRECISIONS)
        unknown = set(self.transforms) - set(TRANSFORMS)
        if unknown or not self.transforms or len(set(self.transforms)) != len(self.transforms):
            raise ConfigError(
                f"training: expected transforms out of {tuple(TRANSFORMS)}, got {self.transforms}"
            )
        if (
            self.batch_size < 2
            or self.pretrain_epochs < 0
            or self.finetune_epochs < 0
            or self.pretrain_swings < 1
        ):
            raise ConfigError(
                "training: expected a batch_size of 2 or above, epochs of 0 or above and pretrain_swings of 1 or "
                f"above, got {self.batch_size}, {self.pretrain_epochs}, {self.finetune_epochs}, {self.pretrain_swings}"
            )
        if not 0 < self.pretrain_rate[0] <= self.pretrain_rate[1]:
            raise ConfigError(
                f"training: expected pretrain_rate as [lowest, highest], above 0, got {self.pretrain_rate}"
            )
        if self.finetune_rate <= 0 or not 0 < self.finetune_decay <= 1 or self.weight_decay < 0:
            raise ConfigError(
                "training: expected a finetune_rate above 0, a finetune_decay of up to 1 and a weight_decay of 0 or "
                f"above, got {self.finetune_rate}, {self.finetune_decay} and {self.weight_decay}"
            )


@dataclass(frozen=True)
class ClusteringSettings:
    """The clustering layer and its optimisation; the defaults are the published ones.

    Attributes:
        clusters: K.
        assignment: "softmax" of dot products with the clusters (equation 1, the paper's), or "student", Student's t
            kernel of the distance to them (deep embedded clustering as first published).
        freedom: degrees of freedom of Student's t.
        bias: add -|theta_k|^2 / 2 to equation 1's exponents, with which the softmax agrees with nearest centroid
            (it is then the posterior of an isotropic Gaussian mixture). False is the paper's form; Student's t
            depends on distances anyway.
        temperature: equation 1's exponents, or the logarithms of Student's t, are divided by it; 1 is the published
            form of both. 0 finds it when the layer is initialised, such that assignments start out soft
            (`start_entropy`).
        start_entropy: mean entropy of an assignment that temperature 0 aims at, as a share of log K.
        target: "whole", equation 3 with sums over the whole training set, or "batch", p^2 over the batch's sums.
        divergence: "target_model", KL(Q || P) (equation 2), or "model_target", KL(P || Q).
        reduction: "mean" or "sum" of the divergence over a batch.
        weight: lambda of equation 4.
        target_every: epochs between refreshes of the target distribution.
        stop_share: fine-tuning ends when fewer than this share of the windows change their cluster from one refresh
            to the next.
        stop_after: fine-tuning epochs before that may happen.
        start: of the clusters: "kmeans", centroids of the latent vectors (the paper's), or "random", drawn from a
            Gaussian with the mean and deviation of each of their coordinates.
        kmeans_starts: k-means initialisations, the best of which is taken.
        kmeans_windows: at most this many windows are given to k-means.
    """

    clusters: int = 10
    assignment: str = "softmax"
    freedom: float = 1.0
    bias: bool = False
    temperature: float = 1.0
    start_entropy: float = 0.3
    target: str = "whole"
    divergence: str = "target_model"
    reduction: str = "mean"
    weight: float = 0.6
    target_every: int = 2
    stop_share: float = 0.001
    stop_after: int = 3
    start: str = "kmeans"
    kmeans_starts: int = 4
    kmeans_windows: int = 50_000

    def __post_init__(self) -> None:
        if not 2 <= self.clusters <= 1000:
            raise ConfigError(f"clustering: expected 2 to 1000 clusters, got {self.clusters}")
        expect_one_of("clustering.assignment", self.assignment, ASSIGNMENTS)
        expect_one_of("clustering.target", self.target, TARGETS)
        expect_one_of("clustering.divergence", self.divergence, DIVERGENCES)
        expect_one_of("clustering.reduction", self.reduction, REDUCTIONS)
        expect_one_of("clustering.start", self.start, STARTS)
        if self.freedom <= 0:
            raise ConfigError(f"clustering: expected a freedom above 0, got {self.freedom}")
        if self.temperature < 0:
            raise ConfigError(
                f"clustering: expected a temperature of 0 (automatic) or above, got {self.temperature}"
            )
        if not 0 < self.start_entropy < 1:
            raise ConfigError(
                f"clustering: expected a start_entropy between 0 and 1, got {self.start_entropy}"
            )
        if self.weight < 0 or not 0 <= self.stop_share <= 1:
            raise ConfigError(
                f"clustering: expected a weight of 0 or above and a stop_share of 0 to 1, got {self.weight} "
                f"and {self.stop_share}"
            )
        if self.target_every < 1 or self.stop_after < 0 or self.kmeans_starts < 1:
            raise ConfigError(
                "clustering: expected target_every and kmeans_starts of 1 or above and stop_after of 0 or above, got "
                f"{self.target_every}, {self.kmeans_starts} and {self.stop_after}"
            )
        if self.kmeans_windows < self.clusters:
            raise ConfigError(f"clustering: expected kmeans_windows of at least K, got {self.kmeans_windows}")


@dataclass(frozen=True)
class ModelSettings:
    """Everything that shapes a model; each field is the config section of that name.

    The defaults are the published settings. Raises ConfigError where sections do not fit each other.
    """

    windows: WindowSettings = field(default_factory=WindowSettings)
    model: NetworkSettings = field(default_factory=NetworkSettings)
    training: TrainingSettings = field(default_factory=TrainingSettings)
    clustering: ClusteringSettings = field(default_factory=ClusteringSettings)
    normality: NormalitySettings = field(default_factory=NormalitySettings)
    densities: DensitySettings = field(default_factory=DensitySettings)
    scoring: ScoringSettings = field(default_factory=ScoringSettings)
    calibration: CalibrationSettings = field(default_factory=CalibrationSettings)

    def __post_init__(self) -> None:
        self.model.check_window(self.windows.frames)
        if self.training.masked and not self.windows.confidence:
            raise ConfigError("training.masked: expected windows.features with confidence, xyc or xyzc")
        if self.fitted_parts and (self.windows.depth or self.windows.extent == "clip"):
            raise ConfigError(
                f"scoring.parts: {', '.join(self.fitted_parts)} are of sliding windows of 2-D joints; train "
                "with --config clustering, or set windows.extent to sliding and windows.features to xyc"
            )
        if self.windows.patches:  # a mirrored person's patches are not those of a person seen in a mirror
            object.__setattr__(self, "training", replace(self.training, transforms=("identity",)))

    @property
    def fitted_parts(self) -> tuple[str, ...]:
        """The parts of the kind "sum" that are fitted beside the network."""
        return tuple(part for part in self.scoring.parts if part in FITTED_PARTS)


def settings_to_dict(settings: ModelSettings) -> dict[str, dict[str, Any]]:
    """Plain nested dict, tuples as lists, that YAML can hold."""
    return _plain(dataclasses.asdict(settings))


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, (list, tuple)) else value


def settings_from_dict(sections: Mapping[str, Any]) -> ModelSettings:
    """The settings of plain nested sections; a section or key that is left out has its default.

    Raises:
        ConfigError: for an unknown section or key, a wrong type, or a value out of range.
    """
    return build(ModelSettings, sections)
