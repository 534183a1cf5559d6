import numpy as np
import pytest

from anomaly.scoring.smoothing import smooth


def test_it_is_the_gaussian_weighted_mean_over_time():
    rng = np.random.default_rng(0)
    time_s = np.cumsum(rng.choice([0.02, 0.04, 0.1], size=60))
    values = rng.normal(size=60)
    expected = np.zeros(60)
    for i in range(60):
        total = weight = 0.0
        for j in range(60):
            apart = abs(time_s[i] - time_s[j])
            if apart <= 4 * 0.3:
                w = np.exp(-0.5 * (apart / 0.3) ** 2)
                total, weight = total + w * values[j], weight + w
        expected[i] = total / weight
    np.testing.assert_allclose(smooth(values, time_s, 0.3), expected, rtol=1e-10)


def test_sigma_is_in_seconds_whatever_the_frame_rate():
    slow, fast = np.arange(100) / 10, np.arange(600) / 60
    a, b = smooth((slow > 5).astype(float), slow, 0.5), smooth((fast > 5).astype(float), fast, 0.5)
    np.testing.assert_allclose(a, b[::6], atol=0.06)


def test_a_constant_stays_and_zero_sigma_leaves_everything():
    time_s = np.arange(50) / 24
    np.testing.assert_allclose(smooth(np.full(50, 3.0), time_s, 1.0), 3.0)
    values = np.random.default_rng(1).normal(size=50)
    np.testing.assert_array_equal(smooth(values, time_s, 0), values)


@pytest.mark.parametrize("length", [0, 1, 2])
def test_short_clips_are_no_problem(length):
    assert smooth(np.ones(length), np.arange(length) / 24, 0.5).tolist() == [1.0] * length


def test_causal_smoothing_uses_nothing_from_later_frames():
    values, time_s = np.random.default_rng(2).normal(size=80), np.arange(80) / 24
    later = values.copy()
    later[50:] = 1000
    np.testing.assert_array_equal(
        smooth(values, time_s, 0.5, True)[:50], smooth(later, time_s, 0.5, True)[:50]
    )
    assert abs(smooth(values, time_s, 0.5)[45] - smooth(later, time_s, 0.5)[45]) > 1


def test_two_frames_are_smoothed_and_nothing_reaches_farther_than_four_sigmas():
    w = np.exp(-0.5)
    np.testing.assert_allclose(
        smooth(np.array([0.0, 1.0]), np.array([0.0, 0.5]), 0.5), [w / (1 + w), 1 / (1 + w)]
    )
    near = smooth(np.array([0.0, 1.0]), np.array([0.0, 0.4]), 0.1)  # exactly four
    assert near[0] == pytest.approx(np.exp(-8) / (1 + np.exp(-8)))
    assert smooth(np.array([0.0, 1.0]), np.array([0.0, 0.41]), 0.1)[0] == 0
    assert smooth(np.array([1, 2]), np.array([0.0, 0.1]), 0.0).dtype == np.float64


def test_nothing_is_smoothed_across_a_hole_in_the_clip_s_time():
    time_s = np.concatenate([np.arange(20) / 10, 30 + np.arange(20) / 10])
    values = np.repeat([0.0, 1.0], 20)
    np.testing.assert_array_equal(smooth(values, time_s, 20.0), values)


@pytest.mark.parametrize("causal", [False, True])
def test_of_equal_values_it_is_that_value_to_the_bit(causal):
    time_s = np.cumsum(np.random.default_rng(0).choice([0.02, 0.04, 0.1], size=60))
    values = np.full(60, 1.981443)
    values[:3] = 7.1
    smoothed = smooth(values, time_s, 0.1, causal)
    assert (smoothed[30:] == 1.981443).all()
