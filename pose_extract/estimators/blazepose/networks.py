"""Run BlazePose's two networks on square regions of a picture, as `pose_extract.estimators.crops` defines those."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from ai_edge_litert.interpreter import Interpreter
from numpy.typing import NDArray

from pose_extract.estimators.crops import Pyramid, to_frame

_DETECTOR_SIDE, _LANDMARK_SIDE = 224, 256
_LANDMARKS, _BODY = 39, 33
HEAT_MAPS = 39  # one a landmark
_DETECTOR_GRIDS = ((28, 2), (14, 2), (7, 6))  # cells a side, anchors a cell: 2,254 in all
FloatArray = NDArray[np.float32]


@dataclass(frozen=True)
class Landmarks:
    """What the landmark network says of R regions.

    Attributes:
        points: (R, 39, 3) float32: x px, y px, visibility x presence 0..1. The last six are auxiliary: 33 is the middle
            of the hips, 34 lies on the circle around the whole body, straight up.
        flags: (R,) float32, the network's own probability that there is a person, 0..1. It saturates: many a phantom
            has 1.
        peaks: (R, 33) float32, height of each body joint's heat map near the landmark, 0..1. Its mean tells right
            skeletons from phantoms, merged and upside-down ones far better than the flag.
        heat: (R, 39, 39) float16, or None if not asked for: all heat maps, 0..1, at the place of each landmark.
    """

    points: FloatArray
    flags: FloatArray
    peaks: FloatArray
    heat: NDArray[np.float16] | None = None

    def __len__(self) -> int:
        return len(self.points)

    def select(self, index: Any) -> Landmarks:
        """The rows that ``index`` (any NumPy index) picks."""
        heat = None if self.heat is None else self.heat[index]
        return Landmarks(self.points[index], self.flags[index], self.peaks[index], heat)

    @classmethod
    def join(cls, parts: Sequence[Landmarks]) -> Landmarks:
        """All rows of ``parts``, in order."""
        heats = [part.heat for part in parts if part.heat is not None]
        points, flags, peaks = (
            np.concatenate([getattr(p, name) for p in parts]) for name in ("points", "flags", "peaks")
        )
        return cls(points, flags, peaks, np.concatenate(heats) if heats else None)

    @classmethod
    def none(cls, heat: bool = False) -> Landmarks:
        """No rows."""
        return cls(
            np.zeros((0, _LANDMARKS, 3), np.float32),
            np.zeros(0, np.float32),
            np.zeros((0, _BODY), np.float32),
            np.zeros((0, _LANDMARKS, HEAT_MAPS), np.float16) if heat else None,
        )


class Networks:
    """The two interpreters, one pair a worker thread; the order of results does not depend on the threads.

    Args:
        paths: files of the "detector" and the "landmarks" network.
        threads: number of worker threads.
        heat: whether landmarks come with what the heat maps say at their places.
    """

    def __init__(self, paths: dict[str, Path], threads: int, heat: bool = False) -> None:
        self._paths, self._heat = paths, heat
        self._local = threading.local()
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="blazepose") if threads > 1 else None

    def close(self) -> None:
        """End the worker threads."""
        if self._pool is not None:
            self._pool.shutdown()

    def map(self, work: Callable[[Any], Any], items: Sequence[Any]) -> list[Any]:
        """Results of ``work`` for each item, in order, computed by the workers."""
        if self._pool is None or len(items) < 2:
            return [work(item) for item in items]
        return list(self._pool.map(work, items))

    def landmarks(self, pyramid: Pyramid, regions: FloatArray) -> Landmarks:
        """Run the landmark network on regions (R, 4)."""
        results = self.map(lambda region: self._landmarks_of(pyramid, region), list(regions))
        if not results:
            return Landmarks.none(self._heat)
        points, flags, peaks, heat = zip(*results, strict=True)
        return Landmarks(
            np.stack(points),
            np.array(flags, np.float32),
            np.stack(peaks),
            np.stack(heat) if self._heat else None,
        )

    def detect(self, pyramid: Pyramid, tiles: FloatArray, threshold: float) -> tuple[FloatArray, FloatArray]:
        """Run the person detector on square tiles (R, 4): regions (D, 4) of people for `landmarks`, scores (D,)."""
        found = self.map(lambda tile: self._detect_in(pyramid, tile, threshold), list(tiles))
        if not found:
            return np.zeros((0, 4), np.float32), np.zeros(0, np.float32)
        return np.concatenate([f[0] for f in found]), np.concatenate([f[1] for f in found])

    def _interpreter(self, which: str) -> Any:
        """This thread's interpreter of one network."""
        found = getattr(self._local, which, None)
        if found is None:
            found = Interpreter(str(self._paths[which]), num_threads=1)
            found.allocate_tensors()
            setattr(self._local, which, found)
        return found

    def _run(self, which: str, batch: FloatArray, outputs: int) -> list[FloatArray]:
        """Run one network on one crop."""
        network = self._interpreter(which)
        network.set_tensor(network.get_input_details()[0]["index"], batch)
        network.invoke()
        return [network.get_tensor(d["index"])[0] for d in network.get_output_details()[:outputs]]

    def _landmarks_of(
        self, pyramid: Pyramid, region: FloatArray
    ) -> tuple[FloatArray, float, FloatArray, NDArray[np.float16] | None]:
        crop = pyramid.crop(region, _LANDMARK_SIDE)
        raw, flag, _, heat = self._run("landmarks", (crop * np.float32(1 / 255))[None], 4)
        raw = raw.reshape(_LANDMARKS, 5)
        local, peaks = refine(raw[:, :2] / _LANDMARK_SIDE, heat)
        seen = sigmoid(raw[:, 3]) * sigmoid(raw[:, 4])
        points = np.concatenate([to_frame(local, region), seen[:, None]], axis=1)
        maps = sample_maps(heat, local) if self._heat else None
        return points.astype(np.float32), float(flag[0]), peaks[:_BODY], maps

    def _detect_in(
        self, pyramid: Pyramid, tile: FloatArray, threshold: float
    ) -> tuple[FloatArray, FloatArray]:
        crop = pyramid.crop(tile, _DETECTOR_SIDE)
        raw, logits = self._run("detector", (crop * np.float32(2 / 255) - np.float32(1))[None], 2)
        scores = sigmoid(np.clip(logits[:, 0], -100, 100))
        keep = np.flatnonzero(scores >= threshold)
        keep = keep[np.argsort(-scores[keep], kind="stable")]
        points = raw[keep, 4:].reshape(-1, 4, 2) / _DETECTOR_SIDE + _ANCHORS[keep, None]
        boxes = raw[keep, :4] / _DETECTOR_SIDE
        # Suppression among one tile's finds; those of different tiles meet again as skeletons.
        hips, circle = points[:, 0], points[:, 1]
        radius = np.linalg.norm(circle - hips, axis=1)
        chosen: list[int] = []
        for i in range(len(keep)):
            near = [np.linalg.norm(hips[i] - hips[j]) < 0.5 * max(radius[i], radius[j]) for j in chosen]
            if not any(near) and radius[i] > 0.01 and np.all(np.isfinite(boxes[i])):
                chosen.append(i)
        regions = regions_from_points(
            to_frame(hips[chosen].reshape(-1, 2), tile), to_frame(circle[chosen].reshape(-1, 2), tile)
        )
        return regions, scores[keep][chosen].astype(np.float32)


