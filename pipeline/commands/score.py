"""`gepc-pipeline score`: videos or cached tracks to frame scores."""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.commands.options import add_device, add_jobs, add_set, add_workspace, check_jobs

if TYPE_CHECKING:
    from pipeline.extraction.clip import ClipOutcome
    from pipeline.outputs import Outputs
    from pipeline.scoring import Scorer
    from pipeline.workspace import ClipEntry, Workspace
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
    add_jobs(parser, "videos")
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
    pictures = [name for name in pictures if name != "--plot"]  # which can do without thumbnails
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
    inputs = _inputs(args, workspace, args.model or workspace.model)
    if args.tracks is not None or Path(args.source).is_file():
        outputs.check(inputs)  # before anything is worked out; of several videos each one's names
    scorer = _open(args)
    if args.tracks is not None:
        source = _one_source(args.source) if both else None
        video = None if source is None else str(source.path)
        scored = _report(args, scorer, scorer.load(args.tracks, video, args.quiet), outputs, source)
        scored.say()
        return ALARMS_FOUND if scored.alarms and args.exit_code else 0
    return _score_videos(args, scorer, workspace, outputs, inputs)


@dataclass(frozen=True)
class Scored:
    """What there is to say of a scored clip.

    Attributes:
        lines: for a person.
        alarms: whether there is an alarm in it.
        to_output: whether a file of it goes to standard output.
    """

    lines: list[str]
    alarms: bool
    to_output: bool

    def say(self) -> None:
        """Print the lines."""
        for line in self.lines:
            print(line, file=sys.stderr if self.to_output else sys.stdout)


def _open(args: argparse.Namespace) -> Scorer:
    from pipeline.scoring import load_scorer
    from pipeline.workspace import Workspace

    overrides = [*args.set, *([f"scoring.by={args.score_by}"] if args.score_by else [])]
    return load_scorer(args.model or Workspace(args.workspace).model, overrides, args.device)


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


@dataclass
class Scoring:
    """What is done with each video's tracks, in this process or in another, which opens the model anew.

    Attributes:
        args: the command's.
        outputs: what to write; of several videos, folders.
        inputs: what must not be overwritten, see `_inputs`.
        several: whether there are several videos.
        scorer: the opened model; None: not yet.
    """

    args: argparse.Namespace
    outputs: Outputs
    inputs: list[tuple[str, Path | None]]
    several: bool
    scorer: Scorer | None

    def __call__(self, source: VideoSource, entry: ClipEntry) -> Scored:
        """Score one video."""
        from pipeline.workspace import Workspace

        scorer = self.scorer = self.scorer or _open(self.args)
        outputs = self.outputs.in_folder_for(source.name) if self.several else self.outputs
        outputs.check([("video", source.path), *self.inputs])
        path = Workspace(self.args.workspace).tracks_path(entry.clip)
        tracks = scorer.load(path, str(source.path), self.args.quiet)
        return _report(self.args, scorer, tracks, outputs, source, self.several)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "scorer": None}


def _score_videos(
    args: argparse.Namespace,
    scorer: Scorer,
    workspace: Workspace,
    outputs: Outputs,
    inputs: list[tuple[str, Path | None]],
) -> int:
    from pipeline.extraction.run import extract_all, find_all_sources, is_several
    from pose_extract.errors import raise_any

    sources = find_all_sources([args.source])
    several = is_several(args.source, sources)
    alarms = False

    def ended(source: VideoSource, outcome: ClipOutcome) -> None:
        nonlocal alarms
        if outcome.result is not None:
            outcome.result.say()
            alarms |= outcome.result.alarms

    report = extract_all(
        sources,
        workspace,
        scorer.settings,
        train=False,
        quiet=args.quiet,
        jobs=check_jobs(args.jobs),
        then=Scoring(args, outputs, inputs, several, scorer),
        ended=ended,
    )
    for name, error in report.failed if several else ():
        print(f"not used: {name}: {error}")
    raise_any([error for _, error in report.failed], len(sources), "videos")
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
) -> Scored:
    """Write what is asked for of one clip."""
    import logging

    import numpy as np

    from pipeline.outputs import events_text, write_outputs
    from pose_extract.files import is_standard_output

    labelled = _labelled(args, tracks, source, several) if args.labels is not None else []
    timeline = write_outputs(scorer, tracks, outputs, source, labelled, args.quiet)
    for remark in timeline.remarks:
        logging.getLogger(__name__).warning("%s: %s", tracks.clip, remark)
    share = timeline.alarm.mean() if len(timeline.alarm) else 0.0
    judged = not len(tracks) or bool(timeline.judged[np.unique(tracks.frame)].any())
    alarms = (
        f"alarm in {share:.1%} of the frames"
        if judged
        else "nobody could be judged, so no alarm says anything"
    )
    lines = [f"{tracks.clip}: {tracks.frame_count} frames, {tracks.num_tracks} people; {alarms}"]
    lines += events_text(timeline.events)
    lines += [f"  {name}: {path}" for name, path in outputs.files()]
    for name, folder in (("thumbnails", outputs.thumbnails), ("event clips", outputs.event_clips)):
        if folder is not None and timeline.events:
            lines.append(f"  {name}: {folder}")
    # What is printed must not stand among the rows of a file that goes to standard output.
    to_output = any(is_standard_output(path) for _, path in outputs.files())
    return Scored(lines, bool(share), to_output)
