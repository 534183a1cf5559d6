"""Decode a video by one ffmpeg child process: pictures, their times, and what is damaged."""

from __future__ import annotations

import contextlib
import queue
import re
import subprocess
import threading
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import NDArray

from pose_extract.errors import VideoError
from pose_extract.video.ffmpeg import command_line, find_ffmpeg, input_stream, passthrough

_PIPE_BYTES = 1 << 20
_MAX_DAMAGES = 1000
_MERGE_S = 1.0
_MESSAGE_TIMEOUT_S = 120.0
_AHEAD_FRAMES = 25  # how far the decoder may have been ahead when it complained


@dataclass(frozen=True)
class Damage:
    """A place where a video could not be read as it should.

    Attributes:
        time_s: about when, in seconds since the first frame. The decoder works ahead of the frames that it has handed
            over, so the time may be some frames early.
        message: what is wrong there, in the decoder's words.
        count: how many such messages came within a second of each other.
    """

    time_s: float
    message: str
    count: int = 1


class DamageLog:
    """Damages, those close together in one entry, and not more than a bounded number of entries."""

    def __init__(self) -> None:
        self._entries: list[Damage] = []
        self._last_s = 0.0

    def add(self, time_s: float, message: str) -> None:
        """Note ``message`` at ``time_s``."""
        full = len(self._entries) >= _MAX_DAMAGES
        if self._entries and (full or abs(time_s - self._last_s) < _MERGE_S):
            self._entries[-1] = replace(self._entries[-1], count=self._entries[-1].count + 1)
        else:
            self._entries.append(Damage(time_s, message))
        self._last_s = time_s

    def add_gap(self, before_s: float, after_s: float, fps: float) -> None:
        """Note that frames are missing; the place of a message that came shortly before is now known better."""
        if self._entries and 0 <= before_s - self._entries[-1].time_s < _AHEAD_FRAMES / fps:
            self._entries[-1] = replace(self._entries[-1], time_s=before_s)
            self._last_s = before_s
        else:
            self.add(before_s, f"frames are missing between {before_s:.2f} s and {after_s:.2f} s")

    def entries(self) -> list[Damage]:
        """The damages so far, in the order in which they were found."""
        return list(self._entries)


class Clock:
    """Turns the container's timestamps into seconds since the first frame that strictly increase.

    Args:
        fps: frames a second, for those without a timestamp.
        origin: when the first frame is shown by the container's clock, seconds; None: the next one is the first.
    """

    def __init__(self, fps: float, origin: float | None = None) -> None:
        self._step = 1.0 / fps
        self._base = Fraction(0)
        self.origin = self.began_s = origin
        self._last = 0.0

    @property
    def now(self) -> float:
        """Time of the latest frame."""
        return self._last

    def set_time_base(self, base: Fraction) -> None:
        """Seconds a tick, from here on."""
        self._base = base

    def tick(self, pts: int | None) -> float:
        """Time of the next frame, given its timestamp in ticks (None: it has none)."""
        if self.origin is None:
            self.origin = self.began_s = 0.0 if pts is None else float(pts * self._base)
            return self._last
        # Without a timestamp, or a time base to read it by, frames come at the clip's rate.
        untimed = pts is None or not self._base
        time_s = self._last + self._step if untimed else float((pts or 0) * self._base) - self.origin
        if time_s < self._last - 1.0:
            # The container's clock was set back (recordings joined end to end): go on from here.
            self.origin += time_s - (self._last + self._step)
            time_s = self._last + self._step
        elif time_s <= self._last:
            time_s = self._last + min(self._step, 0.001)
        self._last = time_s
        return time_s


class GapWatch:
    """Finds where frames are missing from a video whose frames come at a steady rate; silent for other videos."""

    def __init__(self, fps: float) -> None:
        self._step = 1.0 / fps
        self._seen = 0
        self._steady = 0

    def is_gap(self, before_s: float, after_s: float) -> bool:
        """Whether frames are missing between two successive frames' times."""
        interval = after_s - before_s
        gap = self._seen >= 25 and self._steady >= 0.95 * self._seen and interval > 2.5 * self._step
        self._seen += 1
        self._steady += abs(interval - self._step) < 0.3 * self._step
        return gap


