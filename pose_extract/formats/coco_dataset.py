"""Read data sets of annotated pictures in COCO's layout, PoseTrack18's among them: ``images`` and ``annotations``."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from itertools import count
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pose_extract.errors import FormatError, short
from pose_extract.formats.clip_builder import MOST_FRAMES, ClipSource, Rows, make_clip
from pose_extract.formats.identities import identity_of
from pose_extract.formats.options import ImportOptions
from pose_extract.formats.parsing import box_from_size, joints_of, numbers, skeleton_of
from pose_extract.formats.picture_names import read_names
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
    if not images:
        raise FormatError(f"{part}: ['images']: expected one or more, found none")
    by_id: dict[Any, dict[str, Any]] = {}
    for i, image in enumerate(images):
        number = image.get("id")
        if not isinstance(number, (int, str)):
            raise FormatError(
                f"{part}: ['images'][{i}]: expected a number or name 'id', found {short(number)}"
            )
        if number in by_id:
            raise FormatError(
                f"{part}: ['images'][{i}]: the id {short(number)} is that of another image, too"
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
    for where, person in (
        entry for entries in people.values() for entry in entries if not _why_left_out(entry[1])
    ):
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
    groups: dict[tuple[str, Any], list[dict[str, Any]]] = defaultdict(list)
    for image in images:
        name = image.get("file_name")
        video = image.get("vid_id", image.get("video_id"))
        if isinstance(video, (int, str)):
            groups["video", video].append(image)
        else:
            groups["folder", str(PurePosixPath(name).parent) if isinstance(name, str) else "."].append(image)
    clips: dict[str, list[tuple[int, dict[str, Any]]]] = {}
    for (kind, key), pictures in groups.items():
        group = videos.get(key, str(key)) if kind == "video" else PurePosixPath(key).name
        names = [image.get("file_name", image["id"]) for image in pictures]
        if len({_size(image) for image in pictures}) > 1:
            for name, image in zip(names, pictures, strict=True):
                stem = PurePosixPath(str(name)).stem
                clips[_free(f"{group}_{stem}" if group else stem, clips)] = [(-1, image)]
            continue
        found: dict[str, list[tuple[int, dict[str, Any]]]] = defaultdict(list)
        for picture, image in zip(read_names(names, f"{part}: images"), pictures, strict=True):
            found[picture.clip].append((picture.frame, image))
        for clip, frames in found.items():
            title = group if len(found) == 1 else "_".join(filter(None, (group, clip)))
            clips[_free(title or part.stem, clips)] = frames
    return clips


def _free(title: str, taken: dict[str, Any]) -> str:
    """The title, with a number if another clip has it."""
    return next(name for n in count(1) if (name := title if n == 1 else f"{title}_{n}") not in taken)


def _why_left_out(person: dict[str, Any]) -> str:
    """Why an annotation is no pose; empty if it is one."""
    if person.get("iscrowd") not in (None, 0, False):
        return "crowds"
    return "" if person.get("keypoints") else "without joints"


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
            if why := _why_left_out(person):
                rows.left_out[why] += 1
                continue
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
