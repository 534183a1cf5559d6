"""Make one window of a person's whole clip, or of two people's (coarse-grained setting, section 4.2)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from anomaly.data.resampling import forward, interpolate, person_tracks
from anomaly.settings import WindowSettings
from pose_extract.tracks.records import ClipTracks


@dataclass(frozen=True)
class _Person:
    """One track: its id, the times (n,) it is seen at, and its joints (n, V, D + 1) there, NaN where missing."""

    track: int
    time_s: NDArray[np.float64]
    points: NDArray[np.float64]

    def at(self, times: NDArray[np.float64]) -> NDArray[np.float64]:
        """The joints (T, V, D + 1) at some times, missing before the track's first frame and after its last."""
        values, _ = interpolate(self.time_s, self.points, times)
        absent = (times < self.time_s[0] - 1e-9) | (times > self.time_s[-1] + 1e-9)
        values[absent] = _nobody(values[absent].shape)
        return values


def whole_clip(
    tracks: ClipTracks, keypoints: NDArray[np.float32], settings: WindowSettings
) -> Iterator[tuple[NDArray[np.float64], int, int, tuple[float, float]]]:
    """The windows of a clip taken whole: joints (T, V, D + 1), track, partner's track or 0, first and last second.

    T times spread evenly over the time from a person's first frame to its last; joints lie on the straight line between
    the frames around each, across gaps too. With two people, the two who are seen in most frames (the lower id among
    equals) share one window over the time in which either is seen.
    """
    found = [
        _Person(track, time_s[later], points[later])
        for track, rows, points in person_tracks(tracks, keypoints, settings)
        for time_s in (tracks.time_s[tracks.frame[rows]],)
        for later in (forward(time_s),)
        if later.sum() >= settings.min_frames
    ]
    if settings.people == 1:
        for person in found:
            times = np.linspace(person.time_s[0], person.time_s[-1], settings.frames)
            yield person.at(times), person.track, 0, (times[0], times[-1])
    elif found:
        found.sort(key=lambda person: -len(person.time_s))  # stable: ids rise
        pair = found[:2]
        first, last = min(p.time_s[0] for p in pair), max(p.time_s[-1] for p in pair)
        times = np.linspace(first, last, settings.frames)
        joints = [person.at(times) for person in pair]
        if len(pair) == 1:
            joints.append(_nobody(joints[0].shape))
        partner = pair[1].track if len(pair) == 2 else 0
        yield np.concatenate(joints, axis=1), pair[0].track, partner, (first, last)


def _nobody(shape: tuple[int, ...]) -> NDArray[np.float64]:
    """Joints of which none is seen."""
    out = np.full(shape, np.nan)
    out[..., -1] = 0
    return out
