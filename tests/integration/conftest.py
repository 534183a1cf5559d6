"""Workspaces to run whole commands in: one from exact joints (quick), one from rendered video (slow)."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from pipeline.cli import main
from pipeline.synthetic.clips import simulate_clip, write_clip
from pipeline.synthetic.street.scene import StreetSettings
from pipeline.versions import versions
from pipeline.workspace import Workspace
from tests.helpers.commands import TINY, Cli, add_street_clip
from tests.helpers.kept import kept


@pytest.fixture
def cli(capfd: pytest.CaptureFixture[str]) -> Cli:
    return Cli(capfd)


@pytest.fixture(scope="session")
def truth_workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Tracks of three normal clips and a tiny model trained on them. Not to be changed."""

    def make(folder: Path) -> None:
        workspace = Workspace(folder / "workspace")
        for i in range(3):
            add_street_clip(workspace, simulate_clip(f"normal_{i}", i, StreetSettings(seconds=8)))
        assert main(["train", "--workspace", str(workspace.root), "--quiet", *TINY]) == 0

    code = ("anomaly", "pipeline", "pose_extract", "configs", "tests/helpers/commands.py")
    root = tmp_path_factory.mktemp("truth") / "workspace"
    shutil.copytree(kept("truth-workspace", make, code, TINY, versions()) / "workspace", root)
    return root


@pytest.fixture(scope="session")
def street_video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A short rendered video with a few people."""
    return write_clip(
        simulate_clip("street", 3, StreetSettings(seconds=1.5)), tmp_path_factory.mktemp("street")
    )


@pytest.fixture(scope="session")
def empty_scene(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A video of the street with nobody in it."""
    import numpy as np

    from pose_extract.video import VideoWriter

    path = tmp_path_factory.mktemp("empty") / "empty.mp4"
    rng = np.random.default_rng(0)
    background = rng.integers(90, 130, (120, 160, 3), np.uint8)
    with VideoWriter(path, 10, (160, 120)) as writer:
        for _ in range(12):
            writer.write(background)
    return path
