import dataclasses

import numpy as np
import pytest

from anomaly.settings import settings_from_dict
from anomaly.training.injected import inject
from anomaly.training.train import fit_network, fit_normality_and_calibrate, train_model
from anomaly.training.weighing import _changed, can_inject
from tests.helpers import walkers

PARTS = ["clustering", "motion", "posture+motion", "size"]


def settings(**scoring):
    return settings_from_dict(
        {
            **walkers.TINY,
            "scoring": {"by": "sum", "smoothing_s": 0.2, "parts": PARTS, **scoring},
            "densities": {"components": 3, "pose_components": 2, "folds": 2},
        }
    )


@pytest.fixture(scope="module")
def clips():
    return [walkers.clip(f"walk{i}", seed=i, people=8, frames=80) for i in range(9)]


@pytest.fixture(scope="module")
def learned(clips):
    """The network, which no weight depends on and which takes most of the time."""
    return fit_network(list(clips), settings(), seed=0)


@pytest.fixture(scope="module")
def weighed(learned):
    return fit_normality_and_calibrate(learned)


def test_a_part_that_sees_abnormal_motion_counts_more_and_the_card_says_why(weighed):
    facts = weighed.facts["parts"]
    assert list(facts) == PARTS
    weights = weighed.calibration.weights
    assert [facts[part]["weight"] for part in PARTS] == pytest.approx(weights.tolist(), abs=1e-3)
    assert weights.mean() == pytest.approx(1)
    moved = {part: facts[part]["injected"] - facts[part]["normal"] for part in PARTS}
    assert max(moved["motion"], moved["posture+motion"]) > moved["size"]
    assert facts["size"]["weight"] < max(facts["motion"]["weight"], facts["posture+motion"]["weight"])


def test_the_same_seed_gives_the_same_weights(weighed, learned):
    np.testing.assert_array_equal(
        fit_normality_and_calibrate(learned).calibration.weights, weighed.calibration.weights
    )


def test_equal_weights_when_asked_for(learned):
    model = fit_normality_and_calibrate(dataclasses.replace(learned, settings=settings(weights="equal")))
    np.testing.assert_array_equal(model.calibration.weights, 1)
    assert model.facts["parts"]["motion"] == {"weight": 1.0, "normal": None, "injected": None}


def test_with_too_few_people_parts_count_alike_and_a_warning_says_so(caplog):
    few = [walkers.clip(f"w{i}", seed=i, people=3, frames=150) for i in range(3)]
    model = train_model(few, settings(), seed=0)
    np.testing.assert_array_equal(model.calibration.weights, 1)
    assert "parts of the score count alike" in caplog.text


def test_windows_count_as_changed_where_half_of_them_was(weighed):
    clip = walkers.clip("one", people=4, frames=150)
    (made,), (done,) = inject([clip], seed=2, kinds=("arms",))
    windows = weighed.windows_of(made, 1)
    found = _changed(windows, made, done)
    assert found.any()
    for i in range(len(windows)):
        inside = (made.track == windows.track[i]) & (made.time_s[made.frame] >= windows.start_s[i] - 1e-6)
        inside &= made.time_s[made.frame] <= windows.end_s[i] + 1e-6
        assert found[i] == (2 * (done[inside] > 0).sum() >= max(inside.sum(), 1))


def test_motions_are_put_into_joints_in_the_picture_only(weighed, clips):
    assert can_inject(weighed, clips)
    other = dataclasses.replace(clips[0], skeleton="somebody's own")
    assert not can_inject(weighed, [*clips[:2], other])
    settings = dataclasses.replace(
        weighed.settings,
        windows=dataclasses.replace(weighed.settings.windows, features="xyz"),
        scoring=dataclasses.replace(weighed.settings.scoring, parts=("clustering",)),
    )
    assert not can_inject(dataclasses.replace(weighed, settings=settings), clips)
