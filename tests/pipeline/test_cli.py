"""The command line before a command runs."""

import re

import pytest

from pipeline.cli import COMMANDS, main


def test_without_a_command_the_help_is_shown(capsys):
    assert main([]) == 2
    shown = capsys.readouterr().err
    assert [name for name in COMMANDS if not re.search(rf"^    {name}\b", shown, re.M)] == []


@pytest.mark.parametrize(
    ("words", "nearest"),
    [
        (["scroe", "video.mp4"], "score"),
        (["train", "--sed", "3"], "--seed"),
        (["score", "video.mp4", "--out", "s.csv", "--evnts=e.json"], "--events"),
        (["score", "video.mp4", "--outt", "s.csv"], "--out"),  # though --out is missing then
        (["--versio"], None),  # argparse takes it for --version
    ],
)
def test_a_mistyped_word_is_answered_with_the_nearest_one(capsys, words, nearest):
    with pytest.raises(SystemExit) as ended:
        main(words)
    shown = capsys.readouterr()
    assert ended.value.code == (0 if nearest is None else 2)
    assert (nearest is None) or f"did you mean {nearest}? (" in shown.err
    assert len(shown.err.splitlines()) <= 1


def test_a_word_that_is_like_no_other_is_only_named(capsys):
    with pytest.raises(SystemExit):
        main(["train", "--zzzzzzzz"])
    assert "unrecognized arguments: --zzzzzzzz (gepc-pipeline train --help" in capsys.readouterr().err


def test_variables_set_workspace_and_config(monkeypatch):
    import importlib

    from pipeline import defaults

    monkeypatch.setenv("GEPC_WORKSPACE", "/data/shop")
    monkeypatch.setenv("GEPC_CONFIG", "paper")
    try:
        importlib.reload(defaults)
        assert str(defaults.DEFAULT_WORKSPACE) == "/data/shop"
        assert defaults.config_for(None) == "paper"
        assert defaults.workspace_option(defaults.DEFAULT_WORKSPACE) == ""
    finally:
        monkeypatch.undo()
        importlib.reload(defaults)
