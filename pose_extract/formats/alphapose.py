"""Read and write AlphaPose: results, and the tracked-person JSON of ShanghaiTech's, UBnormal's and Avenue's poses.

Results are a list of people, each with ``image_id``, ``keypoints`` (x, y, confidence of each joint), ``score``, ``box``
(x, y, width, height) and, if they were tracked, ``idx``. Tracked persons are an object person -> frame -> keypoints; in
place of either object there may be a list of objects. People of 17 (COCO), 18 (OpenPose), 26 (Halpe) and 136 joints (a
whole body: its first 26). Pictures are an object picture -> people (``-forvis.json``) or picture -> ``bodies`` or
``people`` (the formats cmu and open). All are read item by item.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from itertools import chain
from operator import methodcaller
from pathlib import Path
from typing import Any

import numpy as np

from pose_extract.errors import FormatError, UsageError, short
from pose_extract.files import complete_or_absent
from pose_extract.formats.base import checked_for_export, files_in, targets
from pose_extract.formats.clip_builder import ClipSource, Rows, make_clip
from pose_extract.formats.json_files import JsonItems
from pose_extract.formats.options import ImportOptions
from pose_extract.formats.parsing import (
    box_as_size,
    box_from_size,
    finite_joints,
    frame_number,
    joints_of,
    stack_joints,
)
from pose_extract.formats.picture_rows import Clips, PictureRows
from pose_extract.tracks.records import ClipTracks

_NO_BOX = np.full(4, np.nan)
_JOINTS = ("keypoints", "joints", "pose_keypoints_2d")  # keys of a person's
_ENDINGS = re.compile(r"[_-]?(alphapose|results|tracked[_-]persons?|forvis)(?=$|[_-])", re.IGNORECASE)


def find(path: Path) -> list[Path]:
    """Every JSON file."""
    return files_in(path, "*.json")


def read(part: Path, options: ImportOptions) -> Iterator[ClipTracks]:
    """The clip of a file; of results and pictures, one for each clip that the pictures' names tell of."""
    with JsonItems(part, _JOINTS) as items:
        people = iter(items)
        first = next(people, None)
        if first is not None and isinstance(first[1], dict) and "image_id" in first[1]:
            clips = _results(part, first, people)
        elif first is not None and _of_picture(*first):
            clips = _pictures(part, first, people)
        else:
            clips = _tracked(part, first, people)
    twice = max(items.counts.values()) - sum(len(rows) for rows, _ in clips.values())
    if twice > 0:
        next(iter(clips.values()))[0].left_out["under a key that an object has twice"] += twice
    for name, (rows, frames) in clips.items():
        yield make_clip(
            rows,
            ClipSource(
                where=part,
                clip=name or title_of(part),
                format_name="alphapose",
                fps=options.rate(),
                frame_size=options.size(),
                frame_count=frames - (options.first_frame or 0),
            ),
            options,
        )


def _results(part: Path, first: Any, people: Iterator[Any]) -> Clips:
    pictures = PictureRows(part)
    for index, person in chain([first], people):
        where = f"{part}: [{index}]"
        for key in ("image_id", "keypoints"):
            if not isinstance(person, dict) or key not in person:
                raise FormatError(f"{where}: expected an object with {key!r}")
        _add(
            pictures,
            person["image_id"],
            person,
            joints_of(person["keypoints"], f"{where}['keypoints']"),
            where,
        )
    return pictures.clips()


def _add(pictures: PictureRows, image: Any, person: dict[str, Any], joints: Any, where: str) -> None:
    pictures.add(image, person, joints, box_from_size(person.get("box"), f"{where}['box']"), where)


def _of_picture(key: Any, value: Any) -> bool:
    """Whether an item is a picture -> people, and not a person -> frames."""
    if isinstance(value, dict):
        return isinstance(value.get("bodies"), list) or isinstance(value.get("people"), list)
    if isinstance(value, list) and value:
        return isinstance(value[0], dict) and "keypoints" in value[0]
    return value == [] and isinstance(key, str) and not key.isdecimal()


def _pictures(part: Path, first: Any, items: Iterator[Any]) -> Clips:
    """Picture -> people, as ``-forvis`` files and the formats cmu and open have them."""
    pictures = PictureRows(part)
    for name, value in chain([first], items):
        where = f"{part}: [{name!r}]"
        people = value
        if isinstance(value, dict):
            people = value.get("bodies", value.get("people"))
        if not isinstance(people, list):
            raise FormatError(f"{where}: expected a list of people, found {short(value)}")
        pictures.see(name)
        for i, person in enumerate(people):
            here = f"{where}[{i}]"
            joints = (
                next((person[k] for k in _JOINTS if k in person), None) if isinstance(person, dict) else None
            )
            if joints is None:
                raise FormatError(
                    f"{here}: expected an object with {' or '.join(_JOINTS)}, found {short(person)}"
                )
            _add(pictures, name, person, joints_of(joints, here), here)
    return pictures.clips()


