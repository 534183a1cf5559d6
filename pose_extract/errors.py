"""The errors that reach a user; the command line prints the message and exits with the code."""

from __future__ import annotations

import errno
import re
import reprlib
from collections.abc import Sequence
from typing import Any

LONGEST = 2000  # signs of a message, whatever names or values it shows


class GepcError(Exception):
    """Says what was expected, what was found and what to do about it. Never shown with a traceback."""

    exit_code = 1
    helps = ""  # what a user can do about it; `pipeline.commands.exit_codes` lists them

    def __str__(self) -> str:
        text = printable(super().__str__())
        return text if len(text) <= LONGEST else text[: LONGEST - 4] + " ..."


class UsageError(GepcError):
    """The command or its arguments cannot be carried out as given."""

    exit_code = 2
    helps = "the message names the option"


class ConfigError(GepcError):
    """A config has an unknown key, a wrong type or a value out of range."""

    exit_code = 3
    helps = "the message names the key and the nearest known one"


class VideoError(GepcError):
    """A video source is missing, is no video, has no picture, or cannot be read."""

    exit_code = 4
    helps = "the list of videos that were not used; of several, the others are done"


class CacheError(GepcError):
    """A cached tracks file is damaged or is not one of ours."""

    exit_code = 5
    helps = "extract or import again"


class WeightsError(GepcError):
    """A network's weights are missing, incomplete or not the published ones."""

    exit_code = 6
    helps = "`gepc-pipeline weights`"


class ModelError(GepcError):
    """A model bundle is missing, damaged, or made for something else."""

    exit_code = 7
    helps = "train again"


class TrainingError(GepcError):
    """There is too little data to train, or training broke down."""

    exit_code = 8
    helps = "the message says how much is missing"


class OutputError(GepcError):
    """A result cannot be written: the disk is full, there is no permission, or an output is an input."""

    exit_code = 9
    helps = "the message names the file"


class EstimatorError(GepcError):
    """A pose estimator cannot run, or a package is missing, does not fit, or is hidden by a file of the user's."""

    exit_code = 10
    helps = "`gepc-pipeline doctor`"


class FormatError(GepcError):
    """A file of another tool, or of a data set, is damaged or not in the format that was named."""

    exit_code = 11
    helps = "the message names the file and the place in it"


class BusyError(GepcError):
    """Another process works on the same clip or model, and ``--no-wait`` was given."""

    exit_code = 12
    helps = "wait, or another `--workspace`"


class MemoryShortError(GepcError):
    """The machine has too little memory for what was asked of it."""

    exit_code = 14
    helps = "the message names settings that need less"

    def __init__(self, what: str = "") -> None:
        super().__init__(
            what
            or "too little memory. Less is needed with --set video.max_side=960, --set training.batch_size=128, "
            "--set training.most_windows=20000, or beside fewer other programs"
        )


def raise_any(errors: Sequence[GepcError], of: int, what: str) -> None:
    """Raise the error, if there is one; of several things one that says how many of them could not be used."""
    if errors and of == 1:
        raise errors[0]
    if errors:
        raise type(errors[0])(f"{len(errors)} of {of} {what} could not be used")


def is_memory_short(error: BaseException) -> bool:
    """Whether an error means that memory is short: Python's own, torch's, OpenCV's or ONNX Runtime's."""
    if isinstance(error, MemoryError) or (isinstance(error, OSError) and error.errno == errno.ENOMEM):
        return True
    text = str(error)
    return any(sign in text for sign in ("llocate memory", "nsufficient memory", "ut of memory", "bad_alloc"))


def printable(text: str) -> str:
    """One line that shows control characters and bytes that are no text by their codes."""
    return re.sub(
        r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]",
        lambda sign: " " if sign[0] == "\n" else f"\\x{ord(sign[0]) & 0xFF:02x}",
        text,
    )


def short(value: Any) -> str:
    """A foreign value as text that fits into a message, however large it is."""
    if isinstance(value, str):
        value = value[:200]
    elif isinstance(value, (list, tuple, dict)):
        return _Brief().repr(value)
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


class _Brief(reprlib.Repr):
    """Three items of each list, two lists deep."""

    def __init__(self) -> None:
        super().__init__()
        self.maxlist = self.maxtuple = self.maxdict = 3
        self.maxlevel, self.maxstring, self.maxlong = 2, 60, 40
