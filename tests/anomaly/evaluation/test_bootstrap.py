import numpy as np
import pytest

from anomaly.evaluation.bootstrap import auc_intervals
from anomaly.evaluation.figures import LabelledScores, evaluate


def clips(count: int, seed: int = 0, frames: int = 60) -> list[LabelledScores]:
    """Clips with a stretch of abnormal frames that score higher, in each by another amount."""
    rng = np.random.default_rng(seed)
    made = []
    for i in range(count):
        abnormal = np.zeros(frames, bool)
        abnormal[20:40] = True
        score = rng.normal(size=frames).round(1) + rng.uniform(0, 2) * abnormal  # some scores are equal
        kept = rng.random(frames) < 0.9
        made.append(LabelledScores(str(i), np.arange(frames) / 25, score, abnormal, kept))
    return made


def test_intervals_are_the_quantiles_of_figures_over_clips_drawn_again():
    some = clips(6)
    rng = np.random.default_rng(3)
    times = rng.multinomial(6, np.full(6, 1 / 6), 40)
    drawn = [evaluate([c for c, n in zip(some, row, strict=True) for _ in range(n)]) for row in times]
    found = auc_intervals(some, seed=3, resamples=40)
    for name in ("auc_micro", "auc_macro"):
        expected = np.quantile([getattr(f, name) for f in drawn], (0.025, 0.975))
        assert found[name] == pytest.approx(tuple(expected), rel=1e-9)


def test_more_clips_make_them_narrower_and_a_seed_makes_them_again():
    few, many = auc_intervals(clips(8)), auc_intervals(clips(200))
    for name in ("auc_micro", "auc_macro"):
        assert few[name][1] - few[name][0] > 2 * (many[name][1] - many[name][0])
    assert auc_intervals(clips(8)) == few


def test_about_95_of_100_intervals_hold_what_many_clips_come_to():
    truth = evaluate(clips(2000, seed=99)).auc_macro
    held = [
        low < truth < high
        for low, high in (auc_intervals(clips(30, s), s, 120)["auc_macro"] for s in range(100))
    ]
    assert 85 <= sum(held) <= 100


def test_there_is_none_where_draws_cannot_be_evaluated():
    assert auc_intervals(clips(1)) == {"auc_micro": None, "auc_macro": None}
    normal = LabelledScores("n", np.arange(9.0), np.arange(9.0), np.zeros(9, bool), np.ones(9, bool))
    assert auc_intervals([*clips(1), normal]) == {"auc_micro": None, "auc_macro": None}