def _tracked(part: Path, first: Any, people: Iterator[Any]) -> Clips:
    rows = Rows()
    item: Any = first
    while item is not None:
        index, value = item
        # A list of objects, each with one person or several, or an object with all of them.
        persons = value.items() if isinstance(index, int) and isinstance(value, dict) else [(index, value)]
        for person, frames in persons:
            _add_person(rows, person, frames, f"{part}: [{person!r}]")
        item = next(people, None)
    return {"": (rows, 0)}


def _add_person(rows: Rows, person: str | int, frames: Any, where: str) -> None:
    text = str(person)
    who = int(text) if re.fullmatch(r"\d{1,9}", text) else text
    if not _add_plain(rows, who, frames, where):
        _add_any(rows, who, frames, where)


def _add_plain(rows: Rows, who: int | str, frames: Any, where: str) -> bool:
    """Add a person whose frames are as most are, numbers -> objects without boxes; False if they are not."""
    try:
        entries = list(frames.values())
        if any(map(_has_box, entries)) or not all(map(str.isdecimal, frames)) or max(map(len, frames)) > 9:
            return False
        poses = [entry["keypoints"] for entry in entries]
        keypoints = stack_joints(poses, where)
    except (AttributeError, TypeError, KeyError, ValueError, FormatError):
        return False
    rows.extend(list(map(int, frames)), [who] * len(poses), keypoints, None, where)
    return True


_has_box = methodcaller("__contains__", "box")


def _add_any(rows: Rows, who: int | str, frames: Any, where: str) -> None:
    numbers, poses, boxes = [], [], []
    for piece in frames if isinstance(frames, list) else [frames]:
        if not isinstance(piece, dict):
            raise FormatError(f"{where}: expected frames (an object or a list of them), found {short(piece)}")
        for frame, entry in piece.items():
            here = f"{where}[{frame!r}]"
            if isinstance(entry, list) and len(entry) == 1 and isinstance(entry[0], dict):
                entry = entry[0]
            if isinstance(entry, list):
                entry = {"keypoints": entry}
            if not isinstance(entry, dict) or "keypoints" not in entry:
                raise FormatError(f"{here}: expected an object with 'keypoints', found {short(entry)}")
            numbers.append(frame_number(frame, here))
            poses.append(entry["keypoints"])
            boxes.append(
                _NO_BOX if entry.get("box") is None else box_from_size(entry["box"], f"{here}['box']")
            )
    rows.extend(
        numbers, [who] * len(poses), stack_joints(poses, where), np.array(boxes).reshape(-1, 4), where
    )


def title_of(part: Path) -> str:
    """``01_0014`` of ``01_0014_alphapose_tracked_person.json``; the folder's name if the file has none of its own."""
    return _ENDINGS.sub("", part.stem).strip("_-") or part.resolve().parent.name


def write(clips: Iterable[ClipTracks], path: Path, layout: str = "tracked") -> None:
    """Write one file a clip.

    Args:
        clips: of coco17, coco18 or halpe26.
        path: a folder or a ``.json``.
        layout: "tracked" (person -> frame -> keypoints) or "results" (a list with ``idx``). Both get the boxes.
    """
    if layout not in ("tracked", "results"):
        raise UsageError(f"layout: expected tracked or results, got {layout!r}")
    ending = "_alphapose_tracked_person.json" if layout == "tracked" else "_alphapose-results.json"
    for clip, file in targets(clips, path, ending):
        checked_for_export(clip, "alphapose", ("coco17", "coco18", "halpe26"))
        with complete_or_absent(file) as out:
            (_write_tracked if layout == "tracked" else _write_results)(clip, out)


def _entry(clip: ClipTracks, row: int) -> dict[str, Any]:
    """What both layouts say about a row. A joint that is missing is 0, 0, 0."""
    keypoints = finite_joints(clip.keypoints[row])
    box = box_as_size(clip.boxes[row])
    return {"keypoints": keypoints.ravel().tolist(), **({} if box is None else {"box": box})}


def _write_tracked(clip: ClipTracks, out: Any) -> None:
    for place, person in enumerate(np.unique(clip.track).tolist()):
        out.write(("{" if place == 0 else ",\n") + json.dumps(str(person)) + ": {")
        for i, row in enumerate(np.flatnonzero(clip.track == person).tolist()):
            score = float(finite_joints(clip.keypoints[row])[:, 2].mean())
            entry = json.dumps({**_entry(clip, row), "scores": score})
            out.write((", " if i else "") + f'"{clip.frame[row]:04d}": {entry}')
        out.write("}")
    out.write("}\n" if len(clip) else "{}\n")


def _write_results(clip: ClipTracks, out: Any) -> None:
    out.write("[")
    for row in range(len(clip)):
        head = {"image_id": f"{clip.frame[row]}.jpg", "category_id": 1}
        score = float(finite_joints(clip.keypoints[row])[:, 2].mean())
        entry = {**head, **_entry(clip, row), "score": score, "idx": int(clip.track[row])}
        out.write((",\n" if row else "") + json.dumps(entry))
    out.write("]\n")
