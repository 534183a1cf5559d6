"""Define what every baseline does: learn from normal windows, then score others."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from anomaly.data.windows import Windows


class Baseline(Protocol):
    """A scorer of windows. Scores are anomalies, higher is more abnormal, as everywhere in this project."""

    def fit(self, windows: Windows) -> None:
        """Learn what is normal.

        Raises:
            TrainingError: there is too little to learn from.
        """
        ...

    def score_samples(self, windows: Windows) -> NDArray[np.float64]:
        """(N,) anomaly of N windows."""
        ...
