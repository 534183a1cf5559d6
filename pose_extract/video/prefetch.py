"""Prefetch one step ahead: a thread fetches what comes next while the caller works on what came last."""

from __future__ import annotations

import contextlib
import queue
import threading
from collections.abc import Generator, Iterable, Iterator
from dataclasses import dataclass
from typing import TypeVar

from pose_extract.tracks.records import Frame

T = TypeVar("T")

_PATIENCE_S = 5.0  # for a source that hangs (a dead network disk); whoever owns it ends it then


@dataclass(frozen=True)
class _End:
    """What follows the last item: why it was the last."""

    error: BaseException | None = None


def prefetch(items: Iterable[T], size: int) -> Generator[T, None, None]:
    """Yield ``items`` in their order, up to ``size`` of them fetched ahead by a thread.

    At most ``size`` + 2 items exist at a time: those that wait, one in the thread's hands, one in the caller's. The
    thread starts with the first item asked for, and only it touches ``items``. It ends with the last item, or when
    this generator is closed; within `contextlib.closing`, an error or Ctrl-C in the caller's loop does that. If
    ``items`` is a generator, the thread closes it as it ends.

    Args:
        items: the source, run through once.
        size: most items that wait, at least 1.

    Raises:
        ValueError: the size is below 1.
        BaseException: whatever the source raises, after the items that came before.
    """
    if size < 1:
        raise ValueError(f"prefetch: expected a size of at least 1, got {size}")
    return _prefetch(items, size)


def _prefetch(items: Iterable[T], size: int) -> Generator[T, None, None]:
    waiting: queue.Queue[T | _End] = queue.Queue(size)
    stop = threading.Event()
    thread = threading.Thread(target=_fetch, args=(items, waiting, stop), name="prefetch", daemon=True)
    thread.start()
    try:
        while not isinstance(item := waiting.get(), _End):
            yield item
            del item  # not to be kept while the caller waits for the next one
        if item.error is not None:
            raise item.error
    finally:
        item = _End()  # an error that holds this frame, which holds the error, would keep both alive
        stop.set()
        with contextlib.suppress(queue.Empty):  # room for a thread that waits for it: it looks at `stop` next
            while True:
                waiting.get_nowait()
        thread.join(_PATIENCE_S)


def _fetch(items: Iterable[T], waiting: queue.Queue[T | _End], stop: threading.Event) -> None:
    """Put the items and then an `_End` into the queue, until told to stop."""
    end = _End()
    try:
        iterator = iter(items)
        try:
            for item in iterator:
                if stop.is_set():
                    return
                waiting.put(item)
                if stop.is_set():
                    return
                del item
        finally:
            close = getattr(iterator, "close", None)
            if close is not None:
                close()
    except BaseException as error:  # handed over, whatever it is
        end = _End(error)
    if not stop.is_set():
        waiting.put(end)


def batches(frames: Iterable[Frame], size: int, longest_s: float) -> Iterator[list[Frame]]:
    """Frames in batches, each from one stretch of the clip."""
    batch: list[Frame] = []
    last_s = None
    for frame in frames:
        hole = last_s is not None and frame.time_s - last_s > longest_s
        if batch and (hole or len(batch) == size):
            yield batch
            batch = []
        last_s = frame.time_s
        batch.append(frame)
        del frame
    if batch:
        yield batch
