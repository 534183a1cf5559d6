"""Read a camera or a file in a thread, for as long as it takes."""

from __future__ import annotations

import logging
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np

from pipeline.live.backoff import Backoff
from pipeline.live.capture.clock import StreamClock
from pipeline.live.capture.feed import LiveFrame, Mailbox
from pose_extract.errors import GepcError, VideoError
from pose_extract.tracks.clip_time import usual_rate
from pose_extract.video import VideoReader, VideoSettings, VideoSource
from pose_extract.video.ffmpeg import check_readable
from pose_extract.video.stream_decoder import StreamDecoder
from pose_extract.video.streams import StreamSource

logger = logging.getLogger(__name__)

_MEASURED = 50  # frames whose times show the rate of a stream that states none
_MOST_BEHIND_S = 3.0  # pictures may be so late, and for so long, before the connection is made anew
_LATE_AGAIN_S = 60.0
_ENOUGH_FRAMES = 50  # of a connection, after which it counts as a good one


class Capture(ABC, threading.Thread):
    """A thread that puts the frames of one source into its mailbox.

    Attributes:
        mailbox: where they wait.
        connections: so many times the source was opened and gave a picture.
        received: frames that came.
        last_s: when the last of them came, on the monotonic clock; before the first, when the thread was started.
        began_s: when the connection was begun that is there, or was there last, on the same.
        trouble: why there is no picture, in words; empty while there is.
        finished: whether the source has come to its end, and nothing follows.
        recordings: how many it has; 0 of a camera.
        failed: why some of them could not be used.
    """

    def __init__(self, name: str, arrivals: threading.Condition, drop: bool) -> None:
        super().__init__(name=f"capture-{name}", daemon=True)
        self.camera = name
        self.mailbox = Mailbox(arrivals, drop)
        self.connections = self.received = 0
        self.last_s = time.monotonic()
        self.began_s = -np.inf
        self.trouble = ""
        self.finished = False
        self.recordings, self.failed = 0, list[GepcError]()
        self._stopping = threading.Event()

    def start(self) -> None:
        """Begin to read."""
        self.last_s = time.monotonic()
        super().start()

    @property
    def age_s(self) -> float:
        """Seconds since the last frame came."""
        return time.monotonic() - self.last_s

    @property
    def behind_s(self) -> float:
        """How much later pictures come than they did at first, in seconds."""
        return 0.0

    def stop(self) -> None:
        """Ask the thread to end soon."""
        self._stopping.set()
        self.mailbox.close()
        self.kick()

    def kick(self) -> None:
        """Give the connection up that gives nothing any more; the thread makes a new one. A file does not hang."""

    def _fail(self, error: GepcError) -> None:
        """Go on without a recording that cannot be used."""
        self.trouble = str(error)
        self.failed.append(error)
        logger.warning("camera %s: %s", self.camera, error)

    @abstractmethod
    def run(self) -> None:
        """Read until the end, or until `stop`."""


class FileCapture(Capture):
    """A recording, or several one after the other, every frame of it, as fast as they are judged.

    Args:
        name: the camera's.
        sources: the recordings, in their order.
        settings: how to read them.
        arrivals: told of every frame.
        start: when the first frame is said to have been taken.
    """

    def __init__(
        self,
        name: str,
        sources: list[VideoSource],
        settings: VideoSettings,
        arrivals: threading.Condition,
        start: datetime,
    ) -> None:
        super().__init__(name, arrivals, drop=False)
        self._sources, self._settings, self._start = sources, settings, start
        self.recordings = len(sources)

    def run(self) -> None:
        """Read every frame."""
        try:
            self._read_all()
        except Exception as error:  # nobody shall wait for frames that do not come
            logger.error("camera %s: its recordings cannot be read on", self.camera, exc_info=error)
            self._fail(VideoError(f"camera {self.camera}: unexpected {type(error).__name__}: {error}"))
        finally:
            self.finished = True

    def _read_all(self) -> None:
        offset = 0.0
        for number, source in enumerate(self._sources, 1):
            try:
                with VideoReader(source, self._settings) as reader:
                    self.connections = number
                    last = self._read(reader, offset, number)
            except GepcError as error:
                self._fail(error)
                continue
            if self._stopping.is_set():
                break
            offset += last + 2.0  # a hole between recordings: nobody is followed from one to the next

    def _read(self, reader: VideoReader, offset: float, number: int) -> float:
        last = 0.0
        with closing(iter(reader)) as frames:  # type: ignore[type-var]
            for frame in frames:
                self.received += 1
                self.last_s, last = time.monotonic(), frame.time_s
                time_s = offset + frame.time_s
                at = self._start + timedelta(seconds=time_s)
                live = LiveFrame(time_s, frame.image, at, self.last_s, reader.info.fps, number)
                if not self.mailbox.put(live):
                    break
        return last


