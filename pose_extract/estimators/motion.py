"""Propose people where something moves before a still background."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from pose_extract.tracks.records import Uncovered

FloatArray = NDArray[np.float32]

_SIDE = 640  # the background model works on frames shrunk to this longer side
_MEMORY_S = 60.0  # time constant of the background model
_PERSON_ASPECT = 0.42  # width of an upright walking person's box over its height
_STALE_S = (
    1.0  # after so long without a person, what differs from the background is a place that somebody has left
)
_CLEARER = 1.3  # times as clear as now is an outline in the background's picture, of who has left there


class MotionProposals:
    """Regions that differ from a background learnt over time.

    Args:
        frame_size: (width, height) of the frames, in pixels.
        fps: frames a second.
        min_height: smallest person worth a look, in pixels of the frame.
        background: share of the model's weight that counts as background. What stands still belongs to it after
            -60 s ln(background): 6 s by default.
    """

    def __init__(
        self, frame_size: tuple[int, int], fps: float, min_height: int, background: float = 0.9
    ) -> None:
        self._shrink = min(1.0, _SIDE / max(frame_size))
        self._memory, self._stale_after = max(20, round(_MEMORY_S * fps)), max(2, round(_STALE_S * fps))
        self._model = cv2.createBackgroundSubtractorMOG2(self._memory, 16.0, True)
        self._model.setBackgroundRatio(background)
        self._min_height = max(6.0, min_height * self._shrink)
        self._frames = 0
        self.mask = np.zeros((0, 0), np.uint8)
        self._image = np.zeros((0, 0, 3), np.uint8)
        self._background: NDArray[np.uint8] | None = None  # its picture, once it is asked for
        self._nobody_for = np.zeros(
            (0, 0), np.int16
        )  # frames for which each pixel has differed without a person

    @property
    def ready(self) -> bool:
        """Whether enough frames have been seen to tell motion from background."""
        return self._frames > 5

    def update(self, image: NDArray[np.uint8]) -> None:
        """Learn one more frame and find what moves in it."""
        small = image
        if self._shrink < 1:
            size = (
                max(1, round(image.shape[1] * self._shrink)),
                max(1, round(image.shape[0] * self._shrink)),
            )
            small = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
        self._frames += 1
        self._image, self._background = small, None
        moving = self._model.apply(small, learningRate=1.0 / self._memory)
        moving = np.where(moving == 255, np.uint8(255), np.uint8(0))  # 127 marks shadows
        moving = cv2.medianBlur(moving, 3)
        self.mask = cv2.morphologyEx(moving, cv2.MORPH_CLOSE, np.ones((7, 3), np.uint8))
        if not self.ready or np.count_nonzero(self.mask) > 0.6 * self.mask.size:
            self.mask[:] = 0  # the camera moved or the light changed

    def without(self, erase: Callable[[NDArray[np.uint8], float], None]) -> NDArray[np.uint8]:
        """The mask of what moves, without who is known; ``erase`` as in `boxes`."""
        mask = self.mask.copy()
        erase(mask, self._shrink)
        return cv2.morphologyEx(mask, cv2.MORPH_OPEN, np.ones((3, 3), np.uint8))

    def uncovered(self, erase: Callable[[NDArray[np.uint8], float], None]) -> Uncovered:
        """The same, with the picture."""
        return Uncovered(self.without(erase), self._image)

    def learn_places(self, uncovered: NDArray[np.uint8], people: FloatArray) -> None:
        """Take note of what differs from the background and is nobody's: see `left_over`.

        Who stood in the first frames is background, and the place that they leave differs from it for a minute.

        Args:
            uncovered: the mask of what moves, `without` people.
            people: (P, 4) boxes of all people, those too whose joints are not seen: nothing is noted in them, nor
                around them as far as they are long.
        """
        if self._nobody_for.shape != self.mask.shape:
            self._nobody_for = np.zeros(self.mask.shape, np.int16)
        change = np.where(self.mask > 0, np.int16(0), np.int16(-1))
        change[uncovered > 0] = 1
        reach = (people[:, 2:] - people[:, :2]).max(1, initial=0, keepdims=True)
        around = np.concatenate([people[:, :2] - reach, people[:, 2:] + reach], axis=1)
        for x1, y1, x2, y2 in np.clip(around * self._shrink, 0, None).astype(int).tolist():
            change[y1 : y2 + 1, x1 : x2 + 1] = 0
        self._nobody_for = np.clip(self._nobody_for + change, 0, 2 * self._stale_after)

    def left_over(
        self, box: FloatArray, around: float, mask: NDArray[np.uint8]
    ) -> tuple[tuple[float, float, float, float], float]:
        """What of a mask lies in a box and around it, without what had differed from the background before.

        Args:
            box: (4,) pixels of the frame.
            around: how far beyond the box to look, in units of its sides.
            mask: of the size of the model's frames.

        Returns:
            its bounds x1 y1 x2 y2 in pixels of the frame, without the outermost twentieths, and its area in units of
            the box's. Of an empty one the box, and 0.
        """
        margin = around * (box[2:] - box[:2])
        low = np.maximum((box[:2] - margin) * self._shrink, 0).astype(int)
        high = np.maximum((box[2:] + margin) * self._shrink, 0).astype(int) + 1
        part = slice(low[1], high[1]), slice(low[0], high[0])
        news = mask[part] > 0
        if self._nobody_for.shape == mask.shape:
            news &= self._nobody_for[part] < self._stale_after
        y, x = np.nonzero(news)
        if not len(x) or self._is_hole(news, part):
            return tuple(box.tolist()), 0.0
        bounds = np.quantile(np.stack([x, y]), [0.05, 0.95], axis=1) + low
        x1, y1, x2, y2 = (bounds / self._shrink).ravel().tolist()
        area = max(1.0, float((box[2:] - box[:2]).prod()) * self._shrink**2)
        return (x1, y1, x2, y2), len(x) / area

    def _is_hole(self, news: NDArray[np.bool_], part: tuple[slice, slice]) -> bool:
        """Whether what differs from the background is where somebody, who was part of it, has left.

        Then its outline is in the background's picture, and not in the one of now.

        Args:
            news: what differs, of a part of the picture.
            part: that part.
        """
        outline = cv2.morphologyEx(news.astype(np.uint8), cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8)) > 0
        if self._background is None:
            self._background = self._model.getBackgroundImage()
        now, before = (_edges(picture[part])[outline].sum() for picture in (self._image, self._background))
        return bool(before > _CLEARER * now)

    def boxes(self, erase: Callable[[NDArray[np.uint8], float], None]) -> FloatArray:
        """Boxes (B, 4) of what moves, wide ones split into people too.

        Args:
            erase: gets the mask of what moves, and its size over that of the frame, and clears who is known.
        """
        mask = self.without(erase)
        count, _, stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=8)
        found: list[list[float]] = []
        for x, y, w, h, area in stats[1:count].tolist():
            if max(h, w) < self._min_height or area < 0.1 * w * h or area < 0.12 * self._min_height**2:
                continue
            if min(w, h) < 0.2 * max(w, h):
                continue  # a sliver beside somebody who is known
            found.append([x, y, x + w, y + h])
            if w > 0.8 * h and w > 1.5 * _PERSON_ASPECT * self._min_height:
                found.extend(self._split(mask, x, y, w, h))
        return np.array(found, np.float32).reshape(-1, 4) / np.float32(self._shrink)

    def _split(self, mask: NDArray[np.uint8], x: int, y: int, w: int, h: int) -> list[list[float]]:
        """People side by side: columns as wide as a person of this height, at the densest places."""
        width = max(3, round(_PERSON_ASPECT * h))
        people = min(4, round(w / width))
        if people < 2:
            return []
        edges = np.linspace(x, x + w, people + 1).astype(int)
        parts = []
        for left, right in itertools.pairwise(edges):
            rows = np.flatnonzero(mask[y : y + h, left:right].any(axis=1))
            if len(rows) and rows[-1] - rows[0] >= self._min_height:
                parts.append([float(left), float(y + rows[0]), float(right), float(y + rows[-1] + 1)])
        return parts


def _edges(picture: NDArray[np.uint8]) -> FloatArray:
    """(H, W) how fast grey changes at each pixel of a picture (H, W, 3)."""
    grey = cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY)
    return np.hypot(cv2.Sobel(grey, cv2.CV_32F, 1, 0), cv2.Sobel(grey, cv2.CV_32F, 0, 1))


def erase_figure(
    mask: NDArray[np.uint8],
    joints: NDArray[np.floating],
    torso: Sequence[int],
    limbs: Sequence[tuple[int, int]],
    head: int,
    girth: float,
) -> None:
    """Clear a person, limbs and clothes, from a mask.

    Args:
        mask: (H, W), changed in place.
        joints: (N, 2) in pixels of the mask.
        torso: joints around the torso.
        limbs: pairs of joints.
        head: a joint in the middle of the head.
        girth: of the limbs, in pixels.
    """
    pixels, thick = np.round(joints).astype(int), max(1, round(girth))
    cv2.fillConvexPoly(mask, cv2.convexHull(pixels[list(torso)]), 0)
    for a, b in limbs:
        cv2.line(mask, pixels[a].tolist(), pixels[b].tolist(), 0, thick)
    cv2.circle(mask, pixels[head].tolist(), thick, 0, -1)
