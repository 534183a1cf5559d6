"""What the poses of actions are put together from: courses of time, arms by their angles, hands by where they go."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.interpolate import PchipInterpolator

from pipeline.synthetic.motion.acts import ease, pair
from pipeline.synthetic.motion.body import SIDES, Array, reach, rotation, swing, unit
from pipeline.synthetic.motion.gait import Moment, arms_in

HANGING = (0.05, 0.12, 0.3, 0.35)  # flex, abduct, bend, twist of an arm at rest
REST = (0.04, 0.15, -0.31)  # where a hand at rest is, see `hands_to`


def cycle(m: Moment, slow: float, fast: float) -> Array:
    """(T,) repetitions so far of something that is done over and over, so many times a second by the slowest and the
    fastest people."""
    return m.t * (slow + m.style.pace * (fast - slow))


def bump(phase: Array, width: float = 1.0) -> Array:
    """(T,) 0..1, once in each repetition, for ``width`` of it."""
    return np.sin(np.pi * np.clip(np.mod(phase, 1.0) / width, 0, 1)) ** 2


def course(m: Moment, times: Sequence[float], values: Sequence[Sequence[float] | Array | float]) -> Array:
    """(T,) or (T, n) values of something that is done once, smoothly from one to the next; times are shares of its
    duration."""
    return np.asarray(PchipInterpolator(times, np.array(values, float))(np.clip(m.t / m.seconds, 0, 1)))


def strong_first(m: Moment, strong: Array | float, weak: Array | float) -> Array:
    """(T, 2) of values for the left and for the right, given those of the preferred side and of the other."""
    zero = np.zeros_like(m.t)
    return pair(*((strong + zero, weak + zero) if m.style.side > 0 else (weak + zero, strong + zero)))


def arms_by_angles(
    m: Moment,
    chest: Array,
    strong: Sequence[Array | float],
    weak: Sequence[Array | float] = HANGING,
) -> dict[str, Array]:
    """Arms from flex, abduct, bend and twist (see `swing`) of the preferred one and of the other."""
    flex, abduct, bend, twist = (strong_first(m, a, b) for a, b in zip(strong, weak, strict=True))
    restless = 0.04 * pair(m.style.wobble(m.t, 7), m.style.wobble(m.t, 8))
    return arms_in(chest, flex + restless, abduct, bend, twist)


def hands_to(
    m: Moment,
    chest: Array,
    strong: Array | Sequence[float],
    weak: Array | Sequence[float] = REST,
    elbows: tuple[float, float, float] = (-0.4, 0.6, -0.8),
) -> dict[str, Array]:
    """Arms that bring the hands somewhere.

    Args:
        m: when.
        chest: (T, 3, 3) its rotation.
        strong: (T, 3) place of the preferred hand's wrist as shares of the body's height from the middle of the
            shoulders: forward, outward, up along the chest.
        weak: (T, 3) place of the other hand's wrist, as shares of the body's height in the same directions.
        elbows: direction in which the elbows point, forward, outward, up.
    """
    body = m.body
    shape = (len(m.t), 3)
    own = np.broadcast_to(np.asarray(strong, float), shape), np.broadcast_to(np.asarray(weak, float), shape)
    target = np.stack(own if m.style.side > 0 else own[::-1], axis=1) * body.height
    target[..., 1] *= SIDES
    target[..., 1] -= SIDES * body.shoulder
    target[..., 2] += 0.008 * pair(m.style.wobble(m.t, 7), m.style.wobble(m.t, 8))
    pole = np.array([[elbows[0], s * elbows[1], elbows[2]] for s in SIDES])
    upper, lower = reach(target, body.upper_arm, body.forearm, np.broadcast_to(pole, target.shape))
    return {
        "upper_arms": np.einsum("tij,tsj->tsi", chest, upper),
        "forearms": np.einsum("tij,tsj->tsi", chest, lower),
    }


def raise_leg(
    m: Moment, parts: dict[str, Array], strong: bool, flex: Array, bend: Array, weight: Array
) -> dict[str, Array]:
    """``parts`` with the preferred leg, or the other one, off the ground where ``weight`` (T,) is 1; its angles are
    (T,) radians of the thigh forward and of the knee."""
    index = 0 if (m.style.side > 0) == strong else 1
    both = np.stack([flex, flex], axis=-1), np.stack([bend, bend], axis=-1)
    thigh, shin = swing(both[0], 0.08 + 0 * both[0], both[1], 0 * both[0], knee=True)
    w = np.zeros((len(m.t), 2, 1))
    w[:, index, 0] = ease(weight)
    mixed = dict(parts)
    # The foot stands at a right angle to the shin, toes a little down.
    across = unit(
        np.stack([-shin[..., 2], np.zeros_like(flex)[:, None] + 0 * both[0], shin[..., 0]], axis=-1)
    )
    foot = unit(across + 0.45 * shin)
    for name, value in (("thighs", thigh), ("shins", shin), ("feet", foot)):
        mixed[name] = unit((1 - w) * parts[name] + w * value)
    return mixed


def trunk(m: Moment, turn: Array | float = 0.0, bow: Array | float = 0.0, roll: Array | float = 0.0) -> Array:
    """(T, 3, 3) the chest's rotation: turned so that the preferred shoulder goes back, bowed forward, leaning
    to the preferred side."""
    style = m.style
    return rotation(
        style.side * turn + 0.04 * style.wobble(m.t, 0),
        style.lean + bow + 0.02 * style.wobble(m.t, 1),
        style.side * roll + 0.02 * style.wobble(m.t, 2),
    )


def looking(m: Moment, down: Array | float = 0.0, turn: Array | float = 0.0) -> Array:
    """(T, 3, 3) the head's rotation."""
    style = m.style
    return rotation(
        style.side * turn + 0.12 * style.wobble(0.6 * m.t, 3),
        0.5 * style.stoop + down + 0.05 * style.wobble(m.t, 4),
    )
