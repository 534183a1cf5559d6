"""Fixtures for the tests of OpenMMLab's models."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest
from openmmlab_models import save_random

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
    """(240, 320, 3) BGR: a textured picture, the same in every run."""
    import cv2

    rng = np.random.default_rng(5)
    coarse = rng.integers(0, 256, (30, 40, 3), dtype=np.uint8)
    fine = rng.integers(0, 40, (240, 320, 3), dtype=np.uint8)
    return cv2.add(cv2.resize(coarse, (320, 240), interpolation=cv2.INTER_CUBIC) // 2, fine)
