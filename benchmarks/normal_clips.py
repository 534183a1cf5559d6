"""Events that are none, on real clips of normal behaviour: trained on one half, scored on the other, and the reverse.

    GEPC_SAMPLE_DATA=... python -m benchmarks.normal_clips [--pose NAME] [--clips NAME ...] [--workspace DIR]

Nothing abnormal happens in either clip, so each event is false. Also counted: pairs of tracks that are one person
tracked twice, one box within the other for a second or more.
"""

from __future__ import annotations

import logging
import sys
import tempfile
from pathlib import Path

import numpy as np

from anomaly.training.train import train_model
from benchmarks.helpers.command import beginning, data_or_skip, extraction_parser
from pipeline.commands.options import pose_overrides
from pipeline.events.events import EventFinder
from pipeline.extraction.run import extract_all, find_all_sources
from pipeline.scoring import Scorer, score_chunks
from pipeline.settings import Settings, load_settings
from pipeline.workspace import Workspace
from pose_extract.skeletons.similarity import box_containment
from pose_extract.tracks.cache import load_tracks
from pose_extract.tracks.cleaning import clean_tracks
from pose_extract.tracks.records import ClipTracks, cut_frames

CLIPS = ("one_by_one_768x432.mp4", "pedestrians_480x360.avi")
WITHIN = 0.8  # share of one box within another


def false_events(tracks: ClipTracks, settings: Settings, seed: int) -> tuple[int, float]:
    """Events in either half of a clip by a model of the other half, and the seconds that they last."""
    middle, events = tracks.frame_count // 2, []
    halves = cut_frames(tracks, 0, middle), cut_frames(tracks, middle, tracks.frame_count)
    for normal, scored in (halves, halves[::-1]):
        model = train_model([clean_tracks(normal, settings.cleaning)], settings, seed=seed)
        finder = EventFinder(scored.fps, settings.events)
        for chunk in score_chunks(Scorer(model, settings), scored):
            events += finder.add(*chunk)
        events += finder.finish()
    return len(events), sum(event.end_frame - event.start_frame for event in events) / tracks.fps


def tracked_twice(tracks: ClipTracks) -> int:
    """Pairs of tracks of which one's box lies within the other's in a second's worth of frames or more."""
    frames: dict[tuple[int, int], int] = {}
    for number in range(tracks.frame_count):
        rows = slice(*np.searchsorted(tracks.frame, [number, number + 1]))
        inside = box_containment(tracks.boxes[rows], tracks.boxes[rows])
        np.fill_diagonal(inside, 0)
        for a, b in zip(*np.nonzero(inside > WITHIN), strict=True):
            pair = int(tracks.track[rows][a]), int(tracks.track[rows][b])
            frames[pair] = frames.get(pair, 0) + 1
    return sum(count >= tracks.fps for count in frames.values())


def main(arguments: list[str] | None = None) -> int:
    """Measure and print."""
    parser = extraction_parser(__doc__)
    parser.add_argument("--clips", nargs="+", default=CLIPS, metavar="NAME")
    parser.add_argument("--seeds", type=int, default=1)
    args = parser.parse_args(arguments)
    data = data_or_skip("normal_clips")
    if data is None:
        return 0
    # Halves are short: twice as many windows of each person.
    asked = ["windows.train_stride=4", *args.set, *pose_overrides(args.pose)]
    settings = load_settings("default", asked)
    events, twice = [], 0
    with tempfile.TemporaryDirectory() as scratch:
        workspace = Workspace(args.workspace or Path(scratch))
        for name in args.clips:
            video = data / "clips" / name
            if args.frames is not None:
                video = beginning(video, args.frames, Path(scratch))
            report = extract_all(find_all_sources([str(video)]), workspace, settings, quiet=True)
            entry = (*report.made, *report.reused)[0]
            tracks = load_tracks(workspace.tracks_path(entry.clip))
            found = [false_events(tracks, settings, seed) for seed in range(args.seeds)]
            doubles = tracked_twice(tracks)
            count, seconds = np.mean(found, axis=0)
            minutes = tracks.frame_count / tracks.fps / 60
            print(
                f"  {name}: {count:.1f} events of {seconds:.1f} s together in {minutes:.1f} minutes, "
                f"{doubles} pairs of tracks of one person",
                flush=True,
            )
            events.append(count)
            twice += doubles
    print(f"normal_clips_false_events = {sum(events):.1f}\nnormal_clips_tracked_twice = {twice}")
    return 0


if __name__ == "__main__":
    logging.getLogger("anomaly").setLevel(logging.ERROR)  # few held-out frames
    sys.exit(main())
