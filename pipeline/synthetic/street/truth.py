"""What the camera sees of exact bodies: joints in pixels, boxes, and who hides whom."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.synthetic.motion.body import INDEX, Array
from pipeline.synthetic.street.plan import Person, indoors
from pipeline.synthetic.street.scene import Camera, StreetSettings
from pose_extract.skeletons import COCO17
from pose_extract.tracks.records import ClipTracks

MIN_JOINTS = 6  # a person is in the picture while at least so many joints are
COCO = np.array([INDEX[name] for name in COCO17.joints])
# What hides the people behind: segments of the body and their radii as shares of the height.
_HIDERS = tuple(
    (INDEX[a], INDEX[b], r)
    for a, b, r in (
        ("head", "head", 0.065), ("chest", "pelvis", 0.095), ("left_shoulder", "left_hip", 0.05),
        ("right_shoulder", "right_hip", 0.05), ("head", "chest", 0.035),
        *((f"{s}_{a}", f"{s}_{b}", r) for s in ("left", "right") for a, b, r in (
            ("shoulder", "elbow", 0.028), ("elbow", "hand", 0.022), ("hip", "knee", 0.042),
            ("knee", "ankle", 0.03), ("ankle", "toe", 0.02))),
    )
)  # fmt: skip


@dataclass(frozen=True)
class Sight:
    """A person in the camera's picture, for the L frames of the person.

    Attributes:
        pixels: (L, J, 2) joints; ``depth`` (L, J) metres along the view.
        distance: (L,) metres from the camera: the nearer person is drawn over the farther.
        drawn: (L,) whether anything of them may be in the picture.
        present: (L,) whether enough joints are in the frame to count.
    """

    person: Person
    pixels: Array
    depth: Array
    distance: Array
    drawn: NDArray[np.bool_]
    present: NDArray[np.bool_]


def look_at(person: Person, settings: StreetSettings) -> Sight:
    """Project a person into the picture."""
    camera = Camera(settings)
    pixels, depth = camera.project(person.joints)
    distance = np.linalg.norm(person.joints[:, 0] - [0, 0, camera.height], axis=1)
    low, high = pixels.min(axis=1) - 60, pixels.max(axis=1) + 60
    touches = (high > 0).all(axis=1) & (low < [settings.width, settings.height]).all(axis=1)
    drawn = touches & (depth.min(axis=1) > 1.5) & ~indoors(person)
    present = drawn & (in_frame(pixels[:, COCO], settings).sum(axis=1) >= MIN_JOINTS)
    return Sight(person, pixels, depth, distance, drawn, present)


def in_frame(pixels: Array, settings: StreetSettings) -> NDArray[np.bool_]:
    """(…) whether ``pixels`` (…, 2) lie in the picture."""
    return np.all((pixels >= 0) & (pixels < [settings.width, settings.height]), axis=-1)


def exact_tracks(name: str, seed: int, settings: StreetSettings, sights: Sequence[Sight]) -> ClipTracks:
    """Rows for the people in the picture, the first of ``sights`` track 1: boxes around the drawn body, joints with
    confidence 1, 0.5 where another person hides them, 0 outside the frame."""
    focal = Camera(settings).focal
    limits = np.array([settings.width, settings.height], float)
    frames, tracks = [np.zeros(0, int)], [np.zeros(0, int)]
    keypoints, boxes = [np.zeros((0, len(COCO), 3))], [np.zeros((0, 4))]
    for i, sight in enumerate(sights):
        rows = np.flatnonzero(sight.present)
        flat, points = sight.pixels[rows], sight.pixels[rows][:, COCO]
        confidence = np.where(_hidden(sight, sights, focal)[rows], 0.5, 1.0) * in_frame(points, settings)
        radius = (sight.person.visit.body.radii() * focal / sight.depth[rows])[..., None]
        low, high = (flat - radius).min(axis=1), (flat + radius).max(axis=1)
        frames.append(rows + sight.person.first)
        tracks.append(np.full(len(rows), i + 1))
        keypoints.append(np.concatenate([points, confidence[..., None]], axis=-1))
        boxes.append(np.concatenate([np.clip(low, 0, limits), np.clip(high, 0, limits)], axis=-1))
    frame, track = np.concatenate(frames), np.concatenate(tracks)
    rank = np.lexsort((track, frame))
    return ClipTracks(
        clip=name,
        skeleton="coco17",
        fps=settings.fps,
        frame_size=(settings.width, settings.height),
        time_s=np.arange(settings.frames) / settings.fps,
        frame=frame[rank].astype(np.int32),
        track=track[rank].astype(np.int32),
        keypoints=np.concatenate(keypoints)[rank].astype(np.float32),
        boxes=np.concatenate(boxes)[rank].astype(np.float32),
        provenance={"source": "synthetic street", "seed": seed},
    )


def _hidden(sight: Sight, others: Sequence[Sight], focal: float) -> NDArray[np.bool_]:
    """(L, 17) whether somebody nearer is drawn over the joint."""
    mine = sight.person
    hidden = np.zeros((len(mine.path), len(COCO)), bool)
    for other in others:
        low, high = max(mine.first, other.person.first), min(mine.last, other.person.last)
        if other is sight or low >= high:
            continue
        here, there = np.arange(low, high) - mine.first, np.arange(low, high) - other.person.first
        over = sight.present[here] & other.drawn[there] & (other.distance[there] < sight.distance[here])
        here, there = here[over], there[over]
        if len(here):
            size = focal * other.person.visit.body.height / other.depth[there].mean(axis=1)
            hidden[here] |= _covered(sight.pixels[here][:, COCO], other.pixels[there], size)
    return hidden


def _covered(points: Array, body: Array, size: Array) -> NDArray[np.bool_]:
    """(N, V) whether ``points`` (N, V, 2) lie on the drawn ``body`` (N, J, 2) whose height is ``size`` (N,) pixels."""
    covered = np.zeros(points.shape[:2], bool)
    for a, b, radius in _HIDERS:
        start, along = body[:, a, None], (body[:, b] - body[:, a])[:, None]
        length = np.maximum(np.sum(along**2, axis=-1), 1e-9)
        share = np.clip(np.sum((points - start) * along, axis=-1) / length, 0, 1)
        gap = np.linalg.norm(points - start - share[..., None] * along, axis=-1)
        covered |= gap < radius * size[:, None]
    return covered
