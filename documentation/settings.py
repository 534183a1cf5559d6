"""Describe every setting from its dataclass: type, default, range, what it does, and which shipped config sets it.

What a setting does is read from the docstring, its range from the checks in ``__post_init__``.
"""

from __future__ import annotations

import ast
import dataclasses
import inspect
import json
import sys
import textwrap
import types
import typing
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import griffe
import yaml

from documentation.markdown import code, literal, table
from pipeline.experiments.settings import ExperimentSettings
from pipeline.live.settings import WatchSettings
from pipeline.settings.config import shipped_configs

_CONFIGS = Path(__file__).resolve().parents[1] / "configs"
_NAMES = {
    str: "text",
    int: "whole number",
    float: "number",
    bool: "true or false",
    type(None): "null",
    Any: "any",
}


@dataclass(frozen=True)
class Setting:
    """One key of a section.

    Attributes:
        key: with its section, as ``--set`` takes it.
        kind: its type in words.
        default: as YAML has it; "" where it must be given.
        limits: what it may be; "" where the type says it all.
        text: what it does.
    """

    key: str
    kind: str
    default: str
    limits: str
    text: str


@dataclass(frozen=True)
class Section:
    """A section of a config: its settings, those of sections within it left out.

    Attributes:
        name: its path in the config, "" of the whole.
        text: what it is about.
        settings: in the order of the code.
    """

    name: str
    text: str
    settings: tuple[Setting, ...]


def config_settings() -> str:
    """Every setting of a config, as Markdown."""
    configs = {
        name: yaml.safe_load((_CONFIGS / f"{name}.yaml").read_text()) or {} for name in shipped_configs()
    }
    bases = [
        f"- `{name}`"
        + (f", based on `{config['_base_'].removesuffix('.yaml')}`" if "_base_" in config else "")
        for name, config in configs.items()
    ]
    parts = ["## Shipped configs", "\n".join(bases)]
    for section in sections(ExperimentSettings):
        parts += _chapter(section, configs)
    return "\n\n".join(parts)


def watch_settings() -> str:
    """Every setting of `watch.yaml`, as Markdown."""
    return "\n\n".join(part for section in sections(WatchSettings) for part in _chapter(section, None))


def sections(cls: type, name: str = "") -> Iterator[Section]:
    """The sections that a dataclass of settings has, and those within them."""
    texts = descriptions(cls)
    limits = _limits(cls)
    hints = typing.get_type_hints(cls)
    own, inner = [], []
    for field in dataclasses.fields(cls):
        if not field.init:
            continue
        path = f"{name}.{field.name}" if name else field.name
        nested, below = _dataclass_in(hints[field.name], path)
        if nested is not None and not _simple(hints[field.name]):
            inner.append((nested, below))
            if nested is hints[field.name]:
                continue
        own.append(
            Setting(
                path,
                _kind(hints[field.name]),
                _default(field),
                limits.get(field.name, ""),
                texts.get(field.name, ""),
            )
        )
    if own:
        yield Section(name, _summary(cls), tuple(own))
    for nested, below in inner:
        yield from sections(nested, below)


def descriptions(cls: type) -> dict[str, str]:
    """What the docstring of a dataclass, and of those it inherits from, says of each attribute."""
    found: dict[str, str] = {}
    for base in reversed(cls.__mro__):
        docstring = griffe.Docstring(inspect.cleandoc(base.__dict__.get("__doc__") or ""))
        for part in docstring.parse("google", warnings=False):
            if part.kind is griffe.DocstringSectionKind.attributes:
                found |= {attribute.name: attribute.description for attribute in part.value}
    return found


def _chapter(section: Section, configs: Mapping[str, Any] | None) -> list[str]:
    """Heading, text and table of a section."""
    header = ["setting", "type", "default", "range", "what it does"]
    if configs is not None:
        header.append("shipped configs that set it")
    rows = []
    for setting in section.settings:
        cells = [
            code(setting.key.rpartition(".")[2]),
            setting.kind,
            code(setting.default),
            literal(setting.limits),
        ]
        cells.append(literal(setting.text))
        if configs is not None:
            found = [(name, _at(config, setting.key.split("."))) for name, config in configs.items()]
            cells.append(
                ", ".join(f"{name}: `{_yaml(value)}`" for name, value in found if value is not _NOTHING)
            )
        rows.append(cells)
    return [f"## {section.name or 'The whole'}", literal(section.text), table(header, rows)]


_NOTHING = object()


def _at(config: Any, path: list[str]) -> Any:
    for key in path:
        if not isinstance(config, Mapping) or key not in config:
            return _NOTHING
        config = config[key]
    return config


def _summary(cls: type) -> str:
    return inspect.cleandoc(cls.__doc__ or "").partition("\nAttributes:")[0].partition("\nRaises:")[0].strip()


