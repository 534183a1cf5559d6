"""The errors that reach a user; the command line prints the message and exits with the code."""

from __future__ import annotations

import reprlib
from typing import Any


class GepcError(Exception):
    """Says what was expected, what was found and what to do about it. Never shown with a traceback."""

    exit_code = 1


class UsageError(GepcError):
    """The command or its arguments cannot be carried out as given."""

    exit_code = 2


class ConfigError(GepcError):
    """A config has an unknown key, a wrong type or a value out of range."""

    exit_code = 3


class VideoError(GepcError):
    """A video source is missing, is no video, has no picture, or cannot be read."""

    exit_code = 4


class CacheError(GepcError):
    """A cached tracks file is damaged or is not one of ours."""

    exit_code = 5


class WeightsError(GepcError):
    """A network's weights are missing, incomplete or not the published ones."""

    exit_code = 6


class ModelError(GepcError):
    """A model bundle is missing, damaged, or made for something else."""

    exit_code = 7


class TrainingError(GepcError):
    """There is too little data to train, or training broke down."""

    exit_code = 8


class OutputError(GepcError):
    """A result cannot be written: the disk is full, or the folder may not be written to."""

    exit_code = 9


class EstimatorError(GepcError):
    """A pose estimator cannot run: packages are missing, or a model does not fit."""

    exit_code = 10


class FormatError(GepcError):
    """A file of another tool, or of a data set, is damaged or not in the format that was named."""

    exit_code = 11


class BusyError(GepcError):
    """Another process is at work on the same thing, and the command was not to wait for it."""

    exit_code = 12


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
