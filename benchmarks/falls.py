"""People who fall and lie, in real videos of one person each: in how many frames is nobody found?

    GEPC_SAMPLE_DATA=... python -m benchmarks.falls [--pose NAME] [--set A.B=C] [--clips NAME ...]

The person is in view all the time. Counted are the frames without anybody among the cleaned tracks, and those with
nobody whose joints are seen, in the falls (from the time at which the fall begins as published) and in daily
activities, and tracks of half a second or more beyond one.
"""

from __future__ import annotations

import csv
import sys
import tempfile
from pathlib import Path

import numpy as np

from benchmarks.helpers.command import data_or_skip, option_parser
from pipeline.commands.options import add_pose, add_set, pose_overrides
from pipeline.extraction.run import extract_all, find_all_sources
from pipeline.settings import Settings, load_settings
from pipeline.workspace import Workspace
from pose_extract.tracks.cache import load_tracks
from pose_extract.tracks.cleaning import clean_tracks


def measure(videos: list[Path], falls: dict[str, float], settings: Settings, scratch: Path) -> None:
    """Print how often nobody is found, clip by clip and in all."""
    workspace = Workspace(scratch)
    totals = {"falls": np.zeros(3, int), "daily": np.zeros(3, int)}
    print(
        "### Frames with nobody\n| clip | frames | nobody | nobody's joints | tracks too many |\n|---|---|---|---|---|"
    )
    more = 0
    for video in videos:
        report = extract_all(find_all_sources([str(video)]), workspace, settings, quiet=True)
        tracks = load_tracks(workspace.tracks_path(report.made[0].clip))
        cleaned = clean_tracks(tracks, settings.cleaning)
        posed = cleaned.frame[(cleaned.keypoints[..., -1] > 0).any(1)]
        found, seen = (np.bincount(f, minlength=tracks.frame_count) > 0 for f in (cleaned.frame, posed))
        seconds = np.bincount(tracks.track)[1:] / tracks.fps
        others = int((seconds >= 0.5).sum()) - 1
        start = falls.get(video.stem)
        counted = tracks.time_s >= (start or 0.0)
        counts = np.array([(~found & counted).sum(), (~seen & counted).sum(), counted.sum()])
        print(f"| {video.stem} | {counts[2]} | {counts[0]} | {counts[1]} | {others} |", flush=True)
        totals["daily" if start is None else "falls"] += counts
        more += others
    print()
    for name, (empty, unseen, frames) in totals.items():
        if frames:
            print(
                f"{name}_share_with_nobody = {empty / frames:.4f}\n{name}_share_unseen = {unseen / frames:.4f}"
            )
    print(f"falls_tracks_too_many = {more}")


def main(arguments: list[str] | None = None) -> int:
    parser = option_parser(__doc__)
    add_pose(parser)
    add_set(parser)
    parser.add_argument("--clips", nargs="+", metavar="NAME", help="only these")
    args = parser.parse_args(arguments)
    data = data_or_skip("falls")
    if data is None:
        return 0
    folder = data / "falls"
    with (folder / "activities.csv").open(newline="") as file:
        falls = {
            r["clip"]: float(r["start_s"]) for r in csv.DictReader(file) if r["activity"].startswith("Fall")
        }
    videos = [v for v in sorted(folder.glob("*.mp4")) if args.clips is None or v.stem in args.clips]
    settings = load_settings("default", [*args.set, *pose_overrides(args.pose)])
    with tempfile.TemporaryDirectory() as scratch:
        measure(videos, falls, settings, Path(scratch))
    return 0


if __name__ == "__main__":
    sys.exit(main())
