import dataclasses

import numpy as np
import pytest

from anomaly.data.surroundings import observe
from anomaly.normality.intensity import Intensity
from anomaly.normality.surroundings import FittedSurroundings, surroundings_shapes
from anomaly.settings import DensitySettings
from anomaly.settings.scoring import FLOW, STAYS, SURROUNDINGS, THINGS
from tests.anomaly.data.test_surroundings import crowd
from tests.helpers.things import clip_things, things

FRAMES = 400


def clip(speed=50.0, people=4, **at):
    return observe(crowd(FRAMES, people, speed, clip_things(FRAMES, **at)), SURROUNDINGS)


def passing(kind, x=50.0, frames=range(100, 140, 2), **columns):
    """One thing that passes in some frames."""
    rows = {name: [value] for name, value in columns.items()}
    return {
        f"f{f}": things(kind, boxes=[[x + f, 100, x + f + 20, 120]], age_s=[(f - frames[0]) / 10], **rows)
        for f in frames
    }


def fit(*clips, cameras=None, settings=None):
    folds = [np.full(len(each), number % 3) for number, each in enumerate(clips)]
    return FittedSurroundings.fit(
        clips, cameras or [""] * len(clips), folds, SURROUNDINGS, settings or DensitySettings()
    )


def judged(model, observations, camera=""):
    return model.judge(observations, camera, FRAMES)


def test_a_thing_where_there_never_was_one_is_unusual_while_it_is_there():
    found = judged(fit(*(clip() for _ in range(6))), clip(**passing(2)))
    assert found.p[120] < 0.01
    assert found.part[120] == SURROUNDINGS.index(THINGS)
    assert found.who[120] == 1
    assert found.p[50] > 0.1
    assert found.p[300] > 0.1


def test_what_may_be_no_thing_says_less_by_its_quality():
    usual = fit(*(clip() for _ in range(3)))
    sure, doubtful = (
        usual.worst(THINGS, clip(f100=things(2, boxes=[[150, 90, 170, 110]], quality=[quality])), "")[0].max()
        for quality in (0.8, 0.4)
    )
    assert sure == pytest.approx(2 * doubtful, rel=0.1)


def test_things_as_there_always_are_some_are_not():
    usual = fit(*(clip(**passing(2, 50 + i)) for i in range(6)))
    as_usual, other = judged(usual, clip(**passing(2, 53))), judged(usual, clip(**passing(1, 53)))
    assert as_usual.p[100:140].min() > 0.005
    assert other.p[100:140].min() < as_usual.p[100:140].min() / 3


def test_the_longer_somebody_stays_where_nobody_does_the_more_unusual_it_is():
    stays = [
        clip(
            **{f"f{f}": things(0, boxes=[[10, 100, 30, 150]], still_s=[4 + f / 10]) for f in range(0, 40, 2)}
        )
        for _ in range(6)
    ]
    there = {"ids": [3], "boxes": [[300, 100, 320, 150]]}
    long = clip(**{f"f{f}": things(0, still_s=[4 + f / 10], **there) for f in range(0, 398, 2)})
    found = judged(fit(*stays), long)
    assert found.part[390] == SURROUNDINGS.index(STAYS)
    assert found.who[390] == 3
    assert found.p[390] < found.p[20] < 1
    assert found.p[390] < 0.005


def test_a_crowd_that_runs_is_unusual_where_people_walk():
    usual = fit(*(clip(speed) for speed in (40, 45, 50, 55, 48, 52)))
    walks, runs = judged(usual, clip(49)), judged(usual, clip(200))
    assert walks.p.min() > 0.02
    assert runs.p[50:].max() < 0.01
    assert set(runs.part[50:]) == {SURROUNDINGS.index(FLOW)}


def test_a_few_seconds_of_crowds_do_not_tell_how_crowds_go():
    a_few = fit(clip(45), clip(50))
    assert judged(a_few, clip(200)).p.min() > 0.005
    assert judged(a_few, clip(10)).p.min() > 0.005


def test_normal_video_is_judged_by_what_has_not_seen_it():
    clips = [clip(), clip(), clip(**passing(2))]  # the third one is fold 2
    model = fit(*clips)
    own, _ = model.worst(THINGS, clips[2], "", np.full(len(clips[2]), 2))
    seen, _ = model.worst(THINGS, clips[2], "", np.full(len(clips[2]), 1))
    assert own[60] > seen[60] + 3


def test_a_camera_that_has_enough_video_of_its_own_is_told_from_others():
    settings = DensitySettings(camera="prefix")
    cars = [clip(**passing(2, 50 + i)) for i in range(6)]
    model = fit(*cars, *(clip() for _ in range(6)), cameras=["01"] * 6 + ["02"] * 6, settings=settings)
    assert {camera for camera, _ in model.fits} == {"", "01", "02"}
    car = clip(**passing(2, 53))
    assert judged(model, car, "02").p[120] < judged(model, car, "01").p[120]
    assert judged(model, car, "elsewhere").p[120] < 1


def test_what_was_learned_is_kept_and_nothing_else_is_believed():
    model, probe = fit(*(clip(**passing(2, 50 + i)) for i in range(3))), clip(**passing(1))
    arrays = model.arrays()
    shapes = surroundings_shapes(SURROUNDINGS)
    assert arrays.keys() == shapes.keys()
    for name, (shape, kind) in shapes.items():
        assert arrays[name].dtype == np.dtype(kind), name
        assert all(
            isinstance(want, str) or want == got for want, got in zip(shape, arrays[name].shape, strict=True)
        )
    again = FittedSurroundings.from_arrays(SURROUNDINGS, arrays)
    for field in dataclasses.fields(judged(model, probe)):
        np.testing.assert_array_equal(
            getattr(judged(again, probe), field.name), getattr(judged(model, probe), field.name)
        )
    for name, wrong in (("things_weight", -1.0), ("things_points", np.nan), ("stays_stayed_s", -1.0)):
        with pytest.raises(ValueError, match=r"expected|finite"):
            FittedSurroundings.from_arrays(SURROUNDINGS, arrays | {name: arrays[name] * 0 + wrong})


def test_a_part_of_a_clip_is_judged_as_within_the_whole():
    model, whole = fit(*(clip() for _ in range(3))), clip(**passing(2))
    part = judged(model, whole).cut(100, 200)
    assert len(part.p) == len(part.part) == len(part.who) == 100
    np.testing.assert_array_equal(part.p, judged(model, whole).p[100:200])


def test_nothing_is_known_before_the_first_look():
    tracks = crowd(10, seen=dataclasses.replace(clip_things(10), looked=np.array([4, 6, 8], np.int32)))
    found = fit(*(clip() for _ in range(3))).judge(observe(tracks, SURROUNDINGS), "", 10)
    assert found.p[:4].tolist() == [1, 1, 1, 1]
    assert found.part[:4].tolist() == [-1, -1, -1, -1]


def test_what_is_judged_together_makes_no_difference_even_where_nothing_was_seen():
    points, kinds = np.random.default_rng(0).normal(size=(5, 9)), np.zeros(5, np.int64)
    for count in (0, 5):
        known = Intensity(THINGS, points[:count], kinds[:count], 0.1, 100)
        together = known.anomaly(points + 3, kinds)
        alone = [known.anomaly(points[i : i + 1] + 3, kinds[:1])[0] for i in range(5)]
        np.testing.assert_allclose(together, alone, rtol=1e-12)
