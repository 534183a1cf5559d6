"""Drawing people, lines and words into pictures; colours that stand for anomaly."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from pose_extract.skeletons import Skeleton

Colour = tuple[int, int, int]

# Percentiles of normal people spread evenly over 0..1, so green reaches far up: a normal scene must look green.
_SCALE_AT = (0.0, 0.6, 0.85, 0.95, 1.0)
_SCALE_BGR = ((80, 190, 60), (70, 205, 120), (40, 210, 245), (20, 130, 250), (40, 40, 235))
UNKNOWN: Colour = (170, 170, 170)
TEXT: Colour = (240, 240, 240)
_FONT = cv2.FONT_HERSHEY_SIMPLEX
_SUBPIXEL_BITS = 4  # drawing coordinates are sixteenths of a pixel: joints do not jitter by rounding


def anomaly_colour(anomaly: float) -> Colour:
    """BGR colour of a percentile: green for what is usual, yellow at 0.85 and red at 1; grey for NaN (not scored)."""
    if not np.isfinite(anomaly):
        return UNKNOWN
    blue, green, red = (np.interp(anomaly, _SCALE_AT, channel) for channel in zip(*_SCALE_BGR, strict=True))
    return round(blue), round(green), round(red)


def _points(xy: ArrayLike) -> NDArray[np.int32]:
    """Pixels to OpenCV's fixed-point drawing coordinates; far outside values clipped so that they fit."""
    return np.round(np.clip(np.asarray(xy, np.float64), -1e5, 1e5) * (1 << _SUBPIXEL_BITS)).astype(np.int32)


def draw_lines(image: NDArray[np.uint8], ends: ArrayLike, colour: Colour, width: int) -> None:
    """Smooth lines ``width`` pixels wide; ``ends`` (N, 2, 2) holds each line's two ends, x and y in pixels."""
    cv2.polylines(image, list(_points(ends)), False, colour, width, cv2.LINE_AA, _SUBPIXEL_BITS)


def write_text(
    image: NDArray[np.uint8], text: str, at: tuple[int, int], height: int, colour: Colour = TEXT
) -> None:
    """Write ``text`` with capitals ``height`` pixels high, ``at`` its bottom left corner."""
    width = max(1, round(height / 11))
    cv2.putText(
        image, text, at, _FONT, cv2.getFontScaleFromHeight(_FONT, height, width), colour, width, cv2.LINE_AA
    )


def draw_people(
    image: NDArray[np.uint8],
    keypoints: NDArray[np.floating],
    boxes: NDArray[np.floating],
    ids: NDArray[np.integer] | None,
    anomalies: NDArray[np.floating],
    skeleton: Skeleton,
    min_confidence: float = 0.3,
) -> None:
    """Draw P people into ``image``, the most abnormal last, so on top.

    Args:
        image: (H, W, 3) BGR uint8, changed in place. Line widths follow its height.
        keypoints: (P, V, 3) x px, y px, confidence (or (P, V, 4) with a z before the confidence).
        boxes: (P, 4) x1 y1 x2 y2 px.
        ids: (P,) track ids to write above the boxes, or None.
        anomalies: (P,) percentiles 0..1; NaN: not scored.
        skeleton: what the V joints are.
        min_confidence: joints below it are left out.
    """
    thin = max(1, round(image.shape[0] / 480))
    letter = max(8, round(image.shape[0] / 45))
    for row in np.argsort(np.nan_to_num(anomalies, nan=-1.0), kind="stable"):
        colour = anomaly_colour(float(anomalies[row]))
        x1, y1, x2, y2 = boxes[row]
        if np.isfinite(boxes[row]).all():
            start, end = _points((x1, y1)), _points((x2, y2))
            cv2.rectangle(
                image, tuple(start.tolist()), tuple(end.tolist()), colour, thin, cv2.LINE_AA, _SUBPIXEL_BITS
            )
        xy, confidence = keypoints[row, :, :2], keypoints[row, :, -1]
        seen = (confidence >= min_confidence) & (confidence > 0) & np.isfinite(xy).all(axis=1)
        # Widths follow the image, but a small person must not vanish under the lines.
        bone = max(1, round(min(image.shape[0] / 240, (y2 - y1) / 40))) if np.isfinite(y2 - y1) else thin
        bones = [(xy[a], xy[b]) for a, b in skeleton.edges if seen[a] and seen[b]]
        if bones:  # a dark rim keeps the lines visible on any background
            draw_lines(image, bones, (20, 20, 20), bone + 2 * thin)
            draw_lines(image, bones, colour, bone)
        for point in xy[seen]:
            centre = tuple(_points(point).tolist())
            cv2.circle(
                image,
                centre,
                (bone + thin) << (_SUBPIXEL_BITS - 1),
                (255, 255, 255),
                -1,
                cv2.LINE_AA,
                _SUBPIXEL_BITS,
            )
        if ids is not None and np.isfinite(boxes[row]).all():
            _label(image, str(int(ids[row])), float(x1), float(y1), letter, colour)


def _label(image: NDArray[np.uint8], text: str, x: float, y: float, letter: int, colour: Colour) -> None:
    """``text`` on a small plate that stands on the point (x, y), kept inside the image."""
    pad = max(2, letter // 3)
    width = max(1, round(letter / 11))
    scale = cv2.getFontScaleFromHeight(_FONT, letter, width)
    plate = (cv2.getTextSize(text, _FONT, scale, width)[0][0] + 2 * pad, letter + 2 * pad)
    left = int(np.clip(round(x), 0, max(0, image.shape[1] - plate[0])))
    top = int(np.clip(round(y) - plate[1], 0, max(0, image.shape[0] - plate[1])))
    cv2.rectangle(image, (left, top), (left + plate[0], top + plate[1]), colour, -1)
    write_text(image, text, (left + pad, top + plate[1] - pad), letter, (20, 20, 20))
