"""What the body does in each behaviour that is not plain walking: poses as functions of time and phase."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from pipeline.synthetic.motion.body import SIDES, Array, Body, Pose, reach, rotation, swing, unit
from pipeline.synthetic.motion.gait import Gait, Moment, arms_in, hang_arms, legs_to, walk_like

CRANK = (0.12, 0.30, 0.165)  # metres: pedal axle ahead of the saddle, above the ground, length of the crank
DECK = 0.11  # metres above the ground on which a skater stands
HANDLEBAR = (0.62, 0.23, 1.02)  # metres: ahead of the saddle, to each side, above the ground

RUN = Gait(duty=0.36, hip=0.92, bob=0.02, foot_lift=0.30, toe_off=1.1, arms=0.75, elbow=1.25, twist=0.18,
           lean=0.14, flight=0.09)  # fmt: skip
CROUCH = Gait(duty=0.66, hip=0.74, bob=0.015, foot_lift=0.12, toe_off=0.5, arms=0.25, elbow=0.8, lean=0.55)
SKIP = Gait(duty=0.42, hip=0.95, bob=0.03, foot_lift=0.34, toe_off=1.0, arms=0.9, elbow=0.5, twist=0.15,
            lean=0.04, flight=0.14)  # fmt: skip
LIMP = Gait(duty=0.64, hip=0.94, arms=0.3, elbow=0.15, lean=0.12, limp=1.0)


def ease(x: Array) -> Array:
    """0 below 0, 1 above 1, an S between."""
    x = np.clip(x, 0, 1)
    return x * x * (3 - 2 * x)


def pair(left: Array, right: Array) -> Array:
    """(T, 2) of values for the left and for the right."""
    return np.stack([left, right], axis=-1)


def bumps(m: Moment, salt: int, gap: tuple[float, float], width: float, sides: int = 2) -> list[Array]:
    """Events at random times of the behaviour, as one bump curve (T,) 0..1 for each of ``sides`` kinds."""
    rng = m.style.rng(salt)
    curves = [np.zeros_like(m.t) for _ in range(sides)]
    at = rng.uniform(0, gap[0])
    while at < m.seconds + 1:
        kind = int(rng.integers(sides))
        x = (m.t - at) / width
        curves[kind] = np.maximum(curves[kind], ease(x * 2.4) * ease((1 - x) * 2.0))
        at += rng.uniform(*gap)
    return curves


def plant_feet(
    m: Moment,
    hip: Array | float,
    feet: Array | float = 1.0,
    ahead: float = 0.0,
    back: Array | float = 0.0,
) -> dict[str, Array]:
    """Pelvis, legs and shift of a person whose feet stay where they are, with the hips at a share of the leg; ``feet``
    is their distance, the usual 1, ``ahead`` and ``back`` metres by which a foot is before the hips, the hips behind.
    """
    style, body = m.style, m.body
    zero = np.zeros_like(m.t)
    weight = style.wobble(0.7 * m.t, 5)
    pelvis = rotation(0.05 * style.wobble(m.t, 14), 0.02 + 0.3 * style.lean, 0.05 * weight)
    shift = np.stack([0.012 * style.wobble(m.t, 6) - back, 0.03 * weight * style.sway], axis=-1)
    hips = np.concatenate([shift, (hip * body.leg + body.ankle + zero)[:, None]], axis=-1)
    ankles = np.zeros((len(m.t), 2, 3))
    ankles[..., 0] = 0.06 * style.side * SIDES + ahead * SIDES * style.side - 0.03
    ankles[..., 1] = SIDES * body.hip * 1.1 * style.width * np.asarray(feet)[..., None]
    ankles[..., 2] = body.ankle
    legs = legs_to(m, pelvis, hips, ankles, np.zeros((len(m.t), 2)), out=0.3)
    return {"pelvis": pelvis, **legs, "shift": shift}


def on_ground(m: Moment, lift: Array | float = 0.0) -> dict[str, Array]:
    """The body's lowest point on the ground, or ``lift`` metres above it."""
    zero = np.zeros_like(m.t)
    return {"lift": zero + lift, "height": zero, "grounded": zero + 1}


