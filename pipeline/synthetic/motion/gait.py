"""Walking in all its forms: feet that stay put on the ground, and what the rest of the body does about them."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from pipeline.synthetic.motion.body import SIDES, Array, Body, Pose, reach, rotation, swing, unit


@dataclass(frozen=True)
class Style:
    """How one person does things: drawn once a person, so that the same behaviour differs from person to person.

    Attributes:
        pace: 0..1, where in a behaviour's range of speeds this person is.
        cadence: steps relative to the usual at a speed.
        arms, bounce, sway, width: amplitude of the arm swing, bob, side-to-side motion and step width, medium 1.
        lean, stoop: radians of trunk and head forward.
        elbow: radians of elbow bend when walking.
        carry: how each arm (left, right) is held: 0 swinging, 1 in a pocket, 2 holding a bag, 3 at the ear, 4 on a
            handle in front.
        side: 1 or -1, the preferred side.
        seed: of the events inside a behaviour.
        waves: (16, 3) frequencies, phases and weights of the small involuntary motions.
    """

    pace: float
    cadence: float
    arms: float
    bounce: float
    sway: float
    width: float
    lean: float
    stoop: float
    elbow: float
    carry: tuple[int, int]
    side: int
    seed: int
    waves: Array = field(repr=False)

    def wobble(self, t: Array, channel: int) -> Array:
        """A slow, small, smooth motion within about -1..1 at times ``t`` (T,) seconds; channels 0..15 differ."""
        rate, phase, weight = self.waves[channel % len(self.waves)]
        return weight * np.sin(rate * t + phase) + (1 - weight) * np.sin(2.3 * rate * t + 2 * phase)

    def rng(self, salt: int = 0) -> np.random.Generator:
        """A generator for the events inside a behaviour; the same one each time."""
        return np.random.default_rng((self.seed, salt))


def random_style(rng: np.random.Generator) -> Style:
    """Draw a person's way of moving."""
    carry = [0, 0]
    if rng.random() < 0.3:
        carry[rng.integers(2)] = int(rng.integers(1, 4))
    return Style(
        pace=float(rng.random()),
        cadence=float(rng.uniform(0.93, 1.08)),
        arms=float(rng.uniform(0.6, 1.4)),
        bounce=float(rng.uniform(0.7, 1.3)),
        sway=float(rng.uniform(0.6, 1.4)),
        width=float(rng.uniform(0.7, 1.3)),
        lean=float(rng.uniform(-0.02, 0.09)),
        stoop=float(rng.uniform(-0.05, 0.25)),
        elbow=float(rng.uniform(0.15, 0.55)),
        carry=(carry[0], carry[1]),
        side=int(rng.choice([-1, 1])),
        seed=int(rng.integers(2**31)),
        waves=np.stack(
            [rng.uniform(0.7, 2.4, 16), rng.uniform(0, 2 * np.pi, 16), rng.uniform(0.4, 0.9, 16)], axis=1
        ),
    )


@dataclass(frozen=True)
class Moment:
    """What a behaviour is asked about: T frames of one person.

    Attributes:
        t: (T,) seconds since the behaviour began; below 0 and above ``seconds`` while it passes into its neighbours.
        seconds: how long it lasts.
        phase: (T,) strides made so far; the left heel strikes at whole numbers.
        speed: (T,) metres a second.
        rate: (T,) strides a second.
    """

    t: Array
    seconds: float
    phase: Array
    speed: Array
    rate: Array
    body: Body
    style: Style


@dataclass(frozen=True)
class Gait:
    """The form of a gait; angles in radians, lengths as shares of the leg.

    Attributes:
        duty: share of the stride that a foot stands.
        hip: mean height of the hips above the ankles.
        bob: amplitude of the hips' rise and fall, twice a stride.
        foot_lift: how far the swinging foot rises.
        toe_off: pitch of the foot when it leaves the ground.
        arms, elbow: swing and bend of the arms; ``elbow`` is added to the person's own.
        twist: yaw of the hips; the shoulders turn the other way.
        lean: trunk forward.
        flight: height of the flight between the steps, twice a stride.
        limp: 0..1, asymmetry: one leg stands shorter, stiffer, and the trunk lurches over the other.
        hold: how far the feet stay ahead of the hips.
    """

    duty: float = 0.62
    hip: float = 0.962
    bob: float = 0.022
    foot_lift: float = 0.07
    toe_off: float = 0.95
    arms: float = 0.42
    elbow: float = 0.0
    twist: float = 0.11
    lean: float = 0.03
    flight: float = 0.0
    limp: float = 0.0
    hold: float = 0.0


