"""Show progress with rate and remaining time: a bar in a terminal, a plain line now and then elsewhere."""

from __future__ import annotations

import logging
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import rich.progress

logger = logging.getLogger(__name__)

Hears = Callable[[str, float, float | None], object]
"""Told what is going on, how many units of it are done, and how many there are (None: nobody knows)."""

_hears: ContextVar[Hears | None] = ContextVar("_hears", default=None)
_PLAIN_EVERY_S = 10.0
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
        count = f"{int(self.done)}" + (f"/{self.total:.0f}" if self.total else "")
        speed = f"{rate:.1f} {self.unit}/s" if rate >= 1 else f"{1 / rate:.1f} s each" if rate else "starting"
        text = f"{self.title}: {count} {self.unit}, {speed}"
        first, before = self._first or (now, self.done)  # what comes before the first unit is no pace
        if self.total and before < self.done < self.total and now - first >= _WARM_UP_S:
            left = (self.total - self.done) * (now - first) / (self.done - before)
            text += f", {format_duration(left)} left"
        return text + (f", {self.note}" if self.note else "")


class _Silent(Progress):
    pass


class _Heard(Progress):
    def __init__(self, title: str, unit: str, total: float | None, hear: Hears) -> None:
        super().__init__(title, unit, total)
        self._hear = hear

    def update(self, done: float, note: str | None = None) -> None:
        super().update(done, note)
        self._hear(self.title, done, self.total)


@contextmanager
def shown_to(progress: Hears | bool) -> Iterator[bool]:
    """Show the stages within the block: True: as the commands do; a function: to it; False: to nobody.

    Yields:
        Whether they are to be quiet.
    """
    token = _hears.set(progress if callable(progress) else None)
    try:
        yield progress is False
    finally:
        _hears.reset(token)


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
        with suppress(OSError):  # nobody reads it any more: no reason to stop the work
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
    elif (hear := _hears.get()) is not None:
        yield _Heard(title, unit, total, hear)
    elif (steps := _steps.get()) is not None:
        yield from steps.stage(title, unit, total)
    elif not sys.stderr.isatty():
        yield from _plain(title, unit, total)
    else:
        with _display() as shown:
            yield _Bar(shown, shown.add_task("", total=total, count=""), title, unit, total)


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


def _plain(title: str, unit: str, total: float | None) -> Iterator[Progress]:
    plain = _Plain(title, unit, total)
    with plain.never_silent():
        yield plain


def _display() -> rich.progress.Progress:
    """Bars on standard error; what is printed meanwhile goes where it is to go."""
    from rich.console import Console
    from rich.progress import BarColumn, TextColumn
    from rich.progress import Progress as RichProgress

    what = TextColumn("{task.description}", markup=False)
    count = TextColumn("{task.fields[count]}", markup=False)
    shared = sys.stdout.isatty()  # or else it would be printed among the bars, not into its file
    return RichProgress(
        what, BarColumn(), count, console=Console(stderr=True), refresh_per_second=4, redirect_stdout=shared
    )


class _Bar(Progress):
    def __init__(
        self,
        display: rich.progress.Progress,
        task: rich.progress.TaskID,
        title: str,
        unit: str,
        total: float | None,
        label: str = "",
    ) -> None:
        super().__init__(title, unit, total)
        self._display, self._task, self._label = display, task, label
        display.update(task, description=label or title, total=total, completed=0)

    def update(self, done: float, note: str | None = None) -> None:
        super().update(done, note)
        text = self.describe()
        text = text if self._label else text.removeprefix(f"{self.title}: ")
        self._display.update(self._task, completed=done, count=text)


class Steps:
    """One display of all steps of a command, for as long as the block runs: a line each, with the stage at work.

    Where there is no terminal, stages are told in plain lines that begin with the step's number.

    Args:
        names: of the steps, in their order.
        quiet: show no progress; each step is said when it begins all the same.
    """

    def __init__(self, names: Sequence[str], quiet: bool = False) -> None:
        self._names = tuple(names)
        self._display = _display() if sys.stderr.isatty() and not quiet else None
        self._tasks: dict[str, rich.progress.TaskID] = {}
        self._now = names[0]

    def __enter__(self) -> Steps:
        if self._display is not None:
            self._display.start()
            for name in self._names:
                self._tasks[name] = self._display.add_task(self._label(name), total=1, count="")
        self._token = _steps.set(self)
        return self

    def __exit__(self, *_: object) -> None:
        _steps.reset(self._token)
        if self._display is not None:
            self._display.stop()

    def _label(self, name: str) -> str:
        return f"{self._names.index(name) + 1}/{len(self._names)} {name}"

    @contextmanager
    def at(self, name: str) -> Iterator[None]:
        """Be at a step for as long as the block runs."""
        self._now, began = name, time.monotonic()
        print(self._label(name), flush=True)
        yield
        self._done(name, f"done in {format_duration(time.monotonic() - began)}")

    def pass_over(self, name: str, why: str) -> None:
        """Say that there is nothing to do for a step, and why."""
        print(f"{self._label(name)}: {why}", flush=True)
        self._done(name, why)

    def _done(self, name: str, text: str) -> None:
        if self._display is not None:
            self._display.update(self._tasks[name], total=1, completed=1, count=text)

    def stage(self, title: str, unit: str, total: float | None) -> Iterator[Progress]:
        """Show a stage of the step that is at work."""
        label = self._label(self._now)
        if self._display is None:
            yield from _plain(label if title == self._now else f"{label}: {title}", unit, total)
        else:
            yield _Bar(self._display, self._tasks[self._now], title, unit, total, label)


_steps: ContextVar[Steps | None] = ContextVar("_steps", default=None)


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