def standing(m: Moment) -> Pose:
    """Idle: weight from leg to leg, looking around."""
    style = m.style
    chest = rotation(
        0.08 * style.wobble(m.t, 0), style.lean + 0.02 * style.wobble(m.t, 1), 0.02 * style.wobble(m.t, 2)
    )
    head = rotation(0.5 * style.wobble(0.5 * m.t, 3), style.stoop + 0.1 * style.wobble(m.t, 4))
    flex = 0.05 + 0.06 * pair(style.wobble(m.t, 7), style.wobble(m.t, 8))
    arms = hang_arms(m, chest, flex, style.elbow + 0.05 * pair(style.wobble(m.t, 9), style.wobble(m.t, 10)))
    return Pose(**plant_feet(m, 0.985), chest=chest, head=head, **arms, **on_ground(m))


def talking(m: Moment) -> Pose:
    """Standing with gestures of the hands and nods."""
    pose = standing(m)
    style = m.style
    gesture = pair(*bumps(m, 2, (0.5, 1.6), 1.1)) * (0.6 + 0.4 * style.arms)
    beat = 0.15 * pair(style.wobble(3 * m.t, 11), style.wobble(3 * m.t, 12))
    arms = arms_in(
        pose.chest,
        flex=0.05 + gesture * (0.45 + beat),
        abduct=0.12 + 0.2 * gesture,
        bend=style.elbow + gesture * (1.3 + 2 * beat),
        twist=0.45 - 0.5 * gesture * beat,
    )
    head = rotation(
        0.15 * style.wobble(m.t, 3),
        style.stoop + 0.12 * style.wobble(3 * m.t, 4),
        0.05 * style.wobble(m.t, 13),
    )
    return replace(pose, head=head, **arms)


def running(m: Moment) -> Pose:
    """Long strides with a flight between them, bent arms."""
    return walk_like(replace(m, style=replace(m.style, carry=(0, 0))), RUN)


def crouching(m: Moment) -> Pose:
    """Sneaking along with bent knees and trunk."""
    return walk_like(replace(m, style=replace(m.style, carry=(0, 0))), CROUCH)


def skipping(m: Moment) -> Pose:
    """Walking with a hop in every step, high knees, wide arms."""
    return walk_like(replace(m, style=replace(m.style, carry=(0, 0))), SKIP)


def limping(m: Moment) -> Pose:
    """One leg drags, the trunk lurches."""
    return walk_like(m, LIMP)


def jumping(m: Moment) -> Pose:
    """Hops on both feet, arms thrown up."""
    style = m.style
    period = 0.72 / style.cadence
    phase = np.mod(m.t / period, 1.0)
    air = np.clip((phase - 0.45) / 0.55, 0, 1)
    ground = np.clip(phase / 0.45, 0, 1)
    flight = 0.55 * period
    lift = 0.5 * 9.81 * flight**2 * air * (1 - air) * 0.9
    crouch = np.where(phase < 0.45, np.sin(np.pi * ground), 0.0)
    tuck = np.sin(np.pi * air) * 0.10
    parts = plant_feet(m, 0.97 - 0.20 * crouch - tuck, feet=1.1)
    chest = rotation(0.0, style.lean + 0.1 + 0.35 * crouch)
    up = np.sin(np.pi * air)
    flex = -0.5 * crouch + (1.6 + 0.8 * style.arms) * up
    arms = arms_in(
        chest,
        pair(flex, flex),
        pair(0.25 + 0.3 * up, 0.25 + 0.3 * up),
        0.5 + 0 * pair(up, up),
        0.3 + 0 * pair(up, up),
    )
    pitch = 0.9 * np.sin(np.pi * np.clip(air * 1.0, 0, 1))
    feet = np.stack(
        [pair(np.cos(pitch), np.cos(pitch)), np.zeros((len(m.t), 2)), -pair(np.sin(pitch), np.sin(pitch))],
        axis=-1,
    )
    head = rotation(0.0, style.stoop - 0.1 * up)
    return Pose(**{**parts, "feet": feet}, chest=chest, head=head, **arms, **on_ground(m, lift))


