"""Estimate poses of several people by BlazePose's networks, on any machine without a download from elsewhere.

Each frame: last frame's people are followed by the landmark network itself; what moves outside them is tried as new
people; from time to time, and on the first frame, the person detector and HOG look for those who stand still.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pose_extract.devices import processors
from pose_extract.estimators.base import PoseEstimator
from pose_extract.estimators.blazepose import bodies
from pose_extract.estimators.blazepose.networks import (
    HEAT_MAPS,
    Landmarks,
    Networks,
    regions_from_points,
)
from pose_extract.estimators.blazepose.proposals import CROP_SCALE, Proposals
from pose_extract.estimators.blazepose.settings import BlazePoseSettings
from pose_extract.estimators.blazepose.weights import FILES, ensure_weights
from pose_extract.estimators.crops import Pyramid, boxes_to_regions
from pose_extract.estimators.doubles import suppress
from pose_extract.estimators.following import FollowedRegions
from pose_extract.skeletons import BLAZEPOSE33, COCO17
from pose_extract.tracks.records import Frame, PoseDetections

FloatArray = NDArray[np.float32]

_VERSION = "1"  # of this code's results: raise it when they change, so that cached tracks are made anew
# Quality (mean height of the heat maps at the joints): right skeletons have 0.45 to 0.8, phantoms 0.2 to 0.45.
_WORTH_A_LOOK = 0.25  # after the first pass
_NEW_PERSON = 0.42
_SURE = 0.45  # certainly a person
_SAME_PERSON = 0.25  # enough to go on following somebody for a while
_KNOWN_BONUS = 0.08  # of two that are doubles, the one that was there before stays
_INSIDE = 0.3  # share of the joints that must lie in the frame
_NEW_FLAG, _SAME_FLAG = 0.8, 0.2
_JUMP = 0.3  # radii of the body from one frame to the next, beyond the movement so far
_TURNED_MARGIN = 0.1  # people stand more often than they lie


class BlazePoseEstimator(PoseEstimator):
    """BlazePose for several people.

    Args:
        settings: see `BlazePoseSettings`.

    Raises:
        WeightsError: the networks are missing and cannot be fetched.
    """

    name = "blazepose"
    skeleton = COCO17.name
    network_stages = ("proposals", "network")

    def __init__(self, settings: BlazePoseSettings | None = None) -> None:
        self.settings = settings or BlazePoseSettings()
        self.max_people = self.settings.max_people
        self.skeleton = self.settings.skeleton
        paths = ensure_weights()
        shaping = {key: str(value) for key, value in asdict(self.settings).items() if key != "threads"}
        if not self.settings.features:
            del shaping["features"]  # tracks that were made before there were any stay good
        hashes = {f"weights.{key}": file.sha256 for key, file in FILES.items()}
        self.identity = {"name": self.name, "version": _VERSION, **shaping, **hashes}
        self.timings = {"proposals": 0.0, "network": 0.0}
        self.feature_channels = HEAT_MAPS if self.settings.features else 0
        threads = self.settings.threads or min(2, processors())
        self._networks = Networks(paths, threads, heat=bool(self.settings.features))
        self.start(25.0, (640, 480))

    def start(self, fps: float, frame_size: tuple[int, int]) -> None:
        """Forget the last video and get ready for one of ``fps`` frames a second and (width, height) pixels."""
        self._fps, self._frame_size = fps, frame_size
        self._proposals = Proposals(
            self._networks, fps, frame_size, self.settings.min_height, self.settings.search_interval_s
        )
        self._followed = FollowedRegions(fps, _SURE)

    def rhythm(self, fps: float) -> int:
        """After how many frames HOG looks again, and the detector has seen all of the picture."""
        return 4 * max(1, round(self.settings.search_interval_s * fps))

    def close(self) -> None:
        """End the worker threads."""
        self._networks.close()

    def estimate(self, frames: Sequence[Frame]) -> list[PoseDetections]:
        """Return the people of each frame; frames of a video in order."""
        return [self._estimate_one(frame.image) for frame in frames]

    def estimate_in_boxes(self, image: NDArray[np.uint8], boxes: FloatArray) -> FloatArray:
        """Return the keypoints (B, V, 3) of the person in each box (B, 4) of a picture; nothing is remembered."""
        regions = boxes_to_regions(boxes, CROP_SCALE)
        found = self._settle(Pyramid(image), regions, np.ones(len(regions), bool), None)
        return self._joints(found.points)

    def _estimate_one(self, image: NDArray[np.uint8]) -> PoseDetections:
        size = (image.shape[1], image.shape[0])
        if size != self._frame_size:
            self.start(self._fps, size)
        clock = time.perf_counter()
        pyramid = Pyramid(image)
        self._proposals.update(image)
        clock = self._lap("proposals", clock)
        rows, regions = self._followed.expect()
        old = self._networks.landmarks(pyramid, regions)
        fits = bodies.plausible(old.points) & (bodies.quality(old.peaks) > _SAME_PERSON)
        fits &= (old.flags > _SAME_FLAG) & (bodies.inside(old.points, size) > _INSIDE)
        # Whoever is far from where expected is somebody else, whom the network took instead.
        jump = np.linalg.norm(old.points[:, 33, :2] - regions[:, :2], axis=1)
        same = jump < _JUMP * bodies.body_size(old.points)
        fits &= same | (bodies.quality(old.peaks) > _NEW_PERSON)
        rows = np.where(same, rows, -1)
        rows, old = rows[fits], old.select(fits)
        clock = self._lap("network", clock)
        regions, turn = self._proposals.regions(pyramid, old.points)
        clock = self._lap("proposals", clock)
        new = self._settle(pyramid, regions, turn, old)
        new = new.select(self._is_new_person(new))
        clock = self._lap("network", clock)

        found = Landmarks.join([old, new])
        boxes, keypoints = bodies.boxes_of(found.points, size), bodies.to_coco(found.points)
        quality = bodies.quality(found.peaks)
        known = np.concatenate([rows, np.full(len(new), -1)])
        standing = quality + np.where(known >= 0, _KNOWN_BONUS, 0)
        keep = suppress(keypoints, boxes, standing)[: self.settings.max_people]
        keep.sort()
        regions = regions_from_points(found.points[keep, 33, :2], found.points[keep, 34, :2])
        sure = np.clip(2.5 * quality[keep] - 0.5, 0, 1).astype(np.float32)
        scores = self._followed.update(known[keep], regions, boxes[keep], quality[keep], sure)
        shown = scores >= self.settings.min_score
        chosen = keep[shown]
        features = None if found.heat is None else self._joints(found.heat[chosen])
        uncovered = self._proposals.uncovered(found.points[keep])
        self._lap("proposals", clock)
        return PoseDetections(
            boxes[chosen], self._joints(found.points[chosen]), scores[shown], features, uncovered=uncovered
        )

    def _joints(self, points: NDArray[Any]) -> NDArray[Any]:
        """The network's points (R, 39, ...) as those of the estimator's skeleton (R, V, ...)."""
        return bodies.to_coco(points) if self.skeleton == COCO17.name else points[:, : BLAZEPOSE33.num_joints]

    def _is_new_person(self, found: Landmarks) -> NDArray[np.bool_]:
        """Which of what was found (R rows) may count as people whom nobody knew of yet."""
        up = found.points[:, 34, :2] - found.points[:, 33, :2]
        lying = np.abs(up[:, 0]) > np.abs(up[:, 1])
        enough = np.where(lying, _NEW_PERSON + _TURNED_MARGIN, _NEW_PERSON)
        whole = bodies.inside(found.points, self._frame_size) > _INSIDE
        return (bodies.quality(found.peaks) > enough) & (found.flags > _NEW_FLAG) & whole

    def _lap(self, stage: str, since: float) -> float:
        """Add the time since ``since`` to a stage; return now."""
        now = time.perf_counter()
        self.timings[stage] += now - since
        return now

    def _settle(
        self, pyramid: Pyramid, regions: FloatArray, turn: NDArray[np.bool_], old: Landmarks | None
    ) -> Landmarks:
        """Landmarks of people who are new: tried turned as well, then improved by passes from refined regions.

        Args:
            pyramid: the picture.
            regions: (R, 4) proposals.
            turn: (R,) whether to try each one turned by 90 degrees to either side too.
            old: people found already. What is no person, and doubles, are left out; with None one row a region comes
                back, whatever it shows.
        """
        best = self._networks.landmarks(pyramid, regions)
        for quarter in (-np.pi / 2, np.pi / 2):
            rows = np.flatnonzero(turn)
            turned = regions[rows] + np.array([0, 0, 0, quarter], np.float32)
            best = _better(best, rows, self._networks.landmarks(pyramid, turned), _TURNED_MARGIN)
        if old is not None:
            best = best.select(bodies.plausible(best.points) & (bodies.quality(best.peaks) > _WORTH_A_LOOK))
            every = Landmarks.join([old, best])
            first = np.where(np.arange(len(every)) < len(old), 1.0, 0.0) + bodies.quality(every.peaks)
            boxes = bodies.boxes_of(every.points, self._frame_size)
            keep = suppress(bodies.to_coco(every.points), boxes, first)
            best = every.select(keep[keep >= len(old)])
        points = best.points
        for _ in range(2):
            refined = regions_from_points(points[:, 33, :2], points[:, 34, :2])
            again = self._networks.landmarks(pyramid, refined)
            best = _better(best, np.arange(len(best)), again)
            points = again.points
        return best if old is None else best.select(bodies.plausible(best.points))


def _better(best: Landmarks, rows: NDArray[np.intp], other: Landmarks, margin: float = 0.0) -> Landmarks:
    """Put each row of ``other`` in the place ``rows`` of ``best`` where its quality is higher by ``margin``."""
    wins = bodies.quality(other.peaks) > bodies.quality(best.peaks[rows]) + margin
    both = Landmarks.join([best, other])
    choice = np.arange(len(best))
    choice[rows[wins]] = len(best) + np.flatnonzero(wins)
    return both.select(choice)
