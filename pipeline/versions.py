"""Tell which versions made an artefact."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from functools import cache
from importlib.metadata import PackageNotFoundError, version

_PACKAGES = (
    "gepc-pipeline",
    "numpy",
    "opencv-python",
    "torch",
    "scikit-learn",
    "ai-edge-litert",
    "onnxruntime",
    "trackers",
)


def package_version() -> str:
    """The installed version of gepc-pipeline."""
    try:
        return version("gepc-pipeline")
    except PackageNotFoundError:
        return "0+unknown"


def versions() -> dict[str, str]:
    """Version of Python and of each package that shapes a result; those not installed are left out."""
    return dict(_installed())


@cache
def _installed() -> Mapping[str, str]:
    found = {"python": platform.python_version()}
    for name in _PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