def _dataclass_in(kind: Any, path: str) -> tuple[type | None, str]:
    """A dataclass that a type is, or holds, and how its section is called."""
    if dataclasses.is_dataclass(kind) and isinstance(kind, type):
        return kind, path
    mapping = typing.get_origin(kind) in (dict, Mapping)
    listed = typing.get_origin(kind) is tuple
    for inner in typing.get_args(kind):
        found, below = _dataclass_in(inner, f"{path}.NAME" if mapping else f"{path}[]" if listed else path)
        if found is not None:
            return found, below
    return None, path


def _simple(kind: Any) -> bool:
    """Whether a plain value does as well as the dataclass."""
    return typing.get_origin(kind) in (typing.Union, types.UnionType) and str in typing.get_args(kind)


def _kind(kind: Any) -> str:
    if kind in _NAMES:
        return _NAMES[kind]
    origin, inner = typing.get_origin(kind), typing.get_args(kind)
    if origin in (typing.Union, types.UnionType):
        return " or ".join(map(_kind, inner))
    if origin is typing.Literal:
        return "one of " + ", ".join(map(str, inner))
    if origin is tuple and inner[-1] is Ellipsis:
        return f"list of {_kind(inner[0])}"
    if origin is tuple:
        return f"{len(inner)} of {_kind(inner[0])}"
    if origin in (dict, Mapping):
        return f"names, each with {_kind(inner[1])}"
    return "a section" if dataclasses.is_dataclass(kind) else str(kind)


def _default(field: dataclasses.Field[Any]) -> str:
    if field.default is not dataclasses.MISSING:
        return _yaml(field.default)
    if field.default_factory is not dataclasses.MISSING:
        return _yaml(field.default_factory())
    return ""


def _yaml(value: Any) -> str:
    if isinstance(value, float) and not isinstance(value, bool):
        return f"{value:.6g}"
    if dataclasses.is_dataclass(value):
        return "{}"
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key}: {_yaml(inner)}" for key, inner in value.items()) + "}"
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(map(_yaml, value))}]"
    return value if isinstance(value, str) and value else json.dumps(value)


def _limits(cls: type) -> dict[str, str]:
    """What ``__post_init__`` of a dataclass asks of each of its fields, in words."""
    found: dict[str, str] = {}
    for base in reversed(cls.__mro__):
        if not dataclasses.is_dataclass(base) or "__post_init__" not in base.__dict__:
            continue
        check = base.__dict__["__post_init__"]
        tree = ast.parse(textwrap.dedent(inspect.getsource(check)))
        names: dict[str, Any] = {}
        for node in ast.walk(tree):
            if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
                names[node.targets[0].id] = node.value
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                found |= _said(node, vars(sys.modules[base.__module__]), names)
    return found


def _said(call: ast.Call, around: dict[str, Any], names: dict[str, ast.expr]) -> dict[str, str]:
    """What one call of a check says: key -> range."""
    assert isinstance(call.func, ast.Name)
    if call.func.id == "expect_one_of":
        where, _, options = call.args[:3]
        last = (
            where.values[-1] if isinstance(where, ast.JoinedStr) else where
        )  # a section may have several names
        key = str(_value(last, around, names)).rpartition(".")[2]
        return {key: ", ".join(map(code, _value(options, around, names)))}
    if call.func.id != "expect_between":
        return {}
    _, _, low, high, *rest = call.args
    keys = [k for key in rest for k in _keys(key, around, names)]
    flags = {keyword.arg for keyword in call.keywords}
    least, most = _number(low, around, names), _number(high, around, names)
    if flags:
        low_word, high_word = (
            "above" if "above" in flags else "at least",
            "below" if "below" in flags else "up to",
        )
        text = f"{low_word} {least} and {high_word} {most}"
    else:
        text = f"{least} to {most}"
    return dict.fromkeys(keys, text)


def _keys(node: ast.expr, around: dict[str, Any], names: dict[str, ast.expr]) -> list[str]:
    value = _value(node.value if isinstance(node, ast.Starred) else node, around, names)
    return [value] if isinstance(value, str) else list(value)


def _number(node: ast.expr, around: dict[str, Any], names: dict[str, ast.expr]) -> str:
    """A bound as a number, or as it is written where it depends on other settings."""
    try:
        value = _value(node, around, names)
    except Exception:
        if isinstance(node, ast.Name) and node.id in names:
            node = names[node.id]
        return ast.unparse(node).replace("self.", "")
    return f"{value:,.15g}"


def _value(node: ast.expr, around: dict[str, Any], names: dict[str, ast.expr]) -> Any:
    if isinstance(node, ast.Name) and node.id in names:
        node = names[node.id]
    return eval(compile(ast.Expression(node), "check", "eval"), around)
