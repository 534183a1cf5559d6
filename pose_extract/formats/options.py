"""Options of an import: what the format itself does not say."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from pose_extract.errors import UsageError, short
from pose_extract.tracking import TrackingSettings


@dataclass(frozen=True)
class ImportOptions:
    """How files of other tools are read.

    Attributes:
        fps: frames a second, for formats that do not tell; replaces a format's usual rate.
        frame_size: (width, height) in pixels, likewise.
        first_frame: the number that the file gives to a clip's first frame; the format's own custom if None.
        frame_counts: clip -> its number of frames. Most formats do not tell how many frames without people a clip ends
            with; where nothing is said, it ends with the last person.
        confidence_scale: the largest confidence that the file's estimator gives (1 for most, 6 for old versions of
            AlphaPose). Confidences are divided by it, and what is then above 1 counts as 1.
        normalised: coordinates are shares of the frame's width and height (OpenPose's ``keypoint_scale 3``).
        tracking: how people are followed in formats without ids. Colours play no part: there are no pictures.
        trust_pickle: read pickle files (of the data set CHAD). They are refused otherwise.
    """

    fps: float | None = None
    frame_size: tuple[int, int] | None = None
    first_frame: int | None = None
    frame_counts: Mapping[str, int] = field(default_factory=dict)
    confidence_scale: float = 1.0
    normalised: bool = False
    tracking: TrackingSettings = field(default_factory=TrackingSettings)
    trust_pickle: bool = False

    def __post_init__(self) -> None:
        if self.fps is not None and not (np.isfinite(self.fps) and 0 < self.fps <= 1000):
            raise UsageError(f"fps: expected a frame rate above 0 and up to 1000, got {short(self.fps)}")
        if self.frame_size is not None and not (
            len(self.frame_size) == 2 and all(0 < side <= 100_000 for side in self.frame_size)
        ):
            raise UsageError(f"frame_size: expected width x height in pixels, got {short(self.frame_size)}")
        if not (np.isfinite(self.confidence_scale) and self.confidence_scale > 0):
            raise UsageError(
                f"confidence_scale: expected a number above 0, got {short(self.confidence_scale)}"
            )

    def rate(self, usual: float | None = None) -> float:
        """The frame rate; raises `UsageError` if neither the user nor the format (``usual``) tells it."""
        rate = self.fps or usual
        if rate is None:
            raise UsageError("this format does not tell the frame rate; give it, for example --fps 24")
        return float(rate)

    def size(self, usual: Any = None) -> tuple[int, int]:
        """(width, height); raises `UsageError` if neither the user nor the format (``usual``) tells it."""
        size = self.frame_size or usual
        if size is None:
            raise UsageError(
                "this format does not tell the frame size; give it, for example --frame-size 856x480"
            )
        return int(size[0]), int(size[1])
