"""The list of exit codes names every one, and only those; each kind of error has the one that is written there."""

from __future__ import annotations

import ast
import errno
import signal
from importlib import import_module

import pytest

from pipeline.cli import main
from pipeline.commands.exit_codes import ALARMS_FOUND, CLOSED, DEFECT, exit_codes
from pipeline.processes import Ended
from pose_extract import errors
from tests.helpers import ROOT
from tests.robustness.outcomes import KNOWN

TABLE = {each.code: each.meaning for each in exit_codes()}  # which docs/exit-codes.md is made from
OURS = {
    kind.exit_code: kind
    for kind in vars(errors).values()
    if isinstance(kind, type) and issubclass(kind, errors.GepcError) and kind is not errors.GepcError
}


def test_the_table_has_every_code_and_no_other():
    returned = {
        node.value.value
        for path in (ROOT / "pipeline/commands").glob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Return)
        and isinstance(node.value, ast.Constant)
        and type(node.value.value) is int
    }
    ended = {128 + each for each in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM)}
    doctor = {1}
    assert set(TABLE) == {*OURS, *returned, *ended, *doctor, ALARMS_FOUND, CLOSED, DEFECT}
    assert doctor | {DEFECT} | ended | {CLOSED} | KNOWN == set(TABLE)


RAISED = [
    *((kind("said"), kind.exit_code) for kind in OURS.values()),
    (OSError(errno.ENOSPC, "no space"), 9), (PermissionError(errno.EACCES, "denied", "a"), 9),
    (OSError(errno.ENAMETOOLONG, "too long", "a"), 2), (MemoryError(), 14), (OSError(errno.ENOMEM, "none"), 14),
    (RuntimeError("std::bad_alloc"), 14), (ModuleNotFoundError("No module named 'x'"), 10), (ValueError("x"), 70),
    (Ended(signal.SIGTERM), 143), (Ended(signal.SIGHUP), 129), (KeyboardInterrupt(), 130),
]  # fmt: skip


@pytest.mark.parametrize(("error", "code"), RAISED, ids=[f"{type(e).__name__} {c}" for e, c in RAISED])
def test_each_kind_of_error_ends_with_its_code_and_one_line(monkeypatch, capsys, error, code):
    def run(args):
        raise error

    monkeypatch.setattr(import_module("pipeline.commands.info"), "run", run)
    assert main(["info"]) == code
    assert code in TABLE
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("gepc-pipeline info: error: ")
