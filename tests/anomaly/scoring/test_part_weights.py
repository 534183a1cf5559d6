import numpy as np
import pytest

from anomaly.scoring.part_weights import FEWEST_STRETCHES, PartWeights, learned_weights


def said(shift, deviation, seed=0, stretches=400, same=None):
    """What parts say of normal people and of changed ones: so much more, with such deviations between people."""
    rng = np.random.default_rng(seed)
    normal, changed = (1 + rng.normal(size=(stretches, len(shift))) * deviation for _ in range(2))
    if same is not None:
        normal[:, same[1]], changed[:, same[1]] = normal[:, same[0]], changed[:, same[0]]
    return normal, changed + np.array(shift)


def test_parts_that_see_more_and_differ_less_between_changed_people_count_more():
    weights = learned_weights(*said([1.0, 1.0, 0.2, -0.5], [0.3, 0.6, 0.3, 0.3])).weight
    assert weights[0] > 2 * weights[1] > 0
    assert weights[0] > 3 * weights[2] > 0
    assert weights[3] == 0  # what finds changed people more normal says nothing
    assert weights.mean() == pytest.approx(1)


def test_they_are_fisher_s_discriminant_where_it_has_no_weight_below_0():
    normal, changed = said([1.0, 0.6], [0.3, 0.4], stretches=100_000)
    weights = learned_weights(normal, changed).weight
    expected = np.array([1.0, 0.6]) / np.square([0.3, 0.4])
    np.testing.assert_allclose(weights / weights.sum(), expected / expected.sum(), rtol=0.02)


def test_two_parts_that_say_the_same_count_as_one():
    alone = learned_weights(*said([1.0, 1.0], [0.4, 0.4])).weight
    normal, changed = said([1.0, 1.0, 1.0], [0.4, 0.4, 0.4], same=(1, 2))
    changed[:, 2] = changed[:, 1]
    twice = learned_weights(normal, changed).weight
    assert twice[1] + twice[2] == pytest.approx(alone[1] * twice[0] / alone[0], rel=0.25)


def test_few_people_say_little():
    few = learned_weights(*said([1.0, 1.0], [0.2, 1.0], stretches=FEWEST_STRETCHES)).weight
    many = learned_weights(*said([1.0, 1.0], [0.2, 1.0])).weight
    assert 1 < few[0] / few[1] < many[0] / many[1]


def test_of_few_people_weights_are_drawn_towards_equal_ones_and_not_towards_the_shift_alone():
    normal, changed = said([2.0, 0.2], [0.5, 0.5], stretches=FEWEST_STRETCHES)
    weights = learned_weights(normal, changed).weight
    assert weights[1] > 0.2 * weights[0]


def test_what_a_part_does_not_say_of_somebody_changes_little():
    normal, changed = said([1.0, 1.0, 0.5], [0.4, 0.6, 0.4])
    whole = learned_weights(normal, changed)
    normal[::4, 2], changed[1::4, 2] = np.nan, np.nan
    gaps = learned_weights(normal, changed)
    np.testing.assert_allclose(gaps.weight, whole.weight, rtol=0.3)
    np.testing.assert_allclose(gaps.normal[2], np.nanmean(normal[:, 2]))
    assert np.isfinite(learned_weights(normal * [1, 1, np.nan], changed * [1, 1, np.nan]).weight).all()


def test_too_few_or_nothing_seen_leaves_all_parts_alike():
    normal, changed = said([1.0, 0.5], [0.2, 0.2])
    for weights in (
        learned_weights(normal[: FEWEST_STRETCHES - 1], changed),
        learned_weights(normal, changed[: FEWEST_STRETCHES - 1]),
        learned_weights(normal, normal - 1),
        PartWeights.equal(2),
    ):
        np.testing.assert_array_equal(weights.weight, [1, 1])
        assert np.isnan(weights.normal).all()
    found = learned_weights(normal, changed)
    np.testing.assert_allclose(found.normal, normal.mean(axis=0))
    np.testing.assert_allclose(found.injected, changed.mean(axis=0))


def test_equal_weights_say_that_nothing_was_measured_of_any_part():
    equal = PartWeights.equal(3)
    assert equal.weight.tolist() == [1, 1, 1]
    assert equal.normal.shape == equal.injected.shape == (3,)
    assert np.isnan([equal.normal, equal.injected]).all()


def test_only_how_much_more_a_part_says_of_changed_people_counts_and_not_what_it_says_of_normal_ones():
    normal, changed = said([1.0, 0.5], [0.3, 0.4])
    level = np.array([4.0, -3.0])
    np.testing.assert_allclose(
        learned_weights(normal + level, changed + level).weight, learned_weights(normal, changed).weight
    )


def test_parts_that_see_as_much_too_little_as_too_much_or_never_differ_count_alike():
    normal, _ = said([0.0, 0.0], [0.3, 0.4])
    normal -= normal.mean(axis=0)
    for changed, usual in (
        (normal + np.array([0.5, -0.5]), normal),
        (np.full((50, 2), [2.0, 1.5]), np.ones((50, 2))),
    ):
        found = learned_weights(usual, changed)
        np.testing.assert_array_equal(found.weight, [1, 1])
        assert np.isnan(found.normal).all()


@pytest.mark.parametrize("scale", [1e-3, 1e3])
def test_weights_do_not_depend_on_the_unit_of_the_scores(scale):
    normal, changed = said([1.0, 1.0, 0.4], [0.3, 0.6, 0.4], stretches=50)
    changed[:, 2] = normal[:, 2] = normal[:, 1]  # which needs the ridge of the discriminant
    np.testing.assert_allclose(
        learned_weights(scale * normal, scale * changed).weight,
        learned_weights(normal, changed).weight,
        rtol=1e-6,
    )


def test_what_would_count_next_to_nothing_counts_nothing():
    weights = learned_weights(*said([1.0, 1.0, 0.7], [0.4, 0.4, 1.0], stretches=4000)).weight
    assert 0.1 < weights[2] < 0.3
    weights = learned_weights(*said([1.0, 1.0, 0.25], [0.4, 0.4, 1.0], stretches=4000)).weight
    assert weights[2] == 0  # it would be about 0.06
    assert weights.mean() == pytest.approx(1)


def test_the_numbers_of_each_part_are_rounded_and_none_where_nothing_was_measured():
    weights = PartWeights(
        np.array([1.23456, 0.76544]), np.array([1.04567, np.nan]), np.array([np.nan, 2.34567])
    )
    assert weights.facts(("speech", "look")) == {
        "speech": {"weight": 1.235, "normal": 1.046, "injected": None},
        "look": {"weight": 0.765, "normal": None, "injected": 2.346},
    }
    for parts in (("speech",), ("speech", "look", "gait")):
        with pytest.raises(ValueError, match="argument"):
            weights.facts(parts)


def test_what_a_part_says_of_one_person_alone_is_taken_for_all():
    normal, changed = said([1.0, 1.0, 0.5], [0.3, 0.4, 0.4], stretches=FEWEST_STRETCHES)
    normal[1:, 2], changed[1:, 2] = np.nan, np.nan
    found = learned_weights(normal, changed)
    assert found.normal[2] == pytest.approx(normal[0, 2])
    assert found.injected[2] == pytest.approx(changed[0, 2])


def test_one_part_counts_alone_whatever_it_sees():
    found = learned_weights(*said([1.0], [0.3]))
    assert found.weight.tolist() == [1]
    assert np.isnan([found.normal, found.injected]).all()
