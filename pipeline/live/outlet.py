"""What becomes of an event on its way out: a picture, a clip, the sinks; and what is kept of all of it."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import date, datetime, timedelta
from pathlib import Path

from anomaly.runtime.memory import give_back_memory
from pipeline.live.capture.feed import LiveFrame
from pipeline.live.events.record import LiveEvent
from pipeline.live.recording.recorder import Recorder
from pipeline.live.recording.retention import sweep
from pipeline.live.settings import WatchSettings
from pipeline.live.sinks.dispatcher import Dispatcher
from pipeline.live.status.metrics import Metrics
from pipeline.live.status.monitor import Monitor
from pipeline.live.status.server import StatusServer
from pipeline.live.watching.camera import Context
from pose_extract.skeletons import Skeleton
from pose_extract.tracks.records import PoseDetections

logger = logging.getLogger(__name__)

_SWEEP_S = 600.0  # between two looks at what is too old or too much
_GIVE_BACK_S = 60.0  # between two times that freed memory is given back
LAST_WORDS_S = 3.0  # for closing, where somebody waits for the end
_CLIPS_SHARE = 0.5  # of the time for closing that clips may take


class Outlet:
    """Takes events from a watcher, adds what is seen of them, and hands them to the sinks.

    Args:
        dispatcher: the sinks.
        recorder: writes pictures and clips.
        monitor: is told that the watcher lives.
        metrics: counts events and delays; None: nobody asks.
        tables: folders with a CSV table a day, for retention.
        now: the clock of days; tests give their own.
    """

    def __init__(
        self,
        dispatcher: Dispatcher,
        recorder: Recorder,
        monitor: Monitor,
        metrics: Metrics | None = None,
        tables: Sequence[Path] = (),
        now: Callable[[], datetime] = lambda: datetime.now().astimezone(),
    ) -> None:
        self.dispatcher, self.recorder, self.monitor, self.metrics = dispatcher, recorder, monitor, metrics
        self._tables, self._now = tables, now
        self._drawn: dict[str, float] = {}  # event -> score of the frame that its picture shows
        self._swept_s, self._swept_on = -_SWEEP_S, date.min
        self._sweeping: threading.Thread | None = None
        self._gave_back_s = time.monotonic()
        self._closed = False

    def push(
        self, camera: str, frame: LiveFrame, people: PoseDetections, skeleton: Skeleton, took_s: float
    ) -> None:
        """Remember a frame that was judged.

        Args:
            camera: whose it is.
            frame: the picture.
            people: who is in it.
            skeleton: of their joints.
            took_s: seconds that it took to find them.
        """
        if self.metrics is not None:
            self.metrics.inference(camera, took_s)
        self.recorder.see(camera, frame.at, frame.image, people, skeleton)

    def send(self, event: LiveEvent, context: object = None) -> None:
        """Send an event, with its picture and its clip."""
        begin = time.monotonic()
        told = context if isinstance(context, Context) else Context()
        try:
            event = self._with_pictures(event, told)
        except Exception as error:  # the alarm matters more
            logger.error("event %s is sent without its picture and clip", event.id, exc_info=error)
        self.dispatcher.send(event)
        if self.metrics is not None and event.type == "new":
            self.metrics.event(event.camera, event.kind)
            if told.delay_s is not None:
                self.metrics.alarm(event.camera, told.delay_s + time.monotonic() - begin)

    def patrol(self) -> None:
        """Called now and then by the watcher: it lives; what is too old or too much is removed in another thread.

        Memory that was freed is given back, too.
        """
        self.monitor.look()
        now_s, today = time.monotonic(), self._now().date()
        if now_s - self._gave_back_s >= _GIVE_BACK_S:
            give_back_memory()
            self._gave_back_s = time.monotonic()
        if today == self._swept_on and now_s - self._swept_s < _SWEEP_S:
            return
        if self._sweeping is None or not self._sweeping.is_alive():
            self._swept_s, self._swept_on = now_s, today
            self._sweeping = threading.Thread(
                target=self._sweep, args=(today,), name="retention", daemon=True
            )
            self._sweeping.start()

    def close(self, timeout_s: float) -> None:
        """Finish clips, deliver what can be delivered in that time, and end; once more does nothing."""
        if not self._closed:
            self._closed = True
            self.hurry(timeout_s)

    def hurry(self, timeout_s: float) -> None:
        """Close in that time, also where `close` goes on with more of it in another thread."""
        until = time.monotonic() + timeout_s
        self.recorder.close(timeout_s * _CLIPS_SHARE)
        self.dispatcher.close(max(0.1, until - time.monotonic()))

    def _sweep(self, today: date) -> None:
        kept = self.recorder.settings
        try:
            sweep(today, kept.keep_days, kept.keep_mib * 2**20, self.recorder.folders, self._tables)
        except OSError as error:
            logger.warning("old files could not be removed: %s", error)

    def _with_pictures(self, event: LiveEvent, context: Context) -> LiveEvent:
        if event.kind == "state":
            if event.state != "online":  # no frames come
                self.recorder.lost(event.camera)
            return event
        if event.type == "new":
            self.recorder.begin_clip(event)
        told = context.told
        if (
            told is not None
            and event.score is not None
            and event.score > self._drawn.get(event.id, float("-inf"))
        ):
            self._drawn[event.id] = event.score
            worst = told.start + timedelta(seconds=told.event.peak_s - told.event.start_s)
            self.recorder.draw(event, worst)
        if event.type == "end":
            self._drawn.pop(event.id, None)
        clip = self.recorder.end_clip(event) if event.type == "end" else None
        if event.end_reason == "shutdown":  # no more frames come, or those of another source
            self.recorder.lost(event.camera)
        return replace(event, picture=self.recorder.picture_of(event), clip=clip)


@contextmanager
def outgoing(settings: WatchSettings, out: Path) -> Iterator[Outlet]:
    """Make the outlet that the settings ask for, and close it at the end.

    Args:
        settings: of `watch`.
        out: where queues, pictures and clips are kept.

    Raises:
        ConfigError: a sink's setting is not usable.
        UsageError: a package is not installed, or the port for metrics is taken.
    """
    with ExitStack() as ends:
        dispatcher = Dispatcher(settings.sinks, out / "queues", list(settings.cameras))
        recorder = Recorder(settings.recording, out)
        monitor = Monitor(dispatcher, settings.status.stalled_after_s)
        tables = [Path(sink.csv.folder) for sink in settings.sinks.values() if sink.csv is not None]
        outlet = Outlet(dispatcher, recorder, monitor, tables=tables)
        ends.callback(outlet.close, LAST_WORDS_S)
        if settings.status.port:
            metrics = Metrics(monitor.figures, dispatcher.figures, lambda: recorder.counts)
            server = StatusServer(
                settings.status.host,
                settings.status.port,
                monitor.health,
                lambda: (metrics.text(), metrics.content_type),
            )
            ends.callback(server.close)
            outlet.metrics = metrics
        yield outlet
