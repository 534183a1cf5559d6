"""Draw the score of a video over time: alarms, labels, and what the peaks look like."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from textwrap import fill
from typing import Any

import numpy as np
from numpy.typing import NDArray

from anomaly.evaluation.intervals import frame_seconds, stretches_of
from pipeline.events.events import Event
from pipeline.events.timeline import ScoredTimeline
from pipeline.pictures.fonts import drawable
from pipeline.pictures.score_panel import STEPS_S, clock_text
from pose_extract.errors import OutputError
from pose_extract.files import complete_or_absent
from pose_extract.tracks.clip_time import after_holes

PICTURES = (".png", ".svg", ".pdf")
MOST_THUMBNAILS = 6

_MAX_POINTS = 4000  # more than the picture has columns; the highest point of each stretch is kept
_MOST_NUMBERS = 20  # events with a number at their peak; more cannot be told apart
_MOST_NAMES = 12  # of labelled stretches
_CAPTION = 32  # letters in a line within a thumbnail
PERCENTILES = (50.0, 90.0, 99.0, 99.9)
_CURVE, _ALARM, _LABEL, _GREY = "#1f3b73", "#d93025", "#7b4fa3", "#6b7076"
_BENT = 6.0  # where scores reach so many times the threshold's height above the median, the axis is bent


def score_figure(
    title: str,
    timeline: ScoredTimeline,
    labelled: Sequence[tuple[float, float, str]] = (),
    thumbnails: Mapping[int, NDArray[np.uint8]] | None = None,
) -> Any:
    """Draw the score over time with its threshold and alarms and, where known, what is labelled abnormal.

    Args:
        title: heading: the clip's name, in any script.
        timeline: the clip's scores; peaks of its events are numbered from 1 in their order; of many, the worst.
        labelled: (start_s, end_s, name) of what is known to be abnormal; the name may be empty.
        thumbnails: number of an event -> (H, W, 3) BGR picture of its peak; at most `MOST_THUMBNAILS`.

    Returns:
        A matplotlib figure.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    time_s, score, threshold, events = timeline.time_s, timeline.score, timeline.threshold, timeline.events
    alarm = np.asarray(timeline.alarm, bool)
    shown = dict(sorted((thumbnails or {}).items()))
    figure = Figure(figsize=(13, 6.0 if shown else 4.2), layout="constrained")
    FigureCanvasAgg(figure)
    grid = figure.add_gridspec(2 if shown else 1, MOST_THUMBNAILS, height_ratios=(1, 2.4) if shown else (1,))
    axes = figure.add_subplot(grid[-1, :])
    axes.patch.set_visible(False)  # the lines from thumbnails to peaks lie behind it
    end_s = float(time_s[-1]) if len(time_s) else 0.0
    axes.set_xlim(float(time_s[0]) if len(time_s) else 0.0, max(end_s, 1e-3))
    keep = thin(np.asarray(score), _MAX_POINTS)
    _draw_scale(axes, np.asarray(score), threshold, timeline.score_at)
    _draw_stretches(axes, stretches_of(alarm, time_s), (0, 1), _ALARM, 0.16, "alarm")
    if len(timeline.judged):
        _draw_stretches(
            axes, stretches_of(~timeline.judged, time_s), (0, 1), _GREY, 0.16, "people not judged"
        )
    _draw_labels(axes, labelled)
    x, y = time_s[keep], np.array(score, float)[keep]
    if len(timeline.judged):
        y[~timeline.judged[keep]] = np.nan
    cuts = np.searchsorted(keep, after_holes(time_s))  # no line leads through a hole
    cuts = cuts[cuts < len(keep)]
    x, y = np.insert(x, cuts, x[cuts]), np.insert(y, cuts, np.nan)
    axes.fill_between(x, threshold, y, where=y > threshold, interpolate=True, color=_ALARM, alpha=0.35, lw=0)
    axes.plot(x, y, color=_CURVE, lw=1.3, label="anomaly score", gid="score")
    named = "alarm threshold" + (
        ""
        if timeline.threshold_percentile is None
        else f" ({timeline.threshold_percentile:.4g} % of normal frames)"
    )
    axes.axhline(threshold, color=_ALARM, lw=1.0, ls=(0, (5, 3)), label=named, gid="threshold")
    _draw_peaks(axes, events, shown)
    _time_axis(axes, end_s)
    axes.set_ylabel("anomaly score" + (", highest of each stretch" if len(keep) < len(score) else ""))
    axes.spines[["top", "right"]].set_visible(False)
    heading, families = drawable(title)
    top = figure.add_subplot(grid[0, :]) if shown else axes
    if shown:
        top.set_axis_off()
    top.set_title(heading, loc="left", family=list(families), parse_math=False, fontweight="bold")
    top.set_title(_summary(time_s, alarm, events), loc="right", fontsize=10, color=_GREY)
    for slot, (number, picture) in zip(
        _slots([events[number - 1].peak_s for number in shown], end_s), shown.items(), strict=True
    ):
        _draw_thumbnail(figure, figure.add_subplot(grid[0, slot]), axes, number, events[number - 1], picture)
    axes.legend(
        loc="upper center", bbox_to_anchor=(0.5, -0.16), ncols=4, frameon=False, fontsize=9, borderaxespad=0
    )
    return figure


