"""Tell whether the ids of a file are ids, and number people by them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

ID_KEYS = ("track_id", "tracker_id", "person_id", "idx", "instance_id")
"""What files call a person's id, in the order in which they are believed."""
_OTHERS = frozenset(
    ("id", "image_id", "category_id", "frame_id", "video_id", "annotation_id", "label_id", "class_id")
)


def identity_of(item: dict[str, Any]) -> Any:
    """A person's id as the file has it, whatever it is called; None where there is none."""
    return next((item[key] for key in ID_KEYS if item.get(key) is not None), None)


def unknown_id_keys(item: dict[str, Any]) -> list[str]:
    """Keys of a person that look like ids and are none that we know."""
    ends = ("_id", "_idx", "id_", "_uid")
    return sorted(
        key
        for key in item
        if isinstance(key, str) and key not in ID_KEYS and key not in _OTHERS and key.lower().endswith(ends)
    )


def believed(frames: NDArray[np.int64], people: Sequence[Any]) -> list[int | str | None]:
    """Each row's id as a number or a name; None where it is none.

    Whole floats are numbers, and so is the first entry of a list. An id that is negative, or that is twice in one
    frame, is no id: trackers that are off give everybody the same.

    Args:
        frames: (M,) frame of each row.
        people: M ids as a file has them.
    """
    out = [_plain(person) for person in people]
    place: dict[Any, int] = {}
    number = np.array([-1 if p is None else place.setdefault(p, len(place)) for p in out], np.int64)
    known = np.flatnonzero(number >= 0)
    order = known[np.lexsort((frames[known], number[known]))]
    twice = (np.diff(number[order]) == 0) & (np.diff(frames[order]) == 0)
    if twice.any():
        no_ids = set(number[order[1:][twice]].tolist())
        out = [None if n in no_ids else p for n, p in zip(number.tolist(), out, strict=True)]
    return out


def _plain(person: Any) -> int | str | None:
    while isinstance(person, (list, tuple)) and person:
        person = person[0]
    if isinstance(person, bool) or person is None:
        return None
    if isinstance(person, float):
        if not person.is_integer():
            return None
        person = int(person)
    if isinstance(person, int):
        return person if 0 <= person < 2**63 else None
    return person if isinstance(person, str) and person else None


def numbered(people: Sequence[int | str]) -> NDArray[np.int32]:
    """Ids from 1. Whole numbers from 1 stay as they are, from 0 they grow by 1; others are counted as they come."""
    if set(map(type, people)) <= {int} and 0 <= min(people, default=0) <= max(people, default=0) < 2**31 - 1:  # type: ignore[operator]
        ids = np.array(people, np.int32).reshape(-1)
        return ids + np.int32(1) if ids.min(initial=1) == 0 else ids
    place: dict[Any, int] = {}
    return np.array([place.setdefault(p, len(place) + 1) for p in people], np.int32)
