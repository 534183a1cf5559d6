"""Put `watch` together from its settings: models, estimators, cameras, sinks; and run it until it is told to end."""

from __future__ import annotations

import hashlib
import logging
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from anomaly.bundle.files import CARD
from pipeline.extraction import find_all_sources
from pipeline.live.backoff import Backoff
from pipeline.live.capture.capture import Capture, FileCapture, StreamCapture
from pipeline.live.outlet import outgoing
from pipeline.live.rules.limits import Limits
from pipeline.live.rules.zones import Zones
from pipeline.live.settings import CameraSettings, LiveSettings, WatchSettings
from pipeline.live.watching.judge import Judge
from pipeline.live.watching.open_events import OpenEvents
from pipeline.live.watching.picture import PictureWatch
from pipeline.live.watching.watcher import WatchedCamera, Watcher
from pipeline.scoring import Scorer, load_scorer
from pipeline.settings import Settings
from pose_extract.errors import ModelError, UsageError
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


@contextmanager
def heeding_signals(watcher: Watcher) -> Iterator[None]:
    """End in order on SIGTERM and SIGINT."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    numbers = [signal.SIGTERM, signal.SIGINT]
    before = {number: signal.signal(number, lambda *_: watcher.stop()) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)


def watch(settings: WatchSettings, model: Path, out: Path, device: str = "auto") -> Watcher:
    """Watch cameras until a signal comes, or until all recordings are over.

    Args:
        settings: what is watched, and how.
        model: the model of cameras that name none.
        out: folder of what is kept.
        device: where networks run.

    Returns:
        The watcher, which has ended, for its figures.

    Raises:
        ModelError: no camera has a model.
        UsageError: a source cannot be one.
        VideoError: there is no such file.
    """
    cameras = Cameras(settings, model, out, device)
    try:
        made = [cameras.make(name, camera) for name, camera in settings.cameras.items()]
        if all(camera.judge is None for camera in made):
            raise ModelError(made[0].no_model)
        with outgoing(settings, out) as outlet:
            open_events = OpenEvents(out / "state" / "open-events.jsonl")
            watcher = Watcher(
                made, settings.live, outlet, open_events, cameras.arrivals, outlet, outlet.patrol
            )
            outlet.monitor.cameras = lambda: watcher.cameras
            with heeding_signals(watcher):
                watcher.run()
        return watcher
    finally:
        cameras.close()


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
