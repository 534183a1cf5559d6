"""The reference holds every setting, command, exit code and column, read from the code."""

from __future__ import annotations

import argparse
import dataclasses
import inspect
import re
from dataclasses import dataclass, field

import pytest

import gepc_pipeline
from documentation.commands import command_pages, commands, named
from documentation.formats import (
    CSV_FILES,
    api,
    bundle_format,
    clip_event_keys,
    csv_columns,
    event_keys,
    exit_code_table,
)
from documentation.markdown import code
from documentation.settings import config_settings, sections, watch_settings
from documentation.site import GENERATED, filled, moved, on_page_markdown, pages_with_marks, written
from pipeline.cli import COMMANDS, build_parser
from pipeline.commands import score
from pipeline.experiments.settings import ExperimentSettings
from pipeline.live.settings import WatchSettings
from pipeline.scoring.tables import FRAME_COLUMNS
from pipeline.settings import load_settings
from pose_extract import errors
from pose_extract.checking import expect_between, expect_one_of
from tests.helpers import ROOT
from tests.test_project import sources

SETTINGS = [
    setting
    for root in (ExperimentSettings, WatchSettings)
    for section in sections(root)
    for setting in section.settings
]
RANGES = {"windows.max_missing": "0 to frames - 2", "training.finetune_rate": "above 0 and up to 10"}
# Lists of lists, and times of day: their text says what they may be.
UNBOUNDED = {"dataset.splits", "polygon", "begin", "end"}


@dataclass(frozen=True)
class Small:
    """A section with everything.

    Attributes:
        share: of the ``whole``,
            on two lines.
        kinds: which.
        limit: may be missing.
    """

    share: float = 0.5
    kinds: tuple[str, ...] = ("a",)
    limit: int | None = None
    more: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        most = 2**3
        expect_between("small", self, 0, 1, "share", above=True)
        for kind in self.kinds:
            expect_one_of("small.kinds", kind, ("a", "b"))
        if self.limit is not None:
            expect_between("small", self, -1, most, "limit")


def test_a_setting_is_described_by_its_dataclass():
    (section,) = sections(Small, "small")
    assert section.text == "A section with everything."
    share, kinds, limit, more = section.settings
    assert dataclasses.astuple(share) == (
        "small.share", "number", "0.5", "above 0 and up to 1", "of the ``whole``,\non two lines.",
    )  # fmt: skip
    assert (kinds.kind, kinds.default, kinds.limits) == ("list of text", "[a]", "`a`, `b`")
    assert (limit.kind, limit.default, limit.limits) == ("whole number or null", "null", "-1 to 8")
    assert (more.kind, more.default, more.text) == ("names, each with whole number", "{}", "")


@pytest.mark.parametrize("setting", SETTINGS, ids=lambda setting: setting.key)
def test_every_setting_says_what_it_does_and_what_it_may_be(setting):
    assert setting.text, "its dataclass's docstring does not say what it does"
    numeric = "number" in setting.kind and not {setting.key, setting.key.rpartition(".")[2]} & UNBOUNDED
    assert setting.limits or not numeric, "no range: check it by expect_between in __post_init__"
    assert setting.limits == RANGES.get(setting.key, setting.limits)


def test_every_key_of_a_config_is_in_the_reference_with_the_configs_that_set_it():
    text = config_settings()

    def check(where, values):
        for key, value in values.items():
            if isinstance(value, dict) and value and dataclasses.is_dataclass(kinds.get(f"{where}{key}")):
                check(f"{where}{key}.", value)
            else:
                chapter = text.partition(f"## {where.rstrip('.')}\n")[2].partition("\n## ")[0]
                assert f"| `{key}` |" in chapter, f"{where}{key}"

    kinds = {f.name: getattr(load_settings(), f.name) for f in dataclasses.fields(load_settings())}
    check("", dataclasses.asdict(load_settings()))
    row = next(line for line in text.splitlines() if line.startswith("| `most_windows` |"))
    assert "default: `20000`" in row
    assert "- `default`, based on `clustering`" in text


