"""A long video in pieces: how much faster several workers are, and what differs from the video looked at in one go.

    python -m benchmarks.pieces [--video PATH] [--minutes 4] [--pauses] [--pieces 1] [--jobs 2] [--pose NAME]
        [--set A.B=C]

Without --video it is a street on which people come and go all the time, so that each border has to be crossed; with
--pauses nobody is there in the last third of each minute. Scores are those of the model that comes with the
package.
"""

from __future__ import annotations

import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np

from benchmarks.helpers.command import option_parser
from pipeline.api.model import Model
from pipeline.commands.options import add_pose, add_set, pose_overrides
from pipeline.extraction.run import extract_all, find_all_sources
from pipeline.settings import load_settings
from pipeline.synthetic.clips import simulate_clip, write_clip
from pipeline.synthetic.street.scene import StreetSettings
from pipeline.synthetic.street.truth import Sight
from pipeline.workspace import Workspace
from pose_extract.skeletons.similarity import box_iou
from pose_extract.tracks.cache import load_tracks
from pose_extract.tracks.records import ClipTracks


def same_people(whole: ClipTracks, pieces: ClipTracks) -> tuple[float, float, int]:
    """Shares of the whole's rows that pieces have too, to the bit and by their boxes; and how often an id changes.

    It changes where the same person, by the boxes, goes on under another one.
    """
    exact, found, changes, last = 0, 0, 0, dict[int, int]()
    for frame in np.unique(whole.frame).tolist():
        mine, theirs = (slice(*np.searchsorted(t.frame, [frame, frame + 1])) for t in (whole, pieces))
        overlap = box_iou(whole.boxes[mine], pieces.boxes[theirs])
        for row, other in enumerate(overlap.argmax(1) if overlap.shape[1] else []):
            if overlap[row, other] < 0.5:
                continue
            found += 1
            here, there = whole.keypoints[mine][row], pieces.keypoints[theirs][other]
            exact += bool((here == there).all())
            name, now = int(whole.track[mine][row]), int(pieces.track[theirs][other])
            changes += last.get(name, now) != now
            last[name] = now
    return exact / max(1, len(whole)), found / max(1, len(whole)), changes


def _pauses(sight: Sight, fps: float) -> bool:
    """Whether somebody comes and goes within the first two thirds of a minute."""
    seen = np.flatnonzero(sight.drawn)
    if not len(seen):
        return False
    begin, end = (sight.person.first + seen[[0, -1]]) / fps
    return bool(begin // 60 == end // 60 and end % 60 < 40)


def main(arguments: list[str] | None = None) -> int:
    """Measure and print."""
    parser = option_parser(__doc__)
    parser.add_argument("--video", type=Path)
    parser.add_argument("--minutes", type=float, default=4.0)
    parser.add_argument("--fps", type=float, default=24.0, help="of the street")
    parser.add_argument("--pauses", action="store_true")
    parser.add_argument("--pieces", type=float, default=1.0, help="minutes of each")
    parser.add_argument("--jobs", type=int, default=2)
    add_pose(parser)
    add_set(parser)
    args = parser.parse_args(arguments)
    overrides = [*args.set, *pose_overrides(args.pose)]
    with tempfile.TemporaryDirectory() as folder:
        video, scratch = args.video, Path(folder)
        if video is None:
            street = StreetSettings(seconds=60 * args.minutes, people=(1, 3), fps=args.fps)
            clip = simulate_clip("street", 700, street)
            if args.pauses:
                clip = replace(clip, sights=tuple(s for s in clip.sights if _pauses(s, street.fps)))
            video = write_clip(clip, scratch)
        found, spent = {}, {}
        for name, own, jobs in (
            ("whole", [], 1),
            ("pieces", [f"video.pieces_min={args.pieces}"], args.jobs),
        ):
            workspace = Workspace(scratch / name)
            settings = load_settings("default", [*overrides, *own])
            sources = find_all_sources([str(video)])
            report = extract_all(sources, workspace, settings, quiet=True, jobs=jobs)
            found[name] = load_tracks(workspace.tracks_path(report.made[0].clip))
            spent[name] = report.seconds
            frames = found[name].frame_count
            print(f"{name}: {frames} frames in {report.seconds:.1f} s, {found[name].num_tracks} people")
        whole, pieces = found["whole"], found["pieces"]
        borders = pieces.provenance.get("borders") or []
        exact, same, changes = same_people(whole, pieces)
        model = Model.load("builtin:walkers")
        scores = [model.score(tracks).frames.score for tracks in (whole, pieces)]
        off = np.abs(scores[0] - scores[1])
        off, alarms = off[np.isfinite(off)], [np.asarray(s > model.threshold) for s in scores]
    print(f"{len(borders)} borders, at {sum(b['same'] for b in borders)} of which both pieces see the same; "
          f"{sum(b['people'] for b in borders)} people are followed across")  # fmt: skip
    print(f"pieces_speedup = {spent['whole'] / spent['pieces']:.2f}   ({args.jobs} processes)")
    print(f"pieces_rows_same = {same:.4f}   (share of rows; to the bit {exact:.4f})")
    print(f"pieces_id_changes = {changes}   (of {whole.num_tracks} people)")
    print(f"pieces_scores_same = {np.mean(off <= 1e-6):.4f}   (share of frames within 1e-6)")
    print(f"pieces_alarms_same = {np.mean(alarms[0] == alarms[1]):.4f}   (share of frames)")
    return 0


if __name__ == "__main__":
    sys.exit(main())
