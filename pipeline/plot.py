"""The score of a video over time, as a picture."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from anomaly.events import runs_of
from pose_extract.errors import OutputError
from pose_extract.files import writing

PICTURES = (".png", ".svg", ".pdf")

_MAX_POINTS = 4000  # more than the picture has columns; the highest point of each stretch is kept


def plot_scores(
    path: Path,
    title: str,
    time_s: NDArray[np.float64],
    percentile: NDArray[np.floating],
    alarm: NDArray[Any],
    alarm_percentile: float,
    labelled: Sequence[tuple[float, float, str]] = (),
) -> None:
    """Draw percentile over time with the alarms and, where known, the labelled intervals.

    Args:
        path: .png or .svg to write.
        title: heading.
        time_s: (F,) seconds.
        percentile: (F,) 0..100.
        alarm: (F,) 0 or 1.
        alarm_percentile: percentile above which a frame raises the alarm.
        labelled: (start_s, end_s, name) of what is known to be abnormal.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 3.6), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    for i, (start, end, name) in enumerate(labelled):
        axes.axvspan(start, end, color="#f4c7c3", lw=0, label="labelled abnormal" if i == 0 else None)
        axes.text(
            (start + end) / 2,
            104.5,
            name.replace("_", " "),
            ha="center",
            va="bottom",
            fontsize=8,
            color="#8c1d18",
        )
    keep = thin(percentile, _MAX_POINTS)
    axes.plot(time_s[keep], percentile[keep], color="#1f3b73", lw=1.2, label="score percentile")
    axes.axhline(alarm_percentile, color="#777777", lw=0.9, ls="--", label="alarm threshold")
    for i, (first, stop) in enumerate(runs_of(alarm.astype(bool))):
        axes.plot(
            [time_s[first], time_s[stop - 1]],
            [-4, -4],
            color="#d93025",
            lw=5,
            solid_capstyle="butt",
            label="alarm" if i == 0 else None,
        )
    axes.set_ylim(-8, 104)
    axes.set_xlim(time_s[0] if len(time_s) else 0, max(time_s[-1], 1e-3) if len(time_s) else 1)
    axes.set_xlabel("time (s)")
    axes.set_ylabel("percentile among\nheld-out normal frames")
    axes.set_title(title, loc="left", pad=20 if labelled else 6)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.2), ncols=4, frameon=False, fontsize=9)
    save_figure(figure, path)


def save_figure(figure: Any, path: Path) -> None:
    """Write a figure to ``path``; raises `OutputError` as `check_picture` does, or if it cannot be written."""
    check_picture(path)
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path, dpi=110)


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
