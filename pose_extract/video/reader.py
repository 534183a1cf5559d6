"""Read video frames with the container's timestamps, from a video file or a folder of numbered images.

ffmpeg decodes in a child process and hands raw pictures over a pipe, so that a crashing decoder is no crash here and
memory does not grow with the length of the video. Its ``showinfo`` filter tells each picture's timestamp on the second
pipe; the n-th line belongs to the n-th picture, since every decoded frame is passed on exactly once.
"""

from __future__ import annotations

import logging
import math
import os
import subprocess
from array import array
from collections.abc import Generator, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from types import TracebackType

import cv2
import numpy as np
from numpy.typing import NDArray

from pose_extract.errors import VideoError
from pose_extract.files import read_input
from pose_extract.tracks.records import Frame
from pose_extract.video.decoder import Damage, DamageLog, Decoder
from pose_extract.video.ffmpeg import command_line, find_ffmpeg, local_file, probe
from pose_extract.video.metadata import Metadata
from pose_extract.video.settings import VideoSettings
from pose_extract.video.sources import VideoSource, content_hash, find_sources, image_places
from pose_extract.video.writer import VideoWriter

__all__ = [
    "Damage",
    "VideoInfo",
    "VideoReader",
    "VideoSettings",
    "VideoSource",
    "VideoWriter",
    "content_hash",
    "find_sources",
]

logger = logging.getLogger(__name__)

_LEAST_BYTES = 8  # that a frame takes in any file

_BACK_S = (3.0, 15.0, 60.0, 300.0)
"""How far before what is wanted to begin decoding; farther where no frame stands for itself there."""

_DISCARDED = 4  # ffmpeg's mark of packets that are decoded and not shown
_UNKNOWN = -(1 << 63)  # a time that ffmpeg does not know

DEFAULT_IMAGE_FPS = 24.0
"""Frame rate of numbered images where the settings give none."""


_Pictures = Generator[tuple[float, NDArray[np.uint8]], None, None]


@dataclass(frozen=True)
class VideoInfo:
    """What is known of a clip before it is read.

    Attributes:
        fps: frames a second between holes.
        frame_size: (width, height) in pixels of the frames that will come: upright, scaled.
        frame_count: estimate of the number of frames; None if unknown. Exact for images.
        duration_s: length in seconds; None if unknown.
        has_audio: whether there is sound.
        start_s: when the first frame is shown by the container's own clock, seconds; by ours it is at 0.
        end_s: when the file ends, its sound included, in seconds since the first frame; None if unknown.
        metadata: what the file says of its recording.
    """

    fps: float
    frame_size: tuple[int, int]
    frame_count: int | None
    duration_s: float | None
    has_audio: bool
    start_s: float = 0.0
    end_s: float | None = None
    metadata: Metadata = field(default_factory=Metadata)


