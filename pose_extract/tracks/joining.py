"""Join the tracks of a clip's pieces, each of which was looked at from a while before it begins.

What both of two neighbours have seen tells who is who: people, and things, whose boxes are the same for most of the
time that both are in view.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from pose_extract.skeletons.similarity import box_iou
from pose_extract.tracks.records import ClipTracks, cut_frames
from pose_extract.tracks.things import PERSON, ClipThings

_SAME_BOX = 0.5  # overlap from which two boxes of a frame are one person's, or thing's
_MOST_OF = 0.5  # of the frames in which both are there


class JoinError(ValueError):
    """Two neighbours have not seen the same frames."""


class Join(NamedTuple):
    """What became of a border between two pieces.

    Attributes:
        time_s: from when on the later one counts.
        people: how many were followed across.
        same: whether both pieces saw the same at that moment: nobody, or the same people to the bit.
    """

    time_s: float
    people: int
    same: bool


def joined(pieces: Iterable[tuple[ClipTracks, int]]) -> Iterator[tuple[ClipTracks, Join | None]]:
    """Yield a clip's tracks stretch by stretch, with ids that are one person's, or thing's, in all of it.

    From one piece to the next it goes over at the last moment when both see the same, nobody or the same people to the
    bit, if there is one in the second half of what both have seen, else at its end.

    Args:
        pieces: in order, each with how many of its first frames are the last ones of the piece before, too.

    Yields:
        Frames, which count from 0, of times that are the clip's; and how it goes on after them, None at the end.

    Raises:
        JoinError: what two pieces should both have seen are not the same frames.
    """
    held: ClipTracks | None = None
    most, most_things = 0, 0
    for piece, overlap in pieces:
        if not piece.frame_count:
            continue
        if held is None:
            held = piece
            continue
        if (spare := overlap - held.frame_count) > 0:
            piece, overlap = cut_frames(piece, spare, piece.frame_count), held.frame_count
        before = cut_frames(held, held.frame_count - overlap, held.frame_count)
        after = cut_frames(piece, 0, overlap)
        if not np.array_equal(before.time_s, after.time_s):
            raise JoinError("its pieces have not seen the same frames where they meet")
        at, same = _going_over(before, after)
        kept = cut_frames(held, 0, held.frame_count - overlap + at)
        most = max(most, int(kept.track.max(initial=0)))
        people = _same(before.frame, before.track, before.boxes, after.frame, after.track, after.boxes)
        rest = cut_frames(piece, at, piece.frame_count)
        ids = _numbered(rest.track, people, most)
        crossing = len(set(people) & set(rest.track.tolist()) & set(_ids_until(after, at)))
        if kept.things is not None and rest.things is not None:
            mine = kept.things.things
            most_things = max(most_things, int(mine.ids[mine.kinds != PERSON].max(initial=0)))
            rest = replace(rest, things=_things_on(before, after, rest, at, (people, ids), most_things))
        held = _renamed(rest, ids)
        yield kept, Join(float(piece.time_s[min(at, piece.frame_count - 1)]), crossing, same)
    if held is not None:
        yield held, None


def _going_over(before: ClipTracks, after: ClipTracks) -> tuple[int, bool]:
    """From which frame of what two pieces have both seen the later one counts, and whether both see the same then."""
    count = before.frame_count
    for frame in range(count - 1, count // 2 - 1, -1):
        boxes = [tracks.boxes[_rows_at(tracks.frame, frame)] for tracks in (before, after)]
        if len(boxes[0]) == len(boxes[1]) and (_sorted(boxes[0]) == _sorted(boxes[1])).all():
            return frame, True
    return count, count == 0


def _rows_at(frames: NDArray[np.int32], frame: int) -> slice:
    return slice(*np.searchsorted(frames, [frame, frame + 1]))


def _sorted(boxes: NDArray[np.float32]) -> NDArray[np.float32]:
    return boxes[np.lexsort(boxes.T)]


def _ids_until(tracks: ClipTracks, frame: int) -> list[int]:
    found: list[int] = tracks.track[tracks.frame < frame].tolist()
    return found


def _same(
    frame: NDArray[np.int32],
    ids: NDArray[np.int32],
    boxes: NDArray[np.float32],
    other_frame: NDArray[np.int32],
    other_ids: NDArray[np.int32],
    other_boxes: NDArray[np.float32],
) -> dict[int, int]:
    """Which id each other id is, of those that are the same: rows with frames, ids and boxes (M, 4) of each."""
    names, rows = np.unique(ids, return_inverse=True)
    other_names, other_rows = np.unique(other_ids, return_inverse=True)
    seen = np.zeros((len(other_names), len(names)), np.int64)
    same = seen.copy()
    for number in np.intersect1d(frame, other_frame).tolist():
        here, there = _rows_at(frame, number), _rows_at(other_frame, number)
        pairs = other_rows[there][:, None], rows[here][None]
        np.add.at(seen, pairs, 1)
        np.add.at(same, pairs, box_iou(other_boxes[there], boxes[here]) > _SAME_BOX)
    same[same < _MOST_OF * seen] = 0
    a, b = linear_sum_assignment(same, maximize=True)
    return {int(other_names[i]): int(names[j]) for i, j in zip(a, b, strict=True) if same[i, j]}


def _numbered(ids: NDArray[np.int32], known: dict[int, int], most: int) -> dict[int, int]:
    """A new id for each one that is not known, above ``most`` and above the known ones."""
    new = [i for i in np.unique(ids).tolist() if i not in known]
    first = max([most, *known.values()]) + 1
    return known | {i: number for number, i in enumerate(new, first)}


def _renamed(tracks: ClipTracks, ids: dict[int, int]) -> ClipTracks:
    """The same with other ids, each frame's rows in their order."""
    names = np.array([ids[i] for i in tracks.track.tolist()], np.int32)
    order = np.lexsort((names, tracks.frame))
    if not len(order) or (order == np.arange(len(order))).all():
        return replace(tracks, track=names)
    return replace(
        tracks,
        track=names[order],
        keypoints=tracks.keypoints[order],
        boxes=tracks.boxes[order],
        features=None if tracks.features is None else tracks.features[order],
    )


