"""A pose estimator's and a tracker's errors on the street's exact joints.

What the estimator gets wrong is simulated with the sizes, shares and durations that were measured between the truth of
rendered clips and what BlazePose and the tracker found in them. So models can be compared on as many clips as
it takes, without rendering a picture.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from itertools import combinations

import numpy as np
from numpy.typing import NDArray
from scipy.signal import lfilter
from scipy.special import expit, ndtri

from pose_extract.errors import ConfigError
from pose_extract.skeletons import Skeleton, get_skeleton
from pose_extract.skeletons.similarity import box_iou
from pose_extract.tracks.records import ClipTracks

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

# Confidence of joints, log odds: mean and deviation for each kind of joint.
_CONFIDENCE = {"wrist": (1.6, 2.2), "elbow": (1.9, 2.0), "knee": (2.2, 1.6), "ankle": (2.8, 1.6)}
_SURE = (5.0, 0.8)  # trunk and head
# Share of people missed in a frame, by the share of their joints in sight.
_IN_SIGHT, _MISSED = (0.2, 0.5, 0.65, 0.8, 0.9, 1.0), (0.87, 0.76, 0.52, 0.25, 0.06, 0.03)


@dataclass(frozen=True)
class ErrorSettings:
    """How large and how frequent errors are; the defaults are as measured. Distances are shares of the larger side of
    the person's box, so errors in pixels grow with the person.

    Attributes:
        noise: standard deviation of a joint's error in each direction. Half of its variance stays for seconds.
        limbs: share of the time in which an elbow or knee is lost, twice that for wrists and ankles; joints out of
            sight are lost always.
        lost: standard deviation of a lost joint's error.
        dropped: share of the joints in sight that are not found at all (confidence 0).
        dropped_hidden: share of the joints out of sight that are not found at all (confidence 0).
        doubt: how much lower, in log odds, the confidence of a lost joint is.
        flipped: share of the time in which left and right legs are confused, the same for arms, and for all joints.
        missed: factor on the measured share of people who are missed, which grows with what is out of sight.
        box: standard deviation of the error of each side of a box.
        exchanged: chance that two people whose boxes overlap exchange their ids.
        restored: chance that they get them back soon afterwards.
        broken: chance that somebody who was missed for a quarter of a second or longer goes on under a new id.
    """

    noise: float = 0.014
    limbs: float = 0.06
    lost: float = 0.10
    dropped: float = 0.01
    dropped_hidden: float = 0.25
    doubt: float = 3.0
    flipped: tuple[float, float, float] = (0.06, 0.04, 0.025)
    missed: float = 1.1
    box: float = 0.03
    exchanged: float = 0.14
    restored: float = 0.95
    broken: float = 0.12

    def __post_init__(self) -> None:
        for field in fields(self):
            values = np.atleast_1d(getattr(self, field.name))
            top = 10.0 if field.name in ("doubt", "missed") else 1.0
            if not ((values >= 0) & (values <= top)).all():
                raise ConfigError(
                    f"street errors: expected {field.name} of 0 to {top:g}, got {getattr(self, field.name)}"
                )


def estimated(tracks: ClipTracks, seed: int, settings: ErrorSettings | None = None) -> ClipTracks:
    """The rows that an estimator and a tracker might have given for a clip's exact rows.

    Args:
        tracks: exact joints, confidence 1 in sight, below 1 out of sight, as `exact_tracks` makes them.
        seed: of everything random; the same arguments give the same rows.
        settings: of the errors; None for the measured ones.

    Returns:
        A copy without the people missed, rows ordered by frame, then by track; joints that are not found have
        confidence 0.
    """
    settings = settings or ErrorSettings()
    skeleton = get_skeleton(tracks.skeleton)
    rng = np.random.default_rng((seed, 17))
    keypoints, boxes = tracks.keypoints.copy(), tracks.boxes.astype(np.float64)
    found = np.ones(len(tracks), bool)
    for track in np.unique(tracks.track):
        rows = np.flatnonzero(tracks.track == track)
        side = (tracks.boxes[rows, 2:] - tracks.boxes[rows, :2]).max(axis=1).astype(np.float64)
        keypoints[rows] = _joints(
            keypoints[rows].astype(np.float64), side, skeleton, tracks.fps, rng, settings
        )
        boxes[rows] += settings.box * side[:, None] * drift(rng, (len(rows), 4), 0.5, tracks.fps)
        in_sight = (tracks.keypoints[rows, :, -1] >= 1).mean(axis=1)
        share = settings.missed * np.interp(in_sight, _IN_SIGHT, _MISSED)
        found[rows] = ~_spells(rng, share[:, None], 0.2, tracks.fps)[:, 0]
    boxes[:, 2:] = np.maximum(boxes[:, 2:], boxes[:, :2] + 1)
    ids = _identities(tracks, found, rng, settings)
    order = np.lexsort((ids, tracks.frame))
    order = order[found[order]]
    return replace(
        tracks,
        frame=tracks.frame[order],
        track=ids[order],
        keypoints=keypoints[order],
        boxes=boxes[order].astype(np.float32),
        features=None if tracks.features is None else tracks.features[order],
        provenance={**tracks.provenance, "errors": {"seed": seed}},
    )


def _joints(
    exact: Array,
    side: Array,
    skeleton: Skeleton,
    fps: float,
    rng: np.random.Generator,
    settings: ErrorSettings,
) -> Array:
    """One person's joints (L, V, 3) over time as they are estimated; side (L,) is the size of the box in pixels."""
    length, joints = exact.shape[:2]
    out_of_sight = exact[..., 2] < 1
    ends = np.array([name.endswith(("wrist", "ankle")) for name in skeleton.joints])
    middles = np.array([name.endswith(("elbow", "knee")) for name in skeleton.joints])
    # Some people, by their clothes or distance, and some stretches of time are harder than others.
    hard = np.exp(0.5 * rng.standard_normal() - 0.125)
    lost = out_of_sight | _spells(rng, hard * settings.limbs * (2.0 * ends + middles), 0.15, fps, length)
    swing = np.exp(0.4 * drift(rng, (length, 1, 1), 0.5, fps))
    quick, slow, far = (drift(rng, (length, joints, 2), seconds, fps) for seconds in (0.08, 2.0, 0.12))
    error = (
        settings.noise * hard * swing * (quick + slow) / np.sqrt(2) + settings.lost * far * lost[..., None]
    )
    where = exact[..., :2] + error * side[:, None, None]

    for share, part in zip(settings.flipped, (("knee", "ankle"), ("elbow", "wrist"), ("",)), strict=True):
        confused = _spells(rng, hard * np.array([share]), 0.1, fps, length)
        swap = confused & np.array([name.endswith(part) for name in skeleton.joints])
        where = np.where(swap[..., None], where[:, list(skeleton.mirror)], where)

    mean, deviation = np.array([_CONFIDENCE.get(name.split("_")[-1], _SURE) for name in skeleton.joints]).T
    odds = mean + deviation * drift(rng, (length, joints), 0.3, fps) - settings.doubt * lost
    absent = np.where(out_of_sight, settings.dropped_hidden, settings.dropped)
    confidence = np.where(_spells(rng, absent, 0.15, fps), 0.0, expit(odds))
    return np.concatenate([where, confidence[..., None]], axis=-1)


