"""What an ablation tries, and its tables."""

from __future__ import annotations

import csv
import dataclasses
import json
from types import SimpleNamespace

import numpy as np
import pytest

from anomaly.evaluation.figures import Figures
from pipeline.evaluation import ablate as module
from pipeline.evaluation.ablate import (
    Cell,
    CellResult,
    Factor,
    evaluated,
    make_cells,
    parse_factor,
    trained,
)
from pipeline.evaluation.ablation_report import markdown, print_table, write_tables
from pipeline.evaluation.evaluate import EvaluationSettings
from pipeline.evaluation.labelled import LabelledClips
from pipeline.settings import load_config, load_settings
from pipeline.workspace import Workspace
from pose_extract.errors import ConfigError, UsageError


def test_values_are_lists_of_yaml_with_brackets_kept_together():
    assert parse_factor("clustering.clusters=8,16") == Factor("clustering.clusters", (8, 16))
    adjacencies = parse_factor("model.adjacencies=[static],[static,global]")
    assert adjacencies.values == (["static"], ["static", "global"])
    assert parse_factor("clustering.bias=true,false").values == (True, False)
    assert parse_factor("training.finetune_rate=1.0e-3").values == (0.001,)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("clustering.clusters", "section.key=value"),
        ("clusters=8", "section.key=value"),
        ("clustering.clusters=", "at least one value"),
        ("model.adjacencies=[static", "--vary"),
        ("model.adjacencies=static],[global", "--vary"),
        ("tracking.tracker=ocsort", "share the same tracks"),
        ("dataset.root=x", "share the same tracks"),
        ("training.batch_size=2024-05-12", "expected numbers, texts and lists"),
        ("training.batch_size=!!binary aGVsbG8=", "expected numbers, texts and lists"),
        ("training.batch_size=&a [*a]", "expected numbers, texts and lists"),
    ],
)
def test_what_cannot_be_varied_is_an_error(text, said):
    with pytest.raises(UsageError, match=said):
        parse_factor(text)


def cells_of(*texts, grid=False):
    return make_cells(load_config("default"), [parse_factor(t) for t in texts], grid)


def test_one_factor_at_a_time_leaves_the_others_as_in_the_base():
    cells = cells_of("clustering.clusters=8,16", "model.adjacencies=[static]")
    base = load_settings("default")
    assert [c.name for c in cells] == [
        "base",
        "clustering.clusters=8",
        "clustering.clusters=16",
        "model.adjacencies=[static]",
    ]
    assert cells[0].settings == base
    assert cells[2].settings.clustering == dataclasses.replace(base.clustering, clusters=16)
    assert cells[2].settings.model == base.model
    assert cells[3].settings.model.adjacencies == ("static",)
    assert cells[3].settings.clustering == base.clustering


def test_without_factors_there_is_the_base():
    assert [c.name for c in cells_of()] == ["base"]
    assert [c.name for c in cells_of(grid=True)] == ["base"]


def test_values_that_the_base_has_are_no_cells_of_their_own():
    base = load_settings("default")
    cells = cells_of(f"clustering.clusters=8,{base.clustering.clusters}", "scoring.by=sum")
    assert [c.name for c in cells] == [
        f"base (clustering.clusters={base.clustering.clusters}, scoring.by=sum)",
        "clustering.clusters=8",
    ]


def test_a_grid_has_every_value_with_every_other():
    cells = cells_of("clustering.clusters=8,16", "model.width=2,3,5", grid=True)
    found = {(c.settings.clustering.clusters, c.settings.model.width) for c in cells}
    assert found == {(k, w) for k in (8, 16) for w in (2, 3, 5)}
    assert cells[0].name == "clustering.clusters=8, model.width=2"
    assert len(cells) == 6


def test_every_cell_is_checked_before_anything_is_trained():
    with pytest.raises(ConfigError, match="clusters"):
        cells_of("clustering.clusters=8,1")
    with pytest.raises(ConfigError, match="did you mean 'clusters'"):
        cells_of("clustering.cluster=8")
    with pytest.raises(ConfigError, match="strides"):  # windows that the network cannot halve
        cells_of("windows.frames=12,13")


def test_too_many_cells_and_doubled_factors_are_errors():
    with pytest.raises(UsageError, match="1000 cells"):
        cells_of(
            *(f"{k}={','.join(map(str, range(5, 55)))}" for k in ("clustering.clusters", "model.width")),
            grid=True,
        )
    with pytest.raises(UsageError, match="once"):
        cells_of("model.width=2", "model.width=3")


