"""Read and write COCO and MMPose: keypoint results, MMPose's predictions, and data sets of annotated pictures.

Three layouts, told apart by their keys:

- results: a list of people, each with ``image_id``, ``keypoints`` (x, y, confidence), ``score`` and perhaps ``bbox``
  (x, y, width, height) and ``track_id``; ``image_id`` is the frame's number or its picture's name;
- MMPose's predictions: a list of frames (on its own or as ``instance_info``) with ``frame_id`` and ``instances``, or a
  folder of one list of instances a picture;
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
from pose_extract.formats.clip_builder import MOST_FRAMES, ClipSource, Rows, make_clip
from pose_extract.formats.coco_dataset import read_dataset
from pose_extract.formats.identities import identity_of
from pose_extract.formats.json_files import JsonItems, load_json
from pose_extract.formats.options import ImportOptions
from pose_extract.formats.parsing import (
    box_as_size,
    box_from_size,
    finite_joints,
    frame_number,
    joints_of,
    numbers,
    short,
)
from pose_extract.formats.picture_rows import PictureRows
from pose_extract.tracks.records import ClipTracks

_PEEKED = 20  # files of a folder that are looked into for people


def find(path: Path) -> list[Path]:
    """Every JSON file; a folder in which each is one picture's is a part as a whole."""
    files = files_in(path, "*.json")
    if path.is_file():
        return files
    folders = dict.fromkeys(file.parent for file in files)
    whole = {
        folder
        for folder in folders
        if _of_pictures([file for file in files if file.parent == folder][:_PEEKED])
    }
    return list(dict.fromkeys(file.parent if file.parent in whole else file for file in files))


def _of_pictures(files: list[Path]) -> bool:
    """Whether files are MMPose's, one a picture: a bare list of its people each."""
    seen = False
    for file in files:
        try:
            with JsonItems(file) as items:
                first = next(iter(items), None) if items.kind == "[" else (0, {})
        except FormatError:
            continue
        if first is None:
            continue
        person = first[1]
        if not isinstance(person, dict) or "keypoint_scores" not in person or "image_id" in person:
            return False
        seen = True
    return seen


def read(part: Path, options: ImportOptions) -> Iterator[ClipTracks | FormatError]:
    """The clips of a file: of results one, or one for each clip that the pictures' names tell of."""
    if part.is_dir():
        yield from _read_folder(part, options)
        return
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
                    f"'instance_info', found the keys {', '.join(map(short, list(content)[:5]))}"
                )
            pairs: Iterable[tuple[Any, Any]] = enumerate(frames)
        else:
            pairs = items
        pictures, predicted = PictureRows(part), _Predicted()
        for index, item in pairs:
            where = f"{part}: [{index}]"
            if not isinstance(item, dict):
                raise FormatError(f"{where}: expected an object, found {short(item)}")
            if "instances" in item:
                predicted.add(item, where)
            elif "keypoint_scores" in item and "image_id" not in item:  # one picture alone
                _add_people(predicted.rows, 0, [item], where)
                predicted.numbers.add(0)
            else:
                _add_person(pictures, item, where)
    if predicted.numbers and len(pictures):
        raise FormatError(f"{part}: expected results or MMPose's predictions, found both")
    if predicted.numbers:
        yield _clip(part, "", predicted.rows, predicted.first, predicted.end, options)
        return
    for name, (rows, end) in pictures.clips().items():
        yield _clip(part, name, rows, 0, end, options)


def _clip(part: Path, name: str, rows: Rows, first: int, end: int, options: ImportOptions) -> ClipTracks:
    start = first if options.first_frame is None else options.first_frame
    return make_clip(
        rows,
        ClipSource(
            where=part,
            clip=name or (part.resolve().name if part.is_dir() else part.stem),
            format_name="coco",
            fps=options.rate(),
            frame_size=options.size(),
            first_frame=first,
            frame_count=max(0, min(end - start, MOST_FRAMES)),
        ),
        options,
    )


class _Predicted:
    """The frames of MMPose's predictions, which count from 1 in some versions and from 0 in others."""

    def __init__(self) -> None:
        self.rows, self.numbers = Rows(), set[int]()

    def add(self, item: dict[str, Any], where: str) -> None:
        """Append a frame."""
        frame = frame_number(item.get("frame_id"), f"{where}['frame_id']")
        self.numbers.add(frame)
        _add_people(self.rows, frame, item["instances"], f"{where}['instances']")

    @property
    def first(self) -> int:
        """The number of the first frame: every frame is there, those without people too."""
        return 1 if min(self.numbers) == 1 else 0

    @property
    def end(self) -> int:
        """The number after the last frame's."""
        return max(self.numbers) + 1


def _read_folder(part: Path, options: ImportOptions) -> Iterator[ClipTracks | FormatError]:
    """A folder of one file a picture; a damaged one is reported, and its frame is without people."""
    pictures = PictureRows(part)
    for file in sorted(part.glob("*.json")):
        pictures.see(file.stem)
        try:
            people = load_json(file)
            rows = Rows()
            _add_people(rows, 0, people, str(file))
            _, joints, boxes = rows.arrays()
            for row, person in enumerate(people):
                pictures.add(file.stem, person, joints[row], boxes[row], str(file))
        except FormatError as error:
            yield error
    for name, (rows, end) in pictures.clips().items():
        yield _clip(part, name, rows, 0, end, options)


def _add_person(pictures: PictureRows, item: dict[str, Any], where: str) -> None:
    for key in ("image_id", "keypoints"):
        if key not in item:
            raise FormatError(
                f"{where}: expected a result with {key!r}, found the keys {', '.join(map(short, list(item)[:8]))}"
            )
    pictures.add(
        item["image_id"],
        item,
        joints_of(item["keypoints"], f"{where}['keypoints']"),
        box_from_size(item.get("bbox"), f"{where}['bbox']"),
        where,
    )


def _add_people(rows: Rows, frame: int, people: Any, where: str) -> None:
    """The people of one frame of MMPose's predictions; their boxes are corners, each in a list of its own."""
    if not isinstance(people, list):
        raise FormatError(f"{where}: expected a list, found {short(people)}")
    for i, person in enumerate(people):
        here = f"{where}[{i}]"
        if not isinstance(person, dict) or not {"keypoints", "keypoint_scores"} <= person.keys():
            raise FormatError(f"{here}: expected an object with 'keypoints' and 'keypoint_scores'")
        points = numbers(person["keypoints"], f"{here}['keypoints']")
        scores = numbers(person["keypoint_scores"], f"{here}['keypoint_scores']")
        if points.ndim != 2 or points.shape != (scores.size, 2):
            raise FormatError(
                f"{here}: expected x, y and a score of each joint, found {points.shape}, {scores.shape}"
            )
        box = person.get("bbox")
        box = numbers([np.nan] * 4 if box is None else box, f"{here}['bbox']").ravel()
        if box.shape != (4,):
            raise FormatError(f"{here}['bbox']: expected x1, y1, x2, y2, found {box.size} numbers")
        joints = np.concatenate([points, scores.reshape(-1, 1)], 1)
        rows.add(frame, identity_of(person), joints, box, here)


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
                result = {
                    "image_id": int(clip.frame[row]),
                    "category_id": 1,
                    "track_id": int(clip.track[row]),
                    **({} if (box := box_as_size(clip.boxes[row])) is None else {"bbox": box}),
                    "keypoints": keypoints.ravel().tolist(),
                    "score": float(keypoints[:, 2].mean()),
                }
                out.write((",\n" if row else "") + json.dumps(result))
            out.write("]\n")
