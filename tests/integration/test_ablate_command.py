"""`gepc-pipeline ablate` on the synthetic street's exact joints."""

from __future__ import annotations

import json

import numpy as np
import pytest

from pipeline.synthetic.clips import simulate_clip
from pipeline.synthetic.street.scene import StreetSettings
from pose_extract.tracks.cache import save_tracks
from tests.helpers.commands import TINY


@pytest.fixture
def ablate(cli, truth_workspace, tmp_path):
    (tmp_path / "masks").mkdir()
    clip = simulate_clip("01_0001", 300, StreetSettings(seconds=5), ("running",))
    save_tracks(tmp_path / "tracks" / f"{clip.name}.npz", clip.truth)
    np.save(tmp_path / "masks" / f"{clip.name}.npy", clip.labels)

    def run(*options):
        return cli(
            "ablate", "--workspace", truth_workspace, "--tracks", tmp_path / "tracks", "--masks", tmp_path / "masks",
            "--out", tmp_path / "out", "--device", "cpu", "--quiet", *TINY, "--set=training.all_transforms=false",
            *options,
        )  # fmt: skip

    run.out = tmp_path / "out"
    return run


def table(ablate):
    return json.loads((ablate.out / "ablation.json").read_text())


def models(ablate):
    return {p: p.stat().st_mtime_ns for p in (ablate.out / "models").glob("*/model/weights.safetensors")}


def test_every_cell_and_seed_is_trained_once_evaluated_and_tabulated(ablate, monkeypatch):
    options = ("--vary", "clustering.clusters=4", "--vary", "scoring.tail=linear", "--seeds", 0, 1)
    result = ablate(*options)
    assert result.code == 0, result.err
    cells = table(ablate)["cells"]
    assert [c["name"] for c in cells] == ["base (clustering.clusters=4)", "scoring.tail=linear"]
    assert all(len(c["seeds"]["backtracked"]) == 2 for c in cells)
    assert all(0 <= c["figures"]["online"]["auc_micro"]["mean"] <= 1 for c in cells)
    trained = models(ablate)
    assert len(trained) == 2  # another way of scoring needs no other model
    before = table(ablate)

    def refuse(*args, **options):
        raise AssertionError("a finished cell is trained or evaluated again")

    with monkeypatch.context() as patch:
        patch.setattr("pipeline.evaluation.ablate.train", refuse)
        patch.setattr("pipeline.evaluation.ablate.evaluate_model", refuse)
        assert ablate(*options).code == 0
    assert models(ablate) == trained
    assert table(ablate) == before
    assert ablate(*options, "--protocol", "legacy").code == 0  # evaluated anew, from the same models
    assert models(ablate) == trained
    assert table(ablate)["protocol"] == "legacy"


def test_a_run_that_was_cut_off_goes_on_with_what_is_missing(ablate, monkeypatch):
    from pipeline.training import train

    started = []

    def interrupted(workspace, settings, **options):
        started.append(settings.clustering.clusters)
        if len(started) == 2:
            raise KeyboardInterrupt
        return train(workspace, settings, **options)

    with monkeypatch.context() as patch:
        patch.setattr("pipeline.evaluation.ablate.train", interrupted)
        assert ablate("--vary", "clustering.clusters=6").code == 130
    assert started == [4, 6]
    assert len(table(ablate)["cells"]) == 1  # what is finished is tabulated already
    first = models(ablate)
    assert ablate("--vary", "clustering.clusters=6").code == 0
    assert len(table(ablate)["cells"]) == 2
    assert first.items() <= models(ablate).items()


def test_a_cell_that_fails_is_said_and_the_others_go_on(ablate):
    result = ablate("--vary", "normality.components=500")
    names = {c["name"]: c["failed"] for c in table(ablate)["cells"]}
    assert result.code == 8
    assert "failed: normality.components=500, seed 0: too little to train on" in result.out
    assert list(names["normality.components=500"]) == ["0"]
    assert not names[next(iter(names))]


@pytest.mark.slow
def test_a_data_sets_config_is_trained_and_evaluated_on(cli, tmp_path):
    (tmp_path / "data" / "masks").mkdir(parents=True)
    for seed, (name, acts) in enumerate({"train/a": (), "train/b": (), "test/c": ("running",)}.items()):
        clip = simulate_clip(name[-1], 400 + seed, StreetSettings(seconds=8), acts)
        save_tracks(tmp_path / "data" / f"{name}.npz", clip.truth)
    np.save(tmp_path / "data" / "masks" / "c.npy", clip.labels)
    config = tmp_path / "street.yaml"
    config.write_text(
        f"{{_base_: default, dataset: {{name: street, root: {tmp_path / 'data'}, format: gepc, "
        "train: 'train/*.npz', test: 'test/*.npz', labels: masks}}"
    )
    result = cli(
        "ablate", "--config", config, "--workspace", tmp_path / "workspace", "--out", tmp_path / "out",
        "--seeds", 0, 1, "--device", "cpu", "--quiet", *TINY,
    )  # fmt: skip
    assert result.code == 0, result.err
    (base,) = json.loads((tmp_path / "out" / "ablation.json").read_text())["cells"]
    assert base["name"] == "base"
    assert base["figures"]["backtracked"]["clips"]["mean"] == 1
    assert len(base["seeds"]["backtracked"]) == 2


@pytest.mark.parametrize(
    ("options", "code", "said"),
    [
        (("--vary", "clustering.clusters=1"), 3, "clustering.clusters: expected a number 2 to 1000"),
        (("--vary", "video.fps=5"), 2, "share the same tracks"),
        (("--vary", "model.width=2", "--seeds", 1, 1), 2, "different numbers"),
    ],
)
def test_what_cannot_be_tried_is_said_before_anything_is_trained(ablate, options, code, said):
    result = ablate(*options)
    assert (result.code, said in result.err) == (code, True), result.err
    assert not ablate.out.exists()
