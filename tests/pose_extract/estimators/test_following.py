import numpy as np
import pytest

from pose_extract.estimators.following import FollowedRegions

SURE = 0.45


def region(x=100.0):
    """Where a person of 80 pixels is looked for, (1, 4)."""
    return np.array([[x, 100, 110, 0]], np.float32)


def update(followed, rows, regions, quality):
    quality = np.array(quality, np.float32)
    return followed.update(
        np.array(rows, int),
        regions,
        np.zeros((len(regions), 4), np.float32),
        quality,
        np.clip(2.5 * quality - 0.5, 0, 1),
    )


def test_a_walker_who_is_lost_is_expected_further_on_and_given_up_at_last():
    followed = FollowedRegions(10.0, SURE)
    update(followed, [-1], region(100), [0.7])
    for x in range(110, 200, 10):
        rows, _ = followed.expect()
        update(followed, rows, region(float(x)), [0.7])
    nobody = ([], np.zeros((0, 4), np.float32), [])
    update(followed, *nobody)
    _, regions = followed.expect()
    assert regions[0, 0] == pytest.approx(210, abs=3)
    for _ in range(30):
        update(followed, *nobody)
    assert len(followed.expect()[0]) == 0


def test_a_doubtful_skeleton_is_not_followed_for_ever():
    followed = FollowedRegions(5.0, SURE)
    update(followed, [-1], region(), [0.7])
    for _ in range(20):
        rows, _ = followed.expect()
        update(followed, rows, np.repeat(region(), len(rows), 0), np.full(len(rows), 0.3))
    assert len(followed.expect()[0]) == 0


def test_the_score_of_somebody_hard_to_see_fades_instead_of_dropping():
    followed = FollowedRegions(10.0, SURE)
    scores = [update(followed, [-1], region(), [0.6])[0]]
    for _ in range(4):
        scores.append(update(followed, [0], region(), [0.2])[0])
    assert scores[0] == 1
    assert scores[3] == pytest.approx(0.5, abs=0.01)
    assert all(np.diff(scores) < 0)


@pytest.mark.parametrize(("by_age", "gone_after"), [(True, 3), (False, 20)])
def test_by_age_who_was_seen_for_a_moment_is_waited_for_no_longer_than_that(by_age, gone_after):
    followed = FollowedRegions(10.0, SURE, by_age)
    update(followed, [-1], region(), [0.7])
    update(followed, [0], region(), [0.7])
    waited = 0
    while len(followed.expect()[0]) or waited % 4:
        update(followed, [], np.zeros((0, 4), np.float32), [])
        waited += 1
    assert waited == pytest.approx(gone_after, abs=4)


def box(x=100.0, height=80.0):
    """A box that ends at 140, (1, 4)."""
    return np.array([[x - 20, 140 - height, x + 20, 140]], np.float32)


def followed_for_a_while(height=50.0):
    """Somebody in sight for two seconds, of such a height at last, lost since then."""
    followed = FollowedRegions(10.0, SURE, by_age=True)
    for row in [-1] + [0] * 18:
        followed.update(np.array([row]), region(), box(), np.full(1, 0.7), np.ones(1))
    followed.update(np.zeros(1, int), region(), box(height=height), np.full(1, 0.7), np.ones(1))
    update(followed, [], np.zeros((0, 4), np.float32), [])
    return followed


def test_who_is_held_is_looked_for_for_ever_and_where_they_are_held():
    followed = followed_for_a_while()
    for _ in range(60):
        rows, boxes = followed.lost()
        followed.hold(rows, boxes + np.array([1, 0, 1, 0], np.float32))
        update(followed, [], np.zeros((0, 4), np.float32), [])
    assert len(followed.lost()[0]) == 1
    assert followed.lost()[1][0, 0] > 80 + 40
    followed.hold(np.zeros(0, int), np.zeros((0, 4), np.float32))
    update(followed, [], np.zeros((0, 4), np.float32), [])
    assert len(followed.lost()[0]) == 0


def test_who_vanishes_upright_is_not_held():
    assert len(followed_for_a_while(height=75.0).lost()[0]) == 0
    assert len(followed_for_a_while(height=50.0).lost()[0]) == 1


def test_who_was_seen_for_a_moment_is_not_held():
    followed = FollowedRegions(10.0, SURE)
    update(followed, [-1], region(), [0.7])
    update(followed, [], np.zeros((0, 4), np.float32), [])
    assert len(followed.lost()[0]) == 0


def test_a_newcomer_where_somebody_is_held_is_that_person():
    followed = followed_for_a_while()
    followed.hold(*followed.lost())
    followed.update(
        np.array([-1]),
        region(115.0),
        np.array([[85, 100, 120, 140]], np.float32),
        np.full(1, 0.7),
        np.ones(1),
    )
    assert len(followed.expect()[0]) == 1
    update(followed, [], np.zeros((0, 4), np.float32), [])
    assert len(followed.lost()[0]) == 1  # who was there for a while, so may be held again


def test_who_lies_doubtful_for_long_counts_as_lost_and_only_a_sure_sight_brings_them_back():
    followed = FollowedRegions(10.0, SURE)
    followed.update(np.array([-1]), region(), box(), np.full(1, 0.7), np.ones(1))
    for _ in range(11):
        assert not followed.doubtful(np.zeros(1, int))[0]
        followed.update(np.array([0]), region(), box(height=40.0), np.full(1, 0.3), np.ones(1))
    assert len(followed.lost()[0]) == 1
    assert followed.doubtful(np.zeros(1, int))[0]
    followed.hold(*followed.lost())
    followed.update(np.array([0]), region(), box(), np.full(1, 0.7), np.ones(1))
    assert not followed.doubtful(np.zeros(1, int))[0]
    assert len(followed.lost()[0]) == 0


def test_a_box_keeps_half_of_its_last_size_and_goes_where_the_person_goes():
    followed = FollowedRegions(25.0, SURE)
    followed.update(
        np.array([-1]), region(), np.array([[80, 60, 120, 140]], np.float32), np.ones(1), np.ones(1)
    )
    trembling = np.array([[90, 70, 150, 130], [300, 0, 340, 80]], np.float32)
    steady = followed.steady(np.array([0, -1]), trembling)
    assert steady.tolist() == [[95, 65, 145, 135], [300, 0, 340, 80]]  # who is new has no last size
