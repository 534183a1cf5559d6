"""Extraction on a real clip of small people, against boxes drawn by hand: recall, false people, tracks, speed.

    GEPC_SAMPLE_DATA=... python -m benchmarks.pedestrians [--workspace DIR] [--pose NAME]

The people counted are those that are tracked in the very frame (raw), and those of the cleaned tracks, which is what a
model sees.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path

import numpy as np
from scipy.optimize import linear_sum_assignment

from benchmarks.helpers.command import beginning, data_or_skip, extraction_parser
from pipeline.commands.options import pose_overrides
from pipeline.extraction.run import extract_all, find_all_sources
from pipeline.settings import Settings, load_settings
from pipeline.workspace import Workspace
from pose_extract.skeletons.similarity import box_iou
from pose_extract.tracks.cache import load_tracks
from pose_extract.tracks.cleaning import clean_tracks


def measure(data: Path, workspace: Workspace, settings: Settings, frames: int | None, scratch: Path) -> None:
    truth = json.loads((data / "clips" / "pedestrians_480x360.boxes.json").read_text())["frames"]
    video = data / "clips" / "pedestrians_480x360.avi"
    if frames is not None:
        video = beginning(video, frames, scratch)
        truth = {frame: boxes for frame, boxes in truth.items() if int(frame) < frames}
    sources = find_all_sources([str(video)])
    report = extract_all(sources, workspace, settings, quiet=True)
    entry = (*report.made, *report.reused)[0]
    raw = load_tracks(workspace.tracks_path(entry.clip))
    tracks = clean_tracks(raw, settings.cleaning)
    for name, people in (("raw_", raw), ("", tracks)):
        wanted = found = false = 0
        for frame, boxes in truth.items():
            mine = people.boxes[people.frame == int(frame)]
            overlap = box_iou(np.array(boxes, np.float32), mine)
            rows, columns = linear_sum_assignment(np.where(overlap >= 0.3, overlap, 0), maximize=True)
            hits = int((overlap[rows, columns] >= 0.3).sum())
            wanted, found, false = wanted + len(boxes), found + hits, false + len(mine) - hits
        print(f"pedestrians_{name}recall = {found / wanted:.3f}")
        print(f"pedestrians_{name}false = {false}")
    lengths = np.bincount(raw.track)[1:]
    print(f"{len(raw) / raw.frame_count:.1f} people a frame, {raw.num_tracks} tracks")
    print(f"pedestrians_tracks_of_10_frames = {int((lengths >= 10).sum())}")
    if report.made:
        print(f"pedestrians_fps = {entry.frames / report.seconds:.1f}")


def main(arguments: list[str] | None = None) -> int:
    args = extraction_parser(__doc__).parse_args(arguments)
    data = data_or_skip("pedestrians")
    if data is None:
        return 0
    with tempfile.TemporaryDirectory() as scratch:
        settings = load_settings("default", [*args.set, *pose_overrides(args.pose)])
        measure(data, Workspace(args.workspace or Path(scratch)), settings, args.frames, Path(scratch))
    return 0


if __name__ == "__main__":
    sys.exit(main())
