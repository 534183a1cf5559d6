"""`gepc-pipeline doctor`: on this machine, and on machines that lack something."""

import importlib.metadata
import importlib.util
import json
import re
import shlex
import subprocess
import sys
import tomllib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from pipeline.cli import main
from pipeline.doctor import diagnosis, machine, packages, probes
from pipeline.doctor.diagnosis import examine
from pipeline.doctor.facts import Fact, Job
from pipeline.doctor.packages import look_at
from pipeline.doctor.probes import Trial, try_imports
from pipeline.workspace import Workspace
from pose_extract.errors import ConfigError
from pose_extract.estimators.base import ESTIMATORS
from pose_extract.estimators.blazepose import weights
from pose_extract.estimators.movenet import weights as movenet_weights
from pose_extract.estimators.openmmlab import compat
from pose_extract.video import ffmpeg
from tests.helpers import ROOT

TORCH = {
    "version": "2.13.0",
    "cuda": "",
    "gpus": [],
    "mps_bytes": 0,
    "threads": 2,
    "devices": {"auto": "cpu", "cpu": "cpu"},
    "errors": {"cuda": "device 'cuda' is not there"},
}
has_mmpose = pytest.mark.skipif(
    importlib.util.find_spec("mmpose") is None, reason="the extra openmmlab is not installed"
)


BLAZEPOSE = ("pose.estimator=blazepose",)


class Answers:
    """What the probes say, in the place of processes that import things."""

    def __init__(self):
        self.errors = {}  # of imports, by module
        self.said = {"torch": (TORCH, ""), "openmmlab": ("", ""), "estimator": ("", ""), "model": ([], "")}

    def try_imports(self, modules):
        return {name: self.errors.get(name, Trial()) for name in modules}

    def ask(self, question, arguments=()):
        return self.said[question]


