"""`gepc-pipeline export`: cached tracks to the files of other tools."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.commands.options import add_device, add_model, add_workspace

if TYPE_CHECKING:
    from pipeline.scoring import Scorer
    from pipeline.workspace import Workspace

HELP = "write the workspace's tracks, and their scores, in the formats of other tools"
EXAMPLE = """\
example:
  gepc-pipeline export gepc tracks-as-json/ --kind json
  gepc-pipeline export alphapose out/ --clips '01_*'
  gepc-pipeline export kinetics-skeleton out/ --skeleton coco18 --tracks gepc-workspace/tracks/video.npz
  gepc-pipeline export coco-video out/ --frames alarms --pictures      (FiftyOne reads it)
  gepc-pipeline export parquet out/                                    (frames.parquet, people.parquet for pandas)

formats: alphapose openpose kinetics-skeleton ntu mped-rnn coco posetrack gepc. Each holds certain skeletons; --skeleton
converts to another one whose joints are all there.
coco-video and parquet hold scores too, if there is a model; their tracks are then the cleaned ones that it scored."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("format", metavar="FORMAT", help="what to write, see below")
    parser.add_argument("out", type=Path, metavar="OUT", help="a folder, or a file for one clip")
    add_workspace(parser)
    parser.add_argument(
        "--tracks",
        nargs="+",
        type=Path,
        default=[],
        metavar="NPZ",
        help="export these instead of the workspace's",
    )
    parser.add_argument(
        "--clips", default="*", metavar="PATTERN", help="only clips whose names match, for instance '01_*'"
    )
    parser.add_argument(
        "--skeleton", metavar="NAME", help="convert to this skeleton's joints, by their names"
    )
    parser.add_argument("--layout", choices=("tracked", "results"), help="alphapose: which of its files")
    parser.add_argument("--kind", choices=("npz", "json"), help="gepc: which of its files (default: npz)")
    parser.add_argument(
        "--frames", choices=("all", "people", "alarms"), help="coco-video: which frames (default: all)"
    )
    parser.add_argument("--pictures", action="store_true", help="coco-video: also the frames as JPEGs")
    add_model(parser, "coco-video, parquet: the model (default: that of the workspace)")
    add_device(parser, "auto", "coco-video, parquet: where the model runs")


def run(args: argparse.Namespace) -> int:
    """Export."""
    from pipeline.io.export_tracks import export_all, find_tracks
    from pipeline.workspace import Workspace
    from pose_extract.formats.base import FORMATS, check_format

    if args.format != "chad":  # which says why it is not written
        check_format(args.format, [*(name for name in FORMATS if name != "chad"), "coco-video", "parquet"])
    if args.format in ("coco-video", "parquet"):
        return _with_scores(args, Workspace(args.workspace, not args.no_wait))
    given = {"layout": args.layout, "kind": args.kind}
    options = {name: value for name, value in given.items() if value is not None}
    workspace = Workspace(args.workspace, not args.no_wait)
    paths = find_tracks(workspace, args.tracks, args.clips)
    _check(args, paths, workspace)
    count = export_all(args.format, paths, args.out, args.skeleton, **options)
    args.result.update(out=args.out, clips=count)
    print(f"{count} clips written to {args.out}")
    return 0


def _check(args: argparse.Namespace, paths: list[Path], workspace: Workspace) -> None:
    """Refuse to write into what is read: a clip's file is named after it, in the folder."""
    from pose_extract.places import check_outputs

    writes_npz = args.format == "gepc" and args.kind != "json"
    folders = {path.parent for path in paths} if writes_npz else set()
    check_outputs(
        [("export", args.out)],
        [
            *(("tracks that are read", path) for path in {*paths, *folders}),
            ("model that is read", args.model),
            *workspace.kept(),
        ],
    )


def _with_scores(args: argparse.Namespace, workspace: Workspace) -> int:
    from pipeline.io.export_tracks import find_tracks
    from pose_extract.errors import UsageError

    unused = {"--layout": args.layout, "--kind": args.kind, "--skeleton": args.skeleton}
    if args.format == "parquet":
        unused |= {"--frames": args.frames, "--pictures": args.pictures or None}
    for name, value in unused.items():
        if value is not None:
            raise UsageError(f"export {args.format} has no option {name}")
    paths = find_tracks(workspace, args.tracks, args.clips)
    _check(args, paths, workspace)
    scorer = _scorer(args, workspace)
    if args.format == "parquet":
        from pipeline.io.export_parquet import export_parquet

        count = export_parquet(paths, args.out, scorer)
    else:
        from pipeline.io.export_scores import export_coco_video

        count = export_coco_video(paths, args.out, scorer, args.frames or "all", args.pictures)
    args.result.update(out=args.out, clips=count, scores=scorer is not None)
    print(
        f"{count} clips written to {args.out}" + ("" if scorer else ", without scores: there is no model yet")
    )
    return 0


def _scorer(args: argparse.Namespace, workspace: Workspace) -> Scorer | None:
    """The model; None where none was asked for and the workspace has none."""
    from pipeline.scoring import load_scorer

    if args.model is None and not workspace.model.is_dir():
        return None
    return load_scorer(args.model or workspace.model, device=args.device)
