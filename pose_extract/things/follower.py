"""Follow things over time: what they are, how they move, how long they stay, and with whom."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pose_extract.skeletons.similarity import box_containment, box_iou
from pose_extract.things.course import Course
from pose_extract.things.finder import Sighting, off_the_edge
from pose_extract.things.near import NearBoxes
from pose_extract.things.settings import ThingSettings
from pose_extract.tracking.association import PoseAssociator
from pose_extract.tracks.things import GONE, LEFT, PERSON, THING_TYPES, UNKNOWN, Things

_COAST_S = 0.8  # for which a thing that is not seen is waited for
_FEWEST_LOOKS = 3  # at which a thing was seen, before it is one
_LEAST_LIKE = 0.12
_STRAIGHT_ON = 0.2  # weight of OC-SORT's direction consistency
_SETTLED_S = 2.0  # in one place, after which something is left there, or gone from there
_PUT_DOWN_S = 1.0  # after which what is not seen is taken to be still there
_PROVEN_S = 0.5
_LARGE = 0.5  # statures: what is larger is sure to be there the sooner
_MISSED_S = 0.4  # for which a thing that is not seen is taken to be there,
_HELD_S = 2.0  # if it had stayed in one place, or has a name and goes on behind people,
_HIDDEN_S = 60.0  # and for which it may be hidden and come back
_BEHIND = 0.3  # share of a thing's place that people cover who may hide it
_MOST_THINGS = 64
_FIRST_S = 1.0  # of a stretch: who is there then may have stood there for long
_AROUND_PLACE = 0.3  # of a person's height, where their shadow and clothes reach
_MOST_PLACES, _SAME_PLACE, _OF_A_PLACE = 64, 0.5, 0.5
_PLACE = 0.35  # of a thing's longer side, within which it has not left its place
_PLACE_OF_A_PERSON = 0.5  # of a person's box's height
_BESIDE, _ALIKE = 0.35, 0.6  # statures between, statures a second of difference: moves with somebody
_NO_OUTLINE, _CLEAR_OUTLINE = 0.1, 0.6  # how much stronger edges are along it, in units of those around
_WITH = 0.5  # share of the last looks at which it moved with somebody
_STAYS = 1.4  # what is seen in one place for long, is there
_NAMED = 0.5  # sum of the detector's scores from which it has named a thing
_FORGET, _SURE = 0.9, 1.3  # by look, of the names that a detector gives; its best scores are about 0.8
_FIRST_SURE = 1.5  # times as sure as is asked for something without a name has to be once, to be a thing
_GOES = 1.0  # statures from where it was first seen, after which something is sure to move
_FILLED = 0.3  # share of its box that a whole thing fills at least


@dataclass
class _Thing:
    """One thing's course and what was seen of it."""

    number: int
    course: Course
    began_s: float
    size: NDArray[np.float64]
    box: NDArray[np.float64]
    looks: int = 0
    hidden_s: float = 0.0
    solid: float = 0.0
    outline: float = 0.0
    before: float = 0.0
    kinds: dict[int, float] = field(default_factory=dict)
    beside: dict[int, float] = field(default_factory=dict)
    from_them: dict[int, NDArray[np.float64]] = field(default_factory=dict)  # its middle, seen from theirs


