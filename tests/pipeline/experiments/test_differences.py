"""Paired differences: intervals that hold what they promise, and what is bold."""

import numpy as np
import pytest
from scipy import stats

from pipeline.experiments.running import tables
from pipeline.experiments.running.differences import difference
from pipeline.experiments.running.tables import Row, Table, differences, spread


def cells(values, splits=("a", "b", "c", "d")):
    """(splits, seeds) numbers by split and seed."""
    return {(splits[i], j): float(v) for (i, j), v in np.ndenumerate(values)}


def test_over_seeds_alone_it_is_the_paired_t_test():
    rng = np.random.default_rng(0)
    one, other = rng.normal(0.8, 0.1, (1, 5)), rng.normal(0.7, 0.1, (1, 5))
    found = difference(cells(one), cells(other))
    expected = stats.ttest_rel(one[0], other[0]).confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high))


@pytest.mark.parametrize("seeds", [2, 4])
@pytest.mark.parametrize("deviation", [(0.2, 0.0, 0.05), (0.0, 0.2, 0.05), (0.1, 0.1, 0.1)])
def test_an_interval_holds_the_truth_about_as_often_as_it_says(deviation, seeds):
    """Whatever varies: splits, seeds, or single cells. Cells taken as independent would be far off in the first two."""
    rng = np.random.default_rng(1)
    held = 0
    for _ in range(500):
        shapes = (4, 1), (1, seeds), (4, seeds)
        split, seed, cell = (rng.normal(0, d, shape) for d, shape in zip(deviation, shapes, strict=True))
        found = difference(cells(0.1 + split + seed + cell), cells(np.zeros((4, seeds))))
        held += found.low < 0.1 < found.high
    assert held / 500 > 0.9


def test_only_shared_cells_count_and_one_tells_nothing():
    found = difference({("a", 0): 0.9, ("b", 0): 0.8}, {("b", 0): 0.7, ("c", 0): 0.1})
    assert found.mean == pytest.approx(0.1)
    assert not found.certain
    assert difference({("a", 0): 1.0}, {}) is None


def table(**rows):
    made = [Row(name, [spread(cells(np.array(values)))]) for name, values in rows.items()]
    return Table("t", "heading.", "method", ["auc"], made)


def test_a_lead_within_noise_is_not_bold():
    clear = table(ours=[[0.9, 0.8], [0.7, 0.6]], knn=[[0.8, 0.71], [0.6, 0.49]])
    assert "| ours | **0.750 ± 0.071** |" in tables.markdown(clear)
    noise = table(ours=[[0.9, 0.8], [0.7, 0.6]], knn=[[0.7, 0.9], [0.8, 0.5]])
    assert "**" not in tables.markdown(noise)
    assert "**" not in tables.markdown(table(ours=[[0.9]], knn=[[0.1]]))  # one cell: nobody knows the noise


def test_how_far_a_row_is_ahead_is_a_table():
    (found,) = differences(table(ours=[[0.9, 0.8], [0.7, 0.6]], knn=[[0.8, 0.7], [0.6, 0.5]]), "ours")
    assert [row.name for row in found.rows] == ["knn"]
    assert "| knn | +0.100 [+0.100, +0.100] |" in tables.markdown(found)
    (single,) = differences(table(ours=[[0.9]], knn=[[0.8]]), "ours")
    assert "+0.100 [?, ?]" in tables.markdown(single)
    assert differences(table(knn=[[0.9]]), "ours") == []


def test_splits_that_lack_a_seed_do_not_stand_in_for_it():
    whole = cells([[0.3, 0.2], [0.1, 0.2], [0.2, 0.3]])
    expected = difference(whole, dict.fromkeys(whole, 0.0))
    more = {**whole, ("z", 0): 0.2}
    found = difference(more, dict.fromkeys(more, 0.0))
    assert found.high - found.low == pytest.approx(expected.high - expected.low)
    assert found.mean == pytest.approx(np.mean(list(more.values())))
