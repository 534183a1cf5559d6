"""Where and when things come: each scenario is planned around the people who are in the street anyhow."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from pipeline.synthetic.motion.acts import HANDLEBAR
from pipeline.synthetic.motion.behaviours import BEHAVIOURS, flight_turn
from pipeline.synthetic.motion.body import INDEX, SIDES, Array
from pipeline.synthetic.motion.gait import random_style
from pipeline.synthetic.street.plan import (
    Person,
    Visit,
    carry_out,
    clearance,
    place_people,
    plan_visits,
    random_body,
    random_spot,
)
from pipeline.synthetic.street.scene import Camera, StreetSettings
from pipeline.synthetic.things.kinds import KINDS, Kind
from pipeline.synthetic.things.moving import bouncing, driving, trotting
from pipeline.synthetic.things.shapes import STRAPS, bag_height
from pipeline.synthetic.things.thing import Thing

# Seconds after which a stay is longer than any normal one: that of people who talk, and their turning round after it.
LONGEST_STAY = max(BEHAVIOURS[act].seconds[1] for act in ("standing", "talking", "stopping")) + 1.0
ALONE = 1.5  # metres between a bag and its owner from which on it stands alone
TRIES, BAG_TRIES = 24, 6


@dataclass
class Scene:
    """What scenarios add to a clip.

    Attributes:
        people: who comes with them.
        things: what comes with them.
        stays: (person, frame from which on they have stayed too long).
    """

    people: list[Person] = field(default_factory=list)
    things: list[Thing] = field(default_factory=list)
    stays: list[tuple[Person, int]] = field(default_factory=list)


def plan_scenarios(
    rng: np.random.Generator, settings: StreetSettings, kinds: Sequence[str], others: Sequence[Person]
) -> Scene:
    """Plan the scenarios ``kinds`` (names in `KINDS`) among the people who are there, ``others``."""
    scene, length = Scene(), settings.frames / settings.fps
    passing = [KINDS[name] for name in kinds if KINDS[name].spacing]
    if passing:
        events = max(len(passing), round(length / float(np.mean([kind.spacing for kind in passing]))), 1)
        for i in range(events):
            kind = passing[i % len(passing)]
            middle = length / events * (i + 0.5 + float(rng.uniform(-0.15, 0.15)))
            _PASSING[kind.name](rng, settings, kind, middle, [*others, *scene.people], scene)
    for name in kinds:
        if not KINDS[name].spacing:
            _ONCE[name](rng, settings, length, [*others, *scene.people], scene)
    return scene


def _beside(
    rng: np.random.Generator, settings: StreetSettings, kind: Kind, middle: float,
    others: Sequence[Person], scene: Scene,
) -> None:  # fmt: skip
    """Somebody who walks with a bicycle beside them, or with a pram before them."""
    side = int(rng.integers(2))

    def holding(visit: Visit) -> Visit:
        # One hand on the saddle is held as in a pocket, which is usual; a pram takes both.
        carry = [0, 0]
        carry[side] = 1
        held = (4, 4) if kind.name == "pram" else (carry[0], carry[1])
        return replace(_along(rng, visit), style=replace(visit.style, carry=held))

    (person,) = place_people(rng, settings, "walking", middle, None, others, 1.1, holding)
    sign = float(SIDES[side])
    ahead, left = (0.36, 0.0) if kind.name == "pram" else (0.12 - HANDLEBAR[0], sign * (0.31 + HANDLEBAR[1]))
    scene.people.append(person)
    scene.things.append(_with(person, kind.name, int(rng.integers(2**31)), ahead, left))


def _along(rng: np.random.Generator, visit: Visit, turn: float = 0.0) -> Visit:
    """A visit that leads along the street, and so soon out of the picture; they look ``turn`` radians to the left."""
    heading = float(rng.choice([0.0, np.pi]) + rng.uniform(-0.4, 0.4)) + turn
    return replace(visit, anchor=(*visit.anchor[:3], heading))


def _with(person: Person, kind: str, look: int, ahead: float, left: float) -> Thing:
    """A thing that is moved by a person, so many metres ahead of them and to their left."""
    cos, sin = np.cos(person.heading), np.sin(person.heading)
    place = np.stack(
        [
            person.path[:, 0] + ahead * cos - left * sin,
            person.path[:, 1] + ahead * sin + left * cos,
            np.zeros_like(cos),
        ],
        axis=-1,
    )
    always = np.ones(len(place), bool)
    return Thing(kind, look, person.first, place, person.heading, person.path_length, always, always, person)


def _gliding(
    rng: np.random.Generator, settings: StreetSettings, kind: Kind, middle: float,
    others: Sequence[Person], scene: Scene,
) -> None:  # fmt: skip
    """Somebody on a skateboard, which goes to their side."""

    def across(visit: Visit) -> Visit:
        return _along(rng, visit, -visit.style.side * np.pi / 2)

    (person,) = place_people(rng, settings, "gliding", middle, None, others, 0.9, across)
    board = _with(person, kind.name, int(rng.integers(2**31)), 0.0, 0.0)
    scene.people.append(person)
    scene.things.append(replace(board, heading=person.heading + person.visit.style.side * np.pi / 2))


def _alone(
    rng: np.random.Generator, settings: StreetSettings, kind: Kind, middle: float,
    others: Sequence[Person], scene: Scene,
) -> None:  # fmt: skip
    """A car, a dog or a ball that crosses the picture and meets nobody, if that can be."""
    look, best = int(rng.integers(2**31)), None
    for _ in range(TRIES):
        place, heading, travelled = _MOVES[kind.name](rng, settings, middle)
        gap = _gap(place, heading, kind, others, settings)
        if best is None or gap > best[0]:
            best = gap, place, heading, travelled
        if gap > 0.5:
            break
    assert best is not None
    always = np.ones(settings.frames, bool)
    scene.things.append(Thing(kind.name, look, 0, *best[1:], always, always))


def _gap(
    place: Array, heading: Array, kind: Kind, others: Sequence[Person], settings: StreetSettings
) -> float:
    """Least distance in metres on the ground between a thing (F, 3) and the people while it is in the picture."""
    least, y = np.inf, place[:, 1]
    inside = np.abs(place[:, 0]) < 0.5 * y / settings.focal + kind.half_length
    for person in others:
        rows = slice(person.first, person.last)
        apart = person.path - place[rows, :2]
        cos, sin = np.cos(heading[rows]), np.sin(heading[rows])
        along = np.abs(apart[:, 0] * cos + apart[:, 1] * sin) - kind.half_length
        across = np.abs(apart[:, 1] * cos - apart[:, 0] * sin) - kind.half_width
        gap = np.hypot(np.maximum(along, 0), np.maximum(across, 0))[inside[rows]]
        least = min(least, float(gap.min(initial=np.inf)))
    return least


def _leave_bag(
    rng: np.random.Generator, settings: StreetSettings, length: float, others: Sequence[Person], scene: Scene
) -> None:
    """Somebody comes with a bag, stands, puts it down and goes; it stays, in nobody's way, if that can be."""
    best: tuple[float, tuple[Person, Thing]] | None = None
    for _ in range(BAG_TRIES):
        person, bag = _bag(rng, settings, length * float(rng.uniform(0.18, 0.26)), others)
        gap = _gap(bag.place, bag.heading, KINDS["bag"], others, settings)
        if best is None or gap > best[0]:
            best = gap, (person, bag)
        if gap > 0.3:
            break
    assert best is not None
    person, thing = best[1]
    scene.people.append(person)
    scene.things.append(thing)


