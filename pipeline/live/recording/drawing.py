"""What a picture or a clip of an event shows, by what privacy allows."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.live.events.record import LiveEvent
from pipeline.live.recording.privacy import blur_people, empty_ground
from pipeline.live.recording.ring import Moment
from pipeline.pictures.drawing import draw_people
from pose_extract.skeletons import Skeleton
from pose_extract.tracks.records import PoseDetections

_JPEG_QUALITY = 88
_SAME_PERSON = 0.3  # overlap of boxes from which on an event's person is a detected one


def clip_frame(
    moment: Moment, near: Sequence[PoseDetections], privacy: str, skeleton: Skeleton
) -> NDArray[np.uint8]:
    """A frame of a clip (H, W, 3) BGR: as filmed, blurred, or skeletons on an empty ground.

    Args:
        moment: the frame.
        near: people of the frames just before and after it, who are blurred too.
        privacy: "none", "blur" or "skeletons".
        skeleton: of the people's joints.
    """
    image = moment.image() if privacy != "skeletons" else None
    if image is None:
        image = empty_ground(moment.size)
        unknown = np.full(len(moment.people), np.nan)
        draw_people(image, moment.people.keypoints, moment.people.boxes, None, unknown, skeleton)
    elif privacy == "blur":
        blur_people(image, [moment.people, *near], moment.moving)
    return image


def event_picture(
    event: LiveEvent, moment: Moment, near: Sequence[PoseDetections], privacy: str, skeleton: Skeleton
) -> bytes:
    """A JPEG of an event: people with skeletons and boxes, the event's people in the colours of their percentiles.

    Args:
        event: whose people are drawn.
        moment: the frame.
        near: people of the frames just before and after it, who are blurred too.
        privacy: "none", "blur" or "skeletons".
        skeleton: of the people's joints.
    """
    image = moment.image() if privacy != "skeletons" else None
    if image is None:
        image = empty_ground(moment.size)
    elif privacy == "blur":
        blur_people(image, [moment.people, *near], moment.moving)
    boxes = np.asarray(moment.people.boxes, np.float64)
    anomalies, ids = np.full(len(boxes), np.nan), np.full(len(boxes), -1)
    for person in event.people:
        if person.box is None or not len(boxes):
            continue
        overlap = _overlap(boxes, np.array(person.box))
        overlap[ids >= 0] = 0
        best = int(overlap.argmax())
        if overlap[best] >= _SAME_PERSON:
            ids[best] = person.track_id
            anomalies[best] = np.nan if person.percentile is None else person.percentile / 100
    for named in (False, True):  # the event's people on top, with their numbers
        rows = np.flatnonzero((ids >= 0) == named)
        draw_people(
            image,
            moment.people.keypoints[rows],
            boxes[rows],
            ids[rows] if named else None,
            anomalies[rows],
            skeleton,
        )
    return cv2.imencode(".jpg", image, (cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY))[1].tobytes()


def _overlap(boxes: NDArray[np.float64], box: NDArray[np.float64]) -> NDArray[np.float64]:
    """Intersection over union of (P, 4) boxes with one."""
    low, high = np.maximum(boxes[:, :2], box[:2]), np.minimum(boxes[:, 2:], box[2:])
    common = np.clip(high - low, 0, None).prod(axis=1)
    areas = (boxes[:, 2:] - boxes[:, :2]).prod(axis=1) + (box[2:] - box[:2]).prod()
    return np.nan_to_num(common / np.maximum(areas - common, 1e-9))
