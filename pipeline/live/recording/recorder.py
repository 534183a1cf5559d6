"""Keep the last seconds of every camera, and write pictures and clips of events."""

from __future__ import annotations

import logging
import re
import shutil
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipeline.live.events.record import LiveEvent
from pipeline.live.recording.clip_writer import NEAR_S, ClipWriter
from pipeline.live.recording.drawing import event_picture
from pipeline.live.recording.moving import MovingAreas
from pipeline.live.recording.ring import Moment, Ring
from pipeline.live.recording.settings import RecordingSettings
from pose_extract.devices import processors
from pose_extract.errors import OutputError
from pose_extract.files import write_atomically
from pose_extract.skeletons import Skeleton
from pose_extract.tracks.records import PoseDetections

logger = logging.getLogger(__name__)

_MOST_COMPRESSING = 4  # frames at once, one of each camera
_REACH_BACK_S = 15.0  # an event is known so late after its worst frame at most


@dataclass
class RecorderCounts:
    """What has been written.

    Attributes:
        pictures: of events.
        clips: of events, finished.
        failed: pictures and clips that could not be written.
        skipped: clips that were not begun: too many at once, or too little room on the disk.
        dropped: frames that clips lack, since the encoder was too slow.
    """

    pictures: int = 0
    clips: int = 0
    failed: int = 0
    skipped: int = 0
    dropped: int = 0


@dataclass
class _Camera:
    ring: Ring
    skeleton: Skeleton
    moving: MovingAreas | None
    clips: dict[str, ClipWriter] = field(default_factory=dict)  # by event
    coming: Future[Moment] | None = None  # the latest frame, being compressed

    def arrive(self) -> None:
        """Add the latest frame to the ring and to the clips that are being written."""
        coming, self.coming = self.coming, None
        if coming is not None:
            try:
                moment = coming.result()
            except Exception as error:
                logger.warning("a frame could not be compressed: %s", error)
                return
            self.ring.add(moment)
            for clip in self.clips.values():
                clip.add(moment)


