"""Say what several runs gave: the mean and, by ±, the sample deviation (divided by n - 1), everywhere the same."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def spread(values: Sequence[float], form: str = ".3f") -> str:
    """``0.885 ± 0.015``; of one value, which deviates from nothing, the value alone."""
    mean = format(float(np.mean(values)), form)
    return mean if len(values) < 2 else f"{mean} ± {format(float(np.std(values, ddof=1)), form.lstrip('+'))}"
