"""`gepc-pipeline experiment`, from config to tables."""

from __future__ import annotations

import csv
import importlib.util
import json
import os
import random
import signal
import subprocess
import sys
import time

import psutil
import pytest

# Small and quick; figures mean nothing.
QUICK = (
    "--set=actions.clips=8", "--set=actions.performers=4", "--set=experiment.random_splits=1",
    "--set=windows.frames=12", "--set=model.encoder=[2, 3]", "--set=model.strides=[2, 3]",
    "--set=model.decoder=[2, 2]", "--set=model.upsampling=[3, 2]", "--set=training.pretrain_epochs=1",
    "--set=training.finetune_epochs=1", "--set=clustering.clusters=2", "--set=normality.components=2",
    "--set=gaussian_mixture.components=1", "--set=mped_rnn.epochs=1", "--set=classifier.epochs=1",
    "--set=frame_prediction.steps=2", "--set=frame_prediction.size=16",
)  # fmt: skip
ONE = ("--seeds", "0", "--splits", "gait", "--set=experiment.directions=[few-vs-many]")


def table(folder, name="table2"):
    return json.loads((folder / f"{name}.json").read_text())


def test_table_2_measures_every_method_on_synthetic_actions_without_any_data(cli, tmp_path):
    out = tmp_path / "out"
    result = cli("experiment", "table2", "--out", out, "--workspace", tmp_path / "w", "--quiet", *QUICK, *ONE)
    assert result.code == 0, result.err
    assert "table2.md" in result.out
    main, ahead, paper = table(out)["tables"]
    assert [row["name"] for row in main["rows"]] == [
        "Supervised, softmax maximum", "Supervised, Dirichlet", "Rec. loss", "OC-SVM", "OC-SVM, Nyström",
        "k nearest neighbours", "Gaussian mixture", "Liu et al.", "Morais et al.",
        "Ours, clusters alone", "Ours",
    ]  # fmt: skip
    assert all(0 <= row["values"][0]["mean"] <= 1 for row in main["rows"])
    assert len(ahead["rows"]) == len(main["rows"]) - 1
    assert paper["rows"][-1]["values"][0]["mean"] == 0.82
    cells = list(csv.DictReader((out / "table2-cells.csv").open()))
    assert {(c["split"], c["direction"], c["seed"]) for c in cells} == {("gait", "few-vs-many", "0")}
    assert all(0 < float(c["seconds"]) < 600 and c["test_clips"] == "48" for c in cells)
    text = (out / "table2.md").read_text()
    assert "| Ours |" in text
    assert not (tmp_path / "w").exists()  # synthetic clips need no workspace


def test_3d_joints_leave_out_the_method_that_cannot_use_them_and_say_so(cli, tmp_path):
    out = tmp_path / "out"
    result = cli(
        "experiment", "table2", "--out", out, "--quiet", *QUICK, *ONE, "--set=actions.dimensions=3",
        "--set=windows.skeleton=ntu25", "--set=windows.features=xyz", "--methods", "mped-rnn", "reconstruction",
    )  # fmt: skip
    assert result.code == 0, result.err
    rows = {row["name"]: row["values"][0]["mean"] for row in table(out)["tables"][0]["rows"]}
    assert rows["Morais et al."] is None
    assert rows["Rec. loss"] is not None
    assert "Morais et al.: it handles 2-D poses only" in (out / "table2.md").read_text()


def test_figure_5_draws_a_curve_for_each_split(cli, tmp_path):
    out = tmp_path / "out"
    result = cli(
        "experiment", "figure5", "--out", out, "--quiet", *QUICK, *ONE[:2], "--splits", "gait", "leaps",
        "--set=experiment.directions=[few-vs-many]", "--set=experiment.shares=[0, 0.2]",
        "--methods", "reconstruction",
    )  # fmt: skip
    assert result.code == 0, result.err
    _, loss = table(out, "figure5")["tables"]
    assert [row["name"] for row in loss["rows"]] == [
        "few-vs-many: gait", "few-vs-many: leaps", "few-vs-many: mean over splits",
    ]  # fmt: skip
    assert loss["rows"][0]["values"][0]["mean"] == 0
    shares = {(r["split"], r["share"], r["training_clips"]) for r in table(out, "figure5")["results"]}
    assert {share for _, share, _ in shares} == {0, 0.2}
    assert (out / "figure5-loss.png").stat().st_size > 5000
    assert (out / "figure5.svg").read_text().lstrip().startswith("<?xml")


