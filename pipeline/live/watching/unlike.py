"""Say of a camera, once each, what its model has not seen in training."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.scoring import Scorer
from pipeline.scoring.familiarity import Coverage, strange
from pose_extract.tracks.records import ClipTracks

_ENOUGH = 200  # people in single frames that show how tall people are
_MANY = 2000  # those that show how many can be judged, and are unusual


class UnlikeTraining:
    """Compares what a camera shows with what its model was trained on.

    Args:
        scorer: the model.
        estimator: what found the people: its identity.
    """

    def __init__(self, scorer: Scorer, estimator: dict[str, Any]) -> None:
        self._scorer, self._provenance = scorer, {"estimator": estimator}
        self._said: set[str] = set()
        self.restart()

    def restart(self) -> None:
        """Pictures come in another size or at another rate from now on."""
        self._boxes: list[NDArray[np.float32]] = []
        self._rows = 0
        self._coverage = Coverage()

    def add(self, part: ClipTracks, row_percentile: NDArray[np.floating]) -> list[str]:
        """What can be told now that these people were scored, a sentence each; nothing that was told before."""
        if not len(part):
            return []
        found: list[str] = []
        if self._rows < _ENOUGH:
            self._boxes.append(part.boxes)
            self._rows += len(part)
            if self._rows >= _ENOUGH:
                found += strange(
                    self._seen_here(part), self._scorer.seen, self._scorer.model.settings.windows
                )
        self._coverage.add(row_percentile)
        if self._coverage.people >= _MANY:
            found += self._coverage.remarks()
            self._coverage = Coverage()
        # Of a remark with other numbers, the words are the same.
        kinds = {"".join(sign for sign in text if not sign.isdigit()): text for text in found}
        new = [text for kind, text in kinds.items() if kind not in self._said]
        self._said |= kinds.keys()
        return new

    def _seen_here(self, part: ClipTracks) -> ClipTracks:
        """A clip of one frame with everybody who was seen so far."""
        boxes = np.concatenate(self._boxes)
        keypoints = np.zeros((len(boxes), *part.keypoints.shape[1:]), np.float32)
        return replace(
            part,
            time_s=part.time_s[:1],
            frame=np.zeros(len(boxes), np.int32),
            track=np.arange(1, len(boxes) + 1, dtype=np.int32),
            keypoints=keypoints,
            boxes=boxes,
            features=None,
            things=None,
            provenance=self._provenance,
        )
