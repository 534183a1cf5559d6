import csv

import pytest

from anomaly.training.curves import CURVES, TENSORBOARD, Curves

HISTORY = [
    {"stage": "pretrain", "epoch": 1, "loss_rec": 0.5, "learning_rate": 1e-3, "seconds": 1.5},
    {
        "stage": "finetune", "epoch": 1, "loss_rec": 0.4, "loss_cluster": 0.2, "learning_rate": 1e-4, "changed": 0.25,
        "clusters_used": 1.9, "largest": 0.75, "saturated": 0.0, "occupancy": [0.75, 0.25], "seconds": 2.0,
    },
    {"stage": "finetune", "epoch": 2, "loss_rec": 0.3, "loss_cluster": 0.1, "learning_rate": 1e-4, "seconds": 2.0},
]  # fmt: skip


def events(folder):
    """{tag: [(step, value)]} of all TensorBoard files in a folder."""
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    found = EventAccumulator(str(folder)).Reload()
    return {tag: [(e.step, e.value) for e in found.Scalars(tag)] for tag in found.Tags()["scalars"]}


def test_the_csv_has_a_row_an_epoch_and_a_column_a_cluster(tmp_path):
    Curves(tmp_path, 2).write(HISTORY)
    with open(tmp_path / CURVES) as file:
        rows = list(csv.DictReader(file))
    assert [(row["stage"], row["epoch"], row["loss_rec"]) for row in rows] == [
        ("pretrain", "1", "0.5"), ("finetune", "1", "0.4"), ("finetune", "2", "0.3"),
    ]  # fmt: skip
    assert (rows[1]["changed"], rows[1]["cluster_1"], rows[1]["cluster_2"]) == ("0.25", "0.75", "0.25")
    assert (rows[0]["loss_cluster"], rows[2]["cluster_1"]) == ("", "")


def test_tensorboard_shows_every_epoch_once_whatever_run_wrote_it(tmp_path):
    first = Curves(tmp_path, 2)
    for count in (1, 2):
        first.write(HISTORY[:count])
    second = Curves(tmp_path, 2)  # goes on where the first was killed
    for count in (2, 3):
        second.write(HISTORY[:count])
    second.close()
    shown = events(tmp_path / TENSORBOARD)
    assert shown["finetune/loss_rec"] == [(1, pytest.approx(0.4)), (2, pytest.approx(0.3))]
    assert shown["pretrain/learning_rate"] == [(1, pytest.approx(1e-3))]
    assert shown["occupancy/cluster_1"] == [(1, 0.75)]


def test_without_tensorboard_there_is_the_csv(tmp_path, monkeypatch):
    monkeypatch.setattr("anomaly.training.curves.find_spec", lambda name: None)
    Curves(tmp_path, 2).write(HISTORY)
    assert (tmp_path / CURVES).exists()
    assert not (tmp_path / TENSORBOARD).exists()


def test_without_a_folder_nothing_is_written(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Curves(None, 2).write(HISTORY)
    assert not list(tmp_path.iterdir())