def _things_on(
    before: ClipTracks,
    after: ClipTracks,
    rest: ClipTracks,
    at: int,
    people: tuple[dict[int, int], dict[int, int]],
    most: int,
) -> ClipThings:
    """The things of a later piece from its frame ``at`` on, with ids, ages and stays that began before it did.

    Args:
        before: the earlier piece, of the frames that both have seen.
        after: the later one, of the same frames.
        rest: the later piece from ``at`` on.
        at: that frame.
        people: which id each of the later piece's people has who were there before, and all of them.
        most: the highest id of a thing so far.
    """
    assert before.things is not None
    assert after.things is not None
    assert rest.things is not None
    known = _same(*_rows_of_things(before.things), *_rows_of_things(after.things))
    found = rest.things.things
    is_thing = found.kinds != PERSON
    ids = _numbered(found.ids[is_thing], known, most)
    age, still = found.age_s.copy(), found.still_s.copy()
    since_s = rest.time_s[rest.things.frame] - found.still_s
    for of_things, same in ((True, known), (False, people[0])):
        for new, old in same.items():
            last = _last_seen_by_both(before.things, after.things, (old, new), of_things, at)
            if last is None:
                continue
            rows = (is_thing == of_things) & (found.ids == new)
            there, here = before.things.things.select(last[0]), after.things.things.select(last[1])
            age[rows] += max(0.0, float(there.age_s - here.age_s))
            stayed = rows & (since_s <= after.time_s[after.things.frame[last[1]]])
            still[stayed] += max(0.0, float(there.still_s - here.still_s))
    everybody = people[1] | {0: 0}
    names = [(ids if a else everybody).get(i, 0) for i, a in zip(found.ids.tolist(), is_thing, strict=True)]
    own = replace(
        found,
        ids=np.array(names, np.int32),
        age_s=age,
        still_s=still,
        person=np.array([everybody.get(i, 0) for i in found.person.tolist()], np.int32),
    )
    return replace(rest.things, things=own)


def _rows_of_things(found: ClipThings) -> tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.float32]]:
    rows = found.things.kinds != PERSON
    return found.frame[rows], found.things.ids[rows], found.things.boxes[rows]


def _last_seen_by_both(
    before: ClipThings, after: ClipThings, ids: tuple[int, int], is_thing: bool, at: int
) -> tuple[int, int] | None:
    """The rows of the last look before ``at`` at which both pieces had seen one thing, or stayer, by its ids."""
    rows = []
    for found, name in zip((before, after), ids, strict=True):
        mine = (found.things.ids == name) & ((found.things.kinds != PERSON) == is_thing) & (found.frame < at)
        rows.append(np.flatnonzero(mine))
    both = np.intersect1d(before.frame[rows[0]], after.frame[rows[1]])
    if not len(both):
        return None
    picked = [int(r[f.frame[r] == both[-1]][0]) for r, f in zip(rows, (before, after), strict=True)]
    return picked[0], picked[1]
