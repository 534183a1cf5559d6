import numpy as np
import pytest

from anomaly.evaluation.metrics import average_precision, equal_error_rate, frame_auc, macro_auc, micro_auc
from pose_extract.errors import UsageError


def random_scores(seed, count=60):
    rng = np.random.default_rng(seed)
    return rng.integers(12, size=count) / 4, rng.integers(2, size=count)  # with ties


def test_auc_is_the_chance_that_an_abnormal_frame_scores_higher():
    scores, labels = random_scores(0)
    pairs = [(a > b) + 0.5 * (a == b) for a in scores[labels == 1] for b in scores[labels == 0]]
    assert frame_auc(scores, labels) == pytest.approx(np.mean(pairs))


def test_average_precision_is_the_mean_precision_at_each_abnormal_frame():
    scores, labels = random_scores(1)
    at_least = scores[:, None] >= scores[labels == 1]  # flagged at the threshold of each abnormal frame
    precision = (at_least & (labels == 1)[:, None]).sum(0) / at_least.sum(0)
    assert average_precision(scores, labels) == pytest.approx(precision.mean())


def test_at_the_equal_error_rate_as_many_normal_frames_are_flagged_as_abnormal_ones_missed():
    rng = np.random.default_rng(2)
    labels = rng.random(20000) < 0.3
    scores = rng.normal(size=20000) + 2.0 * labels
    rate = equal_error_rate(scores, labels)
    threshold = np.quantile(scores[~labels], 1 - rate)
    assert np.mean(scores[labels] < threshold) == pytest.approx(rate, abs=1e-3)
    assert rate == pytest.approx(0.1587, abs=0.01)  # the share of a normal distribution beyond one deviation


def test_equal_error_rate_takes_the_straight_line_where_scores_are_tied():
    # At the only threshold half of the abnormal and none of the normal frames are flagged: from there to (1, 1).
    assert equal_error_rate([1, 0, 0, 0], [1, 1, 0, 0]) == pytest.approx(1 / 3)


def test_scores_turned_round_are_as_wrong_as_they_were_right():
    scores, labels = random_scores(3)
    assert frame_auc(-scores, labels) == pytest.approx(1 - frame_auc(scores, labels))
    assert equal_error_rate(-scores, labels) == pytest.approx(1 - equal_error_rate(scores, labels))


def test_perfect_scores_get_perfect_figures():
    scores, labels = [0, 1, 2, 3], [0, 0, 1, 1]
    assert frame_auc(scores, labels) == 1
    assert average_precision(scores, labels) == 1
    assert equal_error_rate(scores, labels) == 0


def test_micro_compares_frames_across_clips_and_macro_does_not():
    scores = [[0, 1], [10, 11], [20, 20, 20]]
    labels = [[0, 1], [0, 1], [0, 0, 0]]
    assert macro_auc(scores, labels) == 1  # the third clip has no abnormal frame and is left out
    assert micro_auc(scores, labels) == frame_auc(np.concatenate(scores), np.concatenate(labels)) < 0.5


@pytest.mark.parametrize("measure", [frame_auc, average_precision, equal_error_rate])
@pytest.mark.parametrize(
    ("scores", "labels", "said"),
    [
        ([1, 2], [0, 0], "both"),
        ([1, 2], [1, 1], "both"),
        ([1, 2, 3], [0, 1], "a label"),
        ([1, np.nan], [0, 1], "finite"),
        ([], [], "both"),
    ],
)
def test_what_cannot_be_measured_is_an_error(measure, scores, labels, said):
    with pytest.raises(UsageError, match=said):
        measure(scores, labels)


@pytest.mark.parametrize("measure", [micro_auc, macro_auc])
@pytest.mark.parametrize(
    ("scores", "labels", "said"),
    [
        ([[1, 2]], [[0, 1], [0, 1]], "1 and 2 clips"),
        ([], [], "0 and 0 clips"),
        ([[1, 2], [1, 2, 3]], [[0, 1], [0, 1]], "of clip 1"),
        ([[1, 2], [3, 4]], [[0, 0], [0, 0]], "both"),
        ([[1, 2], [3, 4]], [[0, 0], [1, 1]], "mean over clips"),
        ([[1, np.inf]], [[0, 1]], "finite"),
    ],
)
def test_clips_that_do_not_fit_are_an_error(measure, scores, labels, said):
    if measure is micro_auc and said == "mean over clips":
        assert measure(scores, labels) == 1  # together they have both kinds
        return
    with pytest.raises(UsageError, match=said):
        measure(scores, labels)
