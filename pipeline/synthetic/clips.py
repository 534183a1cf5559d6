"""Clips of the synthetic street: exact joints, track ids and frame labels, and the videos that show them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipeline.synthetic.drawing.render import Renderer
from pipeline.synthetic.motion.behaviours import ABNORMAL, APPEARANCE, BEHAVIOURS
from pipeline.synthetic.street.plan import cast
from pipeline.synthetic.street.scene import StreetSettings
from pipeline.synthetic.street.truth import Sight, exact_tracks, look_at
from pose_extract.errors import ConfigError
from pose_extract.files import complete_or_absent, write_atomically
from pose_extract.tracks.records import ClipTracks


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
        sights: what the camera sees of each track, with the exact 3-D motion; track 1 first.
    """

    name: str
    seed: int
    settings: StreetSettings
    truth: ClipTracks
    labels: NDArray[np.uint8]
    intervals: list[tuple[int, int, str, int]]
    sights: tuple[Sight, ...] = field(repr=False)

    def behaviours(self) -> list[str]:
        """(M,) what the person of each row of ``truth`` is doing."""
        acts = []
        for frame, track in zip(self.truth.frame, self.truth.track, strict=True):
            person = self.sights[track - 1].person
            acts.append(person.visit.parts[person.part[frame - person.first]])
        return acts


def simulate_clip(
    name: str, seed: int, settings: StreetSettings | None = None, abnormal: Sequence[str] = ()
) -> StreetClip:
    """Make a clip's people and their exact motion, without pixels. The same arguments give the same clip.

    Args:
        name: of the clip.
        seed: of everything that is random in it.
        settings: of the street, None for the defaults.
        abnormal: names of abnormal behaviours that follow one another in the clip, with pauses; empty: a normal clip.
            Leave at least 6 seconds of the clip for each: fewer, and there is no pause.

    Raises:
        ConfigError: an unknown behaviour, or one that is not abnormal.
    """
    settings = settings or StreetSettings()
    for act in abnormal:
        if act not in ABNORMAL + APPEARANCE:
            raise ConfigError(
                f"unknown abnormal behaviour {act!r}; known: {', '.join(ABNORMAL + APPEARANCE)}"
            )
    rng = np.random.default_rng((seed, 1))
    sights = [look_at(person, settings) for person in cast(rng, settings, abnormal)]
    sights = [sight for sight in sights if sight.present.any()]
    sights.sort(key=lambda sight: sight.person.first + int(np.argmax(sight.present)))
    labels = np.zeros(settings.frames, np.uint8)
    intervals = []
    for track, sight in enumerate(sights, start=1):
        person = sight.person
        for part, act in enumerate(person.visit.parts):
            if BEHAVIOURS[act].abnormal:
                active = (person.part == part) & sight.present
                edges = np.flatnonzero(np.diff(np.concatenate([[0], active, [0]]))) + person.first
                for start, end in zip(edges[::2], edges[1::2], strict=True):
                    labels[start:end] = 1
                    intervals.append((int(start), int(end), act, track))
    truth = exact_tracks(name, seed, settings, sights)
    return StreetClip(name, seed, settings, truth, labels, sorted(intervals), tuple(sights))


def render_clip(clip: StreetClip) -> Iterator[NDArray[np.uint8]]:
    """Yield the clip's frames (H, W, 3) uint8 BGR, one at a time; the same clip gives the same pixels."""
    renderer = Renderer(clip.settings, clip.seed, clip.sights)
    for frame in range(clip.settings.frames):
        yield renderer.draw(frame)


def write_clip(clip: StreetClip, folder: Path | str) -> Path:
    """Write ``<name>.mp4``, ``.truth.npz``, ``.labels.npy`` and ``.events.json`` into ``folder``; the video's path.

    The truth is a cached `ClipTracks` as `pose_extract.tracks.cache.load_tracks` reads it; labels are (F,) uint8;
    events is a list of objects with ``start``, ``end`` (frame after the last), ``behaviour`` and ``track``.
    """
    from pose_extract.tracks.cache import save_tracks
    from pose_extract.video import VideoWriter

    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    settings = clip.settings
    path = folder / f"{clip.name}.mp4"
    with VideoWriter(path, settings.fps, (settings.width, settings.height)) as video:
        for image in render_clip(clip):
            video.write(image)
    save_tracks(folder / f"{clip.name}.truth.npz", clip.truth)
    with complete_or_absent(folder / f"{clip.name}.labels.npy", "wb") as file:
        np.save(file, clip.labels)
    keys = ("start", "end", "behaviour", "track")
    events = [dict(zip(keys, interval, strict=True)) for interval in clip.intervals]
    write_atomically(folder / f"{clip.name}.events.json", (json.dumps(events, indent=1) + "\n").encode())
    return path
