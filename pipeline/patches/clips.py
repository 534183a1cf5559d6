"""Clips with their videos, to cut crops out of: which video it is, and the frames that rows of the tracks lie in."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pose_extract.checking import build
from pose_extract.errors import VideoError
from pose_extract.tracks.cache import load_tracks
from pose_extract.tracks.records import ClipTracks
from pose_extract.video import VideoReader, VideoSettings, content_hash, source_at

Images = Callable[[], Iterator[NDArray[np.uint8]]]
"""Gives a clip's frames (H, W, 3) BGR from the first on, anew at each call."""


@dataclass(frozen=True)
class CropClip:
    """A clip to cut crops out of.

    Attributes:
        path: its tracks file.
        tracks: what is in it, features left out.
        images: its frames, those of the video from the first on.
        first: frame of the video that the tracks' frame 0 is.
        other: hash of the video's content, None if the tracks were made of that; None: the tracks say where it is.
    """

    path: Path
    tracks: ClipTracks
    images: Images
    first: int = 0
    other: Callable[[], str | None] | None = None


def clip_of(path: Path, videos: str | None = None) -> CropClip:
    """The clip of a tracks file.

    Args:
        path: the tracks file.
        videos: where its video is, ``{clip}`` standing for the clip's name, that of the whole one if it was cut out of
            another; None: where it was extracted from.

    Raises:
        VideoError: the video is not there.
    """
    tracks = load_tracks(path, features=False)
    learned: Any = tracks.provenance.get("learned") or {}
    name = str(learned.get("clip", tracks.clip))
    source = videos.replace("{clip}", name) if videos else str(tracks.provenance.get("source") or "")
    imported = videos is None and "import" in tracks.provenance
    video = None if imported else source_at(source)
    if video is None:
        none = f"there is none at {source}" if source else "nothing tells where that was"
        found = f"{source} has poses" if imported else none
        raise VideoError(
            f"clip {tracks.clip}: crops need its video, but {found}; say where it is: "
            "--videos 'FOLDER/{clip}.mp4'"
        )
    its: Any = tracks.provenance.get("settings") or {}
    settings = build(VideoSettings, its.get("video") or {})
    made_of = tracks.provenance.get("content")
    content = cache(lambda: content_hash(video))

    def images() -> Iterator[NDArray[np.uint8]]:
        if videos is None and made_of is not None and content() != made_of:
            raise VideoError(
                f"clip {tracks.clip}: {source} is another video now than its tracks were made of; extract it again, or "
                "say where that one is: --videos 'FOLDER/{clip}.mp4'"
            )
        with VideoReader(video, settings) as reader:
            if reader.info.frame_size != tuple(tracks.frame_size):
                raise VideoError(
                    f"clip {tracks.clip}: its tracks are of frames of {tracks.frame_size[0]}x{tracks.frame_size[1]}, "
                    f"those of {source} have {reader.info.frame_size[0]}x{reader.info.frame_size[1]}"
                )
            for frame in reader:
                yield frame.image

    def other() -> str | None:
        return None if content() == made_of else content()

    first = int(learned.get("first_frame", 0))
    return CropClip(path, tracks, images, first, None if videos is None else other)


def frames_with_rows(
    clip: CropClip, wanted: NDArray[np.bool_]
) -> Iterator[tuple[NDArray[np.uint8], NDArray[np.intp]]]:
    """The frames that wanted rows (M,) of the tracks lie in, with the numbers of those rows.

    Raises:
        VideoError: the video ends before the tracks do, or is another one.
    """
    tracks = clip.tracks
    rows = np.flatnonzero(wanted)
    if not len(rows):
        return
    frames = np.asarray(tracks.frame)[rows] + clip.first
    numbers, begins = np.unique(frames, return_index=True)
    groups = dict(zip(numbers.tolist(), np.split(rows, begins[1:]), strict=True))
    last = int(numbers[-1])
    for index, image in enumerate(clip.images()):
        if index in groups:
            yield image, groups[index]
        if index == last:
            return
    raise VideoError(f"clip {tracks.clip}: its tracks go on to frame {last}, but its video ends before that")
