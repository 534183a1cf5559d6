"""Every benchmark runs, at the smallest sizes: its figures mean nothing here, but they are there."""

from __future__ import annotations

import importlib
import importlib.util
import re
import shutil
from pathlib import Path

import pytest

from benchmarks.helpers.command import ratio_of_pairs
from benchmarks.helpers.real_data import sample_data
from pipeline.synthetic.clips import simulate_clip, write_clip
from pipeline.synthetic.street.scene import StreetSettings
from tests.helpers import ROOT
from tests.helpers.commands import TINY

SHORT = [
    "training.pretrain_epochs=1", "training.finetune_epochs=1", "clustering.clusters=4", "normality.components=3",
    "model.width=2",
]  # fmt: skip
TINY_SET = [option.removeprefix("--set=") for option in TINY]
FEW_WINDOWS = ["training.most_windows=600", "densities.windows=600", "windows.score_stride=12"]
DATA, EXTRA, BROWSER = "GEPC_SAMPLE_DATA", "openmmlab", "browser"

# Benchmark -> what it needs, its arguments, and a figure that it prints.
SMOKE: dict[str, tuple[str, list[str], str]] = {
    "action_data": (
        DATA, ["--data", "jhmdb", "--methods", "knn", "--splits", "legs", "--out", "{tmp}", "--set", *SHORT], "",
    ),
    "alarm_budget": (
        DATA, ["--clips", "40", "--splits", "2", "--set", *TINY_SET[:-3], *FEW_WINDOWS], "alarm_budget_1_an_hour_ratio"
    ),
    "estimator": ("", ["street", "--street-seconds", "0.5"], "street_pck"),
    "extract": (EXTRA, ["--quick", "--seconds", "0.25", "--pose", "rtmpose-t"], "openmmlab_overlap_speedup"),
    "falls": (DATA, ["--clips", "S3_ADL_07"], "falls_tracks_too_many"),
    "walkers": ("", ["--make", "{tmp}/walkers", "--quick"], "walkers_mb"),
    "formats": ("", ["--rows", "3000", "--frames", "30"], "import_speed_ratio"),
    "forms": ("", ["--print", "--quick", "--seeds", "1"], ""),
    "live_street": ("", ["--quick", "--streets", "0", "--set", *TINY_SET[:-3]], "watch_finds_what_score_finds"),
    "memory": ("", ["--windows", "2000", "--part", "kmeans"], "memory_kmeans_gib"),
    "model": ("", ["--batch", "8", "--repeat", "1", "--threads", "1", "--steps", "1"], "score_ratio"),
    "normal_clips": (
        DATA, ["--frames", "120", "--clips", "pedestrians_480x360.avi", *TINY[:-3]],
        "normal_clips_false_events",
    ),
    "overhead": ("", ["--seconds", "0.25"], "extract_overhead_share"),
    "overlay": ("", ["--seconds", "1", "--repeats", "1"], "overlay_"),
    "patch_extraction": ("", ["--repeat", "1", "--seconds", "0.25", "--estimators", "blazepose"], "patch_features_"),
    "patches": (
        "",
        [
            "--seeds", "1", "--set", *SHORT, "experiment.street_size=[160, 90]", "experiment.street_acts=[costumed]",
            "experiment.street_normal_clips=2", "experiment.street_normal_s=4", "experiment.street_test_clips=1",
            "experiment.street_test_s=3", "patches.width=2", "patches.epochs=1", "patches.crops=1000",
            "windows.score_stride=12",
        ],
        "patches_waiting",
    ),
    "inference": (
        "",
        [
            "--data", "synthetic", "--seeds", "0", "--sweeps", "1", "--out", "{tmp}", "--set", "actions.clips=8",
            "actions.performers=4", "training.pretrain_epochs=1", "training.finetune_epochs=1",
            "clustering.clusters=3", "normality.components=3", "experiment.directions=[few-vs-many]",
        ],
        "",
    ),
    "pedestrians": (DATA, ["--frames", "101"], "pedestrians_recall"),
    "pose_batches": (EXTRA, ["--quick", "--poses", "rtmpose-t"], "rtmpose_t_batch_speedup"),
    "real": (
        DATA, ["--quick", "--final", "--seeds", "0", "--clips", "2", "--set", *TINY_SET[:-3]], "hr_avenue_micro_auc",
    ),
    "report_page": (BROWSER, ["--videos", "2", "--frames", "200", "--day", "500", "--runs", "1"], "report_day_curve_s"),
    "scale": (
        "",
        ["--part", "jobs", "overhead", "list", "--clips", "2", "--seconds", "0.5", "--runs", "1", "--many", "20"],
        "scale_jobs_speedup",
    ),
    "shanghaitech": (
        DATA, ["--quick", "--clips", "4", "--tracks", "supplied", "--set", *TINY_SET[:-3], "densities.camera=one"],
        "shanghaitech_supplied_micro_auc",
    ),
    "streets": ("", ["--quick", "--streets", "0", "--configs", "clustering", "--set", *TINY_SET[:-3]], ""),
}  # fmt: skip