class Decoder:
    """One ffmpeg child process: pictures from its stdout, their times and its complaints from its stderr.

    Args:
        path: the video.
        size: (width, height) of the pictures to hand out, in pixels.
        fps: frames a second of the video, or the rate to resample to.
        resample: whether to repeat and leave out frames so that they come at a constant ``fps``.
        damage: takes what is found damaged.
        stated: whether the file states its rate; of one that does not, ``fps`` is taken for it.
        begin: when to begin, and when the first frame of all is shown, both in seconds since the file's start by the
            container's clock: the last frame before that which stands for itself is the first one handed out.
    """

    # ffmpeg may write half a line and then another thread's message, so neither need stand at the start of a line.
    _SHOWN = re.compile(r"\bn: *\d+ pts: *(NOPTS|-?\d+) pts_time:.*? type:\S ?(?P<rest>[^\n]*)")
    _CONFIG = re.compile(r"\bconfig in time_base: (\d+)/(\d+)")
    _LEVEL = re.compile(r"^(?P<part>\[[^\]@]*@ [^\]]*\] )?\[(?P<level>[a-z]+)\] (?P<text>.*)$")
    _SEVERE = frozenset(("error", "fatal", "panic"))
    # Said of broken input, but at a lower level than "error" (or appended to another line, without its level).
    _BROKEN = re.compile(r"corrupt|prematur|truncat|partial file|concealing", re.IGNORECASE)
    # Said of what ffmpeg writes, which is no fault of what it reads: pictures at a varying rate are as they should be.
    _OUR_OWN = re.compile(r"non.monoton\w* .*\bmuxer|^\[(?:out|vost)#|^\[rawvideo @", re.IGNORECASE)
    _ANY_BROKEN = re.compile(r"error|invalid|damag|missing|overread|exceed|" + _BROKEN.pattern, re.IGNORECASE)

    def __init__(
        self,
        path: Path,
        size: tuple[int, int],
        fps: float,
        resample: bool,
        damage: DamageLog,
        stated: bool = True,
        begin: tuple[float, float] | None = None,
    ) -> None:
        self._path = path
        self._shape = (size[1], size[0], 3)
        self._damage = damage
        self._fps = fps
        self._clock = Clock(fps, None if begin is None else begin[1])
        self._gaps = GapWatch(fps)
        self._opened = False
        # Bounded by the picture pipe: ffmpeg stops when that is full, so no more than some frames' times wait here.
        self._times: queue.SimpleQueue[float | None] = queue.SimpleQueue()
        self._closed = False
        binary = find_ffmpeg()
        # The scale filter pins the size: a stream that changes it half-way cannot shift the pictures on the pipe.
        filters = [f"scale={size[0]}:{size[1]}", "format=bgr24", "showinfo=checksum=0"]
        if resample:
            filters.insert(0, f"fps={Fraction(fps).limit_denominator(100_000)}")
        options: dict[str, str | None] = {} if stated else {"framerate": f"{fps:g}"}
        if begin is not None:  # the timestamps stay as they are when all is read
            options |= {"ss": f"{begin[0]:.6f}"} | dict.fromkeys(
                ("noaccurate_seek", "copyts", "start_at_zero")
            )
        output = input_stream(path, **options).output(
            "pipe:1",
            map="0:V:0",
            vf=",".join(filters),
            f="rawvideo",
            pix_fmt="bgr24",
            max_error_rate=1,
            map_metadata=-1,
            **passthrough(binary),
        )
        command = command_line(output, binary)
        self._child, self._pictures, messages = start(command, binary)
        self._listener = threading.Thread(
            target=self._listen, args=(messages,), name="ffmpeg-messages", daemon=True
        )
        self._listener.start()

    def _listen(self, stream: IO[bytes]) -> None:
        """Sort ffmpeg's lines into times and damages; ends when ffmpeg does."""
        with contextlib.suppress(ValueError, OSError), open(stream.fileno(), "rb", closefd=False) as lines:
            while raw := lines.readline(1 << 16):
                self._take(raw.decode(errors="replace"))
        self._times.put(None)

    def _take(self, line: str) -> None:
        if not self._opened:  # the file's own metadata is printed before: nothing in it must look like a time
            self._opened = line.startswith("[info] Stream mapping:")
        if self._opened:
            if config := self._CONFIG.search(line):
                self._clock.set_time_base(Fraction(int(config[1]), max(1, int(config[2]))))
            for shown in self._SHOWN.finditer(line):
                self._take_time(None if shown[1] == "NOPTS" else int(shown[1]))
                if self._ANY_BROKEN.search(shown["rest"]) and not self._OUR_OWN.search(shown["rest"]):
                    self._damage.add(self._clock.now, shown["rest"].strip().rstrip("."))
        match = self._LEVEL.match(line.rstrip())
        if match is None:
            return
        if self._OUR_OWN.search(line):
            return
        # Without a part of ffmpeg that says it, information is about the file (its name, its title), not its state.
        broken = (match["part"] or match["level"] == "warning") and self._BROKEN.search(match["text"])
        if not broken and match["level"] not in self._SEVERE:
            return
        # While opening, ffmpeg looks at the end of some files for their length: what it meets there comes again.
        if self._opened or "Packet corrupt" not in match["text"]:
            self._damage.add(self._clock.now, match["text"].rstrip("."))

    def _take_time(self, pts: int | None) -> None:
        before = self._clock.now
        time_s = self._clock.tick(pts)
        if self._gaps.is_gap(before, time_s):
            self._damage.add_gap(before, time_s, self._fps)
        self._times.put(time_s)

    def read(self) -> tuple[float, NDArray[np.uint8]] | None:
        """Next picture and its time in seconds, or None at the end."""
        image = np.empty(self._shape, np.uint8)
        view = memoryview(image.data).cast("B")
        filled = 0
        while filled < len(view):
            count = self._pictures.readinto(view[filled:])  # type: ignore[attr-defined]
            if not count:
                if filled:
                    self._damage.add(self._clock.now, "the last frame is incomplete")
                return None
            filled += count
        try:  # ffmpeg writes a picture's time before the picture, so this waits for the other thread only
            time_s = self._times.get(timeout=_MESSAGE_TIMEOUT_S)
        except queue.Empty:
            time_s = None
        if time_s is None:
            raise VideoError(f"{self._path}: ffmpeg gave a frame without saying its time")
        return time_s, image

    @property
    def origin(self) -> float:
        """When the first frame is shown, in seconds since the file's start by the container's clock."""
        return self._clock.began_s or 0.0  # not the clock's origin: that moves where it is set back

    def finish(self, frames: int) -> None:
        """After the last picture: see how ffmpeg ended."""
        code = self._child.wait()
        self._listener.join()
        if code in (-2, -9, -15):
            raise VideoError(
                f"{self._path}: the decoder was killed (signal {-code}) after {frames} frames; "
                "the machine may have run out of memory"
            )
        if code < 0:
            self._damage.add(self._clock.now, f"the decoder crashed (signal {-code}) and read no further")
        elif code > 0:
            self._damage.add(self._clock.now, f"ffmpeg stopped with code {code}")
        if frames == 0:
            entries = self._damage.entries()
            raise VideoError(
                f"no frame of {self._path} could be decoded" + (f" ({entries[0].message})" if entries else "")
            )

    def close(self) -> None:
        """Kill ffmpeg if it still runs and wait for it, so that nothing is left behind."""
        if self._closed:
            return
        self._closed = True
        if self._child.poll() is None:
            self._child.kill()
        self._child.wait()
        self._listener.join()
        self._pictures.close()
        assert self._child.stderr is not None
        self._child.stderr.close()


def start(command: list[str], binary: str) -> tuple[subprocess.Popen[bytes], IO[bytes], IO[bytes]]:
    """Run ffmpeg; returns the process and the pipes of its pictures and its messages.

    Raises:
        VideoError: it cannot be run.
    """
    try:
        # A session of its own: Ctrl-C must not reach ffmpeg, or a cut-off video would look like a whole one.
        child = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            bufsize=0,
            start_new_session=True,
        )
    except OSError as error:
        raise VideoError(f"{binary} cannot be run: {error.strerror or error}") from None
    assert child.stdout is not None
    assert child.stderr is not None
    _enlarge(child.stdout)
    return child, child.stdout, child.stderr


def _enlarge(pipe: IO[bytes]) -> None:
    """Widen the pipe where the system can (Linux): fewer switches between the processes."""
    try:
        import fcntl

        fcntl.fcntl(pipe.fileno(), fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
    except (ImportError, AttributeError, OSError):
        pass
