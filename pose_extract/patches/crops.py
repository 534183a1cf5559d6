"""Crop square pieces of a picture around people's joints."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from pose_extract.patches.settings import PatchSettings


def crops_around(
    image: NDArray[np.uint8],
    keypoints: NDArray[np.floating],
    boxes: NDArray[np.floating],
    settings: PatchSettings,
) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """The crops around the joints of a frame's people.

    A crop is centred on its joint to the fraction of a pixel (bilinear). Where it reaches over the frame's border, the
    border's pixels go on. A joint that is missing, below ``min_confidence`` or outside the frame has no crop. Crops
    that are larger than ``size`` are averaged down, not sampled.

    Args:
        image: (H, W, 3) BGR uint8.
        keypoints: (P, V, 3 or 4), x and y in pixels first, confidence last.
        boxes: (P, 4) pixels, for crops whose size follows the person's; who has none has no crops then.
        settings: size, and which joints have a crop.

    Returns:
        (P, V, S, S, 3) RGB uint8, zeros where there is none, and (P, V) whether there is one.
    """
    people, joints = keypoints.shape[:2]
    size = settings.size
    height, width = image.shape[:2]
    where, confidence = keypoints[..., :2], keypoints[..., -1]
    with np.errstate(invalid="ignore"):
        usable = np.isfinite(where).all(-1) & (confidence > 0) & (confidence >= settings.min_confidence)
        usable &= ((where >= 0) & (where < (width, height))).all(-1)
    crops = np.zeros((people, joints, size, size, 3), np.uint8)
    sides = np.full(people, float(size))
    if settings.relative:
        tall = (boxes[:, 2:] - boxes[:, :2]).max(axis=1)
        usable &= np.isfinite(tall)[:, None]
        # Nobody is much larger than the frame: a box that is would ask for all memory.
        sides = np.clip(settings.relative * tall, 2.0, 4.0 * max(height, width))
    for p, v in zip(*np.nonzero(usable), strict=True):
        crops[p, v] = _crop(image, where[p, v], float(sides[p]), size)
    return crops[..., ::-1], usable


def _crop(
    image: NDArray[np.uint8], centre: NDArray[np.floating], side: float, size: int
) -> NDArray[np.uint8]:
    """One crop (S, S, 3) of ``side`` pixels of the frame; pixel (i, j) of the picture covers [j, j+1) x [i, i+1)."""
    inner = int(np.ceil(side)) if side > 1.5 * size else size
    step = side / inner
    corner = (np.asarray(centre, float) - side / 2) + step / 2 - 0.5  # centre of the crop's first pixel
    matrix = np.array([[step, 0, corner[0]], [0, step, corner[1]]])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    crop = cv2.warpAffine(image, matrix, (inner, inner), flags=flags, borderMode=cv2.BORDER_REPLICATE)
    if inner != size:
        crop = cv2.resize(crop, (size, size), interpolation=cv2.INTER_AREA)
    return crop