def _draw_scale(
    axes: Any, score: NDArray[np.floating], threshold: float, marks: Mapping[float, float]
) -> None:
    """The axes' heights: bent where a few scores are far above all others; and percentiles on the right."""
    low = min([threshold, *marks.values(), *([float(score.min())] if len(score) else [])])
    high = max([threshold, *marks.values(), *([float(score.max())] if len(score) else [])])
    middle = marks.get(50.0, low)
    unit = max(threshold - middle, 1e-9)
    if high - middle > _BENT * unit:
        axes.set_yscale(
            "function",
            functions=(lambda v: np.arcsinh((v - middle) / unit), lambda v: middle + unit * np.sinh(v)),
        )
        if high - middle > 50 * unit:
            axes.set_yticks(
                [
                    middle,
                    threshold,
                    *(middle + unit * 10.0**n for n in range(1, 7) if unit * 10.0**n < high - middle),
                ]
            )
            axes.yaxis.set_major_formatter(lambda value, _: f"{value:.3g}")
    transform = axes.get_yscale() == "function"
    ends = np.array([low, high], float)
    ends = np.arcsinh((ends - middle) / unit) if transform else ends
    room = max(float(ends[1] - ends[0]), 1e-6)
    ends = ends + np.array((-0.14 * room, 0.12 * room))
    ends = middle + unit * np.sinh(ends) if transform else ends
    axes.set_ylim(*ends)
    taken: list[float] = []
    for percent in sorted(set(PERCENTILES) & set(marks), reverse=True):
        y = marks[percent]
        at = axes.transAxes.inverted().transform(axes.transData.transform((axes.get_xlim()[0], y)))[1]
        axes.axhline(y, color="#c9ccd1", lw=0.6, zorder=0)
        if all(abs(at - other) > 0.055 for other in taken):
            axes.text(
                1.004,
                y,
                f"{percent:g} %",
                transform=axes.get_yaxis_transform(),
                va="center",
                fontsize=8,
                color=_GREY,
            )
            taken.append(at)
    if taken:
        axes.text(
            1.045, 0.5, "share of normal frames below", transform=axes.transAxes, rotation=90,
            va="center", ha="center", fontsize=9, color=_GREY,
        )  # fmt: skip


def _draw_stretches(
    axes: Any,
    stretches: NDArray[np.float64],
    at: tuple[float, float],
    colour: str,
    alpha: float,
    name: str,
) -> None:
    """Shade (N, 2) stretches of time from their starts to their ends; ``at`` is bottom and height in the axes."""
    if not len(stretches):
        return
    least = (axes.get_xlim()[1] - axes.get_xlim()[0]) / 1200  # a pixel: a second must be seen in a day
    lengths = np.maximum(stretches[:, 1] - stretches[:, 0], least)
    axes.broken_barh(
        np.column_stack((stretches[:, 0], lengths)), at, transform=axes.get_xaxis_transform(),
        facecolors=colour, alpha=alpha, lw=0, label=name, zorder=1, gid=name,
    )  # fmt: skip


def _draw_labels(axes: Any, labelled: Sequence[tuple[float, float, str]]) -> None:
    """A band below the curve with the names of what is labelled, as many as can be read."""
    stretches = np.array([(start, end) for start, end, _ in labelled], float).reshape(-1, 2)
    _draw_stretches(axes, stretches, (0.0, 0.05), _LABEL, 0.85, "labelled abnormal")
    low, high = axes.get_xlim()
    for start, end, name in labelled[:_MOST_NAMES] if len(labelled) <= _MOST_NAMES else ():
        text, families = drawable(name.replace("_", " "))
        middle = (max(start, low) + min(end, high)) / 2
        axes.text(
            middle, 0.06, text, transform=axes.get_xaxis_transform(), ha="center", va="bottom", fontsize=8,
            color=_LABEL, family=list(families), parse_math=False, clip_on=True,
        )  # fmt: skip


