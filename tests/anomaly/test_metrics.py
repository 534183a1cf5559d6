import numpy as np
import pytest

from anomaly.metrics import frame_auc
from pose_extract.errors import UsageError


def test_it_is_the_chance_that_an_abnormal_frame_scores_higher():
    rng = np.random.default_rng(0)
    scores, labels = rng.normal(size=60), rng.integers(2, size=60)
    pairs = [(a > b) + 0.5 * (a == b) for a in scores[labels == 1] for b in scores[labels == 0]]
    assert frame_auc(scores, labels) == pytest.approx(np.mean(pairs))


@pytest.mark.parametrize(
    ("scores", "labels", "said"),
    [
        ([1, 2], [0, 0], "both"),
        ([1, 2], [1, 1], "both"),
        ([1, 2, 3], [0, 1], "a label"),
        ([1, np.nan], [0, 1], "finite"),
    ],
)
def test_what_cannot_be_measured_is_an_error(scores, labels, said):
    with pytest.raises(UsageError, match=said):
        frame_auc(scores, labels)
