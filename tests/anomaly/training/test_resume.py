import csv
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors import safe_open

from anomaly.runtime.processors import on_processors
from anomaly.runtime.seeding import seeded
from anomaly.scoring.scores import score_clip
from anomaly.settings import settings_from_dict, settings_to_dict
from anomaly.training.checkpoint import CHECKPOINT, fingerprint, remove_checkpoint
from anomaly.training.curves import CURVES
from anomaly.training.train import train_model
from pose_extract.errors import OutputError
from tests.helpers import walkers

PRETRAIN, FINETUNE = 3, 4


class Killed(Exception):
    pass


def killer(stage, epoch):
    """Progress that ends training when an epoch of a stage is finished, as a kill then would."""

    def tell(told, done, total, facts):
        if (told, done) == (stage, epoch):
            raise Killed

    return tell


@pytest.fixture(scope="module")
def settings():
    return settings_from_dict(
        {
            "windows": {"train_stride": 4, "scale": "body"},
            "model": {
                "width": 4, "encoder": [2], "strides": [6], "decoder": [2], "upsampling": [6], "temporal_kernel": 3,
                "adjacencies": ["static", "global"],
            },
            "training": {
                "transforms": ["identity", "mirror"], "batch_size": 64, "pretrain_epochs": PRETRAIN,
                "finetune_epochs": FINETUNE,
            },
            "clustering": {"clusters": 5, "bias": True, "temperature": 0, "kmeans_starts": 1, "stop_after": 10},
            "normality": {"components": 3, "every": 1},
        }
    )  # fmt: skip


@pytest.fixture(scope="module")
def clips():
    return [walkers.clip(f"walk{i}", seed=i) for i in range(2)]


@pytest.fixture(scope="module")
def other():
    """A clip to score."""
    return walkers.clip(seed=9, kinds=("walk", "jump"))


@pytest.fixture(scope="module")
def unbroken(clips, settings):
    return train_model(clips, settings, seed=4)


def everything(model, other):
    """Scores of another clip, calibration and weights as one list of arrays."""
    weights = [t.numpy() for t in model.network.state_dict().values()]
    return [score_clip(model, other).frames.score, model.calibration.frames, model.calibration.rows, *weights]


def same(a, b, other):
    return all(
        np.array_equal(p, q, equal_nan=True)
        for p, q in zip(everything(a, other), everything(b, other), strict=True)
    )


def test_a_training_cut_off_after_any_epoch_ends_with_the_same_scores(
    clips, settings, unbroken, other, tmp_path, caplog
):
    caplog.set_level("INFO")
    moments = [("pretrain", 1), ("pretrain", PRETRAIN), ("kmeans", 1)]
    moments += [("finetune", epoch) for epoch in range(1, FINETUNE + 1)]
    for moment in moments:  # one run that is cut off after another, and goes on after each
        with pytest.raises(Killed):
            train_model(clips, settings, 4, progress=killer(*moment), folder=tmp_path)
    told = []
    resumed = train_model(clips, settings, 4, progress=lambda *what: told.append(what[:2]), folder=tmp_path)
    assert same(resumed, unbroken, other)
    assert resumed.history == unbroken.history
    assert not {stage for stage, _ in told} & {"pretrain", "kmeans", "finetune"}
    assert f"going on after epoch {PRETRAIN} of pre-training" in caplog.text
    assert "going on after k-means" in caplog.text
    assert "going on after epoch 1 of fine-tuning" in caplog.text


@pytest.mark.parametrize("moment", [("pretrain", 2), ("finetune", 3)])
def test_a_training_cut_off_once_ends_with_the_same_scores(
    clips, settings, unbroken, other, tmp_path, moment
):
    with pytest.raises(Killed):
        train_model(clips, settings, 4, progress=killer(*moment), folder=tmp_path)
    assert same(train_model(clips, settings, 4, folder=tmp_path), unbroken, other)


def test_the_curves_have_every_epoch_once_after_a_resume(clips, settings, tmp_path):
    for moment in [("pretrain", 2), ("finetune", 1), ("finetune", 3)]:
        with pytest.raises(Killed):
            train_model(clips, settings, 4, progress=killer(*moment), folder=tmp_path)
    train_model(clips, settings, 4, folder=tmp_path)
    with open(tmp_path / CURVES) as file:
        rows = list(csv.DictReader(file))
    assert [(r["stage"], int(r["epoch"])) for r in rows] == [
        *(("pretrain", e + 1) for e in range(PRETRAIN)),
        *(("finetune", e + 1) for e in range(FINETUNE)),
        ("end", FINETUNE),
    ]
    assert all(float(r["loss_rec"]) > 0 and float(r["learning_rate"]) > 0 for r in rows[:-1])
    refreshed = [r for r in rows if r["cluster_1"]]
    assert [r["epoch"] for r in refreshed] == ["1", "3", str(FINETUNE)]
    for row in refreshed:
        assert sum(float(row[f"cluster_{k}"]) for k in range(1, 6)) == pytest.approx(1)


@pytest.fixture(scope="module")
def left(clips, settings, tmp_path_factory):
    """What a training that was cut off after its first epoch of fine-tuning leaves."""
    folder = tmp_path_factory.mktemp("left")
    with pytest.raises(Killed):
        train_model(clips, settings, 4, progress=killer("finetune", 1), folder=folder)
    return folder


@pytest.fixture
def folder(left, tmp_path):
    return shutil.copytree(left, tmp_path / "training")


