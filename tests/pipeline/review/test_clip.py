"""What the page is told of a clip: the stretches that are about something else than movement."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np

from anomaly.normality.surroundings import Surroundings
from anomaly.scoring.scores import FrameScores
from pipeline.review.clip import causes_of
from pose_extract.tracks.records import ClipTracks
from tests.helpers.things import clip_things, things


def clip(cause, thing, who, p, **at):
    count, none = len(cause), np.zeros(0, np.int32)
    tracks = ClipTracks(
        "clip", "coco17", 10.0, (64, 48), np.arange(count) / 10, none, none, np.zeros((0, 17, 3), np.float32),
        np.zeros((0, 4), np.float32), things=clip_things(count, 2, **at),
    )  # fmt: skip
    zeros = np.zeros(count)
    frames = FrameScores(
        np.arange(count, dtype=np.int32), tracks.time_s, zeros, zeros, zeros > 1, zeros.astype(np.int32),
        np.asarray(who, np.int32), np.asarray(cause, np.int8), np.asarray(thing, np.int32),
    )  # fmt: skip
    part = np.asarray(cause, np.int8) - 1
    around = Surroundings(np.asarray(p, float), part, np.zeros(count, np.int32))
    return tracks, SimpleNamespace(frames=frames, around=around)


SCORER = SimpleNamespace(model=SimpleNamespace(surroundings=SimpleNamespace(looks=1000)))


def test_a_stretch_is_told_with_the_thing_its_kind_and_how_rare_it_is():
    tracks, scores = clip(
        [0, 1, 1, 1, 2, 2, 0, 3], [0, 5, 5, 5, 0, 0, 0, 0], [1, 1, 1, 1, 7, 7, 1, 1],
        [1, 0.004, 0.002, 0.003, 1e-5, 1e-5, 1, 0.002], f0=things(201, ids=[5]), f2=things(2, ids=[5]),
    )  # fmt: skip
    assert causes_of(SCORER, 100, tracks, scores) == [
        [101, 102, 1, 5, 201, 0.004, "1 in 250"],  # nobody had named it yet
        [102, 104, 1, 5, 2, 0.002, "1 in 500"],
        [104, 106, 2, 7, 0, 1e-5, "rarer than 1 in 1,000"],
        [107, 108, 3, 0, 0, 0.002, "1 in 500"],
    ]


def test_a_clip_of_which_surroundings_are_not_judged_has_no_such_stretch():
    tracks, scores = clip([0, 1], [0, 5], [0, 0], [1, 0.001])
    assert causes_of(SimpleNamespace(model=SimpleNamespace(surroundings=None)), 0, tracks, scores) == []
    none = SimpleNamespace(frames=scores.frames, around=None)
    assert causes_of(SCORER, 0, replace(tracks, things=None), none) == []
