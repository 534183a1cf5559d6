"""Write the page's files: its own, and its data as JavaScript, which a page opened from a disk may load."""

from __future__ import annotations

import base64
import json
import shutil
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from pose_extract.errors import OutputError
from pose_extract.files import folder_beside, swap_folders, write_atomically, writing

_MARK = 'content="gepc-report"'  # in index.html: what we may overwrite


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


def check_folder(folder: Path) -> None:
    """Raise `OutputError` if ``folder`` holds a page that is not ours: it would be overwritten."""
    page = folder / "index.html"
    with writing(folder):
        if folder.exists() and not folder.is_dir():
            raise OutputError(f"{folder} is a file, expected the name of a folder for the report")
        ours = not page.exists() or _MARK in page.read_text(encoding="utf-8", errors="replace")[:2000]
    if not ours or (not page.exists() and (folder / "data").exists()):
        what = "data" if ours else "index.html"
        raise OutputError(f"{folder} holds {what} that is not of a report; name another folder")


def write_page(folder: Path, data: Path) -> int:
    """Put the page's own files and its data into place; returns the size of the former."""
    size = 0
    pages = sorted(
        (file for file in files("pipeline.review").joinpath("page").iterdir() if file.is_file()),
        key=lambda f: f.name,
    )
    with writing(folder):
        swap_folders(data, folder / "data")
    for file in pages:
        content = file.read_bytes()
        write_atomically(folder / file.name, content)
        size += len(content)
    return size


@dataclass(frozen=True)
class NewPage:
    """Where a page is made; several processes may write their clips into one.

    Attributes:
        folder: of the page.
        data: where the clips' files are gathered.
        videos: "link", "copy" or "none": see `provide_video`.
    """

    folder: Path
    data: Path
    videos: str = "link"

    @classmethod
    @contextmanager
    def begun(cls, folder: Path, videos: str = "link") -> Iterator[NewPage]:
        """Make room for a page; what is not finished when the block ends is taken away.

        Raises:
            OutputError: the folder holds something else, or cannot be written.
        """
        check_folder(folder)
        with ExitStack() as temporary:
            with writing(folder):
                data = temporary.enter_context(folder_beside(folder / "data"))
                data.chmod(0o755)
            yield cls(folder, data, videos)

    def keep(self, names: Iterable[str]) -> None:
        """Take away all folders but those of these names: of clips that were begun and failed, say."""
        wanted = set(names)
        for folder in self.data.iterdir():
            if folder.is_dir() and folder.name not in wanted:
                shutil.rmtree(folder)

    def folder_for(self, key: str) -> str:
        """Make the folder of a clip's files and return its name; others may make theirs at the same time."""
        name, number = key, 2
        while True:
            try:
                (self.data / name).mkdir()
            except FileExistsError:
                name, number = f"{key}-{number}", number + 1
            else:
                return name
