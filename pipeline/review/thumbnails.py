"""Make the small pictures of the page's lists: the person or the thing that an event is about, at its peak."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.pictures.drawing import draw_people, draw_things
from pipeline.review.thresholds import Peaks
from pose_extract.errors import VideoError
from pose_extract.files import write_atomically
from pose_extract.skeletons import Skeleton
from pose_extract.tracks.records import ClipTracks
from pose_extract.tracks.things import KINDS
from pose_extract.video import VideoReader, VideoSettings, VideoSource
from pose_extract.video.reader import VideoInfo
from pose_extract.video.stills import read_still

SIZE = (192, 108)  # pixels: twice what the lists show
_ROOM = 1.6  # height of what is shown, in heights of the person
_LEAST = 0.3  # of the frame's height is shown
_QUALITY = 80
_DARK = (17, 13, 11)
_MAX_SIDE = 1920
_MOST = 24  # of a clip
_NEAR_S = 1.0
_MOST_FAILED = 2  # frames that cannot be read, until no more is looked for: each may take a minute


def chosen_frames(peaks: Peaks, usual: int, highest: int) -> tuple[list[int], int]:
    """The frames to show of a clip, and how many of them, from the first on, are worth a look into the video.

    These are where its score is highest, and its events' peaks at the model's threshold. Those of lower thresholds
    follow, which most never see: they are drawn.

    Args:
        peaks: of its events.
        usual: the stop that is the model's own threshold.
        highest: the frame of the highest score.
    """
    order = np.lexsort((peaks.frame, -peaks.last))[:_MOST]
    frames = list(dict.fromkeys([highest, *peaks.frame[order].tolist()]))
    known = {highest, *peaks.frame[peaks.last >= usual].tolist()}
    return frames, sum(frame in known for frame in frames)


def write_thumbnails(
    folder: Path,
    tracks: ClipTracks,
    source: VideoSource | None,
    frames: Sequence[int],
    pictured: int,
    people: NDArray[np.integer],
    skeleton: Skeleton | None,
    things: NDArray[np.integer] | None = None,
    advance: Callable[[int], object] = lambda pictures: None,
) -> tuple[int, VideoInfo | None]:
    """Write ``FRAME.jpg`` for each of some frames; returns their bytes, and what the reader says of the video.

    Without a source, or where its frame cannot be read, skeletons are drawn instead. The thing that the score is about
    has a box.

    Args:
        folder: where to.
        tracks: of the clip.
        source: its video; None: skeletons only.
        frames: numbers of frames.
        pictured: so many of them, from the first on, are looked for in the video.
        people: (F,) the most unusual person of each frame of the clip, 0: nobody.
        skeleton: of the tracks; None: not known, and no bones are drawn.
        things: (F,) the thing that each frame's score is about, 0: none.
        advance: called with the number of pictures done meanwhile.
    """
    info, failed = None, 0
    if source is not None:
        try:
            with VideoReader(source, VideoSettings(max_side=_MAX_SIDE)) as reader:
                info = reader.info
        except VideoError:  # gone since it was extracted: the page shows skeletons as well
            source = None
    size = 0
    for number, frame in enumerate(frames):
        rows = slice(*np.searchsorted(tracks.frame, [frame, frame + 1]))
        image = None
        if source is not None and info is not None and number < pictured and failed < _MOST_FAILED:
            image = read_still(source, info, float(tracks.time_s[frame]))
            failed += image is None
        if image is None:
            image = _skeletons(tracks, rows, skeleton)
        scale = image.shape[1] / tracks.frame_size[0]
        box = _box_of(tracks, int(people[frame]), frame)
        if things is not None and things[frame] and tracks.things is not None:
            seen = tracks.things.at(frame)
            seen = seen.select(seen.ids == things[frame])
            if len(seen):
                box = seen.boxes[0].astype(np.float64)
                image = image.copy()
                draw_things(image, seen.boxes * scale, [KINDS[int(seen.kinds[0])]], np.ones(1, bool))
        small = cv2.resize(
            _about(image, None if box is None else box * scale), SIZE, interpolation=cv2.INTER_AREA
        )
        done, jpeg = cv2.imencode(".jpg", small, [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
        if done:
            write_atomically(folder / f"{frame}.jpg", jpeg.tobytes())
            size += len(jpeg)
        advance(1)
    return size, info


def _box_of(tracks: ClipTracks, person: int, frame: int) -> NDArray[np.float64] | None:
    """Where somebody is in a frame, between the frames around it if not seen in it; None: nowhere near it."""
    rows = np.flatnonzero(tracks.track == person)
    seen_s, at_s = tracks.time_s[tracks.frame[rows]], tracks.time_s[frame]
    if not len(rows) or np.abs(seen_s - at_s).min() > _NEAR_S:
        return None
    return np.array([np.interp(at_s, seen_s, side) for side in np.asarray(tracks.boxes[rows], float).T])


def _skeletons(tracks: ClipTracks, rows: slice, skeleton: Skeleton | None) -> NDArray[np.uint8]:
    """Everybody in a frame without the picture."""
    width, height = tracks.frame_size
    image = np.full((height, width, 3), _DARK, np.uint8)
    if skeleton is not None and len(skeleton.joints) == tracks.keypoints.shape[1]:
        count = rows.stop - rows.start
        draw_people(image, tracks.keypoints[rows], tracks.boxes[rows], None, np.full(count, np.nan), skeleton)
    return image


def _about(image: NDArray[np.uint8], box: NDArray[np.floating] | None) -> NDArray[np.uint8]:
    """The part of a picture about a box, in the shape of a thumbnail; all of it (with bars, if need be) without one."""
    height, width = image.shape[:2]
    shape = SIZE[0] / SIZE[1]
    tall, centre = max(height, width / shape), np.array([width / 2, height / 2])
    if box is not None and np.isfinite(box).all():
        x1, y1, x2, y2 = np.clip(box, 0, [width, height, width, height])
        centre = np.array([x1 + x2, y1 + y2]) / 2
        wanted = max(_ROOM * (y2 - y1), _ROOM * (x2 - x1) / shape, _LEAST * height)
        tall = min(tall, wanted)
    wide, tall = max(2, round(tall * shape)), max(2, round(tall))
    left, top = (
        int(np.clip(round(c - size / 2), min(0, (most - size) // 2), max(most - size, (most - size) // 2)))
        for c, size, most in ((centre[0], wide, width), (centre[1], tall, height))
    )
    shown = np.full((tall, wide, 3), _DARK, np.uint8)
    x1, y1, x2, y2 = max(left, 0), max(top, 0), min(left + wide, width), min(top + tall, height)
    shown[y1 - top : y2 - top, x1 - left : x2 - left] = image[y1:y2, x1:x2]
    return shown
