"""Read and write COCO and MMPose: keypoint results, MMPose's predictions, and data sets of annotated pictures.

Three layouts, told apart by their keys:

- results: a list of people, each with ``image_id``, ``keypoints`` (x, y, confidence), ``score`` and perhaps ``bbox``
  (x, y, width, height) and ``track_id``; ``image_id`` is the frame's number or its picture's name;
- MMPose's predictions: a list of frames (on its own or as ``instance_info``) with ``frame_id`` and ``instances``;
- data sets: an object with ``images`` and ``annotations``; see `pose_extract.formats.coco_dataset`.

Results are read item by item.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from pose_extract.errors import FormatError
from pose_extract.files import complete_or_absent
from pose_extract.formats.base import checked_for_export, files_in, targets
from pose_extract.formats.clip_builder import ClipSource, Rows, make_clip
from pose_extract.formats.coco_dataset import read_dataset
from pose_extract.formats.json_files import JsonItems, load_json
from pose_extract.formats.options import ImportOptions
from pose_extract.formats.parsing import box_from_size, finite_joints, frame_number, joints_of, numbers
from pose_extract.tracks.records import ClipTracks


def find(path: Path) -> list[Path]:
    """Every JSON file."""
    return files_in(path, "*.json")


def read(part: Path, options: ImportOptions) -> Iterator[ClipTracks]:
    """The clips of a file: of results one, or one for each folder of pictures that they name."""
    clips: dict[str, Rows] = {}
    with JsonItems(part) as items:
        if items.kind == "{":
            content = load_json(part)
            if "images" in content and "annotations" in content:
                yield from read_dataset(part, content, "coco", options)
                return
            frames = content.get("instance_info")
            if not isinstance(frames, list):
                raise FormatError(
                    f"{part}: expected a list of results, or an object with 'images' and 'annotations' or with "
                    f"'instance_info', found the keys {', '.join(list(content)[:5])}"
                )
            pairs: Iterable[tuple[Any, Any]] = enumerate(frames)
        else:
            pairs = items
        for index, item in pairs:
            where = f"{part}: [{index}]"
            if not isinstance(item, dict):
                raise FormatError(f"{where}: expected an object, found {item!r:.60}")
            if "instances" in item:
                _add_frame(clips.setdefault("", Rows()), item, where)
            else:
                _add_person(clips, item, where)
    for name, rows in (clips or {"": Rows()}).items():
        yield make_clip(
            rows,
            ClipSource(
                where=part,
                clip=name or part.stem,
                format_name="coco",
                fps=options.rate(),
                frame_size=options.size(),
            ),
            options,
        )


def _add_person(clips: dict[str, Rows], item: dict[str, Any], where: str) -> None:
    for key in ("image_id", "keypoints"):
        if key not in item:
            raise FormatError(
                f"{where}: expected a result with {key!r}, found the keys {', '.join(list(item)[:8])}"
            )
    image = item["image_id"]
    folder = image.rpartition("/")[0].rpartition("/")[2] if isinstance(image, str) else ""
    clips.setdefault(folder, Rows()).add(
        frame_number(image, f"{where}['image_id']"),
        _identity(item),
        joints_of(item["keypoints"], f"{where}['keypoints']"),
        box_from_size(item.get("bbox"), f"{where}['bbox']"),
        where,
    )


def _identity(item: dict[str, Any]) -> int | str | None:
    identity = item.get("track_id")
    return identity if isinstance(identity, (int, str)) else None


def _add_frame(rows: Rows, item: dict[str, Any], where: str) -> None:
    """One frame of MMPose's predictions; its boxes are corners, each in a list of its own."""
    frame = frame_number(item.get("frame_id"), f"{where}['frame_id']")
    people = item["instances"]
    if not isinstance(people, list):
        raise FormatError(f"{where}['instances']: expected a list, found {people!r:.60}")
    for i, person in enumerate(people):
        here = f"{where}['instances'][{i}]"
        if not isinstance(person, dict) or not {"keypoints", "keypoint_scores"} <= person.keys():
            raise FormatError(f"{here}: expected an object with 'keypoints' and 'keypoint_scores'")
        points = numbers(person["keypoints"], f"{here}['keypoints']")
        scores = numbers(person["keypoint_scores"], f"{here}['keypoint_scores']")
        if points.ndim != 2 or points.shape != (scores.size, 2):
            raise FormatError(
                f"{here}: expected x, y and a score of each joint, found {points.shape}, {scores.shape}"
            )
        box = numbers(person.get("bbox", [np.nan] * 4), f"{here}['bbox']").ravel()
        if box.shape != (4,):
            raise FormatError(f"{here}['bbox']: expected x1, y1, x2, y2, found {box.size} numbers")
        joints = np.concatenate([points, scores.reshape(-1, 1)], 1)
        rows.add(frame, _identity(person), joints, box, here)


def write(clips: Iterable[ClipTracks], path: Path) -> None:
    """Write one list of results a clip, of coco17, halpe26, coco18 or body25.

    ``image_id`` is the frame's number, from 0. A joint that is missing is 0, 0, 0.
    """
    for clip, file in targets(clips, path, ".json"):
        checked_for_export(clip, "coco", ("coco17", "halpe26", "coco18", "body25"))
        with complete_or_absent(file) as out:
            out.write("[")
            for row in range(len(clip)):
                keypoints = finite_joints(clip.keypoints[row])
                x1, y1, x2, y2 = clip.boxes[row].tolist()
                result = {
                    "image_id": int(clip.frame[row]),
                    "category_id": 1,
                    "track_id": int(clip.track[row]),
                    "bbox": [x1, y1, x2 - x1, y2 - y1],
                    "keypoints": keypoints.ravel().tolist(),
                    "score": float(keypoints[:, 2].mean()),
                }
                out.write((",\n" if row else "") + json.dumps(result))
            out.write("]\n")
