"""See how a watcher is doing: rates, shares of the day, whether it lives."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

from pipeline.live.sinks.dispatcher import Dispatcher
from pipeline.live.status.figures import CameraFigures
from pipeline.live.watching.camera import WatchedCamera

_RATE_S = 10.0  # frames a second are means over so long
_TELL_S = 30.0  # between two sets of figures for sinks that publish them


class Monitor:
    """Looks at cameras and sinks; asked by other threads than the watcher's.

    Args:
        dispatcher: the sinks.
        stalled_after_s: a watcher that has not looked around for so long does not live.

    Attributes:
        cameras: gives those that are watched; they may change.
    """

    def __init__(
        self,
        dispatcher: Dispatcher,
        stalled_after_s: float,
    ) -> None:
        self.cameras: Callable[[], Sequence[WatchedCamera]] = list
        self._dispatcher = dispatcher
        self._stalled_after_s = stalled_after_s
        self._looked_s = self._told_s = time.monotonic()
        self._rates: dict[str, tuple[float, int, int, float | None, float | None]] = {}

    def look(self) -> None:
        """Called by the watcher now and then: it lives."""
        now = self._looked_s = time.monotonic()
        for camera in self.cameras():
            judged = 0 if camera.judge is None else camera.judge.counts.frames
            received = camera.capture.received
            since, before, judged_before, *_ = self._rates.setdefault(
                camera.name, (now, received, judged, None, None)
            )
            if received < before or judged < judged_before:  # the camera was begun anew
                self._rates[camera.name] = (now, received, judged, None, None)
            elif now - since >= _RATE_S:
                rates = (received - before) / (now - since), (judged - judged_before) / (now - since)
                self._rates[camera.name] = (now, received, judged, *rates)
        if now - self._told_s >= _TELL_S:
            self._told_s = now
            self._dispatcher.tell(self.stats())

    def figures(self) -> list[CameraFigures]:
        """Of every camera, at the moment."""
        return [self._of(camera) for camera in self.cameras()]

    def health(self) -> tuple[bool, dict[str, Any]]:
        """Whether the watcher lives, and the states of cameras and sinks."""
        silent_s = time.monotonic() - self._looked_s
        cameras = {camera.name: camera.state or None for camera in self.cameras()}
        sinks = {
            name: {"queued": each.queued, "last_error": each.last_error or None}
            for name, each in self._dispatcher.figures().items()
        }
        alive = silent_s < self._stalled_after_s
        well = all(state == "online" for state in cameras.values()) and not any(
            each["last_error"] for each in sinks.values()
        )
        status = "stalled" if not alive else "ok" if well else "degraded"
        return alive, {"status": status, "cameras": cameras, "sinks": sinks, "silent_s": round(silent_s, 1)}

    def stats(self) -> dict[str, Any]:
        """Figures of cameras and sinks, for sinks that publish them."""
        return {
            "cameras": {each.camera: each.to_dict() for each in self.figures()},
            "sinks": {
                name: {"queued": each.queued, "delivered": each.delivered, "dropped": each.dropped}
                for name, each in self._dispatcher.figures().items()
            },
        }

    def _of(self, camera: WatchedCamera) -> CameraFigures:
        capture, judge = camera.capture, camera.judge
        *_, camera_fps, processed_fps = self._rates.get(camera.name, (None, None))
        share, expected = (camera.day.shares if camera.day is not None else None) or (None, None)
        return CameraFigures(
            camera=camera.name,
            state=camera.state or None,
            age_s=capture.age_s if capture.received else None,
            camera_fps=camera_fps,
            processed_fps=processed_fps,
            frames=0 if judge is None else judge.counts.frames,
            skipped=capture.mailbox.dropped,
            reconnects=max(0, capture.connections - 1),
            alarm_share=share,
            expected_share=expected,
            kept_back=dict(camera.limits.kept_back),
            unjudged=camera.unjudged + camera.failed,
        )
