import cv2
import numpy as np
import pytest

from pose_extract.skeletons import COCO17
from pose_extract.things.finder import ThingFinder, _edges
from pose_extract.things.settings import ThingSettings
from pose_extract.tracks.records import Frame, Objects, PoseDetections, Uncovered
from pose_extract.tracks.things import PERSON, UNKNOWN

WIDTH, HEIGHT, FPS = 320, 240, 10.0
GROUND = np.random.default_rng(0).integers(90, 120, (HEIGHT, WIDTH, 3), np.uint8)
EVERY = ThingSettings(interval_s=0.0)


def people(boxes=(), uncovered=None, objects=None):
    boxes = np.array(boxes, np.float32).reshape(-1, 4)
    keypoints = np.ones((len(boxes), 17, 3), np.float32)
    keypoints[..., :2] = ((boxes[:, :2] + boxes[:, 2:]) / 2)[:, None]
    found = PoseDetections(boxes, keypoints, np.ones(len(boxes), np.float32))
    return PoseDetections(found.boxes, found.keypoints, found.scores, None, objects, uncovered)


def seen(*regions, image=None):
    """What differs from the background: these boxes, drawn dark into the picture."""
    mask, picture = np.zeros((HEIGHT, WIDTH), np.uint8), GROUND.copy() if image is None else image.copy()
    for x1, y1, x2, y2 in regions:
        mask[y1:y2, x1:x2] = 255
        if image is None:
            picture[y1:y2, x1:x2] = 20
    return Uncovered(mask, picture)


def objects(*found):
    boxes = np.array([box for box, *_ in found], np.float32).reshape(-1, 4)
    scores, classes = (np.array([f[i] for f in found]) for i in (1, 2))
    return Objects(boxes, scores.astype(np.float32), classes.astype(np.int64))


def look(*looks, settings=EVERY):
    """The last of some looks, after one at the empty ground."""
    finder = ThingFinder(settings, FPS, (WIDTH, HEIGHT), COCO17)
    for i, each in enumerate((people([(20, 100, 60, 200)], seen()), *looks)):
        found = finder.look(Frame(i, i / FPS, each.uncovered.image), each)
    return found


def test_a_region_that_nobody_covers_is_a_thing_with_an_outline():
    found = look(people([(20, 100, 60, 200)], seen((150, 120, 190, 150))))
    np.testing.assert_allclose(found.boxes, [(150, 120, 190, 150)], atol=1)
    assert found.kinds.tolist() == [UNKNOWN]
    assert found.solid[0] > 0.9
    assert found.outline[0] > found.before[0] + 1
    assert found.stature == pytest.approx(100)


def test_a_change_of_the_light_has_no_outline():
    brighter = np.clip(GROUND.astype(int) + 25, 0, 255).astype(np.uint8)
    found = look(people([(20, 100, 60, 200)], seen((150, 120, 190, 150), image=brighter)))
    assert abs(found.outline[0] - found.before[0]) < 0.3


def test_where_something_has_gone_the_outline_was_before():
    with_thing = seen((150, 120, 190, 150)).image
    finder = ThingFinder(EVERY, FPS, (WIDTH, HEIGHT), COCO17)
    for i in range(3):
        finder.look(Frame(i, i / FPS, with_thing), people((), seen(image=with_thing)))
    found = finder.look(Frame(3, 0.3, GROUND), people((), seen((150, 120, 190, 150), image=GROUND)))
    assert found.before[0] > found.outline[0] + 1


@pytest.mark.parametrize("box", [(20, 120, 60, 160), (0, 120, 30, 150), (100, 100, 104, 104)])
def test_parts_of_people_what_comes_in_and_specks_are_no_things(box):
    assert not len(look(people([(20, 100, 60, 200)], seen(box))).boxes)


def test_people_of_whom_only_the_detector_knows_are_no_things():
    region = (150, 120, 190, 150)
    assert not len(look(people((), seen(region), objects((region, 0.5, PERSON)))).boxes)


def test_the_detector_names_what_stands_out_and_a_parked_car_is_background():
    bicycle, car = (150, 120, 190, 150), (220, 100, 300, 150)
    found = look(people((), seen((155, 125, 185, 145)), objects((bicycle, 0.6, 1), (car, 0.9, 2))))
    assert found.kinds.tolist() == [1]
    np.testing.assert_array_equal(found.boxes, [bicycle])
    assert found.score.tolist() == pytest.approx([0.6])
    assert 0.3 < found.solid[0] < 0.7  # what stands out there, by itself


def test_a_parked_car_stays_background_when_somebody_unseen_stands_before_it_and_is_a_thing_when_it_drives_off():
    car, moved = (220, 100, 300, 150), (150, 100, 230, 150)
    parked = people((), seen(), objects((car, 0.9, 2)))
    before_it = people((), seen((250, 90, 270, 160)), objects((car, 0.9, 2)))
    off = people((), seen(moved), objects((moved, 0.9, 2)))
    assert 2 not in look(*[parked] * 12, before_it).kinds
    assert look(*[parked] * 12, off).kinds.tolist() == [2]
    assert look(parked, before_it).kinds.tolist() == [2]  # seen once, that was no parking


