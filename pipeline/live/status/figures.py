"""Figures of a camera at a moment, as metrics, health and sinks tell them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True)
class CameraFigures:
    """How a camera is doing.

    Attributes:
        camera: its name.
        state: "online", "lost", "blind", "moved" or "no-model"; None: not known yet.
        age_s: seconds since its last frame; None: there was none.
        camera_fps: frames a second that come; None: not known.
        processed_fps: of them, those that are judged.
        frames: that were judged since the start.
        skipped: frames that were dropped for newer ones since the start.
        reconnects: connections after the first one.
        alarm_share: of today's frames, the share above the threshold, 0 to 1; None: none was scored.
        expected_share: what calibration promised of normal frames; None: not known.
        kept_back: events that rules kept back since the start, by the rule.
        unjudged: frames that were not judged, since the camera was blind, had moved or has no model, or something
            failed.
    """

    camera: str
    state: str | None = None
    age_s: float | None = None
    camera_fps: float | None = None
    processed_fps: float | None = None
    frames: int = 0
    skipped: int = 0
    reconnects: int = 0
    alarm_share: float | None = None
    expected_share: float | None = None
    kept_back: Mapping[str, int] = field(default_factory=dict)
    unjudged: int = 0

    def to_dict(self) -> dict[str, Any]:
        """As JSON has it; numbers to three digits."""
        return {
            key: round(value, 3) if isinstance(value, float) and "share" not in key else value
            for key, value in asdict(self).items()
        }
