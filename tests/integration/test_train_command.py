import csv
import os
import shutil
import signal
import subprocess
import sys
import time

import pytest

from anomaly.bundle import load_bundle
from anomaly.bundle.card import read_card
from anomaly.training.checkpoint import CHECKPOINT

OPTIONS = (
    "--set=training.pretrain_epochs=40",
    "--set=training.finetune_epochs=1",
    "--set=training.batch_size=64",
    "--set=training.all_transforms=false",
    "--set=clustering.clusters=4",
    "--set=normality.components=3",
    "--set=model.width=2",
    "--set=model.encoder=[2]",
    "--set=model.strides=[6]",
    "--set=model.decoder=[2]",
    "--set=model.upsampling=[6]",
    "--set=windows.train_stride=12",
    "--set=windows.score_stride=4",
    "--set=densities.components=3",
    "--set=densities.pose_components=2",
    "--set=densities.predictor_epochs=2",
    "--set=densities.pretext_epochs=1",
    "--device=cpu",
)


SHORT = tuple(option.replace("pretrain_epochs=40", "pretrain_epochs=2") for option in OPTIONS)


def command(*before, options=OPTIONS):
    return [sys.executable, *before, "-m", "pipeline.cli", "train", *options]


@pytest.fixture
def untrained(truth_workspace, tmp_path):
    """A workspace with tracks and no model."""
    shutil.copytree(truth_workspace, tmp_path / "workspace")
    for folder in ("model", "training"):
        shutil.rmtree(tmp_path / "workspace" / folder, ignore_errors=True)
    return tmp_path / "workspace"


def run(words, root):
    return subprocess.run(
        [*words, "--workspace", str(root)], capture_output=True, text=True, timeout=300, env=environment()
    )


def heed_interrupts():
    """Jobs that a shell has put into the background ignore them, and hand that on to what they start."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


def environment():
    return {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(sys.path)}


@pytest.mark.slow
def test_an_interrupted_training_goes_on_when_it_is_started_again(untrained):
    checkpoint = untrained / "training" / CHECKPOINT
    with subprocess.Popen(
        [*command(), "--workspace", str(untrained)],
        stderr=subprocess.PIPE,
        text=True,
        env=environment(),
        preexec_fn=heed_interrupts,
    ) as child:
        while not checkpoint.exists() and child.poll() is None:
            time.sleep(0.01)
        child.send_signal(signal.SIGINT)
        said = child.communicate()[1]
    assert child.returncode == 130
    assert "interrupted" in said
    assert "start the same command again" in said
    assert "Traceback" not in said
    assert not (untrained / "model").exists()

    again = run(command(), untrained)
    assert again.returncode == 0, again.stderr
    assert "going on after epoch" in again.stderr
    assert not checkpoint.exists()
    with open(untrained / "training" / "curves.csv") as file:
        rows = [(row["stage"], row["epoch"]) for row in csv.DictReader(file)]
    assert rows == [*(("pretrain", str(e)) for e in range(1, 41)), ("finetune", "1"), ("end", "1")]


@pytest.mark.slow
def test_processes_that_torchrun_starts_make_one_model(untrained):
    words = command("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", options=SHORT)
    done = run(words, untrained)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("model is in") == 1
    assert load_bundle(untrained / "model").facts["windows"] > 0


def test_fresh_ignores_what_an_earlier_run_left(untrained, cli, caplog):
    (untrained / "training").mkdir()
    (untrained / "training" / CHECKPOINT).write_bytes(b"not a checkpoint")
    assert cli("train", "--workspace", untrained, "--fresh", "--jobs", 1, *SHORT).code == 0
    assert read_card(untrained / "model")["threads"] == 1
    assert "is damaged" not in caplog.text
    assert not (untrained / "training" / CHECKPOINT).exists()
