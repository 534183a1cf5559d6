"""Learn what is usual around people: which things are where, who stays how long, how a crowd moves.

What happens around people is a marked point process: at each look there are some observations
(`anomaly.data.surroundings`), each with its numbers. What is learned of a part is its intensity, how many observations
like a given one are to be expected at a look, by kernels over those that normal video has shown and a thin layer over
everything else. So a thing where there never was one is unusual, however little was learned of things; and no number
of observations is needed to begin with.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from anomaly.data.surroundings import NUMBERS, ClipObservations, described, joined
from anomaly.normality.intensity import CELLS, Intensity, StayTimes, learn_usual
from anomaly.settings import DensitySettings
from anomaly.settings.scoring import FLOW, STAYS, SURROUNDINGS, THINGS

FloatArray = NDArray[np.float64]
AROUND = "surroundings_camera"
"""An array that a bundle with surroundings has."""

_CAMERA = "<U64"  # a camera's name in a bundle
_ALL = ""  # in the place of a camera's name: all cameras
_FEWEST_LOOKS = 600  # of a camera, to say what is usual there
_LASTS = {THINGS: 1, STAYS: 40, FLOW: 10}  # looks that what was seen once is taken to last
_BEYOND = {THINGS: 0.5, STAYS: 1.0, FLOW: 2.0}  # how fast a share falls, as a logarithm, with what is beyond
_MOST_BEYOND = 10.0
_ENOUGH = {THINGS: 0, STAYS: 0, FLOW: 600}  # looks with some, from which what is beyond them tells anything
_BINS = 8  # of the picture's height, for how tall people are
_NOBODY = (0.0, 0.25)  # slope and height, as `Fit.stature`, where nobody was seen
_LEAST_STATURE = 0.02


Fits = dict[tuple[str, int], "Fit"]  # (a camera, the fold that was left out) -> what was learned


@dataclass(frozen=True)
class Fit:
    """What one camera's video, or all of it, without one fold, has shown.

    Attributes:
        stature: (2,) how tall people are, in heights of the frame: by how far down they stand, and at the top.
        parts: part -> what is usual.
    """

    stature: FloatArray
    parts: dict[str, Intensity | StayTimes]

    def stature_at(self, foot: FloatArray) -> FloatArray:
        """(K,) how tall people are who stand so far down."""
        return np.maximum(self.stature[0] * foot + self.stature[1], _LEAST_STATURE)


@dataclass(frozen=True)
class Surroundings:
    """What a clip's F frames show around people, compared with normal video.

    Attributes:
        p: (F,) share of normal moments with something as unusual; 1 where there is nothing.
        part: (F,) place of the part that says so among `SURROUNDINGS`; -1 where there is nothing.
        who: (F,) id of the thing, track id of who stays, 0 of a crowd.
    """

    p: FloatArray
    part: NDArray[np.int8]
    who: NDArray[np.int32]

    def cut(self, first: int, stop: int) -> Surroundings:
        """Those of the frames first..stop-1."""
        return Surroundings(self.p[first:stop], self.part[first:stop], self.who[first:stop])


@dataclass(frozen=True)
class FittedSurroundings:
    """What was learned of the surroundings, by camera, each time without one of the folds.

    Attributes:
        parts: what is judged, of `SURROUNDINGS`.
        fits: what was learned; camera "" is all of them.
        reference: part -> sorted anomalies of the looks of normal video that have some, by what had not seen them.
        looks: how many looks these are out of.
    """

    parts: tuple[str, ...]
    fits: Fits
    reference: Mapping[str, FloatArray]
    looks: int

    @classmethod
    def fit(
        cls,
        clips: Sequence[ClipObservations],
        cameras: Sequence[str],
        folds: Sequence[NDArray[np.int64]],
        parts: tuple[str, ...],
        settings: DensitySettings,
    ) -> FittedSurroundings:
        """Learn of normal video.

        Args:
            clips: what it shows.
            cameras: each one's camera.
            folds: (L,) of each, which fold its looks are in, 0 being what is held out.
            parts: what to learn.
            settings: whether cameras are told apart.
        """
        fold = np.concatenate([np.zeros(0, np.int64), *folds])
        camera = np.repeat(np.array(cameras, _CAMERA), [len(clip) for clip in clips])
        people = np.concatenate([np.zeros((0, 2)), *(clip.people for clip in clips)])
        of_people = np.repeat(np.array(cameras, _CAMERA), [len(clip.people) for clip in clips])
        every = {part: joined(clips, part) for part in parts}
        steps = np.concatenate([np.zeros(0), *(np.diff(clip.time_s) for clip in clips)])
        look_s = float(np.median(steps)) if len(steps) else 1.0
        known = sorted(set(cameras)) if settings.camera != "one" else []
        fits: Fits = {}
        for name in [*known, _ALL]:
            here = (camera == name) if name else np.ones(len(camera), bool)
            if name and here.sum() < _FEWEST_LOOKS:
                continue
            stature = _stature(people[of_people == name] if name else people)
            for left_out in np.union1d([0], fold):
                seen = here & (fold != left_out)
                seen = seen if seen.any() else here
                fit = Fit(stature, {})
                for part, observations in every.items():
                    fit.parts[part] = learn_usual(part, observations, seen, fit.stature_at, look_s)
                fits[str(name), int(left_out)] = fit
        made = cls(parts, fits, {part: np.zeros(0) for part in parts}, len(camera))
        reference: dict[str, list[FloatArray]] = {part: [] for part in parts}
        for clip, own, its in zip(clips, cameras, folds, strict=True):
            for part in parts:
                worst, _ = made.worst(part, clip, own, its)
                reference[part].append(worst[np.isfinite(worst)])
        sorted_ones = {
            part: np.sort(np.concatenate([np.zeros(0), *found])) for part, found in reference.items()
        }
        return cls(parts, fits, sorted_ones, len(camera))

    def judge(
        self, clip: ClipObservations, camera: str, frames: int, fold: NDArray[np.int64] | None = None
    ) -> Surroundings:
        """Compare what a clip shows with normal video.

        Args:
            clip: what it shows.
            camera: its camera.
            frames: F, its length.
            fold: (L,) of normal video that was learned from: which fold each look is in.
        """
        p, part, who = np.ones(len(clip)), np.full(len(clip), -1, np.int8), np.zeros(len(clip), np.int32)
        for name in self.parts:
            number = SURROUNDINGS.index(name)
            worst, whose = self.worst(name, clip, camera, fold)
            its = self._share(name, worst)
            wins = its < p
            p, part, who = (np.where(wins, new, old) for new, old in ((its, p), (number, part), (whose, who)))
        p = np.minimum(1.0, len(self.parts) * p)  # of so many parts, one is unusual so much more often
        # What one look saw holds until the next; what is put in front of the first: nothing is known yet.
        latest = np.searchsorted(clip.frame, np.arange(frames), side="right")
        return Surroundings(np.append(1.0, p)[latest], np.append(-1, part)[latest].astype(np.int8),
                            np.append(0, who)[latest].astype(np.int32))  # fmt: skip

    def worst(
        self, part: str, clip: ClipObservations, camera: str, fold: NDArray[np.int64] | None = None
    ) -> tuple[FloatArray, NDArray[np.int32]]:
        """The highest anomaly of each look (L,), minus infinity without any; and whose it is."""
        observations = clip.parts[part]
        known = {name for name, _ in self.fits}
        like = camera if camera in known else _ALL
        total, count = np.zeros(len(observations)), np.zeros(len(observations))
        for (name, left_out), fit in self.fits.items():
            if name != like:
                continue
            own = np.ones(len(observations), bool) if fold is None else fold[observations.look] == left_out
            if own.any():
                rows = observations.select(own)
                x = described(part, rows, fit.stature_at(rows.foot))
                total[own] += fit.parts[part].anomaly(x, rows.kind)
                count[own] += 1
        # What may be nothing at all says so much less.
        anomaly = total / np.maximum(count, 1) * observations.sure
        out, who = np.full(len(clip), -np.inf), np.zeros(len(clip), np.int32)
        np.maximum.at(out, observations.look, anomaly)
        decides = np.flatnonzero(anomaly == out[observations.look])[::-1]
        who[observations.look[decides]] = observations.who[decides]
        return out, who

    def _share(self, part: str, worst: FloatArray) -> FloatArray:
        """Share of normal looks with something as unusual; beyond the most unusual one it goes on falling."""
        reference = self.reference[part]
        higher = len(reference) - np.searchsorted(reference, worst, side="left")
        # What lasts is seen at many looks; it counts as one that might have been seen.
        log_p = np.log((higher + _LASTS[part]) / (self.looks + _LASTS[part]))
        if len(reference) > _ENOUGH[part]:
            beyond = np.clip(worst - reference[-1], 0, None)
            log_p = log_p - np.minimum(_BEYOND[part] * np.where(np.isfinite(beyond), beyond, 0), _MOST_BEYOND)
        return np.where(np.isneginf(worst), 1.0, np.exp(np.minimum(log_p, 0)))

    def arrays(self) -> dict[str, NDArray[Any]]:
        """What was learned, by name; `from_arrays` makes it of them."""
        out: dict[str, NDArray[Any]] = {
            AROUND: np.array([name for name, _ in self.fits], _CAMERA),
            "surroundings_fold": np.array([fold for _, fold in self.fits], np.int64),
            "surroundings_stature": np.array([fit.stature for fit in self.fits.values()]),
            "surroundings_looks": np.array([self.looks], np.int64),
        }
        for part in self.parts:
            out[f"{part}_reference"] = self.reference[part]
            if part == STAYS:
                times = [t for fit in self.fits.values() if isinstance(t := fit.parts[part], StayTimes)]
                for name in ("stayed_s", "ended", "seconds"):
                    out[f"{part}_{name}"] = np.array([getattr(each, name) for each in times], np.float64)
                continue
            own = [i for fit in self.fits.values() if isinstance(i := fit.parts[part], Intensity)]
            out[f"{part}_points"] = np.concatenate([each.points for each in own])
            out[f"{part}_kinds"] = np.concatenate([each.kinds for each in own])
            out[f"{part}_of_fit"] = np.repeat(np.arange(len(own)), [len(each.points) for each in own])
            out[f"{part}_weight"] = np.array([each.weight for each in own])
            out[f"{part}_learned"] = np.array([each.looks for each in own], np.int64)
        return out

    @classmethod
    def from_arrays(cls, parts: tuple[str, ...], arrays: Mapping[str, NDArray[Any]]) -> FittedSurroundings:
        """What was learned, whose `arrays` these are, their shapes being right.

        Raises:
            ValueError: they are none.
        """
        names = surroundings_shapes(parts)
        if any(
            not np.isfinite(arrays[name]).all() for name, (_, kind) in names.items() if kind is np.float64
        ):
            raise ValueError("values that are not finite")
        keys = list(zip(arrays[AROUND], arrays["surroundings_fold"], strict=True))
        looks = int(arrays["surroundings_looks"][0])
        if looks < 0 or any((_ALL, fold) not in keys for _, fold in keys) or not keys:
            raise ValueError("expected what all cameras show, for each fold")
        fits: Fits = {}
        for number, (camera, fold) in enumerate(keys):
            learned: dict[str, Intensity | StayTimes] = {}
            for part in parts:
                if part == STAYS:
                    its = [arrays[f"{part}_{name}"][number] for name in ("stayed_s", "ended", "seconds")]
                    if min(float(np.min(each)) for each in its) < 0:
                        raise ValueError(f"{part}: expected times of 0 and more")
                    learned[part] = StayTimes(its[0], its[1], float(its[2]))
                    continue
                weight = float(arrays[f"{part}_weight"][number])
                if weight <= 0:
                    raise ValueError(f"{part}: expected a weight above 0, got {weight}")
                own = arrays[f"{part}_of_fit"] == number
                points, kinds = arrays[f"{part}_points"][own], arrays[f"{part}_kinds"][own]
                learned[part] = Intensity(part, points, kinds, weight, int(arrays[f"{part}_learned"][number]))
            fits[str(camera), int(fold)] = Fit(arrays["surroundings_stature"][number], learned)
        return cls(parts, fits, {part: np.sort(arrays[f"{part}_reference"]) for part in parts}, looks)


def surroundings_shapes(parts: tuple[str, ...]) -> dict[str, tuple[tuple[int | str, ...], Any]]:
    """Shapes and types of `FittedSurroundings.arrays`; a letter is a length that the file decides."""
    if not parts:
        return {}
    fits = "fits of surroundings"
    out: dict[str, tuple[tuple[int | str, ...], Any]] = {
        AROUND: ((fits,), _CAMERA),
        "surroundings_fold": ((fits,), np.int64),
        "surroundings_stature": ((fits, 2), np.float64),
        "surroundings_looks": ((1,), np.int64),
    }
    for part in parts:
        out[f"{part}_reference"] = (f"looks with {part}",), np.float64
        if part == STAYS:
            grid = (fits, CELLS[1], CELLS[0]), np.float64
            out |= {f"{part}_stayed_s": grid, f"{part}_ended": grid, f"{part}_seconds": ((fits,), np.float64)}
            continue
        points = f"points of {part}"
        out |= {
            f"{part}_points": ((points, len(NUMBERS[part])), np.float64),
            f"{part}_kinds": ((points,), np.int64),
            f"{part}_of_fit": ((points,), np.int64),
            f"{part}_weight": ((fits,), np.float64),
            f"{part}_learned": ((fits,), np.int64),
        }
    return out


def _stature(people: FloatArray) -> FloatArray:
    """How people's heights depend on where they stand, from (R, 2) feet and heights: slope, and height at the top."""
    if not len(people):
        return np.array(_NOBODY)
    foot, tall = people.T
    bins = np.minimum((foot * _BINS).astype(int), _BINS - 1)
    found = [
        (np.median(foot[bins == b]), np.median(tall[bins == b]), (bins == b).sum()) for b in np.unique(bins)
    ]
    x, y, weight = np.array(found, np.float64).T
    if len(found) < 2:
        return np.array([0.0, y[0]])
    slope, top = np.polyfit(x, y, 1, w=np.sqrt(weight))
    return np.array([max(slope, 0.0), top if slope > 0 else np.median(tall)])
