"""Drawing people, things, lines and words into pictures; colours and heights that stand for anomaly."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import cv2
import matplotlib
import numpy as np
from numpy.typing import ArrayLike, NDArray
from PIL import Image, ImageDraw, ImageFont

from pose_extract.skeletons import Skeleton

Colour = tuple[int, int, int]

# Percentiles of normal people spread evenly over 0..1, so blue reaches far up: a normal scene must look blue. From blue
# over pale yellow to red, since who cannot tell red from green tells these apart.
SCALE_AT = (0.0, 0.6, 0.85, 0.95, 1.0)
_SCALE_BGR = ((214, 132, 64), (236, 190, 128), (176, 240, 252), (60, 158, 250), (40, 48, 224))
UNKNOWN: Colour = (170, 170, 170)
ALARM: Colour = (40, 40, 235)
TEXT: Colour = (240, 240, 240)
DARK: Colour = (20, 20, 20)
_WHITE: Colour = (255, 255, 255)
_RAREST = 3.0  # the level is full where one normal frame in 10**3 is
_SUBPIXEL_BITS = 4  # drawing coordinates are sixteenths of a pixel: joints do not jitter by rounding
_SMALLEST_LETTER = 5  # that a caption has where there is little room, pixels
_CAPITALS = 0.729  # height of DejaVu Sans's capitals, in ems


def anomaly_colours(anomalies: ArrayLike) -> NDArray[np.uint8]:
    """(N, 3) BGR colours of N percentiles, as `anomaly_colour` gives them."""
    values = np.asarray(anomalies, np.float64)
    channels = [np.interp(values, SCALE_AT, channel) for channel in zip(*_SCALE_BGR, strict=True)]
    colours = np.round(np.nan_to_num(np.stack(channels, axis=-1))).astype(np.uint8)
    colours[np.isnan(values)] = UNKNOWN
    return colours


def anomaly_colour(anomaly: float) -> Colour:
    """BGR colour of a percentile: blue for what is usual, pale yellow at 0.85, red at 1; grey for NaN (not scored)."""
    blue, green, red = anomaly_colours([anomaly])[0].tolist()
    return blue, green, red


def level(percentiles: ArrayLike) -> NDArray[np.float64]:
    """Height 0..1 at which percentiles 0..1 are drawn: how rare, counted in powers of ten. NaN stays.

    0.9 (one normal frame in ten is higher) is at a third, 0.99 at two thirds, 0.999 and above at 1. On a plain axis all
    that may raise an alarm would be in the topmost pixel or two.
    """
    rest = np.clip(1.0 - np.asarray(percentiles, np.float64), 10.0**-_RAREST, 1.0)
    return -np.log10(rest) / _RAREST + 0.0


def _points(xy: ArrayLike) -> NDArray[np.int32]:
    """Pixels to OpenCV's fixed-point drawing coordinates; far outside values clipped so that they fit."""
    return np.round(np.clip(np.asarray(xy, np.float64), -1e5, 1e5) * (1 << _SUBPIXEL_BITS)).astype(np.int32)


@lru_cache(maxsize=64)
def _font(height: int, bold: bool) -> ImageFont.FreeTypeFont:
    name = "DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf"
    path = Path(matplotlib.get_data_path()) / "fonts" / "ttf" / name  # comes with matplotlib on every system
    return ImageFont.truetype(str(path), height / _CAPITALS)


@lru_cache(maxsize=4096)
def _stencil(text: str, height: int, bold: bool) -> tuple[NDArray[np.uint16], int, int]:
    """Opacity (h, w, 1) 0..255 of a text, and where its top left corner is seen from the start of its baseline."""
    font = _font(height, bold)
    left, top, right, bottom = font.getbbox(text, anchor="ls")
    picture = Image.new("L", (max(1, round(right - left)), max(1, round(bottom - top))))
    ImageDraw.Draw(picture).text((-left, -top), text, 255, font, anchor="ls")
    return np.asarray(picture, np.uint16)[:, :, None], round(left), round(top)


def text_width(text: str, height: int, bold: bool = False) -> int:
    """Pixels that ``text`` takes from left to right."""
    stencil, left, _ = _stencil(text, height, bold)
    return stencil.shape[1] + left


