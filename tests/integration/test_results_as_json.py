"""`--json`: every command's result for programs, and its log in a file."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from pipeline.cli import COMMANDS, build_parser


def test_every_command_can_print_json_but_watch_which_prints_events():
    parser = build_parser()
    needed = {
        "extract": ["v"], "import": ["gepc", "p"], "score": ["v", "--out", "s"], "report": ["v", "--out", "r"],
        "labels": ["p"], "evaluate": [], "ablate": ["--vary", "a.b=1", "--out", "o"],
        "experiment": ["table1", "--out", "o"], "words": ["--out", "w.png"],
        "export": ["gepc", "o"], "onnx": ["--out", "o"], "run": ["n", "v", "--out", "o"],
        "config": ["list"],
    }  # fmt: skip
    for name in set(COMMANDS) - {"watch"}:
        args = parser.parse_args([name, *needed.get(name, []), "--json", "--log", "json", "--log-file", "l"])
        assert (args.json, args.log, args.log_file) == (True, "json", "l"), name


def test_a_score_is_told_as_json_and_as_text_on_standard_error(cli, truth_workspace, tmp_path):
    tracks = truth_workspace / "tracks" / "normal_0.npz"
    asked = ("score", "--tracks", tracks, "--workspace", truth_workspace)
    done = cli(*asked, "--out", tmp_path / "s.csv", "--json", "--log-file", tmp_path / "log")
    told = json.loads(done.out)
    assert (told["command"], told["exit_code"]) == ("score", 0)
    [clip] = told["clips"]
    assert (clip["clip"], clip["frames"], clip["files"]["scores"]) == (
        "normal_0",
        192,
        str(tmp_path / "s.csv"),
    )
    assert "normal_0: 192 frames" in done.err
    assert (tmp_path / "log").exists()
    both = cli(*asked, "--out", "-", "--json")
    assert both.code == 2
    assert "nothing else can go there" in json.loads(both.out)["error"]


@pytest.mark.parametrize("words", [("info",), ("train",), ("score", "none.mp4", "--out", "s.csv")])
def test_what_goes_wrong_is_told_as_json_too(cli, tmp_path, words):
    done = cli(*words, "--workspace", tmp_path / "none", "--json")
    told = json.loads(done.out)
    assert told["exit_code"] == done.code > 0
    assert told["error"] in done.err


def test_a_log_file_that_cannot_be_written_is_said(cli, tmp_path):
    done = cli("config", "list", "--log-file", tmp_path / "no" / "log")
    assert done.code == 9
    assert "--log-file" in done.err


def test_shells_can_complete_commands_and_options():
    done = subprocess.run(
        [sys.executable, "-m", "pipeline.cli", "--print-completion", "bash"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert all(word in done.stdout for word in ("extract", "--overlay", "complete"))
    assert subprocess.run(["bash", "-n"], input=done.stdout, text=True).returncode == 0