# The demo's by tests/integration/test_demo.py, on clips that are there already; two are used by `real` only; tracking
# takes a video, those of live minutes, cameras and a broker; figures, mutants and real_slice have tests of their own;
# what first_steps runs is run by tests/documentation/test_tutorials.py; things and pieces say nothing that means
# anything in less than minutes, and what they measure has tests of its own.
ELSEWHERE = {
    "demo",
    "figures",
    "first_steps",
    "live",
    "live_delay",
    "live_sinks",
    "live_soak",
    "mixtures",
    "mutants",
    "pieces",
    "real_slice",
    "things",
    "things_real",
    "tracking",
}


def absent(need: str) -> bool:
    if need == DATA:
        return sample_data() is None
    if need == EXTRA:
        return importlib.util.find_spec("mmpose") is None
    return need == BROWSER and not (shutil.which("chromium") or shutil.which("chromium-browser"))


def test_no_benchmark_is_forgotten():
    names = {path.stem for path in (ROOT / "benchmarks").glob("*.py")} - {"__init__", "__main__"}
    assert names == SMOKE.keys() | ELSEWHERE


@pytest.mark.slow
@pytest.mark.parametrize("name", SMOKE)
def test_its_quick_form_runs_and_prints_its_figures(name, capfd, monkeypatch, tmp_path):
    need, arguments, figure = SMOKE[name]
    arguments = [argument.replace("{tmp}", str(tmp_path)) for argument in arguments]
    if need == BROWSER and absent(need):
        pytest.skip("there is no Chromium")
    monkeypatch.chdir(ROOT)
    assert importlib.import_module(f"benchmarks.{name}").main(arguments) == 0
    out = capfd.readouterr().out
    if absent(need):
        assert out.count("\n") == 1
        assert f"benchmarks.{name}: skipped" in out
    else:
        assert re.search(rf"^{figure}\w* = -?[\d.]+", out, re.MULTILINE) or not figure, out


@pytest.mark.slow
def test_the_speed_of_each_estimator_is_measured_in_one_run(capsys):
    from benchmarks import estimator
    from pose_extract.errors import WeightsError
    from pose_extract.estimators.movenet.weights import ensure_weights

    try:
        ensure_weights()
    except WeightsError as error:
        pytest.skip(f"MoveNet's weights cannot be had here: {error}")
    assert estimator.main(["--speed", "--street-seconds", "0.1", "--people", "1"]) == 0
    out = capsys.readouterr().out
    for size in ("640x360", "1280x720"):
        for kind in ("blazepose", "lightning", "thunder"):
            assert re.search(rf"^speed_{kind}_{size}_1_fps = [\d.]+", out, re.MULTILINE)


@pytest.mark.slow
def test_tracking_is_measured_on_any_video(tmp_path, capsys):
    from benchmarks import tracking

    video = write_clip(simulate_clip("street", 1, StreetSettings(seconds=0.5)), tmp_path)
    assert tracking.main([str(video)]) == 0
    assert "tracking_street_pck = " in capsys.readouterr().out


@pytest.mark.parametrize("name", [name for name, (need, _, _) in SMOKE.items() if need == DATA])
def test_without_real_data_a_benchmark_says_so_and_is_skipped(name, capsys, monkeypatch, tmp_path):
    monkeypatch.delenv("GEPC_SAMPLE_DATA", raising=False)
    assert (
        importlib.import_module(f"benchmarks.{name}").main(["--out", str(tmp_path)] * (name == "action_data"))
        == 0
    )
    assert capsys.readouterr().out == f"benchmarks.{name}: skipped, GEPC_SAMPLE_DATA is not set\n"


@pytest.mark.parametrize("name", [name for name, (need, _, _) in SMOKE.items() if need == EXTRA])
def test_without_the_extra_a_benchmark_says_so_and_is_skipped(name, capsys, monkeypatch):
    find = importlib.util.find_spec
    module = pytest.importorskip(f"benchmarks.{name}", reason="imports of mmpose are lazy, torch is there")
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda wanted: None if wanted == "mmpose" else find(wanted)
    )
    assert module.main([]) == 0
    assert "the extra openmmlab is not installed" in capsys.readouterr().out


def test_a_ratio_is_the_median_of_pairs_that_took_turns():
    # The machine was slow in the second turn and quick for one half of the third.
    assert ratio_of_pairs([4.0, 40.0, 4.0], [2.0, 20.0, 1.0]) == 2.0


def test_the_readmes_and_docs_name_benchmarks_that_exist():
    for path in [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]:
        for name in re.findall(r"python -m benchmarks\.(\w+)", path.read_text()):
            assert Path(ROOT / "benchmarks" / f"{name}.py").is_file(), f"{path.name}: benchmarks.{name}"