class VideoReader:
    """Iterates over the frames of a clip; a context manager that ends the decoder when left.

        with VideoReader(source, VideoSettings(max_side=960)) as reader:
            for frame in reader:
                ...
        for damage in reader.damage:
            ...

    Each iteration starts again at the first frame. Pixels that are not square are left as they are stored.

    Args:
        source: the clip, or the path of one.
        settings: how to read it.

    Attributes:
        source: the clip.
        info: what is known of it.

    Raises:
        VideoError: it is missing, unreadable, empty, no video, or has no picture.
    """

    def __init__(self, source: VideoSource | str | Path, settings: VideoSettings | None = None) -> None:
        if not isinstance(source, VideoSource):
            source = _single(source)
        self.source = source
        self._settings = settings or VideoSettings()
        self._damage = DamageLog()
        self._decoder: Decoder | None = None
        self.info = _image_info(source, self._settings) if source.kind == "images" else self._video_info()

    @property
    def damage(self) -> list[Damage]:
        """What was found damaged so far, in order of time."""
        return self._damage.entries()

    def _video_info(self) -> VideoInfo:
        found = probe(self.source.path)
        self._stated = found.fps_stated
        if not found.fps_stated and self._settings.fps is None:
            logger.warning(
                "%s states no frame rate; %g frames a second are taken. Say how many there are with --fps",
                self.source.path,
                found.fps,
            )
        fps = self._settings.fps or found.fps
        mean = self._settings.fps or found.mean_fps
        count = None if found.duration_s is None else max(1, round(found.duration_s * mean))
        if count is not None and self.source.path.stat().st_size < _LEAST_BYTES * count:
            count = None  # a clock that jumped
        return VideoInfo(
            fps,
            _fit(found.size, self._settings.max_side),
            count,
            found.duration_s,
            found.has_audio,
            found.start_s,
            found.end_s,
            found.metadata,
        )

    def __iter__(self) -> Iterator[Frame]:
        return self.frames()

    def frames(self, start_s: float = 0.0, stop_s: float = math.inf) -> Generator[Frame, None, None]:
        """Read the frames of a span.

        Args:
            start_s: in seconds since the clip's first frame; what comes before is not handed out.
            stop_s: the first moment that is not read any more.

        Yields:
            Frames with the same pictures and times as when the whole clip is read; their indices count from 0.
        """
        self.close()
        self._damage = DamageLog()
        images = self.source.kind == "images"
        with closing(self._read_images(start_s) if images else self._read_video(start_s)) as pictures:
            index = 0
            for time_s, image in pictures:
                if time_s >= stop_s:
                    return
                if time_s >= start_s:
                    yield Frame(index, time_s, image)
                    index += 1

    def frame_times(self) -> NDArray[np.float64] | None:
        """(F,) when each frame is shown, told without decoding; None where the file does not say so in order."""
        if self.source.kind == "images":
            return np.array(image_places(self.source.images())) / self.info.fps
        if not self._stated:
            return None
        found = _packet_times(self.source.path)
        if found is not None and self._settings.fps is not None:
            return np.arange(int(found[-1] * self.info.fps) + 1) / self.info.fps
        return found

    def _read_images(self, start_s: float) -> _Pictures:
        images = self.source.images()
        due = 0
        for place, path in zip(image_places(images), images, strict=True):
            time_s = place / self.info.fps
            if time_s < start_s:
                due = place + 1
                continue
            if place > due:
                self._damage.add(
                    time_s, f"{place - due} numbers are missing before {path.name}; that time has no images"
                )
            due = place + 1
            image = _read_image(path)
            if image is None:
                self._damage.add(time_s, f"{path.name} is not an image that can be read; nobody is in it")
                width, height = self.info.frame_size
                yield time_s, np.zeros((height, width, 3), np.uint8)
                continue
            found, want = _fit(image.shape[1::-1], self._settings.max_side), self.info.frame_size
            if found != want:
                message = f"{path.name}: {found[0]}x{found[1]}, not {want[0]}x{want[1]} as the first; scaled to that"
                self._damage.add(time_s, message)
            yield time_s, _resize(image, self.info.frame_size)

    def _read_video(self, start_s: float) -> _Pictures:
        begins: list[tuple[float, float] | None] = [None]
        if start_s > _BACK_S[0]:
            with closing(self._decode()) as decoder:
                decoder.read()
                origin = decoder.origin
            begins[:0] = [(start_s - back_s + origin, origin) for back_s in _BACK_S if back_s < start_s]
        for begin in begins:
            self._damage = DamageLog()
            with closing(self._decode(begin)) as decoder:
                picture, count = decoder.read(), 0
                if begin is not None and (picture is None or picture[0] > start_s):
                    continue  # the container led behind it
                while picture is not None:
                    yield picture
                    count += 1
                    picture = decoder.read()
                decoder.finish(count)
                return

    def _decode(self, begin: tuple[float, float] | None = None) -> Decoder:
        resample = self._settings.fps is not None and self._stated
        info, stated = self.info, self._stated
        self._decoder = Decoder(
            self.source.path, info.frame_size, info.fps, resample, self._damage, stated, begin
        )
        return self._decoder

    def close(self) -> None:
        """End the decoder, if it runs. Frames already handed out stay valid."""
        if self._decoder is not None:
            self._decoder.close()
            self._decoder = None

    def __enter__(self) -> VideoReader:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _packet_times(path: Path) -> NDArray[np.float64] | None:
    """(F,) when the pictures of ``path`` are shown, in seconds since the first, told without decoding them.

    None where they are not told, or not in order, as in recordings that were joined end to end.
    """
    binary = find_ffmpeg()
    plain = dict.fromkeys(("hide_banner", "nostdin", "copyts", "start_at_zero"))
    output = local_file(path, loglevel="quiet", **plain).output(
        "pipe:1", map="0:V:0", c="copy", f="framecrc", map_metadata=-1
    )
    base, shown, decoded = Fraction(0), array("q"), array("q")
    with subprocess.Popen(
        command_line(output, binary),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    ) as child:
        assert child.stdout is not None
        for line in child.stdout:
            if line.startswith(b"#tb 0:"):
                base = Fraction(line.partition(b":")[2].decode().strip())
            if line.startswith(b"#"):
                continue
            _, dts, pts, *rest = line.split(b",")
            if b"F=" in rest[-1] and int(rest[-1].partition(b"=")[2], 16) & _DISCARDED:
                continue
            shown.append(int(pts))
            decoded.append(int(dts))
    # Some containers say only when a picture is decoded; in order these are the times at which one is shown.
    ticks = np.array(decoded if _UNKNOWN in shown else shown, np.int64)
    if child.returncode or not base or len(ticks) < 2 or _UNKNOWN in ticks:
        return None
    joined = (np.maximum.accumulate(ticks) - ticks).max() * base > 1
    ticks.sort()
    if joined or not np.diff(ticks).all():
        return None
    return np.asarray((ticks - ticks[0]) * base.numerator / base.denominator, np.float64)


