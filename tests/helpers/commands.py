"""Commands run inside the tests' process, and workspaces for them."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from pipeline.adding import add_clip
from pipeline.cli import main
from pipeline.synthetic.clips import StreetClip
from pipeline.workspace import Workspace

# A model that trains in a second or two: for tests of the commands, not of the model. It scores by its clusters; with
# so few windows the parts of the sum know the clips that they have learned from by heart.
TINY = (
    "--set=training.pretrain_epochs=1",
    "--set=training.finetune_epochs=1",
    "--set=clustering.clusters=4",
    "--set=normality.components=3",
    "--set=model.width=2",
    "--set=densities.components=3",
    "--set=densities.pose_components=2",
    "--set=densities.predictor_epochs=2",
    "--set=densities.pretext_epochs=1",
    "--set=scoring.by=clustering",
    "--set=scoring.tail=log",
    "--set=scoring.smoothing_s=0.25",
)


@dataclass
class Result:
    """What a command did."""

    code: int
    out: str
    err: str


class Cli:
    """Runs commands in this process and keeps what they print."""

    def __init__(self, capfd: pytest.CaptureFixture[str]) -> None:
        self._capfd = capfd

    def __call__(self, *args: object) -> Result:
        self._capfd.readouterr()
        code = main([str(a) for a in args])
        out, err = self._capfd.readouterr()
        assert "Traceback" not in out + err
        return Result(code, out, err)


def add_street_clip(workspace: Workspace, clip: StreetClip) -> None:
    """Put a clip's exact joints into the workspace as if they had been extracted."""
    source = f"/street/{clip.name}.mp4"
    add_clip(workspace, clip.truth, source=source, key=clip.name, estimator={"name": "truth"})
