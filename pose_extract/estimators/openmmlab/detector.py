"""Detect people's boxes by any detector of mmdet."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from pose_extract.estimators.openmmlab.networks import Network
from pose_extract.estimators.openmmlab.settings import OpenMMLabSettings

Boxes = tuple[NDArray[np.float32], NDArray[np.float32]]
"""Boxes (P, 4), x1 y1 x2 y2 in pixels, and their scores (P,), best first."""


class PersonDetector:
    """Finds people's boxes in whole batches of frames.

    Args:
        network: the detector.
        settings: which boxes count.
    """

    def __init__(self, network: Network, settings: OpenMMLabSettings) -> None:
        self._network, self._settings = network, settings

    def detect(self, images: Sequence[NDArray[np.uint8]]) -> list[Boxes]:
        """The people of each picture (H, W, 3) BGR."""
        if not images:
            return []
        prepared = self._network.prepare([{"img": image, "img_id": i} for i, image in enumerate(images)])
        return [self._people(sample.pred_instances) for sample in self._network.predict(prepared)]

    def _people(self, found: object) -> Boxes:
        from mmpose.evaluation.functional import nms

        boxes, scores, labels = (
            getattr(found, name).float().cpu().numpy() for name in ("bboxes", "scores", "labels")
        )
        people = (labels == self._settings.person_label) & (scores > self._settings.min_score)
        people &= np.isfinite(boxes).all(1)
        boxes, scores = boxes[people], scores[people]
        keep = nms(np.concatenate([boxes, scores[:, None]], axis=1), self._settings.nms)
        keep = keep[: self._settings.max_people]
        return boxes[keep].astype(np.float32), scores[keep].astype(np.float32)
