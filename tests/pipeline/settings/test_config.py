"""Configs are data: inherited, overridden and checked, with errors that name the key and the nearest known one."""

from dataclasses import dataclass

import pytest

from pipeline.settings import load_config, load_settings, shipped_configs
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


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize(
    "key",
    [
        "training.weight_decay", "training.finetune_rate", "clustering.temperature", "clustering.weight",
        "clustering.freedom", "normality.regularisation", "tracking.reattach_s", "cleaning.smooth_s",
        "scoring.smoothing_s", "video.fps",
    ],
)  # fmt: skip
def test_what_is_no_finite_number_is_refused_everywhere(key, value):
    with pytest.raises(ConfigError, match=rf"{key}: expected a number .*, got {value}"):
        load_settings("default", [f"{key}=.nan" if value != value else f"{key}={'-' * (value < 0)}.inf"])
