"""A bounded queue of messages on disk: it survives a restart, and what it drops is counted.

The messages are in memory too, so that a full or failing disk costs what would survive a restart, not the alarms. What
could not be written is made up for: now and then, and at the end, the table is made what the memory is.
"""

from __future__ import annotations

import logging
import sqlite3
import threading
import time
from collections import OrderedDict
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from pipeline.live.sinks.base import Message
from pose_extract.errors import GepcError

logger = logging.getLogger(__name__)

_SCHEMA = "CREATE TABLE IF NOT EXISTS messages (number INTEGER PRIMARY KEY, type TEXT, body BLOB)"
_AGAIN_S = 5.0  # between two attempts to write what could not be written


class DiskQueue:
    """Messages in order, the oldest first; safe to use from several threads.

    Adding is a write to the system's cache: it waits for no disk. What was added outlives a killed process, and but for
    the last seconds a power cut.

    Args:
        path: the SQLite file; a damaged one is set aside, and that is said.
        most_messages: when there are more, updates are dropped first, after them the oldest.
        most_bytes: likewise, of all messages together.
    """

    def __init__(self, path: Path, most_messages: int, most_bytes: int) -> None:
        self._path, self._most_messages, self._most_bytes = path, most_messages, most_bytes
        self._changed = threading.Condition()
        self._messages: OrderedDict[int, tuple[str, bytes]] = OrderedDict()  # number -> type, body
        self._bytes = 0
        self._known = False  # whether what an earlier run has left is among them
        self.dropped = 0  # since this was made
        self.dropped_by_type: dict[str, int] = {}
        self._failing = False  # whether the table is behind the memory
        self._again_s = time.monotonic() + _AGAIN_S
        self._closed = False
        self._disk = self._open()
        if self._disk is None:  # numbers after those that an earlier run has left, which are not known yet
            self._failing, self._next = True, time.time_ns()
        else:
            self._next = 1 + max(self._messages, default=0)
            self._shrink()

    def __len__(self) -> int:
        return len(self._messages)

    def put(self, message: Message) -> None:
        """Add a message at the end; drops others, or this one, where there is no room."""
        body = message.to_bytes()
        with self._changed:
            number, self._next = self._next, self._next + 1
            self._messages[number] = message.event.type, body
            self._bytes += len(body)
            self._run("INSERT INTO messages VALUES (?, ?, ?)", (number, message.event.type, body))
            self._shrink()
            self._changed.notify_all()

    def first(self, timeout_s: float) -> tuple[int, Message] | None:
        """The oldest message, which stays in the queue, and its number; waits for one, None if there is none."""
        with self._changed:
            self._catch_up()
            if not self._messages:
                self._changed.wait(timeout_s)
            while self._messages:
                number, (_, body) = next(iter(self._messages.items()))
                try:
                    return number, Message.from_bytes(body)
                except (ValueError, KeyError, GepcError) as error:
                    logger.warning("%s: a message that cannot be read is dropped: %s", self._path, error)
                    self._drop(number)
        return None

    def wake(self) -> None:
        """Let a waiting `first` return at once."""
        with self._changed:
            self._changed.notify_all()

    def done(self, number: int) -> None:
        """Take a message out: it is delivered, or refused."""
        with self._changed:
            found = self._messages.pop(number, None)
            if found is not None:  # it may have been dropped meanwhile
                self._bytes -= len(found[1])
                self._run("DELETE FROM messages WHERE number = ?", (number,))

    def tidy(self) -> None:
        """Write what waits in SQLite's log into its file; call it from a thread that may wait for the disk."""
        if self._disk is None:
            return
        try:  # a connection of its own: adding goes on meanwhile
            other = sqlite3.connect(self._path, timeout=1.0, isolation_level=None)
            try:
                other.execute("PRAGMA wal_checkpoint(PASSIVE)")
            finally:
                other.close()
        except sqlite3.Error as error:
            logger.debug("%s: %s", self._path, error)

    def close(self) -> None:
        """Close the file; what is left is there at the next start."""
        with self._changed:
            self._again_s = 0.0
            self._catch_up()
            self._closed = True
            if self._disk is not None:
                try:
                    self._disk.close()
                except sqlite3.Error as error:
                    logger.warning("%s: %s", self._path, error)
                self._disk = None

    def _shrink(self) -> None:
        while len(self._messages) > 1 and (
            len(self._messages) > self._most_messages or self._bytes > self._most_bytes
        ):
            updates = (n for n, (kind, _) in self._messages.items() if kind == "update")
            self._drop(next(updates, next(iter(self._messages))))

    def _drop(self, number: int) -> None:
        kind, body = self._messages.pop(number)
        self._bytes -= len(body)
        if not self.dropped:
            logger.warning("%s is full: messages are dropped, updates first", self._path)
        self.dropped += 1
        self.dropped_by_type[kind] = self.dropped_by_type.get(kind, 0) + 1
        self._run("DELETE FROM messages WHERE number = ?", (number,))

    def _run(self, statement: str, values: tuple[object, ...]) -> None:
        """Run a statement where the disk lets us; that it does not is said once, and that it does again too."""
        if self._failing:
            self._catch_up()
        elif self._disk is not None:
            try:
                self._disk.execute(statement, values)
            except sqlite3.Error as error:
                self._fails(error)

    def _fails(self, error: sqlite3.Error) -> None:
        if not self._failing:
            logger.warning(
                "%s cannot be written (%s): messages wait in memory only, a restart would lose them",
                self._path,
                error,
            )
        self._failing = True
        self._again_s = time.monotonic() + _AGAIN_S

    def _catch_up(self) -> None:
        """Make the table what the memory is, where it is not and the last attempt was long enough ago."""
        if not self._failing or self._closed or time.monotonic() < self._again_s:
            return
        self._again_s = time.monotonic() + _AGAIN_S
        if self._disk is None:
            self._disk = self._open()
            self._shrink()
        disk = self._disk
        if disk is None:
            return
        try:
            disk.execute("BEGIN IMMEDIATE")
            there = {number for (number,) in disk.execute("SELECT number FROM messages")}
            gone = ((number,) for number in there - self._messages.keys())
            disk.executemany("DELETE FROM messages WHERE number = ?", gone)
            missing = ((n, *rest) for n, rest in self._messages.items() if n not in there)
            disk.executemany("INSERT INTO messages VALUES (?, ?, ?)", missing)
            disk.execute("COMMIT")
        except sqlite3.Error as error:
            with suppress(sqlite3.Error):
                disk.execute("ROLLBACK")
            self._fails(error)
            return
        self._failing = False
        logger.warning("%s can be written again", self._path)

    def _take_in(self, left: Iterable[tuple[int, str, bytes]]) -> None:
        """Put what an earlier run has left before what has come since; once."""
        if self._known:
            return
        self._known = True
        found = {number: (kind, body) for number, kind, body in left}
        self._messages = OrderedDict({**found, **self._messages})
        self._bytes += sum(len(body) for _, body in found.values())

    def _open(self) -> sqlite3.Connection | None:
        """The file, with what it holds taken in; None, which is said once, if it cannot be used."""
        say = logger.debug if self._failing else logger.warning
        for again in (False, True):
            try:
                return self._connected()
            except sqlite3.DatabaseError as error:
                damaged = not isinstance(error, sqlite3.OperationalError)
                if again or not damaged:
                    say("%s cannot be used (%s): messages wait in memory only", self._path, error)
                    return None
                aside = self._path.with_suffix(".damaged")
                logger.warning("%s is damaged (%s): it is set aside as %s", self._path, error, aside.name)
                self._path.replace(aside)
                for ending in ("-wal", "-shm"):
                    self._path.with_name(self._path.name + ending).unlink(missing_ok=True)
            except OSError as error:
                say("%s cannot be made (%s): messages wait in memory only", self._path, error)
                return None
        return None

    def _connected(self) -> sqlite3.Connection:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        disk = sqlite3.connect(
            self._path, timeout=1.0, isolation_level=None, check_same_thread=False, cached_statements=8
        )
        try:
            disk.execute("PRAGMA journal_mode=WAL")
            disk.execute("PRAGMA synchronous=NORMAL")
            disk.execute("PRAGMA wal_autocheckpoint=0")
            disk.execute(_SCHEMA)
            left = disk.execute("SELECT number, type, body FROM messages ORDER BY number").fetchall()
        except sqlite3.Error:
            disk.close()
            raise
        self._take_in(left)
        return disk
