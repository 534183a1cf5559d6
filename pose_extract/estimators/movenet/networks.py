"""Run NanoDet on pictures and MoveNet on square regions of them, as `pose_extract.estimators.crops` defines those."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnxruntime
from numpy.typing import NDArray

from pose_extract.estimators.crops import Pyramid, to_frame
from pose_extract.tracks.records import Objects

FloatArray = NDArray[np.float32]

JOINTS = 17
SIDES = {"lightning": 192, "thunder": 256}
"""Side of MoveNet's input in pixels, by variant."""

CLASSES = 80
PERSON = 0
_STRIDES = (8, 16, 32)
_BINS = 11  # of a distance's distribution
_SAME_OBJECT = 0.6  # overlap of two boxes of a class from which the worse one goes


class Networks:
    """The detector and MoveNet's two variants. Results do not depend on the number of threads.

    Args:
        paths: files of "nanodet", "lightning" and "thunder".
        threads: how many work at once.
    """

    def __init__(self, paths: Mapping[str, Path], threads: int) -> None:
        self._paths = paths
        self._sessions: dict[str, onnxruntime.InferenceSession] = {}
        self._threads = threads
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="movenet") if threads > 1 else None

    def close(self) -> None:
        """End the worker threads."""
        if self._pool is not None:
            self._pool.shutdown()

    def joints(self, pyramid: Pyramid, regions: FloatArray, variant: str) -> FloatArray:
        """Run MoveNet on regions (R, 4): joints (R, 17, 3), x px, y px, score 0..1."""
        session = self._session(variant)

        def work(part: FloatArray) -> FloatArray:
            crops = np.stack([pyramid.crop(region, SIDES[variant]) for region in part])
            raw = session.run(None, {"crops": crops})[0]
            at = np.stack([to_frame(r[:, 1::-1], region) for r, region in zip(raw, part, strict=True)])
            return np.concatenate([at, raw[..., 2:]], axis=2).astype(np.float32)

        if not len(regions):
            return np.zeros((0, JOINTS, 3), np.float32)
        # A batch for each thread: larger ones gain nothing on a CPU.
        parts = np.array_split(regions, min(self._threads, len(regions)))
        return np.concatenate(self._map(work, parts))

    def detect(self, image: NDArray[np.uint8], side: int, threshold: float) -> Objects:
        """Run the detector on a picture (H, W, 3) BGR, shrunk or enlarged to a longer side of ``side`` pixels.

        What it finds comes best first.
        """
        height, width = image.shape[:2]
        scale = side / max(height, width)
        size = max(1, round(width * scale)), max(1, round(height * scale))
        small = cv2.resize(image, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
        padded = np.zeros((-(-size[1] // 32) * 32, -(-size[0] // 32) * 32, 3), np.uint8)
        padded[: size[1], : size[0]] = small
        session = self._session("nanodet")
        raw = dict(
            zip([o.name for o in session.get_outputs()], session.run(None, {"picture": padded}), strict=True)
        )
        found = [_decode(raw, stride, padded.shape[1] // stride, threshold) for stride in _STRIDES]
        boxes, scores, classes = (np.concatenate(part) for part in zip(*found, strict=True))
        boxes = boxes * np.tile(np.array([width, height]) / size, 2)
        boxes = np.clip(boxes, 0, np.tile([width, height], 2)).astype(np.float32)
        corners = np.concatenate([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]], axis=1)
        keep = cv2.dnn.NMSBoxesBatched(corners.tolist(), scores.tolist(), classes.tolist(), 0.0, _SAME_OBJECT)
        order = np.array(keep, np.intp).ravel()
        order = order[np.argsort(-scores[order], kind="stable")]
        return Objects(boxes[order], scores[order], classes[order])

    def detect_turned(self, image: NDArray[np.uint8], turns: int, side: int, threshold: float) -> Objects:
        """Run the detector on a picture turned by ``turns`` quarters; boxes are those of the upright one."""
        height, width = image.shape[:2]
        found = self.detect(np.ascontiguousarray(np.rot90(image, turns)), side, threshold)
        x, y = found.boxes[:, ::2], found.boxes[:, 1::2]
        x, y = ((x, y), (width - y, x), (width - x, height - y), (y, height - x))[turns % 4]
        boxes = np.column_stack([x.min(1), y.min(1), x.max(1), y.max(1)])
        return Objects(boxes.astype(np.float32), found.scores, found.classes)

    def submit(self, work: Callable[[], Any]) -> Callable[[], Any]:
        """Start work beside what follows; what is returned waits for its result."""
        if self._pool is None:
            result = work()
            return lambda: result
        return self._pool.submit(work).result

    def _map(self, work: Callable[[Any], Any], items: Sequence[Any]) -> list[Any]:
        if self._pool is None or len(items) < 2:
            return [work(item) for item in items]
        return list(self._pool.map(work, items))

    def _session(self, name: str) -> onnxruntime.InferenceSession:
        """The session of a network, opened when it is first needed."""
        if name not in self._sessions:
            options = onnxruntime.SessionOptions()
            options.intra_op_num_threads = options.inter_op_num_threads = 1
            options.log_severity_level = 3
            self._sessions[name] = onnxruntime.InferenceSession(
                str(self._paths[name]), options, providers=["CPUExecutionProvider"]
            )
        return self._sessions[name]


def _decode(
    raw: dict[str, FloatArray], stride: int, columns: int, threshold: float
) -> tuple[FloatArray, FloatArray, NDArray[np.int64]]:
    """Boxes in the input's pixels, scores and classes of one stride's cells."""
    table = raw[f"classes_{stride}"]
    cells, classes = np.nonzero(table >= threshold)
    bins = raw[f"bins_{stride}"][cells].reshape(-1, 4, _BINS)
    weights = np.exp(bins - bins.max(-1, keepdims=True))
    distance = (weights @ np.arange(_BINS)) / weights.sum(-1) * stride
    row, column = np.divmod(cells, columns)
    middle = (np.stack([column, row], axis=1) + 0.5) * stride
    boxes = np.concatenate([middle - distance[:, :2], middle + distance[:, 2:]], axis=1)
    return boxes.astype(np.float32), table[cells, classes], classes
