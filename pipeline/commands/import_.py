"""`gepc-pipeline import`: poses of other tools and data sets to cached tracks."""

from __future__ import annotations

import argparse
import re
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.commands.options import add_config, add_jobs, add_workspace, config_option, counted
from pipeline.defaults import workspace_option

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pipeline.io.import_poses import ImportReport
    from pipeline.settings import Settings
    from pipeline.workspace import ClipEntry, Workspace
    from pose_extract.errors import FormatError
    from pose_extract.formats.options import ImportOptions
    from pose_extract.tracks.records import ClipTracks

_MOST_SHOWN = 20

HELP = "take the poses of other tools and data sets into the workspace"
EXAMPLE = """\
example:
  gepc-pipeline import alphapose shanghaitech/train/ --fps 24 --frame-size 856x480
  gepc-pipeline import ntu nturgb+d_skeletons/ --workspace ntu
  gepc-pipeline import gepc from-elsewhere/*.json --scoring
  gepc-pipeline import dataset ShanghaiTech/ --config shanghaitech

formats:
  alphapose          results, and tracked persons (person -> frame -> keypoints), of 17, 18, 26 or 136 joints
  openpose           folders of a JSON file a frame, BODY_25 or COCO-18
  kinetics-skeleton  ST-GCN's JSON, 18 joints
  ntu                NTU RGB+D's .skeleton files, 25 joints in 3-D
  mped-rnn           folders of a CSV a person
  coco               keypoint results, MMPose's predictions, annotated pictures
  posetrack          PoseTrack18's JSON
  chad               CHAD's pickle files, with --trust-pickle only
  gepc               our own tracks, NPZ or JSON (of `gepc-pipeline export`)
  dataset            a folder with the data set that --config names: its training and test clips

What is damaged is reported and left out. Run again, it takes only what is not there yet."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("format", metavar="FORMAT", help="what the files are, see below")
    parser.add_argument("path", nargs="+", type=Path, metavar="PATH", help="a file, or a folder of them")
    add_workspace(parser)
    parser.add_argument(
        "--scoring", action="store_true", help="clips to be scored: `train` does not learn from them"
    )
    parser.add_argument("--fps", type=float, help="frames a second, if the format does not tell")
    parser.add_argument(
        "--frame-size", metavar="WxH", help="frame's width and height in pixels, if the format does not tell"
    )
    parser.add_argument(
        "--first-frame", type=int, metavar="N", help="the number that the files give to a clip's first frame"
    )
    parser.add_argument(
        "--frame-counts",
        type=Path,
        metavar="CSV",
        help="each clip's number of frames (columns clip, frames); otherwise a clip ends with its last person",
    )
    parser.add_argument(
        "--confidence-scale",
        type=float,
        default=1.0,
        metavar="X",
        help="the largest confidence that the files' estimator gives (default: 1)",
    )
    parser.add_argument(
        "--normalised", action="store_true", help="coordinates are shares of the frame's width and height"
    )
    parser.add_argument(
        "--trust-pickle",
        action="store_true",
        help="read pickle files (chad); only numbers, text and arrays are taken from them",
    )
    add_jobs(parser, "files", cluster=False)
    add_config(parser)


def run(args: argparse.Namespace) -> int:
    """Import; exit code 11 if something could not be used."""
    from dataclasses import replace

    from pipeline.io.import_checks import parse_size, read_frame_counts
    from pipeline.progress import format_duration
    from pipeline.settings import load_settings
    from pipeline.workspace import Workspace
    from pose_extract.errors import UsageError, raise_any
    from pose_extract.formats.base import FORMATS, check_format
    from pose_extract.formats.options import ImportOptions
    from pose_extract.formats.report import ReadReport
    from pose_extract.tracks.cache import load_tracks

    check_format(args.format, [*FORMATS, "dataset"])
    settings = load_settings(args.config, args.set)
    options = ImportOptions(
        fps=args.fps,
        frame_size=None if args.frame_size is None else parse_size(args.frame_size),
        first_frame=args.first_frame,
        frame_counts={} if args.frame_counts is None else read_frame_counts(args.frame_counts),
        confidence_scale=args.confidence_scale,
        normalised=args.normalised,
        tracking=settings.tracking,
        trust_pickle=args.trust_pickle,
    )
    workspace = Workspace(args.workspace, not args.no_wait)
    reports: Sequence[ImportReport]
    if args.format == "dataset":
        from pipeline.datasets.dataset import import_clips, labelled_clips, prepare

        if len(args.path) > 1:
            raise UsageError(
                f"import dataset: expected one PATH, the data set's folder, got {len(args.path)}"
            )
        dataset = prepare(replace(settings.dataset, root=str(args.path[0])), settings.tracking)
        reports = import_clips(dataset, workspace, not args.scoring, args.quiet, args.jobs)
        labelled_clips(dataset, workspace, reports[0])  # so that labels that do not fit are told now
    else:
        reports = _import_paths(args, workspace, options)
    made = [entry for report in reports for entry in report.made]
    reused = [entry for report in reports for entry in report.reused]
    failed = [error for report in reports for error in report.failed]
    done = [*made, *reused]
    if not done:
        raise_any(failed, len(failed), "pieces")
    args.result.update(
        made=[entry.clip for entry in made],
        reused=[entry.clip for entry in reused],
        failed=[str(error) for error in failed],
        poses=sum(e.rows for e in done),
        tracks=workspace.tracks,
    )
    print(
        f"{counted(len(made), 'clip')} imported, {len(reused)} were there before: "
        f"{sum(e.frames for e in done)} frames, {sum(e.rows for e in done)} poses, "
        f"{counted(sum(e.tracks for e in done), 'track')} in {format_duration(sum(r.seconds for r in reports))}"
    )
    for line in ReadReport.total(entry.report for entry in done).lines() if done else ():
        print(line)
    for line in _unused_counts(options.frame_counts, failed, done):
        print(line)
    if kept_apart := sum(not entry.train for entry in done) if not args.scoring else 0:
        print(
            f"{kept_apart} clips lie in a folder for testing, or are called abnormal: they can be scored, and are not "
            "trained on"
        )
    if done:
        print(f"tracks are in {workspace.tracks}")
        tracks = load_tracks(workspace.tracks_path(done[0].clip), features=False)
        for line in _next_steps(args, settings, tracks):
            print(line)
    for error in failed[:_MOST_SHOWN]:
        print(f"not used: {error}")
    if len(failed) > _MOST_SHOWN:
        print(f"not used: {len(failed) - _MOST_SHOWN} more, see above")
    raise_any(failed, len(failed) + len(done), "pieces")
    return 0


def _unused_counts(
    counts: Mapping[str, int], failed: Sequence[FormatError], done: Sequence[ClipEntry]
) -> list[str]:
    """What --frame-counts says of clips that are not there; nothing where they may be among what is damaged."""
    from pose_extract.formats.parsing import clip_name

    there = {name for entry in done for name in (entry.clip, re.sub(r"-[0-9a-f]{8}$", "", entry.clip))}
    unused = [name for name in counts if clip_name(name) not in there]
    if failed or not unused:
        return []
    more = f" and {len(unused) - 5} more" if len(unused) > 5 else ""
    return [f"--frame-counts: no clip is called {', '.join(unused[:5])}{more}"]


def _import_paths(
    args: argparse.Namespace, workspace: Workspace, options: ImportOptions
) -> list[ImportReport]:
    """A report for each path; of several, one that holds nothing of the format is no reason to leave out the others."""
    from pipeline.io.import_poses import ImportReport, import_all
    from pose_extract.errors import FormatError

    reports = []
    for path in args.path:
        try:
            found = import_all(
                args.format,
                path,
                workspace,
                options,
                train=not args.scoring,
                quiet=args.quiet,
                jobs=args.jobs,
            )
        except FormatError as error:
            if len(args.path) == 1:
                raise
            found = ImportReport((), (), (error,), 0.0)
        reports.append(found)
    return reports


def _next_steps(args: argparse.Namespace, settings: Settings, tracks: ClipTracks) -> list[str]:
    """What can be done with the clips; what has to be set if the model's joints are others."""
    from anomaly.data.windows import model_joints
    from pose_extract.errors import ModelError

    option = workspace_option(args.workspace)
    if args.scoring:
        return [f"next: gepc-pipeline score --tracks CLIP.npz --out scores.csv{option}"]
    try:
        model_joints(tracks, settings.windows)
    except ModelError as error:
        return [f"before training: {error}"]
    if args.format == "dataset":
        texts = (f"dataset.root={args.path[0]}", *args.set)
        sets = "".join(f" --set {shlex.quote(text)}" for text in texts)
        # `evaluate` takes labels of its own unless the data set's config is named.
        named = f" --config {shlex.quote(args.config)}"
        return [
            f"next: gepc-pipeline train{named}{option}",
            f"then: gepc-pipeline evaluate{named}{sets}{option}",
        ]
    return [f"next: gepc-pipeline train{config_option(args)}{option}"]
