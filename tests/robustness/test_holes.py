"""A recording with holes in its time scores as its stretches do, wherever the holes are."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline.scoring import load_scorer, score_chunks
from pipeline.synthetic.clips import simulate_clip
from pipeline.synthetic.street.scene import StreetSettings
from pose_extract.tracks.clip_time import film_cuts, holes, stretch_numbers, usual_rate
from pose_extract.tracks.records import cut_frames

SECONDS = 6
MORE = settings(deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)

HOLES = st.lists(st.tuples(st.integers(3, 60), st.floats(1.2, 1e6)), min_size=1, max_size=5)


@pytest.fixture(scope="module")
def scorer(truth_workspace):
    return load_scorer(truth_workspace / "model")


@pytest.fixture(scope="module")
def street():
    return simulate_clip("street", 5, StreetSettings(seconds=SECONDS)).truth


def _with_holes(time_s, found):
    """Times with so many seconds more after so many frames each."""
    time_s, frame = np.array(time_s), 0
    begins = [0]
    for frames, seconds in found:
        frame += frames
        if frame < len(time_s) - 3:
            time_s[frame:] += seconds
            begins.append(frame)
    return time_s, begins


@settings(MORE, max_examples=200)
@given(HOLES, st.sampled_from([5.0, 10.0, 25.0, 29.97, 60.0, 480.0]), st.integers(2, 300))
def test_any_holes_are_found_and_the_rate_is_that_of_the_stretches(found, fps, frames):
    time_s, begins = _with_holes(np.round(np.arange(frames) / fps, 6), found)
    assert usual_rate(time_s) == pytest.approx(fps, rel=0.01)
    assert np.flatnonzero(np.diff(stretch_numbers(time_s, fps), prepend=-1)).tolist() == begins
    assert [end for _, end in holes(time_s, fps)] == time_s[begins[1:]].tolist()
    cuts = film_cuts(time_s, fps)
    assert [own for _, own in cuts] == (time_s[begins].tolist() if len(begins) > 1 else [])
    for begin, (film, _) in zip(begins, cuts, strict=False):
        assert film == pytest.approx(begin / fps, abs=1e-3)


@pytest.mark.slow
@settings(MORE, max_examples=6)
@given(HOLES, st.booleans())
def test_a_clip_with_holes_scores_as_its_stretches_do(scorer, street, found, whole_seconds):
    """The same people are judged, always; their scores are the same where the model's windows in time fall alike."""
    windows = scorer.model.settings.windows
    if whole_seconds:
        found = [(frames, float(round(seconds))) for frames, seconds in found if round(seconds) > 1]
    time_s, begins = _with_holes(street.time_s, found)
    whole = _scores(scorer, replace(street, time_s=time_s))
    ends = [*begins[1:], street.frame_count]
    for first, stop in zip(begins, ends, strict=True):
        alone = _scores(scorer, _alone(street, first, stop))
        rows = slice(*np.searchsorted(street.frame, [first, stop]))
        scored = np.isfinite(whole["rows"][rows])
        assert (scored == np.isfinite(alone["rows"])).all()
        alike = whole_seconds and round(time_s[first] * windows.fps) % windows.score_stride == 0
        near = 1e-4 if alike else 0.1
        np.testing.assert_allclose(whole["rows"][rows][scored], alone["rows"][scored], rtol=near, atol=near)
        np.testing.assert_allclose(whole["frames"][first:stop], alone["frames"], rtol=near, atol=near)


def _alone(street, first, stop):
    part = cut_frames(street, first, stop)
    return replace(part, time_s=part.time_s - part.time_s[0])


def _scores(scorer, tracks):
    chunks = [scores for _, _, scores in score_chunks(scorer, tracks)]
    return {
        "rows": np.concatenate([chunk.row_score for chunk in chunks]),
        "frames": np.concatenate([chunk.frames.score for chunk in chunks]),
    }
