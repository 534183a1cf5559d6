import numpy as np

from pose_extract.estimators.blazepose import bodies
from pose_extract.estimators.doubles import suppress, unaccounted
from tests.helpers.stick_figure import stick_figure


def kept(*figures, scores=None, **options):
    points = np.stack(figures)
    boxes = bodies.boxes_of(points, (1000, 1000))
    scores = np.linspace(0.9, 0.5, len(points)) if scores is None else np.array(scores)
    return suppress(bodies.to_coco(points), boxes, scores, **options).tolist()


def test_doubles_of_a_person_are_suppressed_and_the_best_stays():
    assert kept(stick_figure(), stick_figure(x=102), scores=[0.5, 0.8]) == [1]


def test_a_double_seen_from_the_other_side_is_suppressed():
    mirrored = stick_figure()
    mirrored[:, 0] = 200 - mirrored[:, 0]
    assert kept(stick_figure(), mirrored) == [0]


def test_neighbours_both_stay():
    assert sorted(kept(stick_figure(), stick_figure(x=125))) == [0, 1]


def test_a_part_of_a_person_is_no_second_person():
    assert kept(stick_figure(), stick_figure(y=95, height=30)) == [0]


def test_a_skeleton_half_of_which_lies_on_somebody_elses_is_a_double_where_that_is_asked_for():
    astray = stick_figure()
    astray[:23] += np.array([45, 15, 0], np.float32)  # only the legs are where the other's are
    assert sorted(kept(stick_figure(), astray)) == [0, 1]
    assert kept(stick_figure(), astray, shared=0.2) == [0]


def test_somebody_who_lies_is_not_two_with_the_head_at_either_end():
    figure = stick_figure()
    other = figure.copy()
    other[:, :2] = 2 * np.array([100.0, 100.0]) - other[:, :2]  # upside down
    other[:, 0] += 8
    assert sorted(kept(figure, other)) == [0, 1]
    assert kept(figure, other, lying=np.array([True, False])) == [0]
    assert sorted(kept(figure, stick_figure(x=160), lying=np.array([True, True]))) == [0, 1]


def test_of_two_who_overlap_one_known_accounts_for_one_only():
    man, woman, far = [0, 0, 40, 100], [15, 0, 55, 100], [300, 0, 340, 100]
    seen = np.array([man, woman, far], np.float32)
    between = np.array([[6, 0, 46, 100]], np.float32)
    assert unaccounted(seen, between).tolist() == [False, True, True]
    assert unaccounted(seen, np.array([man, woman], np.float32)).tolist() == [False, False, True]
    again = np.array([man, [2, 0, 42, 100]], np.float32)  # the detector's own double
    assert unaccounted(again, np.array([man], np.float32)).tolist() == [False, False]
    nobody = np.zeros((0, 4), np.float32)
    assert unaccounted(seen, nobody).all()
    assert unaccounted(nobody, seen).shape == (0,)
