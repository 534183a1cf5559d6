"""Recorded clips are scored chunk by chunk, which nothing in the scores may tell."""

import dataclasses

import numpy as np
import pytest

from pipeline.scoring import Scorer, score_chunks
from pipeline.settings import Settings
from pose_extract.tracks.clip_time import usual_rate
from tests.helpers import walkers


@pytest.mark.parametrize("rates", [(24, 48), (8, 60)])
def test_scores_are_those_of_the_whole_where_the_frame_rate_varies(rates):
    model = walkers.trained()
    scorer = Scorer(model, dataclasses.replace(Settings(), scoring=model.settings.scoring))
    slow, fast = rates
    time_s = np.concatenate([np.arange(300) / slow, 300 / slow + np.arange(200) / fast])
    clip = walkers.clip(
        seed=3, fps=usual_rate(time_s), time_s=time_s, kinds=("walk", "run", "jump")
    )  # the usual rate is the slow one
    whole, *parts = (
        np.concatenate([scores.frames.score for _, _, scores in score_chunks(scorer, clip, size)])
        for size in (10_000, 100, 130)
    )
    assert len(np.unique(whole)) > 100
    for score in parts:
        np.testing.assert_array_equal(score, whole)
