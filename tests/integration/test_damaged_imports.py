"""Damaged files end in an error that names them, and leave the workspace as it was, in little memory."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.helpers import ROOT

_CHILD = """
import contextlib, hashlib, io, json, resource, shutil, sys, time
from pathlib import Path
from pipeline.cli import main
from tests.helpers.damaged_files import cases

def tree(folder):
    return {str(p): hashlib.sha256(p.read_bytes()).hexdigest() for p in sorted(folder.rglob("*")) if p.is_file()}

def peak_mib():
    # Linux's ru_maxrss begins with what the parent, a whole test run, held when it started this process.
    status = Path("/proc/self/status")
    if status.exists():
        return int(next(line for line in status.read_text().splitlines() if line.startswith("VmHWM")).split()[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1 << 20 if sys.platform == "darwin" else 1 << 10)

scratch, workspace = Path(sys.argv[1]), Path(sys.argv[2])
(scratch / "whole").mkdir()
before = tree(workspace)
for case in list(cases(scratch / "whole")):
    folder = scratch / "in"
    case.write(folder)
    text, start = io.StringIO(), time.monotonic()
    with contextlib.redirect_stdout(text), contextlib.redirect_stderr(text):
        code = main(["import", case.format, str(folder), "--fps", "24", "--frame-size", "640x360",
                     "--workspace", str(workspace), "--quiet", "--trust-pickle"])
    same = tree(workspace) == before
    if not same:
        shutil.rmtree(workspace)
        shutil.copytree(scratch.parent / "whole-workspace", workspace, copy_function=shutil.copy2)
    shutil.rmtree(folder)
    print(json.dumps({
        "name": case.name, "harmless": case.harmless, "code": code, "same": same, "text": text.getvalue()[-2000:],
        "seconds": round(time.monotonic() - start, 2),
        "mib": peak_mib(),
    }), file=sys.__stdout__, flush=True)
"""


@pytest.mark.slow
def test_damaged_files_end_in_errors_and_change_nothing(tmp_path, truth_workspace):
    import shutil

    for name in ("workspace", "whole-workspace"):
        shutil.copytree(truth_workspace, tmp_path / name)
    (tmp_path / "scratch").mkdir()
    done = subprocess.run(
        [sys.executable, "-c", _CHILD, str(tmp_path / "scratch"), str(tmp_path / "workspace")],
        capture_output=True, text=True, cwd=ROOT,
    )  # fmt: skip
    results = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.returncode == 0, done.stderr[-3000:]
    assert len(results) >= 200
    wrong, most = [], 0.0
    for result in results:
        faults = []
        if result["code"] != 11 and not (result["harmless"] and result["code"] == 0):
            faults.append(f"code {result['code']}")
        if result["code"] != 0 and not result["same"]:
            faults.append("the workspace has changed")
        if result["code"] != 0 and str(tmp_path / "scratch" / "in") not in result["text"]:
            faults.append("the file is not named")
        if "Traceback" in result["text"] or "unexpected" in result["text"]:
            faults.append("a traceback")
        if max(most, result["mib"]) > 1024 > most:
            faults.append(f"{result['mib']:.0f} MiB")
        most = max(most, result["mib"])
        if faults:
            wrong.append(f"{result['name']}: {', '.join(faults)}: {result['text']:.300}")
    print(f"{len(results)} cases, at most {most:.0f} MiB, longest {max(r['seconds'] for r in results)} s")
    assert not wrong, f"{len(wrong)} of {len(results)}:\n" + "\n".join(wrong)
    assert not list(tmp_path.rglob("pwned"))
    assert not Path("pwned").exists()
