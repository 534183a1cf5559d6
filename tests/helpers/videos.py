"""Small videos made with ffmpeg, and what a reader gets out of them."""

from __future__ import annotations

import struct
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from pose_extract.video import Damage, VideoReader, VideoSettings
from pose_extract.video.ffmpeg import find_ffmpeg, passthrough

MakeVideo = Callable[..., Path]


def run_ffmpeg(*arguments: str | Path, stdin: bytes | None = None) -> None:
    """Run ffmpeg with ``arguments``; its messages are in the error if it fails."""
    command = [find_ffmpeg(), "-v", "error", "-y", "-threads", "1", *map(str, arguments)]
    done = subprocess.run(command, input=stdin, capture_output=True, timeout=120)
    assert done.returncode == 0, f"{command}: {done.stderr.decode(errors='replace')}"


X264 = ("-c:v", "libx264", "-pix_fmt", "yuv420p", "-preset", "ultrafast", "-qp", "1")
"""Output options: H.264, nearly lossless, fast."""


KEYED = ("-c:v", "libx264", "-pix_fmt", "yuv420p", "-preset", "ultrafast", "-g", "25")
"""Output options: H.264 with a key frame every 25 frames."""


def read(path: Path, **settings: Any) -> tuple[list[float], list[float], list[Damage]]:
    """Times, mean grey levels and damages of a whole video."""
    with VideoReader(path, VideoSettings(**settings)) as reader:
        frames = [(frame.index, frame.time_s, float(frame.image.mean())) for frame in reader]
    assert [index for index, _, _ in frames] == list(range(len(frames)))
    return [time_s for _, time_s, _ in frames], [level for _, _, level in frames], reader.damage


def grey(n: int) -> int:
    """Grey level of frame n of `make_video`: neighbours differ by 36 or more, the pattern repeats after 36 frames."""
    return 20 + (n % 6) * 36 + (n // 6) % 6 * 6


def rotated(path: Path, target: Path, quarter_turns_clockwise: int) -> Path:
    """A copy of an mp4 whose track header says that it is to be shown turned (the display matrix)."""
    cos, sin = [(1, 0), (0, 1), (-1, 0), (0, -1)][quarter_turns_clockwise % 4]
    matrix = struct.pack(">9i", cos << 16, sin << 16, 0, -sin << 16, cos << 16, 0, 0, 0, 1 << 30)
    data = bytearray(path.read_bytes())
    start = data.index(b"tkhd") + 4 + 40
    data[start : start + 36] = matrix
    target.write_bytes(data)
    return target


def passthrough_option() -> tuple[str, str]:
    """The output option that keeps each frame's own time, as this ffmpeg spells it."""
    ((name, value),) = passthrough(find_ffmpeg()).items()
    return (f"-{name}", value)


def numbered_images(folder: Path, names: list[str], size: tuple[int, int] = (32, 24)) -> Path:
    """A folder of pictures; the n-th name is of the grey level `grey(n)`."""
    folder.mkdir(exist_ok=True)
    for n, name in enumerate(names):
        cv2.imwrite(str(folder / name), np.full((size[1], size[0], 3), grey(n), np.uint8))
    return folder