class StreamCapture(Capture):
    """A camera, connected to again and again for ever, or a file that is played at its own speed.

    Where pictures queue up before they are decoded, a new connection leaves the old ones behind.

    Args:
        name: the camera's.
        sources: its address; files are played one after the other.
        arrivals: told of every frame.
        max_side: longest side of the pictures in pixels.
        backoff: how long to wait between connections.
    """

    def __init__(
        self,
        name: str,
        sources: list[StreamSource],
        arrivals: threading.Condition,
        max_side: int | None,
        backoff: Backoff,
    ) -> None:
        super().__init__(name, arrivals, drop=True)
        self._sources, self._max_side, self._backoff = sources, max_side, backoff
        self.recordings = sum(not source.endless for source in sources)
        self._clock = StreamClock()
        self._decoder: StreamDecoder | None = None
        self._lock = threading.Lock()
        self.kicks = self.late = 0
        self._late_s = -np.inf
        self.codec: str | None = None
        self.size: tuple[int, int] | None = None

    @property
    def decoder_pid(self) -> int | None:
        """Of the decoder process, while there is one."""
        decoder = self._decoder
        return None if decoder is None else decoder.pid

    @property
    def behind_s(self) -> float:
        """How much later pictures come than they did at first, in seconds, by the stream's own clock."""
        return self._clock.behind_s

    def kick(self) -> None:
        """End the decoder process; whoever reads from it then connects anew."""
        with self._lock:
            if self._decoder is not None:
                self.kicks += 1
                self._decoder.kill()

    def run(self) -> None:
        """Connect, read, connect again."""
        for source in self._sources:
            if not source.endless:
                self._play(source)
            while source.endless and not self._stopping.is_set():
                before = self.received
                try:
                    at_once = self._connect_and_read(source)
                except Exception as error:  # no more threads, no more memory: it may be so for a while
                    at_once, self.trouble = False, f"unexpected {type(error).__name__}: {error}"
                    logger.error("camera %s: it cannot be read now", self.camera, exc_info=error)
                if self.received - before >= _ENOUGH_FRAMES:
                    self._backoff.succeeded()
                if not at_once and not self._stopping.is_set():
                    self._stopping.wait(self._backoff.next_s())
        self.finished = True

    def _play(self, source: StreamSource) -> None:
        """Read a file to its end."""
        before = self.received
        try:
            check_readable(Path(source.address))
            while not self._stopping.is_set() and self._connect_and_read(source):
                pass
            if self.received == before and not self._stopping.is_set():
                raise VideoError(f"{source.address}: not one picture could be read ({self.trouble})")
        except VideoError as error:
            self._fail(error)

    def _connect_and_read(self, source: StreamSource) -> bool:
        """One connection, to its end; whether the next one may follow at once."""
        try:
            decoder = StreamDecoder(source, self._max_side)
        except VideoError as error:
            self.trouble = str(error)
            return False
        with self._lock:
            self._decoder = decoder
            if self._stopping.is_set():
                decoder.kill()
        self._clock.reconnected()
        self.began_s = began_s = time.monotonic()
        try:
            for frame in self._frames(decoder, source):
                self.trouble = ""
                if not self.mailbox.put(frame):
                    break
        finally:
            with self._lock:
                self._decoder = None
            decoder.close()
        if self._late_s >= began_s:
            return True
        if decoder.changed:
            logger.info("camera %s: its pictures have another size now", self.camera)
            return True
        if not self._stopping.is_set():
            self.trouble = decoder.complaint or "the stream has ended"
        return False

    def _frames(self, decoder: StreamDecoder, source: StreamSource) -> Iterator[LiveFrame]:
        times: list[float] = []
        fps: float | None = None
        on_time_s = time.monotonic()
        while (picture := decoder.read()) is not None:
            now = time.monotonic()
            time_s = self._clock.tick(picture.time_s, now)
            if not times:
                self.connections += 1
                self._describe(decoder, source, (picture.image.shape[1], picture.image.shape[0]))
            if len(times) < _MEASURED:
                times.append(time_s)
                # What a stream states of its rate is often its clock's; what comes counts.
                fps = decoder.fps if len(times) < 10 else usual_rate(np.array(times)) or decoder.fps
            self.received += 1
            self.last_s = now
            if self._clock.behind_s < _MOST_BEHIND_S:
                on_time_s = now
            elif source.endless and now - on_time_s > _MOST_BEHIND_S and now - self._late_s > _LATE_AGAIN_S:
                logger.warning(
                    "camera %s: pictures come %.0f s late, this machine or the network is too slow; they are skipped",
                    self.camera, self._clock.behind_s,
                )  # fmt: skip
                self.late, self._late_s = self.late + 1, now
                return
            yield LiveFrame(time_s, picture.image, datetime.now().astimezone(), now, fps, self.connections)

    def _describe(self, decoder: StreamDecoder, source: StreamSource, size: tuple[int, int]) -> None:
        if (decoder.codec, size) != (self.codec, self.size):
            was = "" if self.size is None else f" (was {self.codec}, {self.size[0]}x{self.size[1]})"
            self.codec, self.size = decoder.codec, size
            logger.info("camera %s: %s, %dx%d%s at %s", self.camera, self.codec, *size, was, source.shown)