def stride_rate(speed: Array, body: Body, style: Style) -> Array:
    """(T,) strides a second at ``speed`` for walking and running people; short people step faster."""
    walk = 0.52 + 0.33 * np.minimum(speed, 2.0)
    run = np.clip((speed - 1.8) / 0.8, 0, 1) * (0.22 + 0.05 * np.maximum(speed - 2.2, 0))
    return (walk + run) * style.cadence * np.sqrt(1.72 / body.height)


def feet_on_ground(m: Moment, gait: Gait) -> tuple[Array, Array]:
    """Ankles (T, 2, 3) relative to the ground under the hips, and pitch (T, 2) of the feet (toe down positive).

    While a foot stands, its ball moves backwards exactly as fast as the person forwards, so it does not slide.
    """
    body = m.body
    vigour = np.clip(m.speed / 0.7, 0, 1)
    ankles = np.zeros((len(m.t), 2, 3))
    pitch = np.zeros((len(m.t), 2))
    for i, side in enumerate(SIDES):
        weak = gait.limp if side == m.style.side else 0.0
        duty = gait.duty - 0.12 * weak + (0.08 * gait.limp if side != m.style.side else 0.0)
        phase = np.mod(m.phase + 0.5 * i, 1.0)
        stance = m.speed * duty / np.maximum(m.rate, 0.2)
        front = 0.5 * stance + body.ball * (0.75 - 0.1 * vigour) + gait.hold * body.leg
        u = np.clip(phase / duty, 0, 1)
        w = np.clip((phase - duty) / (1 - duty), 0, 1)
        off = gait.toe_off * vigour * (1 - 0.6 * weak) * np.clip(stance / (0.4 * body.leg), 0.3, 1.1)
        strike = -0.22 * vigour * (gait.duty > 0.5)

        def ankle_at(ball_x: Array, angle: Array) -> tuple[Array, Array]:
            heel_up = np.maximum(angle, 0)
            x = ball_x - body.ball * np.cos(heel_up) + body.ankle * np.sin(heel_up)
            return x, body.ankle * np.cos(heel_up) + body.ball * np.sin(heel_up)

        late = np.clip((u - 0.55) / 0.45, 0, 1)
        stand_pitch = off * late**2 + strike * np.clip(1 - u / 0.15, 0, 1)
        stand_x, stand_z = ankle_at(front - stance * u, stand_pitch)
        off_x, off_z = ankle_at(front - stance, off)
        strike_x, strike_z = ankle_at(front, strike + 0 * off)
        drag = -m.speed * (1 - duty) / np.maximum(m.rate, 0.2) * 0.45
        hermite = (
            (2 * w**3 - 3 * w**2 + 1) * off_x
            + (w**3 - 2 * w**2 + w) * drag
            + (3 * w**2 - 2 * w**3) * strike_x
            + (w**3 - w**2) * drag
        )
        lift = gait.foot_lift * (1 - 0.6 * weak) * body.leg * vigour * np.sin(np.pi * w**0.8)
        ease = 0.5 + 0.5 * np.cos(np.pi * w)
        swinging = phase >= duty
        ankles[:, i, 0] = np.where(swinging, hermite, stand_x)
        ankles[:, i, 1] = side * body.hip * (0.85 - 0.25 * vigour) * m.style.width
        ankles[:, i, 2] = np.where(swinging, ease * off_z + (1 - ease) * strike_z + lift, stand_z)
        pitch[:, i] = np.where(swinging, off * ease**1.5 + strike * (1 - ease) ** 2, stand_pitch)
    return ankles, pitch


def legs_to(
    m: Moment, pelvis: Array, hips: Array, ankles: Array, pitch: Array, out: float = 0.12
) -> dict[str, Array]:
    """Leg directions that bring the ankles (T, 2, 3) where they belong; ``hips`` (T, 3) is the middle of the hips."""
    body = m.body
    side = SIDES[None, :, None]
    hip = hips[:, None] + side * body.hip * pelvis[..., 1][:, None]
    pole = np.broadcast_to(np.array([[1.0, out, 0.25], [1.0, -out, 0.25]]), hip.shape)
    thighs, shins = reach(ankles - hip, body.thigh, body.shin, pole)
    ones = np.ones_like(pitch)
    feet = unit(np.stack([np.cos(pitch), out * ones * SIDES, -np.sin(pitch)], axis=-1))
    return {"thighs": thighs, "shins": shins, "feet": feet}


