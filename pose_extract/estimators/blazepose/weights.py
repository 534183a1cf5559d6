"""Fetch BlazePose's two TFLite networks out of one published wheel, check them, keep them in the user's cache folder.

The wheel serves as a container only; the package in it is neither imported nor installed. It is fetched with the user's
own pip, so a mirror or a proxy that pip is configured for is honoured.
"""

from __future__ import annotations

import logging
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

from pose_extract.errors import WeightsError
from pose_extract.estimators.downloads import weights_folder
from pose_extract.estimators.published import State, WeightsFile, ensure_files, reason_of, states_of

logger = logging.getLogger(__name__)

WHEEL = "mediapipe==0.10.21"
"""The last series of releases that carry the networks (Apache-2.0)."""

_PIP_DOWNLOAD = (
    *("download", "--no-deps", "--only-binary=:all:", "--platform", "manylinux_2_28_x86_64"),
    *("--implementation", "cp", "--python-version", "3.11", "--disable-pip-version-check", "--no-input"),
)

FILES: dict[str, WeightsFile] = {
    "detector": WeightsFile(
        "pose_detection.tflite",
        "mediapipe/modules/pose_detection/pose_detection.tflite",
        "9ba9dd3d42efaaba86b4ff0122b06f29c4122e756b329d89dca1e297fd8f866c",
    ),
    "landmarks": WeightsFile(
        "pose_landmark_full.tflite",
        "mediapipe/modules/pose_landmark/pose_landmark_full.tflite",
        "e9a5c5cb17f736fafd4c2ec1da3b3d331d6edbe8a0d32395855aeb2cdfd64b9f",
    ),
}


def ensure_weights(folder: Path | None = None) -> dict[str, Path]:
    """Return the paths of the networks, ``{"detector": ..., "landmarks": ...}``; fetch what is missing or damaged.

    Args:
        folder: where to keep them; `weights_folder` if not given.

    Raises:
        WeightsError: they are not there and cannot be fetched, or what was fetched is not the published file.
    """
    folder = folder or weights_folder()

    def fetch(scratch: Path, keys: list[str]) -> Iterator[tuple[str, bytes]]:
        wheel = _download_wheel(scratch, folder)
        for key in keys:
            yield key, _read(wheel, FILES[key])

    return ensure_files("BlazePose", f"the wheel of {WHEEL}", FILES, folder, fetch)


def weights_states(folder: Path | None = None) -> dict[str, State]:
    """How each network's file in ``folder`` (`weights_folder` if not given) stands; fetches nothing."""
    return states_of(FILES, folder or weights_folder())


def _download_wheel(scratch: Path, folder: Path) -> Path:
    """Let pip put the wheel into ``scratch``."""
    logger.info("fetching BlazePose's weights (the wheel of %s, 36 MB, once)", WHEEL)
    command = [sys.executable, "-m", "pip", *_PIP_DOWNLOAD, "--dest", str(scratch), WHEEL]
    done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False)
    wheels = sorted(scratch.glob("*.whl"))
    if done.returncode == 0 and wheels:
        return wheels[0]
    raise WeightsError(
        f"BlazePose's weights are not in {folder} and could not be fetched.\n"
        f"  pip said: {reason_of(done.stderr or done.stdout or '', done.returncode)}\n"
        "  With a connection to a package index (or a mirror in pip's configuration), run "
        "`gepc-pipeline weights --pose blazepose`.\n"
        f"  Without one, run this on another machine:\n    python -m pip {' '.join(_PIP_DOWNLOAD)} {WHEEL}\n"
        "  then unpack these members of the wheel (a zip file) into the folder above, without their own folders:\n"
        + "\n".join(f"    {file.member}" for file in FILES.values())
    )


def _read(wheel: Path, file: WeightsFile) -> bytes:
    """One member of the wheel."""
    try:
        with zipfile.ZipFile(wheel) as archive:
            return archive.read(file.member)
    except (zipfile.BadZipFile, KeyError) as error:
        raise WeightsError(
            f"the wheel that pip brought for {WHEEL} has no readable {file.member} ({error}); "
            "check the package index that pip uses, then run `gepc-pipeline weights --pose blazepose`"
        ) from error