STREET = (
    "--set=experiment.street_normal_clips=2", "--set=experiment.street_normal_s=6",
    "--set=experiment.street_test_clips=1", "--set=experiment.street_test_s=4",
    "--set=training.pretrain_epochs=1", "--set=training.finetune_epochs=1", "--set=clustering.clusters=4",
    "--set=normality.components=3", "--set=model.width=2", "--set=windows.score_stride=12",
    "--set=mped_rnn.epochs=1",
)  # fmt: skip


@pytest.mark.slow
def test_table_1_gives_every_method_the_same_frames_and_protocol(cli, tmp_path):
    out = tmp_path / "out"
    result = cli(
        "experiment", "table1", "--out", out, "--workspace", tmp_path / "w", "--quiet", *STREET, "--seeds", 0,
        "--set=experiment.street_acts=[running, fighting]", "--set=experiment.street_size=[160, 96]",
        *(f"--set={method}.{what}" for method in ("frame_prediction", "sparse_coding", "latent_autoregression")
          for what in ("size=32", "steps=3")),
    )  # fmt: skip
    assert result.code == 0, result.err
    main, _, paper = table(out, "table1")["tables"]
    measured = {row["name"]: row["values"][0]["mean"] for row in main["rows"]}
    assert set(measured) == {
        "Rec. loss", "OC-SVM", "OC-SVM, Nyström", "k nearest neighbours", "Gaussian mixture", "Luo et al.",
        "Abati et al.", "Liu et al.", "Morais et al.", "Ours",
    }  # fmt: skip
    assert all(0 < auc < 1 for auc in measured.values())
    counts = {(r["backtracked_frames"], r["backtracked_abnormal"]) for r in table(out, "table1")["results"]}
    assert len(counts) == 1
    assert {row["name"]: row["values"][0]["mean"] for row in paper["rows"]}["Ours"] == 0.752


@pytest.mark.slow
def test_the_ablation_has_a_row_for_each_part_that_is_left_out(cli, tmp_path):
    out = tmp_path / "out"
    result = cli("experiment", "ablation", "--out", out, "--quiet", *STREET, "--seeds", 0)
    assert result.code == 0, result.err
    main, *_ = table(out, "ablation")["tables"]
    rows = {row["name"]: row["values"][0]["mean"] for row in main["rows"]}
    assert (
        rows["spatial operator: A + B + C"] == rows["clustering: k-means start, DEC"]
    )  # both are the config
    assert len(set(rows.values())) > 7
    models = len(list((out / "models").iterdir()))
    assert models < len(rows)  # what is trained alike is trained once


@pytest.mark.slow
def test_the_ablation_of_features_is_a_config_and_needs_no_data(cli, tmp_path):
    out = tmp_path / "out"
    small = (
        "--set=experiment.street_size=[160, 90]", "--set=experiment.street_acts=[costumed]", "--set=patches.width=2",
        "--set=patches.epochs=1", "--set=patches.crops=1000", "--set=experiment.street_normal_s=4",
        "--set=experiment.street_test_s=3", "--set=model.encoder=[2, 3]", "--set=model.decoder=[2, 2]",
    )  # fmt: skip
    result = cli(
        "experiment", "ablation", "--config", "ablation-patches", "--out", out, "--quiet", *STREET, *small,
        "--seeds", 0,
    )  # fmt: skip
    assert result.code == 0, result.err
    main, *_ = table(out, "ablation")["tables"]
    rows = {row["name"]: row["values"][0]["mean"] for row in main["rows"]}
    assert list(rows) == [
        f"features: {operator}, {features}"
        for features in ("pose", "patch", "pose+patch")
        for operator in ("GCN", "SAGC")
    ]
    assert len(set(rows.values())) > 4
    assert "SAGC, patch 0.761" in (out / "ablation.md").read_text()


