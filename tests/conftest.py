"""Fixtures for all tests: the ffmpeg binaries of this machine, and small videos made with them."""

from __future__ import annotations

import logging
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from pose_extract.video import VideoReader, VideoSettings
from pose_extract.video.ffmpeg import find_ffmpeg

MakeVideo = Callable[..., Path]


@pytest.fixture(autouse=True)
def no_levels_of_loggers() -> None:
    """What a command inside the process has set before (``--quiet``) does not silence a test."""
    for name in ("pipeline", "pose_extract", "anomaly"):
        logging.getLogger(name).setLevel(logging.NOTSET)


def ffmpeg_binaries() -> dict[str, str | None]:
    """The binary in PATH and the one in the wheel imageio-ffmpeg; None where there is none."""
    try:
        import imageio_ffmpeg

        wheel: str | None = imageio_ffmpeg.get_ffmpeg_exe()
    except (ImportError, RuntimeError):
        wheel = None
    return {"path": shutil.which("ffmpeg"), "wheel": wheel}


@pytest.fixture(params=[name for name, binary in ffmpeg_binaries().items() if binary])
def each_ffmpeg(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Runs the test once with each ffmpeg binary that this machine has."""
    binary = ffmpeg_binaries()[request.param]
    assert binary is not None
    monkeypatch.setenv("GEPC_FFMPEG", binary)
    return binary


def run_ffmpeg(*arguments: str | Path, stdin: bytes | None = None) -> None:
    """Run ffmpeg with ``arguments``; its messages are in the error if it fails."""
    command = [find_ffmpeg(), "-v", "error", "-y", "-threads", "1", *map(str, arguments)]
    done = subprocess.run(command, input=stdin, capture_output=True, timeout=120)
    assert done.returncode == 0, f"{command}: {done.stderr.decode(errors='replace')}"


@pytest.fixture(scope="session")
def make_video(tmp_path_factory: pytest.TempPathFactory) -> MakeVideo:
    """Makes a small video: ``make_video(name, *output options, frames=25, size=(64, 48), fps=25, audio=False)``.

    Frame n is of the even grey level `grey(n)`, so that a test sees which frame it got. Made once a session.
    """
    folder = tmp_path_factory.mktemp("videos")
    made: dict[tuple[object, ...], Path] = {}

    def make(
        name: str,
        *options: str,
        frames: int = 25,
        size: tuple[int, int] = (64, 48),
        fps: float = 25,
        audio: bool = False,
    ) -> Path:
        key = (name, options, frames, size, fps, audio)
        if key not in made:
            path = folder / str(len(made)) / name
            path.parent.mkdir()
            raw = b"".join(np.full((size[1], size[0], 3), grey(n), np.uint8).tobytes() for n in range(frames))
            inputs: list[str] = [
                "-f",
                "rawvideo",
                "-pix_fmt",
                "bgr24",
                "-s",
                f"{size[0]}x{size[1]}",
                "-r",
                str(fps),
            ]
            inputs += ["-i", "pipe:0"]
            if audio:
                inputs += ["-f", "lavfi", "-i", f"sine=d={frames / fps}"]
            run_ffmpeg(*inputs, "-sws_flags", "bicubic+accurate_rnd", *options, f"file:{path}", stdin=raw)
            made[key] = path
        return made[key]

    return make


X264 = ("-c:v", "libx264", "-pix_fmt", "yuv420p", "-preset", "ultrafast", "-qp", "1")
"""Output options: H.264, nearly lossless, fast."""

KEYED = ("-c:v", "libx264", "-pix_fmt", "yuv420p", "-preset", "ultrafast", "-g", "25")
"""Output options: H.264 with a key frame every 25 frames."""


@pytest.fixture(scope="session")
def ten_seconds(tmp_path_factory):
    """Ten seconds of a moving picture in several containers, a key frame every second."""
    folder = tmp_path_factory.mktemp("ten_seconds")
    for name in ("a.mp4", "a.mkv", "a.ts"):
        options = [*KEYED, "-movflags", "+faststart"] if name == "a.mp4" else KEYED
        run_ffmpeg("-f", "lavfi", "-i", "testsrc2=s=160x120:r=25:d=10", *options, folder / name)
    run_ffmpeg(
        "-f", "lavfi", "-i", "testsrc2=s=160x120:r=25:d=10", "-c:v", "mpeg4", "-g", "25", folder / "a.avi"
    )
    return folder


def read(path, **settings):
    """Times, mean grey levels and damages of a whole video."""
    with VideoReader(path, VideoSettings(**settings)) as reader:
        frames = [(frame.index, frame.time_s, float(frame.image.mean())) for frame in reader]
    assert [index for index, _, _ in frames] == list(range(len(frames)))
    return [time_s for _, time_s, _ in frames], [level for _, _, level in frames], reader.damage


def grey(n: int) -> int:
    """Grey level of frame n of `make_video`: neighbours differ by 36 or more, the pattern repeats after 36 frames."""
    return 20 + (n % 6) * 36 + (n // 6) % 6 * 6