def _single(path: str | Path) -> VideoSource:
    """The one clip that ``path`` names."""
    found = find_sources(path)
    if len(found) != 1:
        raise VideoError(f"{path}: expected one video or one folder of numbered images, found {len(found)}")
    return found[0]


def _fit(size: tuple[int, int], max_side: int | None) -> tuple[int, int]:
    """``size`` scaled down so that its longer side is at most ``max_side``."""
    longest = max(size)
    if max_side is None or longest <= max_side:
        return size
    return max(1, round(size[0] * max_side / longest)), max(1, round(size[1] * max_side / longest))


def _read_image(path: Path) -> NDArray[np.uint8] | None:
    """(H, W, 3) BGR image, upright; None if it cannot be read."""
    try:
        # Not imread: that fails on names that are not ASCII on some systems, and prints.
        data = np.frombuffer(read_input(path), np.uint8)
        return cv2.imdecode(data, cv2.IMREAD_COLOR) if len(data) else None
    except (OSError, cv2.error):
        return None


def _resize(image: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    if (image.shape[1], image.shape[0]) == size:
        return image
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA)


def _image_info(source: VideoSource, settings: VideoSettings) -> VideoInfo:
    if not os.access(source.path, os.R_OK | os.X_OK):
        raise VideoError(f"{source.path} cannot be read: no such folder, or no permission")
    images = source.images()
    if not images:
        raise VideoError(f"{source.path} holds no numbered images")
    first = next((image for image in map(_read_image, images) if image is not None), None)
    if first is None:
        raise VideoError(f"none of the {len(images)} images in {source.path} can be read")
    fps = settings.fps or DEFAULT_IMAGE_FPS
    size = _fit((first.shape[1], first.shape[0]), settings.max_side)
    return VideoInfo(fps, size, len(images), (image_places(images)[-1] + 1) / fps, has_audio=False)
