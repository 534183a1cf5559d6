"""Poses of actions done standing: gestures, fighting, and what one does with a ball.

What is done once takes `Moment.seconds` from t = 0; what is done over and over goes on for ever.
"""

from __future__ import annotations

import numpy as np

from pipeline.synthetic.actions.limbs import (
    HANGING,
    REST,
    arms_by_angles,
    bump,
    course,
    cycle,
    hands_to,
    looking,
    raise_leg,
    trunk,
)
from pipeline.synthetic.motion.acts import ease, on_ground, plant_feet
from pipeline.synthetic.motion.body import Array, Pose
from pipeline.synthetic.motion.gait import Moment

UP = -np.pi / 2  # twist that turns the forearm of an arm held out sideways upward


def _size(m: Moment) -> float:
    """0.85..1.15, how large this person's motions are."""
    return 0.62 + 0.38 * float(np.clip(m.style.arms, 0.6, 1.4))


def _stand(m: Moment, chest: Array, head: Array, arms: dict[str, Array]) -> Pose:
    return Pose(**plant_feet(m, 0.985), chest=chest, head=head, **arms, **on_ground(m))


def _shifted(parts: dict[str, Array], forward: Array) -> dict[str, Array]:
    """The hips moved forward over feet that stay, which `plant_feet` alone cannot: the body leans into it."""
    return {**parts, "shift": parts["shift"] + np.stack([forward, 0 * forward], axis=-1)}


def waving(m: Moment) -> Pose:
    """One hand beside the head goes to and fro."""
    beat = np.sin(2 * np.pi * cycle(m, 1.3, 2.3)) * _size(m)
    chest = trunk(m, roll=-0.05)
    arms = arms_by_angles(m, chest, (0.25, 1.35 + 0.15 * beat, 1.35 - 0.5 * beat, UP))
    return _stand(m, chest, looking(m, -0.05), arms)


def waving_both(m: Moment) -> Pose:
    """Both arms over the head, crossing and parting."""
    beat = np.sin(2 * np.pi * cycle(m, 0.9, 1.6)) * _size(m)
    chest = trunk(m, bow=-0.05)
    arm = (0.1, 2.55 + 0.45 * beat, 0.35 - 0.2 * beat, UP)
    return _stand(m, chest, looking(m, -0.15), arms_by_angles(m, chest, arm, arm))


def clapping(m: Moment) -> Pose:
    """The hands meet before the chest."""
    apart = (0.5 + 0.5 * np.cos(2 * np.pi * cycle(m, 1.5, 2.7))) ** 0.7 * _size(m)
    height = -0.07 + 0.05 * m.style.wobble(0.4 * m.t, 9)
    hand = np.stack([0.20 - 0.02 * apart, 0.008 + 0.15 * apart, height], axis=-1)
    chest = trunk(m, bow=0.03)
    return _stand(m, chest, looking(m, 0.05), hands_to(m, chest, hand, hand))


def pointing(m: Moment) -> Pose:
    """An arm is stretched out and stays so."""
    rng = m.style.rng(21)
    out, up = float(rng.uniform(-0.1, 0.8)), float(rng.uniform(1.3, 1.65))
    raised = ease(m.t / m.seconds)
    chest = trunk(m, turn=0.25 * out * raised)
    arm = (up * raised, HANGING[1] + (out - HANGING[1]) * raised, 0.3 - 0.25 * raised, 0.2)
    return _stand(m, chest, looking(m, turn=0.5 * out * raised), arms_by_angles(m, chest, arm))


def punching(m: Moment) -> Pose:
    """On guard, straight punches with the left and the right in turn."""
    phase = cycle(m, 0.75, 1.2)
    near, far = bump(phase, 0.45), bump(phase + 0.5, 0.45)
    chest = trunk(m, turn=0.55 * (far - near), bow=0.12 + 0.1 * (near + far))
    reachout = 0.86 + 0.14 * _size(m)

    def hand(out: Array) -> Array:
        return np.stack([0.10 + 0.22 * reachout * out, 0.07 - 0.03 * out, -0.02 + 0.03 * out], axis=-1)

    arms = hands_to(m, chest, hand(near), hand(far), elbows=(-0.2, 0.5, -0.9))
    bounce = 0.02 * np.sin(4 * np.pi * phase)
    parts = _shifted(plant_feet(m, 0.93 + bounce, feet=1.5, ahead=0.13), 0.05 * (near + far))
    return Pose(**parts, chest=chest, head=looking(m, 0.1), **arms, **on_ground(m))


def kicking(m: Moment) -> Pose:
    """On guard, one leg kicks forward at the height of the hips."""
    phase = np.mod(cycle(m, 0.65, 0.95), 1.0)
    chamber, snap = bump(phase, 0.62), bump(phase - 0.12, 0.38)
    high = 0.85 + 0.15 * _size(m)
    parts = plant_feet(m, 0.95, feet=1.3, ahead=0.10)
    parts = raise_leg(m, parts, True, 1.4 * high * chamber, 1.5 * chamber * (1 - snap) + 0.1, chamber * 2.5)
    chest = trunk(m, turn=-0.2 * chamber, bow=0.1 - 0.35 * snap)
    guard = np.stack([0.12 - 0.03 * snap, 0.09 + 0.06 * snap, -0.04 - 0.05 * snap], axis=-1)
    arms = hands_to(m, chest, guard + [0, 0, -0.08] * snap[:, None], guard, elbows=(-0.2, 0.5, -0.9))
    parts = _shifted(parts, -0.05 * snap)
    return Pose(**parts, chest=chest, head=looking(m, 0.1), **arms, **on_ground(m))


