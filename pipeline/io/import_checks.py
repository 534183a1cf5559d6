"""Check what an import may take in: options as users write them, and clips that break nothing later."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from pose_extract.errors import FormatError, UsageError, short
from pose_extract.tables import read_table
from pose_extract.tracks.faults import fault_of
from pose_extract.tracks.records import ClipTracks


def checked(items: Iterable[ClipTracks | FormatError], part: Path) -> Iterator[ClipTracks | FormatError]:
    """The same, with an error in place of a clip that would break what comes after; ours are read as they are."""
    for item in items:
        fault = None if isinstance(item, FormatError) else fault_of(item)
        if isinstance(item, ClipTracks) and not item.frame_count:
            fault = "nobody is in it, and it does not tell its number of frames; say that with --frame-counts"
        yield item if fault is None else FormatError(f"{part}: {fault}")


def read_frame_counts(path: Path) -> Mapping[str, int]:
    """Clip -> number of frames, from a CSV with the columns ``clip`` and ``frames``.

    Raises:
        FormatError: it is missing, or something else.
    """
    counts: dict[str, int] = {}
    table = read_table(path)
    header = table[0][1] if table else []
    if not {"clip", "frames"} <= set(header):
        raise FormatError(
            f"{path}: expected a header with the columns clip and frames, found {short(header)}"
        )
    for line, cells in table[1:]:
        row = dict(zip(header, cells, strict=False))
        clip, frames = row.get("clip"), row.get("frames", "")
        if not clip or not re.fullmatch(r"\d{1,9}", frames):
            raise FormatError(
                f"{path}: line {line}: expected clip,frames with a whole number of frames, found {short(clip)},"
                f"{short(frames)}"
            )
        counts[clip] = int(frames)
    return counts


def parse_size(text: str) -> tuple[int, int]:
    """(width, height) of ``856x480``; raises `UsageError`."""
    width, cross, height = text.lower().partition("x")
    if not (cross and width.isascii() and width.isdigit() and height.isascii() and height.isdigit()):
        raise UsageError(f"--frame-size: expected WIDTHxHEIGHT, for example 856x480, got {text!r}")
    return int(width[:9]), int(height[:9])


def plain_json(provenance: dict[str, Any]) -> dict[str, Any]:
    """The same without NaN, which the cache's header cannot hold; empty if it is no JSON at all."""
    try:
        return dict(json.loads(json.dumps(provenance), parse_constant=lambda _: None))
    except (TypeError, ValueError, RecursionError):
        return {}
