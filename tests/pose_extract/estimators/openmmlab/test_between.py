"""Boxes between the frames that the detector looks at."""

from itertools import pairwise

import numpy as np
import pytest

from pipeline.synthetic.clips import simulate_clip
from pipeline.synthetic.street.scene import StreetSettings
from pose_extract.estimators.openmmlab.between import interpolate_boxes, key_frames
from pose_extract.skeletons.similarity import box_iou


def people(*boxes, scores=None):
    """Boxes (P, 4) and scores (P,), 0.9 unless given."""
    scores = [0.9] * len(boxes) if scores is None else scores
    return np.array(boxes, np.float32).reshape(-1, 4), np.array(scores, np.float32)


def walker(x, y=100.0, height=100.0):
    """The box of somebody whose left upper corner is at (x, y)."""
    return (x, y, x + 0.4 * height, y + height)


def at_step(found, step):
    """The boxes of one of the frames between, from left to right."""
    boxes = found[step][0]
    return boxes[np.argsort(boxes[:, 0])]


# -- key frames --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("every", [1, 2, 3, 5, 10])
@pytest.mark.parametrize("length", [1, 2, 29, 30, 31])
def test_key_frames_do_not_depend_on_the_batch_size(every, length):
    def of_video(batch):
        return [
            first + position
            for first in range(0, length, batch)
            for position in key_frames(first, min(batch, length - first), every)
        ]

    whole = of_video(1000 * every)
    assert all(of_video(n * every) == whole for n in (1, 2, 3, 7))
    assert whole[0] == 0
    assert whole[-1] == length - 1
    assert max(np.diff(whole), default=0) <= every


def test_every_frame_is_a_key_frame_when_the_detector_looks_at_all():
    assert key_frames(8, 4, 1) == [0, 1, 2, 3]


def test_the_detector_looks_at_one_of_n_frames():
    assert key_frames(0, 12, 4) == [0, 3, 7, 11]
    assert key_frames(12, 8, 4) == [3, 7]
    assert key_frames(20, 3, 4) == [2]  # the video ends here


def test_a_batch_of_nothing_has_no_key_frames():
    assert key_frames(5, 0, 3) == []


def test_looking_at_no_frame_is_refused():
    with pytest.raises(ValueError, match="every = 0"):
        key_frames(0, 4, 0)


# -- boxes between -----------------------------------------------------------------------------------------------------


def test_a_walker_moves_on_a_straight_line_and_the_score_with_them():
    found = interpolate_boxes(people(walker(0), scores=[0.5]), people((40, 110, 90, 230), scores=[0.9]), 3)
    assert len(found) == 3
    for (boxes, scores), share in zip(found, (0.25, 0.5, 0.75), strict=True):
        np.testing.assert_allclose(
            boxes, [[40 * share, 100 + 10 * share, 40 + 50 * share, 200 + 30 * share]], rtol=1e-6
        )
        np.testing.assert_allclose(scores, [0.5 + 0.4 * share], rtol=1e-6)
        assert boxes.dtype == scores.dtype == np.float32


def test_people_are_told_apart_whatever_the_order_of_the_detections():
    first = people(walker(0), walker(300), walker(600))
    second = people(walker(620), walker(20), walker(320))
    for step in range(4):
        shift = 20 * (step + 1) / 5
        np.testing.assert_allclose(
            at_step(interpolate_boxes(first, second, 4), step)[:, 0],
            [shift, 300 + shift, 600 + shift],
            rtol=1e-5,
        )


def test_two_who_walk_through_each_other_go_on_their_ways():
    left, right = walker(100, y=100, height=100), walker(130, y=80, height=120)
    first = people(left, right)
    second = people(walker(132, y=100, height=100), walker(98, y=80, height=120))
    for step, (boxes, _) in enumerate(interpolate_boxes(first, second, 3)):
        share = (step + 1) / 4
        small = boxes[np.argmin(boxes[:, 3] - boxes[:, 1])]
        np.testing.assert_allclose(small, np.array(walker(100 + 32 * share)), rtol=1e-5)


def test_a_runner_whose_boxes_do_not_overlap_is_followed():
    found = interpolate_boxes(people(walker(0)), people(walker(80)), 1)
    np.testing.assert_allclose(found[0][0], [walker(40)])


def test_somebody_far_away_is_somebody_else():
    found = interpolate_boxes(people(walker(0)), people(walker(500)), 3)
    assert [boxes[0, 0] for boxes, _ in found] == [0, 0, 500]


def test_somebody_near_of_another_size_is_somebody_else():
    found = interpolate_boxes(people(walker(0, height=200)), people(walker(90, height=80)), 2)
    assert [boxes[0, 0] for boxes, _ in found] == [0, 90]


def test_a_person_who_falls_is_the_same_person():
    standing, lying = (100, 100, 150, 220), (80, 180, 200, 225)
    found = interpolate_boxes(people(standing), people(lying), 1)
    np.testing.assert_allclose(found[0][0], [(90, 140, 175, 222.5)])


@pytest.mark.parametrize("count", [1, 2, 3, 4])
def test_who_leaves_stays_for_the_first_half_and_who_comes_is_there_for_the_second(count):
    leaves = interpolate_boxes(people(walker(5)), people(), count)
    comes = interpolate_boxes(people(), people(walker(7)), count)
    for step in range(count):
        first_half = (step + 1) / (count + 1) <= 0.5
        assert len(leaves[step][0]) == first_half
        assert len(comes[step][0]) == (not first_half)
        assert leaves[step][0].shape[1] == comes[step][0].shape[1] == 4


def test_nobody_at_both_ends_is_nobody_between():
    for boxes, scores in interpolate_boxes(people(), people(), 2):
        assert boxes.shape == (0, 4)
        assert scores.shape == (0,)


def test_the_best_come_first():
    first = people(walker(0), walker(300), scores=[0.4, 0.8])
    second = people(walker(300), walker(600), scores=[0.8, 0.95])
    for _, scores in interpolate_boxes(first, second, 4):
        assert (np.diff(scores) <= 0).all()


def test_boxes_without_area_are_no_trouble():
    flat = people((5, 5, 5, 5), (7, 7, 30, 7))
    for boxes, scores in interpolate_boxes(flat, flat, 2):
        assert np.isfinite(boxes).all()
        assert len(boxes) == len(scores) == 2


def test_no_frame_between_gives_no_boxes():
    assert interpolate_boxes(people(walker(0)), people(walker(1)), 0) == []


@pytest.mark.parametrize(
    ("every", "least_mean", "least_share"), [(2, 0.95, 0.99), (5, 0.85, 0.98), (10, 0.72, 0.93)]
)
def test_on_the_street_interpolated_boxes_lie_on_the_people(every, least_mean, least_share):
    """Exact boxes at key frames, 25 frames a second: overlap with the exact boxes between."""
    truth = simulate_clip("street", 100, StreetSettings(seconds=20, fps=25), ("running",)).truth
    edges = np.searchsorted(truth.frame, np.arange(truth.frame_count + 1))
    frames = [people(*truth.boxes[a:b]) for a, b in pairwise(edges)]
    keys = key_frames(0, len(frames), every)
    overlaps = []
    for a, b in pairwise(keys):
        for i, (boxes, _) in enumerate(interpolate_boxes(frames[a], frames[b], b - a - 1), a + 1):
            iou = box_iou(frames[i][0], boxes)
            overlaps += iou.max(1).tolist() if len(boxes) else [0.0] * len(iou)
    assert len(overlaps) > 400
    assert np.mean(overlaps) > least_mean
    assert np.mean(np.array(overlaps) >= 0.5) > least_share
