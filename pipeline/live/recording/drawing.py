"""What a picture or a clip of an event shows, by what privacy allows."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.live.events.record import LiveEvent
from pipeline.live.recording.privacy import blur_people, empty_ground
from pipeline.live.recording.ring import Moment
from pipeline.pictures.drawing import draw_people, draw_things
from pose_extract.skeletons import Skeleton
from pose_extract.skeletons.similarity import box_iou
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
    image, filmed = _ground(moment, near, privacy)
    if not filmed:
        unknown = np.full(len(moment.people), np.nan)
        draw_people(image, moment.people.keypoints, moment.people.boxes, None, unknown, skeleton)
    return image


def event_picture(
    event: LiveEvent, moment: Moment, near: Sequence[PoseDetections], privacy: str, skeleton: Skeleton
) -> bytes:
    """A JPEG of an event: people with skeletons and boxes, the event's people in the colours of their percentiles.

    Things that it is about have boxes with words, whatever privacy asks for.

    Args:
        event: whose people and things are drawn.
        moment: the frame.
        near: people of the frames just before and after it, who are blurred too.
        privacy: "none", "blur" or "skeletons".
        skeleton: of the people's joints.
    """
    image, _ = _ground(moment, near, privacy)
    things = np.array([thing.box for thing in event.things], np.float64).reshape(-1, 4)
    draw_things(image, things, [thing.kind for thing in event.things], np.ones(len(things), bool))
    boxes = np.asarray(moment.people.boxes, np.float64)
    anomalies, ids = np.full(len(boxes), np.nan), np.full(len(boxes), -1)
    for person in event.people:
        if person.box is None or not len(boxes):
            continue
        overlap = box_iou(boxes, [person.box])[:, 0]
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


def _ground(moment: Moment, near: Sequence[PoseDetections], privacy: str) -> tuple[NDArray[np.uint8], bool]:
    """What people are drawn on, and whether it was filmed: the frame, blurred if asked for, or an empty ground."""
    image = moment.image() if privacy != "skeletons" else None
    if image is None:
        return empty_ground(moment.size), False
    if privacy == "blur":
        blur_people(image, [moment.people, *near], moment.moving)
    return image, True
