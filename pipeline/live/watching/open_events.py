"""Keep on disk which events have been told and are not over, so that a killed `watch` can end them when it is back."""

from __future__ import annotations

import logging
from pathlib import Path

from pipeline.live.events.record import LiveEvent
from pose_extract.errors import FormatError, OutputError
from pose_extract.files import write_atomically

logger = logging.getLogger(__name__)


class OpenEvents:
    """The events that go on, by id; written before they are told. Where they cannot be, they are told all the same.

    Args:
        path: the file.

    Attributes:
        left: events that an earlier run has told and not ended.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._open: dict[str, LiveEvent] = {}
        self._failing = False
        self.left = self._read()

    def put(self, event: LiveEvent) -> None:
        """Note an event that is about to be told, or what has changed of it."""
        self._open[event.id] = event
        self._write()

    def remove(self, event: LiveEvent) -> None:
        """Forget an event whose end has been told."""
        if self._open.pop(event.id, None) is not None:
            self._write()

    def close_left(self) -> None:
        """The events that were left have been ended."""
        self.left = ()
        self._write()

    def _read(self) -> tuple[LiveEvent, ...]:
        try:
            lines = self._path.read_text(encoding="utf-8").splitlines()
        except FileNotFoundError:
            return ()
        except (OSError, UnicodeDecodeError) as error:
            logger.warning("%s cannot be read (%s): events that went on are not ended", self._path, error)
            return ()
        found = []
        for line in lines:
            try:
                found.append(LiveEvent.from_json(line))
            except FormatError as error:
                logger.warning("%s: %s", self._path, error)
        return tuple(found)

    def _write(self) -> None:
        lines = [
            *(event.to_json() for event in self.left),
            *(event.to_json() for event in self._open.values()),
        ]
        try:
            write_atomically(self._path, "".join(line + "\n" for line in lines).encode())
            self._failing = False
        except OutputError as error:
            if not self._failing:
                logger.warning("%s; if watch is killed now, events that go on are not ended", error)
            self._failing = True
