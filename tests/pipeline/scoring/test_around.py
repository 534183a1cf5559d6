"""Things beside people in the scores of a clip: as a whole, in chunks, and as it comes."""

import dataclasses

import numpy as np
import pytest

from anomaly.data.surroundings import observe
from anomaly.normality.surroundings import FittedSurroundings
from anomaly.scoring.scores import FrameScores, score_clip
from anomaly.settings.scoring import CAUSES, SURROUNDINGS
from pipeline.events.events import EventFinder
from pipeline.scoring import OnlineScorer, Scorer, score_chunks
from pipeline.settings import Settings
from pose_extract.tracks.records import cut_frames
from tests.helpers import walkers
from tests.helpers.things import clip_things, things

CAR = range(60, 90, 2)


def with_things(clip, **at):
    return dataclasses.replace(clip, things=clip_things(clip.frame_count, **at))


@pytest.fixture(scope="module")
def model():
    """A model of walkers around whom there is nothing else; its own clips calibrate it again."""
    trained, clips = walkers.trained(), [with_things(walkers.clip(seed=i, frames=400)) for i in range(3)]
    scoring = dataclasses.replace(
        trained.settings.scoring, by="sum", surroundings=SURROUNDINGS, smoothing_s=0.2
    )
    observations = [observe(clip, SURROUNDINGS) for clip in clips]
    folds = [np.full(len(each), number % 2) for number, each in enumerate(observations)]
    around = FittedSurroundings.fit(observations, [""] * 3, folds, SURROUNDINGS, trained.settings.densities)
    settings = dataclasses.replace(trained.settings, scoring=scoring)
    return dataclasses.replace(trained, settings=settings, surroundings=around)


@pytest.fixture(scope="module")
def clip():
    """Somebody walks, and a car passes."""
    return with_things(
        walkers.clip(seed=9, people=2, frames=150),
        **{f"f{f}": things(2, ids=[4], age_s=[(f - 58) / 24], velocity=[[90, 0]]) for f in CAR},
    )


def scorer(model, **scoring):
    settings = dataclasses.replace(Settings(), scoring=dataclasses.replace(model.settings.scoring, **scoring))
    return Scorer(model, settings)


def frames_of(found):
    return FrameScores.concatenate([scores.frames for _, _, scores in found])


def test_a_thing_where_there_never_was_one_is_what_the_score_is_about(model, clip):
    frames = score_clip(model, clip).frames
    alone = score_clip(model, dataclasses.replace(clip, things=None)).frames
    assert set(frames.thing_id[64:88]) == {4}
    assert set(frames.cause[64:88]) == {CAUSES.index("things")}
    assert not frames.thing_id[:55].any()
    assert (frames.score[64:88] > alone.score[64:88]).all()
    np.testing.assert_allclose(frames.score[:40], alone.score[:40])
    assert not alone.cause.any()


def test_an_event_is_about_the_thing_and_about_nobody(model, clip):
    scores = score_clip(model, clip)
    finder = EventFinder(clip.fps)
    [event] = [*finder.add(0, clip, scores, alarm=scores.frames.cause > 0), *finder.finish()]
    assert (event.cause, event.things, event.about) == ("things", (4,), "car, unusual here")
    assert event.culprits == ()
    assert event.thing_boxes.shape == (1, 4)


def test_chunks_say_what_the_whole_does(model, clip):
    whole = frames_of(score_chunks(scorer(model), clip))
    parts = frames_of(score_chunks(scorer(model), clip, 37))
    for name in ("score", "cause", "thing_id", "track_id"):
        np.testing.assert_allclose(getattr(parts, name), getattr(whole, name), atol=1e-9)


def test_as_it_comes_a_clip_has_the_scores_of_a_recording(model, clip):
    live = scorer(model, frames="online")
    whole, online = frames_of(score_chunks(live, clip)), OnlineScorer(live)
    found = [b for f in range(clip.frame_count) for b in online.add(cut_frames(clip, f, f + 1))]
    pieces = frames_of([*found, *online.finish()])
    assert set(whole.thing_id) == {0, 4}
    for name in ("score", "cause", "thing_id"):
        np.testing.assert_allclose(getattr(pieces, name), getattr(whole, name), atol=1e-9)


def test_things_where_nothing_counts_do_not(model, clip):
    live = scorer(model, frames="online")
    online = OnlineScorer(live, counting=lambda boxes, *_: np.zeros(len(boxes), bool))
    frames = frames_of([*online.add(clip), *online.finish()])
    assert not frames.cause.any()
