"""What is built for others: the wheel in an environment of its own, and the workflows that would publish it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from zipfile import ZipFile

import pytest
import yaml

from pipeline.synthetic.clips import simulate_clip, write_clip
from pipeline.synthetic.street.scene import StreetSettings
from tests.helpers import ROOT
from tests.helpers.commands import TINY


def run(*words: object, cwd: Path) -> str:
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "GEPC_W", "GEPC_CONFIG"))}
    done = subprocess.run([str(w) for w in words], cwd=cwd, env=clean, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.slow
def test_the_wheel_in_an_empty_environment_runs_the_three_commands(tmp_path):
    run(sys.executable, "-m", "build", "--wheel", "--outdir", tmp_path, ROOT, cwd=tmp_path)
    [wheel] = tmp_path.glob("*.whl")
    assert wheel.stat().st_size < 4e6
    with ZipFile(wheel) as archive:  # types for users: tests/helpers/example_program.py
        assert "gepc_pipeline/py.typed" in archive.namelist()
    run(sys.executable, "-m", "venv", tmp_path / "env", cwd=tmp_path)
    command = tmp_path / "env" / "bin" / "gepc-pipeline"
    constraints = ROOT / "constraints.txt"
    run(command.with_name("python"), "-m", "pip", "install", "-q", "-c", constraints, wheel, cwd=tmp_path)
    for number in range(2):
        street = StreetSettings(seconds=3)
        write_clip(simulate_clip(f"normal_{number}", number, street), tmp_path / "videos")
    write_clip(simulate_clip("video", 5, StreetSettings(seconds=3), ["running"]), tmp_path)
    run(command, "extract", "videos/", cwd=tmp_path)
    run(command, "train", *TINY, "--set=windows.train_stride=1", cwd=tmp_path)
    run(command, "score", "video.mp4", "--out", "scores.csv", cwd=tmp_path)
    run(command, "score", "video.mp4", "--model", "builtin:walkers", "--out", "first.csv", cwd=tmp_path)
    for name in ("scores.csv", "first.csv"):
        assert len((tmp_path / name).read_text().splitlines()) == 1 + 72
    assert "moving-camera" in run(command, "config", "list", cwd=tmp_path)


def test_workflows_call_what_is_there():
    folder = ROOT / ".github" / "workflows"
    found = {path.stem: yaml.safe_load(path.read_text()) for path in folder.glob("*.yml")}
    assert found.keys() == {"ci", "images", "release"}
    steps = [s for each in found.values() for job in each["jobs"].values() for s in job["steps"]]
    commands = {step["run"] for step in steps if "run" in step}
    assert commands == {".ci/run", "make dist"}
    for kind in found["images"]["jobs"]["image"]["strategy"]["matrix"]["kind"]:
        assert (ROOT / "docker" / f"Dockerfile.{kind}").is_file()
    publishing = found["release"]["jobs"]["publish"]
    assert "vars.PUBLISH == 'true'" in publishing["if"]  # off until a maintainer switches it on
    assert "vars.PUBLISH_IMAGES == 'true'" in found["images"]["jobs"]["image"]["if"]
