"""Read data sets of annotated pictures in COCO's layout, PoseTrack18's among them: ``images`` and ``annotations``."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pose_extract.errors import FormatError, short
from pose_extract.formats.clip_builder import MOST_FRAMES, ClipSource, Rows, make_clip
from pose_extract.formats.identities import identity_of
from pose_extract.formats.options import ImportOptions
from pose_extract.formats.parsing import box_from_size, frame_number, joints_of, numbers, skeleton_of
from pose_extract.skeletons import POSETRACK17, Skeleton
from pose_extract.tracks.records import ClipTracks


def read_dataset(
    part: Path, content: dict[str, Any], format_name: str, options: ImportOptions
) -> Iterator[ClipTracks]:
    """The clips of a data set: pictures of one video (``vid_id``) or, without that, of one folder and size.

    Pictures of different sizes in one folder are clips of one frame each. A joint's flag becomes a confidence: COCO's 2
    (visible) is 1 and its 1 (hidden) 0.5; where nothing is 2, as in PoseTrack, 1 is 1. People without ids are followed.
    """
    images = _objects(content, "images", part)
    by_id: dict[Any, dict[str, Any]] = {}
    for i, image in enumerate(images):
        number = image.get("id")
        if not isinstance(number, (int, str)):
            raise FormatError(
                f"{part}: ['images'][{i}]: expected a number or name 'id', found {short(number)}"
            )
        by_id[number] = image
    people: dict[Any, list[tuple[str, dict[str, Any]]]] = defaultdict(list)
    for i, person in enumerate(_objects(content, "annotations", part)):
        where = f"{part}: ['annotations'][{i}]"
        image_id = person.get("image_id")
        if not isinstance(image_id, (int, str)) or image_id not in by_id:
            raise FormatError(
                f"{where}['image_id']: expected the id of one of the images, found {short(image_id)}"
            )
        if person.get("keypoints") and person.get("iscrowd") in (None, 0, False):  # else a box without a pose
            people[image_id].append((where, person))
    skeleton = _skeleton(content, people, part)
    for clip, pictures in _clips(by_id.values(), part, _video_names(content)).items():
        yield _clip(part, clip, pictures, people, skeleton, format_name, options)


def _objects(content: dict[str, Any], key: str, part: Path) -> list[dict[str, Any]]:
    values = content.get(key)
    if not isinstance(values, list) or not all(isinstance(value, dict) for value in values):
        raise FormatError(f"{part}: [{key!r}]: expected a list of objects")
    return values


def _skeleton(content: dict[str, Any], people: dict[Any, list[Any]], part: Path) -> Skeleton:
    """By the names of the category's joints, else by their number."""
    categories = content.get("categories")
    category = categories[0] if isinstance(categories, list) and categories else {}
    names = category.get("keypoints") if isinstance(category, dict) else None
    if isinstance(names, list) and "head_bottom" in names:
        return POSETRACK17
    for where, person in (entry for entries in people.values() for entry in entries):
        return skeleton_of(len(joints_of(person["keypoints"], f"{where}['keypoints']")), where)
    return skeleton_of(len(names) if isinstance(names, list) and names else 17, str(part))


def _size(image: dict[str, Any]) -> tuple[int, int] | None:
    width, height = image.get("width"), image.get("height")
    known = all(isinstance(side, int) and 0 < side <= 100_000 for side in (width, height))
    return (width, height) if known else None  # type: ignore[return-value]


def _video_names(content: dict[str, Any]) -> dict[Any, str]:
    """The names of the videos by their ids, as COCO-video has them."""
    videos = content.get("videos")
    return {
        video["id"]: video["name"]
        for video in (videos if isinstance(videos, list) else [])
        if isinstance(video, dict)
        and isinstance(video.get("id"), (int, str))
        and isinstance(video.get("name"), str)
    }


def _clips(images: Any, part: Path, videos: dict[Any, str]) -> dict[str, list[tuple[int, dict[str, Any]]]]:
    """Clip -> its pictures with their frame numbers."""
    groups: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for image in images:
        name = image.get("file_name")
        folder = PurePosixPath(name).parent.name if isinstance(name, str) else ""
        video = image.get("vid_id", image.get("video_id"))
        groups[videos.get(video, str(video)) if isinstance(video, (int, str)) else folder].append(image)
    clips: dict[str, list[tuple[int, dict[str, Any]]]] = {}
    for group, pictures in groups.items():
        if len({_size(image) for image in pictures}) > 1:
            for image in pictures:
                stem = PurePosixPath(str(image.get("file_name", image["id"]))).stem
                clips[f"{group}_{stem}" if group else stem] = [(-1, image)]
        else:
            name = group or part.stem
            clips[name] = [
                (
                    frame_number(image.get("file_name", image["id"]), f"{part}: image {short(image['id'])}"),
                    image,
                )
                for image in pictures
            ]
    return clips


def _clip(
    part: Path,
    clip: str,
    pictures: list[tuple[int, dict[str, Any]]],
    people: dict[Any, list[tuple[str, dict[str, Any]]]],
    skeleton: Skeleton,
    format_name: str,
    options: ImportOptions,
) -> ClipTracks:
    start = options.first_frame or 0
    rows = Rows()
    for number, image in pictures:
        for where, person in people[image["id"]]:
            joints = _joints(person, where)
            if len(joints) != skeleton.num_joints:
                raise FormatError(f"{where}: expected {skeleton.num_joints} joints, found {len(joints)}")
            identity = identity_of(person)
            rows.add(
                start if number < 0 else number,
                identity,
                joints,
                box_from_size(person.get("bbox") or None, f"{where}['bbox']"),
                where,
            )
    told = [n for _, image in pictures if isinstance(n := image.get("nframes"), int) and 0 < n <= MOST_FRAMES]
    counts = [min(number - start + 1, MOST_FRAMES) for number, _ in pictures if number >= 0]
    return make_clip(
        rows,
        ClipSource(
            where=part,
            clip=clip,
            format_name=format_name,
            skeleton=skeleton,
            fps=options.rate(),
            frame_size=options.size(_size(pictures[0][1])),
            frame_count=max([1, *told, *counts]),
        ),
        options,
    )


def _joints(person: dict[str, Any], where: str) -> NDArray[np.float64]:
    """(V, 3) with confidences in place of flags."""
    joints = joints_of(person["keypoints"], f"{where}['keypoints']")
    scores = person.get("scores")
    if scores:
        confidence = numbers(scores, f"{where}['scores']").ravel()
        if len(confidence) != len(joints):
            raise FormatError(f"{where}['scores']: expected {len(joints)} numbers, found {len(confidence)}")
        joints[:, 2] = confidence
    elif np.isin(joints[:, 2], (0, 1, 2)).all() and (joints[:, 2] == 2).any():
        joints[:, 2] /= 2
    return joints
