"""Read video frames with the container's timestamps, from a video file or a folder of numbered images.

ffmpeg decodes in a child process and hands raw pictures over a pipe, so that a crashing decoder is no crash here and
memory does not grow with the length of the video. Its ``showinfo`` filter tells each picture's timestamp on the second
pipe; the n-th line belongs to the n-th picture, since every decoded frame is passed on exactly once.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

import cv2
import numpy as np
from numpy.typing import NDArray

from pose_extract.errors import VideoError
from pose_extract.files import read_input
from pose_extract.tracks.records import Frame
from pose_extract.video.decoder import Damage, DamageLog, Decoder
from pose_extract.video.ffmpeg import probe
from pose_extract.video.settings import VideoSettings
from pose_extract.video.sources import VideoSource, content_hash, find_sources
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
    """

    fps: float
    frame_size: tuple[int, int]
    frame_count: int | None
    duration_s: float | None
    has_audio: bool
    start_s: float = 0.0
    end_s: float | None = None


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
        )

    def __iter__(self) -> Iterator[Frame]:
        self.close()
        self._damage = DamageLog()
        if self.source.kind == "images":
            yield from self._read_images()
        else:
            yield from self._read_video()

    def _read_images(self) -> Iterator[Frame]:
        index = 0
        for position, path in enumerate(self.source.images()):
            time_s = position / self.info.fps
            image = _read_image(path)
            if image is None:
                self._damage.add(time_s, f"{path.name} is not an image that can be read; nobody is in it")
                width, height = self.info.frame_size
                yield Frame(index, time_s, np.zeros((height, width, 3), np.uint8))
                index += 1
                continue
            found, want = _fit(image.shape[1::-1], self._settings.max_side), self.info.frame_size
            if found != want:
                message = f"{path.name}: {found[0]}x{found[1]}, not {want[0]}x{want[1]} as the first; scaled to that"
                self._damage.add(time_s, message)
            yield Frame(index, time_s, _resize(image, self.info.frame_size))
            index += 1

    def _read_video(self) -> Iterator[Frame]:
        decoder = self._decoder = Decoder(
            self.source.path,
            self.info.frame_size,
            self.info.fps,
            self._settings.fps is not None and self._stated,
            self._damage,
            self._stated,
        )
        try:
            index = 0
            while (picture := decoder.read()) is not None:
                yield Frame(index, *picture)
                index += 1
            decoder.finish(index)
        finally:
            decoder.close()

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
    return VideoInfo(fps, size, len(images), len(images) / fps, has_audio=False)
