"""OpenPose: a folder with a JSON file a frame, of BODY_25 or COCO-18 people.

The files are named ``<video>_<frame>_keypoints.json``; a folder may hold several videos. People have ids only where
``person_id`` was written with tracking on; otherwise they are followed by their boxes and joints.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from pose_extract.errors import FormatError, short
from pose_extract.files import complete_or_absent
from pose_extract.formats.base import ExportFolders, checked_for_export
from pose_extract.formats.clip_builder import MOST_FRAMES, ClipSource, Rows, make_clip
from pose_extract.formats.json_files import load_json
from pose_extract.formats.options import ImportOptions
from pose_extract.formats.parsing import clip_name, finite_joints, joints_of, skeleton_of
from pose_extract.formats.picture_names import clip_of, read_names
from pose_extract.skeletons import BODY25
from pose_extract.tracks.records import ClipTracks

_ENDING = re.compile(r"[_-](keypoints|pose)$")


def find(path: Path) -> list[Path]:
    """Every folder that has frames' files in it, or the one file."""
    if path.is_file():
        return [path]
    found = sorted({file.parent for file in path.rglob("*.json")})
    if not found:
        raise FormatError(
            f"{path}: expected folders with a file <video>_<frame>_keypoints.json for each frame"
        )
    return found


def read(part: Path, options: ImportOptions) -> Iterator[ClipTracks | FormatError]:
    """The clips of a folder; a damaged frame is reported and left out, as if nobody had been seen in it."""
    named: dict[str, Path] = {}
    for file in sorted(part.glob("*.json")) if part.is_dir() else [part]:
        name = _ENDING.sub("", file.stem)
        if re.search(r"\d", name) is None or re.search(r"\d{19}", name):
            yield FormatError(
                f"{file}: expected a name with the frame's number, <video>_<frame>_keypoints.json"
            )
            continue
        if name in named:
            yield FormatError(f"{named[name]}: left out, {file.name} has the same frame")
        named[name] = file
    videos: dict[str, list[tuple[int, Path]]] = defaultdict(list)
    for picture, file in zip(read_names(list(named), str(part)), named.values(), strict=True):
        videos[picture.clip].append((picture.frame, file))
    if len(videos) == 1:  # the name of the video is in that of its files, if in nothing else
        [frames] = videos.values()
        videos = {clip_of(next(iter(named)), frames[0][0]): frames}
    for video, frames in videos.items():
        yield from _read_video(part, video or part.resolve().name, sorted(frames), options)


def _read_video(
    part: Path, video: str, files: list[tuple[int, Path]], options: ImportOptions
) -> Iterator[ClipTracks | FormatError]:
    fps, size = options.rate(), options.size()
    start = options.first_frame or 0
    rows = Rows()
    readable = False
    for number, file in files:
        try:
            found, bare = _read_frame(file)
            if len({len(joints) for _, joints in found}) > 1:
                raise FormatError(f"{file}: expected people of one number of joints")
            poses = np.array([joints for _, joints in found])
            rows.extend([number] * len(found), [person for person, _ in found], poses, None, str(file))
            rows.left_out.update({"without joints": bare} if bare else {})
        except FormatError as error:
            yield error
        else:
            readable = True
    if not readable:
        return
    yield make_clip(
        rows,
        ClipSource(
            where=part,
            clip=video,
            format_name="openpose",
            skeleton=None if len(rows) else BODY25,
            fps=fps,
            frame_size=size,
            frame_count=min(files[-1][0] - start + 1, MOST_FRAMES),
        ),
        options,
    )


def _read_frame(file: Path) -> tuple[list[tuple[Any, Any]], int]:
    """(id as the file has it, (V, 3) joints) of each person in a frame; and how many show but a face or a hand."""
    content = load_json(file)
    people = content.get("people") if isinstance(content, dict) else None
    if not isinstance(people, list):
        raise FormatError(f"{file}: expected an object with a list 'people', found {short(content)}")
    found: list[tuple[Any, Any]] = []
    for i, person in enumerate(people):
        where = f"{file}: ['people'][{i}]"
        values = None
        if isinstance(person, dict):
            values = person.get("pose_keypoints_2d", person.get("pose_keypoints"))
        if values is None:
            raise FormatError(f"{where}: expected an object with 'pose_keypoints_2d', found {short(person)}")
        if values == []:
            continue
        joints = joints_of(values, f"{where}['pose_keypoints_2d']")
        skeleton_of(len(joints), f"{where}['pose_keypoints_2d']")
        identity = person.get("person_id")
        found.append(
            (None if identity in (-1, [-1], []) else identity, joints)
        )  # so it is written without tracking
    return found, len(people) - len(found)


def write(clips: Iterable[ClipTracks], path: Path) -> None:
    """Write a folder ``path/<clip>`` with a file for each frame, for clips of body25 or coco18.

    Ids go into ``person_id``. A joint that is missing is 0, 0, 0.
    """
    folders = ExportFolders()
    for clip in clips:
        checked_for_export(clip, "openpose", ("body25", "coco18"))
        name = clip_name(clip.clip)
        bounds = np.searchsorted(clip.frame, np.arange(clip.frame_count + 1)).tolist()
        files = [f"{name}_{index:012d}_keypoints.json" for index in range(clip.frame_count)]
        folders.check(path / name, clip.clip, "*.json", frozenset(files))
        for file, (begin, end) in zip(files, pairwise(bounds), strict=True):
            people = [
                {
                    "person_id": [int(clip.track[row])],
                    "pose_keypoints_2d": finite_joints(clip.keypoints[row]).ravel().tolist(),
                }
                for row in range(begin, end)
            ]
            with complete_or_absent(path / name / file) as out:
                json.dump({"version": 1.3, "people": people}, out)
