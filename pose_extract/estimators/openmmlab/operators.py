"""Stand in for mmcv's compiled operators, which need a compiler to install: person detectors call only one of them."""

from __future__ import annotations

import functools
import types
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pose_extract.errors import EstimatorError

_BLOCK = 64  # boxes among which every pair is looked at


class Operators(types.ModuleType):
    """A module for the place of ``mmcv._ext``: NMS works, every other operator says that it is missing when called."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)

        def missing(*args: Any, **kwargs: Any) -> Any:
            raise EstimatorError(
                f"this model needs mmcv's compiled operator {name!r}, which mmcv-lite does not have. Choose another "
                "model, or install mmcv==2.1.0 with compiled operators in the place of mmcv-lite"
            )

        return missing

    @staticmethod
    def nms(boxes: Tensor, scores: Tensor, iou_threshold: float, offset: int) -> Tensor:
        """Non-maximum suppression, to the same indices as mmcv's.

        Args:
            boxes: (B, 4), x1 y1 x2 y2 in pixels.
            scores: (B,).
            iou_threshold: of two boxes that overlap by more than this, the one with the lower score goes.
            offset: 1 if a box of x1 = x2 is a pixel wide, 0 if it is empty.

        Returns:
            Indices (K,) of the boxes that stay, best first.
        """
        boxes, threshold = boxes.detach().float(), np.float32(iou_threshold)
        if offset == 0 and _torchvision_runs_on(boxes.device.type):
            kept: Tensor = torch.ops.torchvision.nms(boxes, scores.detach().float(), float(threshold))
            return kept
        order = torch.argsort(scores.detach(), descending=True, stable=True).cpu().numpy()
        return torch.from_numpy(order[_greedy(boxes.cpu().numpy()[order], threshold, offset)]).to(
            boxes.device
        )


def _greedy(boxes: np.ndarray, threshold: np.float32, offset: int) -> list[int]:
    """Which of the boxes (B, 4), best first, overlap no better one that stays."""
    x1, y1, x2, y2 = np.ascontiguousarray(boxes.T)
    area = (x2 - x1 + offset) * (y2 - y1 + offset)

    def overlapping(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        """Which of the boxes ``a`` (rows) and ``b`` (columns) overlap too much."""
        a = a[:, None]
        width = np.minimum(x2[a], x2[b]) - np.maximum(x1[a], x1[b]) + offset
        height = np.minimum(y2[a], y2[b]) - np.maximum(y1[a], y1[b]) + offset
        shared = np.maximum(width, 0) * np.maximum(height, 0)
        too_much: np.ndarray = shared / (area[a] + area[b] - shared) > threshold
        return too_much

    kept: list[int] = []
    rest = np.arange(len(boxes))
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):  # empty boxes: 0 / 0 overlaps nothing
        while len(rest):
            block, rest = rest[:_BLOCK], rest[_BLOCK:]
            pairs, stays = overlapping(block, block), np.ones(len(block), bool)
            for i in range(len(block)):
                if stays[i]:
                    stays[i + 1 :] &= ~pairs[i, i + 1 :]
            block = block[stays]
            kept += block.tolist()
            rest = rest[~overlapping(block, rest).any(0)]
    return kept


@functools.cache
def _torchvision_runs_on(device: str) -> bool:
    """Whether torchvision's compiled NMS, which is faster, works there."""
    try:
        torch.ops.torchvision.nms(torch.zeros(1, 4, device=device), torch.zeros(1, device=device), 0.5)
    except (AttributeError, RuntimeError):
        return False
    return True
