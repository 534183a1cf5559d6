"""Every method that scores windows, fitted on the same training windows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from anomaly.data.windows import Windows
from pipeline.experiments.options import OURS
from pipeline.experiments.settings import SECTIONS, ExperimentSettings
from pose_extract.errors import GepcError

if TYPE_CHECKING:
    from anomaly.scoring.torch_model import TrainedModel

Score = Callable[[Windows], NDArray[np.float64]]


@dataclass
class Methods:
    """Fits methods when they are first asked for.

    Attributes:
        settings: of our model and of the baselines.
        seed: of everything random.
        device: where networks run.
        windows: normal windows to learn from.
        model: trains our model, whose autoencoder some baselines use.
        labels: (N,) action of each window, for the supervised baseline and nothing else.
    """

    settings: ExperimentSettings
    seed: int
    device: str
    windows: Windows
    model: Callable[[], TrainedModel]
    labels: Callable[[], NDArray[np.int64]] | None = None
    _known: dict[str, Any] = field(default_factory=dict)

    def score(self, method: str) -> Score:
        """How a method scores windows (higher is more abnormal), fitted.

        Raises:
            GepcError: it cannot be fitted.
        """
        if method in OURS:
            model, by = self.trained(), self.settings.scoring.by if method == "ours" else "clustering"
            return lambda windows: model.anomaly(windows, by)
        if method.startswith("classifier-"):
            classifier = self._once("classifier", self._classifier)
            return lambda windows: classifier.score_samples(windows, method.removeprefix("classifier-"))
        return self._once(method, lambda: self._baseline(method)).score_samples

    def trained(self) -> TrainedModel:
        """Our model."""
        return self._once("ours", self.model)

    def _classifier(self) -> Any:
        from anomaly.baselines.classifier import Classifier

        assert self.labels is not None
        classifier = Classifier(self.settings.classifier, self.settings.for_model(), self.seed, self.device)
        classifier.fit(self.windows, self.labels())
        return classifier

    def _baseline(self, method: str) -> Any:
        baseline: Any
        if method == "mped-rnn":
            from anomaly.baselines.mped_rnn.model import MpedRnn

            baseline = MpedRnn(self.settings.mped_rnn, self.seed, self.device)
        else:
            from anomaly.baselines.latent import make_latent_baseline

            own = getattr(self.settings, SECTIONS[method]) if method in SECTIONS else None
            baseline = make_latent_baseline(method, self.trained(), own, self.seed)
        baseline.fit(self.windows)
        return baseline

    def _once(self, name: str, make: Callable[[], Any]) -> Any:
        """What ``make`` gives, or the error that it raises, the first time."""
        if name not in self._known:
            try:
                self._known[name] = make()
            except GepcError as error:
                self._known[name] = error
        if isinstance(self._known[name], GepcError):
            raise self._known[name]
        return self._known[name]
