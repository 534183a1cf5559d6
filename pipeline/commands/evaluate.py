"""`gepc-pipeline evaluate`: how well models tell abnormal frames of labelled clips."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.options import add_device, add_set, add_workspace

if TYPE_CHECKING:
    from pipeline.evaluate import LabelledClips
    from pipeline.workspace import Workspace

HELP = "compare a model's scores with labels: AUC, events, false alarms"
EXAMPLE = """\
example:
  gepc-pipeline evaluate --masks masks/                       the workspace's clips and model
  gepc-pipeline evaluate --tracks tracks/ --masks masks/ --out results/
  gepc-pipeline evaluate --masks masks/ --model seed0 seed1 seed2     mean and deviation
  gepc-pipeline evaluate --masks masks/ --protocol legacy     for comparison with older papers
  gepc-pipeline evaluate --config hr-avenue --set dataset.root=data/HR-Avenue

Masks are files <clip>.npy (or an .npz of one array a clip) of 0 and 1, one a frame.
Ends with the lines frame_auc_micro = ... and frame_auc_macro = ... of the mode that the model is set to."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
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
        "--model",
        type=Path,
        nargs="+",
        metavar="DIR",
        help="models, for instance of several seeds (default: that of the workspace)",
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
    parser.add_argument(
        "--scene",
        default="[^_]+",
        metavar="REGEX",
        help="finds a clip's scene at the start of its name (default: what comes before the first _)",
    )
    parser.add_argument(
        "--out", type=Path, metavar="DIR", help="write evaluation.json, scores of all frames and plots"
    )
    parser.add_argument(
        "--config",
        metavar="NAME|FILE",
        help="a config that names a data set (shanghaitech, hr-avenue, ubnormal, ...) instead of --masks: its test "
        "clips are imported into the workspace; needs --set dataset.root=FOLDER",
    )
    add_workspace(parser)
    add_set(parser)
    add_device(parser, "auto", "where the model runs")


def run(args: argparse.Namespace) -> int:
    """Score, compare, report."""
    import math

    from pipeline.evaluate import EvaluationSettings, evaluate_model
    from pipeline.evaluation_files import EvaluationFolder
    from pipeline.evaluation_report import Evaluation, print_report
    from pipeline.workspace import Workspace
    from pose_extract.errors import UsageError

    settings = EvaluationSettings(args.protocol, args.normalise, args.scene)
    workspace = Workspace(args.workspace)
    clips, overrides = _find_clips(args, workspace)
    folder = EvaluationFolder(args.out, settings.protocol) if args.out else None
    models = []
    for path in args.model or [workspace.model]:
        model = evaluate_model(path, clips, settings, overrides, args.device, args.quiet)
        if folder:
            folder.add(model)
        models.append(model.without_curves())
    evaluation = Evaluation(settings, models, _inputs(args, workspace))
    print_report(evaluation)
    if folder:
        folder.finish(evaluation)
        print(f"results are in {args.out}")
    micro, macro = (evaluation.figure(name, evaluation.main) for name in ("auc_micro", "auc_macro"))
    if math.isnan(micro):
        figures = models[0].figures[evaluation.main]
        raise UsageError(
            "there is no frame AUC: it needs normal and abnormal frames, and "
            f"{figures.abnormal} of the {figures.frames} frames that count are abnormal. "
            f"If that is wrong, is --abnormal {args.abnormal}?"
        )
    print(f"frame_auc_micro = {micro:.3f}")
    print(f"frame_auc_macro = {macro:.3f}")
    return 0


def _find_clips(args: argparse.Namespace, workspace: Workspace) -> tuple[LabelledClips, list[str]]:
    """The clips with their labels, and the overrides that are left for the model."""
    from pipeline.evaluate import find_labelled
    from pose_extract.errors import UsageError

    if (args.masks is None) == (args.config is None):
        raise UsageError(
            "expected either --masks, which says what is abnormal in which clip, or the --config of a data set"
        )
    if args.config is None:
        clips = find_labelled(args.tracks, workspace, args.masks, args.abnormal, args.keep, args.lengthen)
        return clips, args.set
    if args.tracks or args.keep or args.lengthen:
        raise UsageError("--config: the data set's section tells the tracks and what to keep; leave them out")
    from pipeline.datasets import into_workspace, prepare
    from pipeline.settings import load_settings

    of_dataset = [text for text in args.set if text.startswith("dataset.")]
    dataset = prepare(load_settings(args.config, of_dataset).dataset)
    clips = into_workspace(dataset, workspace, train=False, quiet=args.quiet)
    return clips, [text for text in args.set if text not in of_dataset]


def _inputs(args: argparse.Namespace, workspace: Workspace) -> dict[str, Any]:
    """Where tracks and labels came from, for the record."""

    def absolute(path: Path | None) -> str | None:
        return None if path is None else str(path.resolve())

    return {
        "tracks": absolute(args.tracks or workspace.tracks),
        "masks": absolute(args.masks),
        "abnormal": args.abnormal if args.masks else None,
        "keep": absolute(args.keep),
        "lengthen": args.lengthen,
        "config": args.config,
        "set": args.set,
    }
