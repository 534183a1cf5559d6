"""Figures of `watch` for Prometheus; docs/live.md lists their names."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from pipeline.live.recording.recorder import RecorderCounts
from pipeline.live.sinks.base import INSTALL
from pipeline.live.sinks.dispatcher import SinkFigures
from pipeline.live.status.figures import CameraFigures
from pipeline.versions import package_version
from pose_extract.errors import UsageError

_INFERENCE_S = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)
_ALARM_S = (0.25, 0.5, 1.0, 1.5, 2.0, 3.0, 5.0, 10.0, 30.0)


class Metrics:
    """Answers a scrape from the figures of the moment; only what is a distribution is kept here.

    Args:
        cameras: gives the figures of all cameras.
        sinks: gives those of all sinks, by name.
        recorder: gives what was written of events.

    Raises:
        UsageError: prometheus-client is not installed.
    """

    def __init__(
        self,
        cameras: Callable[[], Sequence[CameraFigures]],
        sinks: Callable[[], Mapping[str, SinkFigures]] = dict,
        recorder: Callable[[], RecorderCounts] = RecorderCounts,
    ) -> None:
        try:
            import prometheus_client
        except ImportError as error:
            raise UsageError(f"metrics need prometheus-client, which is not installed: {INSTALL}") from error
        self._text = prometheus_client.generate_latest
        self.content_type: str = prometheus_client.CONTENT_TYPE_LATEST
        self._cameras, self._sinks, self._recorder = cameras, sinks, recorder
        self._registry = prometheus_client.CollectorRegistry()
        prometheus_client.Info("gepc", "Version of gepc-pipeline.", registry=self._registry).info(
            {"version": package_version()}
        )
        self._inference = prometheus_client.Histogram(
            "gepc_inference_seconds",
            "Time to find the people of a frame.",
            ["camera"],
            buckets=_INFERENCE_S,
            registry=self._registry,
        )
        self._alarm = prometheus_client.Histogram(
            "gepc_frame_to_alarm_seconds",
            "From the arrival of the frame that an event begins with to the event.",
            ["camera"],
            buckets=_ALARM_S,
            registry=self._registry,
        )
        self._events = prometheus_client.Counter(
            "gepc_events", "Events that have begun.", ["camera", "kind"], registry=self._registry
        )
        self._registry.register(self)

    def inference(self, camera: str, seconds: float) -> None:
        """A frame's people were found in so many seconds."""
        self._inference.labels(camera).observe(seconds)

    def alarm(self, camera: str, seconds: float) -> None:
        """An event was sent so many seconds after its first frame came."""
        self._alarm.labels(camera).observe(seconds)

    def event(self, camera: str, kind: str) -> None:
        """An event of that kind has begun."""
        self._events.labels(camera, kind).inc()

    def text(self) -> bytes:
        """What Prometheus reads."""
        return bytes(self._text(self._registry))

    def describe(self) -> list[Any]:
        """Nothing ahead of time: names depend on no state, and asking would need cameras."""
        return []

    def collect(self) -> Iterator[Any]:
        """The families of the moment; prometheus-client calls it at each scrape."""
        yield from self._of_cameras()
        yield from self._of_sinks()
        counts = self._recorder()
        for name, text, value in (
            ("gepc_pictures", "Pictures of events that were written.", counts.pictures),
            ("gepc_clips", "Clips of events that were written.", counts.clips),
            ("gepc_recordings_failed", "Pictures and clips that could not be written.", counts.failed),
            (
                "gepc_clips_skipped",
                "Clips that were not begun: too many at once, or no room.",
                counts.skipped,
            ),
            ("gepc_clip_frames_dropped", "Frames that clips lack.", counts.dropped),
        ):
            yield _family("counter", name, text, (), [((), value)])

    def _of_cameras(self) -> Iterator[Any]:
        figures = self._cameras()

        def of(kind: str, name: str, text: str, value: Callable[[CameraFigures], float | None]) -> Any:
            values = [((each.camera,), value(each)) for each in figures]
            return _family(kind, name, text, ("camera",), values)

        yield of("gauge", "gepc_up", "Whether the camera is online.", lambda c: float(c.state == "online"))
        yield _family(
            "gauge",
            "gepc_camera_state",
            "1 for the state that the camera is in.",
            ("camera", "state"),
            [((c.camera, c.state), 1.0) for c in figures if c.state is not None],
        )
        yield _family(
            "counter",
            "gepc_events_kept_back",
            "Events that rules kept back.",
            ("camera", "reason"),
            [((c.camera, reason), count) for c in figures for reason, count in c.kept_back.items()],
        )
        yield of("gauge", "gepc_seconds_since_last_frame", "Age of the last frame.", lambda c: c.age_s)
        yield of("gauge", "gepc_camera_fps", "Frames a second that come.", lambda c: c.camera_fps)
        yield of("gauge", "gepc_processed_fps", "Frames a second that are judged.", lambda c: c.processed_fps)
        yield of("counter", "gepc_frames", "Frames that were judged.", lambda c: c.frames)
        yield of(
            "counter",
            "gepc_unjudged_frames",
            "Frames of a camera that is blind, has moved, has no model, or at which something failed.",
            lambda c: c.unjudged,
        )
        yield of("counter", "gepc_skipped_frames", "Frames dropped for newer ones.", lambda c: c.skipped)
        yield of("counter", "gepc_reconnects", "Connections after the first.", lambda c: c.reconnects)
        yield of(
            "gauge",
            "gepc_alarm_share",
            "Share of today's frames above the threshold.",
            lambda c: c.alarm_share,
        )
        yield of(
            "gauge",
            "gepc_alarm_share_expected",
            "Share of normal frames above the threshold at calibration.",
            lambda c: c.expected_share,
        )

    def _of_sinks(self) -> Iterator[Any]:
        figures = self._sinks()
        for kind, name, text, field in (
            ("gauge", "gepc_sink_queue", "Events that wait for the sink.", "queued"),
            ("counter", "gepc_sink_delivered", "Events that it has taken.", "delivered"),
            ("counter", "gepc_sink_refused", "Events that it did not want.", "refused"),
            ("counter", "gepc_sink_dropped", "Events for which its queue had no room.", "dropped"),
            ("counter", "gepc_sink_failures", "Attempts that failed.", "failures"),
        ):
            values = [((sink,), getattr(each, field)) for sink, each in figures.items()]
            yield _family(kind, name, text, ("sink",), values)


def _family(
    kind: str,
    name: str,
    text: str,
    labels: Sequence[str],
    values: Sequence[tuple[Sequence[str], float | None]],
) -> Any:
    from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

    family = (CounterMetricFamily if kind == "counter" else GaugeMetricFamily)(name, text, labels=labels)
    for label, value in values:
        if value is not None:  # what is not known is left out, not zero
            family.add_metric(list(label), value)
    return family
