"""Poses of actions of the whole body: leaps, and going down to the ground."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from pipeline.synthetic.actions.limbs import (
    HANGING,
    REST,
    arms_by_angles,
    course,
    cycle,
    hands_to,
    looking,
    raise_leg,
    trunk,
)
from pipeline.synthetic.motion import falls
from pipeline.synthetic.motion.acts import ease, on_ground, plant_feet
from pipeline.synthetic.motion.behaviours import BEHAVIOURS, Drive
from pipeline.synthetic.motion.body import Array, Body, Pose, blend
from pipeline.synthetic.motion.gait import Gait, Moment, Style, stride_rate, walk_like


def jumping_jack(m: Moment) -> Pose:
    """Legs apart and arms over the head, back together, with a hop each time."""
    phase = cycle(m, 0.75, 1.15)
    wide = 0.5 - 0.5 * np.cos(2 * np.pi * phase)
    size = 0.8 + 0.2 * m.style.arms
    chest = trunk(m)
    arm = (0.1, 0.15 + 2.5 * wide * min(size, 1.05), 0.25, -np.pi / 2)
    parts = plant_feet(m, 0.97 - 0.13 * wide, feet=0.9 + 4.6 * wide * min(size, 1.05))
    hop = 0.06 * np.sin(2 * np.pi * phase) ** 2
    return Pose(
        **parts, chest=chest, head=looking(m), **arms_by_angles(m, chest, arm, arm), **on_ground(m, hop)
    )


def hopping(m: Moment) -> Pose:
    """On one leg, the other one bent."""
    phase = np.mod(cycle(m, 1.5, 2.1), 1.0)
    air = np.clip((phase - 0.4) / 0.6, 0, 1)
    dip = np.where(phase < 0.4, np.sin(np.pi * phase / 0.4), 0.0)
    lift = 0.5 * air * (1 - air) * m.style.bounce
    parts = plant_feet(m, 0.96 - 0.09 * dip, feet=0.6)
    one = np.ones_like(m.t)
    parts = raise_leg(m, parts, False, 0.55 * one + 0.15 * dip, 1.75 * one, one)
    chest = trunk(m, bow=0.12 + 0.12 * dip, roll=0.1)
    arm = (-0.35 * np.sin(2 * np.pi * phase), 0.45, 1.1, 0.2)
    arms = arms_by_angles(m, chest, arm, arm)
    return Pose(**parts, chest=chest, head=looking(m, 0.1), **arms, **on_ground(m, lift))


def squatting(m: Moment) -> Pose:
    """Down into the knees and up again, arms held forward."""
    low = 0.5 - 0.5 * np.cos(2 * np.pi * cycle(m, 0.5, 0.85))
    deep = low * (0.85 + 0.15 * m.style.bounce)
    chest = trunk(m, bow=0.65 * deep)
    arm = (0.3 + 1.55 * low, 0.1, 0.15, 0.2)
    parts = plant_feet(m, 0.98 - 0.48 * deep, feet=1.7, back=0.16 * deep)
    arms = arms_by_angles(m, chest, arm, arm)
    return Pose(**parts, chest=chest, head=looking(m, 0.15 * deep), **arms, **on_ground(m))


def picking_up(m: Moment) -> Pose:
    """Bow, take something from the ground, straighten up."""
    down = course(m, (0, 0.42, 0.58, 1), (0.0, 1.0, 1.0, 0.0))
    knees = m.style.rng(22).uniform(0.2, 0.42)  # some bow, some bend their knees
    bow = 1.75 - 1.6 * knees
    chest = trunk(m, turn=-0.15 * down, bow=bow * down)
    reached = np.array([0.16, 0.07, -0.28])
    hand = (1 - down[:, None]) * REST + down[:, None] * reached
    other = (1 - down[:, None]) * REST + down[:, None] * [0.08, 0.14, -0.26]
    parts = plant_feet(m, 0.98 - knees * down, feet=1.2, ahead=0.10, back=0.2 * down)
    arms = hands_to(m, chest, hand, other)
    return Pose(**parts, chest=chest, head=looking(m, 0.6 * bow * down), **arms, **on_ground(m))


def sitting_down(m: Moment) -> Pose:
    """Onto a seat as high as the knees, and stay."""
    down = ease(m.t / m.seconds)
    lean = np.sin(np.pi * np.clip(m.t / m.seconds, 0, 1))
    chest = trunk(m, bow=0.6 * lean + 0.04 * down)
    arm = (HANGING[0] + 0.35 * down + 0.4 * lean, 0.1, HANGING[2] + 0.7 * down, 0.3)
    parts = plant_feet(m, 0.98 - 0.44 * down, feet=1.2, back=0.24 * m.body.height * down)
    arms = arms_by_angles(m, chest, arm, arm)
    return Pose(**parts, chest=chest, head=looking(m, 0.25 * lean), **arms, **on_ground(m))


def falling(m: Moment) -> Pose:
    """Walk, fall, and stay on the ground."""
    down = replace(m, t=np.maximum(m.t, 0), seconds=100.0)  # never gets up
    walk = walk_like(replace(m, speed=np.maximum(m.speed, 0.3)), Gait())
    return blend(walk, falls.falling(down), np.clip(m.t / 0.35 + 0.5, 0, 1))


def fall_drive(t: Array, seconds: float, speed: float, body: Body, style: Style) -> Drive:
    """A walk that ends in a fall at t = 0."""
    fall = BEHAVIOURS["falling"].move(t, seconds, body, style)
    walking = np.clip(0.5 - t / 0.35, 0, 1)
    forward = speed * walking + fall.forward * (1 - walking)
    return Drive(forward, fall.left * (1 - walking), fall.turn, stride_rate(forward, body, style) * walking)
