"""Fit the parts of the score beside the clusters, cross-fitted: movement, posture, place, prediction, pretext task.

The window that the network sees says nothing of where somebody is (paper, supplement: the mean is subtracted), and
little of how fast. Mixtures of Gaussians over what each window shows (`anomaly.normality.movement`), a prediction of
its end (`anomaly.normality.prediction`) and a pretext task (`anomaly.normality.pretext`) give that back.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from anomaly.data.windows import Windows
from anomaly.normality.gaussian import GaussianDensity, gaussian_shapes
from anomaly.normality.movement import MovementFeatures, movement_features, widths
from anomaly.normality.prediction import Predictor, predictor_shapes, trajectory_features
from anomaly.normality.pretext import Pretext, pose_features, pretext_shapes
from anomaly.normality.side_by_side import fit_all
from anomaly.settings import DensitySettings, ModelSettings
from anomaly.settings.densities import FEWEST_WINDOWS, PREDICTION, PRETEXT, features_of
from pose_extract.errors import TrainingError
from pose_extract.skeletons import Skeleton
from pose_extract.tracks.records import ClipTracks

_CAMERA = "<U64"  # a camera's name in a bundle
_ALL = ""  # in the place of a camera's name: all cameras
_CHUNK = 8192  # windows at once
_FEWEST_OF_A_CAMERA = 500  # windows
_FEWEST_OF_A_COMPONENT = 16
_WINDOWS_OF_A_PART = 4  # lengths of a window that a part of a clip lasts at least

FitKey = tuple[str, int]  # a camera, and the fold of the normal video that a density has not seen
PartModel = GaussianDensity | Predictor | Pretext
_KINDS: dict[str, type[PartModel]] = {PREDICTION: Predictor, PRETEXT: Pretext}  # other parts are mixtures


@dataclass(frozen=True)
class FittedParts:
    """What was learned of normal windows, by part and camera, each time without one of the folds.

    A window's score is the mean over the folds' densities; that of a normal window is by the one density that has not
    seen its fold. So every normal window tells what scores mean (cross-fitting).

    Attributes:
        settings: what they were fitted with.
        parts: part -> (camera, fold left out) -> density or network; camera "" is all of them. What is learned for each
            camera is learned for all together, too: what a window of any other camera is compared with.
    """

    settings: DensitySettings
    parts: Mapping[str, Mapping[FitKey, PartModel]]

    @classmethod
    def fit(
        cls,
        windows: Windows,
        fold: NDArray[np.int64],
        parts: tuple[str, ...],
        settings: DensitySettings,
        seed: int,
    ) -> FittedParts:
        """Learn ``parts`` of normal windows.

        Args:
            windows: N of them.
            fold: (N,) which fold of the normal video each is in, 0 being what is held out; below 0: in none.
            parts: what to learn: "prediction", "pretext", or what a mixture is over (`features_of`).
            settings: how.
            seed: of the mixtures, of the predictors and of what is drawn.

        Raises:
            TrainingError: there are too few windows.
        """
        rng = np.random.default_rng(seed)
        rows = _rows_of_fits(windows, fold, settings, rng)
        fewest = {}
        for part in parts:
            fewest[part] = min(len(rows[fit]) for fit in rows if _is_of(part, fit, settings))
            if fewest[part] < FEWEST_WINDOWS:
                raise TrainingError(
                    f"{part}: expected at least {FEWEST_WINDOWS} windows to learn from, got {fewest[part]}: train on "
                    "more video"
                )
        keys = [(part, fit) for fit in rows for part in parts if _is_of(part, fit, settings)]
        most = {part: max(count // _FEWEST_OF_A_COMPONENT, 1) for part, count in fewest.items()}

        def jobs() -> Iterator[tuple[Any, ...]]:
            for fit, here in rows.items():
                numbers = _PartInputs(windows, here)
                for part in parts:
                    if _is_of(part, fit, settings):
                        yield part, numbers.to_learn(part), numbers.person, settings, most[part], seed

        made = fit_all(_fit, jobs(), sum(len(rows[fit]) for _, fit in keys))
        found: dict[str, dict[FitKey, PartModel]] = {part: {} for part in parts}
        for (part, fit), one in zip(keys, made, strict=True):
            found[part][fit] = one
        return cls(settings, found)

    def anomaly(
        self, windows: Windows, fold: NDArray[np.int64] | None = None
    ) -> dict[str, NDArray[np.float64]]:
        """(N,) anomaly of N windows by each part; minus infinity where it says nothing: a course too short to predict.

        Minus log density, how far off the prediction is, or minus log probability that nothing was done to it: the mean
        over the folds; or, of normal windows whose ``fold`` (N,) is given, by the one without it.
        """
        total = {part: np.zeros(len(windows)) for part in self.parts}
        count = {part: np.zeros(len(windows), np.int64) for part in self.parts}
        cameras = windows.camera
        for begin in range(0, len(windows), _CHUNK):
            rows = np.arange(begin, min(begin + _CHUNK, len(windows)))
            numbers = _PartInputs(windows, rows)
            for part, known in self.parts.items():
                x = numbers.of_part(part)
                learned = sorted({camera for camera, _ in known})
                like = np.where(np.isin(cameras[rows], learned), cameras[rows], _ALL)
                for (camera, left_out), density in known.items():
                    own = like == camera
                    if fold is not None:
                        own &= fold[rows] == left_out
                    if own.any():
                        total[part][rows[own]] += density.anomaly(x[own])
                        count[part][rows[own]] += 1
        return {p: np.where(count[p] > 0, total[p] / np.maximum(count[p], 1), -np.inf) for p in self.parts}

    @property
    def cameras(self) -> list[str]:
        """The cameras that parts are learned for each."""
        return sorted({camera for fits in self.parts.values() for camera, _ in fits} - {_ALL})

    def knows(self, camera: str) -> bool:
        """Whether every part that is learned for each camera has learned this one."""
        return all(
            any(camera == known for known, _ in fits)
            for part, fits in self.parts.items()
            if self.settings.of_a_camera(part)
        )

    def arrays(self) -> dict[str, NDArray[Any]]:
        """What was learned, by name; `fitted_parts_from_arrays` makes the densities of it."""
        out: dict[str, NDArray[Any]] = {}
        for part, fits in self.parts.items():
            out[f"{part}_camera"] = np.array([camera for camera, _ in fits], _CAMERA)
            out[f"{part}_fold"] = np.array([fold for _, fold in fits], np.int64)
            values = [density.arrays() for density in fits.values()]
            for name in values[0]:
                out[f"{part}_{name}"] = np.stack([one[name] for one in values])
        return out


def fitted_parts_shapes(settings: ModelSettings) -> dict[str, tuple[tuple[int | str, ...], Any]]:
    """Shapes and types of `FittedParts.arrays`; a letter is a length that the file decides."""
    joints = settings.windows.person.num_joints
    out: dict[str, tuple[tuple[int | str, ...], Any]] = {}
    for part in settings.fitted_parts:
        fits = f"fits of {part}"
        out |= {f"{part}_camera": ((fits,), _CAMERA), f"{part}_fold": ((fits,), np.int64)}
        shapes: Mapping[str, tuple[int | str, ...]]
        kind: type[np.floating]
        if part in _KINDS:
            make = predictor_shapes if part == PREDICTION else pretext_shapes
            shapes, kind = make(settings.densities, settings.windows.frames, joints), np.float32
        else:
            numbers = sum(widths(joints)[name] for name in features_of(part))
            shapes, kind = gaussian_shapes(numbers, f"components of {part}"), np.float64
        out |= {f"{part}_{name}": ((fits, *shape), kind) for name, shape in shapes.items()}
    return out


def fitted_parts_from_arrays(settings: ModelSettings, arrays: Mapping[str, NDArray[Any]]) -> FittedParts:
    """The densities whose `FittedParts.arrays` these are, their shapes being right.

    Raises:
        ValueError: they are none.
    """
    found: dict[str, dict[FitKey, PartModel]] = {}
    names = fitted_parts_shapes(settings)
    for part in settings.fitted_parts:
        own = {
            name.removeprefix(f"{part}_"): arrays[name]
            for name in names
            if name.startswith(f"{part}_") and not name.endswith(("_camera", "_fold"))
        }
        fits = zip(arrays[f"{part}_camera"], arrays[f"{part}_fold"], strict=True)
        kind = _KINDS.get(part, GaussianDensity)
        try:
            found[part] = {
                (str(camera), int(fold)): kind.from_arrays({name: values[i] for name, values in own.items()})
                for i, (camera, fold) in enumerate(fits)
            }
        except ValueError as error:
            raise ValueError(f"{part}: {error}") from error
        if any((_ALL, fold) not in found[part] for _, fold in found[part]):
            raise ValueError(f"{part}: expected a density of all cameras for each fold")
    return FittedParts(settings.densities, found)


def assign_folds_to_clips(clips: Sequence[ClipTracks], settings: DensitySettings) -> list[int]:
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


def assign_folds_to_windows(windows: Windows, time_s: NDArray[np.float64], folds: int) -> NDArray[np.int64]:
    """(N,) fold, from 1, of the windows of one clip that is cut into parts of equal time; below 0 across a cut.

    A part lasts four windows or more: of a short clip too few windows would lie within one.

    Args:
        windows: of one clip.
        time_s: (F,) the clip's.
        folds: with the held-out one.
    """
    return fold_of_times(windows.start_s, windows.end_s, time_s, windows.settings.duration_s, folds)


def fold_of_times(
    start_s: NDArray[np.float64],
    end_s: NDArray[np.float64],
    time_s: NDArray[np.float64],
    window_s: float,
    folds: int,
) -> NDArray[np.int64]:
    """(N,) fold, as `assign_folds_to_windows` has it, of N stretches from ``start_s`` to ``end_s``."""
    if not len(start_s):  # a clip may be so short that all of it is held out
        return np.zeros(0, np.int64)
    begin, end = time_s[0] - 1e-9, time_s[-1] + 1e-9
    parts = int(np.clip((end - begin) / (_WINDOWS_OF_A_PART * window_s), 1, folds - 1))
    first, last = (
        np.clip(np.floor((at - begin) / (end - begin) * parts), 0, parts - 1).astype(np.int64)
        for at in (start_s, end_s)
    )
    return np.where(first == last, 1 + first, -1)


class _PartInputs:
    """What parts are made of, of some windows, each made once if it is asked for."""

    def __init__(self, windows: Windows, rows: NDArray[np.int64]) -> None:
        self._windows, self._rows = windows, rows
        self.person = windows.settings.person

    @cached_property
    def points(self) -> NDArray[np.float32]:
        """(N, T, V, 3) in pixels."""
        return self._windows.pixels(self._rows)

    @cached_property
    def _features(self) -> MovementFeatures:
        windows = self._windows
        return movement_features(self.points, windows.pick(self._rows).size, self.person, windows.fps)

    def of_part(self, part: str) -> NDArray[Any]:
        """What a part scores: (N, T, V + 1, 2) of the prediction, (N, D) of a mixture."""
        if part == PREDICTION:
            return trajectory_features(self.points, self.person)
        if part == PRETEXT:
            return pose_features(self.points, self.person)
        return np.concatenate([getattr(self._features, name) for name in features_of(part)], axis=1)

    def to_learn(self, part: str) -> NDArray[Any]:
        """What a part learns from: what it scores, but of the pretext task the joints, which it changes itself."""
        return self.points if part == PRETEXT else self.of_part(part)


def _fit(
    part: str, x: NDArray[Any], person: Skeleton, settings: DensitySettings, most: int, seed: int
) -> PartModel:
    """Learn a part of its numbers ``x``; ``most`` components, if it is a mixture."""
    if part == PREDICTION:
        return Predictor.fit(x, settings, seed)
    if part == PRETEXT:
        return Pretext.fit(x, person, settings, seed)
    return GaussianDensity.fit(x, min(settings.components_of(part), most), seed)


def _is_of(part: str, fit: FitKey, settings: DensitySettings) -> bool:
    """Whether a part is learned from the windows of a fit: everybody's, or a camera's."""
    return fit[0] == _ALL or settings.of_a_camera(part)


def _rows_of_fits(
    windows: Windows, fold: NDArray[np.int64], settings: DensitySettings, rng: np.random.Generator
) -> dict[FitKey, NDArray[np.int64]]:
    """Which windows each fit learns from: of each camera that has enough, and of all of them, without each fold."""
    folds = {int(left_out): (fold >= 0) & (fold != left_out) for left_out in np.union1d([0], fold[fold >= 0])}
    known = np.unique(windows.camera).tolist() if settings.camera != "one" else []
    out: dict[FitKey, NDArray[np.int64]] = {}
    for camera in [*known, _ALL]:
        here = windows.camera == camera if camera else np.ones(len(windows), bool)
        # A fold that has nearly all windows is not left out.
        rows = {
            k: np.flatnonzero(seen & here)
            for k, seen in folds.items()
            if not k or seen.sum() >= FEWEST_WINDOWS
        }
        enough = min(map(len, rows.values())) >= _FEWEST_OF_A_CAMERA  # to say what is usual there
        if enough or not camera:
            out |= {(str(camera), k): _picked(own, settings.windows, rng) for k, own in rows.items()}
    return out


def _picked(rows: NDArray[np.int64], most: int, rng: np.random.Generator) -> NDArray[np.int64]:
    return np.sort(rng.choice(rows, min(most, len(rows)), replace=False, shuffle=False))
