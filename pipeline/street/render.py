"""Drawing: people as shaded, tapered limbs with clothes, hair and a face, the nearer over the farther."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.street.acts import CRANK, HANDLEBAR, SADDLE
from pipeline.street.body import INDEX as J
from pipeline.street.body import Array
from pipeline.street.plan import Person, indoors
from pipeline.street.scene import Camera, StreetSettings, background

SHIFT = 4  # fractional bits of the coordinates given to OpenCV
_CIRCLE = np.stack([np.cos(a := np.linspace(0, 2 * np.pi, 18, endpoint=False)), np.sin(a)], axis=-1)
# Nested outlines from the dark rim to the light: share of the radius, offset towards the light, brightness.
_SHADES = ((1.0, 0.0, 0.66), (0.82, 0.10, 0.88), (0.58, 0.22, 1.03), (0.28, 0.34, 1.14))
_LIGHT = np.array([-0.5, -0.85])

Colour = tuple[float, float, float]


@dataclass(frozen=True)
class Look:
    """Colours (BGR) and clothes of one person."""

    skin: Colour
    hair: Colour
    shirt: Colour
    trousers: Colour
    shoes: Colour
    long_sleeves: bool
    shorts: bool
    hair_length: float
    stripe: bool


_SKINS = ((150, 180, 225), (125, 158, 208), (95, 130, 185), (70, 100, 150), (48, 70, 108))
_HAIRS = ((25, 28, 32), (32, 45, 70), (55, 85, 125), (90, 140, 180), (140, 140, 145), (35, 40, 95))


def random_look(seed: int) -> Look:
    """Draw clothes and colours."""
    rng = np.random.default_rng((seed, 5))

    def pick(colours: Sequence[tuple[int, int, int]]) -> Colour:
        b, g, r = np.array(colours[int(rng.integers(len(colours)))]) * rng.uniform(0.9, 1.1)
        return float(b), float(g), float(r)

    def cloth(low: float, high: float) -> Colour:
        hsv = np.array([[[rng.integers(180), rng.integers(20, 190), rng.uniform(low, high)]]]).astype(
            np.uint8
        )
        b, g, r = cv2.cvtColor(hsv, cv2.COLOR_HSV2BGR)[0, 0]
        return float(b), float(g), float(r)

    return Look(
        pick(_SKINS),
        pick(_HAIRS),
        cloth(90, 240),
        cloth(45, 150),
        cloth(25, 90) if rng.random() < 0.7 else cloth(180, 230),
        bool(rng.random() < 0.6),
        bool(rng.random() < 0.2),
        float(rng.choice([0.0, 0.0, 0.5, 1.0])),
        bool(rng.random() < 0.3),
    )


def _tone(colour: Colour, share: float) -> Colour:
    b, g, r = (min(255.0, c * share) for c in colour)
    return b, g, r


class Renderer:
    """Draws the frames of one clip.

    Args:
        settings: of the street.
        seed: of the camera's noise and the light.
        people: whom to draw.
    """

    def __init__(self, settings: StreetSettings, seed: int, people: Sequence[Person]) -> None:
        self.camera = Camera(settings)
        self.size = (settings.width, settings.height)
        rng = np.random.default_rng((seed, 2))
        light = rng.uniform(0.9, 1.08)
        self.empty = np.clip(background(settings) * light, 0, 255).astype(np.uint8)
        self.people = people
        self.looks = [random_look(p.visit.look) for p in people]
        self.inside = [indoors(p) for p in people]
        self.flat = [self.camera.project(p.joints) for p in people]
        self.rng = np.random.default_rng((seed, 3))
        # A bank of noise, read at a new place in each frame: far cheaper than drawing it anew, and as good to look at.
        height, width = settings.height, settings.width
        noise = self.rng.normal(0, settings.noise, (height + 64, width + 64, 3))
        self.plus = np.clip(np.rint(noise), 0, 255).astype(np.uint8)
        self.minus = np.clip(np.rint(-noise), 0, 255).astype(np.uint8)

    def draw(self, frame: int) -> NDArray[np.uint8]:
        """(H, W, 3) BGR picture of ``frame``; call with ascending frames for reproducible noise."""
        image = self.empty.copy()
        there = []
        for i, (pixels, depth) in enumerate(self.flat):
            if self.inside[i][frame]:
                continue
            x, y = pixels[frame, :, 0], pixels[frame, :, 1]
            if (
                depth[frame].min() > 1.5
                and x.max() > -40
                and x.min() < self.size[0] + 40
                and y.max() > -40
                and y.min() < self.size[1] + 60
            ):
                there.append(i)
        eye = np.array([0, 0, self.camera.height])
        there.sort(key=lambda i: -np.linalg.norm(self.people[i].joints[frame, 0] - eye))
        for i in there:
            self._shadow(image, i, frame)
        for i in there:
            self._person(image, i, frame)
        dy, dx = (int(v) for v in self.rng.integers(0, 64, 2))
        h, w = image.shape[:2]
        image = cv2.add(image, self.plus[dy : dy + h, dx : dx + w])
        return cv2.subtract(image, self.minus[dy : dy + h, dx : dx + w])

    def _fill(self, image: NDArray[np.uint8], outline: Array, colour: Colour) -> None:
        points = np.rint(outline * (1 << SHIFT)).astype(np.int32)
        cv2.fillConvexPoly(image, points, colour, cv2.LINE_AA, SHIFT)

    def _hull(self, image: NDArray[np.uint8], centres: Array, radii: Array, colour: Colour) -> None:
        """The shaded convex hull of circles: ``centres`` (N, 2), ``radii`` (N,) pixels."""
        middle = centres.mean(axis=0)
        for share, offset, light in _SHADES:
            r = np.maximum(radii * share, 0.35)
            c = centres + _LIGHT * (radii * offset * 0.55)[:, None]
            if len(centres) > 2:
                c = middle + (c - middle) * (0.55 + 0.45 * share)
            rim = (c[:, None] + r[:, None, None] * _CIRCLE).reshape(-1, 2).astype(np.float32)
            self._fill(image, cv2.convexHull(rim)[:, 0], _tone(colour, light))

    def _shadow(self, image: NDArray[np.uint8], i: int, frame: int) -> None:
        """A soft dark patch on the ground under the person."""
        joints = self.people[i].joints[frame]
        low, high = joints[:, :2].min(axis=0), joints[:, :2].max(axis=0)
        middle, half = (low + high) / 2, np.minimum((high - low) / 2 + 0.10, 0.9)
        rim = np.concatenate([middle + _CIRCLE * half, np.zeros((len(_CIRCLE), 1))], axis=1)
        outline, _ = self.camera.project(rim)
        x0, y0 = np.maximum(np.floor(outline.min(axis=0)).astype(int) - 3, 0)
        x1, y1 = np.minimum(np.ceil(outline.max(axis=0)).astype(int) + 4, self.size)
        if x1 <= x0 or y1 <= y0:
            return
        patch = image[y0:y1, x0:x1]
        dark = patch.copy()
        for share in (1.0, 0.75):
            centre = outline.mean(axis=0)
            self._fill(dark, centre + (outline - centre) * share - [x0, y0], _tone((70, 68, 66), 1.5 - share))
        patch[:] = cv2.addWeighted(patch, 0.62, dark, 0.38, 0)

    def _person(self, image: NDArray[np.uint8], i: int, frame: int) -> None:
        """Parts from far to near."""
        person, look = self.people[i], self.looks[i]
        pixels, depth = self.flat[i][0][frame], self.flat[i][1][frame]
        body = person.visit.body
        unit = self.camera.focal * body.height / float(depth.mean())  # pixels of the standing height
        girth = unit * body.build
        parts: list[tuple[float, int, Array, Array, Colour]] = []

        def add(names: Sequence[int], radii: Sequence[float], colour: Colour, bias: float = 0.0) -> None:
            at = list(names)
            where = float(depth[at].mean()) + bias
            parts.append((where, len(parts), pixels[at], np.array(radii) * girth, colour))

        for side in ("left", "right"):
            shoulder, elbow, wrist, hand = (J[f"{side}_{n}"] for n in ("shoulder", "elbow", "wrist", "hand"))
            hip, knee, ankle, heel, toe = (J[f"{side}_{n}"] for n in ("hip", "knee", "ankle", "heel", "toe"))
            sleeve = look.shirt if look.long_sleeves else look.skin
            calf = look.skin if look.shorts else look.trousers
            add((heel, toe), (0.02, 0.016), look.shoes, -0.01)
            add((ankle, heel), (0.022, 0.02), look.shoes)
            add((knee, ankle), (0.034, 0.022), calf, 0.01)
            add((hip, knee), (0.052, 0.036), look.trousers, -0.005)
            add((shoulder, elbow), (0.032, 0.025), look.shirt, -0.02)
            add((elbow, wrist), (0.024, 0.017), sleeve, -0.03)
            add((wrist, hand), (0.017, 0.019), look.skin, -0.03)
        hips, shoulders = [J["left_hip"], J["right_hip"]], [J["left_shoulder"], J["right_shoulder"]]
        parts.sort(key=lambda part: (-part[0], part[1]))
        trunk = float(depth[[*hips, *shoulders]].mean())
        waist = 0.45 * pixels[J["chest"]] + 0.55 * pixels[J["pelvis"]]
        if person.bicycle[frame]:
            self._bicycle(image, person, frame)
        drawn = False
        for where, _, centres, radii, colour in parts:
            if not drawn and where < trunk:
                self._trunk(image, pixels, hips, shoulders, waist, girth, look)
                self._head(image, person, frame, unit, look, pixels, depth)
                drawn = True
            self._hull(image, centres, radii, colour)
        if not drawn:
            self._trunk(image, pixels, hips, shoulders, waist, girth, look)
            self._head(image, person, frame, unit, look, pixels, depth)

    def _trunk(
        self,
        image: NDArray[np.uint8],
        pixels: Array,
        hips: list[int],
        shoulders: list[int],
        waist: Array,
        girth: float,
        look: Look,
    ) -> None:
        pelvis = np.concatenate(
            [pixels[hips], (0.75 * pixels[J["pelvis"]] + 0.25 * pixels[J["chest"]])[None]]
        )
        self._hull(image, pelvis, np.array([0.05, 0.05, 0.062]) * girth, look.trousers)
        hem = 0.3 * pixels[shoulders] + 0.7 * pixels[hips]
        chest = np.concatenate(
            [pixels[shoulders], 0.85 * pixels[[J["chest"]]] + 0.15 * waist, waist[None], hem]
        )
        self._hull(image, chest, np.array([0.032, 0.032, 0.055, 0.062, 0.05, 0.05]) * girth, look.shirt)
        if look.stripe:
            line = 0.6 * pixels[J["chest"]] + 0.4 * pixels[J["pelvis"]]
            across = (pixels[shoulders[0]] - pixels[shoulders[1]]) * 0.42
            self._hull(
                image,
                np.stack([line - across, line + across]),
                np.array([0.014, 0.014]) * girth,
                _tone(look.trousers, 1.4),
            )
        neck = np.stack(
            [
                0.3 * pixels[J["head"]] + 0.7 * pixels[J["chest"]],
                0.65 * pixels[J["head"]] + 0.35 * pixels[J["chest"]],
            ]
        )
        self._hull(image, neck, np.array([0.03, 0.026]) * girth, look.skin)

    def _head(
        self,
        image: NDArray[np.uint8],
        person: Person,
        frame: int,
        unit: float,
        look: Look,
        pixels: Array,
        depth: Array,
    ) -> None:
        """Skull, hair and face, turned as the head's axes say."""
        axes, centre = person.head[frame], person.joints[frame, J["head"]]
        r = person.visit.body.head
        forward, left, up = axes.T
        view = centre - np.array([0, 0, self.camera.height])
        view = view / np.linalg.norm(view)
        facing = -float(forward @ view)
        scale = self.camera.focal / float(depth[J["head"]])

        def spot(f: float, s: float, u: float) -> Array:
            return self.camera.project(centre + r * (f * forward + s * left + u * up))[0]

        def ball(points: Sequence[tuple[float, float, float, float]], colour: Colour) -> None:
            where = np.array([spot(*p[:3]) for p in points])
            self._hull(image, where, np.array([p[3] for p in points]) * r * scale, colour)

        skull = ((-0.05, 0, 0.28, 0.70), (0.06, 0, -0.25, 0.60), (0.14, 0, -0.62, 0.36))
        hair = [(-0.16, 0, 0.36, 0.72), (-0.30, 0, 0.05, 0.62)]
        if look.hair_length:
            hair.append((-0.38, 0, -0.35 - 0.7 * look.hair_length, 0.5))

        def face() -> None:
            ball(((0.20, 0, 0.18, 0.60), (0.22, 0, -0.25, 0.56), (0.24, 0, -0.62, 0.34)), look.skin)

        def ears() -> None:
            for s in (-1, 1):
                if -s * float(left @ view) > -0.25:
                    ball(
                        ((-0.02, 0.70 * s, 0.08, 0.15), (-0.02, 0.68 * s, -0.12, 0.11)),
                        _tone(look.skin, 0.95),
                    )

        ball(skull, look.skin)
        if facing < -0.15:
            face()
            ears()
            ball(hair, look.hair)
            return
        ball(hair, look.hair)
        face()
        ears()
        # Fringe, eyes, brows, nose, mouth: drawn where they look at the camera.
        ball(((0.25, -0.38, 0.70, 0.22), (0.25, 0.38, 0.70, 0.22), (0.1, 0, 0.82, 0.25)), look.hair)
        dot = max(0.5, 0.105 * r * scale)
        for s in (-1, 1):
            if -float((0.8 * forward + 0.45 * s * left) @ view) > 0.12:
                eye, brow = spot(0.76, 0.30 * s, 0.13), spot(0.78, 0.31 * s, 0.33)
                self._fill(image, eye + _CIRCLE * [1.5 * dot, dot], (225, 228, 230))
                self._fill(image, eye + _CIRCLE * dot * 0.75, (35, 30, 30))
                self._fill(image, brow + _CIRCLE * [1.7 * dot, 0.55 * dot], _tone(look.hair, 0.9))
        self._fill(image, spot(0.82, 0, -0.14) + _CIRCLE * 1.3 * dot, _tone(look.skin, 0.72))
        self._fill(image, spot(0.86, 0, -0.10) + _CIRCLE * 1.0 * dot, _tone(look.skin, 1.1))
        if facing > 0.05:
            self._fill(image, spot(0.76, 0, -0.46) + _CIRCLE * [2.3 * dot, 0.7 * dot], (70, 65, 140))

    def _bicycle(self, image: NDArray[np.uint8], person: Person, frame: int) -> None:
        """Wheels, frame, bar and pedals under the rider, in the plane of the heading."""
        heading, (px, py) = person.heading[frame], person.path[frame]
        saddle = SADDLE * person.visit.body.height / 1.72
        cos, sin = np.cos(heading), np.sin(heading)

        def at(points: Array) -> Array:
            x, y, z = points[..., 0], points[..., 1], points[..., 2]
            world = np.stack([px + x * cos - y * sin, py + x * sin + y * cos, z], axis=-1)
            return self.camera.project(world)[0]

        scale = self.camera.focal / max(2.0, float(np.hypot(px, py)))
        colour = _tone(random_look(person.visit.look + 1).shirt, 0.9)
        wheels = []
        for hub in (-0.42, 0.66):
            rim = np.zeros((len(_CIRCLE) * 2, 3))
            angle = np.linspace(0, 2 * np.pi, len(rim), endpoint=False)
            rim[:, 0], rim[:, 2] = hub + 0.33 * np.cos(angle), 0.335 + 0.33 * np.sin(angle)
            wheels.append(at(rim))
            spokes = at(np.array([[hub, 0, 0.335]]))[0]
            turn = person.phase[frame] * 12
            for k in range(0, len(rim), 4):
                tip = at(np.array([[hub + 0.32 * np.cos(turn + k), 0, 0.335 + 0.32 * np.sin(turn + k)]]))[0]
                self._line(image, np.stack([spokes, tip]), (120, 120, 122), 0.006 * scale)
            self._line(image, np.concatenate([wheels[-1], wheels[-1][:1]]), (35, 35, 36), 0.035 * scale)
        crank, rear, fork = (CRANK[0], 0, CRANK[1]), (-0.42, 0, 0.335), (0.66, 0, 0.335)
        seat, head = (0.0, 0, saddle - 0.1), (0.5, 0, 0.88)
        for a, b in ((crank, rear), (rear, seat), (seat, crank), (crank, head), (seat, head), (head, fork)):
            self._line(image, at(np.array([a, b], float)), colour, 0.035 * scale)
        stem = at(np.array([head, (0.55, 0, HANDLEBAR[2])], float))
        self._line(image, stem, (60, 60, 62), 0.03 * scale)
        bar = np.array(
            [
                [HANDLEBAR[0], HANDLEBAR[1], HANDLEBAR[2]],
                [0.55, 0, HANDLEBAR[2]],
                [HANDLEBAR[0], -HANDLEBAR[1], HANDLEBAR[2]],
            ]
        )
        self._line(image, at(bar), (50, 50, 52), 0.03 * scale)
        self._line(
            image,
            at(np.array([[-0.12, 0, saddle - 0.07], [0.14, 0, saddle - 0.08]])),
            (30, 30, 30),
            0.06 * scale,
        )

    def _line(self, image: NDArray[np.uint8], points: Array, colour: Colour, width: float) -> None:
        fixed = np.rint(points * (1 << SHIFT)).astype(np.int32)
        cv2.polylines(image, [fixed], False, colour, max(1, round(width)), cv2.LINE_AA, SHIFT)
