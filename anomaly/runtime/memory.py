"""Tell the C library to keep freed memory, or to give it back."""

from __future__ import annotations

import ctypes
import platform
from functools import cache

# Parameters of glibc's mallopt.
_TRIM_THRESHOLD, _TOP_PAD, _MMAP_MAX = -1, -2, -4
_GROWTH = 64 * 2**20  # bytes that the heap grows by at least


def keep_memory() -> bool:
    """Let the process keep freed memory for itself instead of giving it back; returns whether that could be arranged.

    A training step allocates and frees the same hundreds of megabytes again and again. By default glibc returns each
    of those blocks to the operating system, which must then clear every page of the next one: a third of the time of
    a step. The price is that the process stays as large as it once was. Nothing happens without glibc.
    """
    library = _glibc()
    settings = ((_MMAP_MAX, 0), (_TRIM_THRESHOLD, -1), (_TOP_PAD, _GROWTH))
    return library is not None and all(
        library.mallopt(parameter, value) == 1 for parameter, value in settings
    )


def give_back_memory() -> bool:
    """Give memory that was freed back to the operating system; returns whether there was any.

    Threads that allocate beside each other leave holes that glibc keeps, the more the busier the machine is: a service
    that runs for weeks would stay as large as its busiest minute made it. Nothing happens without glibc.
    """
    library = _glibc()
    return library is not None and bool(library.malloc_trim(0) == 1)


@cache
def _glibc() -> ctypes.CDLL | None:
    """The C library of this process, if it is glibc with what is asked of it here."""
    if platform.libc_ver()[0] != "glibc":
        return None
    try:
        library = ctypes.CDLL(None)
        return library if library.mallopt and library.malloc_trim else None
    except (OSError, AttributeError):
        return None
