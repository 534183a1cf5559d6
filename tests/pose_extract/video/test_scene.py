"""Sketches of scenes."""

import cv2
import numpy as np
import pytest

from pose_extract.video.scene import (
    SceneLearner,
    likeness,
    sketch_from_text,
    sketch_of,
    sketch_to_text,
    small_grey,
)


@pytest.fixture(scope="module")
def place():
    rng = np.random.default_rng(1)
    still = cv2.resize(rng.integers(0, 255, (12, 20, 3), np.uint8), (320, 180), interpolation=cv2.INTER_CUBIC)
    return np.asarray(still, np.uint8)


def sketch(image):
    return sketch_of(small_grey(image).astype(np.float32))


def test_light_keeps_a_scene_and_a_turn_makes_it_another(place):
    assert likeness(sketch(place), sketch(place // 2)) > 0.9
    assert likeness(sketch(place), sketch(np.roll(place, 60, axis=1))) < 0.3
    assert likeness(sketch(place), sketch(np.full_like(place, 90))) == 0


def test_who_passes_by_is_not_in_what_is_learned(place):
    learner = SceneLearner()
    assert learner.text is None
    for second in range(100):
        picture = place.copy()
        cv2.rectangle(picture, (3 * second, 60), (3 * second + 25, 150), (0, 0, 255), -1)
        learner.see(picture, float(second))
    learned = sketch_from_text(learner.text)
    assert learned.shape == (45, 80)
    assert likeness(learned, sketch(place)) > 0.95
    assert len(learner.text) < 5000
    np.testing.assert_array_equal(sketch_from_text(sketch_to_text(learned)), learned)


@pytest.mark.parametrize("text", ["", "x", "AAAA", sketch_to_text(np.zeros((4, 4))), "é", "A" * 100_001])
def test_what_is_no_sketch_is_refused(text):
    with pytest.raises(ValueError, match="no sketch"):
        sketch_from_text(text)
