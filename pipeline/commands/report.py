"""`gepc-pipeline report`: scored videos as a page to look through in a browser."""

from __future__ import annotations

import argparse
from pathlib import Path

from pipeline.commands.options import (
    add_device,
    add_jobs,
    add_model,
    add_set,
    add_workspace,
    counted,
    failures,
    jobs_from,
)

HELP = "make a page for the browser: videos, their events and why they are unusual"
EXAMPLE = """\
example:
  gepc-pipeline report video.mp4 --out review
  gepc-pipeline report recordings/ --out review --videos copy
  gepc-pipeline report gepc-workspace/tracks/imported.npz --out review

Open review/index.html; it needs no network and no server. Tracks that are there already are used again.
A video that browsers play (H.264 in mp4, WebM) stays where it is, or is copied beside the page with --videos copy, so
that the folder can be handed on; others are transcoded into the folder."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument(
        "sources",
        nargs="+",
        metavar="SOURCE",
        help="a video, a folder of videos, a folder of numbered images, a glob, or a tracks file (.npz)",
    )
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder of the page")
    parser.add_argument("--title", default="", help="heading of the page")
    parser.add_argument(
        "--videos",
        choices=("link", "copy", "none"),
        default="link",
        help="link playable videos (default), copy them beside the page, or none: skeletons alone",
    )
    add_model(parser)
    add_jobs(parser, "videos")
    add_workspace(parser)
    add_set(parser)
    add_device(
        parser,
        "auto",
        "where the model runs, and openmmlab's networks (movenet and blazepose always run on the CPU)",
    )


def run(args: argparse.Namespace) -> int:
    """Score and write the page; exit code 4 if some videos could not be used."""
    import logging

    from pipeline.api.pages import make_page
    from pipeline.progress import format_duration
    from pipeline.scoring import NamedModel
    from pipeline.workspace import Workspace
    from pose_extract.errors import raise_any

    workspace = Workspace(args.workspace, not args.no_wait)
    report = make_page(
        args.sources,
        args.out,
        workspace,
        NamedModel(args.model or workspace.model, tuple(args.set), args.device),
        title=args.title,
        videos=args.videos,
        jobs=jobs_from(args),
        quiet=args.quiet,
    )
    for title, data, _ in report.clips:
        for remark in data.remarks:
            logging.getLogger(__name__).warning("%s: %s", title, remark)
    args.result.update(
        page=report.page,
        clips=[{"clip": title, "highest_score": data.score} for title, data, _ in report.clips],
        failed=failures(report.failed),
    )
    for title, data, video in report.clips[:10]:
        length = format_duration(data.duration_s)
        people = counted(data.people, "person", "people")
        print(f"{title}: {length}, {people}, highest score {data.score:.3f}; video {video.how}")
        for text in data.left_out:
            print(f"  {text}")
    if len(report.clips) > 10:
        print(f"and {len(report.clips) - 10} more")
    for name, error in report.failed:
        print(f"not used: {name}: {error}")
    print(report.line)
    raise_any([error for _, error in report.failed], len(report.failed) + len(report.clips), "videos")
    return 0