def test_settings_of_watch_lie_where_the_file_has_them():
    text = watch_settings()
    for heading in (
        "live",
        "cameras.NAME",
        "cameras.NAME.rules",
        "cameras.NAME.rules.zones[]",
        "sinks.NAME.mqtt",
    ):
        assert f"## {heading}\n" in text
    assert "| `client_id` | text | `gepc-pipeline` |" in text


def test_every_command_and_every_option_is_in_the_reference():
    text = command_pages()
    parser = build_parser()
    assert set(commands(parser)) >= set(COMMANDS)
    for name, command in commands(parser).items():
        chapter = text.partition(f"## gepc-pipeline {name}\n")[2].partition("\n## ")[0]
        for action in command._actions:
            if action.dest not in ("help", "quiet", "debug") and action.help != argparse.SUPPRESS:
                assert code(named(action)) in chapter, (name, action.dest)
    assert "`--quiet`" in text.partition("## Options of every command")[2]


def test_every_exit_code_is_in_the_reference_once():
    codes = [int(code) for code in re.findall(r"^\| (\d+) \|", exit_code_table(), re.M)]
    assert codes == sorted(set(codes))
    own = {
        kind.exit_code
        for kind in vars(errors).values()
        if isinstance(kind, type) and hasattr(kind, "exit_code")
    }
    assert set(codes) >= (own - {1}) | {0, 1, 13, 70, 129, 130, 141, 143}


def test_columns_events_and_models_are_those_of_the_code(truth_model):
    for columns in CSV_FILES.values():
        for name in columns:
            assert f"| `{name}` |" in csv_columns()
    assert ",".join(FRAME_COLUMNS) in score.EXAMPLE
    assert "the their" not in csv_columns()
    for key in ("end_reason", "people[].box"):
        assert f"| `{key}` |" in event_keys()
    for key in ("threshold.from", "events[].people[].culprit", "not_judged_s"):
        assert f"| `{key}` |" in clip_event_keys()
    for path in truth_model.iterdir():
        assert f"| `{path.name}` |" in bundle_format()


@pytest.fixture
def truth_model(tmp_path):
    """A folder with the names of a model's files."""
    for name in ("card.json", "config.yaml", "normality.npz", "weights.safetensors"):
        (tmp_path / name).touch()
    return tmp_path


def test_pages_are_filled_in_and_links_of_the_root_moved():
    assert filled("a\n<!-- generated: exit-codes -->\nb") == f"a\n{exit_code_table()}\nb"
    with pytest.raises(KeyError):
        filled("<!-- generated: nothing -->")
    assert moved(
        "[a](docs/live.md#x) [b](CONTRIBUTING.md) [c](LICENSE) ![d](docs/i.png) [e](https://e.org)"
    ) == ("[a](live.md#x) [b](contributing.md) c ![d](i.png) [e](https://e.org)")
    assert on_page_markdown("[a](../../CONTRIBUTING.md#b) [c](../README.md)") == (
        "[a](../contributing.md#b) [c](index.md)"
    )
    marks = "".join(page.read_text() for page in (ROOT / "docs").rglob("*.md"))
    for name in GENERATED:
        assert f"<!-- generated: {name} -->" in marks, "no page shows it"


def test_all_that_the_api_returns_is_in_the_reference():
    text = api()
    for name in gepc_pipeline.__all__:
        thing = getattr(gepc_pipeline, name)
        if name.startswith("__"):
            continue
        assert f"| `{name}` |" in text
        of_class = [value for key, value in vars(thing).items() if not key.startswith("_")]
        for each in of_class if isinstance(thing, type) else [thing]:
            if inspect.isfunction(each):
                assert each.__doc__, f"{name}: {each} says nothing"
                returned = each.__annotations__.get("return", "")
                assert all(
                    f".{word}" in text for word in re.findall(r"\b[A-Z]\w+", returned) if word in OURS
                ), each


OURS = {cls for path in sources() for cls in re.findall(r"^class (\w+)", sources()[path].read_text(), re.M)}


@pytest.mark.parametrize("page", pages_with_marks(), ids=lambda page: page.stem)
def test_a_page_holds_what_is_made_from_the_code(page):
    text = page.read_text()
    assert written(text) == text, "make docs writes it anew"
    assert "<!--" not in filled(text)
