import numpy as np

from pose_extract.estimators.blazepose.bodies import erase_body
from pose_extract.estimators.motion import MotionProposals
from pose_extract.skeletons.similarity import box_iou
from tests.helpers.stick_figure import stick_figure


def nobody(mask, shrink):
    """There is no one to be cleared."""


def test_what_moves_is_proposed_and_what_stands_is_not():
    motion = MotionProposals((320, 240), 10.0, 20)
    rng = np.random.default_rng(0)
    ground = rng.integers(60, 120, (240, 320, 3)).astype(np.uint8)
    for step in range(20):
        image = ground.copy()
        image[100:160, 40 + 8 * step : 64 + 8 * step] = 230
        motion.update(image)
    boxes = motion.boxes(nobody)
    assert box_iou(boxes, [[40 + 8 * 19, 100, 64 + 8 * 19, 160]]).max() > 0.7


def test_what_moves_is_not_proposed_where_a_known_person_is():
    motion = MotionProposals((320, 240), 10.0, 20)
    for step in range(20):
        image = np.full((240, 320, 3), 90, np.uint8)
        image[100:160, 40 + 8 * step : 64 + 8 * step] = 230
        motion.update(image)
    there = [[192, 100, 216, 160]]
    assert box_iou(motion.boxes(nobody), there).max() > 0.7
    left = motion.boxes(lambda mask, shrink: erase_body(mask, stick_figure(x=204, y=130, height=60), shrink))
    assert box_iou(left, there).max(initial=0) == 0
