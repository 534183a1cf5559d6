"""Events in files and on standard output: lines of JSON, and a CSV table a day."""

from __future__ import annotations

import csv
import io
import os
import sys
from pathlib import Path
from typing import Any

from pipeline.live.events.record import LiveEvent
from pipeline.live.events.schema import event_schema
from pipeline.live.sinks.base import Message, NotDelivered, Refused
from pipeline.live.sinks.settings import CsvSettings, JsonLinesSettings

COLUMNS = tuple(event_schema()["properties"])


class JsonLines:
    """Writes each event as a line of JSON; a file is opened for each, so that it may be moved away at any time."""

    def __init__(self, settings: JsonLinesSettings) -> None:
        self._path = None if settings.path == "-" else Path(settings.path)
        self._last = ""  # message whose line was last begun on standard output
        self._rest = b""  # of that line, what is not written yet

    def deliver(self, message: Message) -> None:
        """Append a line; a file that cannot be written is tried again, a closed standard output is not."""
        line = message.event.to_json() + "\n"
        if self._path is not None:
            _append(self._path, line)
            return
        try:
            self._print(message.id, line.encode())
        except BrokenPipeError as error:
            raise Refused("nobody reads standard output any more") from error
        except OSError as error:
            raise NotDelivered(f"standard output: {error.strerror or error}") from error

    def tell(self, stats: dict[str, Any]) -> None:
        """Files hold events only."""

    def close(self) -> None:
        """Nothing is kept open."""

    def _print(self, message_id: str, line: bytes) -> None:
        """Write a line on standard output, past Python's buffer: an attempt goes on where the one before has failed."""
        if message_id != self._last:
            self._print_rest()  # its event was given up meanwhile, but its line is begun
            self._last = message_id
        self._rest = self._rest or line
        try:
            self._print_rest()
        finally:
            if self._rest == line:  # nothing of it is written: no line is begun
                self._rest = b""

    def _print_rest(self) -> None:
        while self._rest:
            self._rest = self._rest[os.write(sys.stdout.fileno(), self._rest) :]


class DailyCsv:
    """Writes each event as a row of the file of the day on which it began, local time."""

    def __init__(self, settings: CsvSettings) -> None:
        self._folder = Path(settings.folder)

    def deliver(self, message: Message) -> None:
        """Append a row, and the head line to a new file."""
        day = message.event.start_time.astimezone().date().isoformat()
        path = self._folder / f"events-{day}.csv"
        text = io.StringIO(newline="")
        table = csv.writer(text)
        try:
            empty = not path.exists() or not path.stat().st_size
        except OSError as error:
            raise NotDelivered(f"{path}: {error.strerror or error}") from error
        if empty:
            table.writerow(COLUMNS)
        table.writerow(csv_row(message.event))
        _append(path, text.getvalue())

    def tell(self, stats: dict[str, Any]) -> None:
        """Files hold events only."""

    def close(self) -> None:
        """Nothing is kept open."""


def csv_row(event: LiveEvent) -> list[Any]:
    """The cells of an event, by `COLUMNS`; lists are parted by ``; ``.

    People are ``track_id:percentile:x1 y1 x2 y2``, things ``thing_id:kind:x1 y1 x2 y2``.
    """
    values = event.to_dict()
    values["people"] = "; ".join(
        f"{p['track_id']}:{'' if p['percentile'] is None else p['percentile']}:{' '.join(map(str, p['box'] or ()))}"
        for p in values["people"]
    )
    values["things"] = "; ".join(
        f"{t['thing_id']}:{t['kind']}:{' '.join(map(str, t['box']))}" for t in values["things"]
    )
    values["reasons"] = "; ".join(values["reasons"])
    return [values[name] for name in COLUMNS]


def _append(path: Path, text: str) -> None:
    """Add whole text to a file; what a full disk has cut off is taken back, so that no half line stays."""
    data = text.encode()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
    except OSError as error:
        raise NotDelivered(f"{path}: {error.strerror or error}") from error
    try:
        written = os.write(descriptor, data)
        if written < len(data):
            os.ftruncate(descriptor, os.fstat(descriptor).st_size - written)
            raise NotDelivered(f"{path}: the disk is full")
    except OSError as error:
        raise NotDelivered(f"{path}: {error.strerror or error}") from error
    finally:
        os.close(descriptor)
