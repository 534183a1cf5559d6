"""Put `watch` together from its settings: models, estimators, cameras, sinks; and run it until it is told to end."""

from __future__ import annotations

import hashlib
import logging
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import datetime
from pathlib import Path

from anomaly.bundle.files import CARD
from pipeline.extraction import find_all_sources
from pipeline.live.backoff import Backoff
from pipeline.live.capture.capture import Capture, FileCapture, StreamCapture
from pipeline.live.outlet import Outlet, outgoing
from pipeline.live.rules.limits import Limits
from pipeline.live.rules.zones import Zones
from pipeline.live.settings import CameraSettings, LiveSettings, WatchSettings
from pipeline.live.watching.judge import Judge
from pipeline.live.watching.open_events import OpenEvents
from pipeline.live.watching.picture import PictureWatch
from pipeline.live.watching.watcher import WatchedCamera, Watcher
from pipeline.scoring import Scorer, load_scorer
from pipeline.settings import Settings
from pose_extract.errors import GepcError, ModelError, UsageError
from pose_extract.estimators.base import PoseEstimator, chosen_estimator, create_estimator
from pose_extract.video import VideoSettings, VideoSource
from pose_extract.video.streams import StreamSource, live_source

logger = logging.getLogger(__name__)


class Estimators:
    """Pose estimators for any number of cameras; those of the same settings share their networks."""

    def __init__(self) -> None:
        self._made: dict[str, PoseEstimator] = {}

    def estimator(self, settings: Settings) -> PoseEstimator:
        """One of its own for a camera."""
        settings = settings.with_estimator(chosen_estimator(settings.pose.estimator))
        key = repr((settings.pose, settings.of_estimator()))
        if key not in self._made:
            self._made[key] = create_estimator(settings.pose.estimator, *settings.of_estimator())
        return self._made[key].twin()

    def close(self) -> None:
        """Give back what they hold."""
        for estimator in self._made.values():
            estimator.close()
        self._made.clear()


class Cameras:
    """Makes what watches a camera.

    Args:
        settings: of `watch`.
        model: the model of cameras that name none.
        out: where scenes are kept.
        device: where networks run.
    """

    def __init__(self, settings: WatchSettings, model: Path, out: Path, device: str = "auto") -> None:
        self._settings, self._model, self._out, self._device = settings, model, out, device
        self._estimators = Estimators()
        self._scorers: dict[Path, Scorer] = {}
        self.arrivals = threading.Condition()

    def make(self, name: str, camera: CameraSettings) -> WatchedCamera:
        """A camera that has not started yet.

        Raises:
            UsageError: the source cannot be one.
            VideoError: there is no such file.
        """
        folder = self._model if camera.model is None else Path(camera.model)
        judge, no_model, identity = None, "", None
        zones = Zones(camera.rules)
        sources = sources_of(name, camera)
        video = VideoSettings()
        try:
            scorer = self._scorer(folder)
            video, identity = scorer.settings.video, model_id(folder)
            exact = not isinstance(sources[0], StreamSource)
            estimator = self._estimators.estimator(scorer.settings)
            counting = zones.counting_rows if zones.matter else None
            judge = Judge(name, scorer, estimator, self._settings.live, exact, counting=counting)
        except ModelError as error:
            no_model = str(error)
        capture = self._capture(name, sources, video)
        scene = self._out / "scenes" / f"{name}-{identity}.png"
        picture = PictureWatch(self._settings.live, None if identity is None else scene)
        return WatchedCamera(
            name, capture, judge, picture, Limits(camera.rules), zones, model_id=identity, no_model=no_model
        )

    def anew(self, settings: WatchSettings) -> Cameras:
        """The same with other settings; models are read again, estimators stay."""
        other = Cameras(settings, self._model, self._out, self._device)
        other._estimators, other.arrivals = self._estimators, self.arrivals
        return other

    def close(self) -> None:
        """Give back what the cameras share."""
        self._estimators.close()

    def _scorer(self, folder: Path) -> Scorer:
        if folder not in self._scorers:
            overrides = [*self._settings.set, "scoring.frames=online"]
            self._scorers[folder] = load_scorer(folder, overrides, self._device)
        return self._scorers[folder]

    def _capture(
        self, name: str, sources: list[StreamSource] | list[VideoSource], video: VideoSettings
    ) -> Capture:
        live: LiveSettings = self._settings.live
        if isinstance(sources[0], StreamSource):
            backoff = Backoff(live.retry_first_s, live.retry_most_s)
            return StreamCapture(name, sources, self.arrivals, video.max_side, backoff)
        return FileCapture(name, sources, video, self.arrivals, datetime.now().astimezone())


