"""Write frames as a stream into an mp4 file that browsers play."""

from __future__ import annotations

import contextlib
import re
import signal
import subprocess
import tempfile
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Any

import cv2
import ffmpeg
import numpy as np
from numpy.typing import NDArray

from pose_extract.errors import OutputError
from pose_extract.files import place_beside
from pose_extract.video.ffmpeg import (
    command_line,
    encoders,
    file_word,
    find_ffmpeg,
    first_error,
    local_file,
    sound_start,
)

# In order of preference; the options aim at the same quality.
_ENCODERS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("libx264", {"preset": "veryfast", "crf": 20}),
    ("libopenh264", {"b:v": "4M"}),
    ("h264_videotoolbox", {"b:v": "4M"}),
    ("h264_mf", {"b:v": "4M"}),
    ("mpeg4", {"q:v": 3}),
)
_QUICK: dict[str, Any] = {"preset": "superfast", "crf": 22}

_SIGXFSZ = int(
    getattr(signal, "SIGXFSZ", 0)
)  # what ends a process that writes past the limit; not on Windows


class VideoWriter:
    """Streams frames into an H.264 mp4 (yuv420p, BT.709, index first, so that browsers play it).

        with VideoWriter("out.mp4", fps=25, size=(640, 480)) as writer:
            writer.write(image)

    The file appears under its name only when everything is written; an exception inside the ``with`` leaves nothing
    behind. The same frames give the same bytes (with the same ffmpeg): a fixed number of threads, no dates or versions.

    Args:
        path: the file to write; its folder is made if need be, an older file is replaced.
        fps: frames a second.
        size: (width, height) in pixels. Odd sizes are padded to even ones by repeating the last row or column.
        audio_from: a video whose sound is added (AAC); None or a video without sound: no sound.
        audio_start_s: when our first frame is shown by the clock of that video's container (`VideoInfo.start_s`), so
            that the sound stays with the pictures; None: the sound begins with the first frame.
        quick: spend half the time on encoding, for a file of about the same size that looks a little worse.

    Raises:
        OutputError: the file cannot be written: no permission, disk full, ffmpeg without a usable encoder.
    """

    def __init__(
        self,
        path: str | Path,
        fps: float,
        size: tuple[int, int],
        audio_from: str | Path | None = None,
        audio_start_s: float | None = None,
        quick: bool = False,
    ) -> None:
        if not fps > 0 or min(size) < 1:
            raise ValueError(f"VideoWriter: expected a frame rate and a size above 0, got {fps} and {size}")
        self.path = Path(path)
        self._size = size
        self._rate = Fraction(fps).limit_denominator(100_000)
        self._frames = 0
        self._done = False
        self._previous: NDArray[np.uint8] | None = None
        self._place = contextlib.ExitStack()
        try:
            self._temporary, self._put = self._place.enter_context(place_beside(self.path))
        except IsADirectoryError:
            raise OutputError(f"{self.path} is a folder, expected the name of a video to write") from None
        except OSError as error:
            raise OutputError(f"{self.path} cannot be written: {error.strerror or error}") from None
        try:
            command = self._command(audio_from, audio_start_s, quick)
        except BaseException:
            self._place.close()
            raise
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 -- closed in _stop
        try:
            self._child = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=self._errors,
                start_new_session=True,
            )
        except OSError as error:
            self._errors.close()
            self._remove()
            raise OutputError(f"{self.path} cannot be written: ffmpeg does not run: {error}") from None

    def _command(self, audio_from: str | Path | None, audio_start_s: float | None, quick: bool) -> list[str]:
        binary = find_ffmpeg()
        encoder = next(((name, options) for name, options in _ENCODERS if name in encoders(binary)), None)
        if encoder is None:
            raise OutputError(f"{binary} has none of the encoders {', '.join(name for name, _ in _ENCODERS)}")
        name, options = encoder
        # Without accurate_rnd every level comes out darker by one and tinted; but it takes as long as drawing.
        scaling = "bicubic" if quick else "bicubic+accurate_rnd"
        if quick and name == "libx264":
            options = {**options, **_QUICK}
        width, height = (side + side % 2 for side in self._size)
        pictures = ffmpeg.input(
            "pipe:0",
            hide_banner=None,
            nostats=None,
            loglevel="level+error",
            f="rawvideo",
            pix_fmt="bgr24",
            s=f"{width}x{height}",
            framerate=str(self._rate),
        )
        inputs = [pictures]
        sound: dict[str, Any] = {}
        if audio_from is not None and (heard_s := sound_start(audio_from)) is not None:
            inputs.append(local_file(audio_from, vn=None, sn=None, dn=None))
            late_s = 0.0 if audio_start_s is None else heard_s - audio_start_s
            # Cut at our first frame or led in by silence; holes in the middle are filled with silence.
            begin = f"asetpts=PTS-STARTPTS+{late_s:.6f}/TB,atrim=start=0"
            sound = {"c:a": "aac", "b:a": "128k", "af": f"{begin},aresample=async=1:first_pts=0"}
        output = ffmpeg.output(
            *inputs,
            file_word(self._temporary),
            **{"c:v": name},
            **options,
            **sound,
            vf=f"scale=out_color_matrix=bt709:out_range=tv:flags={scaling},format=yuv420p",
            colorspace="bt709",
            color_primaries="bt709",
            color_trc="bt709",
            color_range="tv",
            threads=4,  # a fixed number: x264's output depends on it, not on the machine's cores
            map_metadata=-1,
            fflags="+bitexact",
            **{"flags:v": "+bitexact", "flags:a": "+bitexact"},
            movflags="+faststart",
            f="mp4",
        )
        command = command_line(output, binary, overwrite_output=True)
        # ffmpeg-python maps whole inputs; of the second one only the first sound is wanted.
        return [
            "1:a:0" if word == "1" and command[i - 1] == "-map" else word for i, word in enumerate(command)
        ]

    @property
    def frames(self) -> int:
        """How many frames are in the file so far."""
        return self._frames

    def write(self, image: NDArray[np.uint8], time_s: float | None = None) -> None:
        """Append ``image``, (H, W, 3) BGR uint8 of the writer's size.

        Args:
            image: the frame.
            time_s: when it is to be shown, seconds from the start. Given for the frames of a video whose frame rate
                varies, it keeps them on time at the writer's constant rate: a frame is repeated, or left out.
        """
        want = (self._size[1], self._size[0], 3)
        if image.shape != want or image.dtype != np.uint8:
            raise ValueError(
                f"VideoWriter: expected a uint8 image of shape {want}, got {image.dtype} {image.shape}"
            )
        if self._done:
            raise ValueError("VideoWriter: the file is finished")
        wait = 0 if time_s is None else round(time_s * self._rate) - self._frames
        if wait < 0:  # its place is taken
            return
        right, bottom = self._size[0] % 2, self._size[1] % 2
        if right or bottom:
            image = cv2.copyMakeBorder(image, 0, bottom, 0, right, cv2.BORDER_REPLICATE)
        for _ in range(wait):
            self._send(image if self._previous is None else self._previous)
        self._send(image)
        # Kept only where it may be wanted again; a copy, since the caller may draw the next frame into the same array.
        self._previous = None if time_s is None else image.copy()

    def _send(self, image: NDArray[np.uint8]) -> None:
        assert self._child.stdin is not None
        try:
            self._child.stdin.write(np.ascontiguousarray(image).data)
        except OSError:
            self._fail()
        self._frames += 1

    def hold(self, until_s: float) -> None:
        """Let the last frame stand until ``until_s``, seconds from the start; needs frames written with their times."""
        if self._previous is not None:
            for _ in range(int(until_s * self._rate + Fraction(1, 4)) - self._frames):
                self._send(self._previous)

    def close(self) -> None:
        """Finish the file and give it its name."""
        if self._done:
            return
        if self._frames == 0:
            self.abort()
            raise OutputError(f"{self.path} was not written: there was no frame to write")
        assert self._child.stdin is not None
        try:
            self._child.stdin.close()
        except OSError:
            self._fail()
        # Some versions end with code 0 even where the index could not be written. Other messages do not matter here:
        # broken sound in the source is one.
        if self._child.wait() != 0 or self._unwritten():
            self._fail()
        try:
            self._put()
        except OSError as error:
            self.abort()
            raise OutputError(f"{self.path} cannot be written: {error.strerror or error}") from None
        self._stop()
        self._place.close()

    def abort(self) -> None:
        """Stop without leaving a file."""
        if not self._done:
            self._stop()
            self._remove()

    def _messages(self) -> str:
        self._errors.seek(0)
        return self._errors.read(1 << 16).decode(errors="replace")

    def _unwritten(self) -> bool:
        return (
            re.search(r"No space left|rror writing|nput/output error|File too large", self._messages())
            is not None
        )

    def _fail(self) -> None:
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._child.wait(10)
        code = self._child.poll()
        reason = first_error(self._messages()) or f"ffmpeg ended with code {code}"
        if self._unwritten() or code == -_SIGXFSZ:
            reason = "the disk is full, or a limit on the size of files is reached"
        self.abort()
        raise OutputError(f"{self.path} cannot be written: {reason}") from None

    def _stop(self) -> None:
        self._done = True
        if self._child.poll() is None:
            self._child.kill()
        self._child.wait()
        with contextlib.suppress(OSError):
            if self._child.stdin is not None:
                self._child.stdin.close()
        self._errors.close()

    def _remove(self) -> None:
        with contextlib.suppress(OSError):
            self._place.close()

    def __enter__(self) -> VideoWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.close()
        else:
            self.abort()
