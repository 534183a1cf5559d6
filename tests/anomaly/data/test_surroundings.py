import dataclasses

import numpy as np
import pytest

from anomaly.data.surroundings import AROUND_S, NUMBERS, described, joined, observe
from anomaly.settings.scoring import FLOW, STAYS, THINGS
from pose_extract.skeletons import get_skeleton
from pose_extract.skeletons.stature import standing_figure
from pose_extract.tracks.records import ClipTracks, cut_frames
from tests.helpers.things import clip_things, things

FPS, SIZE = 10.0, (400, 200)
EVERY = (THINGS, STAYS, FLOW)
ROWS = ("frame", "track", "keypoints", "boxes")


def standing(boxes):
    """Joints (M, 17, 3) of people who stand in boxes (M, 4)."""
    tall, middle = boxes[:, 3] - boxes[:, 1], (boxes[:, :2] + boxes[:, 2:]) / 2
    where = middle[:, None] + tall[:, None, None] * standing_figure(get_skeleton("coco17"))
    return np.concatenate([where, np.ones((len(boxes), 17, 1))], axis=2).astype(np.float32)


def moved(tracks, boxes):
    """The people of tracks, standing in other boxes."""
    return dataclasses.replace(tracks, boxes=boxes, keypoints=standing(boxes))


def crowd(frames=40, people=4, speed=50.0, seen=None):
    """People side by side who walk to the right at ``speed`` pixels a second."""
    frame = np.repeat(np.arange(frames, dtype=np.int32), people)
    who = np.tile(np.arange(people), frames)
    x = 20.0 + 30 * who + speed * frame / FPS
    boxes = np.stack([x, np.full(len(x), 100.0), x + 20, np.full(len(x), 150.0)], axis=1).astype(np.float32)
    ids = (who + 1).astype(np.int32)
    return ClipTracks(
        "a", "coco17", FPS, SIZE, np.arange(frames) / FPS, frame, ids, standing(boxes), boxes,
        things=clip_things(frames) if seen is None else seen,
    )  # fmt: skip


def number(observations, part, name):
    return observations.parts[part].numbers[:, list(NUMBERS[part]).index(name)]


def test_a_crowd_has_a_pace_that_says_more_the_more_people_there_are():
    observations = observe(crowd(), EVERY)
    late = observations.parts[FLOW].look > 8  # a second and more
    assert late.sum() > 5
    walk, own = 0.7, 50 / 50  # statures a second
    assert number(observations, FLOW, "pace")[late] == pytest.approx(0.4 * own + 0.6 * walk, abs=1e-5)
    more = number(observe(crowd(people=6), EVERY), FLOW, "pace")[-1]
    assert more == pytest.approx((own + walk) / 2, abs=1e-5)
    assert not observations.parts[FLOW].who.any()


def test_a_pace_is_that_of_the_fastest_quarter_over_the_last_second():
    tracks = crowd(people=8)
    slow = tracks.track <= 5
    boxes = tracks.boxes.copy()
    boxes[slow, ::2] = boxes[np.flatnonzero(slow) % 8][:, ::2]  # they stand; three of eight go on
    stands = moved(tracks, boxes)
    assert number(observe(stands, (FLOW,)), FLOW, "pace")[-1] == pytest.approx(
        number(observe(tracks, (FLOW,)), FLOW, "pace")[-1], abs=1e-6
    )
    stopped = tracks.boxes[30 * 8 + tracks.track - 1]
    halts = moved(tracks, np.where(tracks.frame[:, None] > 30, stopped, tracks.boxes))
    pace = number(observe(halts, (FLOW,)), FLOW, "pace")
    assert (np.diff(pace[-4:]) < 0).all()  # not at once
    assert pace[-1] > 0.7 * 6 / (8 + 6)  # that of eight who stand


def test_who_is_half_hidden_for_a_moment_is_neither_small_nor_fast():
    tracks = crowd(people=8, speed=20.0)
    hidden = (tracks.track <= 4) & (tracks.frame % 2 == 0)  # nothing is seen of them below the hips
    joints, boxes = tracks.keypoints.copy(), tracks.boxes.copy()
    joints[hidden, 13:] = 0
    boxes[hidden, 3] -= 25
    seen = dataclasses.replace(tracks, keypoints=joints, boxes=boxes)
    usual = number(observe(tracks, (FLOW,)), FLOW, "pace")
    assert number(observe(seen, (FLOW,)), FLOW, "pace") == pytest.approx(usual, abs=1e-4)


