"""The measures of extraction say what they claim, on cases that can be worked out by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from pose_extract.tracks.metrics import box_recall, id_switches, idf1, mota, oks, pck
from pose_extract.tracks.records import ClipTracks
from tests.helpers.generated_people import Walker, true_tracks


def two_people() -> ClipTracks:
    return true_tracks([Walker((100, 300), (20, 0)), Walker((400, 300), (-20, 0))], 2, 10)


def rows(tracks: ClipTracks, keep: np.ndarray) -> ClipTracks:
    return replace(
        tracks,
        frame=tracks.frame[keep],
        track=tracks.track[keep],
        keypoints=tracks.keypoints[keep],
        boxes=tracks.boxes[keep],
    )


def test_the_truth_itself_is_perfect() -> None:
    truth = two_people()
    assert pck(truth, truth).all == 1
    assert oks(truth, truth) == pytest.approx(1)
    assert idf1(truth, truth) == 1
    assert mota(truth, truth) == 1
    assert box_recall(truth, truth) == (1, 1)


def test_a_joint_beyond_the_threshold_is_wrong_and_one_within_it_right() -> None:
    truth = two_people()
    side = (truth.boxes[:, 2:] - truth.boxes[:, :2]).max(1)
    for share, correct in ((0.09, 1.0), (0.11, 16 / 17)):
        keypoints = truth.keypoints.copy()
        keypoints[:, 3, 0] += share * side
        assert pck(replace(truth, keypoints=keypoints), truth).all == pytest.approx(correct)


def test_missed_people_lower_one_figure_and_not_the_other() -> None:
    truth = two_people()
    half = rows(truth, truth.track == 1)
    result = pck(half, truth)
    assert (result.all, result.matched, result.people) == (0.5, 1.0, 0.5)
    assert oks(half, truth) == pytest.approx(0.5)
    assert box_recall(half, truth) == (0.5, 1.0)


def test_occluded_joints_and_occluded_people_are_not_looked_for() -> None:
    truth = two_people()
    keypoints = truth.keypoints.copy()
    keypoints[truth.track == 1, :3, 2] = 0.5  # 14 of 17 in sight: still looked for
    keypoints[truth.track == 2, :4, 2] = 0.5  # 13 of 17: not
    partly = replace(truth, keypoints=keypoints)
    wrong = truth.keypoints.copy()
    wrong[:, :3, 0] += 500
    result = pck(replace(truth, keypoints=wrong), partly)
    assert result.all == 1
    assert result.joints == 14 * (truth.track == 1).sum()


def test_joints_that_were_not_found_are_wrong() -> None:
    truth = two_people()
    for coordinates, confidence in ((np.nan, 1.0), (None, 0.0)):
        keypoints = truth.keypoints.copy()
        keypoints[:, 0, 2] = confidence
        if coordinates is not None:
            keypoints[:, 0, :2] = coordinates
        assert pck(replace(truth, keypoints=keypoints), truth).all == pytest.approx(16 / 17)


def test_people_are_matched_whatever_their_order_and_ids() -> None:
    truth = two_people()
    swapped = replace(truth, track=3 - truth.track)
    order = np.lexsort((swapped.track, swapped.frame))
    assert pck(rows(swapped, order), truth).all == 1
    assert idf1(rows(swapped, order), truth) == 1


def test_an_id_that_changes_half_way_costs_half_of_that_person() -> None:
    truth = two_people()
    track = truth.track.copy()
    track[(track == 1) & (truth.frame >= 10)] = 7
    order = np.lexsort((track, truth.frame))
    changed = rows(replace(truth, track=track), order)
    assert idf1(changed, truth) == pytest.approx(0.75)
    assert id_switches(changed, truth) == 1
    assert mota(changed, truth) == pytest.approx(1 - 1 / len(truth))


def test_false_people_lower_precision_and_mota() -> None:
    truth = two_people()
    more = true_tracks(
        [Walker((100, 300), (20, 0)), Walker((400, 300), (-20, 0)), Walker((250, 200), (0, 0))], 2, 10
    )
    assert box_recall(more, truth) == (1, pytest.approx(2 / 3))
    assert mota(more, truth) == pytest.approx(0.5)


def test_nobody_found_and_nobody_there() -> None:
    truth = two_people()
    nobody = rows(truth, np.zeros(len(truth), bool))
    assert pck(nobody, truth).all == 0
    assert idf1(nobody, truth) == 0
    assert np.isnan(pck(truth, nobody).all)
    assert np.isnan(pck(nobody, truth).matched)


def test_hidden_people_count_neither_for_nor_against_where_that_is_asked_for() -> None:
    truth = two_people()
    keypoints = truth.keypoints.copy()
    keypoints[(truth.track == 2) & (truth.frame >= 10), :, 2] = 0.5
    hidden = replace(truth, keypoints=keypoints)
    missed = rows(truth, (truth.track == 1) | (truth.frame < 10))
    assert idf1(missed, hidden) < 0.9
    assert idf1(missed, hidden, min_visible=0.5) == 1
    assert mota(truth, hidden, min_visible=0.5) == 1
