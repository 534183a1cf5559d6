"""Describe what is around people, look by look: things, who stays where, and how a crowd moves.

Each is a set of observations, points with numbers: a thing's kind, size, speed and place; a stay's place and length; a
crowd's pace. No pixel is needed: they come from `ClipTracks`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from anomaly.settings.scoring import FLOW, STAYS, THINGS
from pose_extract.skeletons import get_skeleton
from pose_extract.skeletons.stature import FEWEST_STANDING, fit_figure
from pose_extract.tracks.records import ClipTracks
from pose_extract.tracks.things import GONE, LEFT, PERSON, UNKNOWN

FloatArray = NDArray[np.float64]

_FEWEST_IN_A_CROWD = 3
_LEAST_QUALITY = 0.4  # of a thing that counts
_STEP_S = 0.25  # over which people's speed is measured
_FLOW_S = 1.0  # a flow is what goes on for so long
_FASTEST = 0.75  # share of a crowd that is slower than its pace
_WALK = 0.7  # statures a second, of people who walk in a picture, towards the camera or across it
_WALKERS = 6  # so many of them are taken to go along with each crowd: of few people a pace says little
_STILL = 0.1  # statures a second: a thing that is slower lies or stands
_AT_THE_END_S = 1.0  # before a clip ends: who stays then may go on
AROUND_S = _FLOW_S + 2 * _STEP_S + 0.1
"""Seconds before a look that what is observed at it depends on."""
_GROUPS = {
    1: 0, 2: 1, 3: 1, 5: 1, 7: 1, 16: 2, 24: 3, 26: 3, 28: 3, 32: 4, 36: 5, UNKNOWN: 6, LEFT: 7, GONE: 8,
}  # fmt: skip
"""Kind -> what counts as alike: all vehicles, all bags."""

_MOST_KINDS = 256

# What the numbers of an observation are, and how far apart two of them are in which one is hardly like the other.
NUMBERS: dict[str, dict[str, float]] = {
    THINGS: {
        "size": 0.4, "aspect": 0.6, "speed": 0.6, "x": 0.25, "y": 0.25, "still": 0.6, "age": 0.5, "alone": 0.6,
        "quality": 0.2,
    },
    STAYS: {"x": 0.06, "y": 0.08, "still": 1.0},
    FLOW: {"pace": 0.15},
}  # fmt: skip


@dataclass(frozen=True)
class Observations:
    """The K observations of one part.

    Attributes:
        look: (K,) place of each one's look among those of the clip.
        who: (K,) id of the thing, or track id of the person; 0 of a crowd.
        foot: (K,) how far down the box ends, in heights of the frame.
        kind: (K,) what a thing counts as; of a stay 1 at the look before its end; else 0.
        numbers: (K, D) those of `NUMBERS`; sizes and speeds in heights of the frame, before any logarithm.
        sure: (K,) 0..1, how surely it is there.
    """

    look: NDArray[np.int64]
    who: NDArray[np.int32]
    foot: FloatArray
    kind: NDArray[np.int64]
    numbers: FloatArray
    sure: FloatArray

    def __len__(self) -> int:
        return len(self.look)

    def select(self, index: Any) -> Observations:
        """The rows that ``index`` (any NumPy index) picks."""
        return Observations(*(getattr(self, f.name)[index] for f in fields(self)))


@dataclass(frozen=True)
class ClipObservations:
    """The observations of a clip, or of a stretch of one.

    Attributes:
        frame: (L,) frame of each look.
        time_s: (L,) its time.
        parts: part -> its observations.
        people: (R, 2) foot and height of people's boxes, in heights of the frame, to tell how tall people are there.
    """

    frame: NDArray[np.int32]
    time_s: FloatArray
    parts: dict[str, Observations]
    people: FloatArray

    def __len__(self) -> int:
        return len(self.frame)


def observe(tracks: ClipTracks, parts: Sequence[str]) -> ClipObservations:
    """The observations of a clip in which things were looked for.

    Raises:
        ValueError: they were not.
    """
    things = tracks.things
    if things is None:
        raise ValueError("observe: expected a clip in which things were looked for")
    looked = things.looked
    made = {THINGS: _things, STAYS: _stays, FLOW: _flow}
    height = float(tracks.frame_size[1])
    seen = np.isin(tracks.frame, looked)
    people = np.stack([tracks.boxes[seen, 3], tracks.boxes[seen, 3] - tracks.boxes[seen, 1]], axis=1) / height
    return ClipObservations(
        looked, tracks.time_s[looked], {part: made[part](tracks) for part in parts}, people.astype(np.float64)
    )


def _things(tracks: ClipTracks) -> Observations:
    assert tracks.things is not None
    found, size = tracks.things.things, np.array(tracks.frame_size, np.float64)
    rows = np.flatnonzero((found.kinds != PERSON) & (found.quality >= _LEAST_QUALITY))
    found, height = found.select(rows), size[1]
    boxes = found.boxes.astype(np.float64)
    extent = np.maximum(boxes[:, 2:] - boxes[:, :2], 1.0) / height
    groups = np.full(_MOST_KINDS, _GROUPS[UNKNOWN])
    for kind, group in _GROUPS.items():
        groups[kind] = group
    numbers = np.column_stack(
        [
            np.sqrt(extent.prod(axis=1)),
            np.log(extent[:, 0] / extent[:, 1]),
            np.linalg.norm(found.velocity, axis=1) / height,
            (boxes[:, 0] + boxes[:, 2]) / 2 / size[0],
            boxes[:, 3] / height,
            found.still_s,
            found.age_s,
            found.person == 0,
            found.quality,
        ]
    )
    look = np.searchsorted(tracks.things.looked, tracks.things.frame[rows])
    return Observations(
        look, found.ids, boxes[:, 3] / height, groups[found.kinds], numbers, found.quality.astype(np.float64)
    )


def _stays(tracks: ClipTracks) -> Observations:
    assert tracks.things is not None
    every, (width, height) = tracks.things, tracks.frame_size
    rows = np.flatnonzero(every.things.kinds == PERSON)
    found, frame = every.things.select(rows), every.frame[rows]
    boxes = found.boxes.astype(np.float64)
    middle, foot = (boxes[:, 0] + boxes[:, 2]) / 2 / width, boxes[:, 3] / height
    look = np.searchsorted(every.looked, frame)
    # A stay ends where the person goes on, or is lost; not where the clip ends.
    order = np.lexsort((look, found.ids))
    goes_on = (np.diff(found.ids[order]) == 0) & (np.diff(found.still_s[order]) > 0)
    ends = np.zeros(len(rows), np.int64)
    ends[order[: len(rows)][np.append(~goes_on, True)[: len(rows)]]] = 1
    ends[tracks.time_s[frame] > tracks.time_s.max(initial=0) - _AT_THE_END_S] = 0
    numbers = np.column_stack([middle, foot, found.still_s])
    return Observations(look, found.ids, foot, ends, numbers, np.ones(len(rows)))


def _flow(tracks: ClipTracks) -> Observations:
    """Of crowds, at each look: how fast they have been in the last second, where there was one.

    A crowd's pace is the speed, in own statures a second, that a quarter of its people exceed, drawn towards that of
    people who walk: the more, the fewer people they are. How many there are says nothing else, since a crowd that walks
    is no flight, however large it is. Who runs is soon out of the picture: so a second counts.
    """
    assert tracks.things is not None
    if np.bincount(tracks.frame).max(initial=0) < _FEWEST_IN_A_CROWD:
        return _NO_CROWD
    foot_of = tracks.boxes[:, 3] / tracks.frame_size[1]
    joints = np.nan_to_num(tracks.keypoints)
    velocity, known = _velocities(tracks, joints)
    # A half hidden person's box is small and jumps: the figure that fits the joints tells how tall they are.
    tall = fit_figure(joints[:, None], get_skeleton(tracks.skeleton))[0]
    speed = np.linalg.norm(velocity, axis=1) / np.maximum(tall, tracks.boxes[:, 3] - tracks.boxes[:, 1])
    looked = tracks.things.looked
    seen = np.zeros((len(looked), 3))  # whether there is a crowd, how far down it stands, its pace
    for look, frame in enumerate(looked.tolist()):
        here = np.arange(*np.searchsorted(tracks.frame, [frame, frame + 1]))
        moving = here[known[here]]
        if len(moving) >= _FEWEST_IN_A_CROWD:
            pace = np.quantile(speed[moving], _FASTEST)
            share = len(moving) / (len(moving) + _WALKERS)
            seen[look] = 1, foot_of[moving].mean(), share * pace + (1 - share) * _WALK
    at = tracks.time_s[looked]
    since, until = np.searchsorted(at, at - _FLOW_S), np.arange(1, len(at) + 1)
    total = np.concatenate([np.zeros((1, 3)), np.cumsum(seen, axis=0)])
    count, foot, pace_of = (total[until] - total[since]).T
    which = np.flatnonzero(count > 0.5)
    none = np.zeros(len(which), np.int64)
    numbers = (pace_of[which] / count[which])[:, None]
    of_which = none.astype(np.int32), foot[which] / count[which], none
    return Observations(which, *of_which, numbers, np.ones(len(which)))


_NONE, _NUMBERS = np.zeros(0, np.int64), np.zeros(0)
_NO_CROWD = Observations(_NONE, _NONE.astype(np.int32), _NUMBERS, _NONE, np.zeros((0, 1)), _NUMBERS)


def _velocities(tracks: ClipTracks, joints: NDArray[np.float32]) -> tuple[FloatArray, NDArray[np.bool_]]:
    """(M, 2) pixels a second of each row's person, whose joints are (M, V, 3); (M,) whether that is known.

    It is the mean of the joints that are seen both now and a moment ago: one that comes or goes moves nobody.
    """
    velocity, known = np.zeros((len(tracks), 2)), np.zeros(len(tracks), bool)
    if not len(tracks):
        return velocity, known
    order = np.lexsort((tracks.frame, tracks.track))
    at = tracks.time_s[tracks.frame[order]]
    # One axis for everybody: each track's times in a span of its own.
    span = float(tracks.time_s[-1] - tracks.time_s[0] + 10 * _STEP_S)
    axis = np.unique(tracks.track[order], return_inverse=True)[1] * span + at - at.min()
    before = np.searchsorted(axis, axis - _STEP_S - 1e-6)
    step_s = axis - axis[before]
    now, then = joints[order], joints[order[before]]
    both = (now[..., 2] > 0) & (then[..., 2] > 0)
    count = both.sum(axis=1)
    moved = (step_s > _STEP_S / 2) & (step_s <= 2 * _STEP_S) & (count >= FEWEST_STANDING)
    shift = ((now - then)[..., :2] * both[..., None]).sum(axis=1) / np.maximum(count, 1)[:, None]
    known[order] = moved
    velocity[order[moved]] = shift[moved] / step_s[moved, None]
    return velocity, known


def described(part: str, observations: Observations, stature: FloatArray) -> FloatArray:
    """(K, D) numbers of observations, where a difference means the same: logarithms of sizes, speeds and times.

    Args:
        part: whose observations they are.
        observations: these.
        stature: (K,) how tall people are where each one is, in heights of the frame.
    """
    out = observations.numbers.copy()
    column = dict(zip(NUMBERS[part], out.T, strict=True))  # what is changed here is changed in `out`
    if "size" in column:
        column["size"][:] = np.log(column["size"] / stature)
    if "speed" in column:
        column["speed"][:] = np.log(column["speed"] / stature + _STILL)
    if part != STAYS:
        for name in {"still", "age"} & column.keys():
            column[name][:] = np.log1p(column[name])
    return out


def joined(clips: Sequence[ClipObservations], part: str) -> Observations:
    """The observations of a part of several clips; looks count on from clip to clip."""
    starts = np.cumsum([0, *(len(clip) for clip in clips)])[:-1]
    every = [clip.parts[part] for clip in clips]
    columns: dict[str, Any] = {
        f.name: np.concatenate([getattr(observations, f.name) for observations in every])
        for f in fields(Observations)
    }
    look = np.concatenate(
        [observations.look + start for observations, start in zip(every, starts, strict=True)]
    )
    return Observations(**columns | {"look": look})
