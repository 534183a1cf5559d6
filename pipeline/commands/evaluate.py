"""`gepc-pipeline evaluate`: how well models tell abnormal frames of labelled clips."""

from __future__ import annotations

import argparse
from pathlib import Path

from pipeline.commands.labelled_options import add_labelled, inputs, labelled_clips
from pipeline.commands.options import add_device, add_jobs, add_model, add_set, add_workspace, jobs_from

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
    add_labelled(parser)
    add_model(
        parser,
        "models, for instance of several seeds (default: that of the workspace); builtin:walkers is one too",
        "+",
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
    add_jobs(parser, "clips")
    add_workspace(parser)
    add_set(parser)
    add_device(parser, "auto", "where the model runs")


def run(args: argparse.Namespace) -> int:
    """Score, compare, report."""
    import math

    from pipeline.evaluation.evaluate import EvaluationSettings
    from pipeline.evaluation.files import evaluate_models
    from pipeline.evaluation.report import as_json, print_report
    from pipeline.settings import load_settings
    from pipeline.workspace import Workspace
    from pose_extract.errors import UsageError
    from pose_extract.places import check_outputs

    settings = EvaluationSettings(args.protocol, args.normalise, args.scene)
    workspace = Workspace(args.workspace, not args.no_wait)
    of_dataset = [text for text in args.set if args.config and text.startswith("dataset.")]
    dataset = load_settings(args.config, of_dataset).dataset if args.config else None
    overrides = [text for text in args.set if text not in of_dataset]
    clips = labelled_clips(args, workspace, dataset)
    if args.out:
        read = [*(args.model or [workspace.model]), workspace.tracks, args.tracks, args.masks]
        check_outputs([("results", args.out)], [("input that is read", path) for path in read])
    evaluation = evaluate_models(
        args.model or [workspace.model],
        clips,
        settings,
        overrides,
        device=args.device,
        quiet=args.quiet,
        jobs=jobs_from(args),
        out=args.out,
        inputs=inputs(args, workspace),
    )
    args.result.update(as_json(evaluation), left_out=clips.left_out)
    print_report(evaluation)
    if args.out:
        print(f"results are in {args.out}")
    micro, macro = (evaluation.figure(name, evaluation.main) for name in ("auc_micro", "auc_macro"))
    if math.isnan(micro):
        figures = evaluation.models[0].figures[evaluation.main]
        raise UsageError(
            "there is no frame AUC: it needs normal and abnormal frames, and "
            f"{figures.abnormal} of the {figures.frames} frames that count are abnormal. "
            f"If that is wrong, is --abnormal {args.abnormal}?"
        )
    print(f"frame_auc_micro = {micro:.3f}")
    print(f"frame_auc_macro = {macro:.3f}")
    return 0
