"""Files of every layout that is read, written as other tools write them: whatever ids, joints and names they hold."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

FPS, SIZE = 25.0, (640, 360)


@dataclass(frozen=True)
class Person:
    """One person in one frame.

    Attributes:
        frame: from 0.
        place: where the person is, 0, 1, …
        id: what the file calls the person.
        joints: "whole", "half" (every other one is missing), "null" (a coordinate is), "none" (all are missing),
            "absent" (the file has no joints at all).
    """

    frame: int
    place: int
    id: Any
    joints: str = "whole"

    def pose(self, count: int) -> list[list[Any]]:
        """x, y, confidence of each joint."""
        x = 60 + 190 * self.place + 2 * self.frame + np.arange(count) % 5 * 6.0
        y = 60 + np.linspace(0, 150, count)
        pose: list[list[Any]] = np.stack([x, y, np.full(count, 0.9)], 1).tolist()
        if self.joints == "null":
            pose[0][0] = None
        gone = {"half": range(0, count, 2), "none": range(count)}.get(self.joints, ())
        for joint in gone:
            pose[joint] = [0.0, 0.0, 0.0]
        return pose

    def flat(self, count: int) -> list[Any]:
        """The same in a row; nothing if the file has no joints."""
        return [] if self.joints == "absent" else [value for joint in self.pose(count) for value in joint]


People = list[Person]
Write = Callable[[Path, People, int, str], None]
"""Writes people of so many frames into a folder, pictures named by a scheme with ``{f}``."""


def _dump(path: Path, content: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))


def _by_frame(people: People, frames: int) -> list[People]:
    return [[person for person in people if person.frame == frame] for frame in range(frames)]


def _alphapose_results(folder: Path, people: People, frames: int, scheme: str) -> None:
    entries = [
        {"image_id": scheme.format(f=p.frame), "keypoints": p.flat(17), "score": 1.0, "idx": p.id}
        for p in people
    ]
    _dump(folder / "alphapose-results.json", entries)


def _alphapose_tracked(folder: Path, people: People, frames: int, scheme: str) -> None:
    persons: dict[str, dict[str, Any]] = {}
    for p in people:
        persons.setdefault(f"{p.id}"[:9], {})[str(p.frame)] = {"keypoints": p.flat(17), "scores": 1.0}
    _dump(folder / "01_0001_alphapose_tracked_person.json", persons)


def _pictures(inner: str, joints: str) -> Write:
    def write(folder: Path, people: People, frames: int, scheme: str) -> None:
        content = {}
        for frame, some in enumerate(_by_frame(people, frames)):
            entries = [{joints: p.flat(17), "idx": p.id} for p in some]
            content[scheme.format(f=frame)] = {inner: entries} if inner else entries
        _dump(folder / "clip.json", content)

    return write


def _openpose(folder: Path, people: People, frames: int, scheme: str) -> None:
    for frame, some in enumerate(_by_frame(people, frames)):
        entries = [{"person_id": [p.id], "pose_keypoints_2d": p.flat(25)} for p in some]
        _dump(folder / "clip" / f"clip_{frame:012d}_keypoints.json", {"people": entries})


def _kinetics(folder: Path, people: People, frames: int, scheme: str) -> None:
    data = []
    for frame, some in enumerate(_by_frame(people, frames)):
        entries = []
        for p in some:
            pose = np.array(p.pose(18), float)
            xy = [None if np.isnan(v) else v for v in (pose[:, :2] / SIZE).ravel().tolist()]
            entries.append({"person_id": p.id, "pose": xy, "score": pose[:, 2].tolist()})
        data.append({"frame_index": frame + 1, "skeleton": entries})
    _dump(folder / "clip.json", {"data": data, "label": "x", "label_index": 0})


def _ntu(folder: Path, people: People, frames: int, scheme: str) -> None:
    lines = [str(frames)]
    for some in _by_frame(people, frames):
        lines.append(str(len(some)))
        for p in some:
            number = p.id if type(p.id) is int else 0
            lines += [f"{number} 0 0 0 0 0 0 0 0 2", "25"]
            for x, y, seen in p.pose(25):
                x = "nan" if x is None else x / 100
                lines.append(
                    f"{x} {y / 100} 3 0 0 {0 if x == 'nan' else x * 100} {y} 0 0 0 0 {2 if seen else 0}"
                )
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "S001C001P001R001A001.skeleton").write_text("\n".join(lines) + "\n")


def _mped_rnn(folder: Path, people: People, frames: int, scheme: str) -> None:
    files: dict[str, list[str]] = {}
    for p in people:
        name = "".join(sign for sign in str(p.id) if sign.isalnum()) or "x"
        pose = [[0.0 if x is None else x, 0.0 if x is None else y] for x, y, _ in p.pose(17)]
        files.setdefault(name, []).append(",".join(map(str, [p.frame, *np.ravel(pose).tolist()])))
    for name, lines in files.items():
        path = folder / "trajectories" / "01" / "0001" / f"{name}.csv"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("\n".join(lines) + "\n")


def _coco_results(folder: Path, people: People, frames: int, scheme: str) -> None:
    _dump(
        folder / "results.json",
        [
            {"image_id": scheme.format(f=p.frame), "keypoints": p.flat(17), "score": 1.0, "track_id": p.id}
            for p in people
        ],
    )


def _instance(p: Person) -> dict[str, Any]:
    pose = p.pose(17)
    return {
        "keypoints": [joint[:2] for joint in pose],
        "keypoint_scores": [joint[2] for joint in pose],
        "track_id": p.id,
    }


def _mmpose_video(folder: Path, people: People, frames: int, scheme: str) -> None:
    found = [
        {"frame_id": frame + 1, "instances": [_instance(p) for p in some]}
        for frame, some in enumerate(_by_frame(people, frames))
    ]
    _dump(folder / "clip.json", {"meta_info": {}, "instance_info": found})


def _mmpose_pictures(folder: Path, people: People, frames: int, scheme: str) -> None:
    for frame, some in enumerate(_by_frame(people, frames)):
        _dump(folder / "clip" / f"{frame:06d}.json", [_instance(p) for p in some])


def _dataset(**of_video: Any) -> Write:
    def write(folder: Path, people: People, frames: int, scheme: str) -> None:
        images = [
            {"id": 100 + f, "file_name": scheme.format(f=f), "width": SIZE[0], "height": SIZE[1], **of_video}
            for f in range(frames)
        ]
        annotations = [
            {"id": i, "image_id": 100 + p.frame, "track_id": p.id, "keypoints": p.flat(17)}
            for i, p in enumerate(people)
        ]
        _dump(folder / "set.json", {"images": images, "annotations": annotations})

    return write


def _chad(folder: Path, people: People, frames: int, scheme: str) -> None:
    content: dict[int, dict[int, Any]] = {}
    for p in people:
        both = np.empty(2, object)
        both[0] = np.array([1, 2, 3, 4])
        both[1] = np.array([[0.0 if x is None else x, 0.0 if x is None else y] for x, y, _ in p.pose(17)])
        persons = content.setdefault(p.frame, {})
        persons[p.id if type(p.id) is int and p.id not in persons else 1000 + p.place] = both
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "1_066_0.pkl").write_bytes(pickle.dumps(content))


@dataclass(frozen=True)
class Layout:
    """How a tool writes poses.

    Attributes:
        format: what `import` calls it.
        write: writes people as that tool does.
        schemes: whether its pictures have names of any scheme.
        absent: whether it can hold people without joints.
        left_out: poses that two of a file's keys make one of, and that no reader can tell: an id twice in a frame.
    """

    format: str
    write: Write
    schemes: bool = False
    absent: bool = False
    one_a_frame: bool = False


LAYOUTS = {
    "alphapose results": Layout("alphapose", _alphapose_results, schemes=True),
    "alphapose tracked persons": Layout("alphapose", _alphapose_tracked, one_a_frame=True),
    "alphapose forvis": Layout("alphapose", _pictures("", "keypoints"), schemes=True),
    "alphapose cmu": Layout("alphapose", _pictures("bodies", "joints"), schemes=True),
    "alphapose open": Layout("alphapose", _pictures("people", "pose_keypoints_2d"), schemes=True),
    "openpose": Layout("openpose", _openpose, absent=True),
    "kinetics-skeleton": Layout("kinetics-skeleton", _kinetics),
    "ntu": Layout("ntu", _ntu),
    "mped-rnn": Layout("mped-rnn", _mped_rnn),
    "coco results": Layout("coco", _coco_results, schemes=True),
    "mmpose video": Layout("coco", _mmpose_video),
    "mmpose pictures": Layout("coco", _mmpose_pictures),
    "coco data set": Layout("coco", _dataset(), schemes=True, absent=True),
    "posetrack": Layout("posetrack", _dataset(vid_id="007", nframes=9), schemes=True, absent=True),
    "chad": Layout("chad", _chad, one_a_frame=True),
}
