"""The embedded estimator: several people by BlazePose's networks, on any machine without a download from elsewhere.

Each frame: last frame's people are followed by the landmark network itself; what moves outside them is tried as new
people; from time to time, and on the first frame, the person detector and HOG look for those who stand still.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pose_extract.errors import ConfigError
from pose_extract.estimators import people as bodies
from pose_extract.estimators.base import PoseEstimator
from pose_extract.estimators.networks import Landmarks, Networks, Pyramid, regions_from_points
from pose_extract.estimators.proposals import HogProposals, MotionProposals, boxes_to_regions, tiles
from pose_extract.estimators.weights import FILES, ensure_weights
from pose_extract.records import Frame, PoseDetections
from pose_extract.skeletons import COCO17

FloatArray = NDArray[np.float32]


@dataclass(frozen=True)
class BlazePoseSettings:
    """How carefully to look for people.

    Attributes:
        min_height: smallest person looked for, pixels of the frame.
        min_score: people with a lower score are dropped, 0..1.
        max_people: at most so many people a frame.
        search_interval_s: seconds between two looks at the whole frame for people who stand still; 0: every frame.
        threads: worker threads; 0: two, or one where there is a single core. No effect on the result.
    """

    min_height: int = 36
    min_score: float = 0.5
    max_people: int = 30
    search_interval_s: float = 1.0
    threads: int = 0

    def __post_init__(self) -> None:
        for name, low, high in (
            ("min_height", 8, 10_000),
            ("min_score", 0, 1),
            ("max_people", 1, 1000),
            ("search_interval_s", 0, 3600),
            ("threads", 0, 64),
        ):
            value = getattr(self, name)
            if not low <= value <= high:
                raise ConfigError(f"blazepose.{name}: expected {low} to {high}, got {value}")


@dataclass
class _Followed:
    """Where the people of the last frame were; row i of each array is one person.

    Attributes:
        points: (P, 39, 3) landmarks.
        shift: (P, 2) movement of the hips' middle over the last frame, pixels.
        doubt: (P,) number of frames since the network was last sure.
    """

    points: FloatArray
    shift: FloatArray
    doubt: NDArray[np.int64]

    @classmethod
    def nobody(cls) -> _Followed:
        return cls(np.zeros((0, 39, 3), np.float32), np.zeros((0, 2), np.float32), np.zeros(0, np.int64))


class BlazePoseEstimator(PoseEstimator):
    """BlazePose for several people.

    Args:
        settings: see `BlazePoseSettings`.

    Raises:
        WeightsError: the networks are missing and cannot be fetched.
    """

    name = "blazepose"
    skeleton = COCO17.name

    def __init__(self, settings: BlazePoseSettings | None = None) -> None:
        self.settings = settings or BlazePoseSettings()
        paths: dict[str, Path] = ensure_weights()
        shaping = {k: str(v) for k, v in asdict(self.settings).items() if k != "threads"}
        self.identity = {
            "name": self.name,
            "version": "1",
            **shaping,
            **{f"weights.{key}": file.sha256 for key, file in FILES.items()},
        }
        self.timings = {"proposals": 0.0, "network": 0.0}
        self._networks = Networks(paths, self.settings.threads or min(2, os.cpu_count() or 1))
        self._hog = HogProposals()
        self.start(25.0, (640, 480))

    def start(self, fps: float, frame_size: tuple[int, int]) -> None:
        """Forget the last video."""
        self._frame_size = frame_size
        self._motion = MotionProposals(frame_size, fps, 640, 30.0, self.settings.min_height)
        self._search_every = max(1, round(self.settings.search_interval_s * fps))
        self._seen = 0
        self._followed = _Followed.nobody()

    def close(self) -> None:
        """End the worker threads."""
        self._networks.close()

    def estimate(self, frames: Sequence[Frame]) -> list[PoseDetections]:
        """Return the people of each frame."""
        return [self._estimate_one(frame.image) for frame in frames]

    def _estimate_one(self, image: NDArray[np.uint8]) -> PoseDetections:
        size = (image.shape[1], image.shape[0])
        if size != self._frame_size:
            self.start(self._search_every / max(self.settings.search_interval_s, 1e-3), size)
        clock = time.perf_counter()
        pyramid = Pyramid(image)
        self._motion.update(image)
        clock = self._lap("proposals", clock)
        old = self._follow(pyramid)
        clock = self._lap("network", clock)
        known = bodies.boxes_of(old.points, size)
        regions = self._propose(pyramid, image, known)
        clock = self._lap("proposals", clock)
        new = self._try(pyramid, regions)
        self._lap("network", clock)
        points = np.concatenate([old.points, new.points])
        flags = np.concatenate([old.flags, new.flags])
        boxes, keypoints = bodies.boxes_of(points, size), bodies.to_coco(points)
        scores = flags * (0.5 + 0.5 * keypoints[..., 2].mean(1))
        keep = bodies.suppress(keypoints, boxes, scores, 0.6, 0.85)[: self.settings.max_people]
        keep.sort()
        self._remember(points, flags, keep, len(old.points))
        self._seen += 1
        shown = keep[scores[keep] >= self.settings.min_score]
        return PoseDetections(boxes[shown], keypoints[shown], scores[shown].astype(np.float32))

    def _lap(self, stage: str, since: float) -> float:
        """Add the time since ``since`` to a stage; return now."""
        now = time.perf_counter()
        self.timings[stage] += now - since
        return now

    def _follow(self, pyramid: Pyramid) -> Landmarks:
        """Landmarks of last frame's people, found again where they are expected now."""
        last = self._followed
        regions = regions_from_points(last.points[:, 33, :2], last.points[:, 34, :2])
        regions[:, :2] += last.shift
        found = self._networks.landmarks(pyramid, regions)
        self._kept = bodies.plausible(found.points) & (found.flags > 0.3)
        return Landmarks(found.points[self._kept], found.flags[self._kept])

    def _propose(self, pyramid: Pyramid, image: NDArray[np.uint8], known: FloatArray) -> FloatArray:
        """Regions (R, 4) where somebody may be who is not followed yet."""
        boxes = self._motion.boxes(known)
        regions = [boxes_to_regions(boxes)]
        wide = boxes[(boxes[:, 2] - boxes[:, 0]) > 0.9 * (boxes[:, 3] - boxes[:, 1])]
        for angle in (-math.pi / 2, math.pi / 2):
            turned = boxes_to_regions(wide)
            turned[:, 3] = angle
            regions.append(turned)
        if self._seen % self._search_every == 0:
            found, _ = self._networks.detect(pyramid, tiles(self._frame_size, (1, 2)), 0.5)
            hog = self._hog.boxes(image, self.settings.min_height, 500_000)
            regions += [found, boxes_to_regions(hog)]
        return np.concatenate(regions)

    def _try(self, pyramid: Pyramid, regions: FloatArray) -> Landmarks:
        """Landmarks of the regions that show a person, each refined by a second pass."""
        first = self._networks.landmarks(pyramid, regions)
        good = bodies.plausible(first.points) & (first.flags > 0.3)
        points = first.points[good]
        second = self._networks.landmarks(pyramid, regions_from_points(points[:, 33, :2], points[:, 34, :2]))
        good = bodies.plausible(second.points) & (second.flags > 0.7)
        return Landmarks(second.points[good], second.flags[good])

    def _remember(self, points: FloatArray, flags: FloatArray, keep: NDArray[np.intp], followed: int) -> None:
        """Keep what the next frame needs: the people of this one."""
        last = self._followed
        rows = np.flatnonzero(self._kept)
        shift = np.zeros((len(points), 2), np.float32)
        shift[:followed] = points[:followed, 33, :2] - last.points[rows, 33, :2]
        doubt = np.zeros(len(points), np.int64)
        doubt[:followed] = last.doubt[rows]
        doubt = np.where(flags > 0.7, 0, doubt + 1)
        keep = keep[doubt[keep] < 5]
        self._followed = _Followed(points[keep], shift[keep], doubt[keep])
