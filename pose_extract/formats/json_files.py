"""Read JSON files of unknown length and quality, item by item."""

from __future__ import annotations

import codecs
import gc
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import orjson

from pose_extract.errors import FormatError
from pose_extract.files import open_input, read_input

_CHUNK_BYTES = 1 << 20
_MOST_BYTES = 64 << 20  # of what must be in memory at once; Python's objects take more than ten times as much
_PIECE, _MOST_PIECE = (
    512 << 10,
    32 << 20,
)  # of text that is decoded at once; what fits into the cache is fastest
_SPACE = " \t\n\r"
_CLOSING = _SPACE + "]}"
_LONGEST_KEY = 100  # of those that are counted, in bytes


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
        data = read_input(path)
        try:
            return orjson.loads(data)
        except orjson.JSONDecodeError:
            return json.loads(data)  # it knows NaN, and says more of what is wrong
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

    Items are decoded many at a time: whatever stands between the first and the second, ``}}, "`` for instance, most
    likely stands between all of them, so that the text up to the last such place in a piece of the file is decoded in
    one go. Where that turns out to be no JSON (or has a NaN, which the fast decoder refuses), items are decoded singly.

    Args:
        path: the file.
        count: keys to count.

    Attributes:
        kind: "[" for a list, "{" for an object.
        counts: how often each of the keys is in what has been read. Of equal keys of an object the last one decides, so
            that there may be more of them than of values.
    """

    def __init__(self, path: Path, count: Sequence[str] = ()) -> None:
        self._path = path
        self.counts = dict.fromkeys(count, 0)
        self._tail = b""  # of what has been read, in which a key may have begun
        self._decoder = json.JSONDecoder()
        self._text, self._at, self._ended = "", 0, False
        self._passed = 0  # signs before the text
        self._between = ""  # what stands between items
        self._singly_until = 0
        try:
            self._file = open_input(path)  # closed by __exit__
        except OSError as error:
            raise FormatError(f"{path}: cannot be read: {error.strerror or error}") from None
        self._utf8 = codecs.getincrementaldecoder("utf-8-sig")()

    def __enter__(self) -> JsonItems:
        self.kind = self._next()
        if self.kind not in ("[", "{"):
            self._file.close()
            what = f"starts with {self.kind!r}" if self.kind else "is empty"
            raise FormatError(f"{self._path}: expected a JSON list or object, but the file {what}")
        # Thousands of lists come and go, and none of them is garbage: looking for some takes a fifth of the time.
        self._collecting = gc.isenabled()
        gc.disable()
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()
        if self._collecting:
            gc.enable()

    def __iter__(self) -> Iterator[tuple[str | int, Any]]:
        """Pairs (index, item) of a list, (key, value) of an object. Raises FormatError where the text breaks off."""
        close = "]" if self.kind == "[" else "}"
        index = 0
        while True:
            sign = self._peek()
            if sign == close and index == 0:
                break
            several, closed = self._several(close) if index else ({}, False)
            if several:
                pairs = several.items() if isinstance(several, dict) else enumerate(several, index)
                index += len(several)
                yield from pairs
                del several, pairs  # before the next ones come
                if closed:
                    break
                continue
            key: str | int = index
            if self.kind == "{":
                name = self._value(f"key {index}")
                if not isinstance(name, str) or self._next() != ":":
                    raise self._broken(f"after key {index}")
                key = name
            value = self._value(f"[{key!r}]")
            tail = self._text[max(0, self._at - 100) : self._at]
            yield key, value
            index += 1
            sign = self._peek()
            if sign == close:
                break
            if self._next() != ",":
                raise self._broken(f"after item {index - 1}")
            if index == 1:
                self._learn(tail[len(tail.rstrip(_CLOSING)) :])
        self._next()
        if self._peek():
            raise self._broken("after its end")

    def _learn(self, tail: str) -> None:
        """Learn what stands between items; the first one ended with ``tail``, and a comma has been read."""
        self._fill(100)
        rest = self._text[self._at : self._at + 100]
        self._between = tail + "," + rest[: len(rest) - len(rest.lstrip(_SPACE)) + 1] if tail else ""

    def _several(self, close: str) -> tuple[dict[str, Any] | list[Any], bool]:
        """Many items at once, none if they have to be decoded singly; and whether they were the last ones."""
        if not self._between or self._passed + self._at < self._singly_until:
            return {}, False
        piece, closed = _PIECE, False
        while True:
            self._fill(piece)
            rest = len(self._text) - self._at
            if self._ended and rest <= piece:
                end = len(self._text.rstrip(_SPACE)) - 1
                closed = end >= self._at and self._text[end] == close
            else:
                end = self._text.rfind(self._between, self._at, self._at + piece)
            if closed or end >= self._at or rest < piece or piece >= _MOST_PIECE:
                break
            piece *= 2
        if end < self._at or (rest <= piece and self._ended and not closed):
            self._singly_until = self._passed + len(self._text)
            return {}, False
        tail = 0 if closed else self._between.index(",")
        try:
            items = orjson.loads("".join((self.kind, self._text[self._at : end + tail], close)))
        except orjson.JSONDecodeError:
            self._singly_until = self._passed + end
            return {}, False
        self._at = end if closed else end + tail + 1
        return items, closed

    def _fill(self, count: int) -> None:
        """Read on until ``count`` signs are there, if there are so many."""
        while len(self._text) - self._at < count and not self._ended:
            self._read(count)

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
            self._count(data)
            self._passed += self._at
            self._text = self._text[self._at :] + self._utf8.decode(data, final=self._ended)
        except OSError as error:
            raise FormatError(f"{self._path}: cannot be read: {error.strerror or error}") from None
        except UnicodeDecodeError:
            raise FormatError(f"{self._path}: expected JSON, found bytes that are no text") from None
        self._at = 0

    def _count(self, data: bytes) -> None:
        for key in self.counts:
            quoted = f'"{key}"'.encode()
            self.counts[key] += (self._tail[-len(quoted) + 1 :] + data).count(quoted)
        self._tail = (self._tail + data)[-_LONGEST_KEY:] if self.counts else b""

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
