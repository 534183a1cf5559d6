"""Configs of experiments: all settings of the pipeline, and a section for each baseline."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from anomaly.baselines.classifier_settings import ClassifierSettings
from anomaly.baselines.frame_prediction.settings import FramePredictionSettings
from anomaly.baselines.latent_autoregression.settings import LatentAutoregressionSettings
from anomaly.baselines.latent_settings import GaussianMixtureSettings, NeighboursSettings, OneClassSvmSettings
from anomaly.baselines.mped_rnn.settings import MpedRnnSettings
from anomaly.baselines.sparse_coding.settings import SparseCodingSettings
from pipeline.experiments.options import OF_FRAMES, OURS, ExperimentOptions
from pipeline.settings import Settings, load_config
from pipeline.synthetic.actions.clips import ActionSettings
from pose_extract.checking import build


@dataclass(frozen=True)
class ExperimentSettings(Settings):
    """Everything that a config can say, experiments included. The baselines' defaults are the published ones."""

    one_class_svm: OneClassSvmSettings = field(default_factory=OneClassSvmSettings)
    neighbours: NeighboursSettings = field(default_factory=NeighboursSettings)
    gaussian_mixture: GaussianMixtureSettings = field(default_factory=GaussianMixtureSettings)
    classifier: ClassifierSettings = field(default_factory=ClassifierSettings)
    mped_rnn: MpedRnnSettings = field(default_factory=MpedRnnSettings)
    frame_prediction: FramePredictionSettings = field(default_factory=FramePredictionSettings)
    sparse_coding: SparseCodingSettings = field(default_factory=SparseCodingSettings)
    latent_autoregression: LatentAutoregressionSettings = field(default_factory=LatentAutoregressionSettings)
    actions: ActionSettings = field(default_factory=ActionSettings)
    experiment: ExperimentOptions = field(default_factory=ExperimentOptions)


# Method -> the config section of its own settings.
SECTIONS = {
    "classifier-max": "classifier",
    "classifier-dirichlet": "classifier",
    "ocsvm": "one_class_svm",
    "ocsvm-nystroem": "one_class_svm",
    "knn": "neighbours",
    "mixture": "gaussian_mixture",
    "frame-prediction": "frame_prediction",
    "sparse-coding": "sparse_coding",
    "latent-autoregression": "latent_autoregression",
    "mped-rnn": "mped_rnn",
}

_MODEL = ("model", "training", "clustering", "normality")
_CLASSIFIER = ("windows", "model", "training", "normality")
_SHAPING = {
    **dict.fromkeys(OF_FRAMES, ()),
    "mped-rnn": ("windows",),
    "classifier-max": _CLASSIFIER,
    "classifier-dirichlet": _CLASSIFIER,
    **dict.fromkeys(OURS, ("windows", *_MODEL, "densities")),
}


def shaping(method: str) -> tuple[str, ...]:
    """The pipeline's sections that shape how a method scores; of the methods on z all of ours but the mixture."""
    return "cleaning", *_SHAPING.get(method, ("windows", *_MODEL[:-1]))


def load_experiment(name: str, overrides: Sequence[str] = ()) -> ExperimentSettings:
    """The checked settings of a config; raises `ConfigError`. Arguments: see `pipeline.settings.config.load_config`."""
    return build(ExperimentSettings, load_config(name, overrides))
