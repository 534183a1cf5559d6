"""Reasons are words and a rarity that is counted among held-out normal people."""

from itertools import combinations
from types import SimpleNamespace

import numpy as np
import pytest

from anomaly.scoring.calibration import TailProbabilities
from anomaly.settings.densities import FEATURES, NETWORK_PARTS, PREDICTION, PRETEXT
from pipeline.scoring.reasons import rarity, reasons_of

PARTS = ("clustering", "motion+size", "place")


def made(scores, parts=PARTS):
    """A model whose held-out windows score 0, 1, 2, ... 999 by every part, and one window with the given scores."""
    normal = [np.arange(1000.0)] * len(parts)
    calibration = SimpleNamespace(
        tails=TailProbabilities.from_scores(normal, np.ones(len(parts))),
        row_reference=lambda mode, by: np.arange(400.0),
    )
    settings = SimpleNamespace(scoring=SimpleNamespace(parts=parts, by="sum"))
    model = SimpleNamespace(fitted_calibration=calibration, settings=settings)
    return model, SimpleNamespace(parts=np.array(scores, float)[:, None], percentile=np.array([99.5]))


@pytest.mark.parametrize(
    ("as_high", "normal", "told"),
    [
        (1, 500, "1 in 500"),
        (2, 1000, "1 in 500"),
        (7, 1000, "1 in 140"),
        (3, 100_000, "1 in 33,000"),
        (50, 1000, "1 in 20"),
        (0, 432, "rarer than 1 in 432"),
        (0, 36_512, "rarer than 1 in 36,512"),
    ],
)
def test_a_rarity_is_a_count_and_claims_no_more_than_was_seen(as_high, normal, told):
    assert rarity(100 * (1 - as_high / normal), normal) == told


def test_reasons_are_the_rare_parts_the_rarest_first():
    model, scores = made([10, 998, 1000])
    assert list(map(str, reasons_of(model, scores, 0))) == [
        "goes where people rarely go, rarer than 1 in 1,000",
        "moves at a speed or in a direction that is rare for that size, 1 in 500",
    ]


def test_a_part_that_counts_nothing_is_no_reason():
    model, scores = made([1000, 998, 10])
    model.fitted_calibration.tails.weights[:] = [0, 1.5, 1.5]
    assert list(map(str, reasons_of(model, scores, 0))) == [
        "moves at a speed or in a direction that is rare for that size, 1 in 500"
    ]


def test_where_no_part_is_rare_the_whole_score_is_told():
    model, scores = made([10, 20, 30])
    assert list(map(str, reasons_of(model, scores, 0))) == ["moves in a way that is rare, 1 in 200"]
    scores.parts = np.zeros((0, 0))  # of a score that is no sum
    assert list(map(str, reasons_of(model, scores, 0))) == ["moves in a way that is rare, 1 in 200"]


def test_every_part_that_a_score_can_have_has_words():
    sums = ["+".join(names) for n in range(1, len(FEATURES) + 1) for names in combinations(FEATURES, n)]
    for part in (*NETWORK_PARTS, PREDICTION, PRETEXT, *sums):
        model, scores = made([1000], (part,))
        does = reasons_of(model, scores, 0)[0].does
        assert does.split()[0] in ("moves", "makes", "does", "holds", "swings", "is", "goes", "shows")
        assert "+" not in does
        assert "_" not in does
