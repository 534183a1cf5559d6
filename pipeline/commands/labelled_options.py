"""Options of the commands that compare scores with labels, and what they come to."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pipeline.evaluation.labelled import LabelledClips
    from pipeline.settings.dataset import DatasetSettings
    from pipeline.workspace import Workspace


def add_labelled(parser: argparse.ArgumentParser) -> None:
    """Which clips, their labels, and by which protocol."""
    parser.add_argument(
        "--masks",
        type=Path,
        metavar="DIR|NPZ",
        help="which frames are abnormal, named like the clips",
    )
    parser.add_argument(
        "--abnormal",
        type=int,
        choices=(0, 1),
        default=1,
        help="which value of the masks stands for an abnormal frame (default: 1)",
    )
    parser.add_argument(
        "--tracks",
        type=Path,
        metavar="DIR|NPZ",
        help="tracks files to score (default: the workspace's, without those that were extracted to train on)",
    )
    parser.add_argument(
        "--keep",
        type=Path,
        metavar="DIR|NPZ",
        help="masks of the frames that count, 1 = counts: the others are scored, but left out of every figure",
    )
    parser.add_argument(
        "--lengthen",
        action="store_true",
        help="take frames that a mask has beyond its clip for frames without people (tracks imported from poses)",
    )
    parser.add_argument(
        "--protocol",
        choices=("current", "legacy"),
        default="current",
        help="current: smoothed inside each clip; legacy: one AUC over clips joined and smoothed together, "
        "as older papers computed it (default: current)",
    )
    parser.add_argument(
        "--normalise",
        choices=("none", "clip"),
        default="none",
        help="legacy only: first bring each clip's scores to 0..1, as some papers did (default: none)",
    )


def labelled_clips(
    args: argparse.Namespace, workspace: Workspace, dataset: DatasetSettings | None, train: bool = False
) -> LabelledClips:
    """The clips that the options name.

    Args:
        args: parsed options of `add_labelled`.
        workspace: of the command.
        dataset: a data set to take instead of ``--masks``.
        train: whether its training clips come into the workspace too.

    Raises:
        UsageError: neither or both say what is abnormal, or clips and labels do not fit.
    """
    from pipeline.evaluation.labelled import find_labelled
    from pose_extract.errors import UsageError

    if (args.masks is None) == (dataset is None):
        raise UsageError(
            "expected either --masks, which says what is abnormal in which clip, or the --config of a data set"
        )
    if dataset is None:
        return find_labelled(args.tracks, workspace, args.masks, args.abnormal, args.keep, args.lengthen)
    if args.tracks or args.keep or args.lengthen:
        raise UsageError("--config: the data set's section tells the tracks and what to keep; leave them out")
    from pipeline.datasets.dataset import into_workspace, prepare

    return into_workspace(prepare(dataset), workspace, train=train, quiet=args.quiet)


def inputs(args: argparse.Namespace, workspace: Workspace) -> dict[str, Any]:
    """Where tracks and labels came from, for the record."""

    def absolute(path: Path | None) -> str | None:
        return None if path is None else os.path.realpath(path)

    return {
        "tracks": absolute(args.tracks or workspace.tracks),
        "masks": absolute(args.masks),
        "abnormal": args.abnormal if args.masks else None,
        "keep": absolute(args.keep),
        "lengthen": args.lengthen,
        "config": args.config,
        "set": args.set,
    }