def fighting(m: Moment) -> Pose:
    """On guard: bouncing, punches, kicks, and being hit."""
    style = m.style
    punch_l, punch_r = bumps(m, 3, (0.25, 0.75), 0.42)
    kick, hit, _ = bumps(m, 4, (0.8, 1.8), 0.75, sides=3)
    kick = kick * (1 - hit)
    bounce = 0.5 + 0.5 * np.sin(2 * np.pi * 1.9 * m.t + style.seed)
    parts = plant_feet(m, 0.94 - 0.05 * bounce - 0.05 * hit, feet=1.7, ahead=0.14)
    strong = 0 if style.side > 0 else 1
    leg_flex, leg_bend = np.zeros((len(m.t), 2)), np.zeros((len(m.t), 2))
    leg_flex[:, strong] = 1.45 * kick
    leg_bend[:, strong] = 1.9 * kick * (1 - kick) * 2 + 0.1
    thigh, shin = swing(leg_flex, 0.15 + 0 * leg_flex, leg_bend, 0 * leg_flex, knee=True)
    w = np.zeros((len(m.t), 2, 1))
    w[:, strong, 0] = ease(kick * 3)
    parts["thighs"] = unit((1 - w) * parts["thighs"] + w * thigh)
    parts["shins"] = unit((1 - w) * parts["shins"] + w * shin)
    parts["feet"] = unit((1 - w) * parts["feet"] + w * unit(np.array([0.55, 0.0, 0.8]) - 0.2 * shin))
    reachout = 0.10 * (punch_l + punch_r) - 0.16 * hit - 0.06 * kick
    parts["shift"] = parts["shift"] + np.stack([reachout, 0 * m.t], axis=-1)
    chest = rotation(
        0.55 * (punch_r - punch_l) + 0.35 * style.side * hit,
        0.18 + 0.12 * (punch_l + punch_r) - 0.5 * hit - 0.35 * kick,
        0.15 * style.side * hit,
    )
    head = rotation(0.3 * hit * style.side, 0.1 - 0.45 * hit)
    punch = pair(punch_l, punch_r)
    guard = pair(hit, hit)
    flex = 0.55 + 0.95 * punch + 0.4 * guard + 0.06 * pair(style.wobble(4 * m.t, 7), style.wobble(4 * m.t, 8))
    arms = arms_in(chest, flex, 0.25 + 0.35 * guard, 2.1 - 1.95 * punch - 0.5 * guard, 0.35 - 0.2 * punch)
    return Pose(**parts, chest=chest, head=head, **arms, **on_ground(m))


def crawling(m: Moment) -> Pose:
    """On hands and knees: opposite hand and knee advance together."""
    style, body = m.style, m.body
    step = np.sin(2 * np.pi * m.phase)
    lift = np.maximum(0, np.cos(2 * np.pi * m.phase))
    pelvis = rotation(0.06 * step, 1.32, 0.05 * step)
    chest = rotation(-0.06 * step, 1.42, -0.05 * step)
    head = rotation(0.15 * style.wobble(m.t, 3), 0.75 - style.stoop)
    thigh_f = pair(0.24 * step, -0.24 * step) + 0.05
    drop = np.zeros((len(m.t), 2))
    thigh, _ = swing(thigh_f, drop + 0.08, drop, drop)
    shin = unit(np.broadcast_to(np.array([-1.0, 0.0, -0.12]), thigh.shape))
    shoulder = 0.93 * (body.upper_arm + body.forearm + 0.6 * body.hand)
    target = np.zeros((len(m.t), 2, 3))
    target[..., 0] = pair(-0.15 * step, 0.15 * step) + 0.02
    target[..., 1] = SIDES * 0.03
    target[..., 2] = -shoulder + 0.06 * pair(np.maximum(0, -np.cos(2 * np.pi * m.phase)), lift)
    pole = np.broadcast_to(np.array([[-0.8, 0.6, 0.0], [-0.8, -0.6, 0.0]]), target.shape)
    upper, fore = reach(target, body.upper_arm, body.forearm + 0.6 * body.hand, pole)
    return Pose(
        pelvis=pelvis, chest=chest, head=head, upper_arms=upper, forearms=fore, thighs=thigh, shins=shin,
        feet=unit(np.broadcast_to(np.array([-0.6, 0.0, -0.8]), thigh.shape)), shift=np.zeros((len(m.t), 2)),
        **on_ground(m),
    )  # fmt: skip


