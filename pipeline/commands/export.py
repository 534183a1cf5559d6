"""`gepc-pipeline export`: cached tracks to the files of other tools."""

from __future__ import annotations

import argparse
from pathlib import Path

from pipeline.options import add_workspace

HELP = "write the workspace's tracks in the formats of other tools"
EXAMPLE = """\
example:
  gepc-pipeline export gepc tracks-as-json/ --kind json
  gepc-pipeline export alphapose out/ --clips '01_*'
  gepc-pipeline export kinetics-skeleton out/ --skeleton coco18 --tracks gepc-workspace/tracks/video.npz

formats: alphapose openpose kinetics-skeleton ntu mped-rnn coco posetrack gepc. Each holds certain skeletons; --skeleton
converts to another one whose joints are all there."""


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


def run(args: argparse.Namespace) -> int:
    """Export."""
    from pipeline.tracks_export import export_all, find_tracks
    from pipeline.workspace import Workspace

    given = {"layout": args.layout, "kind": args.kind}
    options = {name: value for name, value in given.items() if value is not None}
    paths = find_tracks(Workspace(args.workspace), args.tracks, args.clips)
    count = export_all(args.format, paths, args.out, args.skeleton, **options)
    print(f"{count} clips written to {args.out}")
    return 0
