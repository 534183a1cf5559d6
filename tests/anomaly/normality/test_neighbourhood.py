"""How far a whole clip is from the normal ones that are most like it."""

import numpy as np
import pytest

import anomaly.normality.neighbourhood as module
from anomaly.normality.neighbourhood import NEIGHBOURS, Neighbourhood, part_vectors
from anomaly.settings import settings_from_dict
from anomaly.settings.densities import NEIGHBOURHOODS
from pose_extract.errors import ConfigError, TrainingError


def by_loops(x, known, window_of_x=None):
    """(N, G) the ratio of every vector, from the definition."""
    flat = [(window, vector) for window, its in enumerate(known) for vector in its.astype(float)]

    def nearest(vector, own):
        others = [(np.linalg.norm(vector - other), i) for i, (w, other) in enumerate(flat) if w != own]
        return sorted(others)[:NEIGHBOURS]

    spread = [np.mean([d for d, _ in nearest(vector, window)]) for window, vector in flat]
    return np.array(
        [
            [
                np.mean([d for d, _ in found]) / np.mean([spread[i] for _, i in found])
                for vector in its.astype(float)
                for found in [nearest(vector, n if window_of_x else None)]
            ]
            for n, its in enumerate(x)
        ]
    )


def test_scores_are_those_of_the_definition(monkeypatch):
    rng = np.random.default_rng(0)
    known = rng.standard_normal((12, 2, 5)).astype(np.float32) + 50  # far from 0, where float32 is coarse
    x = rng.standard_normal((7, 2, 5)).astype(np.float32) + 50.5
    monkeypatch.setattr(module, "_MOST_DISTANCES", 5 * 5 * NEIGHBOURS)  # several chunks
    learned, among_others = Neighbourhood.fit(known)
    np.testing.assert_allclose(learned.anomaly(x), by_loops(x, known).mean(axis=1), rtol=1e-5)
    np.testing.assert_allclose(among_others, by_loops(known, known, True).mean(axis=1), rtol=1e-5)


def test_what_lies_between_dense_and_sparse_actions_is_judged_by_those_around_it():
    rng = np.random.default_rng(1)
    dense, sparse = 0.01 * rng.standard_normal((40, 1, 3)), 5 + rng.standard_normal((40, 1, 3))
    learned, _ = Neighbourhood.fit(np.concatenate([dense, sparse]).astype(np.float32))
    near_dense, in_sparse = np.full((1, 1, 3), 0.3, np.float32), np.full((1, 1, 3), 5.3, np.float32)
    assert learned.anomaly(near_dense)[0] > 5 > 2 > learned.anomaly(in_sparse)[0]


def test_clips_that_are_all_alike_do_not_make_others_endlessly_far():
    x = np.zeros((20, 1, 2), np.float32)
    x[10:] = np.random.default_rng(2).standard_normal((10, 1, 2))
    learned, among_others = Neighbourhood.fit(x)
    assert np.isfinite(among_others).all()
    assert (learned.spread > 0).all()
    assert np.isfinite(learned.anomaly(x + 1)).all()


def test_too_few_clips_are_an_error():
    with pytest.raises(TrainingError, match="more than 5 people to compare others with, got 5"):
        Neighbourhood.fit(np.zeros((5, 2, 3), np.float32))


def test_what_is_compared(tiny):
    class Kind:
        settings = tiny(windows={"extent": "clip", "frames": 24}).windows

    x = np.random.default_rng(3).standard_normal((4, 3, 24, 18)).astype(np.float32)
    moved = x.copy()
    moved[:, :2] += np.linspace(0, 9, 24, dtype=np.float32)[:, None]  # somebody who passes

    def vectors(part, of):
        return part_vectors(of, part, Kind, lambda windows: windows[:, None, 0, 0])

    for part in ("poses", "reach"):
        np.testing.assert_allclose(vectors(part, moved), vectors(part, x), atol=1e-5)
    assert np.abs(vectors("steps", moved) - vectors("steps", x)).min() > 0.3
    assert [vectors(part, x).shape for part in NEIGHBOURHOODS] == [
        (4, 1, 18), (4, 1, 2 * 24 * 18), (4, 1, 2 * 23 * 18), (4, 1, 2 * 18),
    ]  # fmt: skip


def test_they_are_of_whole_clips():
    with pytest.raises(ConfigError, match=r"latent, reach are of whole clips; set windows\.extent to clip"):
        settings_from_dict({"scoring": {"parts": ["clustering", "latent", "reach"]}})
