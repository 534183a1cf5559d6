"""The street: its settings, the camera that watches it, and the background that does not move."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.synthetic.motion.body import Array
from pose_extract.checking import MOST, MOST_FACTOR, expect_between
from pose_extract.errors import ConfigError, short

WALL = 20.5  # metres from the camera to the houses
KERB = 9.2  # metres to the kerb: road before it, pavement behind it


@dataclass(frozen=True)
class StreetSettings:
    """What the synthetic street looks like and who is in it.

    Attributes:
        width: of the video, pixels.
        height: of the video, pixels.
        fps: frames a second.
        seconds: length of a clip.
        people: fewest and most people that are in the street at a time.
        scene: number of the street; clips of one number show the same place, as one fixed camera does.
        camera_height: metres above the ground.
        camera_pitch: degrees that the camera looks down.
        focal: focal length as a share of the picture's width.
        near: metres from the camera to where the nearest people walk.
        far: metres from the camera to where the farthest people walk.
        noise: standard deviation of the camera's noise, grey levels.
    """

    width: int = 640
    height: int = 360
    fps: float = 24.0
    seconds: float = 20.0
    people: tuple[int, int] = (2, 5)
    scene: int = 0
    camera_height: float = 2.6
    camera_pitch: float = 11.5
    focal: float = 1.56
    near: float = 7.3
    far: float = 17.0
    noise: float = 2.5

    def __post_init__(self) -> None:
        expect_between("street", self, 64, 16_384, "width", "height")
        expect_between("street", self, 1, 240, "fps")
        expect_between("street", self, 0, MOST, "scene")
        expect_between("street", self, 0, 36_000, "seconds", above=True)
        if len(self.people) != 2 or not 1 <= self.people[0] <= self.people[1] <= 100:
            raise ConfigError(
                f"street.people: expected two numbers, 1 <= fewest <= most <= 100, got {short(self.people)}"
            )
        expect_between("street", self, 0, MOST_FACTOR, "camera_height", "focal", above=True)
        expect_between("street", self, 0, 80, "camera_pitch", below=True)
        if not 2 <= self.near < self.far < WALL - 1:
            raise ConfigError(f"street.near: expected 2 <= near < far < {WALL - 1} metres, got {self.near!r}")
        expect_between("street", self, 0, 64, "noise")

    @property
    def frames(self) -> int:
        """Number of frames of a clip, at least 1."""
        return max(1, round(self.seconds * self.fps))


class Camera:
    """A pinhole camera at a fixed place above the ground, looking along the world's y axis and down."""

    def __init__(self, settings: StreetSettings) -> None:
        self.focal = settings.focal * settings.width
        self.centre = (settings.width / 2, settings.height / 2)
        self.height = settings.camera_height
        pitch = np.radians(settings.camera_pitch)
        self.cos, self.sin = float(np.cos(pitch)), float(np.sin(pitch))

    def project(self, world: Array) -> tuple[Array, Array]:
        """World points (…, 3) in metres -> pixels (…, 2) and depth (…) in metres along the view."""
        up, depth = self._up_and_depth(world)
        scale = self.focal / np.maximum(depth, 0.1)
        pixels = np.stack([self.centre[0] + scale * world[..., 0], self.centre[1] - scale * up], axis=-1)
        return pixels, depth

    def seen_from(self, world: Array) -> Array:
        """World points (…, 3) in metres -> metres to the right of the camera, above it and along its view (…, 3)."""
        return np.stack([world[..., 0], *self._up_and_depth(world)], axis=-1)

    def _up_and_depth(self, world: Array) -> tuple[Array, Array]:
        z = world[..., 2] - self.height
        return world[..., 1] * self.sin + z * self.cos, world[..., 1] * self.cos - z * self.sin

    def rays(self, width: int, height: int) -> Array:
        """(H, W, 3) direction in the world of the ray through each pixel, with y component 1."""
        u, v = np.meshgrid(np.arange(width) + 0.5, np.arange(height) + 0.5)
        x, up = (u - self.centre[0]) / self.focal, -(v - self.centre[1]) / self.focal
        y = self.cos + up * self.sin
        z = -self.sin + up * self.cos
        return np.stack([x / y, np.ones_like(y), z / y], axis=-1)


