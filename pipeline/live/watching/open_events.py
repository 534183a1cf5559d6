"""Keep on disk which events have been told and are not over, so that a killed `watch` can end them when it is back."""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass
from pathlib import Path

from pipeline.live.events.record import LiveEvent
from pose_extract.errors import FormatError, OutputError
from pose_extract.files import write_atomically

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Left:
    """An event that an earlier run has not ended.

    Attributes:
        event: as it was last.
        told: whether its beginning is known to have been told; where `watch` was killed just then, it is not.
    """

    event: LiveEvent
    told: bool


class OpenEvents:
    """The events that go on, by id; written before they are told. Where they cannot be, they are told all the same.

    Args:
        path: the file.

    Attributes:
        left: those of an earlier run.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._open: dict[str, Left] = {}
        self._failing = False
        self.left = self._read()

    def put(self, event: LiveEvent) -> None:
        """Note an event that is about to be told, or what has changed of it."""
        self._open[event.id] = Left(event, told=event.id in self._open)
        self._write()

    def told(self, event: LiveEvent) -> None:
        """Note that it was."""
        known = self._open.get(event.id)
        if known is not None and not known.told:
            self._open[event.id] = Left(known.event, told=True)
            self._write()

    def remove(self, event: LiveEvent) -> None:
        """Forget an event whose end has been told."""
        if self._open.pop(event.id, None) is not None:
            self._write()

    def close_left(self) -> None:
        """The events that were left have been ended."""
        self.left = ()
        self._write()

    def _read(self) -> tuple[Left, ...]:
        try:
            lines = self._path.read_text(encoding="utf-8").split(
                "\n"
            )  # JSON's text may hold other ends of lines
        except FileNotFoundError:
            return ()
        except (OSError, UnicodeDecodeError) as error:
            logger.warning("%s cannot be read (%s): events that went on are not ended", self._path, error)
            return ()
        found = []
        for line in filter(None, lines):
            try:
                values = json.loads(line)
                found.append(Left(LiveEvent.from_dict(values["event"]), bool(values["told"])))
            except (FormatError, ValueError, TypeError, KeyError) as error:
                logger.warning("%s: %s", self._path, error)
        return tuple(found)

    def _write(self) -> None:
        lines = [
            json.dumps({"told": each.told, "event": each.event.to_dict()}, ensure_ascii=False)
            for each in (*self.left, *self._open.values())
        ]
        try:
            write_atomically(self._path, "".join(line + "\n" for line in lines).encode())
            self._failing = False
        except OutputError as error:
            if not self._failing:
                logger.warning("%s; if watch is killed now, events that go on are not ended", error)
            self._failing = True
