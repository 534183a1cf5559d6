"""Share a workspace with other processes, and end in order when the system asks for it."""

from __future__ import annotations

import logging
import os
import signal
import threading
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

from pose_extract.errors import BusyError
from pose_extract.files import writing

try:
    import fcntl
except ImportError:  # Windows: no lock there
    fcntl = None  # type: ignore[assignment]

logger = logging.getLogger(__name__)

_NAMES = ("SIGTERM", "SIGHUP")  # a container or service that is stopped; a terminal that is closed


@contextmanager
def locked(path: Path, busy: str = "", *, shared: bool = False, wait: bool = True) -> Iterator[None]:
    """Hold the lock of a file, which is made if need be.

    Args:
        path: the file.
        busy: what to say while another process holds it; "" says nothing, of what is held for an instant.
        shared: beside others who share it.
        wait: until it is free; else `BusyError`.
    """
    with _opened(path) as descriptor:
        if fcntl is not None:
            kind = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
            try:
                fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
            except OSError:
                _say(busy, wait)
                fcntl.flock(descriptor, kind)
        yield


@contextmanager
def locked_part(path: Path, names: Sequence[str], busy: str, wait: bool = True) -> Iterator[None]:
    """Hold the locks of some names, a byte of one file each: any number of names needs no more files.

    Other names of this process may be held only by this context: the system keeps such locks by process.
    """
    with _opened(path) as descriptor:
        if fcntl is not None:
            # In one order everywhere, so that two processes never wait for each other.
            for place in sorted({zlib.crc32(name.encode("utf-8", "surrogateescape")) for name in names}):
                region: Any = (1, place, os.SEEK_SET)
                try:
                    fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB, *region)
                except OSError:
                    _say(busy, wait)
                    fcntl.lockf(descriptor, fcntl.LOCK_EX, *region)
        yield


def _say(busy: str, wait: bool) -> None:
    if not wait:
        raise BusyError(f"{busy}; wait for it (leave --no-wait out), or use another --workspace")
    if busy:
        logger.warning("%s; waiting for it", busy)


@contextmanager
def _opened(path: Path) -> Iterator[int]:
    with writing(path):
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        except FileNotFoundError:
            path.parent.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


class Ended(KeyboardInterrupt):
    """A signal asked for the end; unwinds like Ctrl-C, so that what heeds that heeds this.

    Attributes:
        signal: which one.
    """

    def __init__(self, number: int) -> None:
        super().__init__()
        self.signal = signal.Signals(number)


@contextmanager
def ending_by_signals() -> Iterator[None]:
    """Raise `Ended` in the main thread when the process is asked to end; later requests wait for the clean-up."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    owner = os.getpid()
    numbers = [getattr(signal, name) for name in _NAMES if hasattr(signal, name)]

    def end(number: int, _: FrameType | None) -> None:
        if os.getpid() != owner:  # a child that was forked: it has nothing of its own to clear
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
            return
        for each in numbers:
            signal.signal(each, signal.SIG_IGN)
        raise Ended(number)

    # What the caller ignores (nohup) stays ignored.
    before = {n: signal.signal(n, end) for n in numbers if signal.getsignal(n) is not signal.SIG_IGN}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