def test_a_crowd_that_has_run_out_of_the_picture_counts_for_a_second():
    tracks = crowd(people=4)
    gone = (tracks.frame >= 20) & (tracks.track > 2)
    left = dataclasses.replace(tracks, **{name: getattr(tracks, name)[~gone] for name in ROWS})
    found = observe(left, (FLOW,))
    last = found.frame[found.parts[FLOW].look[-1]]
    assert 20 + 0.8 * FPS <= last <= 20 + FPS


def test_two_people_are_no_crowd():
    assert not len(observe(crowd(people=2), EVERY).parts[FLOW])


def test_what_is_observed_is_the_same_for_a_part_of_the_clip_with_what_it_depends_on():
    tracks = crowd(speed=30.0)
    speeds = np.random.default_rng(0).uniform(0.5, 2.0, len(tracks)).astype(np.float32)[:, None]
    tracks = moved(tracks, tracks.boxes + speeds)
    assert observe(tracks, EVERY).parts[FLOW].look.min() >= 1
    whole, part = observe(tracks, (FLOW,)), observe(cut_frames(tracks, 10, 40), (FLOW,))
    a, b = whole.parts[FLOW], part.parts[FLOW]
    settled = part.frame[b.look] >= AROUND_S * FPS
    assert settled.sum() > 3
    later = np.isin(whole.frame[a.look], part.frame[b.look[settled]] + 10)
    np.testing.assert_allclose(a.numbers[later], b.numbers[settled], atol=1e-6)


def test_things_and_stays_are_told_apart_and_what_is_doubtful_does_not_count():
    seen = clip_things(
        40,
        f4=things(2, 0, 200, quality=[0.9, 1, 0.9], person=[0, 2, 1]),
        f6=things(200, quality=[0.1]),
    )
    observations = observe(crowd(seen=seen), EVERY)
    assert len(observations.parts[THINGS]) == 2
    assert number(observations, THINGS, "alone").tolist() == [1, 0]
    assert observations.parts[THINGS].kind[0] != observations.parts[THINGS].kind[1]
    assert observations.parts[STAYS].who.tolist() == [2]


def test_a_stay_ends_where_the_person_goes_on_and_not_where_the_clip_does():
    stays = {f"f{f}": things(0, ids=[7], still_s=[4 + f / FPS]) for f in range(0, 20, 2)}
    ends = observe(crowd(seen=clip_things(40, **stays)), EVERY).parts[STAYS].kind
    assert ends.tolist() == [0] * 9 + [1]
    to_the_end = {f"f{f}": things(0, ids=[7], still_s=[4 + f / FPS]) for f in range(0, 40, 2)}
    assert not observe(crowd(seen=clip_things(40, **to_the_end)), EVERY).parts[STAYS].kind.any()


def test_numbers_are_measured_in_statures():
    seen = clip_things(40, f4=things(2, boxes=[[0, 0, 100, 100]], velocity=[[50, 0]]))
    observations = observe(crowd(seen=seen), (THINGS,)).parts[THINGS]
    near, far = (described(THINGS, observations, np.array([stature]))[0] for stature in (0.5, 0.25))
    names = list(NUMBERS[THINGS])
    assert near[names.index("size")] == pytest.approx(0)
    assert far[names.index("size")] == pytest.approx(np.log(2))
    assert far[names.index("speed")] > near[names.index("speed")]


def test_looks_count_on_from_clip_to_clip():
    seen = clip_things(10, f2=things(2))
    one = observe(crowd(10, seen=seen), (THINGS,))
    assert joined([one, one], THINGS).look.tolist() == [1, 6]


def test_a_clip_without_looks_has_no_marks():
    tracks = crowd()
    bare = ClipTracks(**{**vars(tracks), "things": None})
    with pytest.raises(ValueError, match="in which things were looked for"):
        observe(bare, EVERY)


def test_a_part_of_a_clip_without_a_frame_has_no_marks():
    observations = observe(cut_frames(crowd(2), 2, 2), EVERY)  # what a fifth of two frames is
    assert len(observations) == 0
    assert all(len(observations.parts[part]) == 0 for part in EVERY)
