"""Associate detections from frame to frame: OC-SORT of the `trackers` package, with poses and clothes in its cost.

The package lets a caller replace the measure that compares predicted boxes with detections (``iou=``); ours blends box
overlap, keypoint similarity and clothing colour. Its motion model (a Kalman filter with observation-centric re-update),
its direction consistency and its life cycle of tracks are used as they are.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import supervision as sv
from numpy.typing import NDArray
from trackers import BaseIoU, OCSORTTracker

from pose_extract.skeletons.similarity import box_containment, box_iou, keypoint_similarity
from pose_extract.tracking.clothing import colour_similarity

OVERLAP = (
    0.2  # share of the smaller box within the other one, above which two people hide each other's clothes
)


@dataclass
class _Memory:
    """What a tracklet looked like when it was last seen.

    Attributes:
        key: the tracklet's.
        time_s: when that was.
        keypoints: (V, 3).
        velocity: (2,) of the body, px/s, from the joints that were found at two sightings in a row.
        area: of its box, px^2, averaged over the last sightings.
    """

    key: int
    time_s: float
    keypoints: NDArray[np.float64]
    velocity: NDArray[np.float64]
    area: float

    def update(self, time_s: float, box: NDArray[np.float64], keypoints: NDArray[np.float64]) -> None:
        """Take in another sighting."""
        shift = keypoints[:, :2] - self.keypoints[:, :2]
        weight = keypoints[:, 2] * self.keypoints[:, 2]
        known = np.isfinite(shift[:, 0] + shift[:, 1] + weight) & (weight > 0)
        if known.any() and time_s > self.time_s:
            velocity = weight[known] @ shift[known] / weight[known].sum() / (time_s - self.time_s)
            # Half of what is known after 0.1 s is new.
            self.velocity += (1 - 0.5 ** ((time_s - self.time_s) / 0.1)) * (velocity - self.velocity)
        self.area += 0.3 * ((box[2:] - box[:2]).prod() - self.area)
        self.time_s = time_s
        if (keypoints[:, 2] > 0).any():
            self.keypoints = keypoints


class PoseSimilarity(BaseIoU):
    """Similarity of tracks and detections: box overlap, keypoint similarity and clothing colour.

    ``(1 - pose_weight) * IoU + pose_weight * OKS - colour_weight * (1 - Bhattacharyya coefficient)``, 0..1. The
    joints of a track are those that it was last seen with, moved on at the body's velocity.

    Attributes:
        track_memories: what is remembered of the tracks, in their order.
        time_s: of the frame that is associated; this and what follows is set before the boxes are compared.
        keypoints: (M, V, 3) of its people.
        colours: (M, B) clothing histograms, rows of zeros where unknown.
        alone: (M,) whether nobody overlaps them.
        allowed: (N, M) answered: what the clothes allow.
    """

    track_memories: Callable[[], list[_Memory]]
    time_s: float
    keypoints: NDArray[np.float64]
    colours: NDArray[np.float64]
    alone: NDArray[np.bool_]
    allowed: NDArray[np.bool_]

    def __init__(
        self,
        sigmas: NDArray[Any],
        pose_weight: float,
        pose_tolerance: float,
        colour_weight: float,
        min_colour: float,
        profile: Callable[[int], NDArray[np.float64] | None],
    ) -> None:
        self._min_colour, self._profile = min_colour, profile
        self._sigmas = np.asarray(sigmas, np.float64) * pose_tolerance
        self._pose_weight, self._colour_weight = pose_weight, colour_weight

    def _compute(self, boxes_1: NDArray[Any], boxes_2: NDArray[Any]) -> NDArray[np.float64]:
        """(N, M) similarity of the N predicted track boxes with the M detections set before."""
        memories = self.track_memories()
        similarity = box_iou(boxes_1, boxes_2)
        if self._pose_weight:
            predicted = np.stack([memory.keypoints for memory in memories])
            shift = np.stack([memory.velocity * (self.time_s - memory.time_s) for memory in memories])
            predicted[..., :2] += shift[:, None]
            # COCO's "area" is that of the silhouette, about half of the box.
            area = 0.53 * np.array([memory.area for memory in memories])
            poses = keypoint_similarity(predicted, self.keypoints, self._sigmas, area)
            # Of somebody whose joints are not seen, the box has to do.
            weight = self._pose_weight * (self.keypoints[..., 2] > 0).any(1)
            similarity = (1 - weight) * similarity + weight * poses
        unknown = np.zeros(self.colours.shape[1])
        profiles = [self._profile(memory.key) for memory in memories]
        colours = np.stack([unknown if profile is None else profile for profile in profiles])
        known = np.logical_and.outer(colours.any(axis=1), self.colours.any(axis=1))
        alike = np.where(known, colour_similarity(colours, self.colours), 1.0)
        similarity -= self._colour_weight * (1 - alike)
        # Somebody else's clothes; where people overlap, they may be those of the one in front.
        self.allowed = (alike >= self._min_colour) | ~self.alone
        similarity *= self.allowed
        return np.maximum(similarity, 0.0)


class _PoseTracker(OCSORTTracker):
    """OC-SORT whose second association, by the overlap with where tracks were last seen, obeys the clothes too."""

    tracker_id = None  # not an entry of the package's own list of trackers

    def update(self, *args: Any, **options: Any) -> Any:
        """As the package's."""
        self._left_over: tuple[list[int], list[int]] | None = None
        return super().update(*args, **options)

    def _get_associated_indices(
        self, iou_matrix: NDArray[Any], direction_consistency_matrix: NDArray[Any] | None
    ) -> tuple[list[tuple[int, int]], list[int], list[int]]:
        if self._left_over is not None:
            iou_matrix = iou_matrix * self.iou.allowed[np.ix_(*self._left_over)]
        matched, tracks, detections = super()._get_associated_indices(
            iou_matrix, direction_consistency_matrix
        )
        self._left_over = tracks, detections
        return matched, tracks, detections


