"""Write the page's data as JavaScript files: what a page opened from a disk may load without a network."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from pose_extract.files import write_atomically


def script(name: str, data: Any) -> bytes:
    """A JavaScript file that hands ``data`` to the page under ``name``.

    It is safe wherever it stands, even inside a script element: pure ASCII, and no ``<`` that could end the element or
    begin a comment.

    Raises:
        ValueError: a number is NaN or infinite, which JSON does not know.
    """

    def text(value: Any) -> str:
        return json.dumps(value, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")

    return f"gepc.receive({text(name)},{text(data)});\n".encode("ascii")


def write_script(folder: Path, name: str, data: Any) -> int:
    """Write ``data`` as ``folder/name.js``; returns the file's size in bytes."""
    content = script(name, data)
    write_atomically(folder / f"{name}.js", content)
    return len(content)


def packed(values: ArrayLike, dtype: str) -> str:
    """An array as base64 of its little-endian bytes, which the page reads back as a typed array."""
    array = np.ascontiguousarray(values, np.dtype(dtype).newbyteorder("<"))
    return base64.b64encode(array.tobytes()).decode("ascii")


def plain_text(text: str) -> str:
    """A file name as text that every program can show: bytes that are no UTF-8 become question marks."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
