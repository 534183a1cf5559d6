import numpy as np
import pytest

from anomaly.data.training_set import TrainingSet
from anomaly.data.windows import View, Windows, make_windows
from anomaly.scoring.explanation import explain, joint_shares, typical_windows
from tests.helpers import walkers


def data_of(tiny, count=20, people=4):
    """A training set of ``count`` windows, ``people`` of whom share a clip, in two transforms, identity first."""
    points = np.random.default_rng(0).uniform(-1, 1, (12 * count, 18, 3)).astype(np.float32)
    each = -(-count // people)
    windows = Windows(
        tiny().windows,
        points,
        np.arange(count) * 12,
        np.repeat(np.arange(people, dtype=np.int32), each)[:count],
        np.tile(np.arange(each), people)[:count],
        np.zeros(count, np.int32),
        np.zeros(count, np.int32),
        (View(640, 360, ""),),
    )
    return windows.x, TrainingSet(windows, tiny(), "cpu")


def log_of(own, copies=2):
    """Log assignments of items: the identity copies' ``own`` (N, K), the others' turned around."""
    p = np.stack([own, own[:, ::-1]], axis=1) if copies == 2 else own[:, None]
    return np.log(p.reshape(-1, own.shape[1]))


def test_typical_windows_are_those_that_a_cluster_is_surest_of_one_a_person(tiny):
    x, data = data_of(tiny)
    own = np.full((20, 3), 0.05)
    own[:15, 0], own[15:, 1] = np.linspace(0.6, 0.9, 15), 0.9
    words, shares = typical_windows(log_of(own / own.sum(axis=1, keepdims=True)), data)
    assert words.shape == (3, 3, 3, 12, 18)
    np.testing.assert_array_equal(words[0], x[[14, 9, 4]])  # the surest of each person
    np.testing.assert_array_equal(words[1], x[[15, 16, 17]])  # one person only
    assert np.isnan(words[2]).all()
    np.testing.assert_allclose(shares, [0.75, 0.25, 0.0])


def test_fewer_windows_than_examples_leave_the_rest_empty(tiny):
    x, data = data_of(tiny, 3, people=3)
    own = np.array([[0.9, 0.1], [0.8, 0.2], [0.1, 0.9]])
    words, _ = typical_windows(log_of(own), data)
    np.testing.assert_array_equal(words[0, :2], x[:2])
    np.testing.assert_array_equal(words[1, 0], x[2])
    assert np.isnan(words[0, 2]).all()
    assert np.isnan(words[1, 1:]).all()


def test_shares_of_the_error_sum_to_one():
    shares = joint_shares(np.array([[1.0, 3.0, 0.0], [0.0, 0.0, 0.0]]))
    np.testing.assert_allclose(shares, [[0.25, 0.75, 0], [1 / 3, 1 / 3, 1 / 3]])


def test_an_explanation_names_the_windows_own_words_component_and_worst_joints(trained):
    x = make_windows(walkers.clip(people=1), trained.settings.windows, 4).x
    explanation = explain(trained, x)
    p = np.exp(trained.assign(x)[:, 0].astype(float))
    np.testing.assert_array_equal(explanation.words[:, 0], p.argmax(axis=1) + 1)
    np.testing.assert_allclose(explanation.weights, -np.sort(-p, axis=1)[:, :3])
    assert ((explanation.component >= 1) & (explanation.component <= 3)).all()
    errors = trained.joint_errors(x)
    np.testing.assert_array_equal(explanation.joints[:, 0], errors.argmax(axis=1))
    np.testing.assert_allclose(explanation.shares[:, 0], errors.max(axis=1) / errors.sum(axis=1))


def test_a_joint_that_moves_like_no_other_has_the_largest_share(trained):
    x = make_windows(walkers.clip(people=1), trained.settings.windows, 4).x
    joint = 4
    odd = x.copy()
    odd[:, 0, ::2, joint] += 8
    explanation = explain(trained, odd)
    assert (explanation.joints[:, 0] == joint).mean() > 0.9
    assert np.median(explanation.shares[:, 0]) > 0.3


@pytest.mark.parametrize("clusters", [2, 3])
def test_a_model_of_few_clusters_has_few_words(trained, clusters, monkeypatch):
    monkeypatch.setattr(
        type(trained), "assign", lambda self, x: np.log(np.full((len(x), 2, clusters), 1 / clusters))
    )
    monkeypatch.setattr(
        type(trained.normality),
        "responsibilities",
        lambda self, log_p: np.eye(3)[[1] * len(log_p)],
        raising=False,
    )
    explanation = explain(trained, np.zeros((2, 3, 12, 18), np.float32))
    assert (explanation.words[:, clusters:] == 0).all()
    assert (explanation.words[:, :clusters] > 0).all()
    assert np.isnan(explanation.weights[:, clusters:]).all()
    assert (explanation.component == 2).all()


def test_a_model_that_cannot_reconstruct_explains_the_rest(trained, monkeypatch):
    import csv
    import io

    from anomaly.scoring.scores import score_clip
    from pipeline.scoring.window_table import WINDOW_COLUMNS, write_windows

    monkeypatch.setattr(type(trained), "can_reconstruct", False)
    clip = walkers.clip(people=1, frames=20)
    explanation = explain(trained, make_windows(clip, trained.settings.windows, 1).x)
    assert (explanation.joints == -1).all()
    assert np.isnan(explanation.shares).all()
    assert (explanation.words > 0).all()
    table = io.StringIO()
    write_windows(csv.writer(table), trained, 100, score_clip(trained, clip).windows)
    rows = [dict(zip(WINDOW_COLUMNS, row, strict=True)) for row in csv.reader(io.StringIO(table.getvalue()))]
    assert [int(row["first_frame"]) for row in rows] == list(range(100, 109))
    assert all(row["joint1"] == row["share3"] == "" and row["word1"] and row["weight1"] for row in rows)
