"""A program that is run for every event, with the event as JSON on its standard input."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from contextlib import suppress
from typing import Any

from pipeline.live.sinks.base import Message, NotDelivered, Refused
from pipeline.live.sinks.settings import CommandSettings

_SHOWN = 200  # signs of what it says that go into a log line
_LOOK_S = 0.1  # how often it is looked whether the program is over while what it has started goes on


class Command:
    """Runs the program once an event; exit code 0 is delivered, all else is tried again, up to ``attempts``."""

    def __init__(self, settings: CommandSettings) -> None:
        self._settings = settings
        self._failed: tuple[str, int] = ("", 0)  # message id, attempts
        self._process: subprocess.Popen[bytes] | None = None

    def deliver(self, message: Message) -> None:
        """Run it and wait for its end."""
        try:
            self._run(message)
        except NotDelivered as error:
            last, attempts = self._failed
            attempts = attempts + 1 if last == message.id else 1
            self._failed = message.id, attempts
            if attempts >= self._settings.attempts:
                raise Refused(f"{error}, {attempts} times") from error
            raise

    def _run(self, message: Message) -> None:
        program = self._settings.arguments[0]
        environment = os.environ | {
            "GEPC_EVENT_ID": message.event.id,
            "GEPC_EVENT_TYPE": message.event.type,
            "GEPC_CAMERA": message.event.camera,
        }
        try:
            process = subprocess.Popen(
                self._settings.arguments,
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                env=environment,
                start_new_session=True,  # so that what it starts can be ended with it
            )
        except (OSError, ValueError) as error:
            raise NotDelivered(f"{program} cannot be run: {error}") from error
        self._process = process
        try:
            said = self._until_it_ends(process, message.event.to_json().encode())
        finally:
            self._process = None
            self._end(process)
            for pipe in (process.stdin, process.stderr):
                if pipe is not None:
                    pipe.close()
        if process.returncode:
            text = " ".join(said.decode(errors="replace").split())[-_SHOWN:]
            raise NotDelivered(f"{program} ended with {process.returncode}" + (f": {text}" if text else ""))

    def _until_it_ends(self, process: subprocess.Popen[bytes], given: bytes) -> bytes:
        """What it says on standard error until it ends, not waiting for what it has left running with that open."""
        until = time.monotonic() + self._settings.timeout_s
        more: bytes | None = given
        while True:
            ended, late = process.poll() is not None, time.monotonic() > until
            try:
                return process.communicate(more, _LOOK_S)[1]
            except subprocess.TimeoutExpired as error:
                if ended:
                    return error.stderr or b""
                if late:
                    program, limit_s = self._settings.arguments[0], self._settings.timeout_s
                    raise NotDelivered(f"{program} took longer than {limit_s:g} s") from error
            more = None  # it goes on with what it was given

    def tell(self, stats: dict[str, Any]) -> None:
        """A program gets events only."""

    def close(self) -> None:
        """End a program that still runs."""
        process = self._process
        if process is not None:
            self._end(process)

    @staticmethod
    def _end(process: subprocess.Popen[bytes]) -> None:
        if process.poll() is None:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
