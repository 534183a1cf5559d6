"""`gepc-pipeline onnx`, and scoring with what it wrote on a machine without torch."""

import csv
import re
import subprocess
import sys
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, packages_distributions, requires

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from anomaly.bundle import load_bundle
from anomaly.bundle.card import read_card
from anomaly.scoring.onnx_model import OnnxModel
from tests.helpers import ROOT

# A machine with the packages that docs/method.md lists for one without torch, and what these bring along.
WITHOUT_TORCH = """
import sys
class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in MISSING:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Missing())
"""
COMMAND = """
from pipeline.cli import main
sys.exit(main(sys.argv[1:]))
"""
# What `score` of a video imports beside: people are found, the video is drawn.
OF_VIDEOS = """
import pipeline.extraction.run, pipeline.pictures.overlay, pose_extract.estimators.downloads
import pose_extract.estimators.blazepose.estimator, pose_extract.estimators.movenet.estimator
"""


@pytest.fixture(scope="module")
def without_torch():
    """A program's beginning that takes away what is not on the page's list."""
    return f"MISSING = {sorted(missing())}{WITHOUT_TORCH}"


def missing() -> set[str]:
    """What can be imported of our dependencies only where they are installed in full."""
    there: set[str] = set()

    def add(name: str) -> None:
        name = canonicalize_name(name)
        if name in there:
            return
        there.add(name)
        with suppress(PackageNotFoundError):  # of another system
            needed = [Requirement(each) for each in requires(name) or ()]
            for each in needed:
                if each.marker is None or each.marker.evaluate({"extra": ""}):
                    add(each.name)

    page = (ROOT / "docs" / "method.md").read_text()
    listed = re.search(r"packages that scoring needs \((.*?); matplotlib", page, re.DOTALL)
    assert listed is not None
    for name in listed[1].split(","):
        add(name.strip())
    ours = {canonicalize_name(Requirement(each).name) for each in requires("gepc-pipeline") or ()}
    return {
        module
        for module, brought_by in packages_distributions().items()
        if (names := {canonicalize_name(name) for name in brought_by}) & ours and not names & there
    }


pytestmark = pytest.mark.slow  # the export takes torch some ten seconds


@pytest.fixture(scope="module")
def export(truth_workspace, tmp_path_factory):
    """The exported model's folder and what the command printed."""
    folder = tmp_path_factory.mktemp("exported") / "model"
    command = ["-m", "pipeline.cli", "onnx", "--workspace", str(truth_workspace), "--out", str(folder)]
    return folder, subprocess.run([sys.executable, *command], capture_output=True, text=True)


@pytest.fixture
def exported(export):
    return export[0]


def read(path):
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def test_the_export_is_a_model_that_remembers_what_it_was_trained_on(exported, truth_workspace):
    assert isinstance(load_bundle(exported), OnnxModel)
    before, after = read_card(truth_workspace / "model"), read_card(exported)
    assert after["clips"] == before["clips"]
    assert after["tracks"] == before["tracks"]


def test_exporting_says_how_well_it_agrees_and_what_comes_next_and_nothing_else(export):
    folder, done = export
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    first, second = done.stdout.splitlines()
    assert "differ from torch's by at most" in first
    assert second == f"next: gepc-pipeline score video.mp4 --model {folder} --out scores.csv"


def test_scoring_needs_no_torch_and_says_what_torch_says(
    without_torch, exported, truth_workspace, tmp_path, cli
):
    tracks = truth_workspace / "tracks" / "normal_1.npz"
    arguments = [
        "score", "--tracks", str(tracks), "--model", str(exported), "--workspace", str(tmp_path / "none"),
        "--out", str(tmp_path / "onnx.csv"), "--people", str(tmp_path / "onnx_people.csv"), "--quiet",
    ]  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-c", without_torch + COMMAND, *arguments], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    result = cli(
        "score", "--tracks", tracks, "--workspace", truth_workspace, "--out", tmp_path / "torch.csv",
        "--people", tmp_path / "torch_people.csv",
    )  # fmt: skip
    assert result.code == 0
    for name in ("", "_people"):
        ours, torchs = read(tmp_path / f"onnx{name}.csv"), read(tmp_path / f"torch{name}.csv")
        assert len(ours) == len(torchs) > 0
        for one, other in zip(ours, torchs, strict=True):
            assert one["track_id"] == other["track_id"]
            assert (one["score"] == "") == (other["score"] == "")
            if one["score"]:
                assert float(one["score"]) == pytest.approx(float(other["score"]), rel=1e-4, abs=1e-4)


def test_people_are_found_with_the_packages_that_the_page_lists(without_torch):
    done = subprocess.run([sys.executable, "-c", without_torch + OF_VIDEOS], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_without_torch_a_trained_model_is_an_error_that_says_what_to_do(
    without_torch, truth_workspace, tmp_path
):
    arguments = ["score", "--tracks", str(truth_workspace / "tracks" / "normal_1.npz"),
                 "--workspace", str(truth_workspace), "--out", str(tmp_path / "a.csv")]  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-c", without_torch + COMMAND, *arguments], capture_output=True, text=True
    )
    assert done.returncode == 2
    assert "torch" in done.stderr
    assert "gepc-pipeline onnx" in done.stderr


def test_an_exported_model_cannot_reconstruct_and_cannot_be_exported_again(exported, tmp_path, cli):
    (tmp_path / "workspace").mkdir()
    (tmp_path / "workspace" / "model").symlink_to(exported)
    result = cli("onnx", "--workspace", tmp_path / "workspace", "--out", tmp_path / "out")
    assert result.code == 2
    assert "exported" in result.err


def test_the_trained_model_is_never_replaced_by_its_export(truth_workspace, cli):
    result = cli("onnx", "--workspace", truth_workspace, "--out", truth_workspace / "model")
    assert result.code == 2
    assert not isinstance(load_bundle(truth_workspace / "model"), OnnxModel)
