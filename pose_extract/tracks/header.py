"""Check the header of a tracks file, which may come from somebody else and is believed by all that reads tracks."""

from __future__ import annotations

from typing import Any

from pose_extract.checking import expect_kinds

_HEADER: dict[str, Any] = {
    "clip": str,
    "skeleton": str,
    "fps": float,
    "frame_size": tuple[int, int],
    "provenance": dict[str, Any],
}
# What the program reads from a provenance, where it is there.
_PROVENANCE: dict[str, Any] = {
    "source": str,
    "key": str,
    "content": str,
    "train": bool,
    "settings": dict[str, dict[str, Any]] | None,
    "estimator": dict[str, Any],
    "summary": dict[str, Any],
    "learned": dict[str, Any],
    "import": dict[str, Any],
}


def check_header(header: dict[str, Any]) -> None:
    """Raise ValueError or ConfigError that names a key which is missing, or has a value of another type."""
    if lacking := _HEADER.keys() - header.keys():
        raise ValueError(f"its header lacks {', '.join(sorted(lacking))}")
    expect_kinds(header, _HEADER)
    expect_kinds(header["provenance"], _PROVENANCE, "provenance.")