def drift(rng: np.random.Generator, shape: tuple[int, ...], seconds: float, fps: float) -> Array:
    """Noise of mean 0 and variance 1 along axis 0 whose correlation falls by e in ``seconds``."""
    kept = np.exp(-1 / (seconds * fps))
    white = rng.standard_normal(shape)
    white[1:] *= np.sqrt(1 - kept**2)
    return np.asarray(lfilter([1.0], [1.0, -kept], white, axis=0))


def _spells(
    rng: np.random.Generator, share: Array, seconds: float, fps: float, length: int | None = None
) -> Mask:
    """(L, n) true for a share of the time, in spells: where slowly varying noise is below the quantile of ``share``.

    ``share`` is (n,) for ``length`` frames, or (L, n) where it changes over time.
    """
    shape = share.shape if length is None else (length, *share.shape)
    return np.asarray(drift(rng, shape, seconds, fps) < ndtri(np.clip(share, 0.0, 1.0)))


def _identities(
    tracks: ClipTracks, found: Mask, rng: np.random.Generator, settings: ErrorSettings
) -> NDArray[np.int32]:
    """(M,) ids of the rows after exchanges between people who overlap and breaks where people were missed."""
    people = [int(t) for t in np.unique(tracks.track)]
    events: list[tuple[int, int, int]] = []  # frame, person, other person (0: a new id)
    patience = max(round(0.25 * tracks.fps), 1)
    for a, b in combinations(people, 2):
        for first, last in _encounters(tracks, a, b, patience):
            if rng.random() < settings.exchanged:
                at = int(rng.integers(first, last + 1))
                events.append((at, a, b))
                if rng.random() < settings.restored:
                    events.append((at + 1 + int(rng.exponential(0.3 * tracks.fps)), a, b))
    for person in people:
        frames = tracks.frame[(tracks.track == person) & found]
        for after in frames[1:][np.diff(frames) > patience]:
            if rng.random() < settings.broken:
                events.append((int(after), person, 0))
    ids = tracks.track.copy()
    fresh = max(people, default=0)
    for at, a, b in sorted(events):
        later = tracks.frame >= at
        mine = later & (tracks.track == a)
        if b:
            theirs = later & (tracks.track == b)
            if mine.any() and theirs.any():
                ids[mine], ids[theirs] = ids[theirs][0], ids[mine][0]
        else:
            fresh += 1
            ids[mine] = fresh
    return ids


def _encounters(tracks: ClipTracks, a: int, b: int, apart: int) -> list[tuple[int, int]]:
    """First and last frame of each time in which two people's boxes overlap by a quarter or more."""
    mine, theirs = (np.flatnonzero(tracks.track == track) for track in (a, b))
    frames, i, j = np.intersect1d(tracks.frame[mine], tracks.frame[theirs], return_indices=True)
    boxes, others = tracks.boxes[mine[i]], tracks.boxes[theirs[j]]
    overlap = np.array([box_iou(p[None], q[None])[0, 0] for p, q in zip(boxes, others, strict=True)])
    close = frames[overlap >= 0.25] if len(frames) else frames
    if not len(close):
        return []
    cuts = np.flatnonzero(np.diff(close) > apart) + 1
    return [(int(part[0]), int(part[-1])) for part in np.split(close, cuts)]
