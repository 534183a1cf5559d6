"""Clips of the synthetic street: exact joints, track ids and frame labels, and the videos that show them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipeline.street.body import INDEX, Array
from pipeline.street.motion import ABNORMAL, BEHAVIOURS
from pipeline.street.plan import Person, cast, indoors
from pipeline.street.render import Renderer
from pipeline.street.scene import Camera, StreetSettings
from pose_extract.errors import ConfigError
from pose_extract.records import ClipTracks
from pose_extract.skeletons import COCO17

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
class StreetClip:
    """A simulated clip.

    Attributes:
        name: of the clip, and of its files.
        seed: that it was made from.
        settings: of the street.
        truth: exact `ClipTracks` (coco17), one row for each person and frame in the picture; confidence 1 visible, 0.5
            hidden by another person, 0 outside the frame.
        labels: (F,) uint8, 1 where a person who does something abnormal is in the picture.
        intervals: (first frame, frame after the last, behaviour, track) of each abnormal act, ordered by first frame.
        people: the exact 3-D motion of each track, track 1 first.
    """

    name: str
    seed: int
    settings: StreetSettings
    truth: ClipTracks
    labels: NDArray[np.uint8]
    intervals: list[tuple[int, int, str, int]]
    people: tuple[Person, ...] = field(repr=False)

    def behaviours(self) -> list[str]:
        """(M,) what the person of each row of ``truth`` is doing."""
        rows = zip(self.truth.frame, self.truth.track, strict=True)
        return [p.visit.parts[p.part[f]] for f, p in ((f, self.people[i - 1]) for f, i in rows)]


def simulate_clip(
    name: str, seed: int, settings: StreetSettings | None = None, abnormal: Sequence[str] = ()
) -> StreetClip:
    """Make a clip's people and their exact motion, without pixels. The same arguments give the same clip.

    Args:
        name: of the clip.
        seed: of everything that is random in it.
        settings: of the street, None for the defaults.
        abnormal: names of abnormal behaviours that follow one another in the clip; empty for a normal clip.

    Raises:
        ConfigError: an unknown behaviour, or one that is not abnormal.
    """
    settings = settings or StreetSettings()
    for act in abnormal:
        if act not in ABNORMAL:
            raise ConfigError(f"unknown abnormal behaviour {act!r}; known: {', '.join(ABNORMAL)}")
    rng = np.random.default_rng((seed, 1))
    camera = Camera(settings)
    people: list[tuple[int, int, Person, NDArray[np.bool_]]] = []
    for person in cast(rng, settings, abnormal):
        flat, _ = camera.project(person.joints)
        inside = _inside(flat[:, COCO], settings).sum(axis=1) >= MIN_JOINTS
        inside &= ~indoors(person)
        if inside.any():
            people.append((int(np.argmax(inside)), len(people), person, inside))
    people.sort(key=lambda item: item[:2])
    present = np.array([item[3] for item in people]).reshape(len(people), settings.frames)
    crowd = tuple(item[2] for item in people)
    pixels = [camera.project(p.joints) for p in crowd]
    truth = _truth(name, seed, settings, crowd, present, pixels)
    labels = np.zeros(settings.frames, np.uint8)
    intervals = []
    for i, person in enumerate(crowd):
        for part, act in enumerate(person.visit.parts):
            if BEHAVIOURS[act].abnormal:
                active = (person.part == part) & present[i]
                labels |= active.astype(np.uint8)
                edges = np.flatnonzero(np.diff(np.concatenate([[0], active, [0]])))
                intervals += [
                    (int(a), int(b), act, i + 1) for a, b in zip(edges[::2], edges[1::2], strict=True)
                ]
    return StreetClip(name, seed, settings, truth, labels, sorted(intervals), crowd)


def _inside(pixels: Array, settings: StreetSettings) -> NDArray[np.bool_]:
    x, y = pixels[..., 0], pixels[..., 1]
    return (x >= 0) & (x < settings.width) & (y >= 0) & (y < settings.height)


def _truth(
    name: str,
    seed: int,
    settings: StreetSettings,
    people: Sequence[Person],
    present: NDArray[np.bool_],
    pixels: Sequence[tuple[Array, Array]],
) -> ClipTracks:
    """Rows for the people in the picture, with boxes around the drawn body and marks on hidden joints."""
    camera = Camera(settings)
    limits = np.array([settings.width, settings.height], float)
    frames, tracks, keypoints, boxes = [], [], [], []
    order = [np.linalg.norm(p.joints[:, 0] - [0, 0, camera.height], axis=1) for p in people]
    for i, person in enumerate(people):
        rows = np.flatnonzero(present[i])
        flat, depth = pixels[i][0][rows], pixels[i][1][rows]
        points = flat[:, COCO]
        hidden = np.zeros(points.shape[:2], bool)
        for k, other in enumerate(people):
            front: NDArray[np.int64] = np.flatnonzero(present[k][rows] & (order[k][rows] < order[i][rows]))
            if len(front):
                at = rows[front]
                size = camera.focal * other.visit.body.height / pixels[k][1][at].mean(axis=1)
                hidden[front] |= _covered(points[front], pixels[k][0][at], size)
        confidence = np.where(hidden, 0.5, 1.0) * _inside(points, settings)
        radius = (person.visit.body.radii() * camera.focal / depth)[..., None]
        low, high = (flat - radius).min(axis=1), (flat + radius).max(axis=1)
        frames.append(rows)
        tracks.append(np.full(len(rows), i + 1))
        keypoints.append(np.concatenate([points, confidence[..., None]], axis=-1))
        boxes.append(np.concatenate([np.clip(low, 0, limits), np.clip(high, 0, limits)], axis=-1))
    frame = np.concatenate([np.zeros(0, int), *frames])
    track = np.concatenate([np.zeros(0, int), *tracks])
    rank = np.lexsort((track, frame))
    return ClipTracks(
        clip=name,
        skeleton="coco17",
        fps=settings.fps,
        frame_size=(settings.width, settings.height),
        time_s=np.arange(settings.frames) / settings.fps,
        frame=frame[rank].astype(np.int32),
        track=track[rank].astype(np.int32),
        keypoints=np.concatenate([np.zeros((0, 17, 3)), *keypoints])[rank].astype(np.float32),
        boxes=np.concatenate([np.zeros((0, 4)), *boxes])[rank].astype(np.float32),
        provenance={"source": "synthetic street", "seed": seed},
    )


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


def render_clip(clip: StreetClip) -> Iterator[NDArray[np.uint8]]:
    """Yield the clip's frames (H, W, 3) uint8 BGR, one at a time; the same clip gives the same pixels."""
    renderer = Renderer(clip.settings, clip.seed, clip.people)
    for frame in range(clip.settings.frames):
        yield renderer.draw(frame)


def write_clip(clip: StreetClip, folder: Path | str) -> Path:
    """Write ``<name>.mp4``, ``.truth.npz``, ``.labels.npy`` and ``.events.json`` into ``folder``; the video's path.

    The truth is a cached `ClipTracks` as `pose_extract.cache.load_tracks` reads it; labels are (F,) uint8; events is a
    list of objects with ``start``, ``end`` (frame after the last), ``behaviour`` and ``track``.
    """
    from pose_extract.cache import save_tracks
    from pose_extract.video import VideoWriter

    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    settings = clip.settings
    path = folder / f"{clip.name}.mp4"
    with VideoWriter(path, settings.fps, (settings.width, settings.height)) as video:
        for image in render_clip(clip):
            video.write(image)
    save_tracks(folder / f"{clip.name}.truth.npz", clip.truth)
    np.save(folder / f"{clip.name}.labels.npy", clip.labels)
    keys = ("start", "end", "behaviour", "track")
    events = [dict(zip(keys, interval, strict=True)) for interval in clip.intervals]
    (folder / f"{clip.name}.events.json").write_text(json.dumps(events, indent=1) + "\n")
    return path
