"""Small colour frames of clips, for baselines that look at pixels: kept on disk, mapped into memory, read when asked.

A clip is one ``.npy`` file of (F, size, size, 3) uint8 BGR frames, as everywhere in this project. It appears under its
name when it is complete. Memory does not grow with the length of a clip, nor with their number.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import IO, overload

import cv2
import numpy as np
from filelock import FileLock
from numpy.lib import format as npy_format
from numpy.typing import NDArray

from pose_extract.errors import CacheError
from pose_extract.files import complete_or_absent, writing
from pose_extract.video import VideoReader, VideoSettings, VideoSource, content_hash, find_sources

Image = NDArray[np.uint8]

_VERSION = 1  # of how frames are made: raise it when they come out differently


class FrameCache:
    """A folder of clips' frames. Several processes may use it at once: one makes a clip, the others wait for it.

    Args:
        folder: where they are kept; made if need be.
        size: frames are scaled to squares of this side in pixels, as the paper does, whatever their proportions.
        fps: frames a second that videos are resampled to; None keeps every frame.
    """

    def __init__(self, folder: Path | str, size: int = 256, fps: float | None = None) -> None:
        self.folder = Path(folder)
        self.size = size
        self.fps = fps

    def video(self, source: VideoSource | Path | str) -> Path:
        """The file of a video's frames, made if it is not there. The video's content is the key, not its name.

        Raises:
            VideoError: it is missing, unreadable or no video.
            OutputError: the folder cannot be written to.
        """
        if not isinstance(source, VideoSource):
            source = find_sources(source)[0]
        clip = source

        def read() -> Iterator[Image]:
            with VideoReader(clip, VideoSettings(fps=self.fps)) as reader:
                for frame in reader:
                    yield frame.image

        return self._kept(f"video {content_hash(clip)} fps {self.fps}", read)

    def rendered(self, key: str, render: Callable[[], Iterable[Image]]) -> Path:
        """The file of frames that a program draws.

        Args:
            key: says all that they depend on; another key is another clip.
            render: gives the (H, W, 3) uint8 frames one after another; called only if the clip is not there.
        """
        return self._kept(f"rendered {key}", render)

    def _kept(self, key: str, make: Callable[[], Iterable[Image]]) -> Path:
        digest = hashlib.blake2b(
            f"{key} size {self.size} version {_VERSION}".encode(), digest_size=16
        ).hexdigest()
        path = self.folder / f"{digest}.npy"
        if path.exists():
            return path
        with writing(path):
            self.folder.mkdir(parents=True, exist_ok=True)
        with FileLock(path.with_suffix(".lock")):
            if not path.exists():
                with complete_or_absent(path, "wb") as file:
                    _write(file, (self._scaled(image) for image in make()), self.size, key)
        return path

    def _scaled(self, image: Image) -> Image:
        side = self.size
        if image.shape[:2] == (side, side):
            return image
        return cv2.resize(image, (side, side), interpolation=cv2.INTER_AREA)


class FrameClips(Sequence[Image]):
    """Clips of a `FrameCache` by number, each mapped into memory when asked for and let go with the array.

    Args:
        paths: their files.
    """

    def __init__(self, paths: Sequence[Path]) -> None:
        self.paths = list(paths)

    def __len__(self) -> int:
        return len(self.paths)

    @overload
    def __getitem__(self, number: int) -> Image: ...

    @overload
    def __getitem__(self, number: slice) -> FrameClips: ...

    def __getitem__(self, number: int | slice) -> Image | FrameClips:
        """(F, size, size, 3) uint8 of a clip, read-only; a slice gives `FrameClips`."""
        if isinstance(number, slice):
            return FrameClips(self.paths[number])
        return load_frames(self.paths[number])


def load_frames(path: Path) -> Image:
    """(F, size, size, 3) uint8 frames, read-only, mapped into memory.

    Raises:
        CacheError: the file is missing, damaged or not one of ours.
    """
    try:
        frames = npy_format.open_memmap(path, mode="r")
    except (OSError, ValueError, EOFError) as error:
        raise CacheError(
            f"{path}: cannot be read as frames ({error}); delete it, and it is made again"
        ) from error
    if frames.ndim != 4 or frames.shape[3] != 3 or frames.dtype != np.uint8:
        raise CacheError(
            f"{path}: expected frames of shape (F, size, size, 3) uint8, got {frames.dtype} {frames.shape}; "
            "delete it, and it is made again"
        )
    return frames


def _write(file: IO[bytes], frames: Iterator[Image], size: int, key: str) -> None:
    """Write frames as they come; how many there are is put into the header in the end."""

    def header(count: int) -> None:
        shape = (count, size, size, 3)
        # NumPy leaves room in a header for the first axis to grow, so that it keeps its length.
        npy_format.write_array_header_1_0(file, {"descr": "|u1", "fortran_order": False, "shape": shape})

    count = 0
    header(count)
    for frame in frames:
        file.write(np.ascontiguousarray(frame, np.uint8).tobytes())
        count += 1
    if count == 0:
        raise CacheError(f"{key}: expected frames, got none")
    file.seek(0)
    header(count)
