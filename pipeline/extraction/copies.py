"""Tell which videos are copies of others; only those that look alike are read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Sequence
from contextlib import suppress
from hashlib import blake2b

from pose_extract.errors import VideoError
from pose_extract.files import open_input
from pose_extract.video import VideoSource, content_hash

_GLANCE_BYTES = 1 << 16  # recorders make many files of one length, which begin differently


def first_and_copies(sources: Sequence[VideoSource]) -> list[list[VideoSource]]:
    """Two turns in which to extract sources, each in their order: those of new content, then copies of those.

    Whoever extracts a copy after its original finds the tracks there. A turn with nothing in it is left out.
    """
    glances = {source.location: _glance(source) for source in sources}
    alike = Counter(glances.values())
    known: set[str] = set()
    turns: tuple[list[VideoSource], list[VideoSource]] = [], []
    for source in sources:
        content = ""
        if alike[glances[source.location]] > 1:
            with suppress(VideoError):  # it is met again when its turn comes, and said then
                content = content_hash(source)
        turns[content in known].append(source)
        if content:
            known.add(content)
    return [turn for turn in turns if turn]


def _glance(source: VideoSource) -> Hashable:
    """What copies have in common, by a glance; of videos that are elsewhere, each of which counts as new, nothing."""
    if source.address:
        return source.address
    try:
        if source.kind == "images":
            return tuple((path.name, path.stat().st_size) for path in source.images())
        with open_input(source.path) as file:
            return source.path.stat().st_size, blake2b(file.read(_GLANCE_BYTES)).digest()
    except OSError:
        return source.location