class ThingFollower:
    """Gives the things of one stretch of a clip ids; memory does not grow with its length.

    Args:
        settings: see `ThingSettings`.
        fps: frames a second of the clip.
        frame_size: (width, height) in pixels.
        first_id: the lowest id that may be given.
    """

    def __init__(
        self, settings: ThingSettings, fps: float, frame_size: tuple[int, int], first_id: int = 1
    ) -> None:
        self._settings, self.next_id = settings, first_id
        self._frame_size = frame_size
        looks = min(fps, 1 / max(settings.interval_s, 1e-6))  # a second
        self._like = NearBoxes()
        coast_s = max(_COAST_S, 3 / looks)
        self._associator = PoseAssociator(self._like, looks, coast_s, _LEAST_LIKE, _STRAIGHT_ON)
        self._things: dict[int, _Thing] = {}
        self._people: dict[int, Course] = {}
        self._lost: list[int] = []  # keys of things that are not seen at this look
        self.holes: list[NDArray[np.float64]] = []  # of this look: where somebody left who was background
        self._stood: deque[NDArray[np.float64]] = deque(maxlen=_MOST_PLACES)  # where people were background
        self._began_s: float | None = None
        self._time_s = -np.inf
        self._looks_s = looks

    def update(
        self, time_s: float, seen: Sighting, ids: NDArray[np.int32], people: NDArray[np.float32]
    ) -> Things:
        """Take in what was seen at a look.

        Args:
            time_s: of the frame.
            seen: what was seen in it.
            ids: (P,) track ids of its people.
            people: (P, 4) their boxes.

        Returns:
            The frame's things that are surely such, and the people who stay in one place.
        """
        time_s = max(time_s, self._time_s + 0.1 / self._looks_s)
        self._time_s = time_s
        self._like.stature = seen.stature
        boxes = seen.boxes.astype(np.float64)
        boxes[:, 2:] = np.maximum(boxes[:, 2:], boxes[:, :2] + 1.0)
        none = np.zeros((len(boxes), 1, 3))
        keys = self._associator.update(boxes, none, np.zeros((len(boxes), 0)), time_s)
        self._follow_people(time_s, ids, people.astype(np.float64))
        rows, self.holes = [], []
        self._lost = [key for key in self._things if key not in keys]
        for row, key in enumerate(keys.tolist()):
            thing = self._see(key, time_s, boxes[row], seen, row)
            self._accompany(thing, boxes[row], seen.stature, ids, people)
            hole = thing.before > thing.outline and not _is_named(thing)
            if hole and self._is_left_by_a_person(boxes[row]):
                if thing.course.still_s >= _PROVEN_S and thing.looks >= _FEWEST_LOOKS:
                    self.holes.append(boxes[row])
            elif thing.looks >= _FEWEST_LOOKS:
                rows.append(self._row(thing, boxes[row], seen.stature))
        for thing in self._things.values():
            if self._holds(thing, people):
                rows.append(self._row(thing, self._expected(thing), seen.stature))
        for i, box in zip(ids.tolist(), people, strict=True):
            if self._people[i].still_s >= self._settings.stays_s:
                rows.append(self._stay(i, box))
        kept = sorted(self._things.items(), key=lambda item: -item[1].course.time_s)[:_MOST_THINGS]
        self._things = {k: t for k, t in kept if time_s - t.course.time_s <= self._memory_s(t)}
        found = _things_of(rows)
        return found.select((found.quality >= self._settings.min_quality) & (found.ids > 0))

    def named_boxes(self) -> NDArray[np.float64]:
        """(K, 4) where things are that a detector has named lately."""
        since_s, every = self._time_s - _HELD_S, self._things.values()
        return _rows_of([t.box for t in every if _is_named(t) and t.course.time_s >= since_s])

    def _follow_people(self, time_s: float, ids: NDArray[np.int32], boxes: NDArray[np.float64]) -> None:
        self._began_s = time_s if self._began_s is None else self._began_s
        for i, box in zip(ids.tolist(), boxes, strict=True):
            middle = (box[:2] + box[2:]) / 2
            course = self._people.setdefault(i, Course.begin(time_s, middle))
            course.update(time_s, middle, _PLACE_OF_A_PERSON * (box[3] - box[1]))
            # Who stood there from the beginning, or long, is background: the place differs when they have gone.
            if time_s - self._began_s < _FIRST_S or course.still_s >= _SETTLED_S:
                place = box + _AROUND_PLACE * (box[3] - box[1]) * np.array([-1, -1, 1, 1])
                if box_iou(place[None], _rows_of(self._stood)).max(initial=0) < _SAME_PLACE:
                    self._stood.append(place)
        # Who is lost for a moment, behind a post or another person, goes on staying.
        self._people = {i: c for i, c in self._people.items() if time_s - c.time_s <= 5.0}

    def _see(self, key: int, time_s: float, box: NDArray[np.float64], seen: Sighting, row: int) -> _Thing:
        middle, size = (box[:2] + box[2:]) / 2, box[2:] - box[:2]
        thing = self._things.get(key)
        if (
            thing is None or not thing.number
        ):  # the first that comes out from behind people may be a small part
            thing = self._found_again(key, box, int(seen.kinds[row])) or thing
        if thing is not None and thing.outline >= thing.before and self._is_a_hole(seen, row):
            thing = None  # it went on, and what is seen there now is a place that somebody has left
        if thing is None:
            thing = self._things[key] = _Thing(0, Course.begin(time_s, middle), time_s, size, box)
        thing.box = box
        thing.looks += 1
        share = max(0.15, 1 / thing.looks)
        thing.size = thing.size + share * (size - thing.size)
        thing.solid += share * (float(seen.solid[row]) - thing.solid)
        thing.outline += share * (float(seen.outline[row]) - thing.outline)
        thing.before += share * (float(seen.before[row]) - thing.before)
        thing.kinds = {k: _FORGET * v for k, v in thing.kinds.items()}
        kind = int(seen.kinds[row])
        if kind != UNKNOWN:
            thing.kinds[kind] = thing.kinds.get(kind, 0.0) + float(seen.score[row])
        thing.course.update(time_s, middle, _PLACE * float(thing.size.max()))
        return thing

    def _found_again(self, key: int, box: NDArray[np.float64], kind: int) -> _Thing | None:
        """A thing that was hidden or not found for a while, in its place or on its way, and is seen again now."""
        young = self._things.get(key)
        for old in self._lost:
            thing = self._things[old]
            if young is not None and not thing.number:
                continue
            places = [thing.box] if thing.course.still_s >= _PROVEN_S else []
            places += [self._expected(thing)] if _is_named(thing) else []
            again = box_iou(box[None], _rows_of(places)).max(initial=0) > _SAME_PLACE
            since = self._time_s if young is None else young.began_s
            if again or (_is_named(thing) and self._comes_out(thing, box, kind, since)):
                self._lost.remove(old)
                self._things[key] = self._things.pop(old)
                thing.hidden_s += self._time_s - thing.course.time_s
                return thing
        return None

    def _memory_s(self, thing: _Thing) -> float:
        if not thing.number:
            return 2 * _COAST_S
        return _HIDDEN_S if thing.course.still_s >= _PROVEN_S else _HELD_S

    def _holds(self, thing: _Thing, people: NDArray[np.float32]) -> bool:
        """Whether a thing that is not seen at this look is taken to be there."""
        if not thing.number or (_companion(thing) and not _is_named(thing)):  # a part of them, more likely
            return False
        lost_s, place = self._time_s - thing.course.time_s, self._expected(thing)[None]
        if thing.course.still_s >= _SETTLED_S:
            return 0 < lost_s <= _HELD_S
        # What was last seen at the picture's edge, or would be there now, has left.
        inside = (
            off_the_edge(thing.box[None], self._frame_size)[0] and off_the_edge(place, self._frame_size)[0]
        )
        somebody = self._people.get(_companion(thing))
        goes_on = somebody is not None and somebody.time_s >= self._time_s
        hidden = _is_named(thing) and (goes_on or box_containment(place, people).sum() >= _BEHIND)
        twice = (
            self._comes_out(thing, new.box, kind, new.began_s)
            for new in self._things.values()
            for kind in new.kinds
        )
        return bool(inside and 0 < lost_s <= (_HELD_S if hidden and not any(twice) else _MISSED_S))

    def _comes_out(self, thing: _Thing, box: NDArray[np.float64], kind: int, since_s: float) -> bool:
        """Whether what is seen since then is of a thing's kind and near where it should be: a part of it, at first."""
        off = (box[:2] + box[2:] - np.add(*np.split(self._expected(thing), 2))) / 2
        is_near = np.linalg.norm(off) < self._like.reach(thing.size)
        return bool(since_s > thing.course.time_s and kind in thing.kinds and is_near)

    def _expected(self, thing: _Thing) -> NDArray[np.float64]:
        """(4,) where a thing is by now, if it goes on as it went: in its place, with somebody, or straight on."""
        course, somebody = thing.course, self._people.get(_companion(thing))
        if course.still_s >= _PUT_DOWN_S:
            return thing.box
        if somebody is not None and somebody.time_s >= self._time_s:
            step = somebody.steady + thing.from_them[_companion(thing)] - course.middle
        else:
            step = course.velocity * (self._time_s - course.time_s)
        return thing.box + np.tile(step, 2)

    def _is_a_hole(self, seen: Sighting, row: int) -> bool:
        """Whether a region of one look is where somebody, who was background, has left."""
        gone = seen.kinds[row] == UNKNOWN and seen.before[row] > seen.outline[row]
        return bool(gone) and self._is_left_by_a_person(seen.boxes[row].astype(np.float64))

    def _is_left_by_a_person(self, box: NDArray[np.float64]) -> bool:
        return bool(box_containment(box[None], _rows_of(self._stood)).sum() > _OF_A_PLACE)

    def _accompany(
        self,
        thing: _Thing,
        box: NDArray[np.float64],
        stature: float,
        ids: NDArray[np.int32],
        people: NDArray[np.float32],
    ) -> None:
        """Note who is beside it and moves as it does."""
        thing.beside = {i: 0.85 * v for i, v in thing.beside.items() if v > 0.05}
        thing.from_them = {i: off for i, off in thing.from_them.items() if i in thing.beside}
        for i, other in zip(ids.tolist(), people, strict=True):
            gap = np.maximum(np.maximum(box[:2] - other[2:], other[:2] - box[2:]), 0.0)
            difference = np.linalg.norm(thing.course.velocity - self._people[i].velocity)
            if np.linalg.norm(gap) < _BESIDE * stature and difference < _ALIKE * stature:
                thing.beside[i] = thing.beside.get(i, 0.0) + 0.15
                thing.from_them[i] = thing.course.middle - self._people[i].steady

    def _row(self, thing: _Thing, box: NDArray[np.float64], stature: float) -> tuple[Any, ...]:
        course = thing.course
        age_s = course.time_s - thing.began_s
        soon = min(1.0, _LARGE * stature / float(thing.size.max()))  # what is large is no flicker
        seen_s = age_s - thing.hidden_s
        proven = min(1.0, seen_s / (soon * _PROVEN_S))
        proven *= min(1.0, thing.looks / max(1.0, seen_s * self._looks_s))
        steady = 1.0 if course.still_s > 1.0 else course.straight(0.05 * stature)
        named = max(thing.kinds.items(), key=lambda item: item[1], default=(UNKNOWN, 0.0))
        # With an object, an outline comes or goes; a shadow and a change of the light have none of their own.
        kind, edges = UNKNOWN, abs(thing.outline - thing.before)
        if course.still_s >= _SETTLED_S:
            kind = LEFT if thing.outline >= thing.before else GONE
        clear = float(np.clip((edges - _NO_OUTLINE) / (_CLEAR_OUTLINE - _NO_OUTLINE), 0, 1))
        # What moves goes somewhere; what trembles in its place does not.
        went = min(1.0, course.far / (_GOES * stature)) if kind == UNKNOWN else 1.0
        quality = min(1.0, thing.solid / _FILLED) * proven * steady * clear * went
        if named[1] > _NAMED:  # the mean score of the looks at which it was named, by how many these are
            so_far = (1 - _FORGET) / (1 - _FORGET**thing.looks)
            by_name = min(1.0, _SURE * sum(thing.kinds.values()) * so_far) * proven
            by_name = min(1.0, by_name * (_STAYS if course.still_s >= _SETTLED_S else 1.0))
            kind, quality = named[0], max(quality, by_name)  # what one does not see the other may
        # A detector knows what it names; little of what else differs from the background is a thing.
        enough = self._settings.min_quality * (1.0 if named[1] > _NAMED else _FIRST_SURE)
        if not thing.number and quality >= enough:
            thing.number, self.next_id = self.next_id, self.next_id + 1
        return (
            thing.number,
            kind,
            box,
            course.velocity,
            age_s,
            course.still_s,
            quality,
            _companion(thing),
        )

    def _stay(self, i: int, box: NDArray[np.float32]) -> tuple[Any, ...]:
        course = self._people[i]
        return i, PERSON, box, course.velocity, course.still_s, course.still_s, 1.0, i


def _companion(thing: _Thing) -> int:
    """The track id of the person whom it moves with, 0 where it is alone."""
    person, share = max(thing.beside.items(), key=lambda item: item[1], default=(0, 0.0))
    return person if share > _WITH else 0


def _is_named(thing: _Thing) -> bool:
    """Whether a detector is sure what it is."""
    return sum(thing.kinds.values()) > _NAMED


def _rows_of(boxes: Iterable[NDArray[np.float64]]) -> NDArray[np.float64]:
    """(K, 4) of K boxes."""
    return np.array([*boxes], np.float64).reshape(-1, 4)


def _things_of(rows: list[tuple[Any, ...]]) -> Things:
    """Of rows with what `Things` has, in its order."""
    if not rows:
        return Things.empty()
    columns = zip(THING_TYPES.items(), zip(*rows, strict=True), strict=True)
    return Things(**{name: np.array(column, kind) for (name, kind), column in columns})
