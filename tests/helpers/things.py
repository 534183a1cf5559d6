"""Things that tests make up."""

from __future__ import annotations

import numpy as np

from pose_extract.tracks.things import ClipThings, Things


def things(*kinds: int, **columns: object) -> Things:
    """So many things of these kinds, with ids from 1; ``columns`` in the place of the others' usual values."""
    count = len(kinds)
    usual = {
        "ids": np.arange(1, count + 1),
        "boxes": 10 + np.arange(4 * count).reshape(-1, 4) + np.array([0, 0, 30, 20]),
        "velocity": np.zeros((count, 2)),
        "age_s": np.ones(count),
        "still_s": np.zeros(count),
        "quality": np.ones(count),
        "person": np.zeros(count),
    }
    values = {**usual, **columns}
    floats = {
        name: np.asarray(values[name], np.float32)
        for name in ("boxes", "velocity", "age_s", "still_s", "quality")
    }
    ids, person = (np.asarray(values[name], np.int32) for name in ("ids", "person"))
    return Things(ids=ids, kinds=np.array(kinds, np.uint8), person=person, **floats)


def clip_things(frames: int, every: int = 2, **at: Things) -> ClipThings:
    """Things of a clip that was looked at in every so many frames; ``at`` says what was there: ``f4=things(2)``."""
    looked = np.arange(0, frames, every, dtype=np.int32)
    found = {int(name.removeprefix("f")): seen for name, seen in at.items()}
    frame = np.repeat(np.array(sorted(found), np.int32), [len(found[f]) for f in sorted(found)])
    return ClipThings(looked, frame, Things.concatenate([found[f] for f in sorted(found)]))
