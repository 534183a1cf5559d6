"""Gather the rows of files that name a picture for each person."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from pose_extract.formats.clip_builder import Rows
from pose_extract.formats.identities import identity_of, unknown_id_keys
from pose_extract.formats.picture_names import read_names

logger = logging.getLogger(__name__)

Clips = dict[str, tuple[Rows, int]]
"""Name of a clip -> its rows, and the number after its last frame's."""


class PictureRows:
    """Rows by picture; what frame of which clip a picture is shows when all names are known.

    Args:
        where: the file, for messages.
    """

    def __init__(self, where: Path) -> None:
        self._where, self._rows = where, Rows()
        self._number: dict[Any, int] = {}
        self._asked = False

    def __len__(self) -> int:
        return len(self._rows)

    def see(self, picture: Any) -> int:
        """Note a picture, with people in it or without; returns its place among them."""
        key = picture if isinstance(picture, (str, int, float)) else repr(picture)
        return self._number.setdefault(key, len(self._number))

    def add(
        self, picture: Any, person: dict[str, Any], joints: NDArray[Any], box: NDArray[Any] | None, where: str
    ) -> None:
        """Append one person's row."""
        if not self._asked:
            self._asked = True
            if (keys := unknown_id_keys(person)) and identity_of(person) is None:
                logger.warning("%s: not read as ids: %s", self._where, ", ".join(map(repr, keys)))
        self._rows.add(self.see(picture), identity_of(person), joints, box, where)

    def clips(self) -> Clips:
        """The rows by clip; one clip without rows if there are none."""
        pictures = read_names(list(self._number), str(self._where))
        if not pictures:
            return {"": (self._rows, 0)}
        rows = self._rows.divided([p.clip for p in pictures], [p.frame for p in pictures])
        ends: dict[str, int] = {}
        for picture in pictures:
            ends[picture.clip] = max(ends.get(picture.clip, 0), picture.frame + 1)
        return {clip: (part, ends[clip]) for clip, part in rows.items()}
