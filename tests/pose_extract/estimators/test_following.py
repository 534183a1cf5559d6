import numpy as np
import pytest

from pose_extract.estimators.following import FollowedRegions

SURE = 0.45


def region(x=100.0):
    """Where a person of 80 pixels is looked for, (1, 4)."""
    return np.array([[x, 100, 110, 0]], np.float32)


def update(followed, rows, regions, quality):
    quality = np.array(quality, np.float32)
    return followed.update(np.array(rows, int), regions, quality, np.clip(2.5 * quality - 0.5, 0, 1))


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
