"""Decompose skeletons into global and local components, robustly scaled (Morais et al., section 3.1)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from anomaly.data.normalisation import fill
from anomaly.data.windows import Windows

_LEAST_RANGE = (
    0.1  # of its component's median range: a feature that hardly varies must not outweigh all others
)


def decompose(joints: NDArray, known: NDArray[np.bool_]) -> tuple[NDArray, NDArray]:
    """Joints (..., V, 2) -> the box's centre, width and height (..., 4) and joints relative to it (..., V, 2).

    Equations 1 to 3. The box is that of the ``known`` joints (..., V); the others lie at its centre.
    """
    among = known[..., None]
    lowest = np.where(among, joints, np.inf).min(axis=-2)
    highest = np.where(among, joints, -np.inf).max(axis=-2)
    nobody = ~known.any(axis=-1)
    lowest[nobody] = highest[nobody] = 0
    centre, size = (lowest + highest) / 2, highest - lowest
    local = (joints - centre[..., None, :]) / np.where(size > 0, size, 1)[..., None, :]
    return np.concatenate([centre, size], axis=-1), np.where(among, local, 0)


def person_features(windows: Windows) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """The people of N windows of G people with V joints each, every person on their own.

    A joint that is missing for a while is put on the line between the frames around; one that the whole window lacks
    lies at its box's centre.

    Returns:
        features: (N * G, T, 4 + 2V + 2V), the global component, the local one and the joints themselves.
        seen: (N * G, T, V), which joints were seen.
    """
    people, joints = windows.settings.people, windows.settings.person.num_joints
    points = windows.points[windows.start[:, None] + np.arange(windows.frames)]
    points = points.reshape(*points.shape[:2], people, joints, 3).swapaxes(1, 2)
    points = points.reshape(-1, windows.frames, joints, 3)
    seen = points[..., 2] > 0
    known = np.asarray(seen.any(axis=1))
    where = points[..., :2].transpose(0, 2, 3, 1).copy()  # (N * G, V, 2, T)
    gaps = known & ~seen.all(axis=1)
    if gaps.any():
        where[gaps] = fill(where[gaps], seen.transpose(0, 2, 1)[gaps])
    where = where.transpose(0, 3, 1, 2)
    body, local = decompose(where, np.broadcast_to(known[:, None], seen.shape))
    image = np.where(known[:, None, :, None], where, body[..., None, :2])
    flat = (*seen.shape[:2], 2 * joints)
    return np.concatenate([body, local.reshape(flat), image.reshape(flat)], axis=2).astype(np.float32), seen


@dataclass(frozen=True)
class RobustScale:
    """Median and range of each feature: what lies at the median becomes 0, and 80 % of it spans 1 (section 3.5).

    Attributes:
        median: (F,).
        range: (F,) from the 10 % quantile to the 90 % quantile.
    """

    median: NDArray[np.float32]
    range: NDArray[np.float32]

    @classmethod
    def from_features(cls, features: NDArray[np.float32], seen: NDArray[np.bool_]) -> RobustScale:
        """The scale of `person_features`, from what was seen."""
        joints = seen.shape[2]
        counts = np.concatenate(
            [
                np.repeat(np.asarray(seen.any(axis=2))[..., None], 4, axis=2),
                np.tile(np.repeat(seen, 2, axis=2), 2),
            ],
            axis=2,
        )
        low, median, high = np.zeros((3, features.shape[2]))
        for i in range(features.shape[2]):
            values = features[..., i][counts[..., i]]
            if len(values):
                low[i], median[i], high[i] = np.quantile(values, (0.1, 0.5, 0.9))
        spread = high - low
        for part in np.split(spread, (4, 4 + 2 * joints)):  # views
            least = _LEAST_RANGE * np.median(part[part > 0]) if (part > 0).any() else 1.0
            np.maximum(part, least, out=part)
        return cls(median.astype(np.float32), spread.astype(np.float32))

    def apply(self, features: NDArray[np.float32]) -> NDArray[np.float32]:
        """The features scaled."""
        return (features - self.median) / self.range