def _bag(
    rng: np.random.Generator, settings: StreetSettings, middle: float, others: Sequence[Person]
) -> tuple[Person, Thing]:
    """Who leaves a bag, and the bag, around second ``middle`` of the clip."""
    side, look = int(rng.integers(2)), int(rng.integers(2**31))
    carry = (2, 0) if side == 0 else (0, 2)

    def carrying(visit: Visit) -> Visit:
        return replace(visit, style=replace(visit.style, carry=carry))

    (person,) = place_people(rng, settings, "standing", middle, 2.6, others, 1.0, carrying)
    t = np.arange(settings.frames) / settings.fps
    row = np.clip(np.arange(settings.frames) - person.first, 0, len(person.path) - 1)
    hand = person.joints[row, INDEX["left_hand" if side == 0 else "right_hand"]]
    down = person.visit.starts[0] + 0.9  # second at which it is let down
    at = int(np.argmin(np.abs(t - down)))
    share = np.clip((t - down) / 0.5, 0, 1)[:, None]
    across = np.stack([-np.sin(person.heading[row]), np.cos(person.heading[row])], axis=-1)
    carried = hand - [0.0, 0.0, STRAPS + bag_height(look)]
    carried[:, :2] += 0.08 * SIDES[side] * across
    carried[:, 2] = np.maximum(carried[:, 2], 0.0)
    ground = carried[at] * [1.0, 1.0, 0.0]
    place = np.where(t[:, None] < down, carried, (1 - share) * carried[at] + share * ground)
    heading = person.heading[np.where(t < down, row, row[at])]
    away = np.linalg.norm(person.path[row] - place[:, :2], axis=1) > ALONE
    away |= np.arange(settings.frames) >= person.last
    alone = np.logical_or.accumulate(away & (t > down + 0.5))
    there = (np.arange(settings.frames) >= person.first) | (t >= down)
    bag = Thing("bag", look, 0, place, heading, np.zeros(settings.frames), there, alone, person)
    return person, bag


