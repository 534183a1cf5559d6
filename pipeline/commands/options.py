"""Options that several commands share."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from pipeline.defaults import DEFAULT_CONFIG, DEFAULT_WORKSPACE
from pose_extract.checking import MOST
from pose_extract.errors import short


def add_workspace(parser: argparse.ArgumentParser) -> None:
    """``--workspace``: where tracks and model live."""
    parser.add_argument(
        "--workspace",
        type=Path,
        default=DEFAULT_WORKSPACE,
        metavar="DIR",
        help=f"folder of the tracks and the model (default: {DEFAULT_WORKSPACE}; $GEPC_WORKSPACE sets another)",
    )
    parser.add_argument(
        "--no-wait",
        action="store_true",
        help="fail with exit code 12 where another process works on the same clip or model, instead of waiting for it",
    )


def add_jobs(parser: argparse.ArgumentParser, what: str) -> None:
    """``--jobs``: how many ``what`` at once."""
    parser.add_argument(
        "--jobs",
        type=int,
        metavar="N",
        help=f"how many {what} at once, each in a process of its own (default: as many as there are cores, and memory "
        "for them); the results are the same",
    )


def check_jobs(jobs: int | None) -> int | None:
    """Return the value of ``--jobs``; raises `UsageError` below 1."""
    from pose_extract.errors import UsageError

    if jobs is not None and not 1 <= jobs <= 1024:
        raise UsageError(f"--jobs: expected a number from 1 to 1024, got {jobs}")
    return jobs


def add_config(parser: argparse.ArgumentParser) -> None:
    """``--config`` and ``--set``."""
    parser.add_argument(
        "--config",
        default=DEFAULT_CONFIG,
        metavar="NAME|FILE",
        help=f"a shipped config (default, paper) or a YAML file (default: {DEFAULT_CONFIG}; $GEPC_CONFIG sets another)",
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


def add_pose(parser: argparse.ArgumentParser) -> None:
    """``--pose``: which estimator finds the people, and with which model."""
    parser.add_argument(
        "--pose",
        metavar="NAME[:MODEL]",
        help="pose estimator (default: the config's, auto: movenet, or blazepose where the weights of that cannot be "
        "had), with its model if it has several: openmmlab, openmmlab:lightweight, openmmlab:rtmpose-m",
    )


def add_device(parser: argparse.ArgumentParser, default: str | None, help: str) -> None:
    """``--device``: where networks run; ``help`` says which ones."""
    parser.add_argument(
        "--device",
        default=default,
        metavar="NAME",
        help=f"{help}: cpu, cuda, cuda:N, mps or auto (default: auto)",
    )


def whole_number(low: int, high: int = MOST) -> Callable[[str], int]:
    """What turns an option's text into a whole number of ``low`` to ``high``."""

    def read(text: str) -> int:
        with suppress(ValueError):
            if low <= (number := int(text)) <= high:
                return number
        raise argparse.ArgumentTypeError(f"expected a whole number of {low} to {high}, got {short(text)}")

    return read


def pose_overrides(text: str | None) -> list[str]:
    """What the value of ``--pose`` means as ``section.key=value`` overrides of a config; none for no value."""
    if text is None:
        return []
    estimator, colon, model = text.partition(":")
    overrides = [f"pose.estimator={json.dumps(estimator)}"]
    # As JSON, which YAML reads back as the same text whatever it holds: colons of a path, a name of digits only.
    return overrides + [f"{estimator}.model={json.dumps(model, ensure_ascii=False)}"] * bool(colon)
