"""Find what moves, or stays where nothing was, and is covered by no person."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from pose_extract.estimators.motion import MotionProposals
from pose_extract.skeletons import Skeleton
from pose_extract.skeletons.similarity import box_containment, box_iou
from pose_extract.things.background import ParkedObjects, RestlessPlaces, part_of
from pose_extract.things.settings import ThingSettings
from pose_extract.tracks.records import Frame, Objects, PoseDetections, Uncovered
from pose_extract.tracks.things import PERSON, UNKNOWN

FloatArray = NDArray[np.float32]
Grey = NDArray[np.uint8]

_NO_STATURE = 0.25  # of the frame's height: a person's, where nobody has been seen
_SHARE = 0.02  # by which a look at people changes how tall they are taken to be
_GIRTH = 0.16  # of a limb with its clothes, in statures
_WITHIN = 0.6  # share of a region within a detector's box, or a person's, from which it is a part of that
_FILLS, _FILLED = 0.8, 0.4  # share of an object within a region, and of the region that it fills
_BOARD, _WORN = 36, 0.2  # COCO's skateboard: shoes, unless such a share of it stands out beside people
_SAME = 0.5  # share of a box of the detector within a better one from which it goes
_BEYOND = 0.1  # of a person's height: how far feet, clothes and shadow reach beyond the joints
_IS_PERSON = 0.6  # overlap of a thing's box with a person's from which it is the person
_DISTURBED = 0.25  # share of the picture that differs from which the light or the camera has changed
_EDGE = 0.012  # share of the picture's sides: what touches that is not whole,
_LARGE = 0.8  # unless it is so many statures wide
_FEWEST_PIXELS = 16
_MEMORY_S = 30.0  # time constant of the picture of how it was before
_SAME_GREY = 14.0  # grey levels within which a place looks as before
_FAR = 1e6  # pixels; more than whole numbers of OpenCV hold would be an error
_DILATED = 2  # pixels by which regions grow to become one


@dataclass(frozen=True)
class Sighting:
    """What was seen at one look.

    Attributes:
        boxes: (K, 4) x1 y1 x2 y2 in pixels of the frame.
        kinds: (K,) uint8, of `KINDS`.
        score: (K,) 0..1, the detector's; 0 of what it has not named.
        solid: (K,) 0..1, share of the box that stands out of the background and is nobody's.
        outline: (K,) strength of the picture's edges along the outline, in units of those around it.
        before: (K,) the same in the picture as it was before.
        stature: how tall people are in this picture, pixels.
    """

    boxes: FloatArray
    kinds: NDArray[np.uint8]
    score: FloatArray
    solid: FloatArray
    outline: FloatArray
    before: FloatArray
    stature: float

    @classmethod
    def empty(cls, stature: float) -> Sighting:
        """Nothing was seen."""
        none = np.zeros(0, np.float32)
        return cls(np.zeros((0, 4), np.float32), np.zeros(0, np.uint8), none, none, none, none, stature)


class ThingFinder:
    """Looks for things in the frames of one stretch of a clip.

    Args:
        settings: see `ThingSettings`.
        fps: frames a second.
        frame_size: (width, height) in pixels.
        skeleton: of the people.
    """

    def __init__(
        self, settings: ThingSettings, fps: float, frame_size: tuple[int, int], skeleton: Skeleton
    ) -> None:
        self._settings, self._skeleton, self._fps, self._frame_size = settings, skeleton, fps, frame_size
        self._every = max(1, round(settings.interval_s * fps))
        self._motion: MotionProposals | None = None
        self._stature: float | None = None
        self._objects = Objects.empty()
        self._before: NDArray[np.float32] | None = None
        # The background where somebody had stood on it; NaN elsewhere.
        self._true: NDArray[np.float32] | None = None
        self._holes: list[tuple[NDArray[np.floating], NDArray[np.floating]]] = []  # to learn at the next look
        self._restless, self._parked = RestlessPlaces(), ParkedObjects()
        self._seen = 0

    def look(self, frame: Frame, people: PoseDetections) -> Sighting | None:
        """Take the next frame with its people; None where it is not the turn of a look."""
        turn, self._seen = self._seen % self._every == 0, self._seen + 1
        if len(people):
            tall = float(np.median(people.boxes[:, 3] - people.boxes[:, 1]))
            self._stature = tall if self._stature is None else self._stature + _SHARE * (tall - self._stature)
        if people.objects is not None:  # the detector has a rhythm of its own
            self._objects = people.objects
        if people.uncovered is None:  # an estimator that knows of no background
            self._learn(frame.image)
        if not turn:
            return None
        uncovered = self._own(people) if people.uncovered is None else people.uncovered
        objects, self._objects = self._objects, Objects.empty()
        return self._sight(frame.time_s, uncovered, people, objects)

    @property
    def stature(self) -> float:
        """How tall people are in the picture, pixels."""
        return self._stature or _NO_STATURE * self._frame_size[1]

    def _learn(self, image: NDArray[np.uint8]) -> None:
        if self._motion is None:
            self._motion = MotionProposals(self._frame_size, self._fps, 8)
        self._motion.update(image)

    def _own(self, people: PoseDetections) -> Uncovered:
        assert self._motion is not None

        def erase(mask: NDArray[np.uint8], shrink: float) -> None:
            girth = max(1, round(_GIRTH * self.stature * shrink))
            for joints in people.keypoints:
                known = np.isfinite(joints).all(1) & (joints[:, -1] > 0)
                places = np.where(known[:, None], joints[:, :2], 0) * shrink
                pixels = np.clip(np.round(places), -_FAR, _FAR).astype(int)
                if known.sum() > 2:
                    cv2.fillConvexPoly(mask, cv2.convexHull(pixels[known]), 0)
                for a, b in self._skeleton.edges:
                    if known[a] and known[b]:
                        cv2.line(mask, pixels[a].tolist(), pixels[b].tolist(), 0, girth)

        return self._motion.uncovered(erase)

    def learn_hole(self, box: NDArray[np.floating], spare: NDArray[np.floating]) -> None:
        """Take a place for background from now on: somebody who was background has left there.

        Args:
            box: (4,) the place.
            spare: (K, 4) boxes of what stands there and is none of the ground.
        """
        self._holes.append((box, spare))

    def _without_holes(self, mask: NDArray[np.uint8], grey: Grey, shrink: float) -> NDArray[np.uint8]:
        """The mask without what looks as it did when people had left places that they had been background in."""
        for box, spare in self._holes:
            if self._true is None:
                self._true = np.full(grey.shape, np.nan, np.float32)
            ground, here = mask > 0, part_of(box, shrink)
            for other in spare:
                ground[part_of(other, shrink)] = False
            self._true[here] = np.where(ground[here], grey[here], self._true[here])
        self._holes.clear()
        if self._true is None:
            return mask
        with np.errstate(invalid="ignore"):
            same = np.abs(grey - self._true) < _SAME_GREY
        return np.where(same, np.uint8(0), mask)

    def _sight(
        self, time_s: float, uncovered: Uncovered, people: PoseDetections, objects: Objects
    ) -> Sighting:
        shrink = uncovered.mask.shape[1] / self._frame_size[0]
        grey = np.asarray(cv2.cvtColor(uncovered.image, cv2.COLOR_BGR2GRAY), np.uint8)
        if self._before is None:
            self._before = grey.astype(np.float32)
        mask = self._restless.erased(self._without_holes(uncovered.mask, grey, shrink), time_s)
        boxes, rest = self._regions(mask, grey, self._before, shrink)
        if len(boxes) > self._settings.most:  # more than there can be: it is the light, or the camera
            boxes, rest = boxes[:0], rest[:0]
        # People of whom only the detector knows, half hidden ones, are no things either.
        whole = _with_feet(people.boxes)
        persons = np.concatenate([whole, objects.boxes[objects.classes == PERSON]])
        objects = objects.select(objects.classes != PERSON)
        objects = _distinct(self._parked.left_out(objects, uncovered.mask, shrink, time_s))
        if not len(boxes) and not len(objects):  # the usual case
            self._remember(grey)
            return Sighting.empty(self.stature)
        objects = objects.select(box_iou(objects.boxes, persons).max(1, initial=0) < _IS_PERSON)
        free = box_containment(boxes, objects.boxes).max(1, initial=0) < _WITHIN
        # A region that an object fills well is that object, and something beside it.
        inside = box_containment(objects.boxes, boxes).T > _FILLS
        free &= ~(inside & (_areas(objects.boxes) > _FILLED * _areas(boxes)[:, None])).any(1)
        free &= box_containment(boxes, persons).max(1, initial=0) < _WITHIN
        free &= self._is_whole(boxes)
        filled = _filled(objects.boxes, whole, mask, (grey, self._before), shrink)
        shoes = (objects.classes == _BOARD) & (filled[:, 0] < _WORN)
        objects, filled = objects.select(~shoes), filled[~shoes]
        self._remember(grey)
        solid, outline, before = np.concatenate([filled, rest[free]]).astype(np.float32).T
        kinds = np.concatenate([objects.classes, np.full(free.sum(), UNKNOWN)]).astype(np.uint8)
        every = np.concatenate([objects.boxes, boxes[free]]).astype(np.float32)
        score = np.append(objects.scores, np.zeros(int(free.sum()))).astype(np.float32)
        return Sighting(every, kinds, score, solid, outline, before, self.stature)

    def _remember(self, grey: Grey) -> None:
        """The past changes slowly: what stays for a minute becomes a part of it."""
        assert self._before is not None
        cv2.accumulateWeighted(grey, self._before, 1 / max(1.0, _MEMORY_S * self._fps / self._every))

    def _is_whole(self, boxes: FloatArray) -> NDArray[np.bool_]:
        """(K,) whether boxes lie within the picture: of what comes in or goes out, nobody can tell what it is."""
        return off_the_edge(boxes, self._frame_size) | (boxes[:, 2] - boxes[:, 0] > _LARGE * self.stature)

    def _regions(
        self, mask: NDArray[np.uint8], grey: Grey, before: FloatArray, shrink: float
    ) -> tuple[FloatArray, FloatArray]:
        """Boxes (K, 4) in pixels of the frame, and of each (K, 3) how solid it is, and its outline now and before."""
        found: list[list[float]] = []
        differs = np.count_nonzero(mask)
        if not differs or differs > _DISTURBED * mask.size:
            return np.zeros((0, 4), np.float32), np.zeros((0, 3), np.float32)
        grow = 2 * _DILATED
        joined = cv2.dilate(mask, np.ones((grow + 1, grow + 1), np.uint8))
        _, labels, stats, _ = cv2.connectedComponentsWithStats(joined, connectivity=8)
        least = max(_FEWEST_PIXELS, 0.7 * (self._settings.smallest * self.stature * shrink) ** 2)
        large = np.flatnonzero((stats[1:, 2] - grow) * (stats[1:, 3] - grow) >= least) + 1
        for label in large[np.argsort(-stats[large, 4], kind="stable")][: 2 * self._settings.most].tolist():
            x, y, w, h = (int(v) for v in stats[label, :4])
            around = slice(y, y + h), slice(x, x + w)
            part = (labels[around] == label) & (mask[around] > 0)
            area = int(np.count_nonzero(part))
            if area >= least:
                box = [x + _DILATED, y + _DILATED, x + w - _DILATED, y + h - _DILATED]
                solid = area / max(1, (w - grow) * (h - grow))
                edges = (_outline(picture[around], part) for picture in (grey, before))
                found.append([*(v / shrink for v in box), min(solid, 1.0), *edges])
        rows = np.array(found, np.float32).reshape(-1, 7)
        return rows[:, :4], rows[:, 4:]


def off_the_edge(boxes: NDArray[np.floating], frame_size: tuple[int, int]) -> NDArray[np.bool_]:
    """(K,) whether boxes (K, 4) touch no side of the picture."""
    width, height = frame_size
    x1, y1, x2, y2 = boxes.T
    inside = (np.minimum(x1, width - x2) > _EDGE * width) & (np.minimum(y1, height - y2) > _EDGE * height)
    return np.asarray(inside, np.bool_)


def _with_feet(boxes: FloatArray) -> FloatArray:
    """Boxes of people (P, 4) with what of feet, clothes and shadow reaches beyond the joints."""
    beyond = _BEYOND * (boxes[:, 3:] - boxes[:, 1:2])
    return (boxes + beyond * np.array([-1, 0, 1, 1], np.float32)).astype(np.float32)


def _filled(
    boxes: FloatArray,
    people: FloatArray,
    mask: NDArray[np.uint8],
    pictures: tuple[Grey, FloatArray],
    shrink: float,
) -> FloatArray:
    """(K, 3) how solid objects are, and their outlines now and before, as `ThingFinder._regions` has it.

    A person's shoes and shadow, which are not erased from the mask as the limbs are, are no part of an object.
    """
    out = np.zeros((len(boxes), 3), np.float32)
    if not len(boxes):  # the usual case
        return out
    ground = mask > 0
    for person in people:
        ground[part_of(person, shrink)] = False
    for row, box in zip(out, boxes, strict=True):
        around = part_of(box, shrink)
        part = ground[around]
        if part.any():
            row[:] = part.mean(), *(_outline(picture[around], part) for picture in pictures)
    return out


def _areas(boxes: FloatArray) -> FloatArray:
    """(K,) areas of boxes (K, 4)."""
    return np.asarray((boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1]))


def _distinct(objects: Objects) -> Objects:
    """Objects each once, whatever classes the detector is in doubt between."""
    keep: list[int] = []
    for row in np.argsort(-objects.scores, kind="stable").tolist():
        if box_containment(objects.boxes[row : row + 1], objects.boxes[keep]).max(initial=0) < _SAME:
            keep.append(row)
    return objects.select(np.sort(np.array(keep, np.intp)))


def _outline(picture: NDArray[Any], part: NDArray[np.bool_]) -> float:
    """How strong a picture's edges are along the outline of a part of it, in units of those around it."""
    edges = _edges(picture)
    outline = cv2.morphologyEx(part.astype(np.uint8), cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8)) > 0
    outside = ~outline & ~part
    if not outline.any() or not outside.any():
        return 1.0
    return float(edges[outline].mean() / (edges[outside].mean() + 8.0))


def _edges(picture: NDArray[Any]) -> NDArray[np.float32]:
    """(h, w) strength of a picture's edges. `cv2.magnitude` would round them by where in memory they lie."""
    across, down = cv2.Sobel(picture, cv2.CV_32F, 1, 0), cv2.Sobel(picture, cv2.CV_32F, 0, 1)
    return np.sqrt(across * across + down * down)
