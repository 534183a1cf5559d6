"""A threshold that marks have set: on which scale it is, and what a bundle may hold of it."""

import math
from dataclasses import asdict, replace

import pytest

from anomaly.scoring.marked_threshold import MarkedThreshold, marked_from_json
from anomaly.settings import ScoringSettings

SCORING = ScoringSettings(frames="online", by="both", tail="log", smoothing_s=0.7)
MARKED = MarkedThreshold(3.5, "online", "both", "log", 0.7, {"right": 4})


def test_it_remembers_how_the_scores_were_made():
    assert MarkedThreshold.from_score(3.5, SCORING, {"right": 4}) == MARKED


@pytest.mark.parametrize(
    "other", [{"frames": "backtracked"}, {"by": "clustering"}, {"tail": "linear"}, {"smoothing_s": 0.6}]
)
def test_it_fits_scores_that_are_made_in_the_same_way_and_no_others(other):
    assert MARKED.fits(SCORING)
    assert not MARKED.fits(replace(SCORING, **other))


def test_it_comes_back_from_a_card():
    assert marked_from_json(None) is None
    assert marked_from_json(asdict(MARKED)) == MARKED
    assert marked_from_json(asdict(MARKED) | {"score": 2, "later": "?"}).score == 2


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"frames": "both"}, "frames as one of backtracked, online, got 'both'"),
        ({"by": "luck"}, "by as one of"),
        ({"tail": "cubic"}, "tail as one of"),
        ({"score": True}, "score as a number, got True"),
        ({"score": math.inf}, "score as a number"),
        ({"score": "3"}, "score as a number"),
        ({"smoothing_s": None}, "smoothing_s as a number"),
        ({"smoothing_s": math.nan}, "smoothing_s as a number"),
        ({"facts": [1]}, "facts as an object"),
    ],
)
def test_what_is_none_is_refused_with_what_was_expected(wrong, message):
    with pytest.raises(ValueError, match=message):
        marked_from_json(asdict(MARKED) | wrong)


@pytest.mark.parametrize("lacking", ["score", "frames", "by", "tail", "smoothing_s", "facts"])
def test_a_card_that_lacks_a_field_is_refused(lacking):
    card = {name: value for name, value in asdict(MARKED).items() if name != lacking}
    with pytest.raises(
        ValueError, match="expected an object with score, frames, by, tail, smoothing_s, facts"
    ):
        marked_from_json(card)
    with pytest.raises(ValueError, match="expected an object"):
        marked_from_json([1])
