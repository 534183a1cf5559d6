"""All settings of the model in one place, and their plain form for a bundle's config file.

Nothing here imports torch: a model exported to ONNX is read and run without it.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from anomaly.settings.clustering import ClusteringSettings
from anomaly.settings.densities import NEIGHBOURHOODS, DensitySettings, is_fitted
from anomaly.settings.network import NetworkSettings
from anomaly.settings.normality import NormalitySettings
from anomaly.settings.scoring import CalibrationSettings, ScoringSettings
from anomaly.settings.training import TrainingSettings
from anomaly.settings.windows import WindowSettings
from pose_extract.checking import build
from pose_extract.errors import ConfigError


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
        if self.neighbourhoods and self.windows.extent != "clip":
            raise ConfigError(
                f"scoring.parts: {', '.join(self.neighbourhoods)} are of whole clips; set windows.extent to clip, or "
                "leave them out"
            )
        if self.windows.patches:  # a mirrored person's patches are not those of a person seen in a mirror
            object.__setattr__(self, "training", replace(self.training, transforms=("identity",)))

    @property
    def fitted_parts(self) -> tuple[str, ...]:
        """The parts of the kind "sum" that are fitted beside the network, of sliding windows."""
        return tuple(part for part in self.scoring.parts if is_fitted(part))

    @property
    def neighbourhoods(self) -> tuple[str, ...]:
        """The parts of the kind "sum" that compare a whole clip with normal ones."""
        return tuple(part for part in self.scoring.parts if part in NEIGHBOURHOODS)

    @property
    def latent_size(self) -> int:
        """D, length of a latent vector."""
        frames = self.windows.frames // math.prod(self.model.strides)
        return self.model.width * self.model.encoder[-1] * frames * self.windows.body.num_joints


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
