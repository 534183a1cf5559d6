"""Settings of cleaning: the config section ``cleaning``."""

from __future__ import annotations

from dataclasses import dataclass

from pose_extract.checking import expect_between


@dataclass(frozen=True)
class CleaningSettings:
    """What is mended in tracks. All times in seconds.

    Attributes:
        enabled: whether anything is done at all.
        min_confidence: joints with a lower confidence are interpolated where the gap is short, 0..1.
        max_gap_s: longest gap that is interpolated, both of single joints and of frames missing from a track.
        max_hidden_s: longest time for which somebody who is found again is taken to have been hidden in between: the
            box moves on a straight line, the joints stay missing (confidence 0), so that nothing is made of them.
        outlier_window_s: a joint is compared with its median within this time on both sides.
        outlier_distance: joints further from that median than this share of the box's larger side, and further than
            the joint's own movement explains, are replaced; 0 turns this off.
        smooth_s: standard deviation of the Gaussian weights of the smoothing; 0 turns it off.
        online_s: what comes later than this after a moment plays no part in "online" scores of it: live alarms wait so
            long.
    """

    enabled: bool = True
    min_confidence: float = 0.1
    max_gap_s: float = 0.5
    max_hidden_s: float = 2.0
    outlier_window_s: float = 0.15
    outlier_distance: float = 0.15
    smooth_s: float = 0.06
    online_s: float = 0.3

    def __post_init__(self) -> None:
        times = "max_gap_s", "max_hidden_s", "outlier_window_s", "outlier_distance", "smooth_s", "online_s"
        expect_between("cleaning", self, 0, 1, "min_confidence")
        expect_between("cleaning", self, 0, 10, *times)

    def gap_frames(self, fps: float) -> int:
        """Most missing frames in a row that are filled."""
        return int(self.max_gap_s * fps + 1e-6)

    def hidden_frames(self, fps: float) -> int:
        """Most missing frames in a row that get a box."""
        return int(self.max_hidden_s * fps + 1e-6)

    def outlier_frames(self, fps: float) -> int:
        """Frames on both sides that a joint's median is taken over; at least 2 where outliers are removed at all."""
        return max(2, round(self.outlier_window_s * fps)) if self.outlier_distance else 0

    def smoothing_frames(self, fps: float) -> int:
        """Frames on both sides that smoothing uses: 2.5 standard deviations."""
        return round(2.5 * self.smooth_s * fps)

    def context_frames(self, fps: float) -> int:
        """Frames on both sides of a frame that its cleaned rows depend on; none outside of it matters."""
        if not self.enabled:
            return 0
        # A smoothed row takes in filled rows, those the rows on both sides of their gap, and those their outlier test,
        # which is a median of distances from a median.
        mended = self.smoothing_frames(fps) + self.gap_frames(fps) + 1 + 2 * self.outlier_frames(fps)
        return mended + max(self.gap_frames(fps), self.hidden_frames(fps)) + 1