@pytest.fixture
def answers(monkeypatch, tmp_path):
    """A machine where everything can be imported and whose folders are new."""
    found = Answers()
    monkeypatch.setattr(probes, "try_imports", found.try_imports)
    monkeypatch.setattr(probes, "ask", found.ask)
    monkeypatch.setenv("GEPC_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    return found


@pytest.fixture
def whole_weights(monkeypatch):
    for module in (weights, movenet_weights):
        monkeypatch.setattr(module, "weights_states", lambda m=module: dict.fromkeys(m.FILES, "present"))


def facts(found, title):
    return {fact.name: fact for section in found.sections if section.title == title for fact in section.facts}


@pytest.fixture
def cli(capfd):
    def run(*arguments):
        code = main(["doctor", *arguments])
        out, err = capfd.readouterr()
        assert "Traceback" not in out + err
        return code, out

    return run


# Processes that import


def module(folder, name, code):
    (folder / f"{name}.py").write_text(code)


def test_a_package_that_crashes_python_is_named_and_the_others_are_still_tried(tmp_path, monkeypatch):
    module(tmp_path, "crashing", "import os, signal; os.kill(os.getpid(), signal.SIGSEGV)")
    monkeypatch.syspath_prepend(tmp_path)
    trials = try_imports(["json", "crashing", "csv"])
    assert trials["json"] == trials["csv"] == Trial()
    assert trials["crashing"].died
    assert "SIGSEGV" in trials["crashing"].error


def test_a_package_that_hangs_is_given_up(tmp_path, monkeypatch):
    module(tmp_path, "hanging", "import time; time.sleep(60)")
    monkeypatch.syspath_prepend(tmp_path)
    trials = try_imports(["hanging"], timeout_s=2)
    assert trials["hanging"] == Trial("no answer within 2 s", died=True)


@pytest.mark.parametrize(
    ("code", "error"),
    [
        ("print('gepc is great'); print('{}')", ""),
        ("raise RuntimeError('two\\nlines')", "RuntimeError: two lines"),
        ("import sys; sys.exit('no')", "SystemExit: no"),
        ("import no_such_module", "ModuleNotFoundError: No module named 'no_such_module'"),
    ],
)
def test_an_import_that_fails_is_told_in_one_line(tmp_path, monkeypatch, code, error):
    module(tmp_path, "odd", code)
    monkeypatch.syspath_prepend(tmp_path)
    assert try_imports(["odd"]) == {"odd": Trial(error)}


def test_modules_in_the_current_folder_are_not_tried(tmp_path, monkeypatch):
    module(tmp_path, "stray", "")
    monkeypatch.chdir(tmp_path)
    assert "No module named 'stray'" in try_imports(["stray"])["stray"].error


# Packages


def test_the_packages_are_those_that_the_project_declares(monkeypatch):
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    declared = [("", line) for line in project["dependencies"]]
    for extra, lines in project["optional-dependencies"].items():
        declared += [(extra, line) for line in lines if not line.startswith("gepc-pipeline")]
    # As the build writes them into the package's metadata.
    metadata = [f"{line}; extra == '{extra}'" if extra else line for extra, line in declared]
    monkeypatch.setattr(packages, "requires", lambda _: metadata)
    found = {(package.extra, package.name + package.asked) for package in packages.packages()}
    assert found == {(extra, line) for extra, line in declared if extra not in ("dev", "docs")}


def test_each_package_is_tried_by_a_module_that_it_has():
    here = [package for package in packages.packages() if package.version]
    assert here
    assert not [package.name for package in here if not packages._is_there(package.module)]


def write_metadata(folder, name, text):
    info = folder / f"{name}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_bytes(text)


def test_a_version_is_compared_with_what_is_asked_for(tmp_path, monkeypatch):
    write_metadata(tmp_path, "one", b"Metadata-Version: 2.1\nName: one\nVersion: 1.0\n")
    monkeypatch.syspath_prepend(tmp_path)
    assert look_at("one", ">=1").state == "fits"
    assert look_at("one", ">=2,<3").state == "other"
    assert look_at("two", ">=1").state == "missing"
    assert look_at("two", ">=1").install.endswith('install "two>=1"')


@pytest.mark.parametrize("text", [b"", b"\xff\x00\xfe", b"Metadata-Version: 2.1\nName: x\nVersion: what\n"])
def test_damaged_metadata_is_said(tmp_path, monkeypatch, text):
    write_metadata(tmp_path, "torn", text)
    monkeypatch.syspath_prepend(tmp_path)
    package = look_at("torn", "")
    assert package.state == "damaged"
    fact = packages._fact(package, "note", True)
    assert "--force-reinstall" in fact.mend[0]


def test_another_package_may_bring_the_module():
    """As opencv-python-headless brings that of opencv-python."""
    fact = packages._fact(look_at("no-such-package", ">=1"), "gap", module_is_there=True)
    assert fact.state == "ok"
    assert not fact.mend


def test_a_missing_system_library_is_installed_not_the_package_again(answers, monkeypatch):
    monkeypatch.setattr(packages.shutil, "which", lambda name: f"/usr/bin/{name}")
    answers.errors["cv2"] = Trial("ImportError: libGL.so.1: cannot open shared object file")
    assert "apt-get" in facts(examine(Job()), "packages")["opencv-python"].mend[0]


def test_a_package_that_lacks_another_one_is_not_installed_anew():
    def mend(error, *missing):
        package = packages.Package("trackers", "", ">=2.6", "2.6.1", "fits")
        others = [packages.Package(name, "", "", "", "missing") for name in missing]
        return packages._mend(package, error, [package, *others])

    error = "ModuleNotFoundError: No module named 'cv2'"
    assert mend(error, "opencv-python") == ()  # that one's own line mends it
    assert mend(error)[0].endswith('install "trackers>=2.6"')  # pip brings what it asks for
    assert "--force-reinstall" in mend("ImportError: torn")[0]


def test_the_pip_of_this_python_is_named(monkeypatch, tmp_path):
    monkeypatch.setattr(packages.shutil, "which", lambda _: str(Path(sys.executable).parent / "pip"))
    assert packages.pip() == "pip"
    monkeypatch.setattr(packages.shutil, "which", lambda _: "/elsewhere/pip")
    assert shlex.split(packages.pip()) == [sys.executable, "-m", "pip"]


def test_the_line_that_installs_openmmlab_asks_for_the_tested_versions():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    tested = dict(
        line.split("==") for line in (ROOT / "constraints.txt").read_text().splitlines() if "==" in line
    )
    assert "gepc-pipeline[openmmlab]" in compat.INSTALL
    pinned = dict(re.findall(r"([\w-]+)==([\w.]+)", compat.INSTALL))
    assert pinned.pop("mmpose") == tested["mmpose"]
    # The torch that is there, without which pip would bring that of the newest torchvision.
    assert pinned == {"torch": importlib.metadata.version("torch").partition("+")[0]}
    for line in project["optional-dependencies"]["openmmlab"]:
        name, equals, version = line.partition("==")
        assert not equals or tested[name] == version


# Whole machines


def test_a_machine_with_everything_can_run(answers, whole_weights):
    found = examine(Job())
    assert found.in_state("gap") == []
    assert found.estimator == "movenet"


@pytest.mark.parametrize(
    ("there", "offline", "taken"),
    [
        (("movenet", "blazepose"), True, "movenet"),
        (("blazepose",), True, "blazepose"),
        (("blazepose",), False, "movenet"),  # it will be fetched
    ],
)
def test_auto_is_what_extract_would_take(answers, monkeypatch, there, offline, taken):
    for module in (weights, movenet_weights):
        state = "present" if module.__name__.split(".")[-2] in there else "missing"
        monkeypatch.setattr(module, "weights_states", lambda m=module, s=state: dict.fromkeys(m.FILES, s))
    found = examine(Job(offline=offline))
    assert found.estimator == taken
    assert found.in_state("gap") == []


def test_every_estimator_is_looked_at(answers):
    titles = {section.title for section in examine(Job()).sections}
    assert {f"estimator {name}" for name in ESTIMATORS} <= titles


def test_without_torch_nothing_can_run_and_the_line_that_mends_it_is_said(
    answers, whole_weights, monkeypatch, cli
):
    error = "ModuleNotFoundError: No module named 'torch'"
    answers.errors |= {
        name: Trial(error) for name in ("torch", "pipeline.extraction.run", "pipeline.training")
    }
    answers.said["torch"] = (None, error)
    real = packages.distribution

    def distribution(name):
        if name == "torch":
            raise packages.PackageNotFoundError(name)
        return real(name)

    monkeypatch.setattr(packages, "distribution", distribution)
    code, out = cli()
    assert code == 1
    assert "cannot run" in out
    assert out.rstrip().splitlines()[-1].endswith('install "torch>=2.6"')


def test_a_package_that_crashes_is_not_imported_by_doctor_itself(answers, monkeypatch):
    answers.errors["trackers"] = Trial("it crashes Python (SIGSEGV)", died=True)
    monkeypatch.setattr("pipeline.settings.config.load_settings", lambda *_: pytest.fail("imports trackers"))
    found = examine(Job(overrides=['pose.estimator="openmmlab"']))
    assert facts(found, "packages")["trackers"].state == "gap"
    assert found.estimator == "openmmlab"


def test_a_wrong_config_is_the_users_error(answers):
    with pytest.raises(ConfigError, match="unknown estimator"):
        examine(Job(overrides=["pose.estimator=nobody"]))


def test_what_breaks_a_check_is_one_more_fact(answers, monkeypatch):
    def broken():
        raise RuntimeError("what a day")

    monkeypatch.setattr(weights, "weights_states", broken)
    found = examine(Job())
    assert facts(found, "estimator blazepose")["not looked at"].text == "RuntimeError: what a day"
    assert facts(found, "folders")["cache"].state == "ok"


def test_without_installed_metadata_it_says_so(answers, monkeypatch, whole_weights):
    def nothing():
        raise packages.PackageNotFoundError("gepc-pipeline")

    monkeypatch.setattr(diagnosis, "packages", nothing)
    found = examine(Job())
    assert facts(found, "packages")["gepc-pipeline"].state == "note"
    assert found.in_state("gap") == []


def test_without_what_compares_versions_that_comes_first(answers, monkeypatch, whole_weights):
    monkeypatch.setitem(sys.modules, "packaging.requirements", None)
    (gap,) = examine(Job()).in_state("gap")
    assert gap.mend[0].endswith("install packaging")


# Weights


def test_weights_that_are_not_there_are_fetched_unless_offline(answers):
    weight = facts(examine(Job(overrides=BLAZEPOSE)), "estimator blazepose")["weights"]
    assert (weight.state, weight.mend) == ("fetch", ("gepc-pipeline weights --pose blazepose",))
    weight = facts(examine(Job(offline=True)), "estimator blazepose")["weights"]
    assert weight.state == "gap"
    assert "bring pose_detection.tflite and pose_landmark_full.tflite" in weight.text


def test_looking_fetches_and_makes_nothing(answers, tmp_path, monkeypatch):
    monkeypatch.setattr(weights.subprocess, "run", lambda *_, **__: pytest.fail("fetches"))
    monkeypatch.setattr(ffmpeg, "find_ffmpeg", lambda: "ffmpeg")
    monkeypatch.setattr(ffmpeg, "encoders", lambda _: {"libx264"})
    monkeypatch.setattr(ffmpeg, "ffmpeg_version", lambda _: (7, 1))
    examine(Job())
    assert list(tmp_path.iterdir()) == []


def test_damaged_weights_are_named(answers, tmp_path):
    folder = tmp_path / "cache" / "weights"
    folder.mkdir(parents=True)
    (folder / "pose_detection.tflite").write_bytes(b"half of it")
    fact = facts(examine(Job(offline=True)), "estimator blazepose")["weights"]
    assert fact.state == "gap"
    assert "detector damaged" in fact.text


def test_weights_that_cannot_be_kept_are_a_gap(answers, tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("GEPC_CACHE_DIR", str(tmp_path / "file"))
    found = examine(Job(overrides=BLAZEPOSE))
    fact = facts(found, "estimator blazepose")["weights"]
    assert fact.state == "gap"
    assert fact.mend[0].startswith("export GEPC_CACHE_DIR=")
    assert facts(found, "folders")["cache"].state == "note"


def test_networks_that_do_not_load_are_a_gap(answers, whole_weights):
    answers.said["estimator"] = (None, "it crashes Python (SIGILL)")
    assert "SIGILL" in facts(examine(Job()), "estimator blazepose")["runs"].text


# OpenMMLab


def test_without_openmmlab_the_default_runs_and_openmmlab_does_not(answers, whole_weights, monkeypatch):
    monkeypatch.setattr(compat, "missing_packages", lambda: ["mmdet", "mmpose"])
    monkeypatch.setattr(packages, "pip", lambda: "pip")
    found = examine(Job())
    assert found.in_state("gap") == []
    assert facts(found, "estimator openmmlab")["runs"].state == "off"
    (gap,) = examine(Job(overrides=["pose.estimator=openmmlab"])).in_state("gap")
    assert "mmdet, mmpose" in gap.text
    assert gap.mend == (compat.INSTALL,)


@has_mmpose
def test_an_openmmlab_that_crashes_is_a_gap_for_those_who_use_it(answers, whole_weights):
    answers.said["openmmlab"] = (None, "it crashes Python (SIGSEGV)")
    assert examine(Job()).in_state("gap") == []
    (gap,) = examine(Job(overrides=["pose.estimator=openmmlab"])).in_state("gap")
    assert "SIGSEGV" in gap.text
    # Everything is installed in the versions asked for: installing it once more would do nothing.
    assert "--force-reinstall" in gap.mend[0]
    assert "mmpose==" in gap.mend[0]


@has_mmpose
def test_openmmlabs_weights_are_those_of_the_models_asked_for(answers):
    found = facts(
        examine(Job(overrides=["pose.estimator=openmmlab", "openmmlab.model=rtmpose-s"])),
        "estimator openmmlab",
    )
    assert found["pose model"].text.startswith("rtmpose-s_")
    assert found["pose weights"].state == found["detector weights"].state == "fetch"
    assert found["pose weights"].mend == ("gepc-pipeline weights --pose openmmlab:rtmpose-s",)


@has_mmpose
def test_offline_the_address_of_what_lacks_is_said(answers):
    job = Job(overrides=["pose.estimator=openmmlab", "openmmlab.skeleton=halpe26"], offline=True)
    fact = facts(examine(job), "estimator openmmlab")["pose weights"]
    assert fact.state == "gap"
    assert re.search(r"from https://\S+\.pth$", fact.text)
    assert fact.mend[0].endswith("--set openmmlab.skeleton=halpe26")


@has_mmpose
def test_weights_of_ones_own_have_to_be_there(answers, tmp_path):
    overrides = ["pose.estimator=openmmlab", f"openmmlab.checkpoint={tmp_path / 'own.pth'}"]
    assert facts(examine(Job(overrides=overrides)), "estimator openmmlab")["pose weights"].state == "gap"
    (tmp_path / "own.pth").touch()
    assert facts(examine(Job(overrides=overrides)), "estimator openmmlab")["pose weights"].state == "ok"


@has_mmpose
def test_a_one_stage_model_has_no_detector(answers):
    found = facts(
        examine(Job(overrides=["pose.estimator=openmmlab", "openmmlab.model=rtmo-s"])), "estimator openmmlab"
    )
    assert "pose weights" in found
    assert "detector" not in found


@has_mmpose
def test_a_model_that_nobody_publishes_is_a_gap(answers):
    job = Job(overrides=["pose.estimator=openmmlab", "openmmlab.model=rtmpose-xxl"])
    fact = facts(examine(job), "estimator openmmlab")["pose model"]
    assert fact.state == "gap"
    assert "rtmpose-x" in fact.text


# The machine


def test_no_ffmpeg_at_all(answers, whole_weights, monkeypatch):
    monkeypatch.setenv("PATH", "")
    monkeypatch.delenv("GEPC_FFMPEG", raising=False)
    monkeypatch.setitem(sys.modules, "imageio_ffmpeg", None)
    (gap,) = examine(Job()).in_state("gap")
    assert "imageio-ffmpeg" in gap.mend[0]


def test_a_variable_that_names_no_ffmpeg_is_taken_away(answers, whole_weights, monkeypatch):
    monkeypatch.setenv("GEPC_FFMPEG", "/no/such/ffmpeg")
    (gap,) = examine(Job()).in_state("gap")
    assert gap.mend == ("unset GEPC_FFMPEG",)


def test_an_ffmpeg_without_x264_works_but_that_is_noted(monkeypatch):
    monkeypatch.setattr(ffmpeg, "find_ffmpeg", lambda: "ffmpeg")
    monkeypatch.setattr(ffmpeg, "encoders", lambda _: {"mpeg4"})
    monkeypatch.setattr(ffmpeg, "ffmpeg_version", lambda _: (3, 4))
    found = {fact.name: fact.state for fact in machine.ffmpeg_facts()}
    assert (found["ffmpeg"], found["libx264"]) == ("note", "note")


def test_a_device_that_is_not_there_is_a_gap(answers, whole_weights):
    assert facts(examine(Job(device="cpu")), "devices")["device cpu"].state == "ok"
    assert facts(examine(Job(device="cuda")), "devices")["device cuda"].state == "gap"
    overrides = ["openmmlab.device=cuda"]
    assert "device cuda" not in facts(examine(Job(overrides=overrides)), "devices")
    overrides.append("pose.estimator=openmmlab")
    assert facts(examine(Job(overrides=overrides)), "devices")["device cuda"].state == "gap"


def test_gpus_are_listed_with_their_memory(answers):
    gpu = {"name": "NVIDIA H100 80GB HBM3", "bytes": 85 * 10**9}
    answers.said["torch"] = (
        {**TORCH, "cuda": "13.0", "gpus": [gpu], "devices": {"auto": "cuda"}, "errors": {}},
        "",
    )
    found = facts(examine(Job()), "devices")
    assert found["cuda:0"].text == "NVIDIA H100 80GB HBM3, 79.2 GiB"
    assert found["device auto"].text == "takes cuda"


def test_a_workspace_that_cannot_be_written_is_a_gap(answers, whole_weights, tmp_path):
    (tmp_path / "file").touch()
    (gap,) = examine(Job(workspace=tmp_path / "file" / "workspace")).in_state("gap")
    assert "--workspace" in gap.mend[0]


def test_a_model_that_cannot_be_used_is_trained_again(answers, whole_weights, tmp_path):
    workspace = Workspace(tmp_path / "w")
    assert facts(examine(Job(workspace=workspace.root)), "workspace") == {}
    workspace.model.mkdir(parents=True)
    answers.said["model"] = ([], "it has bundle version 1")
    found = examine(Job(workspace=workspace.root))
    fact = facts(found, "workspace")["model"]
    assert "bundle version 1" in fact.text
    assert fact.mend == (f"gepc-pipeline train --workspace {workspace.root}",)
    assert found.in_state("gap") == []  # training mends it


def test_clips_unlike_those_of_training_are_named(answers, whole_weights, tmp_path, monkeypatch):
    workspace = Workspace(tmp_path / "w")
    workspace.model.mkdir(parents=True)
    monkeypatch.setattr(machine, "_alarms", lambda _: Fact("alarms", "ok", ""))
    answers.said["model"] = ([f"clip{i}: it has 5 frames a second" for i in range(8)], "")
    (section,) = (s for s in examine(Job(workspace=workspace.root)).sections if s.title == "workspace")
    texts = [fact.text for fact in section.facts if fact.name == "unlike training"]
    assert texts[0] == "clip0: it has 5 frames a second"
    assert texts[5:] == ["and 3 clips more"]


def test_a_real_model_is_read(tmp_path):
    (tmp_path / "card.json").write_text("{}")
    with ThreadPoolExecutor(1) as pool:
        folder = tmp_path / "w" / "model"
        assert diagnosis._model(Job(workspace=tmp_path / "w"), pool) is None
        folder.mkdir(parents=True)
        (folder / "card.json").write_text("{}")
        answer = diagnosis._model(Job(workspace=tmp_path / "w"), pool)
        assert answer is not None
        assert "card.json is not the card of a model bundle" in answer.result()[1]


# What is printed


def test_lines_fit_a_terminal_but_for_those_to_copy(answers, cli, monkeypatch):
    monkeypatch.setenv("GEPC_CACHE_DIR", "cache")
    answers.errors["trackers"] = Trial("ImportError: " + "a long story " * 30)
    code, out = cli("--device", "cuda")
    assert code == 1
    assert "a long story" in out
    for line in out.splitlines():
        path_only = " " not in line.strip() or line.startswith("Python")
        assert len(line) <= 80 or path_only or line.startswith(" " * 6 + "-> ")


def test_every_gap_has_a_line_that_mends_it_and_it_is_said_at_the_end(answers, cli, monkeypatch):
    monkeypatch.setenv("GEPC_FFMPEG", "/no/such/ffmpeg")
    answers.errors["scipy.optimize"] = Trial("ImportError: no")
    _, out = cli("--offline")
    end = out.partition("To mend it:\n")[2].splitlines()
    assert [line.split()[-1] for line in end] == [
        next(line for line in end if "scipy" in line).split()[-1],
        "GEPC_FFMPEG",
        "blazepose",
    ]


def test_quiet_leaves_out_what_is_in_order(answers, whole_weights, cli, monkeypatch):
    monkeypatch.setenv("GEPC_FFMPEG", "/no/such/ffmpeg")
    _, out = cli("--quiet")
    assert "numpy" not in out
    assert "gap   ffmpeg" in out


def test_json_says_the_same(answers, whole_weights, cli):
    code, out = cli("--json")
    found = json.loads(out)
    assert (code, found["can_run"], found["estimator"]) == (0, True, "movenet")
    assert {"title", "facts"} == set(found["sections"][0])


@pytest.mark.slow
def test_the_command_on_this_machine(tmp_path):
    """Everything is real: every import is tried, as the user would run it, in an empty folder."""
    command = [sys.executable, "-m", "pipeline.cli", "doctor", "--json", "--workspace", str(tmp_path / "w")]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, timeout=300)
    found = json.loads(done.stdout)
    states = {fact["name"]: fact["state"] for section in found["sections"] for fact in section["facts"]}
    assert states["torch"] == states["extract"] == states["train"] == states["score"] == "ok"
    needed = next(section["facts"] for section in found["sections"] if section["title"] == "packages")
    assert {fact["state"] for fact in needed} == {"ok"}
    assert found["can_run"] == (done.returncode == 0)
    assert "Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == []
