"""Make patch features (N, D, T, V) of windows from the appearance vectors of joints (paper, section 4.1)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from anomaly.settings import WindowSettings
from pose_extract.errors import ModelError
from pose_extract.skeletons import SKELETONS
from pose_extract.skeletons.skeleton import joint_sources
from pose_extract.tracks.feature_rows import FeatureRows
from pose_extract.tracks.records import ClipTracks

_SAMPLE_ROWS = 20_000  # that the scale is computed from
_FARTHEST = 10.0  # deviations: one joint beyond it says all that it can


@dataclass(frozen=True)
class PatchScale:
    """What the training windows' vectors are like, so that all channels count alike.

    Attributes:
        mean: (V, D) float32, of each joint and channel over the training windows' frames.
        deviation: (V, D) float32, the same; above 0.
    """

    mean: NDArray[np.float32]
    deviation: NDArray[np.float32]

    @classmethod
    def from_patches(
        cls, patches: FeatureRows, confidence: NDArray[np.float32], rows: NDArray[np.int64]
    ) -> PatchScale:
        """The scale of the vectors (R, V, D) in some rows, joints of no confidence (R, V) left out.

        At most 20,000 rows are read, evenly spread.
        """
        rows = np.unique(rows)
        rows = rows[np.linspace(0, len(rows) - 1, min(len(rows), _SAMPLE_ROWS)).astype(np.int64)]
        mean, square, count = (np.zeros(patches.shape[1:]) for _ in range(3))
        for part in np.array_split(rows, max(1, len(rows) // 1000)):
            values = patches[part].read().astype(np.float64)
            seen = _seen(values, confidence[part])[..., None]
            mean += (values * seen).sum(axis=0)
            square += (values**2 * seen).sum(axis=0)
            count += seen.sum(axis=0)
        count = np.maximum(count, 1)
        mean /= count
        deviation = np.sqrt(np.maximum(square / count - mean**2, 0))
        # A channel that hardly ever changes must not blow up noise.
        deviation = np.maximum(deviation, max(0.05 * float(np.median(deviation)), 1e-4))
        return cls(mean.astype(np.float32), deviation.astype(np.float32))


def patch_rows(tracks: ClipTracks, settings: WindowSettings) -> FeatureRows:
    """The tracks' appearance vectors (M, V, D), for the model's joints; nothing is read.

    Raises:
        ModelError: the tracks have none, or others than the model's.
    """
    if tracks.features is None:
        if not len(tracks):  # nobody, no vectors
            return FeatureRows(
                [np.zeros((0, settings.person.num_joints, settings.patch_channels), np.float16)]
            )
        raise ModelError(
            f"clip {tracks.clip}: the model's features are {settings.features!r}, but its tracks have no patch features"
        )
    found, wanted = FeatureRows.from_array(tracks.features), settings.person
    if settings.patch_channels and found.shape[2] != settings.patch_channels:
        raise ModelError(
            f"clip {tracks.clip}: expected patch features of {settings.patch_channels} channels, its tracks have "
            f"{found.shape[2]}"
        )
    if tracks.skeleton == wanted.name or tracks.skeleton not in SKELETONS:
        return found
    joints = joint_sources(SKELETONS[tracks.skeleton], wanted)
    return found if joints is None else found.of_joints(joints)


def patch_batch(
    patches: FeatureRows,
    confidence: NDArray[np.float32],
    rows: NDArray[np.int64],
    scale: PatchScale | None,
) -> NDArray[np.float32]:
    """Appearance of windows (N, D, T, V).

    A joint that is missing in a frame, or has no patch there, keeps the one of the nearest frame of the window that
    has; one that the whole window lacks is 0, the mean of the training windows.

    Args:
        patches: (R, V, D), row for row the frames that windows are made of.
        confidence: (R, V) of the joints in them, 0 where missing.
        rows: (N, T) the frames of each window.
        scale: of the training windows; None leaves the vectors as they are.
    """
    wanted, where = np.unique(rows, return_inverse=True)
    values = patches[wanted].read().astype(np.float32)
    seen = _seen(values, confidence[wanted])
    if scale is not None:
        values = np.clip((values - scale.mean) / scale.deviation, -_FARTHEST, _FARTHEST)
    values[~seen] = 0
    where = where.reshape(rows.shape)
    out, there = values[where], seen[where]  # (N, T, V, D), (N, T, V)
    if not there.all():
        n, _, v = np.ogrid[: there.shape[0], : there.shape[1], : there.shape[2]]
        out = out[n, _nearest_seen(there), v]
    return np.ascontiguousarray(out.transpose(0, 3, 1, 2))


def _seen(values: NDArray[np.floating], confidence: NDArray[np.float32]) -> NDArray[np.bool_]:
    """(R, V) which joints have a patch: all zeros stand for none."""
    return (confidence > 0) & values.any(axis=2) & np.isfinite(values).all(axis=2)


def _nearest_seen(there: NDArray[np.bool_]) -> NDArray[np.int64]:
    """(N, T, V) the frame nearest to each frame in which the joint is seen, the earlier one of two; itself if none."""
    frames = there.shape[1]
    now = np.arange(frames)[None, :, None]
    before = np.maximum.accumulate(np.where(there, now, -frames), axis=1)
    after = np.minimum.accumulate(np.where(there, now, 3 * frames)[:, ::-1], axis=1)[:, ::-1]
    nearest = np.where(now - before <= after - now, before, after)
    return np.where(there.any(axis=1, keepdims=True), nearest, now)
