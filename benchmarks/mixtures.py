"""Plain scikit-learn on HR-Avenue: what a learned model has to beat.

Windows of 8 frames; statistics of people's motion, local pose, place and height; mixtures of Gaussians; tail
probabilities on held-out normal windows, added up.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from sklearn.mixture import GaussianMixture

from anomaly.data.windows import Windows, make_windows
from anomaly.scoring.frame_scores import frame_scores, row_scores
from anomaly.settings import WindowSettings
from pose_extract.tracks.records import ClipTracks

Array = NDArray[np.float64]
FRAMES, COMPONENTS, MOST = 8, 12, 40_000
ROWS = {
    "speed over height": ("speed",),
    "mixture: motion": ("motion",),
    "mixture: local pose": ("pose",),
    "mixture: motion, position, height": ("motion, position, height",),
    "mixture: position, height": ("position, height",),
    "four mixtures' tails": ("motion", "pose", "motion, position, height", "position, height"),
}
_TRUNK = [5, 6, 11, 12]


def _settings(fps: float) -> WindowSettings:
    return WindowSettings(
        skeleton="coco17", frames=FRAMES, fps=fps, train_stride=1, scale="body", shortest=2, max_missing=3
    )


def _numbers(windows: Windows, size: tuple[int, int]) -> dict[str, Array]:
    """What each mixture sees; a joint's missing numbers are NaN."""
    parts = [
        _of(windows.pixels(np.arange(at, min(at + 8192, len(windows)))), size)
        for at in range(0, len(windows), 8192)
    ]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _of(pixels: NDArray[np.float32], size: tuple[int, int]) -> dict[str, Array]:
    points: np.ndarray = np.where(pixels[..., 2:] > 0, pixels[..., :2], np.nan).astype(np.float64)
    with np.errstate(all="ignore"):
        height = np.nanmedian(np.nanmax(points[..., 1], axis=2) - np.nanmin(points[..., 1], axis=2), axis=1)
        height = np.maximum(np.nan_to_num(height), 8)
        whole, trunk = np.nanmean(points, axis=2), np.nanmean(points[:, :, _TRUNK], axis=2)
        centre = np.asarray(np.where(np.isfinite(trunk), trunk, whole))
        steps = np.diff(centre, axis=1) / height[:, None, None]
        velocity = np.nan_to_num(np.nanmean(steps, axis=1))
        speed = np.nan_to_num(np.nanmean(np.linalg.norm(steps, axis=2), axis=1))
        local = (points - centre[:, :, None]) / height[:, None, None, None]
        n = len(points)
        pose = np.concatenate(
            [
                np.nanmean(local, axis=1).reshape(n, -1),
                np.nanstd(local, axis=1).reshape(n, -1),
                np.nanmean(np.abs(np.diff(local, axis=1)), axis=1).reshape(n, -1),
            ],
            axis=1,
        )
        place = np.stack(
            [np.nanmean(whole[..., 0], axis=1), np.nanmean(np.nanmax(points[..., 1], axis=2), axis=1)], 1
        )
    motion = np.column_stack([np.abs(velocity[:, 0]), velocity, speed])
    where = np.column_stack([np.nan_to_num(place) / size, np.log(height / 100)])
    return {
        "speed": speed[:, None],
        "motion": motion,
        "pose": pose,
        "motion, position, height": np.concatenate([motion, where], axis=1),
        "position, height": where,
    }


def baselines(
    fit: list[ClipTracks], held_out: list[ClipTracks], test: list[ClipTracks], seed: int
) -> Iterator[tuple[str, list[Array]]]:
    """For each of `ROWS`, the unsmoothed frame scores of the test clips."""
    import warnings

    settings, size = _settings(fit[0].fps), fit[0].frame_size
    windows = [[make_windows(clip, settings, 1) for clip in clips] for clips in (fit, held_out, test)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        learned, reference = (_numbers(Windows.concatenate(part), size) for part in windows[:2])
        tested = [_numbers(part, size) for part in windows[2]]
    tails: dict[str, list[Array]] = {"speed": [numbers["speed"][:, 0] for numbers in tested]}
    for name in ROWS["four mixtures' tails"]:
        density = _density(learned[name], seed)
        known = np.sort(density(reference[name]))
        shares = [np.searchsorted(known, density(numbers[name])) for numbers in tested]
        tails[name] = [-np.log((len(known) - lower + 1) / (len(known) + 1)) for lower in shares]
    for row, parts in ROWS.items():
        frames = []
        for i, (clip, own) in enumerate(zip(test, windows[2], strict=True)):
            rows = row_scores(own, np.sum([tails[part][i] for part in parts], axis=0), clip, "backtracked", 1)
            raw = frame_scores(rows, clip)[0]
            frames.append(np.nan_to_num(raw, nan=0.0))
        yield row, frames


def _density(x: Array, seed: int):
    mean = np.nanmean(x, axis=0)
    x = np.where(np.isfinite(x), x, mean)
    deviation = x.std(axis=0) + 1e-3
    rng = np.random.default_rng(seed)
    picked = rng.choice(len(x), min(MOST, len(x)), replace=False)
    mixture = GaussianMixture(COMPONENTS, reg_covar=1e-3, random_state=seed).fit(
        (x[picked] - mean) / deviation
    )
    return lambda y: -mixture.score_samples((np.where(np.isfinite(y), y, mean) - mean) / deviation)
