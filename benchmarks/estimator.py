"""The pose estimator against real stills, a real clip and the synthetic street.

    python -m benchmarks.estimator [landmarks] [stills] [clip] [street] [--warm-up FRAMES] [--street-seconds S]
    python -m benchmarks.estimator --speed [--street-seconds S] [--people N ...]

With --speed: frames a second of whole extractions by each estimator, in the same run, and each stage's share.
Real data come from the folder that GEPC_SAMPLE_DATA names; what needs them is left out where it is unset.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path

import cv2
import numpy as np
from scipy.optimize import linear_sum_assignment

from benchmarks.helpers.command import option_parser
from benchmarks.helpers.extraction_speed import PEOPLE, measure_speed
from benchmarks.helpers.real_data import sample_data
from pipeline.commands.options import add_pose, add_set, pose_overrides
from pipeline.settings import load_settings
from pipeline.synthetic.clips import render_clip, simulate_clip
from pipeline.synthetic.street.scene import StreetSettings
from pose_extract.estimators.base import PoseEstimator, chosen_estimator, create_estimator
from pose_extract.skeletons import COCO17
from pose_extract.skeletons.similarity import box_iou, keypoint_similarity
from pose_extract.tracks.metrics import box_recall, pck
from pose_extract.tracks.records import ClipTracks, Frame, PoseDetections

PARTS = ("landmarks", "stills", "clip", "street")
STREET = ((11, ()), (12, ("falling", "jumping")), (13, ("crouching", "fighting", "running")))
STILLS = (("coco/test_coco.json", "coco"), ("posetrack18/test_posetrack18_val.json", "posetrack18"))


class Still:
    """A picture, its people (boxes, joints 0/1 marked, areas) and a mask of regions that do not count."""

    def __init__(self, folder: Path, entry: dict, annotations: list[dict], posetrack: bool) -> None:
        self.name = entry["file_name"]
        image = cv2.imread(str(folder / self.name))
        if image is None:
            raise SystemExit(f"{folder / self.name}: cannot be read")
        self.image: np.ndarray = image
        self.ignore = np.zeros(self.image.shape[:2], np.uint8)
        boxes, joints, areas = [], [], []
        for one in annotations:
            if one["image_id"] != entry["id"] or "bbox" not in one:
                continue
            x, y, w, h = one["bbox"]
            points = np.array(one["keypoints"], float).reshape(17, 3)
            if posetrack:
                points[1:3] = 0  # neck and top of the head, which COCO does not have
            points[:, 2] = points[:, 2] > 0
            if not points[:, 2].any():
                self.ignore[int(y) : int(y + h), int(x) : int(x + w)] = 1
                continue
            boxes.append((x, y, x + w, y + h))
            joints.append(points)
            areas.append(one.get("area") or 0.53 * w * h)
        for xs, ys in zip(entry.get("ignore_regions_x", []), entry.get("ignore_regions_y", []), strict=True):
            cv2.fillPoly(self.ignore, [np.array([xs, ys], np.int32).T], 1)
        self.boxes, self.joints, self.areas = np.array(boxes), np.array(joints), np.array(areas)

    def similarity(self, keypoints: np.ndarray) -> np.ndarray:
        """OKS (people, predictions)."""
        sure = np.concatenate([keypoints[..., :2], np.ones_like(keypoints[..., :1])], axis=2)
        return keypoint_similarity(self.joints, sure, COCO17.sigmas, self.areas)


def stills(data: Path) -> list[Still]:
    found = []
    for name, folder in STILLS:
        content = json.loads((data / name).read_text())
        for entry in content["images"]:
            found.append(Still(data / folder, entry, content["annotations"], folder == "posetrack18"))
    return found


def measure_landmarks(data: Path, estimator: PoseEstimator) -> None:
    every = []
    for still in stills(data):
        keypoints = estimator.estimate_in_boxes(still.image, still.boxes)
        every.append(np.diag(still.similarity(keypoints)))
    print(f"landmarks_oks = {np.concatenate(every).mean():.3f}")


def measure_stills(data: Path, estimator: PoseEstimator) -> None:
    hits = people = false = 0
    for still in stills(data):
        height, width = still.image.shape[:2]
        estimator.start(25.0, (width, height))
        found = estimator.estimate([Frame(0, 0.0, still.image)])[0]
        similarity = still.similarity(found.keypoints)
        free, wrong = np.ones(len(still.boxes), bool), 0
        for j in np.argsort(-found.scores, kind="stable"):
            best = int(np.argmax(np.where(free, similarity[:, j], -1)))
            if free[best] and similarity[best, j] >= 0.5:
                free[best] = False
                continue
            x, y = ((found.boxes[j, :2] + found.boxes[j, 2:]) / 2).astype(int)
            wrong += not still.ignore[min(y, height - 1), min(x, width - 1)]
        hits, people, false = hits + int((~free).sum()), people + len(free), false + wrong
        print(f"  {still.name}: {int((~free).sum())} of {len(free)} people, {wrong} false")
    print(f"stills_recall = {hits / people:.3f}\nstills_precision = {hits / max(1, hits + false):.3f}")


def frames_of(path: Path) -> Iterable[Frame]:
    capture = cv2.VideoCapture(str(path))
    fps = capture.get(cv2.CAP_PROP_FPS)
    index = 0
    while True:
        ok, image = capture.read()
        if not ok:
            return
        yield Frame(index, index / fps, image)
        index += 1


def measure_clip(data: Path, estimator: PoseEstimator, warm_up: int | None) -> None:
    truth = json.loads((data / "clips/pedestrians_480x360.boxes.json").read_text())["frames"]
    boxes = {int(frame): np.array(people, float) for frame, people in truth.items()}
    hits = people = false = frames = rows = 0
    wall = cpu = 0.0
    estimator.start(10.0, (480, 360))
    for frame in frames_of(data / "clips/pedestrians_480x360.avi"):
        if warm_up is not None:
            ahead = [f - frame.index for f in boxes if f >= frame.index]
            if not ahead or min(ahead) > warm_up:
                continue
            if min(ahead) == warm_up:
                estimator.start(10.0, (480, 360))
        since, cpu_since = time.perf_counter(), time.process_time()
        found = estimator.estimate([frame])[0]
        wall, cpu = wall + time.perf_counter() - since, cpu + time.process_time() - cpu_since
        frames, rows = frames + 1, rows + len(found)
        if frame.index in boxes:
            overlap = box_iou(found.boxes, boxes[frame.index])
            pairs = linear_sum_assignment(-np.where(overlap >= 0.3, overlap, 0))
            good = int((overlap[pairs] >= 0.3).sum())
            hits, people = hits + good, people + len(boxes[frame.index])
            false += len(found) - good
            print(
                f"  frame {frame.index}: {good} of {len(boxes[frame.index])} people, {len(found) - good} false"
            )
    print(f"clip_recall = {hits / people:.3f}\nclip_false_people = {false}")
    print(f"clip_frames_per_second = {frames / wall:.1f}\nclip_cpu_ms_per_frame = {cpu / frames * 1e3:.0f}")
    print(f"clip_people_per_frame = {rows / frames:.2f}")


def as_tracks(truth: ClipTracks, found: list[PoseDetections]) -> ClipTracks:
    """Detections as tracks of their own, to be measured frame by frame."""
    frame = np.repeat(np.arange(len(found)), [len(f) for f in found]).astype(np.int32)
    return ClipTracks(
        truth.clip, truth.skeleton, truth.fps, truth.frame_size, truth.time_s, frame,
        np.arange(1, len(frame) + 1, dtype=np.int32), np.concatenate([f.keypoints for f in found]),
        np.concatenate([f.boxes for f in found]),
    )  # fmt: skip


def cut(tracks: ClipTracks, rows: np.ndarray) -> ClipTracks:
    return ClipTracks(
        tracks.clip, tracks.skeleton, tracks.fps, tracks.frame_size, tracks.time_s, tracks.frame[rows],
        tracks.track[rows], tracks.keypoints[rows], tracks.boxes[rows],
    )  # fmt: skip


def measure_street(estimator: PoseEstimator, seconds: float) -> None:
    shares, joints, cpu, frames, boxes, precision = 0.0, 0, 0.0, 0, [], []
    acts: dict[str, list[tuple[float, int]]] = {}
    for seed, abnormal in STREET:
        clip = simulate_clip(f"street{seed}", seed, StreetSettings(seconds=seconds), abnormal)
        truth, found = clip.truth, []
        estimator.start(truth.fps, truth.frame_size)
        for i, image in enumerate(render_clip(clip)):
            since = time.process_time()
            found += estimator.estimate([Frame(i, float(truth.time_s[i]), image)])
            cpu += time.process_time() - since
        frames += len(found)
        guess = as_tracks(truth, found)
        result = pck(guess, truth)
        shares, joints = shares + result.all * result.joints, joints + result.joints
        recall, right = box_recall(guess, truth, 0.3)
        boxes.append(recall)
        precision.append(right)
        print(f"  seed {seed}: PCK {result.all:.3f}, of those found {result.matched:.3f}", end=", ")
        print(f"box recall {recall:.3f}, precision {right:.3f}, {len(truth) / len(found):.1f} people a frame")
        behaviours = np.array(clip.behaviours())
        for act in np.unique(behaviours):
            part = pck(guess, cut(truth, np.flatnonzero(behaviours == act)))
            if part.joints:
                acts.setdefault(str(act), []).append((part.all, part.joints))
    for act, parts in sorted(acts.items()):
        print(f"  {act}: PCK {sum(a * n for a, n in parts) / sum(n for _, n in parts):.3f}")
    print(f"street_pck = {shares / max(1, joints):.3f}\nstreet_box_recall = {np.mean(boxes):.3f}")
    print(
        f"street_box_precision = {np.mean(precision):.3f}\nstreet_cpu_ms_per_frame = {cpu / frames * 1e3:.0f}"
    )


def _part(name: str) -> str:
    """One of the parts. argparse's ``choices`` would refuse the default of an argument that may be left out."""
    if name not in PARTS:
        raise argparse.ArgumentTypeError(f"expected one of {', '.join(PARTS)}, got {name!r}")
    return name


