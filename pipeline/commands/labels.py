"""`gepc-pipeline labels`: frame masks from intervals and data sets' own labels, and a look at them."""

from __future__ import annotations

import argparse
from pathlib import Path

from pipeline.commands.options import add_workspace

HELP = "make frame masks from a list of intervals or a data set's labels, or show what is in them"
EXAMPLE = """\
example:
  gepc-pipeline labels abnormal.csv --out masks/                          a mask for each clip of the workspace
  gepc-pipeline labels abnormal.csv --tracks tracks/ --out masks/         for each clip of a folder of tracks
  gepc-pipeline labels masks/ --abnormal 1                                a table of what is abnormal
  gepc-pipeline labels ground_truth_demo/testing_label_mask --kind avenue --out masks/

abnormal.csv has a line an abnormal stretch, under one of these headers:
  clip,start_s,end_s              seconds, or minutes:seconds
  clip,start_frame,end_frame      frames from 0, the end is the first frame after
  clip,first_frame,last_frame     frames from 0, both are abnormal
A mask is <clip>.npy: a number for each frame of the clip, 1 = abnormal. Clips without a line are normal; of those that
the workspace has to train on, only clips with a line get a mask."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument(
        "path", type=Path, metavar="LABELS", help="a CSV of intervals, or a folder or file of labels"
    )
    parser.add_argument(
        "--kind",
        choices=("masks", "intervals", "ubnormal", "shanghaitech", "avenue", "chad"),
        help="what LABELS is (default: masks if it is a folder, .npy or .npz, otherwise intervals)",
    )
    parser.add_argument(
        "--abnormal",
        type=int,
        choices=(0, 1),
        help="which value is an abnormal frame, in masks; it is never guessed",
    )
    parser.add_argument("--prefix", default="", help="kind avenue: its clips are called PREFIX01 to PREFIX21")
    add_workspace(parser)
    parser.add_argument(
        "--tracks", type=Path, metavar="DIR", help="tracks of the clips, instead of the workspace's"
    )
    parser.add_argument("--out", type=Path, metavar="DIR", help="write <clip>.npy files there")


def run(args: argparse.Namespace) -> int:
    """Read, check against the clips if there are some, show, write."""
    from anomaly.evaluation.intervals import runs_of
    from pipeline.labels.masks import clip_times, match_masks, read_labels, write_masks
    from pipeline.workspace import Workspace
    from pose_extract.errors import UsageError
    from pose_extract.places import check_outputs

    of_masks = args.path.is_dir() or args.path.suffix.lower() in (".npy", ".npz")
    kind = args.kind or ("masks" if of_masks else "intervals")
    workspace = Workspace(args.workspace, not args.no_wait)
    folder = args.tracks or workspace.tracks
    needed = kind in ("intervals", "ubnormal")
    without_lengths = kind == "avenue" and not args.path.is_dir() and folder.is_dir()
    clips = clip_times(folder) if args.tracks or needed or without_lengths else None
    masks = read_labels(kind, args.path, clips, args.abnormal, args.prefix)
    left_out = []
    if needed and not args.tracks:
        # A mask would make `evaluate` count the clip, and the model knows these.
        left_out = [e.clip for e in workspace.training_clips() if e.clip in masks and not masks[e.clip].any()]
        masks = {clip: mask for clip, mask in masks.items() if clip not in left_out}
        if not masks:
            raise UsageError(
                f"every clip in {folder} is there to train on, and {args.path} names none of them; "
                "bring clips to test on in with gepc-pipeline score, or import --scoring"
            )
    if args.tracks:
        masks = match_masks(masks, {clip: len(times) for clip, times in clip_times(args.tracks).items()})
    if args.out is not None:
        read = [("labels that are read", args.path), ("tracks that are read", folder)]
        check_outputs([("masks", args.out)], read)
        write_masks(masks, args.out)

    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column("clip", overflow="fold", min_width=10)
    table.add_column("frames", justify="right", no_wrap=True)
    table.add_column("abnormal", justify="right", no_wrap=True)
    table.add_column("intervals, first-last frame", overflow="fold")
    for clip, mask in sorted(masks.items()):
        stretches = ", ".join(f"{a}-{b - 1}" for a, b in runs_of(mask))
        table.add_row(*map(Text, (clip, f"{len(mask)}", f"{mask.sum()}", stretches or "none")))
    Console().print(table)
    frames, abnormal = sum(map(len, masks.values())), sum(int(m.sum()) for m in masks.values())
    args.result.update(
        masks=args.out,
        clips={clip: {"frames": len(mask), "abnormal": int(mask.sum())} for clip, mask in masks.items()},
        left_out=left_out,
    )
    share = f" ({abnormal / frames:.1%})" if frames else ""
    print(f"{len(masks)} clips, {frames} frames, {abnormal} of them abnormal{share}")
    if left_out:
        print(f"left out: {len(left_out)} training clips without an abnormal frame")
    if args.out is not None:
        print(f"masks are in {args.out}, 1 = abnormal")
    return 0
