"""Batches are for speed only: how many frames or people go through at once changes no result."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from pose_extract.errors import EstimatorError
from pose_extract.estimators.openmmlab.estimator import OpenMMLabEstimator
from pose_extract.estimators.openmmlab.networks import Network
from pose_extract.estimators.openmmlab.settings import OpenMMLabSettings
from pose_extract.tracks.records import Frame
from tests.helpers.openmmlab_models import RTMDET_NANO, RTMPOSE_T, config_path

pytestmark = pytest.mark.openmmlab

FRAMES = 8


@pytest.fixture(scope="module")
def small(openmmlab, checkpoints):
    """Settings of a small detector and a small pose model with random weights."""
    pose, detector = config_path(RTMPOSE_T), config_path(RTMDET_NANO)
    return OpenMMLabSettings(
        model=str(pose),
        checkpoint=str(checkpoints(pose)),
        detector=str(detector),
        detector_checkpoint=str(checkpoints(detector, "mmdet")),
        max_people=3,
        device="cpu",
    )


@pytest.fixture(scope="module")
def frames(picture):
    """A picture that moves to the left."""
    wide = np.concatenate([picture, picture[:, ::-1]], axis=1)
    return [Frame(i, i / 25, wide[:, 20 * i : 20 * i + 320].copy()) for i in range(FRAMES)]


def extract(settings, frames):
    """The people of each frame, and the batches that the estimator asks for."""
    estimator = OpenMMLabEstimator(settings)
    estimator.start(25.0, (320, 240))
    size = estimator.batch_size
    return [
        people
        for begin in range(0, len(frames), size)
        for people in estimator.estimate(frames[begin : begin + size])
    ]


def assert_same(found, expected):
    assert len(found) == len(expected)
    for people, others in zip(found, expected, strict=True):
        assert len(people) == len(others) > 0
        np.testing.assert_allclose(people.boxes, others.boxes, atol=0.01)
        np.testing.assert_allclose(people.keypoints[..., :2], others.keypoints[..., :2], atol=0.01)
        np.testing.assert_allclose(people.scores, others.scores, atol=1e-4)


@pytest.fixture(scope="module")
def one_by_one(small, frames):
    return extract(replace(small, frames_per_batch=1, people_per_batch=1), frames)


@pytest.mark.parametrize(("at_once", "people"), [(3, 4), (8, 64)])
def test_how_many_go_through_at_once_changes_nothing(small, frames, one_by_one, at_once, people):
    found = extract(replace(small, frames_per_batch=at_once, people_per_batch=people), frames)
    assert_same(found, one_by_one)
    assert np.abs(found[0].keypoints - found[-1].keypoints).max() > 1  # the frames are not all the same


def test_with_a_detector_at_every_third_frame_batches_change_nothing_either(small, frames, one_by_one):
    third = replace(small, detect_every=3)
    found = extract(replace(third, frames_per_batch=3), frames)
    for at_once in (6, 30):
        assert_same(extract(replace(third, frames_per_batch=at_once), frames), found)
    for key in (0, 2, 5, FRAMES - 1):  # where the detector looks
        assert_same([found[key]], [one_by_one[key]])


def test_the_detector_at_every_third_frame_looks_at_no_other(small, frames, monkeypatch):
    looked = []
    estimator = OpenMMLabEstimator(replace(small, detect_every=3, frames_per_batch=6))
    estimator.start(25.0, (320, 240))
    detect = estimator._detector.detect
    monkeypatch.setattr(
        estimator._detector, "detect", lambda images: looked.append(len(images)) or detect(images)
    )
    estimator.estimate(frames[:6])
    assert looked == [3]  # the first frame, the third and the sixth


def test_after_a_hole_the_detector_looks_at_the_first_frame(small, frames):
    estimator = OpenMMLabEstimator(replace(small, detect_every=3, frames_per_batch=3))
    found = []
    for begin in (0, 40):  # of a clip, frames that come before a hole and after it
        estimator.start(25.0, (320, 240))
        numbered = [replace(frame, index=begin + frame.index) for frame in frames]
        found.append([people for i in (0, 3, 6) for people in estimator.estimate(numbered[i : i + 3])])
    assert_same(found[1], found[0])


def test_nobody_in_sight_is_no_trouble(small, frames):
    found = extract(replace(small, min_score=1.0), frames[:3])
    assert [len(people) for people in found] == [0, 0, 0]


@pytest.mark.parametrize(
    ("scope", "name", "stage"), [("mmpose", RTMPOSE_T, "pose"), ("mmdet", RTMDET_NANO, "detector")]
)
def test_pictures_are_normalised_as_by_the_model_itself(openmmlab, checkpoints, picture, scope, name, stage):
    import torch
    from mmengine.config import Config
    from mmengine.registry import MODELS, DefaultScope

    config = config_path(name)
    network = Network(config, checkpoints(config, scope), scope, "cpu", "fp32", stage, {})
    loaded = Config.fromfile(config)
    with DefaultScope.overwrite_default_scope(loaded.get("default_scope", scope)):
        own = MODELS.build(loaded.model.data_preprocessor)
    raw = torch.from_numpy(picture.transpose(2, 0, 1).copy())
    theirs = own({"inputs": [raw], "data_samples": []}, False)["inputs"]
    ours = network.model.data_preprocessor({"inputs": [network._normalise(raw)], "data_samples": []}, False)[
        "inputs"
    ]
    assert torch.equal(ours, theirs)


def test_half_precision_on_a_cpu_is_refused_with_what_to_take_instead(small):
    with pytest.raises(EstimatorError, match=r"fp16 needs a GPU.*bf16"):
        OpenMMLabEstimator(replace(small, precision="fp16"))