def pushing(m: Moment) -> Pose:
    """Both hands from the chest forward, the body behind them."""
    push = bump(cycle(m, 0.6, 0.95), 0.75)
    size = 0.86 + 0.14 * _size(m)
    hand = np.stack([0.09 + 0.21 * size * push, 0.10 - 0.02 * push, -0.07 + 0.04 * push], axis=-1)
    chest = trunk(m, bow=0.02 + 0.28 * push)
    parts = _shifted(plant_feet(m, 0.96 - 0.06 * push, feet=1.2, ahead=0.17), 0.14 * push)
    return Pose(**parts, chest=chest, head=looking(m, 0.05), **hands_to(m, chest, hand, hand), **on_ground(m))


def dodging(m: Moment) -> Pose:
    """Hands before the face, ducking to one side and the other."""
    phase = cycle(m, 0.45, 0.75)
    near, far = bump(phase, 0.5), bump(phase + 0.5, 0.5)
    low = near + far
    chest = trunk(m, turn=0.2 * (near - far), bow=0.15 + 0.45 * low, roll=0.4 * (near - far))
    hand = np.stack([0.09 + 0.02 * low, 0.045 + 0 * low, 0.05 + 0.06 * low], axis=-1)
    arms = hands_to(m, chest, hand, hand, elbows=(0.1, 0.35, -1.0))
    parts = plant_feet(m, 0.94 - 0.22 * low * _size(m), feet=1.8, back=0.06 * low)
    return Pose(**parts, chest=chest, head=looking(m, 0.15 + 0.25 * low), **arms, **on_ground(m))


def throwing(m: Moment) -> Pose:
    """A ball overarm: the hand goes back beside the head, then forward and down."""
    size = _size(m)
    times = (0, 0.42, 0.62, 0.8, 1)
    back = np.array([-0.13, 0.21, 0.10]) * [size, 1, 1]
    hand = course(m, times, [REST, back, (0.24, 0.12, 0.17), (0.20, -0.05, -0.18), REST])
    other = course(m, times, [REST, (0.24, 0.10, 0.0), (0.08, 0.18, -0.18), (0.0, 0.2, -0.24), REST])
    turn = course(m, times, [0.0, 0.75 * size, -0.2, -0.6, 0.0])
    chest = trunk(m, turn, course(m, times, [0.0, -0.18, 0.15, 0.45, 0.0]))
    parts = plant_feet(m, course(m, times, [0.98, 0.95, 0.93, 0.92, 0.98]), feet=1.4, ahead=-0.14)
    parts = _shifted(parts, course(m, times, [0.0, -0.12, 0.08, 0.12, 0.0]))
    arms = hands_to(m, chest, hand, other, elbows=(-0.5, 0.8, -0.1))
    return Pose(**parts, chest=chest, head=looking(m), **arms, **on_ground(m))


def rolling(m: Moment) -> Pose:
    """A ball underarm along the ground: deep into the knees, the hand swings from behind to the front."""
    size = _size(m)
    times = (0, 0.35, 0.62, 0.82, 1)
    back = np.array([-0.24, 0.14, -0.20]) * [size, 1, 1]
    hand = course(m, times, [REST, back, (0.10, 0.11, -0.30), (0.29, 0.08, 0.02), REST])
    other = course(m, times, [REST, (0.08, 0.2, -0.24), (-0.02, 0.24, -0.2), (0.0, 0.2, -0.25), REST])
    bow = course(m, times, [0.0, 0.5, 0.85, 0.6, 0.0])
    chest = trunk(m, course(m, times, [0.0, 0.3, -0.1, -0.3, 0.0]), bow)
    parts = plant_feet(m, course(m, times, [0.98, 0.82, 0.68, 0.76, 0.98]), feet=1.2, ahead=-0.2)
    arms = hands_to(m, chest, hand, other, elbows=(-0.9, 0.3, -0.2))
    return Pose(**parts, chest=chest, head=looking(m, 0.3 * bow), **arms, **on_ground(m))


def batting(m: Moment) -> Pose:
    """Both hands swing a bat from behind one shoulder round to the other."""
    size = _size(m)
    times = (0, 0.3, 0.55, 0.75, 1)
    hand = course(
        m, times, [(0.10, 0.08, -0.1), (0.06, 0.17, 0.03), (0.26, 0.0, -0.1), (0.12, -0.16, 0.04), (0.12, -0.12, 0.0)]
    )  # fmt: skip
    turn = course(m, times, [0.2, 0.85 * size, -0.1, -0.95 * size, -0.6])
    chest = trunk(m, turn, 0.15, 0.05)
    other = hand * [1, -1, 1] + [0.01, 0.0, -0.025]
    parts = plant_feet(m, 0.91, feet=2.0)
    parts = _shifted(parts, -0.04 * np.sin(turn))
    arms = hands_to(m, chest, hand, other, elbows=(-0.1, 0.6, -0.7))
    return Pose(**parts, chest=chest, head=looking(m, 0.05, -0.25), **arms, **on_ground(m))


def dribbling(m: Moment) -> Pose:
    """A hand beside the knee pats a ball to the ground again and again."""
    pat = (0.5 + 0.5 * np.sin(2 * np.pi * cycle(m, 1.3, 2.1))) * _size(m)
    hand = np.stack([0.20 - 0.03 * pat, 0.14 + 0 * pat, -0.04 - 0.19 * pat], axis=-1)
    chest = trunk(m, bow=0.42 + 0.06 * pat, roll=0.06)
    arms = hands_to(m, chest, hand, (0.12, 0.22, -0.2), elbows=(-0.8, 0.6, -0.1))
    parts = plant_feet(m, 0.87 - 0.02 * pat, feet=1.6, ahead=-0.12, back=0.06)
    return Pose(**parts, chest=chest, head=looking(m, 0.25), **arms, **on_ground(m))
