"""Paired differences between methods over splits and seeds, and whether they are more than noise."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

CellKey = tuple[str, int]  # split, or another name of what is measured on, and seed
_CONFIDENCE = 0.95


@dataclass(frozen=True)
class Difference:
    """How much more one method has than another on the same cells.

    Attributes:
        mean: over the cells.
        low: of the 95 % interval; NaN where there is but one cell.
        high: the same.
    """

    mean: float
    low: float
    high: float

    @property
    def certain(self) -> bool:
        """Whether the interval leaves out 0; a single cell tells nothing."""
        return self.low > 0 or self.high < 0


def difference(one: Mapping[CellKey, float], other: Mapping[CellKey, float]) -> Difference | None:
    """The paired difference ``one`` - ``other`` over the cells that both have; None where there is none.

    The interval counts on splits and seeds as drawn from many: cells of one split, or of one seed, go together. Its
    variance is that of the mean in a two-way analysis of variance with both random, its quantile Student's t with
    Satterthwaite's degrees of freedom (Searle, Casella and McCulloch, Variance components, 1992). With one seed, or one
    split, it is the paired t interval. Of an incomplete grid, splits that lack a seed are left out of the variance.
    """
    shared = [cell for cell in one if cell in other]
    if not shared:
        return None
    d = {cell: one[cell] - other[cell] for cell in shared}
    mean = float(np.mean(list(d.values())))
    variance, freedom = _variance_of_mean(_grid(d))
    if freedom <= 0:
        return Difference(mean, float("nan"), float("nan"))
    from scipy.stats import t

    half = float(t.ppf((1 + _CONFIDENCE) / 2, freedom) * np.sqrt(variance))
    return Difference(mean, mean - half, mean + half)


def _grid(d: Mapping[CellKey, float]) -> NDArray[np.float64]:
    """(splits, seeds) the numbers of the splits that have every seed; of the seed with most splits, if none has."""
    seeds = sorted({seed for _, seed in d})
    splits = dict.fromkeys(split for split, _ in d)
    whole = [split for split in splits if all((split, seed) in d for seed in seeds)]
    if not whole:
        seeds = [max(seeds, key=lambda seed: sum((split, seed) in d for split in splits))]
        whole = [split for split in splits if (split, seeds[0]) in d]
    return np.array([[d[split, seed] for seed in seeds] for split in whole], np.float64)


def _variance_of_mean(grid: NDArray[np.float64]) -> tuple[float, float]:
    """Variance of the mean of a grid (A, B) of which both ways are drawn at random, and its degrees of freedom."""
    a, b = grid.shape
    mean, rows, columns = grid.mean(), grid.mean(axis=1), grid.mean(axis=0)
    if a == 1 or b == 1:
        count = a * b
        return (float(grid.var(ddof=1)) / count, count - 1.0) if count > 1 else (0.0, 0.0)
    row = b * float(np.square(rows - mean).sum()) / (a - 1)
    column = a * float(np.square(columns - mean).sum()) / (b - 1)
    rest = float(np.square(grid - rows[:, None] - columns + mean).sum()) / ((a - 1) * (b - 1))
    both = row + column - rest
    larger, freedom = (row, a - 1.0) if row >= column else (column, b - 1.0)
    if both <= larger or both <= 0:  # the other way adds nothing
        return larger / (a * b), freedom
    spent = row**2 / (a - 1) + column**2 / (b - 1) + rest**2 / ((a - 1) * (b - 1))
    return both / (a * b), both**2 / spent