def write_text(
    image: NDArray[np.uint8],
    text: str,
    at: tuple[int, int],
    height: int,
    colour: Colour = TEXT,
    bold: bool = False,
) -> None:
    """Write ``text`` with capitals ``height`` pixels high, ``at`` its bottom left corner."""
    stencil, left, top = _stencil(text, height, bold)
    x, y = at[0] + left, at[1] + top
    x1, y1 = max(0, x), max(0, y)
    part = image[y1 : max(0, y + stencil.shape[0]), x1 : max(0, x + stencil.shape[1])]
    if part.size:
        opacity = stencil[y1 - y : y1 - y + part.shape[0], x1 - x : x1 - x + part.shape[1]]
        part[:] = (part * (255 - opacity) + np.array(colour, np.uint16) * opacity + 127) // 255


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

    Each has a box whose upper edge is a bar, as long as the `level` of the person's anomaly, and above it the id. Of
    somebody who is here, but not one joint of whom is seen, only the box's corners are drawn.

    Args:
        image: (H, W, 3) BGR uint8, changed in place. Line widths follow its height.
        keypoints: (P, V, 3) x px, y px, confidence (or (P, V, 4) with a z before the confidence).
        boxes: (P, 4) x1 y1 x2 y2 px.
        ids: (P,) track ids to write above the boxes, or None.
        anomalies: (P,) percentiles 0..1; NaN: not scored.
        skeleton: what the V joints are.
        min_confidence: joints below it are left out.
    """
    if not len(boxes):
        return
    thin = max(1, round(image.shape[0] / 480))
    letter = max(7, round(image.shape[0] / 55))
    colours, levels = anomaly_colours(anomalies).tolist(), level(anomalies)
    xy, confidence = keypoints[..., :2], keypoints[..., -1]
    seen = (confidence >= min_confidence) & (confidence > 0) & np.isfinite(xy).all(axis=2)
    points = _points(np.where(seen[..., None], xy, 0.0))
    boxed = np.isfinite(boxes).all(axis=1)
    corners = _points(np.where(boxed[:, None], boxes, 0.0))
    first, second = (np.array([edge[end] for edge in skeleton.edges], int) for end in (0, 1))
    for row in np.argsort(np.nan_to_num(anomalies, nan=-1.0), kind="stable"):
        colour = colours[row]
        # Widths follow the image, but a small person must not vanish under the lines.
        tall = boxes[row, 3] - boxes[row, 1] if boxed[row] else image.shape[0]
        bone = max(1, round(min(image.shape[0] / 240, tall / 40)))
        if boxed[row]:
            _box(image, corners[row], colour, thin, whole=bool((confidence[row] > 0).any()))
        drawn = seen[row, first] & seen[row, second]
        bones = list(np.stack((points[row, first[drawn]], points[row, second[drawn]]), axis=1))
        if bones:  # a dark rim keeps the lines visible on any background
            cv2.polylines(image, bones, False, DARK, bone + 2 * thin, cv2.LINE_AA, _SUBPIXEL_BITS)
            cv2.polylines(image, bones, False, colour, bone, cv2.LINE_AA, _SUBPIXEL_BITS)
        radius = (bone + thin) << (_SUBPIXEL_BITS - 1)
        for x, y in points[row, seen[row]].tolist():
            cv2.circle(image, (x, y), radius, _WHITE, -1, cv2.LINE_AA, _SUBPIXEL_BITS)
        if boxed[row]:
            top = _bar(image, boxes[row], float(levels[row]), 2 * thin, colour)
            if ids is not None:
                _label(
                    image,
                    str(int(ids[row])),
                    round(float(np.clip(boxes[row, 0], -1e5, 1e5))),
                    top,
                    letter,
                    colour,
                )


def draw_things(
    image: NDArray[np.uint8],
    boxes: NDArray[np.floating],
    words: Sequence[str],
    marked: NDArray[np.bool_],
) -> None:
    """Draw K things into ``image``: thin and faint boxes, on top and in the alarm's colour those that it is about.

    Args:
        image: (H, W, 3) BGR uint8, changed in place. Line widths follow its height.
        boxes: (K, 4) x1 y1 x2 y2 px.
        words: what to write at each one; may be empty.
        marked: (K,) whether the alarm is about it.
    """
    thin = max(1, round(image.shape[0] / 480))
    letter = max(7, round(image.shape[0] / 55))
    whole = np.clip(boxes, -1e5, 1e5).round().astype(int).tolist()
    for row in np.argsort(marked, kind="stable").tolist():
        x1, y1, x2, y2 = whole[row]
        if marked[row]:
            cv2.rectangle(image, (x1, y1), (x2, y2), DARK, 4 * thin)
            cv2.rectangle(image, (x1, y1), (x2, y2), ALARM, 2 * thin)
            if words[row]:
                _label(image, words[row], x1, y1 - thin, letter, ALARM)
            continue
        for rows, columns in (
            ((y1, y1 + thin), (x1, x2)), ((y2 - thin, y2), (x1, x2)), ((y1, y2), (x1, x1 + thin)),
            ((y1, y2), (x2 - thin, x2)),
        ):  # fmt: skip
            edge = image[slice(*np.clip(rows, 0, None)), slice(*np.clip(columns, 0, None))]
            edge[:] = edge // 2 + np.array(UNKNOWN, np.uint8) // 2
        if words[row]:
            at = max(x1, 0), max(y1 - 2 * thin, letter)
            write_text(image, words[row], (at[0] + 1, at[1] + 1), letter, DARK)
            write_text(image, words[row], at, letter, UNKNOWN)


def draw_caption(image: NDArray[np.uint8], text: str) -> None:
    """Write what an alarm is about on a plate in its colour in the upper left corner of ``image``, in place."""
    letter = max(7, round(image.shape[0] / 45))
    while letter > _SMALLEST_LETTER and text_width(text, letter, bold=True) > 0.9 * image.shape[1]:
        letter -= 1
    _label(image, text[:1].upper() + text[1:], letter, 3 * letter, letter, ALARM)


def _box(
    image: NDArray[np.uint8], corners: NDArray[np.int32], colour: Colour, width: int, whole: bool
) -> None:
    """A box (4,) in fractions of pixels; unless it is drawn whole, a quarter of each side at its ends."""
    x1, y1, x2, y2 = corners.tolist()
    if whole:
        cv2.rectangle(image, (x1, y1), (x2, y2), colour, width, cv2.LINE_AA, _SUBPIXEL_BITS)
        return
    across, down = (x2 - x1) // 4, (y2 - y1) // 4
    for x, inwards in ((x1, across), (x2, -across)):
        for y, along in ((y1, down), (y2, -down)):
            corner = np.array([[x + inwards, y], [x, y], [x, y + along]], np.int32)
            cv2.polylines(image, [corner], False, colour, width, cv2.LINE_AA, _SUBPIXEL_BITS)


def _bar(
    image: NDArray[np.uint8], box: NDArray[np.floating], share: float, height: int, colour: Colour
) -> int:
    """A bar on the upper edge of the box, filled from the left up to ``share``; returns its upper edge."""
    x1, y1, x2, _ = np.clip(box, -1e5, 1e5).round().astype(int).tolist()
    top = max(0, y1 - height)
    if np.isfinite(share):
        image[top : max(0, top + height), max(0, x1) : max(0, x2 + 1)] = DARK
        image[top : max(0, top + height), max(0, x1) : max(0, x1 + round(share * (x2 + 1 - x1)))] = colour
    return top


def _label(image: NDArray[np.uint8], text: str, x: int, y: int, letter: int, colour: Colour) -> None:
    """``text`` on a small plate that stands on the point (x, y), kept inside the image."""
    pad = max(2, letter // 3)
    plate = (text_width(text, letter, bold=True) + 2 * pad, letter + 2 * pad)
    left = min(max(x, 0), max(0, image.shape[1] - plate[0]))
    top = min(max(y - plate[1], 0), max(0, image.shape[0] - plate[1]))
    image[top : top + plate[1], left : left + plate[0]] = colour
    write_text(image, text, (left + pad, top + plate[1] - pad), letter, DARK, bold=True)
