"""Fill pages in with what is made from the code, and take part while mkdocs builds the site (a hook of `mkdocs.yml`).

What follows a line ``<!-- generated: NAME -->`` in a page, up to ``<!-- end -->``, is what `GENERATED` makes of the
code. ``python -m documentation.site`` writes it into the pages, but for what is `ONLY_IN_SITE`, which is filled in when
that is built. Files of the repository's root that are pages of the site too are taken from there.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from documentation.commands import command_pages
from documentation.formats import (
    api,
    bundle_format,
    clip_event_keys,
    csv_columns,
    event_keys,
    exit_code_table,
)
from documentation.settings import config_settings, watch_settings

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files

GENERATED: dict[str, Callable[[], str]] = {
    "settings": config_settings,
    "watch-settings": watch_settings,
    "commands": command_pages,
    "exit-codes": exit_code_table,
    "columns": csv_columns,
    "event": event_keys,
    "clip-events": clip_event_keys,
    "bundle": bundle_format,
    "api": api,
}

# File of the repository -> page of the site.
FROM_ROOT = {
    "README.md": "index.md",
    "ARCHITECTURE.md": "architecture.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
}
_ROOT = Path(__file__).resolve().parents[1]
ONLY_IN_SITE = ("settings", "commands", "event", "clip-events", "api")  # long, or of use with its search only
_MARK = re.compile(r"^<!-- generated: ([\w-]+) -->$(?:.*?^<!-- end -->$)?", re.MULTILINE | re.DOTALL)


def filled(markdown: str) -> str:
    """A page of the site, with every part of it that is made from the code."""
    markdown = re.sub(
        r"^<!-- in the repository only -->\n.*?^<!-- end -->\n", "", markdown, flags=re.M | re.S
    )
    return _MARK.sub(lambda mark: GENERATED[mark[1]](), markdown)


def written(markdown: str) -> str:
    """A page as it lies in the repository: with what is made from the code between its marks."""

    def part(mark: re.Match[str]) -> str:
        if mark[1] in ONLY_IN_SITE:
            return mark[0]
        return f"<!-- generated: {mark[1]} -->\n{GENERATED[mark[1]]().rstrip()}\n<!-- end -->"

    return _MARK.sub(part, markdown)


def pages_with_marks() -> list[Path]:
    """The pages that have parts made from the code."""
    return [page for page in sorted((_ROOT / "docs").rglob("*.md")) if _MARK.search(page.read_text())]


def moved(markdown: str) -> str:
    """A page of the repository's root with its links as they are in the site; those to no page are text alone."""

    def link(found: re.Match[str]) -> str:
        target, anchor = found[2].partition("#")[::2]
        anchor = f"#{anchor}" if anchor else ""
        if "://" in target or not target:
            return found[0]
        if target in FROM_ROOT:
            return f"[{found[1]}]({FROM_ROOT[target]}{anchor})"
        if target.startswith("docs/"):
            return f"[{found[1]}]({target.removeprefix('docs/')}{anchor})"
        return found[1]

    return re.sub(r"\[([^\]]*)\]\(([^)\s]+)\)", link, markdown)


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that lie in the repository's root."""
    from mkdocs.structure.files import File

    for name, page in FROM_ROOT.items():
        files.append(File.generated(config, page, content=moved((_ROOT / name).read_text())))
    return files


def on_page_markdown(markdown: str, **_: object) -> str:
    """Fill a page in, and point its links to files of the root at their pages."""
    names = "|".join(map(re.escape, FROM_ROOT))
    return re.sub(
        rf"\]\(\.\./((?:\.\./)*)({names})",
        lambda link: f"]({link[1]}{FROM_ROOT[link[2]]}",
        filled(markdown),
    )


def on_startup(command: str, dirty: bool) -> None:
    """Keep what libraries say about themselves out of a strict build."""
    logging.getLogger("griffe").setLevel(logging.WARNING)


if __name__ == "__main__":
    for page in pages_with_marks():
        page.write_text(written(page.read_text()))
