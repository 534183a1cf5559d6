"""Fetch the weights of an estimator, without loading its networks."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pose_extract.errors import WeightsError
from pose_extract.estimators.base import ESTIMATORS
from pose_extract.estimators.downloads import fetch

if TYPE_CHECKING:
    from pose_extract.estimators.openmmlab.settings import OpenMMLabSettings


def fetch_weights(name: str, *settings: Any) -> dict[str, Path] | None:
    """Fetch what an estimator's networks need, unless it is there.

    Args:
        name: of the estimator.
        settings: what it is made with.

    Returns:
        What each file is, and where; None of another package's estimator, which sees to it itself.

    Raises:
        WeightsError: they cannot be had.
    """
    if name == "openmmlab":
        return _of_openmmlab(*settings)
    if name not in ESTIMATORS:
        return None
    found: dict[str, Path] = import_module(f"pose_extract.estimators.{name}.weights").ensure_weights()
    return found


def _of_openmmlab(settings: OpenMMLabSettings) -> dict[str, Path]:
    """A one-stage model has no detector."""
    from pose_extract.estimators.openmmlab.names import detector_source, is_one_stage, pose_source

    sources = {"pose": pose_source(settings)}
    if not is_one_stage(sources["pose"].config):
        sources["detector"] = detector_source(settings)
    return {name: _file(source.weights) for name, source in sources.items()}


def _file(weights: str) -> Path:
    if "://" in weights:
        return fetch(weights)
    path = Path(weights)
    if not path.is_file():
        raise WeightsError(f"there is no file {path}, which the settings give as a checkpoint")
    return path
