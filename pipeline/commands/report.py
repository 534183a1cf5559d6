"""`gepc-pipeline report`: scored videos as a page to look through in a browser."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.commands.options import add_device, add_jobs, add_set, add_workspace, check_jobs

if TYPE_CHECKING:
    from pipeline.extraction.clip import ClipOutcome
    from pipeline.review.write import ReportClip
    from pipeline.scoring import Scorer
    from pipeline.workspace import ClipEntry, Workspace
    from pose_extract.errors import GepcError
    from pose_extract.video import VideoSource

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
    parser.add_argument(
        "--model", type=Path, metavar="DIR", help="the model (default: that of the workspace)"
    )
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
    from pipeline.progress import format_duration
    from pipeline.review.write import check_folder, write_report
    from pipeline.scoring import load_scorer
    from pipeline.workspace import Workspace
    from pose_extract.errors import raise_any
    from pose_extract.files import check_outputs

    jobs = check_jobs(args.jobs)
    check_folder(args.out)
    workspace = Workspace(args.workspace, not args.no_wait)
    read = [("model that is read", args.model or workspace.model), ("workspace's tracks", workspace.tracks)]
    check_outputs([("report", args.out)], read)
    scorer = load_scorer(args.model or workspace.model, args.set, args.device)
    failed: list[tuple[str, GepcError]] = []
    report = write_report(
        args.out,
        _clips(args.sources, workspace, scorer, failed, args.quiet, jobs),
        scorer,
        title=args.title,
        videos=args.videos,
        failed=failed,
        quiet=args.quiet,
    )
    for title, data, video in report.clips[:10]:
        length = format_duration(data.duration_s)
        print(f"{title}: {length}, {data.people} people, highest score {data.score:.3f}; video {video.how}")
    if len(report.clips) > 10:
        print(f"and {len(report.clips) - 10} more")
    for name, error in failed:
        print(f"not used: {name}: {error}")
    print(f"page: {report.page} ({report.bytes / 1e6:.1f} MB without videos); open it in a browser")
    raise_any([error for _, error in failed], len(failed) + len(report.clips), "videos")
    return 0


def _clips(
    names: list[str],
    workspace: Workspace,
    scorer: Scorer,
    failed: list[tuple[str, GepcError]],
    quiet: bool,
    jobs: int | None,
) -> Iterator[ReportClip]:
    """The clips that the arguments name, extracted unless they were."""
    from pipeline.extraction.run import extract_all, find_all_sources
    from pipeline.review.write import ReportClip

    for name in names:
        if Path(name).suffix == ".npz" and Path(name).is_file():
            yield ReportClip(scorer.load(Path(name)))
    videos = [name for name in names if not (Path(name).suffix == ".npz" and Path(name).is_file())]
    sources = find_all_sources(videos)
    there: list[tuple[VideoSource, ClipEntry]] = []

    def ended(source: VideoSource, outcome: ClipOutcome) -> None:
        if outcome.entry is not None:
            there.append((source, outcome.entry))

    if sources:
        done = extract_all(
            sources, workspace, scorer.settings, train=False, quiet=quiet, jobs=jobs, ended=ended
        )
        failed += done.failed
    for source, entry in there:
        yield ReportClip(scorer.load(workspace.tracks_path(entry.clip), str(source.path), quiet), source)
    if len(failed) == len(names) == len(sources) == 1:
        raise failed[0][1]
