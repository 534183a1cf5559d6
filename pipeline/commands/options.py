"""Options that several commands share."""

from __future__ import annotations

import argparse
import json
import shlex
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.defaults import DEFAULT_CONFIG, DEFAULT_WORKSPACE, config_for
from pose_extract.checking import MOST
from pose_extract.errors import short

if TYPE_CHECKING:
    from pipeline.workers import Cluster, Jobs


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


def add_jobs(parser: argparse.ArgumentParser, what: str, cluster: bool = True, apart: bool = False) -> None:
    """``--jobs``: how many ``what`` at once; on a ``cluster`` ``--ray``, of which machines may be ``apart``."""
    parser.add_argument(
        "--jobs",
        type=whole_number(1, 1024),
        metavar="N",
        help=f"how many {what} at once, each in a process of its own (default: as many as there are cores, and memory "
        f"for them{'' if cluster else ', if there is much to do'}); the results are the same",
    )
    if cluster:
        add_ray(parser, apart)


def add_ray(parser: argparse.ArgumentParser, apart: bool = False) -> None:
    """``--ray``, ``--ray-cpus`` and ``--ray-gpus``: where, instead of on this machine."""
    machines = parser.add_argument_group("on many machines")
    machines.add_argument(
        "--ray",
        nargs="?",
        const="",
        metavar="ADDRESS",
        help="do the work on a Ray cluster (auto, HOST:6379, ray://HOST:10001) whose machines see the same folders; "
        "without an address on one that is started here. --jobs (of experiments --processes) says how many workers "
        "(default: as many as fit)",
    )
    machines.add_argument(
        "--ray-cpus", type=float, default=1.0, metavar="N", help="processors of each worker (default: 1)"
    )
    machines.add_argument(
        "--ray-gpus", type=float, default=0.0, metavar="N", help="share of a GPU of each worker (default: 0)"
    )
    if apart:
        machines.add_argument(
            "--ray-apart",
            action="store_true",
            help="its machines do not see this one's workspace: tracks come back over the network; videos are named "
            "by addresses (s3://...), or lie under the same paths there",
        )


def jobs_from(args: argparse.Namespace) -> Jobs:
    """What ``--jobs`` and ``--ray`` say."""
    return args.jobs if args.ray is None else cluster_from(args, args.jobs)


def cluster_from(args: argparse.Namespace, workers: int | None) -> Cluster:
    """The cluster that ``--ray`` names."""
    from pipeline.workers import Cluster

    return Cluster(args.ray, workers, args.ray_cpus, args.ray_gpus, getattr(args, "ray_apart", False))


def add_config(parser: argparse.ArgumentParser) -> None:
    """``--config`` and ``--set``."""
    parser.add_argument(
        "--config",
        metavar="NAME|FILE",
        help="a shipped config (see gepc-pipeline config list) or a YAML file (default: $GEPC_CONFIG, or what "
        f"gepc-pipeline config set has kept in the workspace, or {DEFAULT_CONFIG})",
    )
    parser.set_defaults(config_for=config_for)
    add_set(parser)


def add_model(parser: argparse.ArgumentParser, help: str = "", nargs: str | None = None) -> None:
    """``--model``: another model than the workspace's."""
    parser.add_argument(
        "--model",
        type=_model,
        nargs=nargs,
        metavar="DIR|builtin:NAME",
        help=help or "the model (default: that of the workspace); builtin:walkers comes with the package",
    )


def _model(text: str) -> Path:
    from pipeline.builtin import builtin_model
    from pose_extract.errors import ModelError

    if not text:
        raise argparse.ArgumentTypeError("expected a model's folder, got an empty name")
    try:
        return builtin_model(text)
    except ModelError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


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


def counted(number: int, one: str, many: str = "") -> str:
    """``1 clip``, ``3 clips``; ``many`` of words that do not end with an s."""
    return f"{number} {one if number == 1 else many or one + 's'}"


def say_next(args: argparse.Namespace, command: str) -> None:
    """Say which command comes next, unless `gepc-pipeline run` goes on by itself."""
    if getattr(args, "says_next", True):
        print(f"next: gepc-pipeline {command}")


def config_option(args: argparse.Namespace) -> str:
    """The option that names a command's config, with a space before it; empty where the next one has it anyway."""
    return "" if args.config == config_for(args.workspace) else f" --config {shlex.quote(args.config)}"


def failures(failed: Iterable[tuple[str, Exception]]) -> list[dict[str, str]]:
    """What could not be used, as ``--json`` tells it."""
    return [{"name": name, "error": str(error)} for name, error in failed]


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