def sources_of(name: str, camera: CameraSettings) -> list[StreamSource] | list[VideoSource]:
    """What a camera's source names: live streams, or recordings whose every frame is judged.

    Raises:
        UsageError: the source cannot be one.
        VideoError: there is no such file.
    """
    live = live_source(camera.source)
    if live is not None:
        if camera.realtime:
            raise UsageError(f"camera {name}: {live.shown} is live already; realtime is for files")
        return [live]
    found = find_all_sources([camera.source])
    if not camera.realtime:
        return found
    if any(source.kind != "video" for source in found):
        raise UsageError(f"camera {name}: numbered images have no speed of their own; realtime is for videos")
    return [StreamSource("file", str(source.path)) for source in found]


def model_id(folder: Path) -> str:
    """What tells a model from others: the hash of its card."""
    return hashlib.sha256((folder / CARD).read_bytes()).hexdigest()[:16]


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
        self.watcher = Watcher(
            made, self.settings.live, outlet, open_events, self._cameras.arrivals, outlet, self._patrol
        )
        self._use(outlet)

    def run(self) -> bool:
        """Watch until a signal comes, or until all recordings are over; whether it was a signal."""
        try:
            with self._heeding_signals():
                self.watcher.run()
        finally:
            self._ends.close()
            self._cameras.close()
        return self.watcher.stopped

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
        folder = self._model if camera.model is None else Path(camera.model)
        try:
            identity: str | None = model_id(folder)
        except OSError:
            identity = None
        return camera, settings.live, settings.set, folder, identity

    def _patrol(self) -> None:
        self._outlet.patrol()
        if self._reload.is_set():
            self._reload.clear()
            try:
                self._take_over(self._read())
            except GepcError as error:
                logger.error("the settings stay as they were: %s", error)

    def _take_over(self, settings: WatchSettings) -> None:
        """Change what the new settings change; cameras that are as they were go on undisturbed."""
        for name, of_it in settings.cameras.items():
            sources_of(name, of_it)
        former, self.settings = self.settings, settings
        if _goes_out(settings) != _goes_out(former):
            self._ends.close()  # first: both would open the same queues and the same port
            try:
                self._use(self._ends.enter_context(outgoing(settings, self._out)))
            except GepcError:
                self.settings = former
                self._use(self._ends.enter_context(outgoing(former, self._out)))
                raise
        self._cameras = self._cameras.anew(settings)
        self.watcher.live = settings.live
        kept = []
        for camera in self.watcher.cameras:
            same = camera.name in settings.cameras
            if same and self._made_of[camera.name] == self._facts(settings, camera.name):
                kept.append(camera)
                continue
            self.watcher.leave(camera)
        here = {camera.name for camera in kept}
        new = [self._make(name) for name in settings.cameras if name not in here]
        for camera in new:
            camera.capture.start()
        self.watcher.cameras = kept + new
        logger.info("settings read again: %d cameras, %d of them begun anew", len(kept) + len(new), len(new))


def _goes_out(settings: WatchSettings) -> tuple[object, ...]:
    """The settings that the way out is made of."""
    return settings.sinks, settings.recording, settings.status, list(settings.cameras)


def check(settings: WatchSettings, model: Path) -> Iterator[str]:
    """Check what can be checked without a camera; yields a line for each of them.

    Raises:
        ConfigError: a sink's secret is not set.
        ModelError: a camera has no model.
        UsageError: a source cannot be one.
        VideoError: there is no such file.
    """
    for sink in settings.sinks.values():
        sink.check_secrets()
    for name, camera in settings.cameras.items():
        source = sources_of(name, camera)[0]
        folder = model if camera.model is None else Path(camera.model)
        load_scorer(folder, [*settings.set, "scoring.frames=online"])
        shown = source.shown if isinstance(source, StreamSource) else str(source.path)
        yield f"camera {name}: {shown}, model {folder} ({model_id(folder)})"
    for name, sink in settings.sinks.items():
        yield f"sink {name}: {sink.kind}"
