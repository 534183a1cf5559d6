"""Configs are data: inherited, overridden and checked, with errors that name the key and the nearest known one."""

import dataclasses
import math
import typing
from dataclasses import dataclass

import pytest

from pipeline.experiments.settings import ExperimentSettings
from pipeline.live.settings import WatchSettings
from pipeline.pictures.overlay import OverlaySettings
from pipeline.settings import load_config, load_settings, shipped_configs
from pipeline.settings.config import keep_config
from pipeline.synthetic.street.scene import StreetSettings
from pose_extract.checking import build
from pose_extract.errors import ConfigError


@dataclass(frozen=True)
class Inner:
    rate: float = 1.0
    sizes: tuple[int, ...] = (1, 2)
    name: str | None = None
    flag: bool = False


@dataclass(frozen=True)
class Outer:
    inner: Inner = Inner()
    count: int = 3


def test_values_are_checked_and_converted():
    outer = build(Outer, {"inner": {"rate": 2, "sizes": [4, 5, 6], "name": "x"}, "count": 7})
    assert outer == Outer(Inner(2.0, (4, 5, 6), "x"), 7)
    assert isinstance(outer.inner.rate, float)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"inner": {"rat": 1}}, r"inner\.rat'; did you mean 'rate'"),
        ({"zzz": 1}, r"unknown key 'zzz'; known: inner, count"),
        ({"count": "seven"}, r"count: expected int, got 'seven'"),
        ({"count": True}, r"count: expected int, got True"),
        ({"inner": {"flag": 1}}, r"inner\.flag: expected bool, got 1"),
        ({"inner": {"sizes": [1, "a"]}}, r"inner\.sizes\[1\]: expected int, got 'a'"),
        ({"inner": 5}, r"inner: expected keys and values, got 5"),
    ],
)
def test_a_wrong_config_names_the_key_and_what_was_expected(values, message):
    with pytest.raises(ConfigError, match=message):
        build(Outer, values)


def test_a_config_inherits_and_overrides(tmp_path):
    (tmp_path / "base.yaml").write_text("a: {x: 1, y: 2}\nb: {z: 3}\n")
    (tmp_path / "child.yaml").write_text("_base_: base.yaml\na: {y: 5}\n")
    config = load_config(str(tmp_path / "child.yaml"), ["b.z=[1, 2]", "a.w=text"])
    assert config == {"a": {"x": 1, "y": 5, "w": "text"}, "b": {"z": [1, 2]}}


def test_a_config_that_inherits_from_itself_is_an_error(tmp_path):
    path = tmp_path / "loop.yaml"
    path.write_text("_base_: loop.yaml\n")
    with pytest.raises(ConfigError, match="inherit from itself"):
        load_config(str(path))


def test_a_base_beside_the_config_is_the_same_for_who_reads_it_and_who_keeps_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "workspace").mkdir()
    (tmp_path / "site.yaml").write_text("video: {fps: 10}\n")
    own = tmp_path / "workspace" / "config.yaml"
    own.write_text("_base_: ../site.yaml\nvideo: {max_side: 500}\n")
    assert keep_config(own, None, ["video.max_side=600"], clear=False)["_base_"] == "../site.yaml"
    assert load_config(str(own)) == {"video": {"fps": 10, "max_side": 600}}


def test_a_file_that_is_no_config_does_not_hide_a_shipped_one(tmp_path):
    (tmp_path / "paper").write_text("notes on a paper")
    (tmp_path / "own.yaml").write_text("_base_: paper\n")
    assert load_config(str(tmp_path / "own.yaml")) == load_config("paper")


@pytest.mark.parametrize("base", ["5", "[x]", "{a: b}", "own.yaml"])
def test_a_base_that_is_none_is_not_kept(tmp_path, base):
    own = tmp_path / "own.yaml"
    own.write_text(f"_base_: {base}\n")
    with pytest.raises(ConfigError, match="_base_"):
        keep_config(own, None, ["video.max_side=600"], clear=False)
    own.write_text("_base_:\n")
    with pytest.raises(ConfigError, match="inherit from itself"):
        keep_config(own, str(own), [], clear=False)
    assert keep_config(own, None, ["video.max_side=600"], clear=False)["_base_"] == "default"


@pytest.mark.parametrize(
    "text",
    [
        "a: !!python/object/apply:os.system ['touch hacked']",
        "a: [1,",
        "- a list",
        "a: \x00",
        "_base_: [x]",
        "_base_: other.py",
    ],
)
def test_a_hostile_or_broken_config_is_a_clear_error(tmp_path, text, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "other.py").write_text("open('hacked', 'w')")
    (tmp_path / "bad.yaml").write_text(text)
    with pytest.raises(ConfigError):
        build(Outer, load_config("bad.yaml"))
    assert not (tmp_path / "hacked").exists()


@pytest.mark.parametrize("name", ["nonsense", "missing.yaml", "../default"])
def test_an_unknown_config_lists_the_shipped_ones(name):
    with pytest.raises(ConfigError, match=r"default, hr-avenue, .*paper"):
        load_config(name)


@pytest.mark.parametrize("text", ["a.b", "=3", ""])
def test_a_malformed_override_is_an_error(text):
    with pytest.raises(ConfigError, match="--set"):
        load_config("default", [text])


@pytest.mark.parametrize("name", shipped_configs())
def test_every_shipped_config_is_valid(name):
    load_settings(name)


def test_a_typo_in_an_override_names_the_nearest_key():
    with pytest.raises(ConfigError, match="did you mean 'max_side'"):
        load_settings("default", ["video.maxside=5"])


def _numbers(cls, where=""):
    """Each setting that is a number, or may be one, or is a row of them: its name, and how a value is given."""
    hints = typing.get_type_hints(cls)
    for field in dataclasses.fields(cls):
        kind = hints[field.name]
        path = f"{where}{field.name}"
        options = [*typing.get_args(kind), kind]
        if dataclasses.is_dataclass(kind):
            yield from _numbers(kind, f"{path}.")
        elif typing.get_origin(kind) is tuple and {int, float} & set(options):
            count = len(getattr(cls, field.name, None) or [0])
            yield path, int if int in options else float, lambda value, count=count: [value] * count
        elif {int, float} & set(options):
            yield path, int if int in options and float not in options else float, lambda value: value


@pytest.mark.parametrize("cls", [ExperimentSettings, WatchSettings, OverlaySettings, StreetSettings])
def test_no_number_is_endless_absurd_or_none_at_all(cls):
    numbers, wrong = list(_numbers(cls)), []
    assert len(numbers) > 2
    for path, kind, form in numbers:
        for value in (10**30, -(10**30), *(() if kind is int else (1e300, math.nan, math.inf, -math.inf))):
            nested = form(value)
            for key in reversed(path.split(".")):
                nested = {key: nested}
            try:
                build(cls, nested)
                wrong.append(f"{path}={value} is taken")
            except ConfigError as error:
                if path.rpartition(".")[2] not in str(error) or len(str(error)) > 300:
                    wrong.append(f"{path}={value}: {error}")
    assert not wrong
