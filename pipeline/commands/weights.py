"""`gepc-pipeline weights`: fetch the pose networks ahead of time."""

from __future__ import annotations

import argparse

from pipeline.commands.options import add_config, add_pose, pose_overrides

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
    from pose_extract.estimators.fetching import fetch_weights

    settings = load_settings(args.config, [*args.set, *pose_overrides(args.pose)])
    with show_downloads(args.quiet):
        settings = settings.with_estimator(chosen_estimator(settings.pose.estimator))
        name = settings.pose.estimator
        paths = fetch_weights(name, *settings.of_estimator())
    if paths is None:
        raise ConfigError(
            f"{name} is another package's estimator, which says itself where its weights come from"
        )
    args.result["files"] = paths
    for name, path in sorted(paths.items()):
        print(f"{name}: {path}")
    return 0
