"""One drawn person: limbs, trunk and head from far to near, and the shadow on the ground."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
from numpy.typing import NDArray

from pipeline.synthetic.drawing.bicycle import draw_bicycle
from pipeline.synthetic.drawing.clothes import Colour, random_look, tone
from pipeline.synthetic.drawing.costume import costume_at
from pipeline.synthetic.drawing.shadow import cast_shadow
from pipeline.synthetic.drawing.strokes import CIRCLE, fill, hull, line
from pipeline.synthetic.motion.body import INDEX as J
from pipeline.synthetic.motion.body import Array
from pipeline.synthetic.street.scene import Camera
from pipeline.synthetic.street.truth import Sight

_HIPS, _SHOULDERS = [J["left_hip"], J["right_hip"]], [J["left_shoulder"], J["right_shoulder"]]
# For each limb of a side: its joints, their radii as shares of the height, what covers it, and metres that it is drawn
# nearer than it is, so that what lies at the same depth covers what it should.
_LIMBS = (
    (("heel", "toe"), (0.02, 0.016), "shoes", 0.01),
    (("ankle", "heel"), (0.022, 0.02), "shoes", 0.0),
    (("knee", "ankle"), (0.034, 0.022), "calf", -0.01),
    (("hip", "knee"), (0.052, 0.036), "trousers", 0.005),
    (("shoulder", "elbow"), (0.032, 0.025), "shirt", 0.02),
    (("elbow", "wrist"), (0.024, 0.017), "sleeve", 0.03),
    (("wrist", "hand"), (0.017, 0.019), "skin", 0.03),
)


class Figure:
    """Draws one person.

    Args:
        sight: the person, as the camera sees them.
        camera: that sees them.
    """

    def __init__(self, sight: Sight, camera: Camera) -> None:
        self.sight = sight
        self.camera = camera
        self.person = sight.person
        self.first = sight.person.first
        self.look = look = random_look(sight.person.visit.look)
        self.cloth = {
            "shoes": look.shoes,
            "calf": look.skin if look.shorts else look.trousers,
            "trousers": look.trousers,
            "shirt": look.shirt,
            "sleeve": look.shirt if look.long_sleeves else look.skin,
            "skin": look.skin,
        }

    def draw(self, image: NDArray[np.uint8], row: int) -> None:
        """Draw the person onto ``image`` as at ``row`` of the person's arrays."""
        pixels, depth = self.sight.pixels[row], self.sight.depth[row]
        body = self.person.visit.body
        girth = self.camera.focal * body.height * body.build / float(depth.mean())
        parts: list[tuple[float, int, Callable[[], None]]] = []

        def add(where: float, draw: Callable[[], None]) -> None:
            parts.append((-where, len(parts), draw))

        for side in ("left", "right"):
            for names, radii, cloth, nearer in _LIMBS:
                at = [J[f"{side}_{name}"] for name in names]
                shape = (pixels[at], np.array(radii) * girth, self.cloth[cloth])
                add(float(depth[at].mean()) - nearer, partial(hull, image, *shape))
        trunk = float(depth[[*_HIPS, *_SHOULDERS]].mean())
        add(trunk, lambda: self._trunk(image, row, girth))
        add(min(trunk, float(depth[J["head"]])) - 0.01, lambda: self._head(image, row))
        if self.person.bicycle[row]:
            add(trunk + 0.06, lambda: draw_bicycle(image, self.person, row, self.camera))
        if self.person.costume[row]:
            middle, costume = costume_at(self.person, row, self.camera)
            add(middle, lambda: costume(image))
        for _, _, draw in sorted(parts, key=lambda part: part[:2]):
            draw()

    def shadow(self, image: NDArray[np.uint8], row: int) -> None:
        """A soft dark patch on the ground under the person."""
        ground = self.person.joints[row, :, :2]
        low, high = ground.min(axis=0), ground.max(axis=0)
        middle, half = (low + high) / 2, np.minimum((high - low) / 2 + 0.10, 0.9)
        cast_shadow(image, middle + CIRCLE * half, self.camera)

    def _trunk(self, image: NDArray[np.uint8], row: int, girth: float) -> None:
        """Trousers' seat, shirt and neck; the front has a collar and a row of buttons, the back has not."""
        pixels = self.sight.pixels[row]
        look, chest, pelvis, head = self.look, pixels[J["chest"]], pixels[J["pelvis"]], pixels[J["head"]]
        shoulders, hips = pixels[_SHOULDERS], pixels[_HIPS]
        waist = 0.45 * chest + 0.55 * pelvis
        seat = np.stack([*hips, 0.75 * pelvis + 0.25 * chest])
        hull(image, seat, np.array([0.05, 0.05, 0.062]) * girth, look.trousers)
        hem = 0.3 * shoulders + 0.7 * hips
        shirt = np.stack([*shoulders, 0.85 * chest + 0.15 * waist, waist, *hem])
        hull(image, shirt, np.array([0.032, 0.032, 0.055, 0.062, 0.05, 0.05]) * girth, look.shirt)
        if look.stripe:
            middle, across = 0.6 * chest + 0.4 * pelvis, (shoulders[0] - shoulders[1]) * 0.42
            band = np.stack([middle - across, middle + across])
            hull(image, band, np.array([0.014, 0.014]) * girth, tone(look.trousers, 1.4))
        self._collar(image, row, girth)
        neck = np.stack([0.3 * head + 0.7 * chest, 0.65 * head + 0.35 * chest])
        hull(image, neck, np.array([0.03, 0.026]) * girth, look.skin)

    def _collar(self, image: NDArray[np.uint8], row: int, girth: float) -> None:
        joints, body = self.person.joints[row], self.person.visit.body
        up = joints[J["chest"]] - joints[J["pelvis"]]
        left = joints[J["left_shoulder"]] - joints[J["right_shoulder"]]
        forward = np.cross(left, up) / np.linalg.norm(left) / np.linalg.norm(up)
        view = joints[J["chest"]] - np.array([0, 0, self.camera.height])
        if -float(forward @ view) < 0.15 * np.linalg.norm(view):
            return
        front = joints[J["chest"]] + 0.05 * body.height * body.build * forward
        spots = np.stack([front + up * share for share in (0.10, 0.0, -0.08, -0.2, -0.4, -0.6)])
        flat, _ = self.camera.project(spots)
        hull(image, flat[:3], np.array([0.022, 0.018, 0.006]) * girth, self.look.skin)
        line(image, flat[2:], tone(self.look.shirt, 0.6), 0.008 * girth)
        for button in flat[3:]:
            fill(image, button + CIRCLE * max(0.6, 0.008 * girth), tone(self.look.shirt, 1.5))

    def _head(self, image: NDArray[np.uint8], row: int) -> None:
        """Skull, hair and face, turned as the head's axes say; positions are in half head heights from its middle."""
        look, centre, r = self.look, self.person.joints[row, J["head"]], self.person.visit.body.head
        forward, left, up = self.person.head[row].T
        view = centre - np.array([0, 0, self.camera.height])
        view = view / np.linalg.norm(view)
        facing = -float(forward @ view)
        size = r * self.camera.focal / float(self.sight.depth[row, J["head"]])

        def spot(f: float, s: float, u: float) -> Array:
            return self.camera.project(centre + r * (f * forward + s * left + u * up))[0]

        def ball(points: Sequence[tuple[float, float, float, float]], colour: Colour) -> None:
            where = np.array([spot(*p[:3]) for p in points])
            hull(image, where, np.array([p[3] for p in points]) * size, colour)

        def face() -> None:
            ball(((0.20, 0, 0.18, 0.60), (0.22, 0, -0.25, 0.56), (0.24, 0, -0.62, 0.34)), look.skin)
            for s in (-1, 1):
                if -s * float(left @ view) > -0.25:
                    ear = ((-0.02, 0.70 * s, 0.08, 0.15), (-0.02, 0.68 * s, -0.12, 0.11))
                    ball(ear, tone(look.skin, 0.95))

        hair = [(-0.16, 0.0, 0.36, 0.72), (-0.30, 0.0, 0.05, 0.62)]
        if look.hair_length:
            hair.append((-0.38, 0.0, -0.35 - 0.7 * look.hair_length, 0.5))
        ball(((-0.05, 0, 0.28, 0.70), (0.06, 0, -0.25, 0.60), (0.14, 0, -0.62, 0.36)), look.skin)
        if facing < -0.15:
            face()
            ball(hair, look.hair)
            return
        ball(hair, look.hair)
        face()
        ball(((0.25, -0.38, 0.70, 0.22), (0.25, 0.38, 0.70, 0.22), (0.1, 0, 0.82, 0.25)), look.hair)
        dot = max(0.5, 0.105 * size)
        for s in (-1, 1):
            if -float((0.8 * forward + 0.45 * s * left) @ view) > 0.12:
                eye, brow = spot(0.76, 0.30 * s, 0.13), spot(0.78, 0.31 * s, 0.33)
                fill(image, eye + CIRCLE * [1.5 * dot, dot], (225, 228, 230))
                fill(image, eye + CIRCLE * dot * 0.75, (35, 30, 30))
                fill(image, brow + CIRCLE * [1.7 * dot, 0.55 * dot], tone(look.hair, 0.9))
        fill(image, spot(0.82, 0, -0.14) + CIRCLE * 1.3 * dot, tone(look.skin, 0.72))
        fill(image, spot(0.86, 0, -0.10) + CIRCLE * dot, tone(look.skin, 1.1))
        if facing > 0.05:
            fill(image, spot(0.76, 0, -0.46) + CIRCLE * [2.3 * dot, 0.7 * dot], (70, 65, 140))
