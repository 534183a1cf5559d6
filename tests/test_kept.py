"""What tests keep between runs is made once, and anew when the code that it depends on changes."""

import pytest

from tests.helpers import kept as module
from tests.helpers.kept import kept


def test_a_thing_is_made_once_and_anew_when_code_or_facts_change(tmp_path, monkeypatch):
    monkeypatch.setenv("GEPC_TEST_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(module, "ROOT", tmp_path)
    code = tmp_path / "a.py"
    code.write_text("1")
    made = []

    def make(folder):
        made.append(folder)
        (folder / "thing").write_text(str(len(made)))

    assert (kept("thing", make, ["a.py"], 1) / "thing").read_text() == "1"
    assert (kept("thing", make, ["a.py"], 1) / "thing").read_text() == "1"
    assert (kept("thing", make, ["a.py"], 2) / "thing").read_text() == "2"
    code.write_text("2")
    assert (kept("thing", make, ["a.py"], 1) / "thing").read_text() == "3"
    for fact in range(5):
        kept("thing", make, ["a.py"], "fact", fact)
    assert len(list((tmp_path / "cache").glob("thing-*"))) == 3


def test_what_fails_in_the_making_leaves_nothing(tmp_path, monkeypatch):
    monkeypatch.setenv("GEPC_TEST_CACHE", str(tmp_path))

    def fail(folder):
        (folder / "half").write_text("")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        kept("thing", fail, [])
    assert [path.name for path in tmp_path.iterdir()] == ["thing.lock"]
