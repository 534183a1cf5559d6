import numpy as np
import pytest

from pipeline.live.recording.drawing import clip_frame, event_picture
from pipeline.live.recording.moving import MovingAreas
from pipeline.live.recording.privacy import GROUND, blur_people
from pipeline.live.recording.ring import Moment
from tests.pipeline.live.helpers import event
from tests.pipeline.live.recording.people import COCO, at, detail, moment, nobody, person, picture


def test_a_covered_person_keeps_no_detail_and_the_rest_stays():
    image = picture(0)
    blur_people(image, [person(0)])
    assert detail(picture(0), 0) > 200
    assert detail(image, 0) == 0
    assert (image[:, 200:] == 120).all()
    assert len(np.unique(image[60:200, 40:90].reshape(-1, 3), axis=0)) <= 6 * 20


def test_joints_outside_the_box_are_covered_too():
    image = picture(0)
    people = person(0)
    people.boxes[0, 3] = 100  # a box that ends at the chest
    blur_people(image, [people])
    assert detail(image, 0) == 0


@pytest.mark.parametrize(
    "box", [[-50, -50, 400, 300], [300, 220, 500, 400], [np.nan] * 4, [400, 300, 500, 400]]
)
def test_boxes_at_the_edge_and_beyond_are_no_trouble(box):
    people = person(0)
    people.boxes[0] = box
    people.keypoints[..., 2] = 0
    blur_people(picture(0), [people, nobody()])


def test_a_frame_in_which_nobody_was_found_is_covered_by_its_neighbours():
    missed = moment(1.0, seen=False)
    image = clip_frame(missed, [person(0.9), person(1.1)], "blur", COCO)
    assert detail(image, 1.0) < 10
    assert detail(clip_frame(missed, [], "none", COCO), 1.0) > 100


def test_somebody_who_moves_and_is_never_found_is_covered():
    moving = MovingAreas()
    moving.of(np.full((240, 320, 3), 120, np.uint8))  # before they came
    left = []
    for i in range(40):
        seconds = i / 10
        found = Moment.of(at(seconds), picture(seconds), nobody(), pixels=True, moving=moving)
        left.append(detail(clip_frame(found, [], "blur", COCO), seconds))
    assert max(left) < 20  # of more than 200
    assert min(detail(picture(i / 10), i / 10) for i in range(40)) > 200


def test_a_picture_in_which_nothing_moves_stays_as_it_is():
    moving = MovingAreas()
    noise = np.random.default_rng(0)
    for _ in range(40):
        image = np.clip(picture(0).astype(int) + noise.normal(0, 3, (240, 320, 3)), 0, 255).astype(np.uint8)
        boxes = moving.of(image)
    assert boxes.shape == (0, 4)


def test_a_light_that_is_switched_on_covers_all_and_a_new_size_begins_anew():
    moving = MovingAreas()
    for _ in range(5):
        moving.of(np.full((240, 320, 3), 60, np.uint8))
    [box] = moving.of(np.full((240, 320, 3), 160, np.uint8))
    assert box.tolist() == [0, 0, 320, 240]
    assert not len(moving.of(np.full((480, 640, 3), 60, np.uint8)))
    image = np.full((480, 640, 3), 60, np.uint8)
    image[100:300, 400:500] = 200
    [box] = moving.of(image)
    assert np.abs(box - [400, 100, 500, 300]).max() <= 12  # in pixels of the picture, not of the smaller one


def test_skeletons_show_no_pixel_of_the_camera():
    # The same people on another picture give the same bytes, whatever the picture was.
    with_pixels, without = moment(0), moment(0, pixels=False)
    for make in (
        lambda m: clip_frame(m, [], "skeletons", COCO).tobytes(),
        lambda m: event_picture(event(), m, [], "skeletons", COCO),
    ):
        assert make(with_pixels) == make(without)
    drawn = clip_frame(without, [], "skeletons", COCO)
    assert (drawn[:, 200:] == GROUND).all()
    assert (drawn[:, :120] != GROUND).any()
