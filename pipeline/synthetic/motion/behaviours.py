"""The registry of behaviours: what people in the street do, normal and abnormal.

A behaviour is two functions of a `Moment`: where the person goes (`drive`) and what the body does meanwhile (`pose`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from pipeline.synthetic.motion import acts, falls
from pipeline.synthetic.motion.body import Array, Body, Pose
from pipeline.synthetic.motion.gait import Gait, Moment, Style, stride_rate, walk_like


@dataclass(frozen=True)
class Drive:
    """How a person moves over the ground: (T,) speed forward and to the left in metres a second, turning in radians
    a second, strides a second."""

    forward: Array
    left: Array
    turn: Array
    rate: Array


@dataclass(frozen=True)
class Behaviour:
    """One thing that people do.

    Attributes:
        name: key in `BEHAVIOURS`.
        abnormal: whether its frames are labelled.
        pose: the body's pose at a moment.
        speed: metres a second, slowest and fastest.
        seconds: shortest and longest duration when it is one part of a visit.
        drive: path over the ground at times t (T,) of a behaviour that lasts so many seconds; None: straight ahead.
        whole: the person does it as long as they are there (a cyclist does not get off).
        partners: how many people do it together, facing each other.
        bicycle: whether a bicycle is drawn under the person.
        costume: whether a large striped box is drawn around their trunk.
        scenario: whether it only belongs to a scenario (`pipeline.synthetic.things`), and is no anomaly by itself.
    """

    name: str
    abnormal: bool
    pose: Callable[[Moment], Pose]
    speed: tuple[float, float] = (0.0, 0.0)
    seconds: tuple[float, float] = (2.0, 4.0)
    drive: Callable[[Array, float, float, Body, Style], Drive] | None = None
    whole: bool = False
    partners: int = 1
    bicycle: bool = False
    costume: bool = False
    scenario: bool = False

    def move(self, t: Array, seconds: float, body: Body, style: Style) -> Drive:
        """Path over the ground at times ``t`` (T,) seconds since it began."""
        speed = self.speed[0] + style.pace * (self.speed[1] - self.speed[0])
        if self.drive is not None:
            return self.drive(t, seconds, speed, body, style)
        forward = np.full_like(t, speed) * (1 + 0.04 * style.wobble(t, 10))
        turn = 0.06 * style.wobble(0.5 * t, 11) * (speed > 0)
        return Drive(forward, np.zeros_like(t), turn, stride_rate(forward, body, style) * (speed > 0))


def _standing(t: Array, seconds: float, speed: float, body: Body, style: Style) -> Drive:
    zero = np.zeros_like(t)
    return Drive(zero, zero, zero, zero)


def _stopping(t: Array, seconds: float, speed: float, body: Body, style: Style) -> Drive:
    """Walk, slow down, stand a while, walk on."""
    edge = np.minimum(t, seconds - t)
    forward = speed * np.clip(1 - edge / 0.9, 0, 1)
    zero = np.zeros_like(t)
    rate = stride_rate(forward, body, style) * np.clip(forward / 0.35, 0, 1)
    return Drive(forward, zero, zero, rate)


def _turning(t: Array, seconds: float, speed: float, body: Body, style: Style) -> Drive:
    """Walk through a turn of 60 to 170 degrees."""
    angle = style.side * np.radians(style.rng(1).uniform(60, 170))
    share = np.clip(t / seconds, 0, 1)
    turn = angle / seconds * (1 - np.cos(2 * np.pi * share))
    forward = speed * (1 - 0.45 * np.sin(np.pi * share))
    return Drive(forward, np.zeros_like(t), turn, stride_rate(forward, body, style))


def _leaving(t: Array, seconds: float, speed: float, body: Body, style: Style) -> Drive:
    """Turn round on the spot, then walk off."""
    angle = style.side * np.radians(style.rng(1).uniform(110, 180))
    share = np.clip(t / (0.75 * seconds), 0, 1)
    turn = angle / (0.75 * seconds) * (1 - np.cos(2 * np.pi * share)) * (share < 1)
    forward = speed * np.clip((t / seconds - 0.35) / 0.65, 0, 1)
    return Drive(
        forward, np.zeros_like(t), turn, stride_rate(np.maximum(forward, 0.5), body, style) * (t > 0)
    )


def _hopping(t: Array, seconds: float, speed: float, body: Body, style: Style) -> Drive:
    zero = np.zeros_like(t)
    return Drive(zero + speed, zero, zero, zero)


def _cadence(strides: float) -> Callable[[Array, float, float, Body, Style], Drive]:
    """Straight ahead with a fixed number of strides (or pedal turns, or crawls) a second at medium speed."""

    def drive(t: Array, seconds: float, speed: float, body: Body, style: Style) -> Drive:
        zero = np.zeros_like(t)
        return Drive(zero + speed, zero, zero, zero + strides * style.cadence)

    return drive


def _falling(t: Array, seconds: float, speed: float, body: Body, style: Style) -> Drive:
    """The body tips over its feet: the hips move by about their height in the direction of the fall, once."""
    along, across = falls.fall_direction(style)
    down = np.clip(t / falls.FALL_SECONDS, 0, 1)
    travel = 0.62 * body.leg / falls.FALL_SECONDS * np.pi / 2 * np.sin(np.pi * down)
    momentum = speed * np.exp(-np.maximum(t, 0) / 0.25)
    zero = np.zeros_like(t)
    return Drive(momentum + along * travel, across * travel, zero, zero)


def _panicking(t: Array, seconds: float, speed: float, body: Body, style: Style) -> Drive:
    forward = speed * (0.6 + 0.4 * style.wobble(2.5 * t, 12))
    turn = 1.6 * style.wobble(2.0 * t, 13)
    return Drive(forward, np.zeros_like(t), turn, 0.9 + 0.4 * forward)


def _fleeing(t: Array, seconds: float, speed: float, body: Body, style: Style) -> Drive:
    """Turn round by `flight_turn`, and run from then on."""
    share = np.clip(t / 0.6, 0, 1)
    turn = flight_turn(style) / 0.6 * (1 - np.cos(2 * np.pi * share)) * (share < 1)
    forward = speed * np.clip(0.3 + t / 0.9, 0.3, 1)
    return Drive(forward, np.zeros_like(t), turn, stride_rate(forward, body, style))


def flight_turn(style: Style) -> float:
    """Radians by which this person turns to the left before they flee."""
    return float(style.rng(21).uniform(-np.pi, np.pi))


def _gliding(t: Array, seconds: float, speed: float, body: Body, style: Style) -> Drive:
    """To the preferred side, on a board."""
    zero = np.zeros_like(t)
    return Drive(zero, zero + style.side * speed, 0.1 * style.wobble(0.5 * t, 11), zero)


def _gait(gait: Gait) -> Callable[[Moment], Pose]:
    return lambda moment: walk_like(moment, gait)


WALK = Gait()
_ALL = (
    Behaviour("walking", False, _gait(WALK), (0.9, 1.6), (2.0, 6.0)),
    Behaviour("standing", False, acts.standing, seconds=(2.0, 5.0), drive=_standing),
    Behaviour("talking", False, acts.talking, seconds=(4.0, 9.0), drive=_standing, partners=2),
    Behaviour("stopping", False, _gait(WALK), (0.9, 1.5), (3.0, 5.0), drive=_stopping),
    Behaviour("turning", False, _gait(WALK), (0.9, 1.4), (1.6, 3.0), drive=_turning),
    Behaviour("leaving", False, _gait(WALK), (0.9, 1.4), (1.4, 1.8), drive=_leaving),
    Behaviour("running", True, acts.running, (2.6, 3.8), (2.0, 3.5)),
    Behaviour(
        "cycling", True, acts.cycling, (2.6, 4.2), (3.0, 6.0), _cadence(0.95), whole=True, bicycle=True
    ),
    Behaviour("jumping", True, acts.jumping, (0.0, 0.7), (2.0, 3.5), _hopping),
    Behaviour("falling", True, falls.falling, (0.4, 0.9), (3.2, 5.0), _falling),
    Behaviour("fighting", True, acts.fighting, seconds=(2.5, 4.5), drive=_standing, partners=2),
    Behaviour("crouching", True, acts.crouching, (0.6, 1.0), (2.5, 4.0), _cadence(0.85)),
    Behaviour("crawling", True, acts.crawling, (0.35, 0.6), (3.0, 4.5), _cadence(0.75)),
    Behaviour("panicking", True, acts.panicking, (0.4, 1.2), (2.0, 4.0), _panicking),
    Behaviour("skipping", True, acts.skipping, (1.7, 2.4), (2.0, 3.5), _cadence(1.15)),
    Behaviour("limping", True, acts.limping, (0.55, 0.9), (2.5, 4.5), _cadence(0.72)),
    Behaviour("costumed", True, _gait(WALK), (0.9, 1.6), (2.0, 6.0), whole=True, costume=True),
    Behaviour("fleeing", True, acts.running, (2.9, 4.2), (3.0, 5.0), _fleeing, scenario=True),
    Behaviour("gliding", True, acts.gliding, (2.4, 4.0), (3.0, 6.0), _gliding, whole=True, scenario=True),
)

BEHAVIOURS: dict[str, Behaviour] = {b.name: b for b in _ALL}
NORMAL = tuple(b.name for b in _ALL if not b.abnormal)
# What only a look at the person shows: their joints move as everybody's. Not part of the usual abnormal behaviours.
APPEARANCE = tuple(b.name for b in _ALL if b.costume)
ABNORMAL = tuple(b.name for b in _ALL if b.abnormal and not b.costume and not b.scenario)
