"""All settings of the model in one place, and their plain form for a bundle's config file."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from anomaly.autoencoder import NetworkSettings
from anomaly.calibration import CalibrationSettings
from anomaly.clustering import ClusteringSettings
from anomaly.normality import NormalitySettings
from anomaly.scoring import ScoringSettings
from anomaly.training import TrainingSettings
from anomaly.windows import WindowSettings
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
    scoring: ScoringSettings = field(default_factory=ScoringSettings)
    calibration: CalibrationSettings = field(default_factory=CalibrationSettings)

    def __post_init__(self) -> None:
        self.model.check_window(self.windows.frames)
        turned = set(self.training.transforms) - {"identity"}
        if self.windows.features == "xyz" and turned:
            raise ConfigError(
                f"training: the transforms {sorted(turned)} are those of an image plane; set training.transforms to "
                "[identity] for windows.features xyz"
            )


def settings_to_dict(settings: ModelSettings) -> dict[str, dict[str, Any]]:
    """Plain nested dict, tuples as lists, that YAML can hold."""
    return {
        section: {key: list(v) if isinstance(v, tuple) else v for key, v in values.items()}
        for section, values in dataclasses.asdict(settings).items()
    }


def settings_from_dict(sections: Mapping[str, Any]) -> ModelSettings:
    """The settings of plain nested sections; a section or key that is left out has its default.

    Raises:
        ConfigError: for an unknown section or key, a wrong type, or a value out of range.
    """
    return build(ModelSettings, sections)
