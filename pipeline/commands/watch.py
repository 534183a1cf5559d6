"""`gepc-pipeline watch`: cameras to alarms, for as long as it runs."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.commands.exit_codes import DEFECT
from pipeline.commands.options import add_device, add_model, add_set, add_workspace

if TYPE_CHECKING:
    from pipeline.live.settings import WatchSettings

HELP = "watch cameras and say when somebody behaves unusually"
EXAMPLE = """\
example:
  gepc-pipeline watch rtsp://user:password@192.168.1.20/stream1
  gepc-pipeline watch --camera door=rtsp://192.168.1.20/stream1 --camera yard=http://192.168.1.21/video.mjpg
  gepc-pipeline watch watch.yaml --check
  gepc-pipeline watch watch.yaml --out /var/lib/gepc
  gepc-pipeline watch recording.mp4 --realtime

Each event is a line of JSON on standard output when it begins, changes and ends; watch.yaml sends them elsewhere. Of a
camera the newest frame counts and older ones are dropped, so that alarms never come late; of a file every frame is
judged (--realtime plays it as a camera would). Ends with SIGTERM or Ctrl-C. docs/live.md has it all."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument(
        "source",
        nargs="?",
        metavar="SOURCE|YAML",
        help="rtsp://, http(s):// (MJPEG, HLS), a device (0, /dev/video0), a video or a folder; or watch.yaml",
    )
    parser.add_argument(
        "--camera",
        action="append",
        default=[],
        metavar="NAME=SOURCE",
        help="a camera with a name of its own; may be repeated",
    )
    parser.add_argument(
        "--out",
        type=Path,
        default=Path("gepc-watch"),
        metavar="DIR",
        help="folder of what is kept: open events, queues of sinks, scenes (default: ./gepc-watch)",
    )
    add_model(parser)
    parser.add_argument(
        "--realtime", action="store_true", help="play files at their own speed, as a camera would"
    )
    parser.add_argument("--check", action="store_true", help="only check the settings, sources and models")
    parser.add_argument("--schema", action="store_true", help="print the JSON Schema of events, and end")
    add_workspace(parser)
    add_set(parser)
    add_device(parser, "auto", "where networks run")


def run(args: argparse.Namespace) -> int:
    """Watch; VideoError in the end if a recording could not be used, exit code 70 if frames could not be judged."""
    from functools import partial

    if args.schema:
        import json

        from pipeline.live.events.schema import event_schema

        print(json.dumps(event_schema(), indent=2))
        return 0

    from pipeline.live.service import Service, check, heeded_early
    from pipeline.processes import locked
    from pipeline.workspace import Workspace
    from pose_extract.errors import raise_any

    read = partial(_settings, args)
    model = args.model or Workspace(args.workspace).model
    if args.check:
        for line in check(read(), model):
            print(line)
        return 0
    with locked(args.out / ".lock", f"another gepc-pipeline watches into {args.out}", wait=False):
        early = heeded_early()
        service = Service(read, model, args.out, args.device)
        if early.is_set():
            service.reload()
        told_to_end = service.run()
    if told_to_end:
        # All is closed. Python would go on to take torch apart, which takes it seconds that a service is not given.
        # Standard output holds nothing: events are written to it line by line, and whoever read it may have stopped.
        sys.stderr.flush()
        os._exit(0)
    cameras = service.watcher.cameras
    if any(camera.failed for camera in cameras):
        return DEFECT
    failed = [error for camera in cameras for error in camera.capture.failed]
    raise_any(failed, sum(camera.capture.recordings for camera in cameras), "recordings")
    return 0


def _settings(args: argparse.Namespace) -> WatchSettings:
    """What the file and the options say."""
    from dataclasses import replace

    from pipeline.live.settings import CameraSettings, camera_name, load_watch
    from pose_extract.errors import UsageError

    is_config = args.source is not None and args.source.endswith((".yaml", ".yml"))
    settings = load_watch(Path(args.source) if is_config else None, args.camera, args.realtime)
    if args.source is not None and not is_config:
        if settings.cameras:
            raise UsageError("give one source, or cameras with names (--camera NAME=SOURCE), not both")
        name = camera_name(args.source)
        settings = replace(settings, cameras={name: CameraSettings(args.source, realtime=args.realtime)})
    if not settings.cameras:
        raise UsageError("expected a source, --camera NAME=SOURCE, or a watch.yaml with cameras")
    settings.check_names()
    return replace(settings, set=(*settings.set, *args.set))