def first_epoch(clips, settings, folder, seed=4):
    """The stage and number of the first epoch that a training does."""
    told = []

    def tell(stage, done, total, facts):
        if stage in ("pretrain", "finetune"):
            told.append((stage, done))
            raise Killed

    with pytest.raises(Killed):
        train_model(clips, settings, seed, progress=tell, folder=folder)
    return told[0]


def test_the_same_training_goes_on_with_the_next_epoch(clips, settings, folder):
    assert first_epoch(clips, settings, folder) == ("finetune", 2)


@pytest.mark.parametrize("change", ["seed", "settings", "data", "order of time"])
def test_a_checkpoint_of_another_training_is_not_used(clips, settings, folder, caplog, change):
    caplog.set_level("INFO")
    seed = 5 if change == "seed" else 4
    if change == "settings":
        settings = replace(settings, clustering=replace(settings.clustering, weight=0.3))
    if change == "data":
        clips = [*clips[:1], walkers.clip("walk1", seed=7)]
    if change == "order of time":
        clips = [clips[1], clips[0]]
    assert first_epoch(clips, settings, folder, seed) == ("pretrain", 1)
    assert "other settings, data, threads or program version" in caplog.text


def test_a_checkpoint_of_another_number_of_threads_is_of_another_training(clips, settings):
    # They add floats in another order: gone on with, the model would be neither's.
    with on_processors(1):
        one = fingerprint(settings, 4, "cpu", clips)
        assert fingerprint(settings, 4, "cpu", clips) == one
    with on_processors(2):
        assert fingerprint(settings, 4, "cpu", clips) != one
        of_gpu = fingerprint(settings, 4, "cuda", clips)
    with on_processors(1):
        assert fingerprint(settings, 4, "cuda", clips) == of_gpu


@pytest.mark.parametrize("damage", ["cut", "flipped", "text", "empty"])
def test_a_damaged_checkpoint_is_reported_and_ignored(clips, settings, folder, caplog, damage):
    path = folder / CHECKPOINT
    content = bytearray(path.read_bytes())
    if damage == "flipped":
        content[-1000] ^= 1
    path.write_bytes(
        {"cut": content[: len(content) // 2], "text": b"hello", "empty": b"\0" * 9}.get(damage, content)
    )
    assert first_epoch(clips, settings, folder) == ("pretrain", 1)
    assert "is damaged" in caplog.text


def test_a_checkpoint_holds_nothing_but_tensors_and_json(folder):
    with safe_open(folder / CHECKPOINT, "pt") as file:
        metadata = file.metadata()
        names = set(file.keys())
    assert json.loads(metadata["facts"])["epoch"] == 1
    assert {"target", "labels", "generator.cpu", "network.clustering.theta", "adam.0.exp_avg"} <= names
    remove_checkpoint(folder)
    assert not (folder / CHECKPOINT).exists()
    assert (folder / CURVES).exists()


def test_a_full_disk_is_said_and_leaves_the_last_checkpoint_intact(
    clips, settings, folder, monkeypatch, unbroken, other
):
    import pose_extract.tracks.cache as cache

    before = (folder / CHECKPOINT).read_bytes()

    def full(descriptor):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(cache.os, "fsync", full)
        with pytest.raises(OutputError, match=r"disk is full.*finished before is kept"):
            train_model(clips, settings, 4, folder=folder)
    assert (folder / CHECKPOINT).read_bytes() == before
    assert not list(folder.glob(".*partial"))
    assert same(train_model(clips, settings, 4, folder=folder), unbroken, other)


def test_each_process_takes_up_its_own_generator_state(monkeypatch):
    import anomaly.training.run as run

    with seeded(0, "cpu"):
        states = []
        for seed in (1, 2):
            torch.manual_seed(seed)
            states.append(torch.get_rng_state())
        expected = torch.rand(3)
        monkeypatch.setattr(run, "rank", lambda: 1)
        run._restore_generators({"generator.cpu": torch.stack(states)}, "cpu")
        assert torch.equal(torch.rand(3), expected)


_CHILD = """
import json, sys
from tests.helpers import walkers
from pathlib import Path
from anomaly.scoring.scores import score_clip
from anomaly.settings.model import settings_from_dict
from anomaly.training.train import train_model
clips = [walkers.clip(f"walk{i}", seed=i) for i in range(2)]
settings = settings_from_dict(json.loads(sys.argv[1]))
train_model(clips, settings, 4, folder=Path(sys.argv[2]), progress=lambda *what: print(*what[:2], flush=True))
"""


@pytest.mark.slow
@pytest.mark.parametrize("moment", ["pretrain 2", "finetune 2"])
def test_a_process_killed_in_training_leaves_what_the_next_one_goes_on_with(
    clips, settings, unbroken, other, tmp_path, caplog, moment
):
    caplog.set_level("INFO")
    command = [sys.executable, "-c", _CHILD, json.dumps(settings_to_dict(settings)), str(tmp_path)]
    path = os.pathsep.join(sys.path)
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": path}
    ) as child:
        for line in child.stdout:
            if line.strip() == moment:
                time.sleep(0.1)  # some way into the next epoch, or into the writing of its checkpoint
                child.send_signal(signal.SIGKILL)
                break
    assert child.returncode == -signal.SIGKILL
    assert same(train_model(clips, settings, 4, folder=tmp_path), unbroken, other)
    assert "going on after epoch" in caplog.text
