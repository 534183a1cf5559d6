"""Describe every command of the command line from its parser: what it does, examples, arguments, options, defaults."""

from __future__ import annotations

import argparse
from collections.abc import Iterator

from documentation.markdown import code, literal, table
from pipeline.cli import build_parser

# In every command, and said once.
_COMMON = ("help", "quiet", "debug")


def command_pages() -> str:
    """Every command, as Markdown."""
    parser = build_parser()
    parts = ["## All commands", _options(_arguments(parser), ())]
    for name, command in commands(parser).items():
        text, _, examples = (command.description or "").partition("\n\n")
        parts += [f"## gepc-pipeline {name}", literal(text[:1].upper() + text[1:]) + "."]
        if examples:
            parts.append("```text\n" + examples.rstrip().replace("```", "'''") + "\n```")
        parts.append(_options(_arguments(command), _COMMON))
    common = [action for action in _arguments(command) if action.dest in _COMMON]
    parts += ["## Options of every command", _options(common, ())]
    return "\n\n".join(parts)


def commands(parser: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    """Name -> parser of each command, those within others by both names."""
    found: dict[str, argparse.ArgumentParser] = {}
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for name, command in action.choices.items():
                found[name] = command
                found |= {f"{name} {inner}": sub for inner, sub in commands(command).items()}
    return found


def _arguments(parser: argparse.ArgumentParser) -> Iterator[argparse.Action]:
    for action in parser._actions:
        if not isinstance(action, argparse._SubParsersAction):
            yield action


def _options(actions: Iterator[argparse.Action] | list[argparse.Action], without: tuple[str, ...]) -> str:
    rows = []
    for action in actions:
        if action.dest in without:
            continue
        help = "" if action.help in (None, argparse.SUPPRESS) else str(action.help)
        values = vars(action) | {"prog": "gepc-pipeline"}
        known = "default" in help or action.required or action.nargs == 0 or not action.option_strings
        default = "" if known or action.default in (None, [], argparse.SUPPRESS) else str(action.default)
        rows.append((code(named(action)), literal(help % values), code(default)))
    return table(("argument", "what it is", "default"), rows)


def named(action: argparse.Action) -> str:
    """How an argument is written."""
    value = action.metavar or ("|".join(map(str, action.choices)) if action.choices else action.dest.upper())
    if not isinstance(value, str):
        value = " ".join(value)
    if action.nargs in ("*", "+"):
        value += " ..."
    if not action.option_strings:
        return f"[{value}]" if action.nargs in ("?", "*") else value
    names = ", ".join(action.option_strings)
    return names if action.nargs == 0 else f"{names} {value}"
