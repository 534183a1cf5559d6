"""The command line before a command runs."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import gepc_pipeline
from pipeline.cli import COMMANDS, main
from tests.helpers import ROOT


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


def ended(words, **files):
    """The exit code of a command and what it said on standard error, if that goes nowhere else."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    files = {"stderr": subprocess.PIPE, **files}
    command = [sys.executable, "-m", "gepc_pipeline", *words]
    done = subprocess.run(command, cwd=ROOT, env=environment, timeout=120, text=True, **files)
    return done.returncode, done.stderr


@pytest.fixture
def closed_pipe():
    read, write = os.pipe()
    os.close(read)
    with open(write, "wb") as file:
        yield file


@pytest.mark.parametrize(
    "words", [["config", "list"], ["--help"], ["info", "--json"], ["--print-completion", "bash"]]
)
def test_an_output_that_is_closed_ends_a_command_quietly(closed_pipe, tmp_path, words):
    there = ["--workspace", str(tmp_path)] if "info" in words else []
    assert ended([*words, *there], stdout=closed_pipe) == (141, "")


def test_a_table_ends_as_other_outputs_do_where_it_is_closed(closed_pipe, tmp_path):
    assert ended(["info", "--workspace", str(tmp_path)], stdout=closed_pipe) == (141, "")


def test_a_closed_standard_error_changes_no_exit_code(closed_pipe, tmp_path):
    words = ["info", "--workspace", str(tmp_path / "none")]
    assert ended(words, stdout=subprocess.DEVNULL, stderr=closed_pipe)[0] == 2


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no full device here")
@pytest.mark.parametrize("words", [["config", "list"], ["--help"], ["config", "list", "--json"]])
def test_a_full_disk_under_the_output_is_said(words):
    with open("/dev/full", "wb") as full:
        code, said = ended(words, stdout=full)
    assert (code, "No space left" in said.splitlines()[-1]) == (9, True), said


def test_a_workspace_that_is_not_there_is_named_in_what_makes_it(tmp_path, capsys):
    assert main(["info", "--workspace", str(tmp_path / "a shop")]) == 2
    assert f"gepc-pipeline extract videos/ --workspace '{tmp_path / 'a shop'}'\n" in capsys.readouterr().err


def test_an_interrupt_before_the_command_is_at_work_is_a_line(monkeypatch, capsys):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("pipeline.cli.build_parser", interrupted)
    assert gepc_pipeline.main() == 130
    assert capsys.readouterr().err == "gepc-pipeline: error: interrupted\n"


@pytest.mark.parametrize(
    "words",
    [
        ["info", "--workspace", ""],
        ["score", "v.mp4", "--out", ""],
        ["score", "v.mp4", "--out=", "--model", "m"],
        ["score", "v.mp4", "--out", "s.csv", "--model", ""],
        ["extract", ""],
        ["export", "gepc", ""],
    ],
)
def test_an_empty_name_is_not_the_folder_that_one_is_in(tmp_path, monkeypatch, capsys, words):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "v.mp4").write_bytes(b"no video")
    try:
        code = main(words)
    except SystemExit as error:
        code = error.code
    assert (code, "empty" in capsys.readouterr().err) == (2, True)
    assert [path.name for path in tmp_path.iterdir()] == ["v.mp4"]
