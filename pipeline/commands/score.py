"""`gepc-pipeline score`: videos or cached tracks to frame scores."""

from __future__ import annotations

import argparse
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.commands.options import add_device, add_set, add_workspace

if TYPE_CHECKING:
    from pipeline.outputs import Outputs
    from pipeline.scoring import Scorer
    from pipeline.workspace import Workspace
    from pose_extract.errors import GepcError
    from pose_extract.tracks.records import ClipTracks
    from pose_extract.video import VideoSource

ALARMS_FOUND = 13
"""Exit code with ``--exit-code``; a video that could not be used comes first."""

HELP = "say how unusual each frame of a video is"
EXAMPLE = """\
example:
  gepc-pipeline score video.mp4 --out scores.csv
  gepc-pipeline score video.mp4 --out scores.csv --people people.csv --plot plot.png --overlay overlay.mp4
  gepc-pipeline score video.mp4 --out scores.csv --explain windows.csv --score-by both
  gepc-pipeline score video.mp4 --out scores.csv --events events.json events.vtt --thumbnails events/
  gepc-pipeline score video.mp4 --out scores.csv --plot plot.svg --labels video.mask.npy
  gepc-pipeline score recordings/ --out scores/ --events events/
  gepc-pipeline score --tracks gepc-workspace/tracks/video.npz --out scores.csv
  gepc-pipeline score video.mp4 --tracks gepc-workspace/tracks/video.npz --out scores.csv --overlay overlay.mp4

The CSV has a row for every frame: frame,time_s,score,percentile,alarm,people,track_id.
An event is a stretch of alarms, short gaps included (--set events.merge_gap_s=1, events.min_s=0.2).
A second score of the same video reuses its tracks."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument(
        "source", nargs="?", help="a video, a folder of videos, a folder of numbered images, or a glob"
    )
    parser.add_argument(
        "--out",
        type=Path,
        required=True,
        metavar="CSV|DIR",
        help="scores of the video, - for standard output; a folder for several",
    )
    parser.add_argument(
        "--tracks", type=Path, metavar="NPZ", help="score cached or imported tracks instead of a video"
    )
    parser.add_argument(
        "--people", type=Path, metavar="CSV|DIR", help="also a row for every person and frame"
    )
    parser.add_argument(
        "--explain",
        type=Path,
        metavar="CSV|DIR",
        help="also a row for every window of a person: its action words, mixture component and worst joints",
    )
    parser.add_argument("--plot", type=Path, metavar="PNG|DIR", help="also a picture of the score over time")
    parser.add_argument(
        "--labels",
        type=Path,
        metavar="NPY|CSV|DIR",
        help="draw into the plot what is known to be abnormal: a mask of frames, a folder or .npz of masks named like "
        "the clips, or a CSV of intervals (see gepc-pipeline labels)",
    )
    parser.add_argument(
        "--abnormal",
        type=int,
        choices=(0, 1),
        default=1,
        help="which value of --labels' masks stands for an abnormal frame (default: 1)",
    )
    parser.add_argument("--overlay", type=Path, metavar="MP4|DIR", help="also a video with people and scores")
    parser.add_argument(
        "--events",
        type=Path,
        nargs="+",
        default=[],
        metavar="FILE|DIR",
        help="also the events: .json, .csv or .vtt (a caption track for any player); all three into a folder for "
        "several videos",
    )
    parser.add_argument(
        "--thumbnails",
        type=Path,
        metavar="DIR",
        help="also a JPEG of each event's peak, with the people's boxes",
    )
    parser.add_argument(
        "--event-clips",
        type=Path,
        metavar="DIR",
        help="also a short video of each event, with a margin around it",
    )
    parser.add_argument(
        "--score-by",
        choices=("clustering", "reconstruction", "both", "sum"),
        help="what a score is: short for --set scoring.by=... (default: what the model was trained with)",
    )
    parser.add_argument(
        "--model", type=Path, metavar="DIR", help="the model (default: that of the workspace)"
    )
    parser.add_argument(
        "--exit-code",
        action="store_true",
        help="end with exit code 13 if there is an alarm in any of the videos",
    )
    add_workspace(parser)
    add_set(parser)
    add_device(
        parser,
        "auto",
        "where the model runs, and openmmlab's networks (movenet and blazepose always run on the CPU)",
    )


def run(args: argparse.Namespace) -> int:
    """Score; exit code 4 if some videos could not be used, `ALARMS_FOUND` where that is asked for."""
    from pipeline.outputs import Outputs
    from pipeline.scoring import load_scorer
    from pipeline.workspace import Workspace
    from pose_extract.errors import UsageError

    both = args.source is not None and args.tracks is not None
    of_pictures = {
        "--overlay": args.overlay,
        "--plot": args.plot,
        "--thumbnails": args.thumbnails,
        "--event-clips": args.event_clips,
    }
    pictures = [name for name, value in of_pictures.items() if value is not None]
    if (args.source is None and args.tracks is None) or (both and not pictures):
        raise UsageError(
            "expected either a video (or folder, or glob) or --tracks FILE.npz; both only for "
            f"{', '.join(of_pictures)}"
        )
    pictures = [
        name for name in pictures if name != "--plot"
    ]  # which only has thumbnails if the video is there
    if args.source is None and pictures:
        raise UsageError(
            f"{pictures[0]} needs the video itself: "
            f"gepc-pipeline score VIDEO --tracks FILE.npz --out ... {pictures[0]} ..."
        )
    if args.labels is not None and args.plot is None:
        raise UsageError("--labels are drawn into the plot: add --plot PNG")
    workspace = Workspace(args.workspace, not args.no_wait)
    outputs = Outputs(
        args.out,
        args.people,
        args.plot,
        args.overlay,
        args.explain,
        tuple(args.events),
        args.thumbnails,
        args.event_clips,
    )
    overrides = [*args.set, *([f"scoring.by={args.score_by}"] if args.score_by else [])]
    model = args.model or workspace.model
    inputs = _inputs(args, workspace, model)
    if args.tracks is not None or Path(args.source).is_file():
        outputs.check(inputs)  # before anything is worked out; of several videos each one's names
    scorer = load_scorer(model, overrides, args.device)
    if args.tracks is not None:
        source = _one_source(args.source) if both else None
        video = None if source is None else str(source.path)
        alarms = _report(args, scorer, scorer.load(args.tracks, video, args.quiet), outputs, source)
        return ALARMS_FOUND if alarms and args.exit_code else 0
    return _score_videos(args, scorer, workspace, outputs, inputs)


def _inputs(args: argparse.Namespace, workspace: Workspace, model: Path) -> list[tuple[str, Path | None]]:
    """What the command reads beside its videos, and what the workspace keeps."""
    video = None if args.source is None or Path(args.source).is_dir() else Path(args.source)
    return [
        ("video", video),
        ("file of tracks", args.tracks),
        ("model", model),
        (
            "file of labels" if args.labels is None or args.labels.is_file() else "folder of labels",
            args.labels,
        ),
        ("workspace's list of clips", workspace.tracks / "manifest.json"),
        ("workspace's marks", workspace.marks),
        ("workspace's patch encoder", workspace.patch_encoder),
        *(("clip's tracks", workspace.tracks_path(entry.clip)) for entry in workspace.entries()),
    ]


def _one_source(name: str) -> VideoSource:
    from pose_extract.errors import UsageError
    from pose_extract.video import find_sources

    sources = find_sources(name)
    if len(sources) > 1:
        raise UsageError(f"--tracks are those of one video, but {name} holds {len(sources)}")
    return sources[0]


def _score_videos(
    args: argparse.Namespace,
    scorer: Scorer,
    workspace: Workspace,
    outputs: Outputs,
    inputs: list[tuple[str, Path | None]],
) -> int:
    from pipeline.extraction import extract_all, find_all_sources
    from pose_extract.errors import raise_any

    sources = find_all_sources([args.source])
    several = len(sources) > 1 or (Path(args.source).is_dir() and sources[0].kind == "video")
    failed: list[tuple[str, GepcError]] = []
    alarms = False
    for source in sources:
        files = outputs.in_folder_for(source.name) if several else outputs
        files.check([("video", source.path), *inputs])
        report = extract_all([source], workspace, scorer.settings, train=False, quiet=args.quiet)
        failed += report.failed
        for entry in (*report.made, *report.reused):
            tracks = scorer.load(workspace.tracks_path(entry.clip), str(source.path), args.quiet)
            alarms |= _report(args, scorer, tracks, files, source, several)
    for name, error in failed if several else ():
        print(f"not used: {name}: {error}")
    raise_any([error for _, error in failed], len(sources), "videos")
    return ALARMS_FOUND if alarms and args.exit_code else 0


def _labelled(
    args: argparse.Namespace, tracks: ClipTracks, source: VideoSource | None, several: bool
) -> list[tuple[float, float, str]]:
    """What ``--labels`` say of a clip; of several clips, some may have none."""
    from pipeline.labels.masks import read_stretches
    from pose_extract.errors import UsageError

    names = [tracks.clip] if source is None else [tracks.clip, source.name]
    found = read_stretches(args.labels, names, tracks.time_s, args.abnormal)
    if found is None and not several:
        raise UsageError(f"{args.labels}: there are no labels of {names[-1]}")
    return [(start, end, "") for start, end in found or []]


def _report(
    args: argparse.Namespace,
    scorer: Scorer,
    tracks: ClipTracks,
    outputs: Outputs,
    source: VideoSource | None,
    several: bool = False,
) -> bool:
    """Write and print what is asked for of one clip; whether it has an alarm."""
    import logging

    import numpy as np

    from pipeline.outputs import events_text, write_outputs
    from pose_extract.files import is_standard_output

    labelled = _labelled(args, tracks, source, several) if args.labels is not None else []
    timeline = write_outputs(scorer, tracks, outputs, source, labelled, args.quiet)
    # What is printed must not stand among the rows of a file that goes to standard output.
    to_output = any(is_standard_output(path) for _, path in outputs.files())
    say = partial(print, file=sys.stderr) if to_output else print
    for remark in timeline.remarks:
        logging.getLogger(__name__).warning("%s: %s", tracks.clip, remark)
    share = timeline.alarm.mean() if len(timeline.alarm) else 0.0
    judged = not len(tracks) or bool(timeline.judged[np.unique(tracks.frame)].any())
    alarms = (
        f"alarm in {share:.1%} of the frames"
        if judged
        else "nobody could be judged, so no alarm says anything"
    )
    say(f"{tracks.clip}: {tracks.frame_count} frames, {tracks.num_tracks} people; {alarms}")
    for line in events_text(timeline.events):
        say(line)
    for name, path in outputs.files():
        say(f"  {name}: {path}")
    for name, folder in (("thumbnails", outputs.thumbnails), ("event clips", outputs.event_clips)):
        if folder is not None and timeline.events:
            say(f"  {name}: {folder}")
    return bool(share)
