"""What can be set of a model: a dataclass for each config section.

Imports nothing of `anomaly` but itself, and no torch.
"""

from anomaly.settings.clustering import (
    ASSIGNMENTS,
    DIVERGENCES,
    REDUCTIONS,
    STARTS,
    TARGETS,
    ClusteringSettings,
)
from anomaly.settings.densities import NETWORK_PARTS, DensitySettings
from anomaly.settings.model import ModelSettings, settings_from_dict, settings_to_dict
from anomaly.settings.network import ADJACENCIES, PARTITIONS, NetworkSettings
from anomaly.settings.normality import NormalitySettings
from anomaly.settings.scoring import (
    FRAME_MODES,
    SCORE_KINDS,
    TAIL_FORMS,
    CalibrationSettings,
    ScoringSettings,
)
from anomaly.settings.training import PRECISIONS, TRANSFORMS, TrainingSettings
from anomaly.settings.windows import WindowSettings

__all__ = [
    "ADJACENCIES",
    "ASSIGNMENTS",
    "DIVERGENCES",
    "FRAME_MODES",
    "NETWORK_PARTS",
    "PARTITIONS",
    "PRECISIONS",
    "REDUCTIONS",
    "SCORE_KINDS",
    "STARTS",
    "TAIL_FORMS",
    "TARGETS",
    "TRANSFORMS",
    "CalibrationSettings",
    "ClusteringSettings",
    "DensitySettings",
    "ModelSettings",
    "NetworkSettings",
    "NormalitySettings",
    "ScoringSettings",
    "TrainingSettings",
    "WindowSettings",
    "settings_from_dict",
    "settings_to_dict",
]
