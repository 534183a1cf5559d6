import numpy as np
import pytest

from anomaly.scoring.surroundings import COUNTS, combined, level

ALONE = np.sort(np.random.default_rng(0).exponential(size=20_000))


def test_a_share_becomes_the_score_that_so_many_normal_frames_exceed():
    assert level(ALONE, np.array([0.5])) == pytest.approx(np.median(ALONE))
    assert level(ALONE, np.array([1.0])) == pytest.approx(ALONE[0])
    # Of exponential scores the tail goes on as they do: -log p.
    assert level(ALONE, np.array([1e-3, 1e-6])) == pytest.approx([-np.log(1e-3), -np.log(1e-6)], rel=0.05)


def test_it_falls_with_the_share_everywhere():
    p = np.linspace(1e-5, 1, 5000)
    assert (np.diff(level(ALONE, p)) <= 1e-9).all()


def test_surroundings_decide_where_they_are_more_unusual_than_people_and_rare_enough():
    raw = np.array([0.1, 20.0, np.nan, 0.1])
    p = np.array([COUNTS / 10, COUNTS / 10, COUNTS / 10, 2 * COUNTS])
    score, decides = combined(raw, p, ALONE)
    assert decides.tolist() == [True, False, True, False]
    assert score[0] == score[2] == level(ALONE, p[:1])[0]
    assert score[[1, 3]].tolist() == raw[[1, 3]].tolist()


def test_without_scores_of_people_there_is_no_scale():
    raw = np.array([np.nan, 1.0])
    score, decides = combined(raw, np.zeros(2) + 1e-9, np.zeros(0))
    np.testing.assert_array_equal(score, raw)
    assert not decides.any()
