"""Windows of many clips, each of which knows its clip: a clip's score is that of its highest person (section 4.2.4)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from anomaly.data.windows import Windows, make_windows
from anomaly.settings import WindowSettings
from pose_extract.errors import TrainingError
from pose_extract.tracks.records import ClipTracks


@dataclass(frozen=True)
class ClipWindows:
    """The people of clips, a window each.

    Attributes:
        windows: clip after clip.
        clip: (N,) number of each window's clip.
        clips: how many clips there are; some may have no window.
    """

    windows: Windows
    clip: NDArray[np.int64]
    clips: int

    @classmethod
    def from_clips(cls, clips: Iterable[ClipTracks], settings: WindowSettings) -> ClipWindows:
        """The windows of clips, which are let go one by one.

        Raises:
            TrainingError: there is no clip.
            ModelError: a clip's skeleton cannot be turned into the settings'.
        """
        parts = [make_windows(clip, settings, settings.train_stride) for clip in clips]
        if not parts:
            raise TrainingError("expected at least one clip, got none")
        counts = [len(part) for part in parts]
        return cls(Windows.concatenate(parts), np.repeat(np.arange(len(parts)), counts), len(parts))

    def highest(self, anomaly: NDArray[np.float64], floor: float) -> NDArray[np.float64]:
        """(clips,) the highest anomaly among each clip's windows (N,); ``floor`` where a clip has none."""
        out = np.full(self.clips, -np.inf)
        np.maximum.at(out, self.clip, anomaly)
        return np.where(np.isneginf(out), floor, out)