class Recorder:
    """Writes what is seen of events; nothing waits for an encoder. Safe to use from several threads.

    A frame is compressed while the next one is judged.

    Args:
        settings: what is kept.
        folder: ``pictures/`` and ``clips/`` are made in it, with a folder a day.
        free_bytes: room on the disk of a folder; tests give their own.

    Attributes:
        counts: what has been written.
    """

    def __init__(
        self,
        settings: RecordingSettings,
        folder: Path,
        free_bytes: Callable[[Path], int] = lambda folder: shutil.disk_usage(folder).free,
    ) -> None:
        self.settings = settings
        self.counts = RecorderCounts()
        self._folder, self._free_bytes = folder, free_bytes
        self._cameras: dict[str, _Camera] = {}
        self._closing: list[ClipWriter] = []
        self._lock = threading.RLock()
        self._compressing = ThreadPoolExecutor(min(_MOST_COMPRESSING, processors()), "compressing")
        self._little_room = False
        self._reach = timedelta(seconds=max(settings.before_s, 0) + _REACH_BACK_S)

    @property
    def folders(self) -> list[Path]:
        """Those with a folder a day: pictures and clips."""
        return [self._folder / "pictures", self._folder / "clips"]

    def see(
        self, camera: str, at: datetime, image: NDArray[np.uint8], people: PoseDetections, skeleton: Skeleton
    ) -> None:
        """Remember a frame and the people in it, and add it to the clips that are being written.

        Args:
            camera: whose frame it is.
            at: when it was taken.
            image: (H, W, 3) BGR.
            people: who was found in it.
            skeleton: of their joints.
        """
        if not (self.settings.pictures or self.settings.clips):
            return
        with self._lock:
            own = self._cameras.get(camera)
            if own is not None:
                own.arrive()
            if own is None or own.skeleton is not skeleton:
                ring = Ring(self._reach.total_seconds(), int(self.settings.buffer_mib * 2**20))
                moving = MovingAreas() if self.settings.privacy == "blur" else None
                own = self._cameras[camera] = _Camera(ring, skeleton, moving, own.clips if own else {})
            pixels = self.settings.privacy != "skeletons"
            own.coming = self._compressing.submit(Moment.of, at, image, people, pixels, own.moving)
            self._look_after(own, at)

    def draw(self, event: LiveEvent, at: datetime) -> None:
        """Write the event's picture: the frame nearest to a time, with its people drawn; an earlier one is replaced.

        There is none where pictures are off, nothing is remembered, or the disk is full.
        """
        near = timedelta(seconds=NEAR_S)
        with self._lock:
            own = self._cameras.get(event.camera)
            if own is not None:
                own.arrive()
            moment = own.ring.nearest(at) if own is not None else None
            if not self.settings.pictures or own is None or moment is None:
                return
            around = [m.people for m in own.ring.since(moment.at - near) if m.at <= moment.at + near]
        path = self._path("pictures", event, ".jpg")
        try:
            write_atomically(path, event_picture(event, moment, around, self.settings.privacy, own.skeleton))
        except OutputError as error:
            self.counts.failed += 1
            logger.warning("%s", error)
            return
        self.counts.pictures += 1

    def picture_of(self, event: LiveEvent) -> str | None:
        """The event's picture, which may be of an earlier run; None if there is none."""
        path = self._path("pictures", event, ".jpg")
        return str(path) if path.is_file() else None

    def begin_clip(self, event: LiveEvent) -> None:
        """Begin to write the event's clip, with what is remembered from before it."""
        with self._lock:
            own = self._cameras.get(event.camera)
            if not self.settings.clips or own is None or event.id in own.clips:
                return
            running = sum(len(camera.clips) for camera in self._cameras.values()) + len(self._closing)
            if running >= self.settings.most_clips_at_once or not self._has_room():
                self.counts.skipped += 1
                return
            start = event.start_time - timedelta(seconds=self.settings.before_s)
            own.arrive()
            before = own.ring.since(start)
            if not before:
                self.counts.skipped += 1
                return
            until = before[0].at + timedelta(seconds=self.settings.most_clip_s)
            before = [moment for moment in before if moment.at <= until]
            path = self._path("clips", event, ".mp4")
            own.clips[event.id] = ClipWriter(path, before, until, self.settings.privacy, own.skeleton)

    def end_clip(self, event: LiveEvent) -> str | None:
        """Let the event's clip end ``after_s`` after it; returns the file, which is whole a moment after that."""
        with self._lock:
            own = self._cameras.get(event.camera)
            clip = own.clips.get(event.id) if own is not None else None
            if (
                clip is None
            ):  # it was never begun, or has ended, since it was long enough or the camera is lost
                path = self._path("clips", event, ".mp4")
                known = path.is_file() or any(c.path == path and not c.failed for c in self._closing)
                return str(path) if known else None
            if clip.failed:
                return None
            after = (event.end_time or event.start_time) + timedelta(seconds=self.settings.after_s)
            clip.until = min(clip.until, after)
            return str(clip.path)

    def lost(self, camera: str) -> None:
        """End the clips of a camera that gives no frames any more."""
        with self._lock:
            own = self._cameras.get(camera)
            if own is not None:
                own.arrive()
                for clip in own.clips.values():
                    clip.end()
                self._closing += own.clips.values()
                own.clips.clear()
            self._collect()

    def close(self, timeout_s: float) -> None:
        """Finish the clips as they are; those that take longer are given up and leave nothing."""
        until = time.monotonic() + timeout_s
        with self._lock:
            for own in self._cameras.values():
                own.arrive()
                for clip in own.clips.values():
                    clip.end()
                self._closing += own.clips.values()
                own.clips.clear()
            closing = list(self._closing)
        self._compressing.shutdown()
        for clip in closing:
            clip.join(max(0.0, until - time.monotonic()))
            if clip.is_alive():
                clip.abort()
        for clip in closing:
            clip.join(1.0)
        with self._lock:
            self._collect()

    def _look_after(self, own: _Camera, at: datetime) -> None:
        for name, clip in list(own.clips.items()):
            if at > clip.until or clip.ended or clip.failed:
                clip.end()
                self._closing.append(own.clips.pop(name))
        self._collect()

    def _collect(self) -> None:
        for clip in list(self._closing):
            if clip.is_alive():
                continue
            self._closing.remove(clip)
            self.counts.dropped += clip.dropped
            if clip.failed:
                self.counts.failed += 1
            else:
                self.counts.clips += 1

    def _has_room(self) -> bool:
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            room = self._free_bytes(self._folder) >= self.settings.least_free_mib * 2**20
        except OSError:
            room = False
        if not room and not self._little_room:
            logger.warning(
                "%s has less than %g MiB left: no clips are written",
                self._folder,
                self.settings.least_free_mib,
            )
        self._little_room = not room
        return room

    def _path(self, kind: str, event: LiveEvent, ending: str) -> Path:
        name = re.sub(r"[^A-Za-z0-9._-]", "_", event.id).lstrip(".")
        return self._folder / kind / day_of(event).isoformat() / f"{name}{ending}"


def day_of(event: LiveEvent) -> date:
    """The day on which an event began, local time."""
    return event.start_time.astimezone().date()
