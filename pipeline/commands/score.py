"""`gepc-pipeline score`: videos or cached tracks to frame scores."""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.builtin import builtin_name
from pipeline.commands.exit_codes import ALARMS_FOUND
from pipeline.commands.options import (
    add_device,
    add_jobs,
    add_model,
    add_set,
    add_workspace,
    failures,
    jobs_from,
    say_next,
)
from pipeline.defaults import workspace_option

if TYPE_CHECKING:
    from pipeline.commands.scored import Scored, Scoring
    from pipeline.extraction.clip import ClipOutcome
    from pipeline.workspace import Workspace
    from pose_extract.errors import GepcError
    from pose_extract.video import VideoSource

HELP = "say how unusual each frame of a video is"
EXAMPLE = """\
example:
  gepc-pipeline score video.mp4 --out scores.csv
  gepc-pipeline score video.mp4 --out scores.csv --people people.csv --plot plot.png --overlay overlay.mp4
  gepc-pipeline score video.mp4 --out scores.csv --explain windows.csv --score-by both
  gepc-pipeline score video.mp4 --out scores.csv --events events.json events.vtt --thumbnails events/
  gepc-pipeline score video.mp4 --out scores.csv --plot plot.svg --labels video.mask.npy
  gepc-pipeline score recordings/ --out scores/ --events events/ --report review/
  gepc-pipeline score --tracks gepc-workspace/tracks/video.npz --out scores.csv
  gepc-pipeline score video.mp4 --tracks gepc-workspace/tracks/video.npz --out scores.csv --overlay overlay.mp4

The CSV has a row for every frame: frame,time_s,score,percentile,alarm,people,track_id,judged,thing_id.
An event is a stretch of alarms, short gaps included (--set events.merge_gap_s=1, events.min_s=0.2).
A second score of the same video reuses its tracks."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument(
        "source",
        nargs="*",
        help="a video, a folder of videos, a folder of numbered images, or a glob; or several of them",
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
        "--report",
        type=Path,
        metavar="DIR",
        help="also the review page of all videos, as gepc-pipeline report makes it",
    )
    parser.add_argument(
        "--score-by",
        choices=("clustering", "reconstruction", "both", "sum"),
        help="what a score is: short for --set scoring.by=... (default: what the model was trained with)",
    )
    add_model(parser)
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
    from pipeline.commands.scored import Scoring
    from pipeline.extraction.run import find_all_sources
    from pipeline.outputs import Outputs
    from pipeline.review.files import NewPage
    from pipeline.scoring import NamedModel
    from pipeline.workspace import Workspace
    from pose_extract.errors import UsageError
    from pose_extract.places import check_outputs, is_standard_output

    both = bool(args.source) and args.tracks is not None
    of_pictures = {
        "--overlay": args.overlay,
        "--plot": args.plot,
        "--thumbnails": args.thumbnails,
        "--event-clips": args.event_clips,
    }
    pictures = [name for name, value in of_pictures.items() if value is not None]
    if (not args.source and args.tracks is None) or (both and not pictures):
        raise UsageError(
            "expected either a video (or folder, or glob) or --tracks FILE.npz; both only for "
            f"{', '.join(of_pictures)}"
        )
    pictures = [name for name in pictures if name != "--plot"]  # which can do without thumbnails
    if not args.source and pictures:
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
    model = NamedModel(args.model or workspace.model, tuple(overrides), args.device)
    inputs = _inputs(args, workspace, model.folder)
    if args.tracks is not None or (len(args.source) == 1 and Path(args.source[0]).is_file()):
        outputs.check(inputs)  # before anything is worked out; of several videos each one's names
    if args.report is not None:
        check_outputs([("report", args.report)], inputs)
    if args.tracks is None and args.ray is not None:
        for name, path in outputs.files():
            if is_standard_output(path):
                raise UsageError(f"{name} to standard output: with --ray it would be a worker's; name a file")
    scoring = Scoring(args, model, outputs, inputs)
    sources = find_all_sources(args.source, elsewhere=True) if args.tracks is None else []
    scorer = scoring.scorer
    with nullcontext() if args.report is None else NewPage.begun(args.report) as scoring.page:
        if args.tracks is None:
            return _score_videos(args, scoring, workspace, sources)
        source = _one_source(args.source) if both else None
        tracks = scorer.load(args.tracks, None if source is None else source.place, args.quiet)
        scored = scoring.clip(tracks, outputs, source)
        scored.say()
        args.result["clips"] = [scored.facts]
        _finish_page(scoring, [scored])
    return ALARMS_FOUND if scored.alarms and args.exit_code else 0


def _inputs(args: argparse.Namespace, workspace: Workspace, model: Path) -> list[tuple[str, Path | None]]:
    """What the command reads beside its videos, and what the workspace keeps."""
    videos = [Path(name) for name in args.source if not Path(name).is_dir()]
    return [
        *(("video", video) for video in videos),
        ("file of tracks", args.tracks),
        ("model", model),
        (
            "file of labels" if args.labels is None or args.labels.is_file() else "folder of labels",
            args.labels,
        ),
        *workspace.kept(),
    ]


def _one_source(names: list[str]) -> VideoSource:
    from pipeline.extraction.run import find_all_sources
    from pose_extract.errors import UsageError

    sources = find_all_sources(names)
    if len(sources) > 1:
        raise UsageError(f"--tracks are those of one video, but {' '.join(names)} holds {len(sources)}")
    return sources[0]


def _score_videos(
    args: argparse.Namespace, scoring: Scoring, workspace: Workspace, sources: list[VideoSource]
) -> int:
    from pipeline.events.files import events_csv
    from pipeline.extraction.run import extract_all, is_several
    from pose_extract.errors import UsageError, raise_any
    from pose_extract.files import write_atomically
    from pose_extract.places import is_standard_output

    several = scoring.several = len(args.source) > 1 or is_several(args.source[0], sources)
    outputs = scoring.outputs
    if several and args.out.suffix.lower() == ".csv" and not args.out.is_dir():
        raise UsageError(f"--out {args.out}: of several videos, expected the name of a folder")
    if several:
        outputs.check_clips([source.name for source in sources])
    scored: list[Scored] = []

    def ended(source: VideoSource, outcome: ClipOutcome) -> None:
        if outcome.result is not None:
            outcome.result.say()
            scored.append(outcome.result)

    report = extract_all(
        sources,
        workspace,
        scoring.scorer.settings,
        train=False,
        quiet=args.quiet,
        jobs=jobs_from(args),
        then=scoring,
        ended=ended,
    )
    args.result.update(clips=[each.facts for each in scored], failed=failures(report.failed))
    if several and outputs.events and scored:
        listed = outputs.events[0] / "events.csv"
        write_atomically(listed, events_csv(*(each.events for each in scored)).encode())
        print(f"events of all videos: {listed}")
    _finish_page(scoring, scored, report.failed)
    shown = scoring.page is not None or any(is_standard_output(path) for _, path in outputs.files())
    if scored and not shown:
        names = " ".join(shlex.quote(name) for name in args.source)
        model = "" if args.model is None else f" --model {shlex.quote(builtin_name(args.model))}"
        say_next(args, f"report {names} --out review{workspace_option(args.workspace)}{model}")
    for name, error in report.failed if several else ():
        print(f"not used: {name}: {error}")
    raise_any([error for _, error in report.failed], len(sources), "videos")
    return ALARMS_FOUND if any(each.alarms for each in scored) and args.exit_code else 0


def _finish_page(
    scoring: Scoring, scored: Sequence[Scored], failed: Sequence[tuple[str, GepcError]] = ()
) -> None:
    """Write the review page, if one is wanted and there is something to show."""
    clips = [each.page for each in scored if each.page is not None]
    if scoring.writer is None or not clips:
        return
    report = scoring.writer.finish(clips, failed=failed)
    scoring.args.result["page"] = report.page
    print(report.line)
