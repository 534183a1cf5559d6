"""Run a command on odd input inside this process, and say what is wrong with how it ended."""

from __future__ import annotations

import os
import signal
import sys
import tempfile
import time
from dataclasses import dataclass
from types import FrameType

from pipeline.cli import main

KNOWN = frozenset((0, *range(2, 15)))
"""Exit codes of docs/exit-codes.md that a command on broken input may end with."""

_LONGEST = 1200  # signs of a clear line, paths included


@dataclass(frozen=True)
class Outcome:
    """How a command ended.

    Attributes:
        code: its exit code; None if it took too long.
        out: what it printed.
        err: what it said on standard error.
        seconds: how long it took.
    """

    code: int | None
    out: str
    err: str
    seconds: float

    def faults(self) -> list[str]:
        """What is wrong: neither one line and an exit code that says so, nor a full result; or both."""
        if self.code is None:
            return [f"not done after {self.seconds:.0f} s"]
        lines = [line for line in self.err.splitlines() if ": error: " in line]
        found = []
        if self.code not in KNOWN:
            found.append(f"exit code {self.code}: {self.err[-500:]}")
        if "Traceback" in self.err + self.out:
            found.append("a traceback")
        if len(lines) != (self.code != 0):
            found.append(f"exit code {self.code} with {len(lines)} lines of error: {self.err[-500:]}")
        if any(len(line) > _LONGEST for line in lines):
            found.append(f"a line of {max(map(len, lines))} signs")
        return found


class _TooLong(BaseException):
    """The time is up; no handler of errors takes it for one."""


def run(*args: object, limit_s: float = 60) -> Outcome:
    """Run a command; its output is taken from the descriptors, so that child processes' is there as well."""

    def stop(_number: int, _frame: FrameType | None) -> None:
        raise _TooLong

    begin = time.monotonic()
    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, limit_s)
    with _Taken(1) as out, _Taken(2) as err:
        try:
            code: int | None = main([str(arg) for arg in args])
        except SystemExit as error:  # argparse
            code = int(error.code or 0)
        except _TooLong:
            code = None
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)
    return Outcome(code, out.text, err.text, time.monotonic() - begin)


class _Taken:
    """What is written to standard output (1) or error (2) goes into a file meanwhile, Python's own and children's."""

    def __init__(self, number: int) -> None:
        self._number, self._name, self.text = number, "stdout" if number == 1 else "stderr", ""

    def __enter__(self) -> _Taken:
        self._before = getattr(sys, self._name)
        self._before.flush()
        self._saved = os.dup(self._number)
        self._file = tempfile.TemporaryFile("w+", encoding="utf-8")
        os.dup2(self._file.fileno(), self._number)
        setattr(sys, self._name, self._file)
        return self

    def __exit__(self, *_: object) -> None:
        setattr(sys, self._name, self._before)
        self._file.flush()
        os.dup2(self._saved, self._number)
        os.close(self._saved)
        self._file.seek(0)
        self.text = self._file.buffer.read().decode(errors="replace")
        self._file.close()
