"""`gepc-pipeline weights`: fetch the pose networks ahead of time."""

from __future__ import annotations

import argparse
from importlib import import_module
from typing import TYPE_CHECKING

from pipeline.commands.options import add_config, add_pose, pose_overrides

if TYPE_CHECKING:
    from pathlib import Path

    from pose_extract.estimators.openmmlab.settings import OpenMMLabSettings

HELP = "fetch the weights of a pose estimator, for machines that will be offline later"
EXAMPLE = """\
example:
  gepc-pipeline weights
  gepc-pipeline weights --pose movenet
  gepc-pipeline weights --pose openmmlab
  gepc-pipeline weights --pose openmmlab:rtmpose-m --set openmmlab.skeleton=halpe26

Prints where the files are. They can be copied to that folder of another machine."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    add_config(parser)
    add_pose(parser)


def run(args: argparse.Namespace) -> int:
    """Fetch, check, and print where the files are."""
    from pipeline.progress import show_downloads
    from pipeline.settings import load_settings
    from pose_extract.errors import ConfigError
    from pose_extract.estimators.base import chosen_estimator

    settings = load_settings(args.config, [*args.set, *pose_overrides(args.pose)])
    with show_downloads(args.quiet):
        name = chosen_estimator(settings.pose.estimator)
        if name == "openmmlab":
            paths = _openmmlab_weights(settings.openmmlab)
        elif name in ("blazepose", "movenet"):
            paths = import_module(f"pose_extract.estimators.{name}.weights").ensure_weights()
        else:
            raise ConfigError(
                f"{name} is another package's estimator, which says itself where its weights come from"
            )
    for name, path in sorted(paths.items()):
        print(f"{name}: {path}")
    return 0


def _openmmlab_weights(settings: OpenMMLabSettings) -> dict[str, Path]:
    """Where the weights of the estimator's models are, fetched if need be; a one-stage model has no detector."""
    from pose_extract.estimators.openmmlab.names import detector_source, is_one_stage, pose_source

    sources = {"pose": pose_source(settings)}
    if not is_one_stage(sources["pose"].config):
        sources["detector"] = detector_source(settings)
    return {name: _file(source.weights) for name, source in sources.items()}


def _file(weights: str) -> Path:
    from pathlib import Path

    from pose_extract.errors import WeightsError
    from pose_extract.estimators.downloads import fetch

    if "://" in weights:
        return fetch(weights)
    path = Path(weights)
    if not path.is_file():
        raise WeightsError(f"there is no file {path}, which the settings give as a checkpoint")
    return path
