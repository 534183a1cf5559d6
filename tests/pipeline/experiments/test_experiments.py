"""Experiments: what is learned from, what is scored, and how it is kept and tabulated."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest

from anomaly.scoring.scores import clip_score
from anomaly.training.train import fit_network
from pipeline.experiments import figure5, published, table2
from pipeline.experiments.data.clip_windows import ClipWindows
from pipeline.experiments.data.splits import Split, pick_splits, random_splits, splits_of_config
from pipeline.experiments.methods.coarse import Coarse, Task, training_clips
from pipeline.experiments.options import OURS, ExperimentOptions
from pipeline.experiments.running import tables
from pipeline.experiments.running.cells import Result, Store
from pipeline.experiments.running.processes import run
from pipeline.experiments.settings import ExperimentSettings, load_experiment
from pipeline.settings import Settings, load_settings
from pipeline.settings.config import OF_EXPERIMENTS
from pose_extract.errors import ConfigError, TrainingError, UsageError
from pose_extract.tracks.cleaning import clean_tracks
from pose_extract.tracks.settings import CleaningSettings
from tests.helpers.stick_actions import SPLIT, TINY, Sticks, experiment, settings, stick_clip


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    """Every method on one cell: the experiment, what they share, and the scores. Not to be changed."""
    folder = tmp_path_factory.mktemp("measured")
    methods = (
        "classifier-max", "classifier-dirichlet", "reconstruction", "ocsvm", "ocsvm-nystroem", "knn", "mixture",
        "mped-rnn", "ours-clustering", "ours",
    )  # fmt: skip
    its = experiment(folder, methods)
    shared = its.begin(its.cells()[0])
    return its, shared, {method: its.scores(shared, method) for method in methods}


def test_every_method_learns_from_the_windows_that_ours_learns_from(measured):
    its, shared, _ = measured
    clips = [
        clean_tracks(c.load(), CleaningSettings())
        for c in training_clips(Sticks().clips(0).train, task_of(its))
    ]
    learned = fit_network(clips, its.settings.for_model(), seed=0)
    np.testing.assert_array_equal(shared.methods.windows.x, learned.data.windows.x)
    held = [clip.clip for clip in learned.held_out]
    assert sorted(clip.name for clip in shared.spared) == sorted(held)
    assert not {clip.name for clip in shared.learned} & set(held)


def task_of(its):
    return next(iter(its.tasks.values()))


def test_a_clip_has_the_score_that_the_product_gives_it(measured):
    _, shared, scores = measured
    model = shared.methods.trained()
    for clip, score in list(zip(shared.tested, scores["ours"], strict=True))[::5]:
        tracks = clean_tracks(clip.load(), CleaningSettings())
        assert clip_score(model, tracks) == pytest.approx(score, rel=1e-6)


def test_every_method_scores_every_test_clip_and_most_tell_actions_apart(measured):
    its, shared, scores = measured
    aucs = {method: its.measure(shared, method)["auc"] for method in scores}
    assert all(np.isfinite(s).all() and s.shape == (20,) for s in scores.values())
    assert aucs["knn"] > 0.8
    assert aucs["ours"] > max(aucs["ours-clustering"], 0.9)
    assert aucs["mped-rnn"] > 0.9
    assert len(set(aucs.values())) > 5


def test_a_clip_is_as_abnormal_as_its_highest_person_and_the_floor_without_people():
    clips = [stick_clip("a", 0, 1, people=2), stick_clip("nobody", 0, 1, people=0), stick_clip("b", 0, 2)]
    windows = ClipWindows.from_clips(clips, settings().windows)
    assert windows.clip.tolist() == [0, 0, 2]
    assert windows.highest(np.array([1.0, 3.0, 2.0]), floor=-7.0).tolist() == [3.0, -7.0, 2.0]


def test_labels_of_training_clips_choose_the_normal_ones_and_change_nothing_else(measured, tmp_path):
    _, _, scores = measured
    names = [clip.name for clip in Sticks().clips(0).train if clip.action in SPLIT.actions]
    shuffled = dict(zip(names, np.random.default_rng(3).permutation([0, 1] * 14).tolist(), strict=True))
    other = experiment(tmp_path, actions=Sticks(shuffled))
    shared = other.begin(other.cells()[0])
    assert [c.action for c in shared.learned] != [c.action for c in measured[1].learned]
    unsupervised = [method for method in scores if not method.startswith("classifier")]
    assert len(unsupervised) == 8
    for method in unsupervised:
        np.testing.assert_array_equal(other.scores(shared, method), scores[method], err_msg=method)
    assert (other.scores(shared, "classifier-max") != scores["classifier-max"]).any()


def test_labels_of_test_clips_change_the_figures_only(measured, tmp_path):
    its, shared, scores = measured
    relabel = {clip.name: 3 - clip.action for clip in shared.tested}
    other = experiment(its.folder, actions=Sticks(relabel))
    theirs = other.begin(other.cells()[0])
    np.testing.assert_array_equal(other.scores(theirs, "knn"), scores["knn"])
    assert other.measure(theirs, "knn")["auc"] == pytest.approx(1 - its.measure(shared, "knn")["auc"])


def test_the_two_directions_exchange_normal_and_abnormal():
    assert SPLIT.is_normal(0, "few-vs-many")
    assert not SPLIT.is_normal(2, "few-vs-many")
    assert SPLIT.is_normal(2, "many-vs-few")
    assert not SPLIT.is_normal(0, "many-vs-few")
    clips = Sticks().clips(0).train
    few = training_clips(clips, Task(SPLIT, "few-vs-many", 0))
    many = training_clips(clips, Task(SPLIT, "many-vs-few", 0))
    assert {c.action for c in few} == {0, 1}
    assert {c.name for c in few} | {c.name for c in many} == {c.name for c in clips}


def test_a_share_of_abnormal_clips_is_mixed_in_and_a_larger_one_has_the_same_and_more():
    clips = Sticks().clips(0).train
    mixed = {s: training_clips(clips, Task(SPLIT, "few-vs-many", 0, s)) for s in (0.0, 0.1, 0.2)}
    odd = {share: {c.name for c in its if c.action not in SPLIT.actions} for share, its in mixed.items()}
    assert [len(names) for names in odd.values()] == [0, 3, 7]
    assert odd[0.1] < odd[0.2]
    assert len(odd[0.2]) / len(mixed[0.2]) == pytest.approx(0.2)
    assert odd[0.2] != {
        c.name
        for c in training_clips(clips, Task(SPLIT, "few-vs-many", 1, 0.2))
        if c.action not in SPLIT.actions
    }
    with pytest.raises(TrainingError, match="takes 252 abnormal training clips, there are 28"):
        training_clips(clips, Task(SPLIT, "few-vs-many", 0, 0.9))


def test_random_splits_are_drawn_once_and_for_all():
    four = random_splits(16, 4, 4)
    assert random_splits(16, 10, 4)[:4] == four
    assert len({split.actions for split in random_splits(16, 10, 4)}) == 10
    assert all(len(set(split.actions)) == 4 for split in four)
    taken = Split("x", "meaningful", four[0].actions)
    assert taken.actions not in {split.actions for split in random_splits(16, 4, 4, [taken])}
    with pytest.raises(UsageError, match="4 actions are enough for, got 9 splits of 3"):
        random_splits(4, 9, 3)


def test_without_directions_table_2_has_both_and_figure_5_that_with_clips_enough():
    assert {t.direction for t in table2.tasks([SPLIT], (), (0,))} == {"few-vs-many", "many-vs-few"}
    options = load_experiment("actions").experiment
    assert {t.direction for t in figure5.tasks([SPLIT], options.directions, options.shares, (0,))} == {
        "few-vs-many"
    }


@pytest.mark.parametrize("name", ["ntu", "kinetics"])
def test_ten_random_and_ten_meaningful_splits_are_shipped_with_the_papers_examples_among_them(name):
    splits = {split.name: split for split in splits_of_config(load_settings(name).dataset.splits)}
    assert [sum(s.kind == kind for s in splits.values()) for kind in ("random", "meaningful")] == [10, 10]
    assert all(3 <= len(set(split.actions)) == len(split.actions) <= 6 for split in splits.values())
    numbers = {action for split in splits.values() for action in split.actions}
    if name == "ntu":  # numbers from 1 in both kinds; the random ones were published from 0: (0, 7, 18, 55)
        assert min(numbers) >= 1
        assert max(numbers) <= 60
        assert splits["office"].actions == (28, 29, 30, 33)
        assert splits["fighting"].actions == (50, 51, 52, 53)
        assert splits["random2"].actions == (1, 8, 19, 56)
    else:  # numbers from 0
        assert max(numbers) <= 399
        assert splits["random1"].actions == (6, 77, 254, 336)
        assert splits["dancing"].actions == (18, 43, 75, 283, 348, 399)
        assert splits["gym"].actions == (183, 255, 260, 305, 330)


def test_splits_come_from_configs_and_are_picked_by_name_or_kind():
    splits = splits_of_config(load_settings("ntu").dataset.splits)
    assert [sum(s.kind == kind for s in splits) for kind in ("random", "meaningful")] == [10, 10]
    assert len(pick_splits(splits, ["random"])) == 10
    assert [s.name for s in pick_splits(splits, ["waving", "random3"])] == ["waving", "random3"]
    with pytest.raises(UsageError, match="no split 'wavy'"):
        pick_splits(splits, ["wavy"])


def test_a_finished_cell_is_not_measured_again_and_another_setting_is_another_cell(tmp_path, monkeypatch):
    store = run(experiment(tmp_path), tmp_path, quiet=True)
    first = {(r.cell.name, r.method): r.figures for r in store.results()}
    assert len(first) == 3

    def refuse(*args, **options):
        raise AssertionError("a finished cell is measured again")

    with monkeypatch.context() as patch:
        patch.setattr(Coarse, "begin", refuse)
        again = run(experiment(tmp_path), tmp_path, quiet=True)
        assert {(r.cell.name, r.method): r.figures for r in again.results()} == first
    other = experiment(tmp_path, neighbours={"neighbours": 1})
    missing = Store(tmp_path / "cells", other).missing(other.cells()[0])
    assert missing == ["knn"]  # the others do not depend on it
    methods = ("classifier-max", "knn", "frame-prediction", "mped-rnn", "ours-clustering", "ours")
    base, cell = experiment(tmp_path, methods), other.cells()[0]
    for section, change, theirs in (
        ("normality", {"components": 3}, {"classifier-max", *OURS}),
        ("clustering", {"clusters": 4}, {"knn", *OURS}),
        ("scoring", {"parts": ["clustering", "poses"]}, {"ours"}),
        ("windows", {"scale": "none"}, {"classifier-max", "knn", "mped-rnn", *OURS}),
    ):
        changed = experiment(tmp_path, methods, **{section: {**TINY[section], **change}})
        assert {m for m in methods if changed.made_from(cell, m) != base.made_from(cell, m)} == theirs
    assert (
        Store(tmp_path / "cells", experiment(tmp_path, windows={**TINY["windows"], "frames": 18})).results()
        == []
    )


def test_a_run_that_was_cut_off_gives_the_same_numbers(tmp_path, monkeypatch):
    tasks = [Task(split, "few-vs-many", 0) for split in Sticks.splits[:2]]
    whole = run(experiment(tmp_path / "whole", tasks=tasks), tmp_path / "whole", quiet=True)
    done = []
    measure = Coarse.measure

    def cut_off(self, shared, method):
        if len(done) == 4:
            raise KeyboardInterrupt
        done.append(method)
        return measure(self, shared, method)

    with monkeypatch.context() as patch:
        patch.setattr(Coarse, "measure", cut_off)
        with pytest.raises(KeyboardInterrupt):
            run(experiment(tmp_path / "cut", tasks=tasks), tmp_path / "cut", quiet=True)
    rest = run(experiment(tmp_path / "cut", tasks=tasks), tmp_path / "cut", quiet=True)
    assert [r.figures for r in rest.results()] == [r.figures for r in whole.results()]


def test_a_damaged_result_is_measured_again(tmp_path):
    store = run(experiment(tmp_path, ("reconstruction",)), tmp_path, quiet=True)
    path = store.path(store.experiment.cells()[0], "reconstruction")
    whole = json.loads(path.read_text())
    path.write_text(path.read_text()[:50])
    run(experiment(tmp_path, ("reconstruction",)), tmp_path, quiet=True)
    assert json.loads(path.read_text())["figures"] == whole["figures"]


def test_a_method_that_fails_is_noted_the_others_go_on_and_it_is_tried_again(tmp_path, monkeypatch):
    too_many = {"gaussian_mixture": {"components": 500}}
    its = experiment(tmp_path, ("mixture", "knn"), **too_many)
    results = run(its, tmp_path, quiet=True).results()
    assert [bool(r.failed) for r in results] == [True, False]
    assert "1000 latent vectors" in results[0].failed
    tried = []
    monkeypatch.setattr(Coarse, "measure", lambda self, shared, method: tried.append(method) or {"auc": 0.5})
    results = run(experiment(tmp_path, ("mixture", "knn"), **too_many), tmp_path, quiet=True).results()
    assert tried == ["mixture"]
    assert not any(r.failed for r in results)


def test_a_cell_without_enough_clips_fails_for_every_method_that_needs_the_model_once(tmp_path, monkeypatch):
    from pipeline.experiments.methods import coarse

    trained = []
    train = coarse.train_or_load
    monkeypatch.setattr(coarse, "train_or_load", lambda *a: trained.append(a) or train(*a))
    few = experiment(tmp_path, clustering={**TINY["clustering"], "clusters": 40})
    results = run(few, tmp_path, quiet=True).results()
    assert len(trained) == 1
    assert all("too little to train on" in r.failed for r in results)
    assert len(results) == 3


def test_a_defect_in_one_method_does_not_take_the_others_with_it(tmp_path, monkeypatch):
    scores = Coarse.scores

    def broken(self, shared, method):
        if method == "knn":
            raise ZeroDivisionError("division by zero")
        return scores(self, shared, method)

    monkeypatch.setattr(Coarse, "scores", broken)
    results = {r.method: r for r in run(experiment(tmp_path), tmp_path, quiet=True).results()}
    assert "unexpected ZeroDivisionError" in results["knn"].failed
    assert not results["ours"].failed
    assert 0 <= results["reconstruction"].figures["auc"] <= 1


def test_a_cell_that_another_process_is_at_is_left_to_it(tmp_path):
    import threading

    tasks = [Task(split, "few-vs-many", 0) for split in Sticks.splits[:2]]
    its = experiment(tmp_path, ("reconstruction",), tasks)
    store = Store(tmp_path / "cells", its)
    first, second = its.cells()
    order = []
    with store.lock(first):
        worker = threading.Thread(
            target=lambda: order.extend(r.cell.name for r in run(its, tmp_path, quiet=True).results()) or None
        )
        worker.start()
        while store.get(second, "reconstruction") is None:
            assert worker.is_alive()
        assert store.get(first, "reconstruction") is None
        store.save(Result(first, "reconstruction", {"auc": 0.25}))  # the other process is done with it
    worker.join()
    assert store.get(first, "reconstruction").figures == {"auc": 0.25}


def results_of(tasks, methods, auc):
    return [Result(t.cell, m, {"auc": auc(t, m)}) for t in tasks for m in methods]


def test_table_2_has_the_papers_layout_with_its_numbers_beside_the_measured_ones():
    splits = [
        Split("a", "meaningful", (0,)),
        Split("b", "meaningful", (1,)),
        Split("random1", "random", (2,)),
    ]
    tasks = table2.tasks(splits, ("few-vs-many", "many-vs-few"), (0, 1))
    methods = ["classifier-dirichlet", "ocsvm", "ours-clustering"]

    def auc(task, method):
        if method == "classifier-dirichlet":
            return 0.95
        return 0.5 + 0.1 * (task.split.name == "b") + 0.02 * task.seed + 0.2 * (method == "ours-clustering")

    (table,) = table2.tables(
        tasks, results_of(tasks, methods, auc), methods, {"mped-rnn": "2-D only"}, "NTU RGB+D", "NTU-RGB+D"
    )
    assert list(table.columns) == [
        "few vs. many, random", "few vs. many, meaningful", "many vs. few, random", "many vs. few, meaningful",
    ]  # fmt: skip
    assert [row.name for row in table.rows] == [
        "Supervised, Dirichlet",
        "OC-SVM",
        "Morais et al.",
        "Ours, clusters alone",
    ]
    ours = table.rows[-1].values[1]
    assert ours.mean == pytest.approx(0.76)  # (0.7 + 0.8) / 2, and 0.02 more with the second seed
    assert ours.deviation == pytest.approx(np.std([0.75, 0.77], ddof=1))
    assert [value.published for value in table.rows[-1].values] == [0.73, 0.82, 0.72, 0.85]
    text = tables.markdown(table)
    assert "| Ours, clusters alone | **0.710 ± 0.014** | 0.73 |" in text.replace("0.730 |", "0.73 |")
    assert "Morais et al.: 2-D only." in text
    assert "**0.950" not in text  # the supervised one is no contender


def test_what_is_missing_is_starred_and_a_single_seed_has_no_deviation():
    splits = [Split("a", "meaningful", (0,)), Split("b", "meaningful", (1,))]
    tasks = table2.tasks(splits, ("few-vs-many",), (0,))
    found = results_of(tasks[:1], ["ours"], lambda t, m: 0.6)
    table, paper = table2.tables(tasks, found, ["ours"], {}, "sticks", "")
    assert table.rows[0].values[0].missing == 1
    assert "0.600*" in tables.markdown(table)
    assert "±" not in tables.markdown(table).split("\n\n", 2)[2]
    assert "other data" in paper.heading
    assert not any(table.published())


def test_the_published_numbers_are_those_of_the_papers_table():
    """Mean over the columns of table 2, as printed in the paper."""
    means = {
        data: {m: round(float(np.mean(list(row.values()))), 4) for m, row in rows.items()}
        for data, rows in published.TABLE2.items()
    }
    assert means["NTU-RGB+D"] == {
        "classifier-dirichlet": 0.8525, "reconstruction": 0.5275, "ocsvm": 0.64, "frame-prediction": 0.6,
        "ours-clustering": 0.78,
    }  # fmt: skip
    assert means["Kinetics-250"]["mped-rnn"] == 0.575
    assert published.TABLE1["ours"] == 0.752


def test_figure_5_counts_what_is_lost_from_the_same_cell_without_abnormal_clips(tmp_path):
    splits = [Split("a", "meaningful", (0,)), Split("b", "meaningful", (1,))]
    tasks = figure5.tasks(splits, ("few-vs-many",), (0.0, 0.1), (0, 1))

    def auc(task, method):
        return (0.8 if task.split.name == "a" else 0.6) * (1 - task.share * (1 + task.seed))

    curves, loss = figure5.tables(
        tasks, results_of(tasks, ["ours"], auc), ["ours"], "sticks", {"mped-rnn": "2-D only"}
    )
    assert curves.notes[-1] == "Morais et al.: 2-D only."
    rows = {row.name: row.values for row in loss.rows}
    assert list(rows) == ["few-vs-many: a", "few-vs-many: b", "few-vs-many: mean over splits"]
    assert [v.mean for v in rows["few-vs-many: a"]] == pytest.approx([0, 0.15])
    assert curves.rows[-1].values[0].mean == pytest.approx(0.7)
    assert "15.0%" in tables.markdown(loss)
    for ending in (".png", ".svg"):
        figure5.plot(tmp_path / f"loss{ending}", loss, (0.0, 0.1))
    svg = (tmp_path / "loss.svg").read_text()
    assert "mean over splits" in svg or svg.count('<g id="line2d') > 3
    assert (tmp_path / "loss.png").stat().st_size > 5000


def test_tables_are_written_as_markdown_csv_and_json(tmp_path):
    tasks = table2.tasks([SPLIT], ("few-vs-many",), (0, 1))
    found = results_of(tasks, ["ours", "knn"], lambda t, m: 0.6 + 0.1 * t.seed)
    made = table2.tables(tasks, found, ["ours", "knn"], {}, "sticks", "")
    tables.write(tmp_path, made, found, {"experiment": "table2"})
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "table2-cells.csv",
        "table2.csv",
        "table2.json",
        "table2.md",
    ]
    content = json.loads((tmp_path / "table2.json").read_text())
    assert content["tables"][0]["rows"][1]["values"][0]["mean"] == pytest.approx(0.65)
    assert len(content["results"]) == 4
    head, first = (tmp_path / "table2.csv").read_text().splitlines()[:2]
    assert head.startswith('method,"few vs. many, meaningful mean"')
    assert first.startswith("k nearest neighbours,0.65,0.0707107,")
    assert len((tmp_path / "table2-cells.csv").read_text().splitlines()) == 5


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"methods": ("magic",)}, "expected one of classifier-max"),
        ({"seeds": (1, 1)}, "expected each once"),
        ({"shares": (0.1,)}, "0 among them"),
        ({"directions": ("few",)}, "few-vs-many"),
        ({"split_actions": 0}, "split_actions: expected a number 1 to 10000"),
        ({"street_normal_clips": 1001}, "street_normal_clips: expected a number 1 to 1000"),
        ({"street_test_clips": 501}, "street_test_clips: expected a number 1 to 500"),
    ],
)
def test_options_that_make_no_sense_are_refused(changes, said):
    with pytest.raises(ConfigError, match=said):
        ExperimentOptions(**changes)


def test_windows_that_slide_are_refused_for_clips_of_actions(tmp_path):
    with pytest.raises(UsageError, match=r"windows\.extent clip"):
        experiment(tmp_path, windows={**TINY["windows"], "extent": "sliding"}, scoring={})


def test_every_shipped_config_is_one_of_an_experiment_too():
    from pipeline.settings import shipped_configs

    for name in shipped_configs():
        load_experiment(name)
    own = {f.name for f in dataclasses.fields(ExperimentSettings)} - {
        f.name for f in dataclasses.fields(Settings)
    }
    assert own == set(OF_EXPERIMENTS)
    assert load_experiment("ntu", ["mped_rnn.epochs=2"]).mped_rnn.epochs == 2
    assert load_experiment("ntu").classifier.width == 64  # published unless a config says otherwise
