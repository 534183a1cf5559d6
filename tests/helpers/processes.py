"""Processes that this one has started."""

import psutil

_TRACKERS = ("loky.backend.resource_tracker", "multiprocessing.resource_tracker")


def own_children(process: psutil.Process | None = None) -> list[psutil.Process]:
    """Children of this process (or of ``process``) and theirs.

    Without what Python itself keeps until it ends: the resource trackers of multiprocessing and joblib, which any test
    before may have started.
    """
    found = (process or psutil.Process()).children(recursive=True)
    return [child for child in found if not any(name in " ".join(command(child)) for name in _TRACKERS)]


def decoder() -> psutil.Process:
    """The one decoder that this process has at work."""
    (found,) = (child for child in own_children() if any("ffmpeg" in word for word in command(child)))
    return found


def command(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.NoSuchProcess:
        return []