def _loiter(
    rng: np.random.Generator, settings: StreetSettings, length: float, others: Sequence[Person], scene: Scene
) -> None:
    """Somebody stands in one place from before the clip to its end."""
    camera, best = Camera(settings), None
    for _ in range(TRIES):
        (x, y), heading = random_spot(rng, settings, 0.35), float(rng.uniform(-np.pi, np.pi))
        visit = Visit(
            ("standing",), (), (length,), (0.0, x, y, heading), random_body(rng), random_style(rng),
            int(rng.integers(2**31)),
        )  # fmt: skip
        person = carry_out(visit, settings)
        gap = clearance([person], others, camera, settings)
        if best is None or gap > best[0]:
            best = gap, person
        if gap > 0.8:
            break
    assert best is not None
    scene.people.append(best[1])
    scene.stays.append((best[1], round(LONGEST_STAY * settings.fps)))


def _flee(
    rng: np.random.Generator, settings: StreetSettings, length: float, others: Sequence[Person], scene: Scene
) -> None:
    """A crowd of people who walk and stand; at one time all run, in one direction or away from one place."""
    camera, count = Camera(settings), int(rng.integers(9, 14))
    begin, side = length * float(rng.uniform(0.42, 0.58)), float(rng.choice([0.0, np.pi]))
    centre = np.array(random_spot(rng, settings, 0.5)) if rng.random() < 0.5 else None
    crowd: list[Person] = []
    for _ in range(count):
        best = None
        standing = bool(rng.random() < 0.35)
        for _ in range(6):
            (visit,) = plan_visits(rng, settings, "walking", begin)
            x, y = random_spot(rng, settings, 0.1)
            goal = side if centre is None else np.arctan2(0.35 * (y - centre[1]), x - centre[0])
            goal += float(rng.uniform(-0.25, 0.25))
            start = begin + float(rng.uniform(0.0, 0.5))
            visit = replace(
                visit, parts=("standing" if standing else "walking", "fleeing"), starts=(start,),
                seconds=(4.0, 4.0), anchor=(start, x, y, goal - flight_turn(visit.style)),
            )  # fmt: skip
            person = carry_out(visit, settings)
            gap = clearance([person], [*others, *crowd], camera, settings)
            if best is None or gap > best[0]:
                best = gap, person
            if gap > 0.5:
                break
        assert best is not None
        crowd.append(best[1])
    scene.people += crowd


_PASSING: dict[str, Callable[..., None]] = {
    "car": _alone, "dog": _alone, "ball": _alone, "bicycle": _beside, "pram": _beside, "skateboard": _gliding,
}  # fmt: skip
_MOVES = {"car": driving, "dog": trotting, "ball": bouncing}
_ONCE: dict[str, Callable[..., None]] = {"bag": _leave_bag, "loitering": _loiter, "fleeing": _flee}
