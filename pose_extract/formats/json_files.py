"""JSON files of unknown length and quality, item by item."""

from __future__ import annotations

import codecs
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pose_extract.errors import FormatError

_CHUNK_BYTES = 1 << 20
_MOST_BYTES = 64 << 20  # of what must be in memory at once; Python's objects take more than ten times as much
_SPACE = " \t\n\r"


def load_json(path: Path) -> Any:
    """The content of a whole file.

    Raises:
        FormatError: it is missing, too long for memory, cut off or no JSON.
    """
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise FormatError(
                f"{path}: {path.stat().st_size >> 20} MiB of JSON in one piece; expected at most {_MOST_BYTES >> 20}. "
                "Split it, one file a clip"
            )
        return json.loads(path.read_bytes())
    except OSError as error:
        raise FormatError(f"{path}: cannot be read: {error.strerror or error}") from None
    except UnicodeDecodeError:
        raise FormatError(f"{path}: expected JSON, found bytes that are no text") from None
    except RecursionError:
        raise FormatError(f"{path}: its JSON is nested too deeply to be what it should be") from None
    except ValueError as error:
        raise FormatError(f"{path}: expected JSON: {error}. The file may be cut off") from None


class JsonItems:
    """The items of a file whose outermost value is a list or an object, without ever holding the whole file.

    Args:
        path: the file.

    Attributes:
        kind: "[" for a list, "{" for an object.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._decoder = json.JSONDecoder()
        self._text, self._at, self._ended = "", 0, False
        try:
            self._file = open(path, "rb")  # noqa: SIM115, closed by __exit__
        except OSError as error:
            raise FormatError(f"{path}: cannot be read: {error.strerror or error}") from None
        self._utf8 = codecs.getincrementaldecoder("utf-8-sig")()

    def __enter__(self) -> JsonItems:
        self.kind = self._next()
        if self.kind not in ("[", "{"):
            self._file.close()
            what = f"starts with {self.kind!r}" if self.kind else "is empty"
            raise FormatError(f"{self._path}: expected a JSON list or object, but the file {what}")
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def __iter__(self) -> Iterator[tuple[str | int, Any]]:
        """Pairs (index, item) of a list, (key, value) of an object. Raises FormatError where the text breaks off."""
        close = "]" if self.kind == "[" else "}"
        index = 0
        while True:
            sign = self._peek()
            if sign == close and index == 0:
                break
            key: str | int = index
            if self.kind == "{":
                name = self._value(f"key {index}")
                if not isinstance(name, str) or self._next() != ":":
                    raise self._broken(f"after key {index}")
                key = name
            yield key, self._value(f"[{key!r}]")
            index += 1
            sign = self._peek()
            if sign == close:
                break
            if self._next() != ",":
                raise self._broken(f"after item {index - 1}")
        self._next()
        if self._peek():
            raise self._broken("after its end")

    def _value(self, where: str) -> Any:
        """Decode one value; more of the file is read until it is complete."""
        self._peek()
        wanted = _CHUNK_BYTES
        while True:
            try:
                value, end = self._decoder.raw_decode(self._text, self._at)
            except RecursionError:
                raise FormatError(f"{self._path}: {where} is nested too deeply") from None
            except ValueError as error:
                if self._ended:
                    raise self._broken(f"at {where}: {error}") from None
            else:
                # A number at the end of what has been read may go on.
                if end < len(self._text) or self._ended:
                    self._at = end
                    return value
            self._read(wanted)
            wanted = (
                len(self._text) - self._at
            )  # twice as much each time: an item is decoded a few times at most
            if wanted > _MOST_BYTES:
                raise FormatError(
                    f"{self._path}: {where} is no JSON, or longer than {_MOST_BYTES >> 20} MiB; "
                    "expected one item a person or frame"
                )

    def _read(self, count: int) -> None:
        try:
            data = self._file.read(count)
            self._ended = not data
            self._text = self._text[self._at :] + self._utf8.decode(data, final=self._ended)
        except OSError as error:
            raise FormatError(f"{self._path}: cannot be read: {error.strerror or error}") from None
        except UnicodeDecodeError:
            raise FormatError(f"{self._path}: expected JSON, found bytes that are no text") from None
        self._at = 0

    def _peek(self) -> str:
        """The next sign that is no space, which stays; "" at the end of the file."""
        while True:
            while self._at < len(self._text) and self._text[self._at] in _SPACE:
                self._at += 1
            if self._at < len(self._text):
                return self._text[self._at]
            if self._ended:
                return ""
            self._read(_CHUNK_BYTES)

    def _next(self) -> str:
        sign = self._peek()
        self._at += 1
        return sign

    def _broken(self, where: str) -> FormatError:
        return FormatError(f"{self._path}: expected JSON, but it breaks off or is damaged {where}")
