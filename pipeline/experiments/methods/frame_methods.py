"""The methods that look at pixels, made by name; what they learn from is chosen elsewhere."""

from __future__ import annotations

from typing import Any

from anomaly.baselines.frames import FrameBaseline
from pipeline.experiments.settings import SECTIONS, ExperimentSettings


def make_frame_baseline(method: str, settings: ExperimentSettings, seed: int, device: str) -> FrameBaseline:
    """The method of that name, one of `pipeline.experiments.options.OF_FRAMES`, which has learned nothing yet."""
    own: Any = getattr(settings, SECTIONS[method])
    if method == "sparse-coding":
        from anomaly.baselines.sparse_coding.model import SparseCoding

        return SparseCoding(own, seed, device)
    if method == "latent-autoregression":
        from anomaly.baselines.latent_autoregression.model import LatentAutoregression

        return LatentAutoregression(own, seed, device)
    from anomaly.baselines.frame_prediction.model import FramePrediction

    return FramePrediction(own, seed, device)


def frame_size(method: str, settings: ExperimentSettings) -> int:
    """Side in pixels of the squares that a method of frames wants."""
    return int(getattr(settings, SECTIONS[method]).size)
