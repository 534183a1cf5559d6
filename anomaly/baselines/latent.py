"""Score by the trained ST-GCAE alone: reconstruction error, and densities of its latent z (paper, section 4.2.2).

A window has one latent vector z in each of the model's transforms. A baseline learns from the training windows' vectors
in all transforms; a window's anomaly is the mean over its own, as that of the method itself is. Nothing here imports
torch.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from anomaly.baselines.base import Baseline
from anomaly.baselines.latent_settings import GaussianMixtureSettings, NeighboursSettings, OneClassSvmSettings
from anomaly.data.windows import Windows
from anomaly.scoring.torch_model import TrainedModel
from pose_extract.checking import expect_one_of
from pose_extract.errors import ConfigError, ModelError, TrainingError

logger = logging.getLogger(__name__)

_PAIRED = 2000  # vectors whose distances from each other tell how wide a kernel should be
_NEIGHBOUR = 5
_STEPS = 1_000_000  # of stochastic gradient descent, about; scikit-learn advises as many
_BATCH = 512  # windows that are encoded and scored at once


LatentSettings = OneClassSvmSettings | NeighboursSettings | GaussianMixtureSettings


def make_latent_baseline(
    name: str, model: TrainedModel, settings: LatentSettings | None = None, seed: int = 0
) -> Baseline:
    """The baseline of that name (`LATENT_BASELINES`) on a trained model, which it does not change.

    Args:
        name: "reconstruction", "ocsvm", "ocsvm-nystroem", "knn" or "mixture".
        model: whose autoencoder is used.
        settings: the baseline's own; its defaults if left out. "reconstruction" has none.
        seed: of everything random.

    Raises:
        ConfigError: for another name, or another baseline's settings.
    """
    expect_one_of("baseline", name, LATENT_BASELINES)
    if name == "reconstruction":
        return Reconstruction(model)
    kind, expected = _KINDS[name]
    settings = expected() if settings is None else settings
    if not isinstance(settings, expected):
        raise ConfigError(f"{name}: expected {expected.__name__}, got {type(settings).__name__}")
    return kind(model, settings, seed)


class Reconstruction:
    """The mean squared error of the autoencoder's reconstruction (the paper's "Rec. Loss"); it has nothing to fit."""

    def __init__(self, model: TrainedModel) -> None:
        self._model = model

    def fit(self, windows: Windows) -> None:
        """Do nothing: the autoencoder has been trained."""

    def score_samples(self, windows: Windows) -> NDArray[np.float64]:
        """(N,) anomaly of N windows, higher is more abnormal."""
        return self._model.anomaly(windows, "reconstruction")


class _LatentBaseline:
    """What the baselines on z share: drawing, encoding, preparing and averaging."""

    limit: ClassVar[str] = "up_to"  # the setting that says how many training vectors are learned from at most
    whiten: ClassVar[bool] = False  # whether principal components are scaled to deviation 1

    def __init__(self, model: TrainedModel, settings: Any, seed: int) -> None:
        self._model, self._settings, self._seed = model, settings, seed
        self._prepare: Any = None

    @property
    def needed(self) -> int:
        """Training vectors that are learned from at least."""
        return 2

    def learn(self, z: NDArray[np.float32]) -> None:
        """Learn from vectors (n, D), prepared."""
        raise NotImplementedError

    def anomaly(self, z: NDArray[np.float32]) -> NDArray[np.float64]:
        """(n,) anomaly of vectors (n, D), prepared."""
        raise NotImplementedError

    def fit(self, windows: Windows) -> None:
        """Learn from the latent vectors of normal windows, or of as many of them as the settings allow.

        Raises:
            TrainingError: there are too few.
        """
        transforms = len(self._model.settings.training.transforms)
        if len(windows) * transforms < self.needed:
            raise TrainingError(
                f"{type(self).__name__} needs at least {self.needed} latent vectors, got {len(windows) * transforms}, "
                f"{transforms} from each of {len(windows)} windows: train on more video"
            )
        wanted = max(getattr(self._settings, self.limit) // transforms, -(-self.needed // transforms))
        if wanted < len(windows):
            rng = np.random.default_rng(self._seed)
            windows = windows.pick(np.sort(rng.choice(len(windows), wanted, replace=False)))
            logger.info("%s learns from %d windows drawn at random", type(self).__name__, wanted)
        z = np.concatenate([part.reshape(-1, part.shape[2]) for part in self._encode(windows)])
        self._prepare = self._preparation(z)
        self.learn(self._prepare.fit_transform(z))

    def score_samples(self, windows: Windows) -> NDArray[np.float64]:
        """(N,) anomaly of N windows, higher is more abnormal; memory does not grow with N.

        Raises:
            ModelError: if `fit` has not been called.
        """
        if self._prepare is None:
            raise ModelError(f"{type(self).__name__} has learned nothing yet: call fit first")
        parts = [np.zeros(0)]
        for z in self._encode(windows):
            anomaly = self.anomaly(self._prepare.transform(z.reshape(-1, z.shape[2])))
            parts.append(anomaly.reshape(z.shape[:2]).mean(axis=1))
        return np.concatenate(parts)

    def _encode(self, windows: Windows) -> Iterator[NDArray[np.float32]]:
        """Latent vectors (n, G, D), a batch of windows at a time."""
        for x in windows.batches(_BATCH):
            yield self._model.encode(x)

    def _preparation(self, z: NDArray[np.float32]) -> Any:
        """What z goes through first."""
        from sklearn.decomposition import PCA
        from sklearn.pipeline import Pipeline
        from sklearn.preprocessing import StandardScaler

        steps: list[tuple[str, Any]] = []
        if self._settings.standardise:
            steps.append(("standardise", StandardScaler()))
        principal = min(self._settings.principal, len(z) - 1, z.shape[1])
        if principal > 0:
            steps.append(("principal", PCA(principal, whiten=self.whiten, random_state=self._seed)))
        return Pipeline(steps or [("as_it_is", "passthrough")])


class OneClassSvm(_LatentBaseline):
    """The exact one-class SVM (the paper's "OC-SVM")."""

    limit = "exact_up_to"

    def learn(self, z: NDArray[np.float32]) -> None:
        """Find the support vectors."""
        from sklearn.metrics.pairwise import rbf_kernel
        from sklearn.svm import OneClassSVM

        # The kernel by one matrix product, here and in scoring: libsvm's own takes many times as long.
        self._kernel, self._width = rbf_kernel, _gamma(z, self._settings, _PAIRED, self._seed)
        svm = OneClassSVM(kernel="precomputed", nu=self._settings.nu).fit(rbf_kernel(z, gamma=self._width))
        self._support, self._weights = z[svm.support_], svm.dual_coef_[0]
        self._offset = float(svm.intercept_[0])

    def anomaly(self, z: NDArray[np.float32]) -> NDArray[np.float64]:
        """Minus the signed distance to the boundary."""
        return -(self._kernel(z, self._support, gamma=self._width) @ self._weights + self._offset)


class OneClassSvmNystroem(_LatentBaseline):
    """A linear one-class SVM on a Nystroem approximation of the kernel: time grows with the number of windows only."""

    limit = "approximate_up_to"

    def learn(self, z: NDArray[np.float32]) -> None:
        """Draw the landmarks and descend."""
        from sklearn.kernel_approximation import Nystroem
        from sklearn.linear_model import SGDOneClassSVM
        from sklearn.pipeline import make_pipeline

        landmarks = min(self._settings.components, len(z))
        gamma = _gamma(z, self._settings, landmarks, self._seed)  # as wide as the landmarks are apart
        passes = -(-_STEPS // len(z))
        self._svm = make_pipeline(
            Nystroem(gamma=gamma, n_components=landmarks, random_state=self._seed),
            SGDOneClassSVM(nu=self._settings.nu, max_iter=passes, random_state=self._seed),
        ).fit(z)

    def anomaly(self, z: NDArray[np.float32]) -> NDArray[np.float64]:
        """Minus the signed distance to the boundary."""
        return -np.asarray(self._svm.decision_function(z), np.float64)


class Neighbours(_LatentBaseline):
    """Distance to the nearest training vectors."""

    @property
    def needed(self) -> int:
        """Training vectors that are learned from at least."""
        return self._settings.neighbours

    def learn(self, z: NDArray[np.float32]) -> None:
        """Keep the vectors."""
        from sklearn.neighbors import NearestNeighbors

        self._index = NearestNeighbors(n_neighbors=self._settings.neighbours).fit(z)

    def anomaly(self, z: NDArray[np.float32]) -> NDArray[np.float64]:
        """Mean distance to the k nearest, or that to the farthest of them."""
        distances = self._index.kneighbors(z)[0].astype(np.float64)  # nearest first
        return distances[:, -1] if self._settings.distance == "farthest" else distances.mean(axis=1)


class Mixture(_LatentBaseline):
    """A mixture of Gaussians."""

    whiten = True

    @property
    def needed(self) -> int:
        """Training vectors that are learned from at least."""
        return 2 * self._settings.components

    def learn(self, z: NDArray[np.float32]) -> None:
        """Fit by expectation maximisation."""
        import warnings

        from sklearn.exceptions import ConvergenceWarning
        from sklearn.mixture import GaussianMixture

        settings = self._settings
        mixture = GaussianMixture(
            settings.components,
            covariance_type=settings.covariance,
            reg_covar=settings.regularisation,
            n_init=settings.starts,
            max_iter=settings.max_iterations,
            random_state=self._seed,
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            try:
                self._mixture = mixture.fit(z.astype(np.float64))
            except ValueError as error:
                raise TrainingError(
                    f"the Gaussian mixture could not be fitted ({error}); raise gaussian_mixture.regularisation"
                ) from error
        if not self._mixture.converged_:
            logger.info("the Gaussian mixture stopped after %d iterations", settings.max_iterations)

    def anomaly(self, z: NDArray[np.float32]) -> NDArray[np.float64]:
        """Minus the log-likelihood."""
        return -self._mixture.score_samples(z.astype(np.float64))


def _gamma(z: NDArray[np.float32], settings: OneClassSvmSettings, paired: int, seed: int) -> float:
    """The kernel's gamma for training vectors ``z``, of whose distances it looks at those of ``paired`` at most."""
    from sklearn.neighbors import NearestNeighbors

    if not isinstance(settings.gamma, str):
        return settings.gamma
    variance = float(z.var(dtype=np.float64))
    gamma = 1 / (z.shape[1] * variance) if variance > 0 else 1.0
    if settings.gamma == "neighbours":
        drawn = z[np.random.default_rng(seed).permutation(len(z))[: max(paired, 2)]]
        index = NearestNeighbors(n_neighbors=min(_NEIGHBOUR, len(drawn) - 1)).fit(drawn)
        apart = float(np.median(index.kneighbors()[0][:, -1]))  # without the vector itself
        gamma = 1 / apart**2 if apart > 0 else gamma
    return gamma


_KINDS: dict[str, tuple[type[_LatentBaseline], type[LatentSettings]]] = {
    "ocsvm": (OneClassSvm, OneClassSvmSettings),
    "ocsvm-nystroem": (OneClassSvmNystroem, OneClassSvmSettings),
    "knn": (Neighbours, NeighboursSettings),
    "mixture": (Mixture, GaussianMixtureSettings),
}
LATENT_BASELINES = ("reconstruction", *_KINDS)
