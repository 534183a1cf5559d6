"""What a picture tells of its camera."""

import cv2
import numpy as np
import pytest

from pipeline.live.settings import LiveSettings
from pipeline.live.watching.picture import PictureWatch
from pose_extract.video.scene import SceneLearner, sketch_from_text, sketch_of, small_grey

LIVE = LiveSettings()


@pytest.fixture(scope="module")
def scene():
    """Noisy pictures of one place with something that moves through it."""
    rng = np.random.default_rng(3)
    still = cv2.GaussianBlur(rng.integers(0, 255, (36, 64, 3), np.uint8), (0, 0), 1.0)
    still = cv2.resize(still, (320, 180), interpolation=cv2.INTER_CUBIC)
    cv2.rectangle(still, (40, 30), (130, 150), (200, 180, 160), 3)

    def picture(number, light=1.0, shift=0):
        moved = np.roll(still, shift, axis=1).copy()
        x = 10 + 4 * number % 280
        cv2.rectangle(moved, (x, 75), (x + 20, 145), (40, 30, 90), -1)
        noisy = moved * light + rng.normal(0, 2.5, moved.shape)
        return np.clip(noisy, 0, 255).astype(np.uint8)

    return picture


def watch(pictures, watcher=None, start=0.0):
    watcher = watcher or PictureWatch(LIVE)
    states = [watcher.look(picture, start + 0.5 * i) for i, picture in enumerate(pictures)]
    return states, watcher


def learned(scene):
    return watch([scene(i) for i in range(30)])[1]


def test_a_scene_with_people_in_it_is_online(scene):
    states, _ = watch([scene(i) for i in range(120)])
    assert set(states) == {"online"}


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda p: p // 30, "black"),
        (lambda p: np.full_like(p, 120) + p // 100, "covered"),
        (lambda p: cv2.GaussianBlur(p, (0, 0), 12), "blurred"),
    ],
)
def test_a_camera_that_sees_nothing_is_blind_after_a_while_and_then_sees_again(scene, change, reason):
    watcher = learned(scene)
    states, _ = watch([change(scene(i)) for i in range(30)], watcher, 15)
    assert states.index("blind") == pytest.approx(LIVE.blind_after_s / 0.5, abs=1)
    assert set(states[11:]) == {"blind"}
    assert reason in watcher.reason
    assert watch([scene(0)], watcher, 30)[0] == ["online"]


def test_a_picture_that_does_not_change_at_all_is_frozen(scene):
    watcher, still = learned(scene), scene(5)
    states, _ = watch([still] * 160, watcher, 15)
    assert states.index("blind") == pytest.approx(LIVE.frozen_after_s / 0.5, abs=2)
    assert watcher.reason == "the picture is frozen"
    watcher.reconnected()
    assert watch([still], watcher, 100)[0] == ["online"]


@pytest.mark.parametrize("light", [0.5, 1.25])
def test_other_light_is_no_other_scene(scene, light):
    states, _ = watch([scene(i, light) for i in range(80)], learned(scene), 15)
    assert set(states) == {"online"}


def test_a_camera_that_was_turned_has_moved_and_is_back_when_it_is(scene, tmp_path):
    path = tmp_path / "door.json"
    watch([scene(i) for i in range(30)], PictureWatch(LIVE, path))
    assert path.is_file()
    again = PictureWatch(LIVE, path)  # after a restart
    states, _ = watch([scene(i, shift=100) for i in range(60)], again)
    assert states.index("moved") == pytest.approx(LIVE.moved_after_s / 0.5, abs=1)
    assert watch([scene(1)], again, 40)[0] == ["online"]


def test_the_scene_that_was_trained_on_counts_from_the_first_picture_on(scene):
    learner = SceneLearner()
    for i in range(200):
        learner.see(scene(i), i / 10)
    trained = [sketch_from_text(learner.text)]
    states, _ = watch([scene(i) for i in range(60)], PictureWatch(LIVE, trained=trained))
    assert set(states) == {"online"}
    states, watcher = watch([scene(i, shift=100) for i in range(60)], PictureWatch(LIVE, trained=trained))
    assert states.index("moved") == pytest.approx(LIVE.moved_after_s / 0.5, abs=1)
    assert watch([scene(1)], watcher, 40)[0] == ["online"]
    other = sketch_of(small_grey(scene(0, shift=100)).astype(np.float32))
    states, _ = watch([scene(i, shift=100) for i in range(60)], PictureWatch(LIVE, trained=[*trained, other]))
    assert set(states) == {"online"}  # one of several cameras


def test_a_scene_that_is_damaged_on_disk_is_learned_anew(scene, tmp_path):
    path = tmp_path / "door.json"
    for text in ("", "{}", '{"sketch": "x", "sharpness": 1}', '{"sketch": 1, "sharpness": 1}', "\xff"):
        path.write_text(text)
        assert set(watch([scene(i) for i in range(30)], PictureWatch(LIVE, path))[0]) == {"online"}
        assert '"sharpness"' in path.read_text()


def test_it_can_be_turned_off(scene, tmp_path):
    watcher = PictureWatch(LiveSettings(moved_below=0))
    watch([scene(i) for i in range(30)], watcher)
    states, _ = watch([scene(i, shift=150) for i in range(60)], watcher, 20)
    assert set(states) == {"online"}