def regions_from_points(hips: NDArray[Any], circle: NDArray[Any], scale: float = 1.25) -> FloatArray:
    """Regions (R, 4) from the middle of the hips (R, 2) and a point straight up on the body's circle (R, 2)."""
    up = circle - hips
    size = 2 * scale * np.linalg.norm(up, axis=1)
    angle = np.arctan2(up[:, 0], -up[:, 1])
    return np.stack([hips[:, 0], hips[:, 1], size, angle], axis=1).astype(np.float32)


def refine(
    local: NDArray[Any], heat: FloatArray, kernel: int = 7, enough: float = 0.5
) -> tuple[FloatArray, FloatArray]:
    """Move landmarks (39, 2), 0..1, to the centre of mass of their heat map's (64, 64, 39) neighbourhood.

    Returns:
        the landmarks, and the highest value (39,), 0..1, of each one's neighbourhood.
    """
    rows, columns, count = heat.shape
    reach = kernel // 2
    steps = np.arange(-reach, reach + 1)
    column = np.floor(local[:, 0] * columns).astype(int)
    row = np.floor(local[:, 1] * rows).astype(int)
    inside = (column >= 0) & (column < columns) & (row >= 0) & (row < rows)
    cc, rr = column[:, None] + steps, row[:, None] + steps
    valid = ((rr >= 0) & (rr < rows))[:, :, None] & ((cc >= 0) & (cc < columns))[:, None, :]
    rr_in, cc_in = np.clip(rr, 0, rows - 1), np.clip(cc, 0, columns - 1)
    patch = sigmoid(heat[rr_in[:, :, None], cc_in[:, None, :], np.arange(count)[:, None, None]])
    patch = np.where(valid, patch, 0.0)
    total = patch.sum((1, 2))
    best = patch.max((1, 2))
    good = inside & (best >= enough) & (total > 0)
    total = np.where(total > 0, total, 1.0)
    moved = np.stack(
        [
            (patch * cc[:, None, :]).sum((1, 2)) / total / columns,
            (patch * rr[:, :, None]).sum((1, 2)) / total / rows,
        ],
        axis=1,
    )
    return np.where(good[:, None], moved, local).astype(np.float32), np.where(inside, best, 0).astype(
        np.float32
    )


def sample_maps(heat: FloatArray, local: NDArray[Any]) -> NDArray[np.float16]:
    """All heat maps (H, W, C) at places (N, 2), 0..1 of the network's input: (N, C), 0..1.

    Bilinear between the centres of the maps' cells; a place outside the input gets what is nearest on its border.
    """
    size = np.array([heat.shape[1], heat.shape[0]])
    at = np.clip(local * size - 0.5, 0, size - 1)
    low = np.minimum(np.floor(at).astype(int), size - 2)
    share = (at - low)[:, :, None]
    (x, y), (across, down) = low.T, share.transpose(1, 0, 2)
    upper = (1 - across) * heat[y, x] + across * heat[y, x + 1]
    lower = (1 - across) * heat[y + 1, x] + across * heat[y + 1, x + 1]
    return sigmoid((1 - down) * upper + down * lower).astype(np.float16)


def sigmoid(x: NDArray[Any]) -> NDArray[Any]:
    """1 / (1 + exp(-x)), safe for large values."""
    return 1.0 / (1.0 + np.exp(-np.clip(x, -60, 60)))


def _anchors() -> FloatArray:
    """Centres (2254, 2) of the detector's anchors, 0..1; their size is 1."""
    centres = []
    for cells, repeat in _DETECTOR_GRIDS:
        row, column = np.divmod(np.arange(cells * cells), cells)
        grid = (np.stack([column, row], axis=1) + 0.5) / cells
        centres.append(np.repeat(grid, repeat, axis=0))
    return np.concatenate(centres).astype(np.float32)


_ANCHORS = _anchors()
