"""Make what watches a camera: its model, its share of an estimator, its source."""

from __future__ import annotations

import hashlib
import threading
import time
from datetime import datetime
from pathlib import Path

from anomaly.bundle.files import CARD
from anomaly.scoring.scores import ClipScores
from anomaly.scoring.threshold import alarm_percentile, reference_of
from pipeline.extraction.run import find_all_sources
from pipeline.live.backoff import Backoff
from pipeline.live.capture.capture import Capture, FileCapture, StreamCapture
from pipeline.live.rules.limits import Limits
from pipeline.live.rules.zones import Zones
from pipeline.live.settings import CameraSettings, LiveSettings, WatchSettings
from pipeline.live.watching.camera import WatchedCamera
from pipeline.live.watching.days import DayScores
from pipeline.live.watching.judge import Judge
from pipeline.live.watching.picture import PictureWatch
from pipeline.scoring import Scorer, load_scorer
from pipeline.settings import Settings
from pose_extract.errors import ModelError, UsageError
from pose_extract.estimators.base import PoseEstimator, chosen_estimator, create_estimator
from pose_extract.tracks.records import ClipTracks
from pose_extract.video import VideoSettings, VideoSource
from pose_extract.video.streams import StreamSource, live_source


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
        self._scorers: dict[Path, tuple[int, Scorer]] = {}
        self._days: dict[str, DayScores] = {}
        self.arrivals = threading.Condition()

    def make(self, name: str, camera: CameraSettings) -> WatchedCamera:
        """A camera that has not started yet.

        Raises:
            UsageError: the source cannot be one.
            VideoError: there is no such file.
        """
        folder = camera.model_folder(self._model)
        judge, day, no_model, identity, trained = None, None, "", None, []
        zones = Zones(camera.rules)
        sources = sources_of(name, camera)
        exact = not isinstance(sources[0], StreamSource)
        video = VideoSettings()
        try:
            scorer = self._scorer(folder)
            video, identity = scorer.settings.video, model_id(folder)
            trained = scorer.seen.sketches
            estimator = self._estimators.estimator(scorer.settings)
            counting = zones.counting if zones.matter else None
            judge = Judge(name, scorer, estimator, self._settings.live, exact, counting=counting)
            day = self._learn_days(judge, identity)
        except ModelError as error:
            no_model = str(error)
        capture = self._capture(name, sources, video)
        scene = None if identity is None else self._out / "scenes" / f"{name}-{identity}.json"
        picture = None if exact else PictureWatch(self._settings.live, scene, trained)
        limits = Limits(camera.rules, self._out / "state" / f"limits-{name}.json")
        return WatchedCamera(name, capture, judge, picture, limits, zones, day, identity, no_model=no_model)

    def scorer(self, camera: CameraSettings) -> Scorer:
        """The camera's model, read again if it has changed; raises ModelError where there is none."""
        return self._scorer(camera.model_folder(self._model))

    def end_days(self) -> None:
        """Put what is known of the day on disk."""
        for day in self._days.values():
            day.close()

    def _learn_days(self, judge: Judge, identity: str) -> DayScores:
        """Let the spread of a camera's scores be kept."""
        scorer = judge.scorer
        reference = reference_of(scorer.model, scorer.settings.scoring)
        if judge.camera in self._days:
            self._days[judge.camera].close()
        day = DayScores(self._out / "scores", judge.camera, identity, reference)
        self._days[judge.camera] = day

        def add(begin: int, part: ClipTracks, scores: ClipScores) -> None:
            assert judge.latest is not None
            promised = 1 - alarm_percentile(scorer.model, judge.threshold, scorer.settings.scoring) / 100
            today = judge.latest.astimezone().date()
            day.add(scores.frames.score, judge.threshold, promised, today, time.monotonic())

        judge.on_scores = add
        return day

    def anew(self, settings: WatchSettings) -> Cameras:
        """The same with other settings; models are read again, estimators stay."""
        other = Cameras(settings, self._model, self._out, self._device)
        other._estimators, other.arrivals = self._estimators, self.arrivals
        other._days = dict(self._days)
        return other

    def close(self) -> None:
        """Give back what the cameras share."""
        self._estimators.close()

    def _scorer(self, folder: Path) -> Scorer:
        try:
            changed = (folder / CARD).stat().st_mtime_ns
        except OSError:
            changed = 0
        if folder not in self._scorers or self._scorers[folder][0] != changed:
            overrides = [*self._settings.set, "scoring.frames=online"]
            self._scorers[folder] = changed, load_scorer(folder, overrides, self._device)
        return self._scorers[folder][1]

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
    """What tells a model from others: the hash of what was learned, whatever threshold it has.

    Raises:
        OSError: there is no model.
    """
    digest = hashlib.sha256()
    learned = sorted(
        p for p in folder.iterdir() if p.is_file() and p.name != CARD and not p.name.startswith(".")
    )
    for path in learned:
        digest.update(path.name.encode() + b"\0" + hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()[:16]
