"""Put `watch` together from its settings: models, estimators, cameras, sinks; and run it until it is told to end."""

from __future__ import annotations

import logging
import math
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

from anomaly.bundle.files import CARD
from pipeline.live.cameras import Cameras, model_id, sources_of
from pipeline.live.outlet import LAST_WORDS_S, Outlet, outgoing
from pipeline.live.settings import WatchSettings
from pipeline.live.watching.camera import Context, WatchedCamera
from pipeline.live.watching.judge import Judge, live_threshold
from pipeline.live.watching.marks import History, marked_threshold, read_verdicts
from pipeline.live.watching.open_events import OpenEvents
from pipeline.live.watching.watcher import Watcher
from pipeline.scoring import load_scorer
from pose_extract.errors import GepcError, ModelError
from pose_extract.video.streams import StreamSource

logger = logging.getLogger(__name__)


_PATIENCE_S = 120.0  # that clips and sinks have when all recordings are over
_THRESHOLDS_S = 5.0  # between two looks at models and marks


class Service:
    """`watch` from its settings on: it can be told to end, and to read its settings again.

    Args:
        read: gives the settings; called again on SIGHUP.
        model: the model of cameras that name none.
        out: folder of what is kept.
        device: where networks run.

    Raises:
        ConfigError: the settings are wrong.
        ModelError: no camera has a model.
        UsageError: a source cannot be one, or what a sink needs is not installed.
        VideoError: there is no such file.
    """

    def __init__(
        self, read: Callable[[], WatchSettings], model: Path, out: Path, device: str = "auto"
    ) -> None:
        self._read, self._model, self._out, self._device = read, model, out, device
        self.settings = read()
        self._cameras = Cameras(self.settings, model, out, device)
        self._made_of: dict[str, object] = {}
        self._reload = threading.Event()
        try:
            made = [self._make(name) for name in self.settings.cameras]
            if all(camera.judge is None for camera in made):
                raise ModelError(made[0].no_model)
            self._ends = ExitStack()  # of the outlet
            outlet = self._ends.enter_context(outgoing(self.settings, out))
        except BaseException:
            self._cameras.close()
            raise
        open_events = OpenEvents(out / "state" / "open-events.jsonl")
        self._history = History(out / "history.jsonl")
        self.watcher = Watcher(
            made,
            self.settings.live,
            outlet,
            open_events,
            self._cameras.arrivals,
            outlet,
            self._patrol,
            self._history,
        )
        self._thresholds_of: object = None
        self._marked: Set[str] = frozenset()  # ids of the events that an operator has marked
        self._looked_s = -math.inf
        self._use(outlet)

    def run(self) -> bool:
        """Watch until a signal comes, or until all recordings are over; whether it was a signal."""
        try:
            with self._heeding_signals():
                self.watcher.run()
                if not self.watcher.stopped:  # recordings are over: nobody waits for the end
                    self._close_patiently()
        finally:
            self._cameras.end_days()
            self._ends.close()
            self._cameras.close()
        return self.watcher.stopped

    def _close_patiently(self) -> None:
        """Give clips and sinks their time, unless the end is asked for meanwhile."""
        closing = threading.Thread(
            target=self._outlet.close, args=(_PATIENCE_S,), name="closing", daemon=True
        )
        closing.start()
        while closing.is_alive() and not self.watcher.stopped:
            closing.join(0.1)
        if closing.is_alive():
            self._outlet.hurry(LAST_WORDS_S)

    def reload(self) -> None:
        """Read the settings again, soon; wrong ones change nothing."""
        self._reload.set()

    @contextmanager
    def _heeding_signals(self) -> Iterator[None]:
        """End in order on SIGTERM and SIGINT, read the settings again on SIGHUP."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        handlers: dict[int, Callable[..., object]] = {
            signal.SIGTERM: lambda *_: self.watcher.stop(),
            signal.SIGINT: lambda *_: self.watcher.stop(),
            signal.SIGHUP: lambda *_: self.reload(),
        }
        before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
        try:
            yield
        finally:
            for number, former in before.items():
                signal.signal(number, signal.SIG_DFL if former is None else former)

    def _use(self, outlet: Outlet) -> None:
        """Let events go out by it."""
        self.watcher.sinks = self.watcher.recorder = self._outlet = outlet
        outlet.monitor.cameras = lambda: self.watcher.cameras

    def _make(self, name: str) -> WatchedCamera:
        camera = self._cameras.make(name, self.settings.cameras[name])
        self._made_of[name] = self._facts(self.settings, name)
        return camera

    def _facts(self, settings: WatchSettings, name: str) -> object:
        """What a camera is made of: another one is made if that changes."""
        camera = settings.cameras[name]
        folder = camera.model_folder(self._model)
        try:
            identity: str | None = model_id(folder)
        except OSError:
            identity = None
        return camera, settings.live, settings.set, folder, identity

    def _patrol(self) -> None:
        self._outlet.patrol()
        if time.monotonic() - self._looked_s >= _THRESHOLDS_S:
            self._looked_s = time.monotonic()
            try:
                self._look_at_thresholds()
            except (GepcError, OSError) as error:
                logger.error("thresholds stay as they were: %s", error)
        if self._reload.is_set():
            self._reload.clear()
            try:
                self._take_over(self._read())
            except (GepcError, OSError) as error:
                logger.error("the settings stay as they were: %s", error)

    def _look_at_thresholds(self) -> None:
        """Take over what `recalibrate` has written into models, and what an operator has marked."""
        marks = Path(self.settings.live.marks) if self.settings.live.marks else None
        folders = {camera.model_folder(self._model) for camera in self.settings.cameras.values()}
        files = [*(folder / CARD for folder in sorted(folders)), *([marks] if marks is not None else [])]
        now = [(file.stat().st_mtime_ns, file.stat().st_size) if file.is_file() else None for file in files]
        over, self._history.added = self._history.added, set()
        if now == self._thresholds_of and not over & self._marked:  # an event may be marked before it is over
            return
        self._thresholds_of = now  # a file that is wrong is complained of once
        verdicts = read_verdicts(marks) if marks is not None and marks.is_file() else {}
        self._marked = verdicts.keys()
        for camera in self.watcher.cameras:
            if camera.judge is None or camera.model_id is None:
                continue
            try:
                self._look_at_threshold(camera, camera.judge, camera.model_id, verdicts)
            except (GepcError, OSError) as error:  # of its model; others have their own
                logger.error("camera %s: its threshold stays as it was: %s", camera.name, error)

    def _look_at_threshold(
        self, camera: WatchedCamera, judge: Judge, identity: str, verdicts: Mapping[str, str]
    ) -> None:
        settings = self.settings.cameras[camera.name]
        if model_id(settings.model_folder(self._model)) != identity:
            logger.warning(
                "camera %s: another model has been learned; SIGHUP, or a restart, takes it over", camera.name
            )
            return
        scorer = self._cameras.scorer(settings)
        choice = marked_threshold(scorer, verdicts, self._history.scores(identity))
        threshold = scorer.alarm_above() if choice is None else choice.threshold
        if threshold != judge.threshold:
            logger.info(
                "camera %s: alarm above score %.4f now, before %.4f%s",
                camera.name, threshold, judge.threshold, "" if choice is None else ", by marks",
            )  # fmt: skip
            judge.threshold = threshold

    def _take_over(self, settings: WatchSettings) -> None:
        """Change what the new settings change; cameras that are as they were go on undisturbed."""
        cameras = self._cameras.anew(settings)
        same = {
            name for name in settings.cameras.keys() & self._made_of.keys()
            if self._made_of[name] == self._facts(settings, name)
        }  # fmt: skip
        outlet = self._outlet
        # All that may fail comes first: then nothing has changed.
        for sink in settings.sinks.values():
            sink.check_secrets()
        new = [cameras.make(name, each) for name, each in settings.cameras.items() if name not in same]
        if _goes_out(settings) != _goes_out(self.settings):
            self._ends.close()  # both would open the same queues and the same port
            try:
                self._use(self._ends.enter_context(outgoing(settings, self._out)))
            except GepcError:
                self._use(self._ends.enter_context(outgoing(self.settings, self._out)))
                raise
        for camera in self.watcher.cameras:
            if camera.name not in same:
                self.watcher.leave(camera)
        for camera in new:
            camera.capture.start()
        kept = [camera for camera in self.watcher.cameras if camera.name in same]
        if outlet is not self._outlet:
            self._tell_again(kept)
        self.watcher.cameras, self.watcher.live = kept + new, settings.live
        self._cameras, self.settings = cameras, settings
        self._made_of = {name: self._facts(settings, name) for name in settings.cameras}
        self._thresholds_of = None  # cameras that were begun anew have no marks yet
        logger.info("settings read again: %d cameras, %d of them begun anew", len(kept) + len(new), len(new))

    def _tell_again(self, cameras: Sequence[WatchedCamera]) -> None:
        """Tell a new outlet what goes on: its sinks begin anew, and one that shows what goes on would show nothing."""
        for camera in cameras:
            event = camera.open_event
            if event is not None and not camera.limits.holds(event):
                self._outlet.send(replace(event, type="update"), Context(frame_size=camera.frame_size))


def heeded_early() -> threading.Event:
    """What SIGHUP sets from now on, until `Service.run`: while models load it must not end the process."""
    asked = threading.Event()
    if hasattr(signal, "SIGHUP") and threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGHUP, lambda *_: asked.set())
    return asked


def _goes_out(settings: WatchSettings) -> tuple[object, ...]:
    """The settings that the way out is made of."""
    return settings.sinks, settings.recording, settings.status, list(settings.cameras)


def check(settings: WatchSettings, model: Path) -> Iterator[str]:
    """Check what can be checked without a camera; yields a line for each of them.

    Raises:
        ConfigError: a sink's secret is not set.
        ModelError: a camera has no model, or one that it cannot be watched with.
        UsageError: a source cannot be one.
        VideoError: there is no such file.
    """
    for sink in settings.sinks.values():
        sink.check_secrets()
    for name, camera in settings.cameras.items():
        source = sources_of(name, camera)[0]
        folder = camera.model_folder(model)
        live_threshold(name, load_scorer(folder, [*settings.set, "scoring.frames=online"]))
        shown = source.shown if isinstance(source, StreamSource) else str(source.path)
        yield f"camera {name}: {shown}, model {folder} ({model_id(folder)})"
    for name, sink in settings.sinks.items():
        yield f"sink {name}: {sink.kind}"
