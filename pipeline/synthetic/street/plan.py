"""Who comes when, does what, and where: visits of people to the street, and their exact motion."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.synthetic.motion.behaviours import BEHAVIOURS
from pipeline.synthetic.motion.body import Array, Body, blend, place
from pipeline.synthetic.motion.gait import Moment, Style, random_style
from pipeline.synthetic.street.scene import WALL, Camera, StreetSettings

FADE = 0.4  # seconds in which one behaviour passes into the next
APART = 0.6  # metres between people who have nothing to do with each other
TRIES = 12
REACH = (
    16.0  # seconds before and after the act for which a visit is computed: nobody stays in the picture longer
)


@dataclass(frozen=True)
class Visit:
    """One person's time in the street.

    Attributes:
        parts: names of the behaviours, in order; the first and the last go on beyond the clip.
        starts: second of the clip at which each part but the first begins (len(parts) - 1 of them).
        seconds: duration of each part; that of the first and last matters only where a behaviour has a course.
        anchor: second of the clip, (x, y) metres and heading in radians at that time: fixes the path.
        body, style: who.
        look: seed of clothes, skin and hair.
    """

    parts: tuple[str, ...]
    starts: tuple[float, ...]
    seconds: tuple[float, ...]
    anchor: tuple[float, float, float, float]
    body: Body
    style: Style
    look: int


@dataclass(frozen=True)
class Person:
    """A visit, carried out: everything in the world, for L frames of the clip, all in which the person may be seen.

    Attributes:
        first: frame of the clip that is row 0 of the arrays.
        joints: (L, J, 3) metres.
        head: (L, 3, 3) the head's axes, columns forward, left, up.
        path: (L, 2) metres; ``heading`` (L,) radians; ``phase`` (L,) strides or turns of the pedals.
        part: (L,) index of the part that the person is busy with.
        bicycle: (L,) whether they ride.
        costume: (L,) whether they wear one.
    """

    visit: Visit
    first: int
    joints: Array
    head: Array
    path: Array
    heading: Array
    phase: Array
    part: NDArray[np.int64]
    bicycle: NDArray[np.bool_]
    costume: NDArray[np.bool_]

    @property
    def path_length(self) -> Array:
        """(L,) metres travelled."""
        steps = np.linalg.norm(np.diff(self.path, axis=0, prepend=self.path[:1]), axis=1)
        return np.cumsum(steps)

    @property
    def last(self) -> int:
        """Frame of the clip after the last row."""
        return self.first + len(self.path)


def carry_out(visit: Visit, settings: StreetSettings) -> Person:
    """Compute the exact motion of ``visit`` over the clip."""
    middle = visit.anchor[0]
    begin = min((middle, *visit.starts)) - REACH
    end = max((middle, *visit.starts)) + visit.seconds[-1] + REACH
    first, last = (int(np.clip(round(s * settings.fps), 0, settings.frames)) for s in (begin, end))
    first = min(first, settings.frames - 1)
    t = np.arange(first, max(last, first + 1)) / settings.fps
    kinds = [BEHAVIOURS[name] for name in visit.parts]
    begins = [visit.starts[0] - visit.seconds[0] if visit.starts else 0.0, *visit.starts]
    # Share of each part: 0 before it, 1 from the middle of its fade-in; later parts cover earlier ones.
    cover = [np.ones_like(t)] + [np.clip((t - b) / FADE + 0.5, 0, 1) for b in visit.starts]
    moves = [
        kind.move(t - b, s, visit.body, visit.style)
        for kind, b, s in zip(kinds, begins, visit.seconds, strict=True)
    ]
    forward, left, turn, rate = (np.zeros_like(t) for _ in range(4))
    for move, w in zip(moves, cover, strict=True):
        forward, left, turn, rate = (
            (1 - w) * old + w * new
            for old, new in ((forward, move.forward), (left, move.left), (turn, move.turn), (rate, move.rate))
        )
    heading, phase = np.cumsum(turn) / settings.fps, np.cumsum(rate) / settings.fps
    at = int(np.clip(round(middle * settings.fps) - first, 0, len(t) - 1))
    heading = heading - heading[at] + visit.anchor[3]
    cos, sin = np.cos(heading), np.sin(heading)
    path = (
        np.cumsum(np.stack([forward * cos - left * sin, forward * sin + left * cos], axis=-1), axis=0)
        / settings.fps
    )
    path = path - path[at] + np.array(visit.anchor[1:3])
    pose = None
    for kind, since, seconds, w in zip(kinds, begins, visit.seconds, cover, strict=True):
        moment = Moment(
            t - since, seconds, phase + 0.37 * visit.style.pace, forward, rate, visit.body, visit.style
        )
        new = kind.pose(moment)
        pose = new if pose is None else blend(pose, new, w)
    assert pose is not None
    joints, head = place(visit.body, pose, path, heading)
    part = np.sum([w >= 0.5 for w in cover], axis=0) - 1
    bicycle, costume = (
        np.array(things)[part] for things in zip(*((k.bicycle, k.costume) for k in kinds), strict=True)
    )
    return Person(visit, first, joints, head, path, heading, phase, part, bicycle, costume)


def random_body(rng: np.random.Generator) -> Body:
    """Draw a build."""
    return Body(
        height=float(np.clip(rng.normal(1.72, 0.09), 1.5, 1.95)),
        build=float(np.clip(rng.normal(1.0, 0.1), 0.8, 1.3)),
        shoulders=float(rng.uniform(0.9, 1.08)),
    )


def _heading(rng: np.random.Generator) -> float:
    """Most people walk along the street, some across it."""
    if rng.random() < 0.75:
        return float(rng.choice([0.0, np.pi]) + rng.uniform(-0.5, 0.5))
    return float(rng.uniform(-np.pi, np.pi))


def random_spot(rng: np.random.Generator, settings: StreetSettings, margin: float) -> tuple[float, float]:
    """A place on the ground that the camera sees, ``margin`` as a share of the half width kept free."""
    y = rng.uniform(settings.near, settings.far)
    x = rng.uniform(-1, 1) * (1 - margin) * 0.5 * y / settings.focal
    return float(x), float(y)


def _parts(rng: np.random.Generator, act: str) -> tuple[tuple[str, ...], list[float]]:
    """Behaviours around ``act`` that make sense, with durations."""
    kind = BEHAVIOURS[act]
    length = float(rng.uniform(*kind.seconds))
    if act == "walking" or kind.whole:
        return (act,), [length]
    after = "leaving" if kind.partners > 1 or (act == "standing" and rng.random() < 0.6) else "walking"
    parts = ("walking", act, after) if after == "walking" else ("walking", act, "leaving", "walking")
    return parts, [3.0, length, *((1.6, 3.0) if after == "leaving" else (3.0,))]


def plan_visits(
    rng: np.random.Generator,
    settings: StreetSettings,
    act: str,
    middle: float,
    length: float | None = None,
) -> list[Visit]:
    """Visits of the one or two people who do ``act`` around second ``middle`` of the clip, for ``length`` seconds."""
    kind = BEHAVIOURS[act]
    parts, seconds = _parts(rng, act)
    index = parts.index(act)
    if length is not None:
        seconds[index] = float(np.clip(length, *kind.seconds))
    begins = np.concatenate(
        [[middle - seconds[index] / 2], middle + seconds[index] / 2 + np.cumsum([0.0, *seconds[index + 1 :]])]
    )
    starts = tuple(float(b) for b in begins[: len(parts) - 1]) if len(parts) > 1 else ()
    at = middle if act != "falling" else middle - seconds[index] / 2
    (x, y), heading = random_spot(rng, settings, 0.3), _heading(rng)
    visits = []
    gap = float(rng.uniform(0.78, 0.95)) if act == "fighting" else float(rng.uniform(0.85, 1.2))
    for i in range(kind.partners):
        sign = 1 - 2 * i
        offset = 0.5 * gap * sign if kind.partners > 1 else 0.0
        visits.append(
            Visit(
                parts,
                starts,
                tuple(seconds),
                (at, x - offset * np.cos(heading), y - offset * np.sin(heading), heading + np.pi * i),
                random_body(rng),
                random_style(rng),
                int(rng.integers(2**31)),
            )
        )
    return visits


def indoors(person: Person) -> NDArray[np.bool_]:
    """(L,) whether the person has gone into a house: behind the wall, not in the picture."""
    return person.path[:, 1] > WALL - 0.3


def seen(person: Person, camera: Camera, settings: StreetSettings) -> NDArray[np.bool_]:
    """(L,) whether the middle of the person is in the picture."""
    middle, depth = camera.project(person.joints[:, :2].mean(axis=1))
    inside = (middle[:, 0] > 0) & (middle[:, 0] < settings.width) & (depth > 3) & ~indoors(person)
    return inside & (middle[:, 1] > 0) & (middle[:, 1] < settings.height)


def clearance(
    new: Sequence[Person], others: Sequence[Person], camera: Camera, settings: StreetSettings
) -> float:
    """Least distance in metres on the ground between the new people and others while both are in the picture."""
    least = np.inf
    for a in new:
        sees = seen(a, camera, settings)
        for b in others:
            low, high = max(a.first, b.first), min(a.last, b.last)
            if low < high:
                in_a, in_b = slice(low - a.first, high - a.first), slice(low - b.first, high - b.first)
                both = sees[in_a] & seen(b, camera, settings)[in_b]
                gap = np.linalg.norm(a.path[in_a] - b.path[in_b], axis=1)[both]
                least = min(least, float(gap.min(initial=np.inf)))
    return least


def place_people(
    rng: np.random.Generator,
    settings: StreetSettings,
    act: str,
    middle: float,
    length: float | None,
    others: Sequence[Person],
    apart: float = APART,
    changed: Callable[[Visit], Visit] = lambda visit: visit,
) -> list[Person]:
    """People who do ``act``, where they are in the picture while they do and come to nobody nearer than ``apart``
    metres, if that can be; ``changed`` is what becomes of a visit that was drawn."""
    camera = Camera(settings)
    best: tuple[float, list[Person]] | None = None
    for _ in range(TRIES):
        visits = plan_visits(rng, settings, act, middle, length)
        people = [carry_out(changed(visit), settings) for visit in visits]
        busy = [p.part == p.visit.parts.index(act) for p in people]
        whole = BEHAVIOURS[act].whole or act == "walking"
        shares = [
            float(np.mean(seen(p, camera, settings)[b])) if b.any() and not whole else 1.0
            for p, b in zip(people, busy, strict=True)
        ]
        depths = [p.path[seen(p, camera, settings), 1] for p in people]
        depth = min(float(d.min(initial=99.0)) for d in depths)
        good = min(1.0, clearance(people, others, camera, settings) / apart) + min(shares)
        good += min(1.0, depth / (0.85 * settings.near))
        good -= sum(float(d.max(initial=0.0)) > WALL - 0.8 for d in depths)
        if best is None or good > best[0]:
            best = (good, people)
        if good > 2.95:
            break
    assert best is not None
    return best[1]


def cast(rng: np.random.Generator, settings: StreetSettings, abnormal: Sequence[str]) -> list[Person]:
    """Everybody who appears in a clip; ``abnormal`` behaviours follow one another with pauses between."""
    length = settings.frames / settings.fps
    people: list[Person] = []
    if abnormal:
        events = max(len(abnormal), round(length / 6.0), 1)
        slot = length / events
        for i in range(events):
            middle = slot * (i + 0.5 + float(rng.uniform(-0.12, 0.12)))
            act = abnormal[i % len(abnormal)]
            people += place_people(rng, settings, act, middle, slot * float(rng.uniform(0.28, 0.44)), people)
    camera = Camera(settings)
    slots = int(rng.integers(settings.people[0], settings.people[1] + 1)) - (1 if abnormal else 0)
    acts = ("walking", "standing", "talking", "stopping", "turning")
    while slots > 0:
        now = float(rng.uniform(-2.0, 1.0))
        width = 1
        while now < length:
            act = str(rng.choice(acts, p=(0.52, 0.12, 0.1, 0.12, 0.14)))
            if slots < BEHAVIOURS[act].partners:
                continue
            middle = now + float(rng.uniform(2.0, 4.0))
            new = place_people(rng, settings, act, middle, None, people)
            people += new
            width = max(width, len(new))
            frames = np.concatenate([p.first + np.flatnonzero(seen(p, camera, settings)) for p in new])
            now = max(now + 1.0, (frames.max(initial=-1) + 1) / settings.fps) + float(rng.uniform(0.0, 1.0))
        slots -= width
    return people
