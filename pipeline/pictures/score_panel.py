"""Draw the strip below the overlay's picture: time, alarm state, the curve of the last seconds, and a bar."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pipeline.pictures.drawing import (
    ALARM,
    TEXT,
    Colour,
    anomaly_colour,
    anomaly_colours,
    level,
    text_width,
    write_text,
)
from pose_extract.tracks.clip_time import after_holes

_PANEL: Colour = (32, 28, 26)
_CHART: Colour = (44, 39, 36)
_GRID: Colour = (74, 67, 62)
_QUIET: Colour = (165, 158, 150)
_CALM: Colour = (58, 84, 52)  # the plate while all is normal
_SHADE = (52.0, 40.0, 104.0)
_SHADED_GRID = (92, 74, 130)
_TICKS = (0.5, 0.9, 0.99, 0.999)
STEPS_S = (0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1800, 3600, 7200, 21600, 43200, 86400)
_LEGENDS = (
    "curve and number: % of normal frames that score lower; colours of people: % of normal people",
    "curve: % of normal frames; people: % of normal people",
)
_SMALLEST = 6  # capitals of fewer pixels cannot be read, so they are left out


def clock_text(seconds: float, tenths: bool = True) -> str:
    """``seconds`` as minutes:seconds, or hours:minutes:seconds, cut to tenths or to whole seconds."""
    count = int(seconds * 10 + 1e-6)
    minutes, rest = divmod(count, 600)
    text = f"{minutes % 60:02}:{rest // 10:02}" + (f".{rest % 10}" if tenths else "")
    return f"{minutes // 60}:{text}" if minutes >= 60 else text.removeprefix("0")


class ScorePanel:
    """Draws the strip of one frame after the other; any order will do, one after the other is quick.

    The curve runs to the present frame: a clip longer than ``seconds_shown`` scrolls once it is full. Heights are those
    of `level`: how rare such a score is among normal frames.

    Args:
        width: pixels.
        height: pixels.
        time_s: (F,) time of each frame in seconds.
        percentile: (F,) score of each frame as a percentile 0..1 of normal frames; NaN: it could not be judged.
        alarm: (F,) bool.
        threshold: percentile 0..1 above which a frame raises the alarm; None: no line.
        seconds_shown: how much of the time axis is shown at once.
    """

    def __init__(
        self,
        width: int,
        height: int,
        time_s: NDArray[np.floating],
        percentile: NDArray[np.floating],
        alarm: NDArray[np.bool_],
        threshold: float | None = None,
        seconds_shown: float = 60.0,
    ) -> None:
        self._time, self._alarm = np.asarray(time_s, np.float64), alarm
        self._percentile = np.asarray(percentile, np.float64)
        after = after_holes(self._time)
        self._holes = self._time[after - 1], self._time[after]
        self._threshold = threshold
        self._margin = margin = max(1, height // 12)
        left = min(width // 3, round(height * 2.6))  # the words stand left of the curve
        self._letter = min(round(height * 0.17), left // 14)
        self._small = min(round(height * 0.095), self._letter)
        scale = 4 * self._small if self._small >= _SMALLEST else 0  # the numbers left of the curve
        bar = max(2, height // 8)
        self._words = (margin, margin, left - margin, height - margin)  # x1, y1, x2, y2
        x2 = max(left + 2, width - 2 * margin - bar)
        self._chart = (
            min(left + scale, x2 - 1),
            margin,
            x2,
            max(margin + 1, height - margin - (scale and 2 * self._small)),
        )
        self._bar = (min(x2 + margin, width - 1), max(1, min(x2 + margin + bar, width)))
        self._span = min(seconds_shown, max(float(time_s[-1]), 1e-6)) if len(time_s) else seconds_shown
        columns = self._chart[2] - self._chart[0]
        self._step = self._span / max(columns - 1, 1)  # seconds a column
        # Column c of the endless curve is kept in column c modulo the width, so scrolling costs nothing.
        self._ring = np.empty((self._chart[3] - self._chart[1], columns, 3), np.uint8)
        self._painted: int | None = None
        self._base = self._background((height, width))

    def _background(self, size: tuple[int, int]) -> NDArray[np.uint8]:
        """What is the same in all frames."""
        image = np.full((*size, 3), _PANEL, np.uint8)
        x1, y1, x2, y2 = self._chart
        image[y1:y2, x1:x2] = _CHART
        image[y1:y2, self._bar[0] : self._bar[1]] = _CHART
        taken: list[int] = []
        ticks = ([(self._threshold, ALARM)] if self._threshold is not None else []) + [
            (t, _QUIET) for t in _TICKS
        ]
        for tick, colour in ticks:
            y = self._row(tick)
            if colour == _QUIET:
                image[y, x1:x2] = _GRID
            text = f"{100 * tick:.4g}"
            if self._small >= _SMALLEST and all(abs(y - other) > 1.4 * self._small for other in taken):
                at = (x1 - self._small // 2 - text_width(text, self._small), y + self._small // 2)
                write_text(image, text, at, self._small, colour)
                taken.append(y)
        return image

    def _row(self, percentile: float) -> int:
        """Row of the panel at which a percentile is drawn."""
        _, y1, _, y2 = self._chart
        return round((y2 - 1) - float(level(percentile)) * (y2 - 1 - y1))

    def draw(self, index: int) -> NDArray[np.uint8]:
        """(height, width, 3) BGR panel for frame ``index``; a new array."""
        now = float(self._time[index])
        image = self._base.copy()
        start = self._scroll(image, index)
        self._time_axis(image, start)
        self._draw_bar(image, index)
        self._draw_words(image, index, now)
        self._draw_legend(image)
        return image

    def _column(self, time_s: NDArray[np.floating] | float) -> NDArray[np.int64]:
        """Column of the endless curve."""
        return np.floor(np.asarray(time_s, np.float64) / self._step + 1e-6).astype(np.int64)

    def _scroll(self, image: NDArray[np.uint8], index: int) -> int:
        """Bring the curve up to frame ``index`` and copy it into the panel; returns the leftmost column shown."""
        x1, y1, _, y2 = self._chart
        columns = self._ring.shape[1]
        last = int(self._column(self._time[index]))
        start = max(0, last - columns + 1)
        if self._painted is not None and index == self._painted + 1:
            first = max(start, int(self._column(self._time[index - 1])) - 1)  # its slope was not known yet
        else:
            first = start
        self._paint(first, last, index)
        self._painted = index
        shown = last - start + 1
        at = start % columns
        head = min(shown, columns - at)
        image[y1:y2, x1 : x1 + head] = self._ring[:, at : at + head]
        image[y1:y2, x1 + head : x1 + shown] = self._ring[:, : shown - head]
        image[y1:y2, x1 + shown - 1] = TEXT  # now
        return start

    def _paint(self, first: int, last: int, index: int) -> None:
        """Columns ``first``..``last`` of the curve, as known at frame ``index``."""
        number = np.arange(first - 1, last + 1)  # the one before gives the slope of the first
        begin = max(0, int(np.searchsorted(self._time, (number[0] - 1e-6) * self._step)) - 1)
        frames = slice(begin, index + 1)
        at = self._column(self._time[frames]) - number[0]
        inside = at >= 0
        value = np.interp(number * self._step, self._time[frames], self._percentile[frames])
        next_hole = np.searchsorted(self._holes[1], number * self._step, side="right")
        in_hole = number * self._step > np.append(self._holes[0], np.inf)[next_hole]
        value[in_hole] = np.nan
        np.fmax.at(value, at[inside], self._percentile[frames][inside])  # no peak is lost in a column
        held = np.searchsorted(at, number - number[0], side="right") - 1
        alarm = self._alarm[frames][np.maximum(held, 0)] & ~in_hole
        np.logical_or.at(alarm, at[inside], self._alarm[frames][inside])
        height = self._ring.shape[0]
        rows = np.arange(height, dtype=np.float64)[:, None]
        y = (height - 1) * (1 - level(value))
        half = max(1.0, height / 45) / 2
        before, after = np.append(y[:1], y[:-1]), np.append(y[1:], y[-1:])
        top = np.fmin(np.fmin((y + before) / 2, (y + after) / 2), y)
        bottom = np.fmax(np.fmax((y + before) / 2, (y + after) / 2), y)
        line = np.clip(half + 0.5 - np.maximum(top - rows, rows - bottom), 0, 1)[..., None]
        under = 0.28 * np.clip(rows - y, 0, 1)[..., None]
        colour = anomaly_colours(value).astype(np.float64)
        ground = np.where(alarm[:, None], _SHADE, np.array(_CHART, np.float64))
        picture = np.broadcast_to(ground, (height, len(number), 3)).copy()
        _, y1, _, _ = self._chart
        for tick in _TICKS:
            picture[self._row(tick) - y1] = np.where(alarm[:, None], _SHADED_GRID, _GRID)
        ticks = np.floor(number * self._step / self._tick) != np.floor((number - 1) * self._step / self._tick)
        picture[:, ticks] = _GRID
        if self._threshold is not None:
            dash = number // max(2, height // 14) % 2 == 0
            picture[self._row(self._threshold) - y1, dash] = ALARM
        picture += np.nan_to_num(under) * (colour - picture)
        picture += np.nan_to_num(line) * (colour - picture)
        self._ring[:, number[1:] % self._ring.shape[1]] = np.round(picture[:, 1:])

    @property
    def _tick(self) -> float:
        """Seconds between the labels of the time axis."""
        room = 9 * max(self._small, _SMALLEST) * self._step
        return next((step for step in STEPS_S if step > room), STEPS_S[-1])

    def _time_axis(self, image: NDArray[np.uint8], start: int) -> None:
        if self._small < _SMALLEST:
            return
        x1, _, x2, y2 = self._chart
        tick, shown = self._tick, start * self._step
        for n in range(int(np.ceil(shown / tick - 1e-6)), int((shown + self._span) / tick + 1e-6) + 1):
            text = clock_text(n * tick, tenths=tick < 1)
            x = x1 + int(self._column(n * tick)) - start
            width = text_width(text, self._small)
            left = min(max(x - width // 2, x1), x2 - width)
            write_text(image, text, (left, y2 + round(1.6 * self._small)), self._small, _QUIET)

    def _draw_bar(self, image: NDArray[np.uint8], index: int) -> None:
        """The bar right of the curve, as high as the curve's end."""
        _, _, _, y2 = self._chart
        left, right = self._bar
        value = float(self._percentile[index])
        if np.isfinite(value):
            image[self._row(value) : y2, left:right] = anomaly_colour(value)
        if self._threshold is not None:
            image[self._row(self._threshold), left:right] = TEXT

    def _draw_legend(self, image: NDArray[np.uint8]) -> None:
        """Which of two populations each number and colour is a share of: one scale for frames, one for people."""
        x1, y1, x2, _ = self._chart
        fits = (text for text in _LEGENDS if text_width(text, self._small) < x2 - x1 - self._small)
        if self._small >= _SMALLEST and (text := next(fits, "")):
            write_text(
                image, text, (x1 + self._small // 2, y1 + round(1.5 * self._small)), self._small, _QUIET
            )

    def _draw_words(self, image: NDArray[np.uint8], index: int, now: float) -> None:
        x1, y1, x2, y2 = self._words
        letter, value, alarm = self._letter, float(self._percentile[index]), bool(self._alarm[index])
        plate = y1 + round(1.7 * letter)
        image[plate:y2, x1:x2] = ALARM if alarm else _CALM if np.isfinite(value) else _CHART
        if letter < _SMALLEST:
            return
        write_text(image, clock_text(now), (x1, y1 + letter), letter)
        text = f"{100 * value:.1f} %" if np.isfinite(value) else "-"
        at = (x2 - text_width(text, letter, bold=True), y1 + letter)
        write_text(image, text, at, letter, anomaly_colour(value), bold=True)
        calm = ("normal", (190, 225, 180)) if np.isfinite(value) else ("not judged", _QUIET)
        word, colour = ("ALARM", (255, 255, 255)) if alarm else calm
        size = round(1.5 * letter) if alarm else letter
        at = ((x1 + x2 - text_width(word, size, bold=alarm)) // 2, (plate + y2 + size) // 2)
        write_text(image, word, at, size, colour, bold=alarm)
