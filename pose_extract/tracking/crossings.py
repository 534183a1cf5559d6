"""Detect identities exchanged in a crossing: does everybody still wear the clothes that they wore before?

While two people overlap, detections are merged, missed and taken for one another, and the association may come out of
it with the two exchanged. Each tracklet therefore keeps a profile of its colours that is frozen while it overlaps
another one. When people are apart again, what they wear now is compared with both profiles, and exchanged ids are
put right.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from pose_extract.skeletons.similarity import box_containment
from pose_extract.tracking.association import OVERLAP
from pose_extract.tracking.clothing import colour_similarity

_WAIT_S = 0.5  # for the other one of the two to be seen alone, before one of them must do
_MEAN_IS_SURER = 0.15  # the mean of several sightings must be more alike than a single one
_PROFILE_S = 2.0  # memory of a profile


@dataclass
class Clothes:
    """What a tracklet wears.

    Attributes:
        profile: clothing histogram from times when nobody overlapped it; None until then.
        sightings: how many detections are in the profile.
        fresh: its colours since it was last overlapped, while that has not been compared yet.
        fresh_sightings: how many detections are in ``fresh``.
        met: keys of the tracklets that it overlapped since its profile was last confirmed.
        apart_since: when it was first seen alone again, seconds.
    """

    profile: NDArray[np.float64] | None = None
    sightings: int = 0
    fresh: NDArray[np.float64] | None = None
    fresh_sightings: int = 0
    met: set[int] = field(default_factory=set)
    apart_since: float = 0.0

    def confirm(self, memory: int) -> None:
        """Take what was seen since the last encounter into the profile."""
        if self.fresh is not None:
            if self.profile is None:
                self.profile, self.sightings = self.fresh, self.fresh_sightings
            else:
                share = self.fresh_sightings / (self.fresh_sightings + min(self.sightings, memory))
                self.profile = (1 - share) * self.profile + share * self.fresh
                self.sightings += self.fresh_sightings
        self.fresh, self.fresh_sightings = None, 0
        self.met.clear()


class ClothingMemory:
    """Keeps everybody's clothes and finds exchanged people.

    Args:
        fps: frames a second.
        margin: how much better (0..1) the clothes must fit the exchanged way.
        min_colour: least similarity of what one person wears before and after an encounter, 0..1.
    """

    def __init__(self, fps: float, margin: float, min_colour: float) -> None:
        self._margin, self._min_colour = margin, min_colour
        self._enough = max(2, round(0.25 * fps))
        self._memory = max(5, round(_PROFILE_S * fps))
        self.clothes: dict[int, Clothes] = {}

    def profile(self, key: int) -> NDArray[np.float64] | None:
        """Colours of a tracklet from times when nobody overlapped it, else what there is, else None."""
        clothes = self.clothes.get(key)
        if clothes is None:
            return None
        return clothes.fresh if clothes.profile is None else clothes.profile

    def update(
        self, keys: Sequence[int], boxes: NDArray[np.float64], colours: NDArray[np.float64], time_s: float
    ) -> list[tuple[int, int | None]]:
        """Take in one frame; returns pairs of tracklets that have been exchanged.

        A pair with None is a tracklet that has gone over to somebody who is none of those that it met.

        Args:
            keys: of the frame's P tracklets.
            boxes: (P, 4) px.
            colours: (P, B) clothing histograms; zeros where unknown.
            time_s: of the frame.
        """
        inside = box_containment(boxes, boxes)
        touching = np.maximum(inside, inside.T) > OVERLAP
        np.fill_diagonal(touching, False)
        for row, key in enumerate(keys):
            clothes = self.clothes.setdefault(key, Clothes())
            if touching[row].any():
                clothes.met.update(keys[int(other)] for other in np.flatnonzero(touching[row]))
                clothes.fresh, clothes.fresh_sightings = None, 0
            elif colours[row].any():
                if clothes.fresh is None:
                    clothes.fresh, clothes.apart_since = colours[row], time_s
                clothes.fresh_sightings += 1
                clothes.fresh = clothes.fresh + (colours[row] - clothes.fresh) / clothes.fresh_sightings
                if not clothes.met and clothes.sightings < self._enough:
                    clothes.confirm(self._memory)
        changed: list[tuple[int, int | None]] = []
        for key in keys:
            if any(key in pair for pair in changed):
                continue
            wrong, other = self._review(key, time_s)
            if wrong and not any(other in pair for pair in changed if other is not None):
                changed.append((key, other))
        return changed

    def exchange(self, a: int, b: int) -> None:
        """Two tracklets have been exchanged: each goes on with the other's profile."""
        first, second = self.clothes[a], self.clothes[b]
        first.profile, second.profile = second.profile, first.profile
        first.sightings, second.sightings = second.sightings, first.sightings
        self.settle_exchange(a, b)

    def wears(self, key: int, owner: int, rather_than: int) -> bool:
        """Whether what a tracklet wears is known, and is rather the clothes of one tracklet than of another."""
        seen, one, other = self.profile(key), self.clothes[owner].profile, self.clothes[rather_than].profile
        if seen is None or one is None or other is None:
            return False
        fits = [colour_similarity(seen[None], clothes[None]).item() for clothes in (one, other)]
        return fits[0] > fits[1] + self._margin

    def settle_exchange(self, a: int, b: int) -> None:
        """The question who is who of these two is answered."""
        for key, other in ((a, b), (b, a)):
            clothes = self.clothes[key]
            clothes.met.discard(other)
            if not clothes.met and clothes.fresh_sightings >= self._enough:
                clothes.confirm(self._memory)

    def forget(self, keep: set[int]) -> None:
        """Drop all tracklets but these."""
        self.clothes = {key: clothes for key, clothes in self.clothes.items() if key in keep}

    def split(self, key: int, new_key: int) -> None:
        """What ``key`` was seen in since its last encounter is somebody else's, now called ``new_key``."""
        clothes = self.clothes[key]
        self.clothes[new_key] = Clothes(clothes.fresh, clothes.fresh_sightings)
        clothes.fresh, clothes.fresh_sightings = None, 0
        clothes.met.clear()

    def _review(self, key: int, time_s: float) -> tuple[bool, int | None]:
        """Whether ``key`` has gone over to somebody else, and to whose clothes, if they are known."""
        own = self.clothes[key]
        if own.fresh_sightings < self._enough:
            return False, None
        own.met = {other for other in own.met if other in self.clothes}
        best, exchanged, waiting = 0.0, None, False

        for other in sorted(own.met):
            theirs = self.clothes[other]
            if own.profile is None or theirs.profile is None:
                continue
            both = theirs.fresh_sightings >= self._enough and key in theirs.met
            if not both and time_s - own.apart_since < _WAIT_S:
                waiting = True
                continue
            gain = _fit(own, theirs) - _fit(own, own)
            if both:
                gain = (gain + _fit(theirs, own) - _fit(theirs, theirs)) / 2
            if gain > max(best, self._margin if both else 1.5 * self._margin):
                best, exchanged = gain, other
        if exchanged is not None:
            return True, exchanged
        if waiting:
            return False, None
        if own.sightings >= self._enough and _fit(own, own) < self._min_colour + _MEAN_IS_SURER:
            return True, None
        own.confirm(self._memory)
        return False, None


def _fit(wearer: Clothes, owner: Clothes) -> float:
    """Similarity of what one wears now and the other wore before."""
    assert wearer.fresh is not None
    assert owner.profile is not None
    return colour_similarity(wearer.fresh[None], owner.profile[None]).item()
