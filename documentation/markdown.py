"""Write Markdown."""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table; bars and line ends in cells are escaped."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(map(_cell, line))} |" for line in lines)


def code(text: object) -> str:
    """Text as code; nothing of nothing."""
    if "|" in str(text):  # backquotes in a table would show its escape
        return f"<code>{html.escape(str(text)).replace('|', '&#124;')}</code>"
    return f"`{text}`" if str(text) else ""


def literal(text: str) -> str:
    """Docstring text as Markdown: double backquotes become single ones, signs of HTML are escaped outside of code."""
    parts = " ".join(text.replace("``", "`").split()).split("`")
    return "`".join(_escaped(part) if number % 2 == 0 else part for number, part in enumerate(parts))


def _escaped(text: str) -> str:
    return text.replace("<", "&lt;").replace("*", "\\*").replace("_", "\\_")


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