def main(arguments: list[str] | None = None) -> int:
    parser = option_parser(__doc__)
    parser.add_argument("parts", nargs="*", type=_part, default=PARTS, help=f"out of {', '.join(PARTS)}")
    parser.add_argument(
        "--warm-up", type=int, help="frames before each annotated one; default: the whole clip"
    )
    parser.add_argument("--street-seconds", type=float, default=8.0)
    parser.add_argument("--speed", action="store_true", help="measure nothing but speed, of each estimator")
    parser.add_argument("--people", nargs="+", type=int, default=PEOPLE, help="with --speed: in the street")
    add_pose(parser)
    add_set(parser)
    args = parser.parse_args(arguments)
    if args.speed:
        with tempfile.TemporaryDirectory() as scratch:
            measure_speed(Path(scratch), args.street_seconds, tuple(args.people))
        return 0
    data = sample_data()
    if data is None:
        print("benchmarks.estimator: GEPC_SAMPLE_DATA is not set, only the street is measured")
    settings = load_settings("default", [*args.set, *pose_overrides(args.pose)])
    settings = settings.with_estimator(chosen_estimator(settings.pose.estimator))
    estimator = create_estimator(settings.pose.estimator, *settings.of_estimator())
    for part in args.parts:
        if part == "street":
            measure_street(estimator, args.street_seconds)
        elif data is None:
            continue
        elif part == "landmarks":
            measure_landmarks(data, estimator)
        elif part == "stills":
            measure_stills(data, estimator)
        else:
            measure_clip(data, estimator, args.warm_up)
    estimator.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
