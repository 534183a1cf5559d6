"""`gepc-pipeline extract`: videos to cached tracks."""

from __future__ import annotations

import argparse
from functools import partial
from typing import TYPE_CHECKING

from pipeline.commands.options import (
    add_config,
    add_device,
    add_jobs,
    add_pose,
    add_workspace,
    config_option,
    counted,
    failures,
    jobs_from,
    pose_overrides,
    say_next,
)
from pipeline.defaults import workspace_option

if TYPE_CHECKING:
    from pipeline.settings import Settings
    from pipeline.workspace import ClipEntry, Workspace
    from pose_extract.video import VideoSource

HELP = "find the people in videos of normal behaviour and cache their poses and tracks"
EXAMPLE = """\
example:
  gepc-pipeline extract videos/
  gepc-pipeline extract 'recordings/*.mp4' --max-side 960 --json
  gepc-pipeline extract videos/ --pose openmmlab:rtmpose-m --device cuda
  gepc-pipeline extract --live rtsp://192.168.1.20/stream1 --name door --minutes 60

Interrupted or run again, it goes on with the first video that is not done. --live records the tracks of normal hours
before a camera, in clips of ten minutes, and keeps no picture."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument(
        "source",
        nargs="*",
        help="a video, a folder of videos, a folder of numbered images, a glob, or an address (s3://BUCKET/FOLDER/)",
    )
    parser.add_argument(
        "--live", metavar="SOURCE", help="a camera instead: rtsp://, http(s)://, or a device (0, /dev/video0)"
    )
    parser.add_argument("--minutes", type=float, default=60.0, help="how long to record it (default: 60)")
    parser.add_argument("--name", default="camera", help="what its clips are called (default: camera)")
    add_workspace(parser)
    add_config(parser)
    add_pose(parser)
    add_device(parser, None, "where openmmlab's networks run (movenet and blazepose always run on the CPU)")
    parser.add_argument(
        "--fps",
        type=float,
        help="decode at this frame rate (default: every frame); of numbered images, and of raw streams that state no "
        "rate, the rate at which they were taken",
    )
    parser.add_argument(
        "--max-side", type=int, help="shrink frames whose longer side has more pixels than this"
    )
    parser.add_argument(
        "--pieces",
        type=float,
        metavar="MINUTES",
        help="cut longer videos into pieces of about so many minutes, which are extracted side by side and joined "
        "(default: videos are not cut; docs/scale.md says what differs)",
    )
    add_jobs(parser, "videos", apart=True)
    parser.add_argument(
        "--write-json", action="store_true", help="also write each clip's tracks as JSON (without features)"
    )


def run(args: argparse.Namespace) -> int:
    """Extract; exit code 4 if some videos could not be used."""
    from pipeline.extraction.run import extract_all, find_all_sources
    from pipeline.progress import format_duration
    from pipeline.settings import load_settings
    from pipeline.workspace import Workspace
    from pose_extract.devices import check_device
    from pose_extract.errors import UsageError, raise_any

    overrides = [*args.set, *pose_overrides(args.pose)]
    for option, key in (
        (None if args.device is None else check_device(args.device), "openmmlab.device"),
        (args.fps, "video.fps"),
        (args.max_side, "video.max_side"),
        (args.pieces, "video.pieces_min"),
    ):
        if option is not None:
            overrides.append(f"{key}={option}")
    settings = load_settings(args.config, overrides)
    if args.live is not None:
        return _live(args, settings)
    if not args.source:
        raise UsageError("expected a video, a folder or a glob, or --live SOURCE")
    sources = find_all_sources(args.source, elsewhere=True)
    workspace = Workspace(args.workspace, not args.no_wait)
    report = extract_all(
        sources,
        workspace,
        settings,
        quiet=args.quiet,
        jobs=jobs_from(args),
        then=partial(_write_json, workspace) if args.write_json else None,
    )
    done = (*report.made, *report.reused)
    errors = [error for _, error in report.failed]
    if not done:
        raise_any(errors, len(sources), "videos")
    args.result.update(
        made=[entry.clip for entry in report.made],
        reused=[entry.clip for entry in report.reused],
        failed=failures(report.failed),
        tracks=workspace.tracks,
        seconds=report.seconds,
    )
    print(
        f"{len(done)} of {len(sources)} videos done ({len(report.reused)} were done before): "
        f"{sum(e.frames for e in done)} frames, {counted(sum(e.tracks for e in done), 'track')}, "
        f"{format_duration(sum(e.seconds for e in done))} of video in {format_duration(report.seconds)}"
    )
    print(f"tracks are in {workspace.tracks}")
    for entry in done:
        if entry.rows == 0:
            print(f"nobody was found in {entry.clip}")
    for name, error in report.failed:
        print(f"not used: {name}: {error}")
    if report.made or report.reused:
        say_next(args, f"train{config_option(args)}{workspace_option(args.workspace)}")
    raise_any(errors, len(sources), "videos")
    return 0


def _write_json(workspace: Workspace, source: VideoSource, entry: ClipEntry) -> None:
    from pose_extract.formats import gepc
    from pose_extract.tracks.cache import load_tracks

    path = workspace.tracks_path(entry.clip)
    gepc.write([load_tracks(path, features=False)], path.with_suffix(".json"))


def _live(args: argparse.Namespace, settings: Settings) -> int:
    """Record a camera's tracks."""
    from pipeline.live.recording_tracks import LiveExtraction
    from pipeline.live.settings import is_camera_name
    from pipeline.progress import format_duration
    from pipeline.workspace import Workspace
    from pose_extract.errors import UsageError
    from pose_extract.video.streams import live_source

    if args.source or args.write_json or args.fps is not None or args.pieces is not None:
        raise UsageError(
            "--live records one camera; it goes without videos, --write-json, --fps and --pieces"
        )
    source = live_source(args.live)
    if source is None:
        raise UsageError(f"--live {args.live}: expected rtsp://, http(s):// or a device (0, /dev/video0)")
    if not is_camera_name(args.name):
        raise UsageError(f"--name: expected letters, digits, dots, dashes and underscores, got {args.name!r}")
    if not 0 < args.minutes <= 60 * 24 * 366:
        raise UsageError(f"--minutes: expected a number above 0, got {args.minutes:g}")
    workspace = Workspace(args.workspace, not args.no_wait)
    extraction = LiveExtraction(source, args.name, workspace, settings)
    done = extraction.run(60 * args.minutes, args.quiet)
    frames = sum(entry.frames for entry in done)
    args.result.update(made=[entry.clip for entry in done], frames=frames, dropped=extraction.dropped)
    print(
        f"{counted(len(done), 'clip')}, {format_duration(sum(e.seconds for e in done))} in all: {frames} frames, "
        f"{counted(sum(e.tracks for e in done), 'track')}; {extraction.dropped} frames were dropped for newer ones"
    )
    print(f"tracks are in {workspace.tracks}")
    say_next(args, f"train{config_option(args)}{workspace_option(args.workspace)}")
    return 0
