"""Follow last frame's people into this one to know where to look; identities are the tracker's."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float32]

_COAST_S = 0.4  # seconds for which a lost person is expected to move on as before
_WAIT_S = 2.0  # seconds for which one is looked for at all
_FADE_S = 0.3  # seconds in which the score of somebody who is hard to see falls by half


class FollowedRegions:
    """The people seen lately; row i of each array is one person.

    Somebody who is lost, behind a post or another person, is looked for where the movement so far would lead, at first
    in each frame, then in every fourth.

    Args:
        fps: frames a second.
        sure: quality of a skeleton that certainly is one.
        by_age: whether a lost person is waited for no longer than it had been in sight.
    """

    def __init__(self, fps: float, sure: float, by_age: bool = False) -> None:
        self._sure, self._by_age = sure, by_age
        self._coast = max(2, round(_COAST_S * fps))
        self._wait = max(5, round(_WAIT_S * fps))
        self._patience = max(3, round(fps))  # frames for which a doubtful skeleton is followed
        self._regions = np.zeros((0, 4), np.float32)
        self._shift = np.zeros((0, 2), np.float32)  # pixels a frame
        self._fade = 0.5 ** (1 / (_FADE_S * fps))
        self._scores = np.zeros(0, np.float32)
        self._lost = np.zeros(0, np.int64)  # frames since the last sight
        self._doubt = np.zeros(0, np.int64)  # frames since the last sure sight
        self._age = np.zeros(0, np.int64)  # frames in sight

    def expect(self) -> tuple[NDArray[np.intp], FloatArray]:
        """People to look for in the next frame, as rows (R,) for `update`, and the regions (R, 4) to look in."""
        rows = np.flatnonzero((self._lost < 2) | (self._lost % 4 == 0))
        regions = self._regions[rows]
        steps = np.minimum(self._lost[rows] + 1, self._coast)
        regions[:, :2] += self._shift[rows] * steps[:, None].astype(np.float32)
        return rows, regions

    def update(
        self, rows: NDArray[np.intp], regions: FloatArray, quality: FloatArray, scores: FloatArray
    ) -> FloatArray:
        """Take over what was found in a frame.

        Args:
            rows: (P,) who each person was before, as `expect` says; -1 for new ones.
            regions: (P, 4) where each one was found.
            quality: (P,) of each skeleton.
            scores: (P,) 0..1, what that quality is as a score.

        Returns:
            (P,) scores, 0..1: the one given, or what is left of the score before where that is more.
        """
        new = rows < 0
        step = (
            regions[:, :2] - self._regions[rows, :2] if len(self._regions) else np.zeros_like(regions[:, :2])
        )
        before = self._shift[rows] if len(self._regions) else step
        frames = (self._lost[rows] + 1)[:, None] if len(self._regions) else 1
        shift = np.where(new[:, None], 0.0, 0.5 * before + 0.5 * step / frames)
        doubt = np.where(new, 0, self._doubt[rows] + 1 if len(self._regions) else 0)
        doubt = np.where(quality > self._sure, 0, doubt)
        left = np.where(new, 0.0, self._fade * self._scores[rows] if len(self._regions) else 0.0)
        scores = np.maximum(scores, left).astype(np.float32)
        seen = doubt <= self._patience
        missing = np.setdiff1d(np.arange(len(self._regions)), rows)
        missing = missing[~self._replaced(missing, regions[new])]
        wait = np.minimum(self._wait, self._age[missing]) if self._by_age else self._wait
        missing = missing[(self._lost[missing] < wait) & (self._doubt[missing] <= self._patience)]
        age = np.where(new, 1, self._age[rows] + 1 if len(self._regions) else 1)
        self._age = np.concatenate([age[seen], self._age[missing]])
        self._regions = np.concatenate([regions[seen], self._regions[missing]])
        self._shift = np.concatenate([shift[seen], self._shift[missing]]).astype(np.float32)
        self._scores = np.concatenate([scores[seen], self._scores[missing] * self._fade]).astype(np.float32)
        self._lost = np.concatenate([np.zeros(int(seen.sum()), np.int64), self._lost[missing] + 1])
        self._doubt = np.concatenate([doubt[seen], self._doubt[missing]])
        return scores

    def _replaced(self, missing: NDArray[np.intp], newcomers: FloatArray) -> NDArray[np.bool_]:
        """(R,) whether a newcomer (N, 4) stands where a missing person was: it is the same one, found anew."""
        here, there = self._regions[missing], newcomers[:, :2]
        distance = np.linalg.norm(here[:, None, :2] - there[None], axis=2)
        return (distance < 0.12 * here[:, 2:3]).any(axis=1)