def figures_of(auc):
    values = {f.name: 1.0 for f in dataclasses.fields(Figures)}
    return Figures(**{**values, "auc_micro": auc, "auc_macro": np.nan})


@pytest.fixture
def results():
    settings = load_settings("default")
    worked = {mode: [figures_of(0.7), figures_of(0.8)] for mode in ("backtracked", "online")}
    return [
        CellResult(Cell("base", (), settings), worked, {}),
        CellResult(Cell("a|b", ("x.y=1",), settings), {}, {0: "too little video", 1: "no"}),
    ]


def test_tables_hold_mean_and_deviation_and_what_failed(results, tmp_path, capsys):
    write_tables(tmp_path, results, "heading", {"seeds": [0, 1]})
    text = (tmp_path / "ablation.md").read_text()
    assert text == markdown(results, "heading")
    assert "| base | 2 | 0.750 ± 0.071 |" in text
    assert "| a\\|b | 0 | failed |" in text
    assert "AUC macro" not in text  # there is no number for it
    rows = list(csv.DictReader((tmp_path / "ablation.csv").open(newline="")))
    assert float(rows[0]["online_auc_micro_mean"]) == pytest.approx(0.75)
    assert float(rows[0]["online_auc_micro_deviation"]) == pytest.approx(0.0707107)
    assert rows[1]["online_auc_micro_mean"] == ""
    data = json.loads((tmp_path / "ablation.json").read_text())
    assert data["seeds"] == [0, 1]
    assert data["cells"][0]["figures"]["online"]["auc_micro"]["mean"] == pytest.approx(0.75)
    assert [f["auc_micro"] for f in data["cells"][0]["seeds"]["online"]] == [0.7, 0.8]
    assert data["cells"][1]["failed"] == {"0": "too little video", "1": "no"}
    print_table(results, "heading")
    out = capsys.readouterr().out
    assert "0.750 ± 0.071" in out
    assert max(map(len, out.splitlines())) <= 80


def test_what_is_fixed_in_training_makes_another_model_and_what_is_not_makes_none(tmp_path, monkeypatch):
    seen = []
    monkeypatch.setattr(
        module, "train", lambda workspace, settings, **options: seen.append(settings.scoring) or None
    )
    workspace = Workspace(tmp_path / "workspace")

    def folder_of(text):
        settings = load_settings("default", [text])
        return trained(workspace, settings, 0, tmp_path / "out")

    base = folder_of("scoring.by=sum")
    assert folder_of("scoring.tail=linear") == base
    assert folder_of("calibration.false_alarm_rate=0.01") == base
    assert folder_of("calibration.alarms_per_day=24") == base
    others = {
        folder_of(t)
        for t in ("scoring.parts=[clustering]", "scoring.weights=equal", "scoring.surroundings=[]")
    }
    assert len(others | {base}) == 4


def test_a_model_is_scored_with_the_cell_s_own_alarms_and_events(tmp_path, monkeypatch):
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "card.json").write_text("{}")
    asked = []

    def evaluate_model(folder, clips, evaluation, overrides, *rest):
        asked.append(overrides)
        return SimpleNamespace(figures={})

    monkeypatch.setattr(module, "evaluate_model", evaluate_model)
    clips = LabelledClips({}, {}, {})
    cells = (
        "events.min_s=0.2",
        "events.min_s=3",
        "calibration.alarms_per_day=24",
        "calibration.alarms_per_day=48",
    )
    for text in (*cells, *cells):
        evaluated(tmp_path, load_settings("default", [text]), clips, EvaluationSettings())
    assert len(asked) == 4  # each once
    assert "events.min_s=3" in asked[1] or "events.min_s=3.0" in asked[1]
    assert "calibration.alarms_per_day=null" in asked[0]
    assert "calibration.alarms_per_day=24" in asked[2] or "calibration.alarms_per_day=24.0" in asked[2]
    monkeypatch.setattr(module, "versions", lambda: {"gepc-pipeline": "99"})
    evaluated(tmp_path, load_settings("default", [cells[0]]), clips, EvaluationSettings())
    assert len(asked) == 5  # another version may come to other figures


def test_tables_of_paths_that_are_no_text_are_written(results, tmp_path):
    write_tables(tmp_path, results, "heading", {"inputs": {"masks": "/m\udcff"}})
    assert json.loads((tmp_path / "ablation.json").read_bytes())["inputs"]["masks"] == "/m\udcff"
