"""Fixtures for the tests of OpenMMLab's models."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest

from tests.helpers.openmmlab_models import random_picture, save_random

if importlib.util.find_spec("mmpose") is None:
    collect_ignore_glob = ["test_*.py"]


@pytest.fixture(scope="session")
def openmmlab() -> None:
    """OpenMMLab's packages, imported."""
    from pose_extract.estimators.openmmlab.compat import import_openmmlab

    import_openmmlab()


@pytest.fixture(scope="session")
def checkpoints(openmmlab: None, tmp_path_factory: pytest.TempPathFactory):
    """``checkpoints(config, scope)``: the path of a random checkpoint of a config, made once a session."""
    folder = tmp_path_factory.mktemp("checkpoints")
    made: dict[Path, Path] = {}

    def checkpoint(config: Path, scope: str = "mmpose") -> Path:
        if config not in made:
            made[config] = save_random(config, scope, folder / f"{len(made)}.pth")
        return made[config]

    return checkpoint


@pytest.fixture(scope="session")
def picture() -> np.ndarray:
    """(240, 320, 3) BGR."""
    return random_picture()
