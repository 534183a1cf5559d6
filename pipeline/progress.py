"""Show progress with rate and remaining time: a bar in a terminal, a plain line now and then elsewhere."""

from __future__ import annotations

import logging
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

logger = logging.getLogger(__name__)

_PLAIN_EVERY_S = 10.0
_TELL_EVERY_S = 0.5
_FORECAST_S = 5.0  # of work, after which a forecast is made
_WARM_UP_S = 5.0  # after the first unit, before its pace says when the end comes


class Progress:
    """Where one stage stands. Made by `stage`.

    Attributes:
        done: units done so far.
        total: units in all, or None where nobody knows (a stream).
    """

    def __init__(self, title: str, unit: str, total: float | None) -> None:
        self.title, self.unit, self.total = title, unit, total
        self.done = 0.0
        self.note = ""
        self._start = time.monotonic()
        self._first: tuple[float, float] | None = None  # when the first units were done, and how many

    def advance(self, units: float = 1, note: str | None = None) -> None:
        """Count ``units`` more; ``note`` is shown beside the count from now on."""
        self.update(self.done + units, note)

    def update(self, done: float, note: str | None = None) -> None:
        """Say that ``done`` units are done in all."""
        self.done = done
        if note is not None:
            self.note = note
        if self._first is None and done > 0:
            self._first = time.monotonic(), done

    def describe(self) -> str:
        """One plain line: count, rate, remaining time, note."""
        now = time.monotonic()
        elapsed = now - self._start
        rate = self.done / elapsed if elapsed > 0 else 0.0
        count = f"{self.done:.0f}" + (f"/{self.total:.0f}" if self.total else "")
        speed = f"{rate:.1f} {self.unit}/s" if rate >= 1 else f"{1 / rate:.1f} s each" if rate else "starting"
        text = f"{self.title}: {count} {self.unit}, {speed}"
        first, before = self._first or (now, self.done)  # what comes before the first unit is no pace
        if self.total and before < self.done < self.total and now - first >= _WARM_UP_S:
            left = (self.total - self.done) * (now - first) / (self.done - before)
            text += f", {format_duration(left)} left"
        return text + (f", {self.note}" if self.note else "")


class _Silent(Progress):
    pass


class Told(Progress):
    """Of a stage in a process of its own: tells how many units are done since it last told, now and then.

    Args:
        title: what is going on.
        unit: what is counted, in the plural.
        total: how many there are, if known.
        tell: called with a number of units.
    """

    def __init__(self, title: str, unit: str, total: float | None, tell: Callable[[float], object]) -> None:
        super().__init__(title, unit, total)
        self._tell, self._told, self._next = tell, 0.0, 0.0

    def update(self, done: float, note: str | None = None) -> None:  # noqa: D102
        super().update(done, note)
        now = time.monotonic()
        if now >= self._next:
            self._next = now + _TELL_EVERY_S
            self._tell(done - self._told)
            self._told = done


class _Plain(Progress):
    def __init__(self, title: str, unit: str, total: float | None) -> None:
        super().__init__(title, unit, total)
        self._next = self._start + _PLAIN_EVERY_S

    def update(self, done: float, note: str | None = None) -> None:
        super().update(done, note)
        if time.monotonic() >= self._next:
            self._tell()

    def _tell(self) -> None:
        self._next = time.monotonic() + _PLAIN_EVERY_S
        print(self.describe(), file=sys.stderr, flush=True)

    @contextmanager
    def never_silent(self) -> Iterator[None]:
        """Tell how it stands now and then, whether a unit is done meanwhile or not."""
        over = threading.Event()

        def tell() -> None:
            while not over.wait(_PLAIN_EVERY_S):
                if time.monotonic() >= self._next:
                    self._tell()

        thread = threading.Thread(target=tell, name="progress", daemon=True)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()


@contextmanager
def stage(title: str, unit: str, total: float | None = None, quiet: bool = False) -> Iterator[Progress]:
    """Show the progress of a stage for as long as the block runs.

    Args:
        title: what is going on, for instance ``extract street.mp4``.
        unit: what is counted, in the plural.
        total: how many there are, if known.
        quiet: show nothing.
    """
    if quiet:
        yield _Silent(title, unit, total)
    elif not sys.stderr.isatty():
        plain = _Plain(title, unit, total)
        with plain.never_silent():
            yield plain
    else:
        yield from _bar(title, unit, total)


@contextmanager
def show_downloads(quiet: bool = False) -> Iterator[None]:
    """Show the progress of weights that are fetched within the block."""
    from pose_extract.estimators.downloads import watched_by

    @contextmanager
    def watch(name: str, total: float | None) -> Iterator[Callable[[float], object]]:
        with stage(f"fetch {name}", "MB", total, quiet) as progress:
            yield progress.update

    with watched_by(watch):
        yield


def _bar(title: str, unit: str, total: float | None) -> Iterator[Progress]:
    from rich.console import Console
    from rich.markup import escape
    from rich.progress import BarColumn, TextColumn
    from rich.progress import Progress as RichProgress

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.fields[count]}"),
    )
    with RichProgress(*columns, console=Console(stderr=True), refresh_per_second=4) as rich:
        task = rich.add_task(escape(title), total=total, count="")

        class Bar(Progress):
            def update(self, done: float, note: str | None = None) -> None:
                super().update(done, note)
                rich.update(task, completed=done, count=escape(self.describe().removeprefix(f"{title}: ")))

        yield Bar(title, unit, total)


def format_duration(seconds: float) -> str:
    """``75`` -> ``1:15``, ``3700`` -> ``1:01:40``."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


class Forecast:
    """Says once, after the first seconds of work on a clip, what an hour of such video will take.

    Args:
        fps: frames a second of the video.
        frames: how many there are, None if unknown. Of less than a minute, which is done soon, nothing is said.
    """

    def __init__(self, fps: float, frames: int | None) -> None:
        self._fps = fps
        self._wanted = frames is None or frames >= 60 * fps
        self._since: float | None = None
        self._frames = 0

    def advance(self, frames: int) -> None:
        """Count frames that are done. With the first ones networks are made ready: they say nothing of the speed."""
        if not self._wanted:
            return
        now = time.monotonic()
        if self._since is None:
            self._since = now
            return
        self._frames += frames
        spent = now - self._since
        if spent >= _FORECAST_S:
            self._wanted = False
            rate = self._frames / spent
            logger.info(
                "%.1f frames a second so far: an hour of this video takes about %s",
                rate,
                format_duration(3600 * self._fps / rate),
            )


class Stopwatch:
    """Runs from when it is made.

    Attributes:
        seconds: wall-clock time of each stage so far.
    """

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._since = time.perf_counter()

    def lap(self, stage: str) -> None:
        """Give ``stage`` the time since the last lap."""
        now = time.perf_counter()
        self.seconds[stage] = self.seconds.get(stage, 0.0) + now - self._since
        self._since = now
