"""Falling down, lying, getting up."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from pipeline.synthetic.motion.acts import ease, on_ground, pair, plant_feet, standing
from pipeline.synthetic.motion.body import SIDES, Array, Pose, blend, rotation, swing, unit
from pipeline.synthetic.motion.gait import Moment, Style, arms_in

FALL_SECONDS = 0.75
RISE_SECONDS = 1.6


def fall_direction(style: Style) -> tuple[float, float]:
    """Forward and leftward share of the direction in which this person falls: mostly forward, also sideways or back."""
    along, across = ((1.0, 0.0), (1.0, 0.0), (-0.9, 0.3), (0.25, 0.97), (0.25, -0.97))[style.seed % 5]
    return along, across


def _lying(m: Moment) -> Pose:
    """Flat on the ground in the direction of the fall, limbs spread, stirring a little."""
    along, across = fall_direction(m.style)
    style = m.style
    tilt = np.pi / 2 * 0.97
    stir = 0.06 * style.wobble(1.3 * m.t, 3)
    pelvis = rotation(
        0.0, tilt * along if abs(along) > 0.5 else 0.15, tilt * across if abs(across) > 0.5 else 0.0
    )
    chest = pelvis @ rotation(
        0.12 * style.wobble(m.t, 1), 0.05 * style.wobble(m.t, 2) - 0.05 * along, 0.1 * style.side
    )
    head = chest @ rotation(0.5 * style.side + stir, -0.25 * along, 0.0)
    # One arm beside the head, one out to the side, both in the plane of the ground.
    over = np.stack([np.full_like(m.t, style.side > 0), np.full_like(m.t, style.side < 0)], axis=-1)
    still, stirs = np.zeros_like(over), np.broadcast_to(stir[:, None], over.shape)
    if abs(across) > 0.5:
        arms = arms_in(chest, 0.6 + 0.9 * over + stirs, still - 0.06, 0.9 - 0.3 * over, still)
    else:
        arms = arms_in(chest, 3.08 * over, 0.95 - 0.45 * over + stirs, 0.5 + 0.5 * over, still - np.pi / 2)
    bent = 0.4 + 0.3 * SIDES * style.side + pair(stir, -stir)
    raised = 0.0 if along > 0.5 else 0.55  # on the back the knees point up, face down the feet do
    thigh, shin = swing(
        raised * bent, (0.15 if abs(across) < 0.5 else -0.08) + 0 * bent, bent, 0 * bent, knee=True
    )
    foot = unit(shin + 0.25 * np.array([1.0, 0, 0]))

    def turn(limb: Array) -> Array:
        return np.einsum("tij,tsj->tsi", pelvis, limb)

    return Pose(
        pelvis=pelvis + 0 * m.t[:, None, None], chest=chest, head=head, **arms, thighs=turn(thigh), shins=turn(shin),
        feet=turn(foot), shift=np.zeros((len(m.t), 2)), **on_ground(m),
    )  # fmt: skip


def _kneeling(m: Moment) -> Pose:
    """On one knee with a hand near the ground: between lying and standing."""
    parts = plant_feet(m, 0.5, ahead=0.16)
    chest = rotation(0.1 * m.style.side, 0.75 + 0 * m.t)
    arms = arms_in(chest, np.full((len(m.t), 2), 0.7), np.full((len(m.t), 2), 0.25), np.full((len(m.t), 2), 0.35),
                   np.full((len(m.t), 2), 0.2))  # fmt: skip
    return Pose(**parts, chest=chest, head=rotation(0.0, 0.35 + 0 * m.t), **arms, **on_ground(m))


def falling(m: Moment) -> Pose:
    """Stumble, fall within three quarters of a second, lie, get up."""
    down = np.clip(m.t / FALL_SECONDS, 0, 1) ** 1.7
    buckle = replace(_stand_up(m), **_throw_arms(m, down))
    pose = blend(buckle, _lying(m), ease(down))
    rise = (m.t - (m.seconds - RISE_SECONDS)) / RISE_SECONDS
    pose = blend(pose, _kneeling(m), ease(rise / 0.55))
    return blend(pose, standing(m), ease((rise - 0.55) / 0.45))


def _stand_up(m: Moment) -> Pose:
    """Upright but with the knees giving way as the fall goes on."""
    give = 0.35 * ease(m.t / FALL_SECONDS)
    pose = standing(m)
    return replace(pose, **plant_feet(m, 0.985 - give))


def _throw_arms(m: Moment, down: Array) -> dict[str, Array]:
    chest = rotation(0.0, 0.5 * down * fall_direction(m.style)[0])
    spread = pair(down, down)
    arms = arms_in(chest, 1.3 * spread, 0.2 + 0.7 * spread, 0.5 + 0 * spread, 0.2 + 0 * spread)
    return {"chest": chest, **arms}
