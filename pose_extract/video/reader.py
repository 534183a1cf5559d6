"""Read video frames with the container's timestamps, from a video file or a folder of numbered images.

ffmpeg decodes in a child process and hands raw pictures over a pipe, so that a crashing decoder is no crash here and
memory does not grow with the length of the video. Its ``showinfo`` filter tells each picture's timestamp on the second
pipe; the n-th line belongs to the n-th picture, since every decoded frame is passed on exactly once.
"""

from __future__ import annotations

import logging
import math
import os
from collections.abc import Generator, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType

import cv2
import numpy as np
from numpy.typing import NDArray

from pose_extract.errors import VideoError
from pose_extract.files import read_input
from pose_extract.tracks.clip_time import holes
from pose_extract.tracks.records import Frame
from pose_extract.video.decoder import Damage, DamageLog, Decoder
from pose_extract.video.ffmpeg import probe
from pose_extract.video.metadata import Metadata
from pose_extract.video.packets import packet_times
from pose_extract.video.resampling import Pace, Pictures, resampled
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


DEFAULT_IMAGE_FPS = 24.0
"""Frame rate of numbered images where the settings give none."""


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
        raw: whether it is a raw stream, in which no time can be looked up: it is read from its start.
        fps_stated: whether it tells when its frames are shown; else they come at ``fps``.
    """

    fps: float
    frame_size: tuple[int, int]
    frame_count: int | None
    duration_s: float | None
    has_audio: bool
    start_s: float = 0.0
    end_s: float | None = None
    metadata: Metadata = field(default_factory=Metadata)
    raw: bool = False
    fps_stated: bool = True


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
        self._own_fps = found.fps if found.fps_stated else self._settings.fps or found.fps
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
            found.raw,
            found.fps_stated,
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
        whole = start_s <= 0 and stop_s == math.inf
        with closing(self._read_images(start_s) if images else self._read_video(start_s, whole)) as pictures:
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
        if self.info.raw:
            return None
        found = packet_times(self.source.path)
        if found is not None and self._settings.fps is not None:
            pace = Pace(self.info.fps, self._own_fps)
            return np.array([time_s for own_s in found for time_s in pace.after(own_s)] + pace.at_end())
        return found

    def _is_steady(self) -> bool:
        """Whether ffmpeg's filter keeps the frames' times: no holes, no clock set back, more than a step of time."""
        found = packet_times(self.source.path)
        slower = min(self.info.fps, self._own_fps)
        return found is not None and found[-1] * self.info.fps > 1 and not holes(found, slower)

    def _read_images(self, start_s: float) -> Pictures:
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
            image = read_image(path)
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

    def _read_video(self, start_s: float, whole: bool) -> Pictures:
        resample = self._settings.fps is not None and self.info.fps_stated
        by_filter = resample and whole and self._is_steady()
        begins: list[tuple[float, float] | None] = [None]
        if start_s > _BACK_S[0] and not self.info.raw:
            with closing(self._decode()) as decoder:
                decoder.read()
                origin = decoder.origin
            begins[:0] = [(start_s - back_s + origin, origin) for back_s in _BACK_S if back_s < start_s]
        for begin in begins:
            self._damage = DamageLog()
            with closing(self._decode(begin, by_filter)) as decoder:
                picture = decoder.read()
                if begin is not None and (picture is None or picture[0] > start_s):
                    continue  # the container led behind it
                pictures = _all(decoder, picture)
                pace = Pace(self.info.fps, self._own_fps, decoder.origin)
                yield from resampled(pictures, pace) if resample and not by_filter else pictures
                return

    def _decode(self, begin: tuple[float, float] | None = None, resample: bool = False) -> Decoder:
        fps = self.info.fps if resample else self._own_fps
        self._decoder = Decoder(
            self.source.path, self.info.frame_size, fps, resample, self._damage, self.info.fps_stated, begin
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


def _all(decoder: Decoder, picture: tuple[float, NDArray[np.uint8]] | None) -> Pictures:
    """The pictures from this one on."""
    count = 0
    while picture is not None:
        yield picture
        count += 1
        picture = decoder.read()
    decoder.finish(count)


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


def read_image(path: Path) -> NDArray[np.uint8] | None:
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
    first = next((image for image in map(read_image, images) if image is not None), None)
    if first is None:
        raise VideoError(f"none of the {len(images)} images in {source.path} can be read")
    fps = settings.fps or DEFAULT_IMAGE_FPS
    size = _fit((first.shape[1], first.shape[0]), settings.max_side)
    return VideoInfo(fps, size, len(images), (image_places(images)[-1] + 1) / fps, has_audio=False)
