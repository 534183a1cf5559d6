"""Check what an import may take in: options as users write them, and clips that break nothing later."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from pose_extract.errors import FormatError, UsageError, short
from pose_extract.tables import read_table
from pose_extract.tracks.records import ClipTracks

_MOST_SIDE, _MOST_PIXELS = 100_000, 1e6


def checked(items: Iterable[ClipTracks | FormatError], part: Path) -> Iterator[ClipTracks | FormatError]:
    """The same, with an error in place of a clip that would break what comes after; ours are read as they are."""
    for item in items:
        fault = None if isinstance(item, FormatError) else fault_of(item)
        yield item if fault is None else FormatError(f"{part}: {fault}")


def fault_of(clip: ClipTracks) -> str | None:
    """What makes a clip unusable."""
    if not clip.frame_count:
        return "nobody is in it, and it does not tell its number of frames; say that with --frame-counts"
    width, height = clip.frame_size
    if not (0 < width <= _MOST_SIDE and 0 < height <= _MOST_SIDE):
        return f"expected a frame size of 1 to {_MOST_SIDE} pixels, found {width}x{height}"
    time_s = clip.time_s
    if not (np.isfinite(time_s).all() and (np.diff(time_s) > 0).all()):
        return "expected times in seconds that grow from frame to frame"
    same = np.diff(clip.frame) == 0
    if not (np.diff(clip.track)[same] > 0).all():
        return "expected the rows of a frame in order of their people, each person once"
    # fmin and fmax pass over NaN, which is a missing joint.
    for name, values, low, high in (
        ("coordinates", clip.keypoints[..., :-1], -_MOST_PIXELS, _MOST_PIXELS),
        ("confidences", clip.keypoints[..., -1], 0.0, 1.0),
        ("boxes", clip.boxes, -10 * _MOST_PIXELS, 10 * _MOST_PIXELS),
    ):
        least = float(np.fmin.reduce(values, axis=None, initial=low))
        most = float(np.fmax.reduce(values, axis=None, initial=low))
        if least < low or most > high:
            return f"expected {name} of {low:g} to {high:g}, found {least if least < low else most:g}"
    return None


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