def panicking(m: Moment) -> Pose:
    """Staggering about with arms flailing over the head."""
    style = m.style
    pose = walk_like(
        replace(m, style=replace(style, carry=(0, 0))), Gait(foot_lift=0.16, lean=0.08, hip=0.93)
    )
    beat = 2 * np.pi * (1.5 + 0.7 * style.pace) * m.t
    wave = pair(np.sin(beat), np.sin(beat + 1.3 + style.side))
    other = pair(np.cos(1.31 * beat), np.cos(1.17 * beat + 2))
    chest = rotation(
        0.25 * np.sin(0.7 * beat), 0.05 + 0.1 * np.sin(0.5 * beat), 0.15 * np.sin(0.63 * beat + 1)
    )
    arms = arms_in(
        chest, 2.4 + 0.55 * wave * style.arms, 0.45 + 0.35 * other, 0.7 + 0.5 * other, 0.2 + 0.4 * wave
    )
    head = rotation(0.5 * np.sin(0.8 * beat), -0.1 + 0.2 * np.sin(0.6 * beat))
    return replace(pose, chest=chest, head=head, **arms)


def gliding(m: Moment) -> Pose:
    """On a skateboard: across the way, knees bent, looking ahead."""
    style = m.style
    parts = plant_feet(m, 0.9 + 0.02 * style.wobble(m.t, 15), feet=2.6)
    chest = rotation(
        0.5 * style.side + 0.1 * style.wobble(m.t, 0), 0.14 + style.lean, 0.05 * style.wobble(m.t, 2)
    )
    head = rotation(1.15 * style.side + 0.1 * style.wobble(m.t, 3), 0.1)
    flex = 0.1 + 0.15 * pair(style.wobble(m.t, 7), style.wobble(m.t, 8))
    arms = arms_in(chest, flex, 0.45 + 0.1 * style.arms + 0 * flex, 0.5 + 0 * flex, 0.2 + 0 * flex)
    return Pose(**parts, chest=chest, head=head, **arms, **on_ground(m, DECK))


def saddle_height(body: Body) -> float:
    """Metres above the ground of the hips of a cyclist."""
    return 0.541 * body.height


def cycling(m: Moment) -> Pose:
    """On a bicycle: feet on the pedals, hands on the bar."""
    style, body = m.style, m.body
    lean = 0.5 + 0.25 * style.pace
    turn = 2 * np.pi * m.phase
    pelvis = rotation(0.0, 0.25 + 0 * m.t, 0.02 * np.sin(turn))
    chest = rotation(0.02 * np.sin(turn), lean + 0.02 * style.wobble(m.t, 1), 0.03 * np.sin(turn))
    head = rotation(0.2 * style.wobble(m.t, 3), 0.15 + 0.5 * style.stoop)
    saddle = saddle_height(body)
    angle = pair(turn, turn + np.pi)
    pedal = np.stack(
        [
            CRANK[0] + CRANK[2] * np.sin(angle),
            SIDES * body.hip * 1.0 + 0 * angle,
            CRANK[1] + CRANK[2] * np.cos(angle),
        ],
        axis=-1,
    )
    pitch = 0.25 + 0.2 * np.sin(angle)
    ankles = pedal + np.stack([-0.09 * np.cos(pitch), 0 * pitch, 0.07 + 0.09 * np.sin(pitch)], axis=-1)
    hips = np.zeros((len(m.t), 3))
    hips[:, 2] = saddle
    legs = legs_to(m, pelvis, hips, ankles, pitch, out=0.05)
    shoulders = (
        hips[:, None]
        + (body.spine * chest[..., 2])[:, None]
        + SIDES[None, :, None] * body.shoulder * chest[..., 1][:, None]
    )
    bar = np.array([[HANDLEBAR[0], s * HANDLEBAR[1], HANDLEBAR[2]] for s in SIDES])
    pole = np.broadcast_to(np.array([[-0.3, 0.6, -0.8], [-0.3, -0.6, -0.8]]), shoulders.shape)
    upper, fore = reach(bar[None] - shoulders, body.upper_arm, body.forearm, pole)
    return Pose(
        pelvis=pelvis, chest=chest, head=head, upper_arms=upper, forearms=fore, **legs,
        shift=np.zeros((len(m.t), 2)), lift=np.zeros_like(m.t), height=np.full_like(m.t, saddle),
        grounded=np.zeros_like(m.t),
    )  # fmt: skip