def test_places_that_never_rest_are_background_and_one_that_something_passes_is_not():
    tape, other = (50, 60, 90, 70), (200, 60, 240, 70)
    wind = [people((), seen(*[tape] * (i % 2))) for i in range(100)]
    found = look(*wind, people((), seen(tape, other)))
    np.testing.assert_allclose(found.boxes, [other], atol=2)
    passing = [people((), seen(*[tape] * (i % 50 < 5))) for i in range(100)]
    assert len(look(*passing, people((), seen(tape))).boxes) == 1
    hidden_now_and_then = [people((), seen(*[tape] * (i % 15 < 12))) for i in range(150)]
    assert len(look(*hidden_now_and_then, people((), seen(tape))).boxes) == 1


def test_of_two_names_for_one_object_the_surer_counts():
    box, nearly = (150, 120, 190, 150), (152, 120, 192, 150)
    found = look(people((), seen(box), objects((box, 0.4, 1), (nearly, 0.7, 3))))
    assert found.kinds.tolist() == [3]


def test_nothing_is_believed_where_much_changes_at_once():
    assert not len(look(people((), seen((0, 0, WIDTH, HEIGHT // 2)))).boxes)
    specks = [(x, y, x + 12, y + 12) for x in range(10, 300, 40) for y in range(10, 200, 40)]
    assert not len(look(people((), seen(*specks))).boxes)


def test_the_place_that_somebody_left_is_background_once_it_is_learned_but_not_what_stands_there():
    hole, bag = (150, 60, 200, 160), (170, 130, 190, 150)
    finder = ThingFinder(EVERY, FPS, (WIDTH, HEIGHT), COCO17)
    uncovered = seen(hole, image=GROUND)
    with_bag = Uncovered(uncovered.mask, cv2.rectangle(GROUND.copy(), bag[:2], bag[2:], (20, 20, 20), -1))
    finder.look(Frame(0, 0.0, GROUND), people((), uncovered))
    finder.learn_hole(np.array(hole), np.zeros((0, 4)))
    assert not len(finder.look(Frame(1, 0.1, GROUND), people((), uncovered)).boxes)
    found = finder.look(Frame(2, 0.2, with_bag.image), people((), with_bag))
    np.testing.assert_allclose(found.boxes, [bag], atol=2)


def test_looks_have_a_rhythm_and_an_estimator_without_a_background_gets_one():
    finder = ThingFinder(ThingSettings(interval_s=0.3), FPS, (WIDTH, HEIGHT), COCO17)
    found = []
    for i in range(30):
        image = GROUND.copy()
        if i >= 20:
            image[120:150, 5 * (i - 20) + 100 : 5 * (i - 20) + 140] = 20
        found.append(finder.look(Frame(i, i / FPS, image), people()))
    assert [i for i, each in enumerate(found) if each is not None] == list(range(0, 30, 3))
    assert len(found[27].boxes) == 1
    assert abs(found[27].boxes[0, 0] - 135) < 10


@pytest.mark.parametrize("size", [(30, 47), (17, 19), (90, 61)])
def test_edges_are_the_same_to_the_bit_wherever_in_memory_they_are_worked_out(size):
    rng = np.random.default_rng(0)
    grey = rng.normal(100, 50, size).astype(np.float32)
    found, taken = set(), []
    for count in rng.integers(1, 5000, 300).tolist():
        taken = [*taken[-50:], np.empty(count, np.uint8)]
        found.add(_edges(grey).tobytes())
    assert len(found) == 1


def test_joints_out_of_all_bounds_are_no_error():
    finder = ThingFinder(EVERY, FPS, (WIDTH, HEIGHT), COCO17)
    keypoints = np.full((1, 17, 3), 50, np.float32)
    keypoints[0, 3, :2] = 1e12
    found = PoseDetections(np.array([[20, 20, 60, 160]], np.float32), keypoints, np.ones(1, np.float32))
    assert finder.look(Frame(0, 0.0, GROUND), found) is not None


def test_shoes_that_look_like_a_skateboard_are_none_and_one_that_stands_out_is():
    person, shoes = (100, 60, 140, 160), (102, 150, 142, 164)
    board = (80, 154, 160, 168)
    assert not len(look(people([person], seen(shoes), objects((shoes, 0.5, 36)))).boxes)
    found = look(people([person], seen(board), objects((board, 0.5, 36))))
    assert found.kinds.tolist() == [36]
    assert found.solid[0] > 0.2  # beside the feet


@pytest.mark.parametrize("kind", [16, 24, 26, 28, 32])
def test_a_bag_or_a_ball_at_somebodys_feet_is_no_shoe(kind):
    """Within their box, where everything that stands out is taken for theirs."""
    person, bag = (100, 60, 140, 160), (118, 142, 138, 160)
    assert look(people([person], seen(bag), objects((bag, 0.6, kind)))).kinds.tolist() == [kind]


def test_a_region_that_an_object_fills_is_that_object_and_what_is_beside_it_stays():
    pram, both, ball = (150, 120, 190, 160), (148, 118, 230, 162), (260, 120, 280, 140)
    found = look(people((), seen(both, ball), objects((pram, 0.5, 1))))
    assert sorted(found.kinds.tolist()) == [1, UNKNOWN]
    np.testing.assert_allclose(found.boxes[found.kinds == UNKNOWN], [ball], atol=1)
