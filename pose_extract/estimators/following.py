"""Follow last frame's people into this one to know where to look; identities are the tracker's."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pose_extract.skeletons.similarity import box_containment

FloatArray = NDArray[np.float32]

_COAST_S = 0.4  # seconds for which a lost person is expected to move on as before
_WAIT_S = 2.0  # seconds for which one is looked for at all
_FADE_S = 0.3  # seconds in which the score of somebody who is hard to see falls by half
_SAME_PLACE = (
    0.5  # share of a newcomer's box within that of somebody who is held, from which it is the same person
)
_TALL_S = 5.0  # half-life of the memory of how tall somebody was
_DOWN = 0.75  # of that height: who is lower is on the way down
_SETTLED_S = 1.0  # seconds in sight after which somebody who is lost may be held


class _People(NamedTuple):
    """People who are followed; row i of each array is one.

    Attributes:
        regions: (R, 4) where each was seen last.
        shift: (R, 2) pixels a frame.
        boxes: (R, 4) likewise.
        scores: (R,) 0..1.
        lost: (R,) frames since the last sight.
        doubt: (R,) frames since the last sure sight.
        age: (R,) frames in sight.
        tall: (R,) height of the tallest box lately, pixels.
        held: (R,) whether something says that the person is still there.
    """

    regions: FloatArray
    shift: FloatArray
    boxes: FloatArray
    scores: FloatArray
    lost: NDArray[np.int64]
    doubt: NDArray[np.int64]
    age: NDArray[np.int64]
    tall: FloatArray
    held: NDArray[np.bool_]

    @classmethod
    def empty(cls, count: int = 0) -> _People:
        """People of whom nothing is known."""
        place, number = np.zeros((count, 4), np.float32), np.zeros(count, np.int64)
        score, shift = np.zeros(count, np.float32), np.zeros((count, 2), np.float32)
        return cls(place, shift, place, score, number, number, number, score, np.zeros(count, bool))

    def pick(self, index: Any) -> _People:
        """The rows that ``index`` (any NumPy index) picks."""
        return _People(*(array[index] for array in self))

    def join(self, other: _People) -> _People:
        """Theirs after these."""
        pairs: Any = zip(self, other, strict=True)
        return _People(*(np.concatenate(pair) for pair in pairs))


class FollowedRegions:
    """The people seen lately.

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
        self._settled = max(3, round(_SETTLED_S * fps))
        self._fade = 0.5 ** (1 / (_FADE_S * fps))
        self._shrink = 0.5 ** (1 / (_TALL_S * fps))
        self._people = _People.empty()

    def expect(self) -> tuple[NDArray[np.intp], FloatArray]:
        """People to look for in the next frame, as rows (R,) for `update`, and the regions (R, 4) to look in."""
        people = self._people
        rows = np.flatnonzero(
            ((people.lost < 2) | (people.lost % 4 == 0)) & (people.held | (people.doubt <= self._patience))
        )
        regions = people.regions[rows]
        regions[:, :2] += self._moved(people.pick(rows), 1)
        return rows, regions

    def doubtful(self, rows: NDArray[np.intp]) -> NDArray[np.bool_]:
        """(R,) whether each of some people has not been surely seen for so long that only a sure sight counts."""
        return self._people.doubt[rows] > self._patience

    def steady(self, rows: NDArray[np.intp], boxes: FloatArray) -> FloatArray:
        """Return boxes (P, 4) that tremble less than the joints that they are drawn around.

        The middle is that of now, the size half that of now and half that of the last sight; ``rows`` as in `update`.
        """
        before = self._people.join(_People.empty(1)).pick(rows).boxes
        middle, size = (boxes[:, :2] + boxes[:, 2:]) / 2, boxes[:, 2:] - boxes[:, :2]
        known = (rows >= 0)[:, None]
        size = np.where(known, (size + before[:, 2:] - before[:, :2]) / 2, size) / 2
        return np.concatenate([middle - size, middle + size], axis=1).astype(np.float32)

    def update(
        self,
        rows: NDArray[np.intp],
        regions: FloatArray,
        boxes: FloatArray,
        quality: FloatArray,
        scores: FloatArray,
    ) -> FloatArray:
        """Take over what was found in a frame.

        Args:
            rows: (P,) who each person was before, as `expect` says; -1 for new ones.
            regions: (P, 4) where each one was found.
            boxes: (P, 4) likewise.
            quality: (P,) of each skeleton.
            scores: (P,) 0..1, what that quality is as a score.

        Returns:
            (P,) scores, 0..1: the one given, or what is left of the score before where that is more.
        """
        new = rows < 0
        before = self._people.join(_People.empty(1)).pick(rows)  # of new ones the last row, of nobody
        step = (regions[:, :2] - before.regions[:, :2]) / (before.lost + 1)[:, None]
        shift = np.where(new[:, None], 0.0, 0.5 * before.shift + 0.5 * step).astype(np.float32)
        doubt = np.where(new | (quality > self._sure), 0, before.doubt + 1)
        scores = np.maximum(scores, self._fade * before.scores).astype(np.float32)
        missing = np.setdiff1d(np.arange(len(self._people.lost)), rows)
        replaced = self._replaced(missing, rows, regions, boxes)
        others = self._people.pick(missing[~replaced.any(1)])
        age = 1 + np.maximum(before.age, (replaced * self._people.age[missing][:, None]).max(0, initial=0))
        tired = doubt > self._patience
        lost, held = np.where(tired, self._coast, 0), np.zeros(len(rows), bool)
        was_tall = np.maximum(before.tall, (replaced * self._people.tall[missing][:, None]).max(0, initial=0))
        tall = np.maximum(boxes[:, 3] - boxes[:, 1], self._shrink * was_tall).astype(np.float32)
        seen = _People(regions, shift, boxes, scores, lost, doubt, age, tall, held)
        wait = np.minimum(self._wait, others.age) if self._by_age else self._wait
        wanted = others.held | ((others.lost < wait) & (others.doubt <= self._patience))
        others = others._replace(lost=others.lost + 1, scores=(others.scores * self._fade).astype(np.float32))
        self._people = seen.pick(~tired | (seen.age >= self._settled)).join(others.pick(wanted))
        return scores

    def lost(self) -> tuple[NDArray[np.intp], FloatArray]:
        """People out of sight who had been in sight for a while and were going down, or down, when seen last.

        Who vanishes upright has walked behind something, or out of the picture.

        Returns:
            rows (R,) for `hold`, boxes (R, 4) by now.
        """
        people = self._people
        extent = people.boxes[:, 2:] - people.boxes[:, :2]
        down = (
            (extent[:, 1] < _DOWN * people.tall) | (extent[:, 1] < extent[:, 0]) | (people.regions[:, 3] != 0)
        )
        rows = np.flatnonzero((people.lost >= 1) & (people.age >= self._settled) & (down | people.held))
        people = people.pick(rows)
        return rows, people.boxes + np.tile(self._moved(people, 0), 2)

    def hold(self, rows: NDArray[np.intp], boxes: FloatArray) -> None:
        """Go on looking for these people, of those who are lost, and for no others for ever.

        Args:
            rows: (R,) as `lost` says.
            boxes: (R, 4) where each one must be. Who has been lost for a while is taken to lie still there.
        """
        people = self._people
        people.held[:] = False
        people.held[rows] = True
        still = people.lost[rows] >= self._coast
        rows, boxes = rows[still], boxes[still]
        people.boxes[rows], people.shift[rows] = boxes, 0
        people.regions[rows, :2] = (boxes[:, :2] + boxes[:, 2:]) / 2

    def _moved(self, people: _People, ahead: int) -> FloatArray:
        """How far people have moved on since they were seen last, and will have in so many frames: (R, 2) pixels."""
        steps = np.minimum(people.lost + ahead, self._coast)
        return people.shift * steps[:, None].astype(np.float32)

    def _replaced(
        self, missing: NDArray[np.intp], rows: NDArray[np.intp], regions: FloatArray, boxes: FloatArray
    ) -> NDArray[np.bool_]:
        """(R, P) whether a newcomer stands, or lies, where a missing person was: it is the same one, found anew."""
        people = self._people.pick(missing)
        distance = np.linalg.norm(people.regions[:, None, :2] - regions[None, :, :2], axis=2)
        same = distance < 0.12 * people.regions[:, 2:3]
        same |= people.held[:, None] & (box_containment(boxes, people.boxes).T > _SAME_PLACE)
        return (rows < 0) & same
