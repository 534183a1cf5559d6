"""Options that several commands share."""

from __future__ import annotations

import argparse
from pathlib import Path


def add_workspace(parser: argparse.ArgumentParser) -> None:
    """``--workspace``: where tracks and model live."""
    parser.add_argument(
        "--workspace",
        type=Path,
        default=Path("gepc-workspace"),
        metavar="DIR",
        help="folder of the tracks and the model (default: ./gepc-workspace)",
    )


def add_config(parser: argparse.ArgumentParser) -> None:
    """``--config`` and ``--set``."""
    parser.add_argument(
        "--config",
        default="default",
        metavar="NAME|FILE",
        help="a shipped config (default, paper) or a YAML file",
    )
    add_set(parser)


def add_set(parser: argparse.ArgumentParser) -> None:
    """``--set``: change single settings."""
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="SECTION.KEY=VALUE",
        help="change one setting, for instance --set training.finetune_epochs=5; may be repeated",
    )