def hang_arms(
    m: Moment,
    chest: Array,
    flex: Array,
    bend: Array,
    abduct: Array | float = 0.12,
    twist: Array | float = 0.35,
) -> dict[str, Array]:
    """Arm directions from angles (T, 2), with the person's way of carrying things."""
    flex, bend = (
        np.array(np.broadcast_to(flex, (len(m.t), 2))),
        np.array(np.broadcast_to(bend, (len(m.t), 2))),
    )
    abduct = np.array(np.broadcast_to(abduct, flex.shape))
    twist = np.array(np.broadcast_to(twist, flex.shape))
    for i, how in enumerate(m.style.carry):
        if how == 1:
            flex[:, i], bend[:, i], abduct[:, i] = 0.15 * flex[:, i] - 0.35, 0.75, 0.28
        elif how == 2:
            flex[:, i], bend[:, i] = 0.3 * flex[:, i], 0.12
        elif how == 3:
            flex[:, i] = 0.45 + 0.05 * m.style.wobble(m.t, 9)
            bend[:, i], abduct[:, i], twist[:, i] = 2.5, 0.6, -0.15
        elif how == 4:
            flex[:, i], bend[:, i], abduct[:, i] = 0.3 + 0.05 * flex[:, i], 0.6, 0.1
    return arms_in(chest, flex, abduct, bend, twist)


def arms_in(chest: Array, flex: Array, abduct: Array, bend: Array, twist: Array) -> dict[str, Array]:
    """Arm directions in the heading frame from angles in the chest's frame."""
    upper, lower = swing(flex, abduct, bend, twist)
    return {
        "upper_arms": np.einsum("tij,tsj->tsi", chest, upper),
        "forearms": np.einsum("tij,tsj->tsi", chest, lower),
    }


def walk_like(m: Moment, gait: Gait) -> Pose:
    """The pose of a person in this gait; at speed 0 they stand."""
    body, style = m.body, m.style
    vigour = np.clip(m.speed / 1.0, 0, 1)
    cycle = 2 * np.pi * m.phase
    left = np.cos(cycle)  # 1 when the left foot is ahead
    ankles, pitch = feet_on_ground(m, gait)
    lurch = gait.limp * style.side
    pelvis = rotation(
        -gait.twist * vigour * left * style.sway,
        gait.lean + 0.3 * style.lean,
        vigour * (0.05 * style.sway * np.sin(cycle) - 0.07 * lurch),
    )
    chest = rotation(
        gait.twist * vigour * left * 0.9 + 0.03 * style.wobble(m.t, 0),
        gait.lean + style.lean + 0.015 * style.wobble(m.t, 1),
        -0.03 * vigour * style.sway * np.sin(cycle)
        - lurch * vigour * (0.10 + 0.14 * np.cos(cycle - 0.5))
        + 0.015 * style.wobble(m.t, 2),
    )
    head = rotation(
        0.25 * style.wobble(0.6 * m.t, 3), 0.5 * gait.lean + style.stoop + 0.05 * style.wobble(m.t, 4), 0.0
    )
    step = (m.speed * gait.duty / np.maximum(m.rate, 0.2) / body.leg) ** 2
    upright = (1 - gait.hip) * 0.9 * (1 - step) if gait.hip > 0.9 else 0 * step  # short steps: straight knees
    hip_height = (
        np.clip(gait.hip + upright, 0, 0.99) * body.leg
        - gait.bob * style.bounce * vigour * np.minimum(step, 1.2) * body.leg * np.cos(2 * cycle - 0.6)
        - 0.03 * vigour * gait.limp * body.leg * (1 + np.cos(cycle + np.pi * (style.side < 0)))
    )
    shift = np.stack(
        [
            0.008 * style.wobble(m.t, 5),
            0.022 * style.sway * vigour * np.sin(cycle) + 0.012 * style.wobble(m.t, 6),
        ],
        axis=-1,
    )
    flight = gait.flight * body.leg * np.maximum(0, -np.cos(2 * cycle + 0.9)) ** 1.0
    hips = np.concatenate([shift, (hip_height + body.ankle)[:, None]], axis=-1)
    ahead = np.stack([-left, left], axis=-1)
    flex = (
        gait.arms * style.arms * vigour[:, None] * ahead
        + 0.05
        + 0.04 * np.stack([style.wobble(m.t, 7), style.wobble(m.t, 8)], axis=-1)
    )
    bend = style.elbow + gait.elbow + 0.25 * vigour[:, None] * np.maximum(ahead, 0)
    return Pose(
        pelvis=pelvis,
        chest=chest,
        head=head,
        **hang_arms(m, chest, flex, bend),
        **legs_to(m, pelvis, hips, ankles, pitch),
        shift=shift,
        lift=flight,
        height=np.zeros_like(m.t),
        grounded=np.ones_like(m.t),
    )
