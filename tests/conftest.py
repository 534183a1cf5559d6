"""Fixtures for all tests: the ffmpeg binaries of this machine, and small videos made with them."""

from __future__ import annotations

import logging
import os
import shutil
from pathlib import Path

import hypothesis
import numpy as np
import pytest

from pose_extract.devices import PROCESSORS
from tests.helpers import expected_skips
from tests.helpers.videos import KEYED, MakeVideo, grey, run_ffmpeg

hypothesis.settings.register_profile(
    "untimed", deadline=None
)  # speed is measured in benchmarks, not by tests
hypothesis.settings.load_profile("untimed")


os.environ.setdefault(PROCESSORS, "1")  # tests run side by side already: what they start shall not multiply


def pytest_addoption(parser: pytest.Parser) -> None:
    expected_skips.add_options(parser)


def pytest_configure(config: pytest.Config) -> None:
    expected_skips.register(config)


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