def start(out, *options):
    command = [sys.executable, "-m", "pipeline.cli", "experiment", "table2", "--out", str(out), "--quiet"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        [*command, *QUICK, *options],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


SEVERAL = ("--seeds", "0", "--splits", "gait", "--methods", "reconstruction", "knn", "ours")


def finished(process, timeout=300):
    said, _ = process.communicate(timeout=timeout)
    assert process.returncode == 0, said
    assert "Traceback" not in said


@pytest.mark.slow
def test_killed_at_a_random_moment_and_started_again_it_gives_the_same_table(tmp_path):
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    begin = time.monotonic()
    finished(start(whole, *SEVERAL))
    took = time.monotonic() - begin
    process = start(cut, *SEVERAL, "--processes", "2")
    time.sleep(random.uniform(0.3, 0.9) * took)
    workers = psutil.Process(process.pid).children(recursive=True)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    _, alive = psutil.wait_procs(workers, timeout=10)
    assert not alive  # they end with their parent
    elsewhere = (
        ("--ray",) if importlib.util.find_spec("ray") else ()
    )  # a cluster goes on where processes were
    finished(start(cut, *SEVERAL, "--processes", "2", *elsewhere))
    assert (cut / "table2.md").read_text() == (whole / "table2.md").read_text()
    assert (cut / "table2.csv").read_text() == (whole / "table2.csv").read_text()


@pytest.mark.slow
def test_two_commands_on_one_folder_share_the_work(tmp_path):
    out = tmp_path / "out"
    both = [start(out, *SEVERAL, "--processes", "1") for _ in range(2)]
    for process in both:
        finished(process)
    results = table(out)["results"]
    assert len(results) == 2 * 3
    assert len(list((out / "cells").glob("*.json"))) == len(results)


@pytest.mark.parametrize(
    ("options", "code", "said"),
    [
        (("table2", "--methods", "magic"), 3, "experiment.methods: expected one of"),
        (("table2", "--splits", "gate"), 2, "no split 'gate'"),
        (("table2", "--config", "ntu"), 2, "say where your copy of NTU RGB+D lies"),
        (("table2", "--config", "shanghaitech"), 2, "no clips of actions"),
        (("table1", "--config", "ntu"), 2, "experiment table2"),
        (("table1", "--methods", "classifier-max"), 2, "classifier-max: it learns from the actions of clips"),
        (("table1", "--methods", "ours-clustering"), 2, "--set scoring.by=clustering"),
        (("table1", "--splits", "gait"), 2, "--splits: table1 has no splits"),
        (("ablation", "--methods", "knn"), 2, "--methods: ablation has no methods"),
        (("ablation", "--config", "actions"), 2, "windows.extent sliding"),
        (("table2", "--seeds", "1", "1"), 3, "expected each once"),
        (
            ("table2", "--set=windows.extent=sliding", "--set=scoring.parts=[clustering]"),
            2,
            "windows.extent clip",
        ),
    ],
)
def test_what_cannot_be_measured_is_said_at_once(cli, tmp_path, options, code, said):
    result = cli("experiment", *options, "--out", tmp_path / "out", "--workspace", tmp_path / "w", "--quiet")
    assert (result.code, said in result.err) == (code, True), result.err


def test_a_method_that_fails_is_said_and_the_exit_code_tells(cli, tmp_path):
    result = cli(
        "experiment", "table2", "--out", tmp_path / "out", "--quiet", *QUICK, *ONE,
        "--methods", "ours", "mped-rnn", "--set=clustering.clusters=90",
    )  # fmt: skip
    assert result.code == 8
    assert "failed: few-vs-many, gait, seed 0, ours: too little to train on" in result.out
    rows = {row["name"]: row["values"][0]["mean"] for row in table(tmp_path / "out")["tables"][0]["rows"]}
    assert rows["Ours"] is None
    assert rows["Morais et al."] is not None
