"""Clips of the synthetic street: exact joints, tracks, things and frame labels, and the videos that show them."""

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
from pipeline.synthetic.things.kinds import KINDS
from pipeline.synthetic.things.scenarios import LONGEST_STAY, plan_scenarios
from pipeline.synthetic.things.thing import (
    ThingRows,
    ThingSight,
    behind_things,
    look_at_thing,
    thing_rows,
    things_table,
)
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
        labels: (F,) uint8, 1 where a person who does something abnormal, or a thing that is unusual, is in the picture.
        intervals: (first frame, frame after the last, what, id) of each abnormal act, ordered by first frame: a
            behaviour (or ``loitering``) and the track of who does it, or a kind of thing and the thing's id.
        sights: what the camera sees of each track, with the exact 3-D motion; track 1 first.
        things: the exact boxes of things.
        thing_sights: what the camera sees of each thing; thing 1 first.
    """

    name: str
    seed: int
    settings: StreetSettings
    truth: ClipTracks
    labels: NDArray[np.uint8]
    intervals: list[tuple[int, int, str, int]]
    sights: tuple[Sight, ...] = field(repr=False)
    things: ThingRows = field(repr=False)
    thing_sights: tuple[ThingSight, ...] = field(repr=False)

    def behaviours(self) -> list[str]:
        """(M,) what the person of each row of ``truth`` is doing."""
        acts = []
        for frame, track in zip(self.truth.frame, self.truth.track, strict=True):
            person = self.sights[track - 1].person
            acts.append(person.visit.parts[person.part[frame - person.first]])
        return acts


def simulate_clip(
    name: str,
    seed: int,
    settings: StreetSettings | None = None,
    abnormal: Sequence[str] = (),
    things: Sequence[str] = (),
) -> StreetClip:
    """Make a clip's people and things and their exact motion, without pixels. The same arguments give the same clip.

    Args:
        name: of the clip.
        seed: of everything that is random in it.
        settings: of the street, None for the defaults.
        abnormal: names of abnormal behaviours that follow one another in the clip, with pauses; empty: a normal clip.
            Leave at least 6 seconds of the clip for each: fewer, and there is no pause.
        things: names of scenarios (`pipeline.synthetic.things.kinds.KINDS`) that come to the people of the clip, who
            are those of the clip without them. Things that pass come again and again; a bag is left, people flee and
            somebody loiters once a clip. A bag counts from when it stands there alone, people who flee from when they
            run, who loiters from when they have stayed longer than anybody does who is normal, `LONGEST_STAY` seconds.

    Raises:
        ConfigError: an unknown behaviour or thing, a behaviour that is not abnormal, or a clip too short to loiter in.
    """
    settings = settings or StreetSettings()
    for act in abnormal:
        if act not in ABNORMAL + APPEARANCE:
            raise ConfigError(
                f"unknown abnormal behaviour {act!r}; known: {', '.join(ABNORMAL + APPEARANCE)}"
            )
    for kind in things:
        if kind not in KINDS:
            raise ConfigError(f"unknown kind of thing {kind!r}; known: {', '.join(KINDS)}")
    if "loitering" in things and settings.seconds <= LONGEST_STAY:
        raise ConfigError(
            f"street.seconds: expected more than {LONGEST_STAY:g} to show somebody who loiters, "
            f"got {settings.seconds:g}"
        )
    people = cast(np.random.default_rng((seed, 1)), settings, abnormal)
    scene = plan_scenarios(np.random.default_rng((seed, 4)), settings, things, people)
    sights = [look_at(person, settings) for person in (*people, *scene.people)]
    sights = [sight for sight in sights if sight.present.any()]
    sights.sort(key=lambda sight: sight.person.first + int(np.argmax(sight.present)))
    thing_sights = tuple(look_at_thing(thing, settings) for thing in scene.things)
    intervals: list[tuple[int, int, str, int]] = []

    def mark(active: NDArray[np.bool_], first: int, what: str, number: int) -> None:
        edges = np.flatnonzero(np.diff(np.concatenate([[0], active, [0]]))) + first
        intervals.extend(
            (int(start), int(end), what, number) for start, end in zip(edges[::2], edges[1::2], strict=True)
        )

    for track, sight in enumerate(sights, start=1):
        person = sight.person
        for part, act in enumerate(person.visit.parts):
            if BEHAVIOURS[act].abnormal:
                mark((person.part == part) & sight.present, person.first, act, track)
        for stayed, frame in scene.stays:
            if stayed is person:
                late = np.arange(person.first, person.last) >= frame
                mark(late & sight.present, person.first, "loitering", track)
    for number, other in enumerate(thing_sights, start=1):
        mark(other.thing.unusual & other.present, other.thing.first, other.thing.kind, number)
    labels = np.zeros(settings.frames, np.uint8)
    for start, end, _, _ in intervals:
        labels[start:end] = 1
    truth = behind_things(exact_tracks(name, seed, settings, sights), sights, thing_sights, settings)
    rows = thing_rows(thing_sights, sights, settings)
    return StreetClip(
        name, seed, settings, truth, labels, sorted(intervals), tuple(sights), rows, thing_sights
    )


def render_clip(clip: StreetClip) -> Iterator[NDArray[np.uint8]]:
    """Yield the clip's frames (H, W, 3) uint8 BGR, one at a time; the same clip gives the same pixels."""
    renderer = Renderer(clip.settings, clip.seed, clip.sights, clip.thing_sights)
    for frame in range(clip.settings.frames):
        yield renderer.draw(frame)


def write_clip(clip: StreetClip, folder: Path | str) -> Path:
    """Write ``<name>.mp4``, ``.truth.npz``, ``.labels.npy`` and ``.events.json`` into ``folder``; the video's path.

    The truth is a cached `ClipTracks` as `pose_extract.tracks.cache.load_tracks` reads it; labels are (F,) uint8;
    events is a list of objects with ``start``, ``end`` (frame after the last), ``behaviour`` and ``track``; of things,
    ``behaviour`` is the kind and ``thing`` its id stands in the place of ``track``. A clip with things has
    ``.things.csv`` too: a line for each thing and frame in the picture, the columns those of `ThingRows`.
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
    events = []
    for start, end, what, number in clip.intervals:
        whose = "thing" if what in KINDS and KINDS[what].things else "track"
        events.append({"start": start, "end": end, "behaviour": what, whose: number})
    write_atomically(folder / f"{clip.name}.events.json", (json.dumps(events, indent=1) + "\n").encode())
    if len(clip.things):
        write_atomically(folder / f"{clip.name}.things.csv", things_table(clip.things).encode())
    return path
