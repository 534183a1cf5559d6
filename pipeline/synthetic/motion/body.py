"""A 3-D articulated body: proportions, poses as bone directions, forward and inverse kinematics.

Metres. A pose is given in the person's heading frame: x forward, y to the left, z up. The world has x to the right, y
away from the camera, z up, the ground at z = 0. Poses hold bone *directions*, so that bone lengths cannot change.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

JOINTS = (
    "pelvis", "chest", "head", "nose", "left_eye", "right_eye", "left_ear", "right_ear",
    "left_shoulder", "right_shoulder", "left_elbow", "right_elbow", "left_wrist", "right_wrist", "left_hand",
    "right_hand", "left_hip", "right_hip", "left_knee", "right_knee", "left_ankle", "right_ankle",
    "left_heel", "right_heel", "left_toe", "right_toe",
)  # fmt: skip
INDEX = {name: i for i, name in enumerate(JOINTS)}


SIDES = np.array([1.0, -1.0])  # left is +y of the heading frame


@dataclass(frozen=True)
class Body:
    """One person's build. Lengths are shares of the height after Drillis and Contini's body segment table.

    Attributes:
        height: metres from sole to crown.
        build: girth relative to a medium build.
        shoulders: width of the shoulders relative to the medium.
    """

    height: float = 1.72
    build: float = 1.0
    shoulders: float = 1.0

    @property
    def thigh(self) -> float:
        """Hip joint to knee, metres."""
        return 0.245 * self.height

    @property
    def shin(self) -> float:
        """Knee to ankle, metres."""
        return 0.246 * self.height

    @property
    def leg(self) -> float:
        """Hip joint to ankle of the straight leg, metres."""
        return self.thigh + self.shin

    @property
    def ankle(self) -> float:
        """Ankle above the sole, metres."""
        return 0.042 * self.height

    @property
    def ball(self) -> float:
        """Ankle to the ball of the foot along the sole, metres."""
        return 0.085 * self.height

    @property
    def hip(self) -> float:
        """Half the distance of the hip joints, metres."""
        return 0.053 * self.height

    @property
    def shoulder(self) -> float:
        """Half the distance of the shoulder joints, metres."""
        return 0.104 * self.height * self.shoulders

    @property
    def spine(self) -> float:
        """Middle of the hips to middle of the shoulders, metres."""
        return 0.286 * self.height

    @property
    def upper_arm(self) -> float:
        """Shoulder to elbow, metres."""
        return 0.175 * self.height

    @property
    def forearm(self) -> float:
        """Elbow to wrist, metres."""
        return 0.148 * self.height

    @property
    def hand(self) -> float:
        """Wrist to the knuckles, metres."""
        return 0.055 * self.height

    @property
    def head(self) -> float:
        """Half the height of the head, metres."""
        return 0.067 * self.height

    def radii(self) -> Array:
        """(J,) metres of flesh around each joint, for ground contact, boxes and occlusion."""
        share = dict.fromkeys(JOINTS, 0.012)
        share |= {"pelvis": 0.068, "chest": 0.06, "head": 0.06}
        for side in ("left", "right"):
            share |= {
                f"{side}_shoulder": 0.033, f"{side}_elbow": 0.024, f"{side}_wrist": 0.018, f"{side}_hand": 0.02,
                f"{side}_hip": 0.05, f"{side}_knee": 0.033, f"{side}_ankle": 0.024, f"{side}_heel": 0.0,
                f"{side}_toe": 0.0,
            }  # fmt: skip
        girth = {"head": 1.0, "left_heel": 0.0, "right_heel": 0.0, "left_toe": 0.0, "right_toe": 0.0}
        return np.array([share[j] * self.height * girth.get(j, self.build) for j in JOINTS])


@dataclass(frozen=True)
class Pose:
    """A motion of T frames as orientations and bone directions in the heading frame; second axis 0 left, 1 right.

    Attributes:
        pelvis, chest, head: (T, 3, 3) rotations whose columns are forward, left and up.
        upper_arms, forearms, thighs, shins, feet: (T, 2, 3) unit vectors; ``feet`` point from heel to toe.
        shift: (T, 2) metres forward and left of the pelvis from the point that follows the path.
        lift: (T,) metres of the body's lowest point above the ground.
        height: (T,) metres of the pelvis above the ground where ``grounded`` is 0 (a rider's seat).
        grounded: (T,) 1 where the lowest point decides the height, 0 where ``height`` does.
    """

    pelvis: Array
    chest: Array
    head: Array
    upper_arms: Array
    forearms: Array
    thighs: Array
    shins: Array
    feet: Array
    shift: Array
    lift: Array
    height: Array
    grounded: Array

    def __getitem__(self, index: slice) -> Pose:
        return Pose(*(getattr(self, f.name)[index] for f in fields(self)))


def unit(vectors: Array) -> Array:
    """``vectors`` along the last axis, scaled to length 1."""
    return vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-9)


def rotation(yaw: Array | float, pitch: Array | float = 0.0, roll: Array | float = 0.0) -> Array:
    """(T, 3, 3) rotation; radians: yaw turns left, pitch leans forward, roll leans left."""
    yaw, pitch, roll = np.broadcast_arrays(np.atleast_1d(yaw), pitch, roll)
    (cy, sy), (cp, sp), (cr, sr) = ((np.cos(a), np.sin(a)) for a in (yaw, pitch, -roll))
    rows = (
        (cy * cp, cy * sp * sr - sy * cr, cy * sp * cr + sy * sr),
        (sy * cp, sy * sp * sr + cy * cr, sy * sp * cr - cy * sr),
        (-sp, cp * sr, cp * cr),
    )
    return np.stack([np.stack(row, axis=-1) for row in rows], axis=-2)


def swing(flex: Array, abduct: Array, bend: Array, twist: Array, knee: bool = False) -> tuple[Array, Array]:
    """Directions of a hanging limb's two bones from its angles; arguments (T, 2) radians, results (T, 2, 3).

    ``flex`` swings it forward, ``abduct`` outward, ``bend`` closes the elbow (or knee), ``twist`` turns the
    bending plane inward. In the frame of the part that the limb hangs from.
    """
    cf, sf, ca, sa = np.cos(flex), np.sin(flex), np.cos(abduct), np.sin(abduct)
    side = np.broadcast_to(SIDES, flex.shape)
    upper = np.stack([sf * ca, side * sa, -cf * ca], axis=-1)
    forward = np.stack([cf, np.zeros_like(cf), sf], axis=-1)
    outward = np.stack([-sf * sa, side * ca, cf * sa], axis=-1)
    plane = np.cos(twist)[..., None] * forward - np.sin(twist)[..., None] * outward
    if knee:
        plane = -plane
    lower = np.cos(bend)[..., None] * upper + np.sin(bend)[..., None] * plane
    return upper, lower


def reach(target: Array, first: float, second: float, pole: Array) -> tuple[Array, Array]:
    """Directions of two bones of lengths ``first`` and ``second`` whose end comes to ``target`` (…, 3), or as near as
    they reach; their joint points towards ``pole`` (…, 3)."""
    limit = np.clip(
        np.linalg.norm(target, axis=-1), abs(first - second) * 1.02 + 1e-6, (first + second) * 0.9985
    )
    along = unit(target)
    side = unit(pole - np.sum(pole * along, axis=-1, keepdims=True) * along)
    cosine = np.clip((first**2 + limit**2 - second**2) / (2 * first * limit), -1, 1)
    upper = cosine[..., None] * along + np.sqrt(1 - cosine**2)[..., None] * side
    lower = unit(along * limit[..., None] - upper * first)
    return upper, lower


def blend(old: Pose, new: Pose, weight: Array) -> Pose:
    """From ``old`` (weight 0) to ``new`` (weight 1), ``weight`` (T,); directions stay unit vectors."""
    mixed = {}
    for f in fields(Pose):
        a, b = getattr(old, f.name), getattr(new, f.name)
        w = weight.reshape((-1,) + (1,) * (a.ndim - 1))
        value = (1 - w) * a + w * b
        if f.name in ("pelvis", "chest", "head"):
            forward = unit(value[..., 0])
            up = unit(value[..., 2] - np.sum(value[..., 2] * forward, axis=-1, keepdims=True) * forward)
            value = np.stack([forward, np.cross(up, forward), up], axis=-1)
        elif value.ndim == 3:
            value = unit(value)
        mixed[f.name] = value
    return Pose(**mixed)


def body_joints(body: Body, pose: Pose) -> tuple[Array, Array]:
    """Joints (T, J, 3) in the heading frame relative to the pelvis, and the head's axes (T, 3, 3)."""
    frames = len(pose.lift)
    joints = np.zeros((frames, len(JOINTS), 3))

    def put(name: str, value: Array) -> None:
        joints[:, INDEX[name]] = value

    def at(name: str) -> Array:
        return joints[:, INDEX[name]]

    put("chest", body.spine * pose.chest[..., 2])
    neck = at("chest") + 0.045 * body.height * unit(pose.chest[..., 2] + 0.25 * pose.chest[..., 0])
    forward, left, up = (pose.head[..., i] for i in range(3))
    r = body.head
    put("head", neck + 1.12 * r * up)
    put("nose", at("head") + r * (0.92 * forward - 0.12 * up))
    for i, side in enumerate(("left", "right")):
        s = SIDES[i]
        put(f"{side}_eye", at("head") + r * (0.74 * forward + s * 0.30 * left + 0.13 * up))
        put(f"{side}_ear", at("head") + r * (s * 0.72 * left - 0.04 * forward + 0.02 * up))
        put(f"{side}_shoulder", at("chest") + s * body.shoulder * pose.chest[..., 1])
        put(f"{side}_elbow", at(f"{side}_shoulder") + body.upper_arm * pose.upper_arms[:, i])
        put(f"{side}_wrist", at(f"{side}_elbow") + body.forearm * pose.forearms[:, i])
        put(f"{side}_hand", at(f"{side}_wrist") + body.hand * pose.forearms[:, i])
        put(f"{side}_hip", s * body.hip * pose.pelvis[..., 1])
        put(f"{side}_knee", at(f"{side}_hip") + body.thigh * pose.thighs[:, i])
        put(f"{side}_ankle", at(f"{side}_knee") + body.shin * pose.shins[:, i])
        toe = pose.feet[:, i]
        down = unit(pose.shins[:, i] - np.sum(pose.shins[:, i] * toe, axis=-1, keepdims=True) * toe)
        put(f"{side}_heel", at(f"{side}_ankle") + body.ankle * down - 0.035 * body.height * toe)
        put(f"{side}_toe", at(f"{side}_ankle") + body.ankle * down + 1.18 * body.ball * toe)
    return joints, pose.head


def place(body: Body, pose: Pose, path: Array, heading: Array) -> tuple[Array, Array]:
    """Joints (T, J, 3) in the world and the head's axes (T, 3, 3), for a ``path`` (T, 2) with ``heading`` (T,) radians.

    The body stands on the ground: its lowest point is at ``pose.lift``.
    """
    joints, head = body_joints(body, pose)
    lowest = (joints[..., 2] - body.radii()).min(axis=1)
    z = pose.grounded * (pose.lift - lowest) + (1 - pose.grounded) * pose.height
    turn = rotation(heading)
    joints[..., :2] += pose.shift[:, None]
    world = np.einsum("tij,tkj->tki", turn, joints)
    world[..., :2] += path[:, None]
    world[..., 2] += z[:, None]
    return world, turn @ head
