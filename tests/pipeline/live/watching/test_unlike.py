"""A camera's view that its model has not seen in training is said to be so, once."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from anomaly.settings import ModelSettings
from pipeline.live.watching.unlike import UnlikeTraining
from pipeline.scoring.familiarity import Seen
from pose_extract.tracks.records import cut_frames
from tests.helpers.two_walkers import walkers

CLIP = replace(walkers(frames=250), provenance={"estimator": {"name": "movenet"}})


@pytest.fixture
def unlike():
    scorer = SimpleNamespace(seen=Seen.from_clips([CLIP]), model=SimpleNamespace(settings=ModelSettings()))
    return UnlikeTraining(scorer, {"name": "movenet"})


def told(unlike, clip, percentile=50.0):
    parts = (cut_frames(clip, first, first + 5) for first in range(0, clip.frame_count, 5))
    return [text for part in parts for text in unlike.add(part, np.full(len(part), percentile))]


def test_a_camera_like_training_is_not_spoken_of(unlike):
    assert told(unlike, CLIP) == []


def test_what_differs_is_said_once_and_again_where_it_becomes_other(unlike):
    large = replace(CLIP, frame_size=(1920, 1080), boxes=CLIP.boxes * 5)
    first = told(unlike, large)
    assert [text.split(",")[0] for text in first] == [
        "its frames are 1920x1080 pixels", f"people are {first[1].split()[2]} pixels tall",
    ]  # fmt: skip
    unlike.restart()
    assert told(unlike, large) == []
    unlike.restart()
    assert "frames a second" in told(unlike, replace(large, fps=240.0))[0]


def test_another_estimator_than_in_training_is_said(unlike):
    other = UnlikeTraining(unlike._scorer, {"name": "blazepose"})
    assert "found by blazepose, those of training by movenet" in told(other, CLIP)[0]


def test_people_who_are_mostly_unusual_are_said_when_many_were_seen(unlike):
    assert told(unlike, CLIP, 99.9) == []
    texts = [text for _ in range(8) for text in told(unlike, CLIP, 99.9)]
    assert [text[:18] for text in texts] == ["100% of the people"]
