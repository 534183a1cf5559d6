"""Check plain nested mappings, as YAML and JSON hold them, into frozen dataclasses."""

from __future__ import annotations

import dataclasses
import difflib
import functools
import math
import types
import typing
from collections.abc import Mapping
from typing import Any, TypeVar

from pose_extract.errors import ConfigError, short

T = TypeVar("T")

# Bounds of settings that have none by themselves: what is beyond is a slip, and would break far from where it stands.
MOST = 1_000_000_000  # things that are counted: windows, frames; and seeds, which every library takes so far
MOST_ROUNDS = 1_000_000  # epochs, iterations, steps
MOST_FACTOR = 1e6  # weights, tolerances and other factors
MOST_RATE = 10.0  # learning rates


@functools.cache  # a workspace's list has thousands of one class
def _hints(cls: Any) -> dict[str, Any]:
    return typing.get_type_hints(cls)


def build(cls: type[T], values: Any, where: str = "") -> T:
    """Make the dataclass ``cls`` from nested mappings, checking every key and type.

    Raises:
        ConfigError: names the key, what was expected and the nearest known key.
    """
    if not isinstance(values, Mapping):
        raise ConfigError(f"config: {where or 'top level'}: expected keys and values, got {short(values)}")
    hints = _hints(typing.cast(Any, cls))
    known = [f.name for f in dataclasses.fields(cls) if f.init]  # type: ignore[arg-type]
    arguments = {}
    for key, value in values.items():
        path = f"{where}.{key}" if where else str(key)
        if key not in known:
            near = difflib.get_close_matches(str(key), known, 1, 0.5)
            hint = f"; did you mean {near[0]!r}?" if near else f"; known: {', '.join(known)}"
            raise ConfigError(f"config: unknown key {short(path)}{hint}")
        arguments[key] = _convert(hints[key], value, path)
    try:
        return cls(**arguments)
    except TypeError as error:
        raise ConfigError(f"config: {where or 'top level'}: {error}") from error


def expect_kinds(values: Any, kinds: Mapping[str, Any], where: str = "") -> None:
    """Raise ConfigError unless the keys of a foreign mapping that are there have values of their kinds.

    Args:
        values: what a file of JSON holds.
        kinds: key -> the type of its value, as an annotation would say it.
        where: what stands before the keys in messages.
    """
    if not isinstance(values, Mapping):
        raise ConfigError(
            f"{where.rstrip('.') or 'all of it'}: expected keys and values, got {short(values)}"
        )
    for key, kind in kinds.items():
        if key in values:
            try:
                _convert(kind, values[key], where + key)
            except ConfigError as error:
                raise ConfigError(str(error).removeprefix("config: ")) from None


def _convert(kind: Any, value: Any, path: str) -> Any:
    """``value`` as ``kind``; only int -> float and list -> tuple are converted."""
    origin = typing.get_origin(kind)
    if dataclasses.is_dataclass(kind) and isinstance(kind, type):
        return build(kind, value, path)
    if origin in (typing.Union, types.UnionType):
        if value is None and type(None) in typing.get_args(kind):
            return None
        options = [a for a in typing.get_args(kind) if a is not type(None)]
        for option in options:
            try:
                return _convert(option, value, path)
            except ConfigError:
                if option is options[-1]:
                    raise
    if origin is tuple and isinstance(value, (list, tuple)):
        items = typing.get_args(kind)
        if len(items) == 2 and items[1] is Ellipsis:
            items = (items[0],) * len(value)
        if len(items) != len(value):
            raise ConfigError(f"config: {path}: expected {len(items)} values, got {len(value)}")
        return tuple(
            _convert(k, v, f"{path}[{i}]") for i, (k, v) in enumerate(zip(items, value, strict=True))
        )
    if origin in (dict, Mapping) and isinstance(value, Mapping):
        name, item = typing.get_args(kind)
        # Values of any kind are another package's to check.
        free = item is Any
        return {
            _convert(name, k, path): v if free else _convert(item, v, f"{path}.{k}") for k, v in value.items()
        }
    if origin is typing.Literal:
        if value in typing.get_args(kind):
            return value
        raise ConfigError(
            f"config: {path}: expected one of {', '.join(map(str, typing.get_args(kind)))}, got {short(value)}"
        )
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return _as_float(value, path)
    if isinstance(kind, type) and isinstance(value, kind) and (kind is bool or not isinstance(value, bool)):
        return value
    name = getattr(kind, "__name__", str(kind))
    raise ConfigError(f"config: {path}: expected {name}, got {short(value)}")


def _as_float(value: int, path: str) -> float:
    try:
        return float(value)
    except OverflowError:
        raise ConfigError(f"config: {path}: expected a number, got {short(value)}") from None


def expect_between(
    section: str,
    settings: object,
    low: float,
    high: float,
    *keys: str,
    above: bool = False,
    below: bool = False,
) -> None:
    """Raise ConfigError unless settings of a section are numbers of ``low`` to ``high``.

    Args:
        section: the config section's name.
        settings: the section's dataclass.
        low: the lowest value; with ``above``, the value itself is not allowed.
        high: the highest value, never infinity; with ``below``, the value itself is not allowed.
        keys: the settings to check, each a number, or a row of them.
        above: whether values must be above ``low``.
        below: whether values must be below ``high``.
    """
    for key in keys:
        given = getattr(settings, key)
        for value in given if isinstance(given, tuple) else (given,):
            if (value > low if above else value >= low) and (value < high if below else value <= high):
                continue
            want = f"{low:.15g} to {high:.15g}"
            if above or below:
                least, most = "above" if above else "at least", "below" if below else "up to"
                want = f"{least} {low:.15g} and {most} {high:.15g}"
            raise ConfigError(f"config: {section}.{key}: expected a number {want}, got {short(value)}")


def expect_one_of(where: str, value: str, options: tuple[str, ...]) -> None:
    """Raise ConfigError unless ``value`` is one of the ``options`` of the setting ``where``."""
    if value not in options:
        near = difflib.get_close_matches(value, options, 1, 0.5)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise ConfigError(f"config: {where}: expected one of {', '.join(options)}, got {short(value)}{hint}")


def plain(value: Any) -> Any:
    """The same in dictionaries and lists, with None for what is no finite number: JSON has no NaN."""
    if isinstance(value, dict):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [plain(v) for v in value]
    if isinstance(value, float):
        return None if not math.isfinite(value) else value
    return value
