"""What is built for others: the wheel in an environment of its own, and the workflows that would publish it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
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


def version_variables(image: str) -> set[str]:
    """The variables by which an image's Dockerfile tells the build the version."""
    return set(
        re.findall(r"\b(\w*PRETEND_VERSION\w*)=", (ROOT / "docker" / f"Dockerfile.{image}").read_text())
    )


@pytest.mark.slow
def test_the_wheel_in_an_empty_environment_runs_the_three_commands(tmp_path, monkeypatch):
    [named] = {found for name in ("cpu", "cuda") for found in version_variables(name)}
    monkeypatch.setenv(named, "1.2.3")  # as the images of docker/ are told it
    run(sys.executable, "-m", "build", "--wheel", "--outdir", tmp_path, ROOT, cwd=tmp_path)
    [wheel] = tmp_path.glob("gepc_pipeline-1.2.3-*.whl")
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


@pytest.mark.skipif(not (ROOT / ".git").exists() or not shutil.which("git"), reason="needs a git checkout")
def test_the_source_archive_holds_what_the_repository_does():
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    hatch = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]
    always = {"pyproject.toml", "README.md", "LICENSE", ".gitignore"}  # by hatchling itself
    included = {*hatch["build"]["targets"]["sdist"]["include"], *always}
    assert {path.partition("/")[0] for path in listed.splitlines()} == included


def test_workflows_call_what_is_there():
    folder = ROOT / ".github" / "workflows"
    found = {path.stem: yaml.safe_load(path.read_text()) for path in folder.glob("*.yml")}
    assert found.keys() == {"ci", "images", "release"}
    steps = [s for each in found.values() for job in each["jobs"].values() for s in job["steps"]]
    commands = {step["run"] for step in steps if "run" in step}
    assert commands == {".ci/run", "make dist"}
    for kind in found["images"]["jobs"]["image"]["strategy"]["matrix"]["kind"]:
        assert (ROOT / "docker" / f"Dockerfile.{kind}").is_file()
    [image] = (s for s in found["images"]["jobs"]["image"]["steps"] if "build-args" in s.get("with", {}))
    assert "VERSION=${{ github.ref_type == 'tag' &&" in image["with"]["build-args"]  # a branch is no version
    publishing = found["release"]["jobs"]["publish"]
    assert "vars.PUBLISH == 'true'" in publishing["if"]  # off until a maintainer switches it on
    assert "vars.PUBLISH_IMAGES == 'true'" in found["images"]["jobs"]["image"]["if"]
