"""`gepc-pipeline weights`: fetch the pose networks ahead of time."""

from __future__ import annotations

import argparse

HELP = "fetch the weights of the embedded pose estimator, for machines that will be offline later"
EXAMPLE = """\
example:
  gepc-pipeline weights"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """No arguments."""


def run(args: argparse.Namespace) -> int:
    """Fetch, check, and print where the files are."""
    from pose_extract.estimators.weights import ensure_weights

    for name, path in sorted(ensure_weights().items()):
        print(f"{name}: {path}")
    return 0
