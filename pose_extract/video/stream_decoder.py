"""Decode a live stream by one ffmpeg child process; it may hang for ever, and be ended from another thread."""

from __future__ import annotations

import contextlib
import queue
import re
import threading
from collections import deque
from dataclasses import dataclass
from fractions import Fraction
from typing import IO

import numpy as np
from numpy.typing import NDArray

from pose_extract.tracks.clip_time import FASTEST
from pose_extract.video.decoder import start
from pose_extract.video.ffmpeg import command_line, find_ffmpeg, passthrough
from pose_extract.video.streams import StreamSource, stream_input

_SHOWN = re.compile(r"\bn: *\d+ pts: *(NOPTS|-?\d+) pts_time:.*? s:(\d+)x(\d+) ")
_CONFIG = re.compile(r"\bconfig in time_base: (\d+)/(\d+), frame_rate: (\d+)/(\d+)")
_STREAM = re.compile(r"Stream #\d+:\d+.*?: Video: (\w+)")
_LEVEL = re.compile(r"\[(error|fatal|panic)\] (.*)")
_COMPLAINTS = 20  # the latest of them are kept


@dataclass(frozen=True)
class StreamPicture:
    """A picture as it came.

    Attributes:
        time_s: by the stream's own clock, whose zero is anywhere; None where it has none.
        image: (H, W, 3) BGR uint8.
    """

    time_s: float | None
    image: NDArray[np.uint8]


class StreamDecoder:
    """One ffmpeg child process that reads a live source.

    Args:
        source: what to read.
        max_side: pictures whose longer side has more pixels are scaled down; None: none are.

    Raises:
        VideoError: ffmpeg cannot be started.
    """

    def __init__(self, source: StreamSource, max_side: int | None = None) -> None:
        self._source = source
        self._base = Fraction(0)
        self._told: queue.SimpleQueue[tuple[float | None, tuple[int, int]] | None] = queue.SimpleQueue()
        self._complaints: deque[str] = deque(maxlen=_COMPLAINTS)
        self._size: tuple[int, int] | None = None
        self._closing = threading.Lock()
        self._closed = self._opened = False
        self.fps: float | None = None
        self.codec: str | None = None
        self.changed = False
        binary = find_ffmpeg()
        filters = ["format=bgr24", "showinfo=checksum=0"]
        if max_side is not None:
            filters.insert(
                0, f"scale='min({max_side},iw)':'min({max_side},ih)':force_original_aspect_ratio=decrease"
            )
        output = stream_input(source, binary).output(
            "pipe:1",
            map="0:V:0",
            vf=",".join(filters),
            f="rawvideo",
            pix_fmt="bgr24",
            **passthrough(binary),
        )
        self._child, self._pictures, messages = start(command_line(output, binary), binary)
        self._listener = threading.Thread(
            target=self._listen, args=(messages,), name="ffmpeg-messages", daemon=True
        )
        self._listener.start()

    @property
    def pid(self) -> int:
        """Of the child process."""
        return self._child.pid

    @property
    def complaint(self) -> str:
        """The latest error that ffmpeg has told, without addresses; empty if there is none."""
        return self._complaints[-1] if self._complaints else ""

    @property
    def _timeless(self) -> bool:
        """Whether the source states no times: JPEG pictures over HTTP, for which ffmpeg makes up 25 a second."""
        return self._source.kind == "http" and self.codec == "mjpeg"

    def read(self) -> StreamPicture | None:
        """Wait for the next picture; None at the end, when the size changes (`changed`), or after `close`."""
        told = self._told.get()
        if told is None:
            return None
        time_s, size = told
        self._size = self._size or size
        if size != self._size:  # ffmpeg would go on, scaling to the first size
            self.changed = True
            return None
        image = np.empty((size[1], size[0], 3), np.uint8)
        view = memoryview(image.data).cast("B")
        filled = 0
        while filled < len(view):
            try:
                count = self._pictures.readinto(view[filled:])  # type: ignore[attr-defined]
            except (ValueError, OSError):  # closed meanwhile
                return None
            if not count:
                return None
            filled += count
        return StreamPicture(time_s, image)

    def _listen(self, stream: IO[bytes]) -> None:
        """Sort ffmpeg's lines into pictures' times and complaints; ends when ffmpeg does."""
        with contextlib.suppress(ValueError, OSError), open(stream.fileno(), "rb", closefd=False) as lines:
            while raw := lines.readline(1 << 16):
                self._take(raw.decode(errors="replace"))
        self._told.put(None)

    def _take(self, line: str) -> None:
        # The stream's own metadata is printed before: nothing in it must look like a picture's time.
        self._opened = self._opened or line.startswith("[info] Stream mapping:")
        if self._opened and (config := _CONFIG.search(line)):
            base, rate = (int(config[1]), int(config[2])), (int(config[3]), int(config[4]))
            self._base = Fraction(base[0], max(1, base[1]))
            fps = rate[0] / rate[1] if rate[1] else 0.0
            self.fps = fps if 0 < fps <= FASTEST and not self._timeless else None
        elif self._opened and (shown := _SHOWN.search(line)):
            timeless = shown[1] == "NOPTS" or not self._base or self._timeless
            time_s = None if timeless else float(int(shown[1]) * self._base)
            self._told.put((time_s, (int(shown[2]), int(shown[3]))))
        elif self.codec is None and (stream := _STREAM.search(line)):
            self.codec = stream[1]
        elif "muxer" not in line and (complaint := _LEVEL.search(line)):  # not of what ffmpeg itself writes
            text = complaint[2].strip().rstrip(".").replace(self._source.address, self._source.shown)
            self._complaints.append(re.sub(r"://[^/@\s]*@", "://", text))

    def kill(self) -> None:
        """End ffmpeg, from any thread; whoever waits in `read` gets None."""
        with contextlib.suppress(ProcessLookupError):
            self._child.kill()

    def close(self) -> None:
        """End ffmpeg and wait for it, so that nothing is left behind."""
        with self._closing:
            if self._closed:
                return
            self._closed = True
        self.kill()
        self._child.wait()
        self._listener.join()
        self._pictures.close()
        assert self._child.stderr is not None
        self._child.stderr.close()
