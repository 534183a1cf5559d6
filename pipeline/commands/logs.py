"""Set up the log of a command: lines of text, or of JSON for whoever collects logs; on standard error and in a file."""

from __future__ import annotations

import errno
import json
import logging
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TextIO

_TEXT = "%(levelname)s: %(message)s"
_OURS = ("pipeline", "pose_extract", "anomaly")


class JsonFormatter(logging.Formatter):
    """One object a line: time, level, logger, message, and the traceback where there is one."""

    def format(self, record: logging.LogRecord) -> str:
        """The line of a record."""
        values = {
            "time": datetime.fromtimestamp(record.created).astimezone().isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            values["traceback"] = self.formatException(record.exc_info)
        return json.dumps(values, ensure_ascii=False)


class _ToStandardError(logging.StreamHandler[TextIO]):
    """Writes to whatever standard error is at that moment: a progress display takes it over to stay below the lines."""

    def __init__(self) -> None:
        logging.Handler.__init__(self)
        self.addFilter(lambda record: not getattr(record, "said", False))  # there, by who logs it

    @property
    def stream(self) -> TextIO:  # type: ignore[override]
        """Standard error."""
        return sys.stderr


@contextmanager
def logging_to(level: int, form: str = "text", file: str | None = None) -> Iterator[None]:
    """Log to standard error, and to a file, for as long as the block runs.

    Args:
        level: of our own messages; of others, warnings are shown.
        form: "text" or "json".
        file: lines are appended to it, each with its time.

    Raises:
        OSError: the file cannot be written, or holds something else.
    """
    root = logging.getLogger()
    handlers: list[logging.Handler] = [_ToStandardError()]
    handlers[0].setFormatter(JsonFormatter() if form == "json" else logging.Formatter(_TEXT))
    if file is not None:
        _expect_log(file)
        handlers.append(logging.FileHandler(file, encoding="utf-8", errors="backslashreplace"))
        handlers[1].setFormatter(
            JsonFormatter() if form == "json" else logging.Formatter(f"%(asctime)s {_TEXT}")
        )
    for name in _OURS:
        logging.getLogger(name).setLevel(level)
    for handler in handlers:
        root.addHandler(handler)
    try:
        yield
    finally:
        for handler in handlers:
            root.removeHandler(handler)
            handler.close()


def _expect_log(file: str) -> None:
    """Raise OSError if lines would be appended to something that is no log: a video, tracks, a config."""
    if not Path(file).is_file():
        return
    with open(file, "rb") as there:
        begin = there.read(16)
    if begin and not re.match(rb'\d{4}-\d\d-\d\d |\{"time": ', begin):
        raise OSError(errno.EEXIST, "it holds something that is no log; name another file")
