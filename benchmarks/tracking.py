"""How well people are tracked: ``python -m benchmarks.tracking [VIDEO ...] [--pose NAME]``.

Without arguments: a clip of the synthetic street, against its truth, and the real clips of GEPC_SAMPLE_DATA where that
is set. For each: figures of detection and identity (where there is a truth), number of tracks, and what the tracker
costs a frame.
"""

from __future__ import annotations

import re
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.helpers.command import option_parser
from benchmarks.helpers.real_data import sample_data
from pipeline.commands.options import add_pose, add_set, pose_overrides
from pipeline.settings import Settings, load_settings
from pose_extract.estimators.base import chosen_estimator, create_estimator
from pose_extract.skeletons import get_skeleton
from pose_extract.tracking import PeopleTracker, TrackedPeople
from pose_extract.tracks.cache import load_tracks
from pose_extract.tracks.metrics import box_recall, id_switches, idf1, mota, oks, pck
from pose_extract.tracks.records import ClipTracks
from pose_extract.video import VideoReader


@dataclass(frozen=True)
class Tracked:
    """A clip's tracks and what they cost, in processor milliseconds a frame."""

    tracks: ClipTracks
    estimator_ms: float
    tracker_ms: float


def track_video(path: Path, settings: Settings) -> Tracked:
    """Extract the people of a video."""
    estimator = create_estimator(settings.pose.estimator, *settings.of_estimator())
    skeleton = get_skeleton(estimator.skeleton)
    out: list[TrackedPeople] = []
    times: list[float] = []
    estimating = tracking = 0.0
    with VideoReader(path) as reader:
        info = reader.info
        estimator.start(info.fps, info.frame_size)
        tracker = PeopleTracker(settings.tracking, info.fps, info.frame_size, skeleton, estimator.mixes_sides)
        for frame in reader:
            times.append(frame.time_s)
            start = time.process_time()
            (people,) = estimator.estimate([frame])
            middle = time.process_time()
            out += tracker.update(frame, people)
            estimating, tracking = estimating + middle - start, tracking + time.process_time() - middle
        out += tracker.finish()
    tracks = ClipTracks(
        clip=path.stem,
        skeleton=skeleton.name,
        fps=info.fps,
        frame_size=info.frame_size,
        time_s=np.array(times),
        frame=np.concatenate([np.full(len(people.ids), people.frame, np.int32) for people in out]),
        track=np.concatenate([people.ids for people in out]),
        keypoints=np.concatenate([people.people.keypoints for people in out]),
        boxes=np.concatenate([people.people.boxes for people in out]),
    )
    return Tracked(tracks, estimating / len(times) * 1e3, tracking / len(times) * 1e3)


def report(result: Tracked, truth: ClipTracks | None = None) -> None:
    """Print the figures of one clip as lines ``NAME = VALUE``."""
    tracks = result.tracks
    name = "tracking_" + re.sub(r"\W", "_", tracks.clip)
    figures = {
        "people": len(tracks),
        "tracks": tracks.num_tracks,
        "tracks_of_10_frames": int((np.bincount(tracks.track)[1:] >= 10).sum()),
        "estimator_ms": round(result.estimator_ms, 1),
        "tracker_ms": round(result.tracker_ms, 2),
    }
    if truth is not None:
        joints = pck(tracks, truth)
        recall, precision = box_recall(tracks, truth)
        figures |= {
            "true_tracks": truth.num_tracks,
            "id_switches": id_switches(tracks, truth),
            "idf1": round(idf1(tracks, truth), 3),
            "idf1_in_sight": round(idf1(tracks, truth, min_visible=0.8), 3),
            "mota": round(mota(tracks, truth), 3),
            "box_recall": round(recall, 3),
            "box_precision": round(precision, 3),
            "pck": round(joints.all, 3),
            "pck_of_people_found": round(joints.matched, 3),
            "oks": round(oks(tracks, truth), 3),
        }
    for figure, value in figures.items():
        print(f"{name}_{figure} = {value}", flush=True)


def main(arguments: list[str] | None = None) -> int:
    """Measure and print."""
    parser = option_parser(__doc__)
    parser.add_argument("videos", nargs="*", type=Path)
    add_pose(parser)
    add_set(parser)
    args = parser.parse_args(arguments)
    videos = args.videos
    settings = load_settings("default", [*args.set, *pose_overrides(args.pose)])
    settings = settings.with_estimator(chosen_estimator(settings.pose.estimator))
    for path in videos:
        truth = path.with_suffix(".truth.npz")
        report(track_video(path, settings), load_tracks(truth) if truth.exists() else None)
    if videos:
        return 0
    from pipeline.synthetic.clips import simulate_clip, write_clip

    with tempfile.TemporaryDirectory() as folder:
        clip = simulate_clip("street", 100)
        report(track_video(write_clip(clip, Path(folder)), settings), clip.truth)
    data = sample_data()
    if data is not None:
        clips = ("pedestrians_480x360.avi", "shanghaitech_01_0014.mp4", "shanghaitech_01_0015.mp4")
        for name in clips:
            report(track_video(data / "clips" / name, settings))
    else:
        print("benchmarks.tracking: GEPC_SAMPLE_DATA is not set, no real clips")
    return 0


if __name__ == "__main__":
    sys.exit(main())
