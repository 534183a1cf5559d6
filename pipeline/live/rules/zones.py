"""Which people count, by where they stand."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.live.rules.settings import RuleSettings


class Zones:
    """Tells the people who count from those who do not.

    Args:
        settings: the camera's rules.
    """

    def __init__(self, settings: RuleSettings) -> None:
        self._settings = settings
        self._watch = [(zone, _corners(zone.polygon)) for zone in settings.zones if zone.mode == "watch"]
        self._ignore = [_corners(zone.polygon) for zone in settings.zones if zone.mode == "ignore"]
        self._watch.sort(key=lambda item: item[0].area)  # of zones within each other the smaller one counts

    @property
    def matter(self) -> bool:
        """Whether there is anybody who would not count."""
        return bool(self._settings.zones) or self._settings.min_percentile > 0

    def place(
        self, boxes: NDArray[np.floating], frame_size: tuple[int, int]
    ) -> tuple[NDArray[np.bool_], NDArray[np.float64], list[str | None]]:
        """Where P people stand.

        Args:
            boxes: (P, 4) x1 y1 x2 y2 in pixels; of somebody without a finite box the place is not known: they count
                where there is no zone to watch.
            frame_size: (width, height) in pixels.

        Returns:
            (P,) whether they stand where people are watched; (P,) the percentile from which on they count, 0 to 100;
            the name of each one's zone, or None.
        """
        width, height = frame_size
        watched = np.zeros(len(boxes), bool)
        least = np.full(len(boxes), self._settings.min_percentile)
        names: list[str | None] = [None] * len(boxes)
        for i, box in enumerate(np.asarray(boxes, np.float64).reshape(-1, 4)):
            known = np.isfinite(box).all()
            foot = (float((box[0] + box[2]) / 2 / width), float(box[3] / height)) if known else None
            if foot is not None:  # a box may reach a little out of the picture; its owner stands at the edge
                foot = min(max(foot[0], 0.0), 1.0), min(max(foot[1], 0.0), 1.0)
                if any(_inside(polygon, foot) for polygon in self._ignore):
                    continue
            watched[i] = not self._watch
            for zone, polygon in self._watch if foot is not None else ():
                if _inside(polygon, foot):
                    watched[i], names[i] = True, zone.name
                    least[i] = max(least[i], zone.min_percentile)
                    break
        return watched, least, names

    def counting(
        self, boxes: NDArray[np.floating], percentiles: NDArray[np.floating], frame_size: tuple[int, int]
    ) -> NDArray[np.bool_]:
        """Which of P people may raise an alarm: they are watched, and unusual enough for where they stand.

        Args:
            boxes: (P, 4) x1 y1 x2 y2 in pixels.
            percentiles: (P,) of each one's score, 0 to 100; who has none (NaN) does not count.
            frame_size: (width, height) in pixels.
        """
        watched, least, _ = self.place(boxes, frame_size)
        with np.errstate(invalid="ignore"):
            return watched & (np.asarray(percentiles) >= least)


def _corners(polygon: tuple[tuple[float, float], ...]) -> NDArray[np.float32]:
    return np.array(polygon, np.float32)


def _inside(polygon: NDArray[np.float32], point: tuple[float, float] | None) -> bool:
    """Whether a point lies in a polygon or on its edge; in one that crosses itself, by the even-odd rule."""
    assert point is not None
    return cv2.pointPolygonTest(polygon, point, False) >= 0
