"""Keep how a camera's scores are spread, day by day: what calibration promised, and what came."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import date, timedelta
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pose_extract.errors import OutputError
from pose_extract.files import write_atomically

logger = logging.getLogger(__name__)

_BINS = 1000  # of which the held-out normal scores take a fifth
_FEWEST_FRAMES = 10_000  # that a day's share is compared by
_APART = 2.0  # so many times more or fewer alarms than promised are worth a warning
_KEEP_S = 60.0  # between two times that a day is put on disk


@dataclass
class Day:
    """The frame scores of a camera on one day.

    Attributes:
        camera: its name.
        model_id: of the model that gave the scores.
        day: local date, ISO 8601.
        low: where the first bin begins.
        step: width of a bin.
        counts: frames in each bin; scores below and above are in the first and the last.
        frames: how many there are.
        above: of them, those above the threshold of the moment.
        promised: share above it that calibration promised, 0 to 1.
    """

    camera: str
    model_id: str
    day: str
    low: float
    step: float
    counts: list[int]
    frames: int = 0
    above: int = 0
    promised: float = 0.0

    def add(self, score: NDArray[np.float64], threshold: float) -> None:
        """Count some frames' scores."""
        places = np.clip(np.floor((score - self.low) / self.step), 0, len(self.counts) - 1).astype(int)
        for place, count in zip(*np.unique(places, return_counts=True), strict=True):
            self.counts[int(place)] += int(count)
        self.frames += len(score)
        self.above += int((score > threshold).sum())

    @property
    def share(self) -> float:
        """Share of the frames above the threshold, 0 to 1."""
        return self.above / self.frames if self.frames else 0.0

    def __str__(self) -> str:
        return (
            f"camera {self.camera}, {self.day}: {self.share:.2%} of {self.frames} frames above the threshold; "
            f"calibration promised {self.promised:.2%}"
        )


class DayScores:
    """The day that it is, of one camera, kept on disk.

    Args:
        folder: where days are kept.
        camera: its name.
        model_id: of its model.
        reference: sorted scores of held-out normal frames: they set the scale.
    """

    def __init__(self, folder: Path, camera: str, model_id: str, reference: NDArray[np.float64]) -> None:
        self._folder, self._camera, self._model_id = folder, camera, model_id
        self._low = float(reference[0])
        self._step = max(float(reference[-1]) - self._low, 1e-6) / (_BINS / 5)
        self._day: Day | None = None
        self._kept_s = -np.inf

    def add(
        self, score: NDArray[np.float64], threshold: float, promised: float, today: date, now_s: float
    ) -> None:
        """Take the scores of frames of ``today``; ``now_s`` is a monotonic clock's."""
        day = today.isoformat()
        if self._day is None or self._day.day != day:
            self.close()
            self._day = self._begin(day)
        self._day.promised = promised
        self._day.add(score, threshold)
        if now_s - self._kept_s >= _KEEP_S:
            self._kept_s = now_s
            self._keep()

    @property
    def shares(self) -> tuple[float, float] | None:
        """Of the day that it is: the share of frames above the threshold, and what was promised; None: no frame yet."""
        day = self._day
        return None if day is None or not day.frames else (day.share, day.promised)

    def close(self) -> None:
        """Put the day on disk, and say so if it was not as promised."""
        if self._day is None:
            return
        self._keep()
        day = self._day
        apart = day.share > _APART * day.promised or day.share < day.promised / _APART
        unlike = day.frames >= _FEWEST_FRAMES and apart
        logger.log(logging.WARNING if unlike else logging.INFO, "%s", day)
        self._day = None

    def _begin(self, day: str) -> Day:
        """The day, as an earlier run has left it."""
        try:
            found = read_day(self._path(day))
        except ValueError:
            found = None
        if found is not None and (found.low, found.step) == (self._low, self._step):
            return found
        return Day(self._camera, self._model_id, day, self._low, self._step, [0] * _BINS)

    def _path(self, day: str) -> Path:
        return self._folder / f"{day}_{self._camera}_{self._model_id}.json"

    def _keep(self) -> None:
        assert self._day is not None
        try:
            write_atomically(self._path(self._day.day), json.dumps(asdict(self._day)).encode())
        except OutputError as error:
            logger.warning("the day's scores are not kept: %s", error)


def read_day(path: Path) -> Day:
    """A day from disk; raises ValueError if it is none."""
    try:
        day = Day(**json.loads(path.read_text(encoding="utf-8")))
        date.fromisoformat(day.day)
        if len(day.counts) != _BINS or sum(day.counts) != day.frames or day.step <= 0:
            raise ValueError("the counts do not add up")
    except (OSError, TypeError, ValueError) as error:
        raise ValueError(f"{path}: expected a day's scores: {error}") from error
    return day


def read_days(folder: Path, model_id: str, today: date, days: int) -> list[Day]:
    """The last days of all cameras of a model, damaged ones left out, in order."""
    first, found = today - timedelta(days=days - 1), []
    for path in sorted(folder.glob(f"*_{model_id}.json")):
        try:
            day = read_day(path)
        except ValueError as error:
            logger.warning("%s", error)
            continue
        if first <= date.fromisoformat(day.day) <= today:
            found.append(day)
    return found


def threshold_of(days: Sequence[Day], rate: float) -> float:
    """The score that at most ``rate`` of the days' frames exceed, to a bin's width; all days have one scale."""
    counts = np.sum([day.counts for day in days], axis=0)
    above = np.cumsum(counts[::-1])[::-1]  # frames in a bin or a higher one
    enough = np.flatnonzero(above <= rate * counts.sum())
    return days[0].low + days[0].step * (int(enough[0]) if len(enough) else len(counts))


def shares_above(days: Iterable[Day], threshold: float) -> float:
    """Share of the days' frames above a score, to a bin's width, 0 to 1."""
    above = total = 0
    for day in days:
        first = int(np.ceil((threshold - day.low) / day.step - 1e-9))
        above += sum(day.counts[max(first, 0) :])
        total += day.frames
    return above / total if total else 0.0
