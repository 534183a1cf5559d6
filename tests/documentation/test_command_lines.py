"""Every command line that README and docs show can be given: commands, options, configs and settings exist."""

from __future__ import annotations

import argparse
import re

import pytest

from documentation.commands import commands
from pipeline.cli import build_parser
from pipeline.experiments.settings import load_experiment
from pipeline.settings import config as settings
from pipeline.settings.config import shipped_configs
from pose_extract.estimators.base import known_estimators
from tests.helpers import ROOT
from tests.helpers.pages import blocks, command_lines, pages
from tests.test_project import makefile_targets

PAGES = pytest.mark.parametrize("page", pages(), ids=lambda page: str(page.relative_to(ROOT)))


@pytest.fixture(scope="module")
def parser():
    return build_parser()


def given(parser: argparse.ArgumentParser, words: list[str]) -> argparse.Namespace:
    """The arguments of a command line; fails where it cannot be given."""
    args, unknown = parser.parse_known_args(words[1:])
    assert not unknown, f"{' '.join(words)}: {unknown}"
    return args


@PAGES
def test_a_command_line_can_be_given(page, parser, capsys, monkeypatch):
    files = {block.title for block in blocks(page)}
    own = re.findall(r'gepc\.estimators"\]\n(\w+) =', page.read_text())
    monkeypatch.setattr(settings, "known_estimators", lambda: [*known_estimators(), *own])
    for words in command_lines(page.read_text()):
        try:
            args = given(parser, words)
        except SystemExit as end:  # --help and --version end with 0
            if end.code:
                pytest.fail(f"{' '.join(words)}: {capsys.readouterr().err}")
            continue
        config = getattr(args, "config", None)
        if config is not None:
            known = config in shipped_configs() or config in files or config.endswith((".yaml", ".yml"))
            assert known, f"{' '.join(words)}: there is no config {config}"
        base = config if config in shipped_configs() else "default"
        load_experiment(base, getattr(args, "set", []))
        if args.command == "config" and args.action == "set":
            load_experiment(args.base or base, args.what)


@PAGES
def test_a_command_within_the_text_exists_and_has_the_options_that_it_is_shown_with(page, parser):
    known = commands(parser)
    options = {o for command in known.values() for action in command._actions for o in action.option_strings}
    text = re.sub(r"^```.*?^```$|^ {4}.*$", "", page.read_text(), flags=re.M | re.S)
    for name, rest in re.findall(r"`gepc-pipeline ([a-z]+)([^`]*)`", text):
        assert name in known, f"gepc-pipeline {name}"
        own = {o for action in known[name]._actions for o in action.option_strings}
        for option in re.findall(r"(?<=\s)--[\w-]+", rest):
            assert option in own, f"gepc-pipeline {name}{rest}: {option}"
    elsewhere = {"--check", "--no-build-isolation", "--no-deps", "--index-url"}  # of watch, pip
    for option in re.findall(r"`(--[a-z][\w-]+)[^`]*`", text):
        assert option in options | elsewhere or page.name in (
            "CONTRIBUTING.md",
            "benchmarks.md",
            "forms.md",
        ), option


@PAGES
def test_other_commands_name_what_there_is(page):
    text = page.read_text()
    for line in re.findall(r"^ *make ([a-z][a-z-]*)", text, re.M) + re.findall(r"`make ([a-z][a-z-]*)", text):
        assert line in makefile_targets(), f"make {line}"
    for module in re.findall(r"python (?:-W ignore )?-m benchmarks\.(\w+)", text):
        assert (ROOT / "benchmarks" / f"{module}.py").is_file(), module
    extras = re.findall(r"^([a-z]+) = \[", (ROOT / "pyproject.toml").read_text(), re.M)
    for named in re.findall(r"pip install.*?\[([a-z,]+)\]", text):
        assert set(named.split(",")) <= set(extras), named


def test_yaml_that_a_page_shows_as_a_config_is_one(tmp_path):
    found = 0
    for page in pages():
        for block in blocks(page):
            if block.kind == "yaml" and "_base_" in block.text:
                (tmp_path / "own.yaml").write_text(block.text)
                load_experiment(str(tmp_path / "own.yaml"))
                found += 1
    assert found


@pytest.mark.parametrize(
    "page",
    [page for page in pages() if page.name != "CONTRIBUTING.md"],
    ids=lambda page: str(page.relative_to(ROOT)),
)
def test_lines_are_short(page):
    long = [
        line[:60]
        for line in page.read_text().splitlines()
        if len(line) > 120 and not line.lstrip().startswith("|")
    ]
    assert not long, f"more than 120 characters: {long}"
