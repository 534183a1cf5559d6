"""The documentation site is built without a warning, and is read, and searched, without a server or a network."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from importlib.util import find_spec

import pytest

from tests.helpers import ROOT

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The site, built as `make docs` does; a warning (a link that leads nowhere, a page that is in no menu) fails."""
    folder = tmp_path_factory.mktemp("site")
    command = re.search(r"^docs:.*\n(?:\t.*\n)*?\t(.*mkdocs.*)", (ROOT / "Makefile").read_text(), re.M)
    assert command is not None
    assert command[1].endswith("-m mkdocs build --strict --quiet")
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", folder],
        cwd=ROOT, env=os.environ | {"NO_MKDOCS_2_WARNING": "1"}, capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def test_the_site_has_every_page_and_asks_nothing_of_a_network(site):
    pages = {path.relative_to(site).with_suffix("") for path in site.rglob("*.html")}
    assert {
        path.relative_to(ROOT / "docs").with_suffix("") for path in (ROOT / "docs").rglob("*.md")
    } <= pages
    for path in site.rglob("*.html"):
        text = path.read_text()
        assert not re.findall(r'<(?:script|link|img)[^>]+(?:src|href)="(?:https?:)?//[^"]*', text), path.name
        assert "<!-- generated" not in text, path.name
    assert "Say how unusual each frame of a video is" in (site / "reference" / "python.html").read_text()


def test_lists_and_tables_are_lists_and_tables(site):
    """Where the site's Markdown is stricter than others', a list without a line before it is running text."""
    for path in site.rglob("*.html"):
        text = re.sub(r"<(pre|code)\b.*?</\1>", "", path.read_text(), flags=re.S)
        for paragraph in re.findall(r"<p>(.*?)</p>", text, re.S):
            assert not re.search(r"\n(- |\d+\. |\|)", paragraph), f"{path.name}: {paragraph[:200]}"
            assert "```" not in paragraph, f"{path.name}: {paragraph[:200]}"


@pytest.mark.browser
@pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed (Debian: apt-get install chromium)")
@pytest.mark.skipif(
    find_spec("playwright") is None, reason="playwright is not installed: pip install -e '.[dev]'"
)
def test_search_works_without_a_server(site):
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_context(offline=True).new_page()
        complaints: list[str] = []
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto(f"file://{site}/reference/settings.html")
        page.locator("input.md-search__input").press_sequentially("reattach_s")
        page.wait_for_selector(".md-search-result__item a", state="attached")
        first = page.get_attribute(".md-search-result__item a", "href")
        browser.close()
    assert "reference/settings.html" in (first or "")
    assert not complaints
