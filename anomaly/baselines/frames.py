"""Colour frames of clips, as the baselines that look at pixels learn from them and score them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from pose_extract.errors import ModelError, TrainingError

Clip = NDArray[np.uint8]  # (F, H, W, 3) frames, in memory or mapped from a file


class FrameBaseline(Protocol):
    """Learns from normal clips, and scores frames; higher is more abnormal. Clips are `Clip`."""

    @property
    def fewest_frames(self) -> int:
        """Frames that a clip must have to be scored."""
        ...

    def fit(self, clips: Sequence[Clip]) -> None:
        """Learn what is normal; raises `TrainingError` and `ModelError`."""
        ...

    def score_frames(self, clip: Clip) -> NDArray[np.float64]:
        """(F,) anomaly of a clip's frames; raises `ModelError`."""
        ...


def mean_of_frames(baseline: FrameBaseline, clips: Iterable[Clip]) -> NDArray[np.float64]:
    """(N,) anomaly of clips, the mean over their frames; NaN where one is too short to be scored."""
    return np.array(
        [
            baseline.score_frames(clip).mean() if len(clip) >= baseline.fewest_frames else np.nan
            for clip in clips
        ],
        np.float64,
    )


class Segments:
    """All runs of consecutive frames of some clips, which are opened only when one is drawn.

    Args:
        clips: each `Clip`; those that are too short are left out.
        length: frames of a run.
        size: side in pixels of the squares that frames are scaled to.
        what: the method, for errors.

    Raises:
        TrainingError: all clips are too short.
        ModelError: a clip is not made of colour frames.
    """

    def __init__(self, clips: Sequence[Clip], length: int, size: int, what: str) -> None:
        self.clips, self.length, self.size = clips, length, size
        counts = []
        for number in range(len(clips)):
            check_clip(clips[number], what)
            counts.append(max(len(clips[number]) - length + 1, 0))
        self.ends = np.cumsum(counts, dtype=np.int64)
        if not counts or self.ends[-1] == 0:
            raise TrainingError(
                f"{what}: expected normal clips of at least {length} frames, got {len(counts)} clips, none of them "
                "that long"
            )

    def places(self, rng: np.random.Generator, count: int) -> list[tuple[int, int]]:
        """``count`` runs, drawn with replacement, each as likely as another: number of the clip, first frame."""
        found = []
        for number in rng.integers(self.ends[-1], size=count):
            clip = int(np.searchsorted(self.ends, number, side="right"))
            found.append((clip, int(number - (self.ends[clip - 1] if clip else 0))))
        return found

    def draw(self, rng: np.random.Generator, count: int) -> Clip:
        """(count, length, size, size, 3) runs, as `places` draws them."""
        return np.stack(
            [frames_of(self.clips[c], start, self.length, self.size) for c, start in self.places(rng, count)]
        )


def frames_of(clip: Clip, start: int, length: int, size: int) -> Clip:
    """(length, size, size, 3) frames from ``start`` on."""
    frames = clip[start : start + length]
    if frames.shape[1:3] == (size, size):
        return frames
    return np.stack([cv2.resize(frame, (size, size), interpolation=cv2.INTER_AREA) for frame in frames])


def check_clip(clip: Clip, what: str) -> None:
    """Raise ModelError unless it is a clip of colour frames."""
    if getattr(clip, "ndim", 0) != 4 or clip.shape[3] != 3 or clip.dtype != np.uint8 or 0 in clip.shape[1:]:
        found = f"{getattr(clip, 'dtype', type(clip).__name__)} {getattr(clip, 'shape', '')}".strip()
        raise ModelError(f"{what}: expected clips of shape (F, H, W, 3) uint8, got {found}")


def check_length(clip: Clip, fewest: int, what: str) -> None:
    """Raise ModelError unless it is a clip that is long enough to be scored."""
    check_clip(clip, what)
    if len(clip) < fewest:
        raise ModelError(
            f"{what}: expected clips of at least {fewest} frames, got {len(clip)}; leave shorter ones out"
        )


def regular_to_anomaly(anomaly: NDArray[np.float64]) -> NDArray[np.float64]:
    """Anomalies of a clip's frames scaled to 0..1 within the clip: 1 minus the papers' regular score."""
    spread = anomaly.max() - anomaly.min()
    return (anomaly - anomaly.min()) / spread if spread > 0 else np.zeros(len(anomaly))
