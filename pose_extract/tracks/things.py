"""The records of things: what moves or stays in a picture and is nobody's body, and who stays in one place."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

PERSON, UNKNOWN, LEFT, GONE = 0, 200, 201, 202
"""Kinds beside COCO's classes: a person who stays in one place; something that moves and nobody can name; something
that has stayed where nothing was; a place that something has gone from."""

KINDS: Mapping[int, str] = {
    PERSON: "person who stays",
    1: "bicycle", 2: "car", 3: "motorcycle", 5: "bus", 7: "truck", 16: "dog", 24: "backpack", 26: "handbag",
    28: "suitcase", 32: "ball", 36: "skateboard",
    UNKNOWN: "moving thing", LEFT: "thing left behind", GONE: "place that something has gone from",
}  # fmt: skip
"""Kind of a thing -> what to call it. COCO's classes are those that a detector is asked for."""


@dataclass(frozen=True)
class Things:
    """The K things of one frame, or of several.

    Attributes:
        ids: (K,) int32, from 1; the same id is the same thing within the clip. Of a person who stays the track's id.
        kinds: (K,) uint8, of `KINDS`.
        boxes: (K, 4) float32, x1 y1 x2 y2 in pixels.
        velocity: (K, 2) float32, of the box's middle, pixels a second.
        age_s: (K,) float32, seconds since it was seen first.
        still_s: (K,) float32, seconds for which it has not left its place.
        quality: (K,) float32, 0..1, how surely it is a thing: not a shadow, leaves, rain, or a shake of the camera.
        person: (K,) int32, track id of the person whom it moves with, 0 where it is alone.
    """

    ids: NDArray[np.int32]
    kinds: NDArray[np.uint8]
    boxes: NDArray[np.float32]
    velocity: NDArray[np.float32]
    age_s: NDArray[np.float32]
    still_s: NDArray[np.float32]
    quality: NDArray[np.float32]
    person: NDArray[np.int32]

    def __len__(self) -> int:
        return len(self.ids)

    def select(self, index: Any) -> Things:
        """The rows that ``index`` (any NumPy index) picks."""
        return Things(*(getattr(self, f.name)[index] for f in fields(self)))

    @classmethod
    def empty(cls) -> Things:
        """Nothing."""
        return cls(*(np.zeros((0, *THING_SHAPES[f.name]), THING_TYPES[f.name]) for f in fields(cls)))

    @classmethod
    def concatenate(cls, every: Sequence[Things]) -> Things:
        """The rows of some things after one another."""
        every = [cls.empty(), *every]
        return cls(*(np.concatenate([getattr(each, f.name) for each in every]) for f in fields(cls)))


THING_TYPES: dict[str, type[np.generic]] = {
    "ids": np.int32, "kinds": np.uint8, "boxes": np.float32, "velocity": np.float32, "age_s": np.float32,
    "still_s": np.float32, "quality": np.float32, "person": np.int32,
}  # fmt: skip
THING_SHAPES: dict[str, tuple[int, ...]] = dict.fromkeys(THING_TYPES, ()) | {
    "boxes": (4,),
    "velocity": (2,),
}
"""Shape of what each thing has."""


@dataclass(frozen=True)
class ClipThings:
    """A clip's things over time. They are not looked for in every frame.

    Attributes:
        looked: (L,) int32, frames in which they were looked for, ascending.
        frame: (K,) int32, frame of each thing, one of ``looked``, in order.
        things: the K things.
    """

    looked: NDArray[np.int32]
    frame: NDArray[np.int32]
    things: Things

    def __post_init__(self) -> None:
        for name in THING_TYPES:
            array, shape = getattr(self.things, name), (len(self.frame), *THING_SHAPES[name])
            if array.shape != shape:
                raise ValueError(f"ClipThings: expected {name} of shape {shape}, got {array.shape}")
        looked, frame = self.looked, self.frame
        if (looked[1:] <= looked[:-1]).any() or (len(looked) and looked[0] < 0):
            raise ValueError("ClipThings: expected the frames that were looked at in order")
        if not len(frame):
            return
        if (frame[1:] < frame[:-1]).any() or not np.isin(frame, looked).all():
            raise ValueError("ClipThings: expected things in order of frames that were looked at")
        if not np.isfinite(self.things.boxes).all():
            raise ValueError("ClipThings: expected boxes that are finite")

    def __len__(self) -> int:
        return len(self.frame)

    def at(self, frame: int) -> Things:
        """What was there at the latest look up to a frame, which one look stands for until the next; or nothing."""
        latest = np.searchsorted(self.looked, frame, side="right") - 1
        if latest < 0:
            return Things.empty()
        look = self.looked[latest]
        return self.things.select(slice(*np.searchsorted(self.frame, [look, look + 1])))

    def cut(self, first: int, stop: int) -> ClipThings:
        """Those of the frames first..stop-1, which count from 0 then."""
        looked = self.looked[slice(*np.searchsorted(self.looked, [first, stop]))]
        rows = slice(*np.searchsorted(self.frame, [first, stop]))
        base = np.int32(first)
        return ClipThings(looked - base, self.frame[rows] - base, self.things.select(rows))

    @classmethod
    def concatenate(cls, parts: Sequence[ClipThings], starts: Sequence[int]) -> ClipThings:
        """Those of a clip from those of successive parts of it, which begin at frames ``starts``."""
        looked, frame = (
            np.concatenate(
                [
                    np.zeros(0, np.int32),
                    *(getattr(p, name) + np.int32(n) for p, n in zip(parts, starts, strict=True)),
                ]
            )
            for name in ("looked", "frame")
        )
        return cls(looked, frame, Things.concatenate([part.things for part in parts]))

    @classmethod
    def empty(cls) -> ClipThings:
        """Nobody looked."""
        none = np.zeros(0, np.int32)
        return cls(none, none, Things.empty())