def _draw_peaks(axes: Any, events: Sequence[Event], always: Mapping[int, Any]) -> None:
    """A number at the peak of each event, of many at the worst."""
    worst = sorted(range(len(events)), key=lambda i: -events[i].score)[:_MOST_NUMBERS]
    for i in sorted({*worst, *(number - 1 for number in always)}):
        axes.annotate(
            str(i + 1), (events[i].peak_s, events[i].score), xytext=(0, 9), textcoords="offset points",
            ha="center", va="center", fontsize=8, fontweight="bold", color="white", zorder=6,
            bbox={"boxstyle": "circle,pad=0.25", "fc": _ALARM, "ec": "white", "lw": 0.8}, gid=f"peak-{i + 1}",
        )  # fmt: skip
    rest = [event for i, event in enumerate(events) if i not in worst]
    axes.plot(
        [event.peak_s for event in rest],
        [event.score for event in rest],
        "o",
        ms=2.5,
        color=_ALARM,
        gid="peaks",
    )


def _draw_thumbnail(
    figure: Any, axes: Any, curve: Any, number: int, event: Event, picture: NDArray[np.uint8]
) -> None:
    from matplotlib.patches import ConnectionPatch

    axes.imshow(picture[:, :, ::-1], interpolation="antialiased", gid=f"thumbnail-{number}")
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set(color=_ALARM, lw=1.2)
    whom = f" · person {event.people[0]}" if event.people and not event.about else ""
    axes.set_title(
        f"{number}   {clock_text(event.peak_s)}{whom}", fontsize=9, color=_ALARM, fontweight="bold", pad=3
    )
    if event.about:
        axes.text(
            0.02, 0.04, fill(event.about, _CAPTION), transform=axes.transAxes, va="bottom", fontsize=7.5,
            color="white", bbox={"boxstyle": "square,pad=0.25", "fc": _ALARM, "lw": 0}, gid=f"about-{number}",
        )  # fmt: skip
    line = ConnectionPatch(
        (0.5, 0), (event.peak_s, event.score), coordsA=axes.transAxes, coordsB=curve.transData,
        color=_ALARM, lw=0.7, alpha=0.6, zorder=0, shrinkB=18,
    )  # fmt: skip
    line.set_in_layout(False)
    figure.add_artist(line)


def _slots(times: Sequence[float], end_s: float) -> list[int]:
    """Places of thumbnails in a row of `MOST_THUMBNAILS`, in order and each near its time."""
    slots: list[int] = []
    for i, time in enumerate(times):
        near = int(time / max(end_s, 1e-9) * MOST_THUMBNAILS)
        last = MOST_THUMBNAILS - (len(times) - i)  # room for those that come
        slots.append(min(max(near, slots[-1] + 1 if slots else 0), last))
    return slots


def _time_axis(axes: Any, end_s: float) -> None:
    from matplotlib.ticker import MultipleLocator

    step = next((step for step in STEPS_S if end_s / step <= 12), STEPS_S[-1])
    axes.xaxis.set_major_locator(MultipleLocator(step))
    axes.xaxis.set_major_formatter(lambda value, _: clock_text(max(value, 0.0), tenths=step < 1))
    axes.set_xlabel("time (h:mm:ss)" if end_s >= 3600 else "time (m:ss)")


def _summary(time_s: NDArray[np.float64], alarm: NDArray[np.bool_], events: Sequence[Event]) -> str:
    if not len(time_s):
        return "no frames"
    found = f"{len(events)} event{'' if len(events) == 1 else 's'} · "
    lasts = frame_seconds(time_s)
    seconds = float(lasts.sum())
    share = float(lasts[alarm].sum()) / seconds if seconds > 0 else alarm.mean()
    return f"{found}alarm in {share:.1%} of {clock_text(seconds, tenths=seconds < 60)}"


def save_figure(figure: Any, path: Path) -> None:
    """Write a figure to ``path``; raises `OutputError` as `check_picture` does, or if it cannot be written."""
    check_picture(path)
    with complete_or_absent(path, "wb") as file:
        figure.savefig(file, dpi=110, format=path.suffix[1:].lower())


def check_picture(path: Path) -> None:
    """Raise `OutputError` unless the file's name ends like a picture's."""
    if path.suffix.lower() not in PICTURES:
        raise OutputError(f"cannot draw into {path}: expected a name that ends in {', '.join(PICTURES)}")


def thin(values: NDArray[Any], most: int) -> NDArray[np.intp]:
    """Indices of at most ``most`` points of a curve, among them the highest point of each stretch."""
    if len(values) <= most:
        return np.arange(len(values))
    edges = np.linspace(0, len(values), most + 1).astype(int)[:-1]
    return np.array(
        [a + int(np.argmax(part)) for a, part in zip(edges, np.split(values, edges[1:]), strict=True)]
    )