class PoseAssociator:
    """Gives each detection of a frame the key of its tracklet; keys count from 0 within one associator."""

    def __init__(
        self,
        similarity: PoseSimilarity,
        fps: float,
        coast_s: float,
        min_similarity: float,
        direction_weight: float,
    ) -> None:
        self._similarity = similarity
        self._tracker = _PoseTracker(
            # The package counts its buffer in frames of 1/30 s, whatever the frame rate.
            lost_track_buffer=coast_s * 30.0,
            frame_rate=fps,
            minimum_consecutive_frames=1,
            minimum_iou_threshold=min_similarity,
            direction_consistency_weight=direction_weight,
            delta_t=max(1, round(0.2 * fps)),
            iou=similarity,
        )
        self._memories: dict[Any, _Memory] = {}
        self._next_key = 0
        similarity.track_memories = lambda: [self._memories[tracklet] for tracklet in self._tracker.tracks]

    def update(
        self, boxes: NDArray[Any], keypoints: NDArray[Any], colours: NDArray[Any], time_s: float
    ) -> NDArray[np.int64]:
        """Associate one frame's P people.

        Args:
            boxes: (P, 4) x1 y1 x2 y2 px, finite, at least a pixel wide and high.
            keypoints: (P, V, 3).
            colours: (P, B) clothing histograms, rows of zeros where unknown.
            time_s: presentation time, later than the last call's.

        Returns:
            (P,) tracklet keys.
        """
        boxes, keypoints, colours = (np.asarray(a, np.float64) for a in (boxes, keypoints, colours))
        # Boxes are how detections are recognised in the tracklets again, so no two may be the same to the last bit.
        boxes = boxes + 1e-6 * np.arange(len(boxes))[:, None]
        inside = box_containment(boxes, boxes)
        self._similarity.alone = (np.maximum(inside, inside.T) > OVERLAP).sum(1) <= 1
        self._similarity.time_s, self._similarity.keypoints, self._similarity.colours = (
            time_s,
            keypoints,
            colours,
        )
        self._tracker.update(sv.Detections(xyxy=boxes), timestamp=time_s)
        # The tracker's answer leaves out who continues a tracklet that has no id yet, so ask the tracklets themselves.
        rows = {box.tobytes(): row for row, box in enumerate(boxes)}
        keys = np.full(len(boxes), -1, np.int64)
        for tracklet in self._tracker.tracks:
            if tracklet.time_since_update:
                continue
            row = rows[np.asarray(tracklet.last_observation, np.float64).tobytes()]
            memory = self._memories.get(tracklet)
            if memory is None:
                area = float((boxes[row, 2:] - boxes[row, :2]).prod())
                memory = _Memory(self._next_key, time_s, keypoints[row], np.zeros(2), area)
                self._memories[tracklet] = memory
                self._next_key += 1
            else:
                memory.update(time_s, boxes[row], keypoints[row])
            keys[row] = memory.key
        self._memories = {tracklet: self._memories[tracklet] for tracklet in self._tracker.tracks}
        return keys

    def rename(self, key: int) -> int:
        """Give a tracklet a new key, as if it had begun now; returns it."""
        memory = next(memory for memory in self._memories.values() if memory.key == key)
        memory.key, self._next_key = self._next_key, self._next_key + 1
        return memory.key

    def forget(self, key: int) -> None:
        """End a tracklet: nothing will continue it."""
        self._tracker.tracks = [t for t in self._tracker.tracks if self._memories[t].key != key]
        self._memories = {tracklet: self._memories[tracklet] for tracklet in self._tracker.tracks}
