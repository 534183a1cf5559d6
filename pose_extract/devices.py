"""Pick the device that networks run on, and count the processors."""

from __future__ import annotations

import os
import re

from pose_extract.errors import UsageError

NAMES = "cpu, cuda, cuda:N, mps or auto"
_NAME = re.compile(r"cpu|mps|auto|cuda(:\d+)?", re.ASCII)


PROCESSORS = "GEPC_PROCESSORS"
"""Environment variable: how many processors this process may use, where it shares them with others."""


def processors() -> int:
    """How many processors this process may use."""
    share = os.environ.get(PROCESSORS, "")
    if share.isdecimal() and int(share):
        return int(share)
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def check_device(name: str) -> str:
    """Return ``name`` if it is that of a device, there or not; needs no torch. Raises `UsageError`."""
    if _NAME.fullmatch(name) is None:
        raise UsageError(f"unknown device {name!r}; expected {NAMES}")
    return name


def pick_device(name: str) -> str:
    """``cpu``, ``cuda``, ``cuda:N`` or ``mps`` if it is there; ``auto`` takes the fastest that is.

    Raises:
        UsageError: the device is not there, or torch is not installed.
    """
    kind, _, number = check_device(name).partition(":")
    try:
        import torch
    except ImportError as error:
        raise UsageError("this needs torch, which is not installed: pip install torch") from error

    there = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if name == "auto":
        return next(kind for kind in ("cuda", "mps", "cpu") if there[kind])
    if not there[kind] or (number and int(number) >= torch.cuda.device_count()):
        found = ", ".join(kind for kind, is_there in there.items() if is_there)
        if there["cuda"]:
            found += f" (cuda:0 to cuda:{torch.cuda.device_count() - 1})"
        raise UsageError(f"device {name!r} is not there on this machine; there is: {found}")
    return name
