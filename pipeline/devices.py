"""Which device the model runs on."""

from __future__ import annotations

from pose_extract.errors import UsageError


def pick_device(name: str) -> str:
    """``cpu``, ``cuda``, ``cuda:N`` or ``mps`` if it is there; ``auto`` takes the fastest that is.

    Raises:
        UsageError: the device is not there, or torch is not installed.
    """
    try:
        import torch
    except ImportError as error:
        raise UsageError(
            "this needs torch, which is not installed: pip install torch. To score without torch, export the model on "
            "another machine (gepc-pipeline onnx --out DIR) and score with --model DIR"
        ) from error

    there = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if name == "auto":
        return next(kind for kind in ("cuda", "mps", "cpu") if there[kind])
    kind, _, number = name.partition(":")
    if kind not in there:
        raise UsageError(f"unknown device {name!r}; expected cpu, cuda, mps or auto")
    if not there[kind] or (
        kind == "cuda" and number.isdecimal() and int(number) >= torch.cuda.device_count()
    ):
        found = ", ".join(kind for kind, is_there in there.items() if is_there)
        raise UsageError(f"device {name!r} is not there on this machine; there is: {found}")
    return name
