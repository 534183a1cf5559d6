import csv
import dataclasses

import numpy as np
import pytest

from benchmarks import forms
from benchmarks.forms import Amount, Cells, fill, main, table
from benchmarks.helpers.forms_list import BASES, DEFAULT, FORMS, PAPERS, Form
from benchmarks.helpers.forms_training import Shared
from pipeline.settings import load_settings

AMOUNT = Amount(normal_clips=3, normal_seconds=8.0, test_clips=1, test_seconds=6.0, behaviours=("running",))
SHORT = {
    "training.pretrain_epochs": 1, "training.finetune_epochs": 1, "clustering.kmeans_starts": 1,
    "windows.score_stride": 4, "clustering.clusters": 4, "normality.components": 3,
}  # fmt: skip


def test_every_form_has_a_name_of_its_own_and_valid_settings():
    assert len({form.title for form in FORMS}) == len(FORMS)
    for form in FORMS:
        assert form.settings.model.width >= 1


def test_the_bases_are_the_products_default_and_the_papers_form():
    default, papers, published = DEFAULT.settings, PAPERS.settings, load_settings("paper")
    assert dataclasses.replace(default.windows, score_stride=1) == load_settings("clustering").windows
    assert default.clustering == load_settings("clustering").clustering
    assert papers.model == default.model
    assert papers.clustering == published.clustering
    assert dataclasses.replace(papers.scoring, smoothing_s=0) == dataclasses.replace(
        published.scoring, smoothing_s=0
    )


def test_cells_are_measured_once_and_what_is_missing_later(tmp_path, monkeypatch):
    asked = []

    class Fake:
        def __init__(self, normal, tests, seed):
            self.tests = tests

        def keys(self, settings):
            return ("", "", settings.normality.form)

        def score(self, settings):
            asked.append(settings.normality.form)
            return [np.arange(t.frame_count) % 7 for t in self.tests], {"clusters_used": 3.0}

    monkeypatch.setattr(forms, "Shared", Fake)
    cells = Cells(tmp_path, AMOUNT)
    two = [Form(name, "clustering", {"normality.form": name}) for name in ("gaussian", "dirichlet")]
    fill(cells, two[:1], 0, str)
    fill(cells, two, 0, str)
    assert asked == ["gaussian", "dirichlet"]
    cell = cells.get(two[0], 0)
    assert cell["clusters_used"] == 3.0
    assert 0 <= cell["running"] <= 1
    assert cells.get(two[0], 1) is None
    assert Cells(tmp_path, dataclasses.replace(AMOUNT, test_clips=2)).get(two[0], 0) is None


def test_the_table_has_means_deviations_and_differences_on_the_same_streets(tmp_path):
    cells = Cells(tmp_path, AMOUNT)
    other = Form("other", "clustering", {"clustering.clusters": 5})
    for form, seed, auc in ((DEFAULT, 0, 0.8), (DEFAULT, 1, 0.6), (other, 0, 0.9), (other, 1, 0.7)):
        cells.save(form, seed, {"micro_auc": auc, "macro_auc": auc, "ap": auc, "eer": 1 - auc})
    lines = table(cells, [DEFAULT, other, PAPERS], [0, 1])
    assert len(lines) == 4  # nothing is said of what was not measured
    assert "0.700 ± 0.141" in lines[2]
    assert lines[3].startswith("| clustering: other | 0.800 ± 0.141 |")
    assert lines[3].endswith("| +0.100 ± 0.000 |")
    assert "(3 seeds)" not in lines[3]
    assert "(2 seeds)" in table(cells, [other], [0, 1, 2])[2]


def test_the_command_prints_what_was_measured_and_writes_it(tmp_path, capsys):
    cells = Cells(tmp_path / "cells", forms.LITTLE)
    for seed in (0, 100):
        figures = {"micro_auc": 0.75, "macro_auc": 0.7, "ap": 0.6, "eer": 0.3}
        cells.save(DEFAULT, seed, figures | dict.fromkeys(forms.LITTLE.behaviours, 0.5))
    arguments = ["--quick", "--print", "--seeds", "1", "--cache", str(tmp_path / "cells")]
    assert main([*arguments, "--csv", str(tmp_path / "out" / "forms.csv")]) == 0
    said = capsys.readouterr().out
    assert "| clustering: configs/clustering.yaml | 0.750 |" in said
    assert "forms_clustering_micro_auc = 0.750" in said
    rows = list(csv.DictReader((tmp_path / "out" / "forms.csv").open()))
    assert [(r["form"], r["seed"], r["micro_auc"]) for r in rows] == [
        ("configs/clustering.yaml", "0", "0.75"), ("configs/clustering.yaml", "100", "0.75"),
    ]  # fmt: skip


@pytest.mark.slow
def test_forms_that_share_their_training_score_as_if_each_were_trained_alone():
    street = forms.Street(5, AMOUNT)
    tests = [test.tracks for test in street.tests]
    some = [
        Form("a", "clustering", SHORT),
        Form("b", "clustering", {**SHORT, "normality.form": "gaussian"}),
        Form("c", "clustering", {**SHORT, "clustering.target": "batch"}),
        Form("d", "clustering", {**SHORT, "scoring.by": "both"}),
    ]
    shared = Shared(street.normal, tests, 5)
    together = {form.name: shared.score(form.settings)[0] for form in some}
    for form in some[1:]:
        alone, _ = Shared(street.normal, tests, 5).score(form.settings)
        for a, b in zip(alone, together[form.name], strict=True):
            np.testing.assert_allclose(a, b)
    figures = forms.measure(together["a"], street.tests)
    assert figures["micro_auc"] == pytest.approx(figures["running"])


def test_each_base_is_in_the_table():
    assert all(form in FORMS for form in BASES.values())
