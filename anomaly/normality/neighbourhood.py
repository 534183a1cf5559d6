"""Compare a whole clip with the normal ones that are most like it, by how far these lie from each other.

A mixture over assignments to K clusters tells what is far from all of them. Where many actions are normal, an abnormal
one lies among them: not near a cluster, but not near a normal clip either. How near is near differs from action to
action, so a distance is measured in those that are usual there, as a local outlier factor does (Breunig et al., LOF:
identifying density-based local outliers, 2000, with plain distances in the place of reachability).

Nothing here imports torch.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from anomaly.data.windows import Windows
from anomaly.settings import ModelSettings
from anomaly.settings.densities import LATENT
from pose_extract.errors import TrainingError

Vectors = NDArray[np.float32]
Encode = Callable[[Vectors], Vectors]  # windows (N, C, T, V) -> latent vectors (N, G, D)

NEIGHBOURS = 5
_LEAST = 0.1  # of the median spread: among clips that are all alike, none is infinitely far
_MOST_NUMBERS = 50_000_000  # of the vectors of a part: 200 MB
_MOST_DISTANCES = 1 << 22  # at once
_BATCH = 256  # windows at once


@dataclass(frozen=True)
class Neighbourhood:
    """Vectors of normal windows, one or more of each, and how far apart these are where each of them lies.

    Attributes:
        vectors: (M, D).
        spread: (M,) mean distance of each to the nearest vectors of other windows, above 0.
    """

    vectors: Vectors
    spread: NDArray[np.float64]

    @classmethod
    def fit(cls, x: Vectors) -> tuple[Neighbourhood, NDArray[np.float64]]:
        """Of the vectors (N, G, D) of N normal windows; and (N,) anomaly of each of them among the others.

        Raises:
            TrainingError: there are too few.
        """
        count, copies, size = x.shape
        if count <= NEIGHBOURS:
            raise TrainingError(
                f"expected more than {NEIGHBOURS} people to compare others with, got {count}: train on more clips"
            )
        vectors = x.reshape(-1, size)
        window = np.repeat(np.arange(count), copies)
        near, apart = _nearest(vectors, vectors, window, window)
        spread = apart.mean(axis=1)
        spread = np.maximum(spread, max(_LEAST * float(np.median(spread)), 1e-9))
        known = cls(vectors, spread)
        return known, known._ratio(near, apart).reshape(count, copies).mean(axis=1)

    def anomaly(self, x: Vectors) -> NDArray[np.float64]:
        """(N,) of windows with vectors (N, G, D): mean distance to the nearest known ones, in the spread of these.

        The mean over a window's G vectors. About 1 is as normal as those learned from.
        """
        near, apart = _nearest(x.reshape(-1, x.shape[2]), self.vectors)
        return self._ratio(near, apart).reshape(x.shape[:2]).mean(axis=1)

    def _ratio(self, near: NDArray[np.int64], apart: NDArray[np.float64]) -> NDArray[np.float64]:
        ratio: NDArray[np.float64] = apart.mean(axis=1) / self.spread[near].mean(axis=1)
        return ratio


@dataclass(frozen=True)
class Neighbourhoods:
    """What each of these parts of the score has learned.

    Attributes:
        parts: part -> the normal windows' vectors.
    """

    parts: Mapping[str, Neighbourhood]

    @classmethod
    def fit(
        cls, windows: Windows, encode: Encode, settings: ModelSettings, seed: int
    ) -> tuple[Neighbourhoods, dict[str, NDArray[np.float64]]]:
        """Of normal windows, or as many of them, drawn at random, as fit into 200 MB a part.

        Returns:
            What is known, and each part's anomaly of the windows known, each among the others.

        Raises:
            TrainingError: there are too few windows.
        """
        rng = np.random.default_rng(seed)
        found: dict[str, Neighbourhood] = {}
        reference: dict[str, NDArray[np.float64]] = {}
        for part in settings.neighbourhoods:
            drawn = windows
            numbers = part_vectors(windows.batch(slice(0, 1)), part, windows, encode).size
            most = max(_MOST_NUMBERS // max(numbers, 1), NEIGHBOURS + 1)
            if len(windows) > most:
                drawn = windows.pick(np.sort(rng.choice(len(windows), most, replace=False, shuffle=False)))
            x = [part_vectors(batch, part, windows, encode) for batch in drawn.batches(_BATCH)]
            try:
                found[part], reference[part] = Neighbourhood.fit(np.concatenate(x))
            except TrainingError as error:
                raise TrainingError(f"{part}: {error}") from error
        return cls(found), reference

    def anomaly(self, windows: Windows, encode: Encode) -> dict[str, NDArray[np.float64]]:
        """(N,) anomaly of N windows by each part."""
        out: dict[str, list[NDArray[np.float64]]] = {part: [np.zeros(0)] for part in self.parts}
        for x in windows.batches(_BATCH):
            for part, known in self.parts.items():
                out[part].append(known.anomaly(part_vectors(x, part, windows, encode)))
        return {part: np.concatenate(scores) for part, scores in out.items()}

    def arrays(self) -> dict[str, NDArray[Any]]:
        """What was learned, by name."""
        return {
            f"{part}_{name}": getattr(known, name)
            for part, known in self.parts.items()
            for name in ("vectors", "spread")
        }

    @classmethod
    def from_arrays(cls, settings: ModelSettings, arrays: Mapping[str, NDArray[Any]]) -> Neighbourhoods:
        """Those whose `arrays` these are, their shapes being right.

        Raises:
            ValueError: they are none.
        """
        found = {
            part: Neighbourhood(arrays[f"{part}_vectors"], arrays[f"{part}_spread"])
            for part in settings.neighbourhoods
        }
        for part, known in found.items():
            if len(known.vectors) < NEIGHBOURS or not np.isfinite(known.vectors).all():
                raise ValueError(f"{part}: expected {NEIGHBOURS} finite vectors or more")
            if not (np.isfinite(known.spread) & (known.spread > 0)).all():
                raise ValueError(f"{part}: a spread is not positive")
        return cls(found)


def neighbourhood_shapes(settings: ModelSettings) -> dict[str, tuple[tuple[int | str, ...], Any]]:
    """Shapes and types of `Neighbourhoods.arrays`; a letter is a length that the file decides."""
    out: dict[str, tuple[tuple[int | str, ...], Any]] = {}
    for part in settings.neighbourhoods:
        count = f"vectors of {part}"
        out[f"{part}_vectors"] = ((count, _length(part, settings)), np.float32)
        out[f"{part}_spread"] = ((count,), np.float64)
    return out


def part_vectors(x: Vectors, part: str, windows: Windows, encode: Encode) -> Vectors:
    """What a part compares, of windows (N, C, T, V): (N, G, D), G being 1 but for "latent".

    Args:
        x: normalised windows.
        part: one of `anomaly.settings.densities.NEIGHBOURHOODS`.
        windows: any of their kind.
        encode: gives their latent vectors.
    """
    if part == LATENT:
        return encode(x)
    where = x[:, : 3 if windows.settings.depth else 2]
    if part == "steps":
        out = np.diff(where, axis=2)
    else:
        out = where - where.mean(axis=3, keepdims=True)
        if part == "reach":
            out = out.std(axis=2)
    return np.ascontiguousarray(out.reshape(len(x), 1, -1), np.float32)


def _length(part: str, settings: ModelSettings) -> int:
    """D of a part."""
    windows = settings.windows
    joints = (3 if windows.depth else 2) * windows.body.num_joints
    return {
        "latent": settings.latent_size,
        "poses": joints * windows.frames,
        "steps": joints * (windows.frames - 1),
        "reach": joints,
    }[part]


def _nearest(
    x: Vectors,
    known: Vectors,
    own: NDArray[np.int64] | None = None,
    window: NDArray[np.int64] | None = None,
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """(N, k) known vectors (M, D) nearest to each of ``x`` (N, D), those of its window left out, and how far off."""
    near = np.empty((len(x), NEIGHBOURS), np.int64)
    apart = np.empty((len(x), NEIGHBOURS))
    middle = known.mean(axis=0)  # about there, float32 loses least
    centred = known - middle
    squares = np.einsum("md,md->m", centred, centred)
    step = max(_MOST_DISTANCES // max(len(known), NEIGHBOURS * known.shape[1]), 1)
    for begin in range(0, len(x), step):
        rows = slice(begin, begin + step)
        distance = squares - 2 * (x[rows] - middle) @ centred.T
        if own is not None and window is not None:
            distance[own[rows, None] == window] = np.inf
        near[rows] = np.argpartition(distance, NEIGHBOURS - 1, axis=1)[:, :NEIGHBOURS]
        apart[rows] = np.linalg.norm(x[rows, None].astype(np.float64) - known[near[rows]], axis=2)
    return near, apart