def _grain(rng: np.random.Generator, shape: tuple[int, int], sizes: tuple[int, ...]) -> Array:
    """(H, W) smooth random texture, standard deviation about 1: noise of several grain sizes in pixels."""
    total = np.zeros(shape)
    for size in sizes:
        small = rng.standard_normal((shape[0] // size + 2, shape[1] // size + 2))
        total += cv2.resize(small, (shape[1], shape[0]), interpolation=cv2.INTER_CUBIC)
    return total / np.sqrt(len(sizes))


def background(settings: StreetSettings) -> NDArray[np.uint8]:
    """(H, W, 3) BGR picture of the empty street: road, kerb, pavement, a wall of bricks with windows and doors."""
    rng = np.random.default_rng((77, settings.scene))
    w, h = settings.width, settings.height
    camera = Camera(settings)
    rays = camera.rays(w, h)
    down = np.minimum(rays[..., 2], -1e-6)
    ground_y = -settings.camera_height / down
    on_wall = ground_y > WALL
    gx, gy = rays[..., 0] * ground_y, ground_y
    grain = _grain(rng, (h, w), (1, 3, 9, 30))
    # Ground: slabs of 0.6 m behind the kerb, asphalt before it.
    slab = (np.floor(gx / 0.6) * 12.9898 + np.floor(gy / 0.9) * 78.233) % 1.0
    joint = (np.minimum(gx % 0.6, 0.6 - gx % 0.6) < 0.012) | (np.minimum(gy % 0.9, 0.9 - gy % 0.9) < 0.03)
    pavement = 148 + 22 * (slab - 0.5) - 30 * joint
    asphalt = 92 + 0 * gx
    grey = np.where(gy < KERB, asphalt, pavement)
    grey = np.where(np.abs(gy - KERB) < 0.12, 186.0, grey)
    grey = np.where((gy > KERB + 0.12) & (gy < KERB + 0.16), 70.0, grey)
    marking = (np.abs(gy - 6.9) < 0.08) & ((gx % 2.4) < 1.5)
    grey = np.where(marking, 200.0, grey)
    tint = rng.uniform(0.94, 1.06, 3)
    image = grey[..., None] * tint
    # Wall: bricks in colours of their house, windows and doors on a grid.
    wx, wz = rays[..., 0] * WALL, settings.camera_height + rays[..., 2] * WALL
    row = np.floor(wz / 0.12)
    bx = wx + 0.14 * (row % 2)
    brick = (np.floor(bx / 0.28) * 5.31 + row * 9.77) % 1.0
    mortar = ((bx % 0.28) < 0.02) | ((wz % 0.12) < 0.015)
    house = np.floor((wx + 3) / 6.5).astype(int)
    colours = rng.uniform(85, 165, (64, 1)) * [0.86, 0.95, 1.08] * rng.uniform(0.88, 1.08, (64, 3))
    wall = colours[house % 64] + (18 * (brick - 0.5) + 16 * mortar)[..., None]
    cell, place = np.floor(wx / 2.1).astype(int), wx % 2.1
    is_door = (cell % 4) == 1
    door = is_door & (place > 0.5) & (place < 1.5) & (wz < 2.15)
    frame = ~is_door & (place > 0.35) & (place < 1.75) & (wz > 0.85) & (wz < 2.3)
    glass = (
        ~is_door & (place > 0.43) & (place < 1.67) & (wz > 0.93) & (wz < 2.3) & (np.abs(place - 1.05) > 0.03)
    )
    wall = np.where(door[..., None], rng.uniform(40, 110, 3), wall)
    wall = np.where(frame[..., None], np.array([205.0, 208, 210]), wall)
    sky = 95 + 60 * (place - wz * 0.35)
    wall = np.where(glass[..., None], sky[..., None] * np.array([1.08, 1.0, 0.9]), wall)
    wall = np.where((wz < 0.25)[..., None], np.array([92.0, 94, 96]), wall)
    image = np.where(on_wall[..., None], wall, image)
    shade = 1 - 0.18 * np.exp(-((gy - WALL) ** 2) / 2.0) * ~on_wall
    image = image * shade[..., None] + 5.0 * grain[..., None]
    return cv2.GaussianBlur(np.clip(image, 0, 255).astype(np.uint8), (0, 0), 0.6)
