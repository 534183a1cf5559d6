import numpy as np
import pytest

from pipeline.live.recording.drawing import clip_frame, event_picture
from pipeline.live.recording.privacy import GROUND, blur_people
from tests.pipeline.live.helpers import event
from tests.pipeline.live.recording.people import COCO, detail, moment, nobody, person, picture


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
