"""Estimate poses of several people by NanoDet and MoveNet.

Each frame: last frame's people are followed by MoveNet itself. Every few frames the detector, and what moves outside of
them, propose new people: the detector sees who stands still, motion who is too small for it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace

import numpy as np
from numpy.typing import NDArray

from pose_extract.devices import processors
from pose_extract.estimators.base import PoseEstimator
from pose_extract.estimators.crops import Pyramid, boxes_to_regions, distinct
from pose_extract.estimators.doubles import suppress, unaccounted
from pose_extract.estimators.following import FollowedRegions
from pose_extract.estimators.motion import MotionProposals
from pose_extract.estimators.movenet import bodies
from pose_extract.estimators.movenet.networks import PERSON, Networks
from pose_extract.estimators.movenet.settings import MoveNetSettings
from pose_extract.estimators.movenet.weights import CONVERTER, FILES, ensure_weights
from pose_extract.estimators.vanished import find_vanished, unseen
from pose_extract.skeletons import COCO17
from pose_extract.skeletons.similarity import box_iou
from pose_extract.tracks.records import Frame, Objects, PoseDetections
from pose_extract.tracks.things import KINDS

FloatArray = NDArray[np.float32]

_VERSION = "9"  # of this code's results: raise it when they change, so that cached tracks are made anew
# Quality: the mean score of a skeleton's joints. Of things it is below 0.25, of small people 0.3 and more.
_NEW_PERSON = 0.27  # where the detector says that there is somebody
_NEW_MOVING = 0.33  # where something moves
_SAME_PERSON = 0.18  # enough to go on following somebody for a while
_SURE = 0.27
_KNOWN_BONUS = 0.08  # of two that are doubles, the one that was there before stays
_SHARED = 0.45  # of the joints of two skeletons, that makes them one person's
_INSIDE = 0.3  # share of the joints that must lie in the frame
_JUMP = 0.3  # of the region's side, from one frame to the next, beyond the movement so far
_CLEAR = 0.45  # of an upright crop, that makes turned ones needless
_TURNED_MARGIN = 0.06  # people stand more often than they lie
_SEEN_PIXELS = 30  # height at which the detector sees people in its input
_MOST_PIXELS = 1280  # longer side of the detector's input in a close search
_SURROUNDINGS = 0.9  # of the longer side of a vanished person's box, on each side of its middle
_SIDE_TURNED = 320  # longer side of the detector's input in a turned picture
_BACKGROUND = 0.4  # so that whoever lies still is told from the ground for 55 s
_MOST_MOVING, _MOST_TURNED = 3, 2  # looks a frame at what moves, and at what may lie
_RETRY_S = 0.5
_SAME_BOX = 0.6  # overlap of a box by joints with one by the detector from which they are the same person's


class MoveNetEstimator(PoseEstimator):
    """NanoDet and MoveNet for several people.

    Args:
        settings: see `MoveNetSettings`.

    Raises:
        WeightsError: the networks are missing and cannot be fetched.
    """

    name = "movenet"
    skeleton = COCO17.name
    network_stages = ("detector", "network")
    mixes_sides = True

    def __init__(self, settings: MoveNetSettings | None = None) -> None:
        self.settings = settings or MoveNetSettings()
        self.max_people = self.settings.max_people
        paths = ensure_weights()
        shaping = {key: str(value) for key, value in asdict(self.settings).items() if key != "threads"}
        hashes = {f"weights.{key}": file.sha256 for key, file in FILES.items()}
        self.identity = {"name": self.name, "version": _VERSION, "converter": CONVERTER, **shaping, **hashes}
        self.timings = {"motion": 0.0, "network": 0.0, "detector": 0.0, "choice": 0.0}
        self._networks = Networks(paths, self.settings.threads or min(2, processors()))
        self.start(25.0, (640, 480))

    def start(self, fps: float, frame_size: tuple[int, int]) -> None:
        """Forget the last video and get ready for one of ``fps`` frames a second and (width, height) pixels."""
        self._fps, self._frame_size, self._seen = fps, frame_size, 0
        self._vanished = np.zeros((0, 4), np.float32)  # boxes of people who are here, joints not seen
        self._motion = MotionProposals(frame_size, fps, self.settings.min_height, _BACKGROUND)
        self._followed = FollowedRegions(fps, _SURE, by_age=True)
        self._detect_every = self._frames_a_look(fps)
        self._search_every = self.rhythm(fps)
        # What moved in the last frames, and was tried, is not tried again at once.
        self._tried = [np.zeros((0, 4), np.float32)] * max(1, round(_RETRY_S * fps / self._detect_every))

    def rhythm(self, fps: float) -> int:
        """After how many frames the detector looks closely again."""
        detect_every = self._frames_a_look(fps)
        return detect_every * max(1, round(self.settings.search_interval_s * fps / detect_every))

    def _frames_a_look(self, fps: float) -> int:
        return max(1, round(self.settings.detector_interval_s * fps))

    def close(self) -> None:
        """End the worker threads."""
        self._networks.close()

    def estimate(self, frames: Sequence[Frame]) -> list[PoseDetections]:
        """Return the people of each frame; frames of a video in order."""
        return [self._estimate_one(frame.image) for frame in frames]

    def estimate_in_boxes(self, image: NDArray[np.uint8], boxes: FloatArray) -> FloatArray:
        """Return the keypoints (B, 17, 3) of the person in each box (B, 4) of a picture; nothing is remembered."""
        regions = boxes_to_regions(boxes, bodies.CROP_SCALE)
        return bodies.confidences(self._look(Pyramid(image), regions, np.ones(len(regions), bool))[0])

    def _estimate_one(self, image: NDArray[np.uint8]) -> PoseDetections:
        size = (image.shape[1], image.shape[0])
        if size != self._frame_size:
            self.start(self._fps, size)
        frame, self._seen = self._seen, self._seen + 1
        pyramid = Pyramid(image)
        # Beside the joints of those who are followed, on the other thread.
        detected = self._start_detector(image, frame)
        moved = self._networks.submit(lambda: self._motion.update(image))
        clock = time.perf_counter()
        rows, old, regions = self._follow(pyramid, size)
        clock = self._lap("network", clock)
        moved()
        clock = self._lap("motion", clock)
        found = detected()
        things = None
        if frame % self._detect_every == 0:
            things = found.select(np.isin(found.classes, list(KINDS)))
            found = found.join(self._detect_vanished(image, frame // self._detect_every))
        people = found.select(found.classes == PERSON)
        clock = self._lap("detector", clock)
        candidates, lying, least = self._candidates(people, old, frame)
        clock = self._lap("choice", clock)
        new, turned = self._look(pyramid, candidates, lying)
        fits = (bodies.quality(new) > least) & bodies.plausible(new) & (bodies.inside(new, size) > _INSIDE)
        new, turned = new[fits], turned[fits]
        clock = self._lap("network", clock)

        keypoints = np.concatenate([old, new])
        boxes, quality = bodies.boxes_of(keypoints, size), bodies.quality(keypoints)
        known = np.concatenate([rows, np.full(len(new), -1)])
        standing = quality + np.where(known >= 0, _KNOWN_BONUS, 0)
        before = np.concatenate([regions[:, 3], turned])
        keep = suppress(keypoints, boxes, standing, shared=_SHARED, lying=before != 0)
        keep = np.sort(keep[: self.settings.max_people])
        keypoints, boxes, quality, known = keypoints[keep], boxes[keep], quality[keep], known[keep]
        looked_at = np.concatenate([regions, np.zeros((len(new), 4), np.float32)])[keep]
        following = self._regions(boxes, people, looked_at)
        following[:, 3] = bodies.angles_of(keypoints, before[keep])
        boxes = bodies.within(self._followed.steady(known, boxes), size)
        scores = self._followed.update(known, following, boxes, quality, bodies.score_of(quality))
        erase = self._eraser(keypoints)
        self._vanished = find_vanished(self._followed, self._motion, erase, boxes)
        uncovered = self._motion.uncovered(erase)
        self._motion.learn_places(uncovered.mask, np.concatenate([boxes, self._vanished]))
        shown = scores >= self.settings.min_score
        self._lap("choice", clock)
        seen = PoseDetections(boxes[shown], bodies.confidences(keypoints[shown]), scores[shown])
        seen = replace(seen, objects=things, uncovered=uncovered)
        return seen.join(unseen(self._vanished, COCO17.num_joints, self.settings.min_score))

    def _regions(self, boxes: FloatArray, people: Objects, before: FloatArray) -> FloatArray:
        """Where to look for people next.

        The detector sees the whole of a person better than the joints tell; sizes change slowly.

        Args:
            boxes: (P, 4) theirs, by their joints.
            people: those that the detector sees in this frame.
            before: (P, 4) regions where they were looked for, zeros for new ones.
        """
        overlap = box_iou(boxes, people.boxes)
        if len(people.boxes):
            best = overlap.argmax(1)
            seen = overlap[np.arange(len(boxes)), best] > _SAME_BOX
            boxes = np.where(seen[:, None], (boxes + people.boxes[best]) / 2, boxes)
        regions = boxes_to_regions(boxes, bodies.CROP_SCALE)
        regions[:, 2] = np.where(before[:, 2] > 0, (before[:, 2] + regions[:, 2]) / 2, regions[:, 2])
        return regions

    def _start_detector(self, image: NDArray[np.uint8], frame: int) -> Callable[[], Objects]:
        """Start the detector beside what follows, if it is due; what is returned waits for what it finds."""
        if frame % self._detect_every:
            return Objects.empty
        side = self.settings.detector_side
        if frame % self._search_every == 0:
            closer = max(self._frame_size) * _SEEN_PIXELS / self.settings.min_height
            side = max(side, min(_MOST_PIXELS, round(closer)))
        return self._networks.submit(lambda: self._networks.detect(image, side, self.settings.detector_score))

    def _detect_vanished(self, image: NDArray[np.uint8], turn: int) -> Objects:
        """Look for one of those who vanished, in the turned picture of their surroundings, another turn each time."""
        if not len(self._vanished):
            return Objects.empty()
        box = self._vanished[(turn // 3) % len(self._vanished)]
        middle, reach = (box[:2] + box[2:]) / 2, _SURROUNDINGS * (box[2:] - box[:2]).max()
        low = np.maximum(middle - reach, 0).astype(int)
        high = np.minimum(middle + reach, self._frame_size).astype(int)
        if (high - low).min() < self.settings.min_height / 2:
            return Objects.empty()
        part = image[low[1] : high[1], low[0] : high[0]]
        found = self._networks.detect_turned(part, 1 + turn % 3, _SIDE_TURNED, self.settings.detector_score)
        return Objects(found.boxes + np.tile(low, 2).astype(np.float32), found.scores, found.classes)

    @staticmethod
    def _eraser(people: FloatArray) -> Callable[[NDArray[np.uint8], float], None]:
        """What clears people (P, 17, 3) from a mask whose size is a share of the frame's."""

        def erase(mask: NDArray[np.uint8], shrink: float) -> None:
            for person in people:
                bodies.erase_body(mask, person, shrink)

        return erase

    def _follow(
        self, pyramid: Pyramid, size: tuple[int, int]
    ) -> tuple[NDArray[np.intp], FloatArray, FloatArray]:
        """Last frame's people in this one: who they are, their keypoints, and the regions looked at."""
        rows, regions = self._followed.expect()
        found = self._joints(pyramid, regions)
        quality = bodies.quality(found)
        least = np.where(self._followed.doubtful(rows), _SURE, _SAME_PERSON)
        fits = bodies.plausible(found) & (quality > least) & (bodies.inside(found, size) > _INSIDE)
        # Whoever is far from where expected is somebody else, whom the network took instead.
        boxes = bodies.boxes_of(found, size)
        jump = np.linalg.norm((boxes[:, :2] + boxes[:, 2:]) / 2 - regions[:, :2], axis=1)
        same = jump < _JUMP * regions[:, 2]
        fits &= same | (quality > _NEW_MOVING)
        return np.where(same, rows, -1)[fits], found[fits], regions[fits]

    def _candidates(
        self, people: Objects, old: FloatArray, frame: int
    ) -> tuple[FloatArray, NDArray[np.bool_], FloatArray]:
        """Regions (R, 4) where somebody may be besides ``old``, whether they may be lying, and the quality needed."""
        if frame % self._detect_every:
            return np.zeros((0, 4), np.float32), np.zeros(0, bool), np.zeros(0, np.float32)
        known = bodies.boxes_of(old, self._frame_size)
        tall = (people.boxes[:, 2:] - people.boxes[:, :2]).max(1, initial=0)
        seen = people.boxes[unaccounted(people.boxes, known) & (tall >= 0.8 * self.settings.min_height)]

        moving = self._motion.boxes(self._eraser(old))
        moving = moving[np.argsort(-(moving[:, 2:] - moving[:, :2]).prod(1), kind="stable")]
        boxes = np.concatenate([seen, moving])
        regions = boxes_to_regions(boxes, bodies.CROP_SCALE)
        least = np.where(np.arange(len(boxes)) < len(seen), _NEW_PERSON, _NEW_MOVING).astype(np.float32)
        # The detector's are tried anew each time, for somebody hidden may have come out, but turned only at first.
        before = np.concatenate([*self._tried, boxes_to_regions(known, bodies.CROP_SCALE)])
        fresh = distinct(regions, before)
        # Much may move at once, of a shadow or the light; what there is no time for is seen to next time.
        fresh = fresh[: np.searchsorted(fresh, len(seen)) + _MOST_MOVING]
        self._tried = [*self._tried[1:], regions[fresh]]
        chosen = np.union1d(np.arange(len(seen)), fresh)
        extent = boxes[chosen, 2:] - boxes[chosen, :2]
        lying = (extent[:, 0] > 0.7 * extent[:, 1]) & np.isin(chosen, fresh)
        lying &= np.cumsum(lying) <= _MOST_TURNED
        return regions[chosen], lying, least[chosen]

    def _look(
        self, pyramid: Pyramid, regions: FloatArray, turn: NDArray[np.bool_]
    ) -> tuple[FloatArray, FloatArray]:
        """Look closely at regions, turned to either side too where ``turn`` says so: keypoints, and angles (R,)."""
        best, angles = self._joints(pyramid, regions), regions[:, 3].copy()
        rows = np.flatnonzero(turn & (bodies.quality(best) < _CLEAR))
        for quarter in (-np.pi / 2, np.pi / 2, np.pi):
            turned = regions[rows] + np.array([0, 0, 0, quarter], np.float32)
            other = self._joints(pyramid, turned)
            wins = bodies.quality(other) > bodies.quality(best[rows]) + _TURNED_MARGIN
            best[rows[wins]], angles[rows[wins]] = other[wins], turned[wins, 3]
        return best, angles

    def _joints(self, pyramid: Pyramid, regions: FloatArray) -> FloatArray:
        return self._networks.joints(pyramid, regions, self.settings.joints)

    def _lap(self, stage: str, since: float) -> float:
        """Add the time since ``since`` to a stage; return now."""
        now = time.perf_counter()
        self.timings[stage] += now - since
        return now
