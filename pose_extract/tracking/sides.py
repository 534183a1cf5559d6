"""Tell left from right by continuity: a limb that changes sides from one frame to the next has been mistaken.

For each pair of limbs two explanations compete, as it was found, or with left and right exchanged, in a chain over the
person's sightings (Viterbi's algorithm, with a look ahead of the tracker's delay): going over from the one to the other
costs the way that the joints would go then, being exchanged costs a little at every sighting, for the network is right
more often than not.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pose_extract.skeletons import Skeleton

FloatArray = NDArray[np.float64]

_LIMBS = (("elbow", "wrist"), ("knee", "ankle"), ("eye", "ear"))  # pairs that change sides together
_WAY = 0.05  # of the person's height, between two frames: what costs as much as 1
_EXCHANGED = 0.2  # cost of a sighting that is taken to be exchanged
_FARTHEST = 0.5  # of the person's height; no way counts for more


class _Sighting(NamedTuple):
    keypoints: FloatArray
    time_s: float


class Sides:
    """The pairs of limbs of everybody who is tracked.

    Args:
        skeleton: of the keypoints; its mirror says which joints are pairs.
        fps: frames a second.
    """

    def __init__(self, skeleton: Skeleton, fps: float) -> None:
        self._mirror, self._fps = np.array(skeleton.mirror), fps
        self._groups = _pairs_of_limbs(skeleton)
        self._last: dict[int, _Sighting] = {}
        self._costs: dict[
            int, FloatArray
        ] = {}  # (G, 2) of the likeliest chains to the last sighting released

    def ways(
        self, keys: NDArray[np.int64], keypoints: NDArray[np.float32], boxes: FloatArray, time_s: float
    ) -> FloatArray:
        """Take in a frame's P people.

        Args:
            keys: (P,) of their tracklets.
            keypoints: (P, V, 3).
            boxes: (P, 4) px.
            time_s: of the frame.

        Returns:
            (P, G, 2) cost of the way since each one's last sighting for each pair of limbs: staying on its sides, and
            changing them. 0 for who is new.
        """
        ways = np.zeros((len(keys), len(self._groups), 2))
        for row, key in enumerate(keys.tolist()):
            here = _Sighting(np.nan_to_num(keypoints[row].astype(np.float64)), time_s)
            before, self._last[key] = self._last.get(key), here
            if before is None:
                continue
            size = max(1.0, float((boxes[row, 2:] - boxes[row, :2]).max()))
            frames = max(1.0, (time_s - before.time_s) * self._fps)
            for change, now in enumerate((here.keypoints, here.keypoints[self._mirror])):
                way = np.linalg.norm(now[:, :2] - before.keypoints[:, :2], axis=1) / size
                sure = np.sqrt(now[:, 2] * before.keypoints[:, 2])
                ways[row, :, change] = self._groups @ (sure * np.minimum(way, _FARTHEST)) / (_WAY * frames)
        return ways

    def settle(self, key: int, ways: list[FloatArray]) -> NDArray[np.intp]:
        """Decide on a sighting.

        Args:
            key: of the tracklet.
            ways: (G, 2) of this sighting and of those after it that are known, as `ways` gives them.

        Returns:
            (V,) which of the joints found is each joint.
        """
        before = self._costs.get(key)
        price = np.array([0.0, _EXCHANGED])
        costs = np.tile(price, (len(self._groups), 1)) if before is None else _along(before, ways[0]) + price
        self._costs[key] = costs - costs.min(1, keepdims=True)
        ahead = np.zeros_like(costs)
        for way in reversed(ways[1:]):
            ahead = _along(ahead + price, way)
        exchanged = (costs + ahead)[:, 1] < (costs + ahead)[:, 0]
        joints = np.arange(len(self._mirror))
        return np.where(exchanged @ self._groups, self._mirror, joints).astype(np.intp)

    def forget(self, keep: set[int]) -> None:
        """Drop all tracklets but these."""
        self._last = {key: last for key, last in self._last.items() if key in keep}
        self._costs = {key: costs for key, costs in self._costs.items() if key in keep}


def _along(costs: FloatArray, way: FloatArray) -> FloatArray:
    """Least costs (G, 2) after a step, given those before it (G, 2) and those of staying and changing (G, 2)."""
    return np.minimum(costs + way[:, :1], costs[:, ::-1] + way[:, 1:])


def _pairs_of_limbs(skeleton: Skeleton) -> NDArray[np.bool_]:
    """(G, V) which joints belong to each pair of limbs."""
    groups: dict[str, list[int]] = {}
    for joint, name in enumerate(skeleton.joints):
        if skeleton.mirror[joint] == joint:
            continue
        part = name.split("_")[-1]
        limb = next((limb[0] for limb in _LIMBS if part in limb), min(joint, skeleton.mirror[joint]))
        groups.setdefault(str(limb), []).append(joint)
    table = np.zeros((len(groups), skeleton.num_joints), bool)
    for group, joints in enumerate(groups.values()):
        table[group, joints] = True
    return table
