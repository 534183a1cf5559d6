"""How usual it is to move like that, to be there, and to move like that there: densities beside the graph's clusters.

The window that the network sees says nothing of where somebody is (paper, supplement: the mean is subtracted), and
little of how fast. Mixtures of Gaussians over what each window shows (`anomaly.ways`) give that back.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp

from anomaly.density_settings import DensitySettings
from anomaly.normality import GaussianNormality
from anomaly.normality_settings import NormalitySettings
from anomaly.ways import MOTION, PLACE, Ways, describe_ways
from pose_extract.errors import TrainingError
from pose_extract.records import ClipTracks

if TYPE_CHECKING:
    from anomaly.windows import Windows

_OWN = ("mean", "deviation")  # arrays of a density beside its mixture's
_CAMERA = "<U64"  # a camera's name in a bundle
_REGULARISATION = 1e-3  # of covariances of numbers whose deviation is 1
_CHUNK = 8192  # windows at once
_OF_A_CAMERA = ("place", "passage", "conduct", "context")
_LEAST_SHARE = 1e-3  # of a window, spread evenly over the clusters before logarithms are taken
_MOST_AXES = 8  # principal components of the assignments
_FEWEST_OF_A_CAMERA = 500  # windows
_LEAST = 1e-3  # deviation that a number has at least


@dataclass(frozen=True)
class Density:
    """A mixture of Gaussians over standardised numbers.

    Attributes:
        mean: (D,) of the numbers, and what stands for one that is missing.
        deviation: (D,) of the numbers, above 0.
        mixture: over (x - mean) / deviation.
    """

    mean: NDArray[np.float64]
    deviation: NDArray[np.float64]
    mixture: GaussianNormality

    def anomaly(self, x: NDArray[np.float64]) -> NDArray[np.float64]:
        """(N,) minus log density of numbers (N, D), NaN where missing."""
        return -logsumexp(self.mixture.joint(np.nan_to_num((x - self.mean) / self.deviation)), axis=1)

    @classmethod
    def fit(cls, x: NDArray[np.float64], components: int, seed: int) -> Density:
        """The density of numbers (N, D), NaN where missing.

        Raises:
            TrainingError: there are too few.
        """
        from sklearn.exceptions import ConvergenceWarning
        from sklearn.mixture import GaussianMixture

        if len(x) < 2 * components:
            raise TrainingError(
                f"densities: {components} components need at least {2 * components} windows, got {len(x)}: train on "
                "more video, or lower densities.components"
            )
        known = np.isfinite(x)
        count = np.maximum(known.sum(axis=0), 1)
        mean = np.where(known, x, 0).sum(axis=0) / count
        deviation = np.maximum(np.sqrt(np.where(known, np.square(x - mean), 0).sum(axis=0) / count), _LEAST)
        mixture = GaussianMixture(components, reg_covar=_REGULARISATION, random_state=seed)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            mixture.fit(np.nan_to_num((x - mean) / deviation))
        offsets = np.log(np.maximum(mixture.weights_, 1e-300)) - x.shape[1] / 2 * np.log(2 * np.pi)
        return cls(
            mean,
            deviation,
            GaussianNormality(
                NormalitySettings(), mixture.weights_, offsets, mixture.means_, mixture.precisions_cholesky_
            ),
        )


Fit = tuple[str, int]  # a camera, and the fold of the normal video that a density has not seen


@dataclass(frozen=True)
class Axes:
    """Principal components of windows' soft assignments, as centred log-ratios.

    Attributes:
        mean: (K,) of the training windows' log-ratios.
        directions: (A, K) of unit length.
    """

    mean: NDArray[np.float64]
    directions: NDArray[np.float64]

    def of(self, log_p: NDArray[np.float32]) -> NDArray[np.float64]:
        """(N, K) log soft assignments -> (N, A)."""
        return (_log_ratios(log_p) - self.mean) @ self.directions.T

    @classmethod
    def fit(cls, log_p: NDArray[np.float32], seed: int) -> Axes:
        """The axes along which soft assignments (N, K) differ most."""
        from sklearn.decomposition import PCA

        pca = PCA(axes_of(log_p.shape[1]), random_state=seed).fit(_log_ratios(log_p))
        return cls(pca.mean_, pca.components_)


def axes_of(clusters: int) -> int:
    """How many axes soft assignments to so many clusters have."""
    return min(_MOST_AXES, clusters - 1)


def _log_ratios(log_p: NDArray[np.float32]) -> NDArray[np.float64]:
    """(N, K) centred log-ratios of `Model.assignments`, (N, K).

    Not `normality.coordinates_of`, which makes the shares add up to 1 first: the mean of logarithms over a window's
    copies adds up to less where these disagree, and such windows shall lie nearer to the middle.
    """
    shares = (1 - _LEAST_SHARE) * np.exp(log_p.astype(np.float64)) + _LEAST_SHARE / log_p.shape[1]
    logs = np.log(shares)
    return logs - logs.mean(axis=1, keepdims=True)


@dataclass(frozen=True)
class Densities:
    """The densities of normal windows, of each part and camera, each fitted without every fold in turn.

    A window's score is the mean over the folds' densities; that of a normal window is by the one density that has not
    seen its fold. So every normal window tells what scores mean (cross-fitting).

    Attributes:
        settings: what they were fitted with.
        parts: part -> (camera, fold left out) -> density; "pose" and "motion" have the camera "" only.
        axes: of the part "context"; None without it.
    """

    settings: DensitySettings
    parts: Mapping[str, Mapping[Fit, Density]]
    axes: Axes | None = None

    @classmethod
    def fit(
        cls,
        windows: Windows,
        fold: NDArray[np.int64],
        parts: tuple[str, ...],
        settings: DensitySettings,
        seed: int,
        log_p: NDArray[np.float32] | None = None,
    ) -> Densities:
        """Learn the densities ``parts``, out of `DENSITY_PARTS`, of normal windows.

        Args:
            windows: N of them.
            fold: (N,) which fold of the normal video each is in, 0 being what is held out; below 0: in none.
            parts: which densities.
            settings: how to fit them.
            seed: of the mixtures and of what is drawn.
            log_p: (N, K) log soft assignments of the windows, for the part "context".

        Raises:
            TrainingError: there are too few windows, or no camera has enough of them.
        """
        rng = np.random.default_rng(seed)
        found: dict[str, dict[Fit, Density]] = {part: {} for part in parts}
        cameras = windows.camera
        axes = Axes.fit(log_p, seed) if log_p is not None and "context" in parts else None
        along = None if axes is None or log_p is None else axes.of(log_p)
        of_camera = [part for part in parts if part in _OF_A_CAMERA]
        of_all = [part for part in parts if part not in _OF_A_CAMERA]
        for left_out in np.union1d([0], fold[fold >= 0]):
            seen = (fold >= 0) & (fold != left_out)
            if not seen.any():
                continue
            groups = [
                (str(camera), of_camera, np.flatnonzero(seen & (cameras == camera)))
                for camera in np.unique(cameras[seen])
            ]
            for camera, wanted, here in (*groups, ("", of_all, np.flatnonzero(seen))):
                if wanted is of_camera and settings.camera != "one" and len(here) < _FEWEST_OF_A_CAMERA:
                    continue  # too little is known of this camera to say what is usual there
                rows = _picked(here, settings.windows, rng)
                ways, where = _describe(windows, rows), None if along is None else along[rows]
                for part in wanted:
                    x = _numbers(part, ways, where)
                    found[part][camera, int(left_out)] = Density.fit(x, settings.components_of(part), seed)
        unknown = [part for part in parts if not found[part]]
        if unknown:
            raise TrainingError(
                f"densities: no camera has the {_FEWEST_OF_A_CAMERA} windows that {', '.join(unknown)} need: train on "
                "more video, or set densities.camera to one"
            )
        return cls(settings, found, axes)

    def anomaly(
        self,
        windows: Windows,
        fold: NDArray[np.int64] | None = None,
        log_p: NDArray[np.float32] | None = None,
    ) -> dict[str, NDArray[np.float64]]:
        """(N,) minus log density of N windows by each part; of cameras that nothing was learned of, minus infinity.

        The mean over the densities; or, of normal windows whose ``fold`` (N,) is given, by the one without it. The
        part "context" needs the windows' log soft assignments (N, K).
        """
        total = {part: np.zeros(len(windows)) for part in self.parts}
        count = {part: np.zeros(len(windows), np.int64) for part in self.parts}
        cameras = windows.camera
        for begin in range(0, len(windows), _CHUNK):
            rows = np.arange(begin, min(begin + _CHUNK, len(windows)))
            ways = _describe(windows, rows)
            along = None if self.axes is None or log_p is None else self.axes.of(log_p[rows])
            for part, known in self.parts.items():
                numbers = _numbers(part, ways, along)
                for (camera, left_out), density in known.items():
                    own = cameras[rows] == camera if part in _OF_A_CAMERA else np.ones(len(rows), bool)
                    if fold is not None:
                        own &= fold[rows] == left_out
                    if own.any():
                        total[part][rows[own]] += density.anomaly(numbers[own])
                        count[part][rows[own]] += 1
        return {p: np.where(count[p] > 0, total[p] / np.maximum(count[p], 1), -np.inf) for p in self.parts}

    def knows(self, camera: str) -> bool:
        """Whether every part has learned something of this camera."""
        return all(
            any(camera == known for known, _ in fits)
            for part, fits in self.parts.items()
            if part in _OF_A_CAMERA
        )

    def arrays(self) -> dict[str, NDArray[Any]]:
        """What was learned, by name; `densities_from_arrays` makes the densities of it."""
        out: dict[str, NDArray[Any]] = {}
        if self.axes is not None:
            out |= {"axes_mean": self.axes.mean, "axes_directions": self.axes.directions}
        for part, fits in self.parts.items():
            kinds = list(fits.values())
            out[f"{part}_camera"] = np.array([camera for camera, _ in fits], _CAMERA)
            out[f"{part}_fold"] = np.array([fold for _, fold in fits], np.int64)
            for name in (*_OWN, *GaussianNormality.ARRAYS):
                values = [getattr(k if name in _OWN else k.mixture, name) for k in kinds]
                out[f"{part}_{name}"] = np.stack(values).astype(np.float64)
        return out


def _shapes(part: str, settings: DensitySettings, joints: int, clusters: int) -> dict[str, tuple[int, ...]]:
    """Names and shapes of the arrays of one density."""
    size = {
        "pose": 5 * joints,
        "motion": MOTION,
        "place": PLACE,
        "passage": MOTION + PLACE,
        "conduct": 2 * joints + MOTION + PLACE,
        "context": 2 * joints + MOTION + PLACE + axes_of(clusters),
    }[part]
    return dict.fromkeys(_OWN, (size,)) | GaussianNormality.shapes(settings.components_of(part), size)


def density_shapes(
    parts: tuple[str, ...], settings: DensitySettings, joints: int, clusters: int
) -> dict[str, tuple[tuple[int | str, ...], Any]]:
    """Shapes and types of `Densities.arrays`; a letter is a length that the file decides."""
    out: dict[str, tuple[tuple[int | str, ...], Any]] = {}
    if "context" in parts:
        out["axes_mean"] = ((clusters,), np.float64)
        out["axes_directions"] = ((axes_of(clusters), clusters), np.float64)
    for part in parts:
        fits = f"fits of {part}"
        out[f"{part}_camera"] = ((fits,), _CAMERA)
        out[f"{part}_fold"] = ((fits,), np.int64)
        for name, size in _shapes(part, settings, joints, clusters).items():
            out[f"{part}_{name}"] = ((fits, *size), np.float64)
    return out


def densities_from_arrays(
    parts: tuple[str, ...], settings: DensitySettings, arrays: Mapping[str, NDArray[Any]]
) -> Densities:
    """The densities whose `Densities.arrays` these are, their shapes being right.

    Raises:
        ValueError: they are none.
    """
    found: dict[str, dict[Fit, Density]] = {}
    for part in parts:
        values = {name: arrays[f"{part}_{name}"] for name in (*_OWN, *GaussianNormality.ARRAYS)}
        for name, value in values.items():
            if not np.isfinite(value).all():
                raise ValueError(f"{part}_{name} has values that are not finite")
        if (values["deviation"] <= 0).any() or (values["weights"] < 0).any():
            raise ValueError(f"a deviation or weight of {part} is not positive")
        found[part] = {}
        for i, (camera, fold) in enumerate(
            zip(arrays[f"{part}_camera"], arrays[f"{part}_fold"], strict=True)
        ):
            mixture = GaussianNormality(
                NormalitySettings(), **{name: values[name][i] for name in GaussianNormality.ARRAYS}
            )
            problem = mixture.problem()
            if problem is not None:
                raise ValueError(f"{part}: {problem}")
            found[part][str(camera), int(fold)] = Density(values["mean"][i], values["deviation"][i], mixture)
    axes = Axes(arrays["axes_mean"], arrays["axes_directions"]) if "context" in parts else None
    if axes is not None and not (np.isfinite(axes.mean).all() and np.isfinite(axes.directions).all()):
        raise ValueError("the axes of context have values that are not finite")
    return Densities(settings, found, axes)


def fold_of_clips(clips: Sequence[ClipTracks], settings: DensitySettings) -> list[int]:
    """Which fold, from 1, each clip to train on is in: alike in people, and of each camera about as much."""
    order = sorted(range(len(clips)), key=lambda i: (-len(clips[i]), i))
    size: dict[tuple[str, int], int] = {}
    out = [0] * len(clips)
    for i in order:
        camera = settings.camera_of(clips[i].clip)
        fold = min(
            range(1, settings.folds), key=lambda k: (size.get((camera, k), 0), size.get(("", k), 0), k)
        )
        for key in {(camera, fold), ("", fold)}:
            size[key] = size.get(key, 0) + len(clips[i])
        out[i] = fold
    return out


def fold_of_parts(windows: Windows, time_s: NDArray[np.float64], folds: int) -> NDArray[np.int64]:
    """(N,) fold, from 1, of the windows of one clip that is cut into parts of equal time; below 0 across a cut.

    Args:
        windows: of one clip.
        time_s: (F,) the clip's.
        folds: with the held-out one.
    """
    if not len(windows):
        return np.zeros(0, np.int64)
    begin, end = time_s[0] - 1e-9, time_s[-1] + 1e-9
    first, last = (
        np.clip(np.floor((at - begin) / (end - begin) * (folds - 1)), 0, folds - 2).astype(np.int64)
        for at in (windows.start_s, windows.end_s)
    )
    return np.where(first == last, 1 + first, -1)


def _picked(rows: NDArray[np.int64], most: int, rng: np.random.Generator) -> NDArray[np.int64]:
    return np.sort(rng.choice(rows, min(most, len(rows)), replace=False, shuffle=False))


def _describe(windows: Windows, rows: NDArray[np.int64]) -> Ways:
    return describe_ways(windows.pixels(rows), windows.pick(rows).size, windows.settings.person, windows.fps)


def _numbers(part: str, ways: Ways, along: NDArray[np.float64] | None) -> NDArray[np.float64]:
    """(N, D) what a part is the density of; ``along`` (N, A) are the windows' assignments along the axes."""
    if part == "context":
        if along is None:
            raise ValueError("context: expected the windows' soft assignments")
        return np.concatenate([along, ways.posture, ways.motion, ways.place], axis=1)
    return np.concatenate(
        {
            "pose": [ways.posture, ways.swing],
            "motion": [ways.motion],
            "place": [ways.place],
            "passage": [ways.motion, ways.place],
            "conduct": [ways.posture, ways.motion, ways.place],
        }[part],
        axis=1,
    )
