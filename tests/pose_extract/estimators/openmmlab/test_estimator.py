"""The estimator gives what mmdet's and mmpose's own inference gives, in batches, from checkpoints."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from pose_extract.estimators.openmmlab.detector import PersonDetector
from pose_extract.estimators.openmmlab.estimator import OpenMMLabEstimator
from pose_extract.estimators.openmmlab.networks import Network
from pose_extract.estimators.openmmlab.poses import OneStagePose, TopDownPose, pose_model
from pose_extract.estimators.openmmlab.settings import OpenMMLabSettings
from pose_extract.tracks.records import Frame
from tests.helpers.openmmlab_models import POSE_CONFIGS, RTMDET_NANO, RTMPOSE_T, config_path, save_random

pytestmark = pytest.mark.openmmlab

BOXES = np.array(
    [[10, 20, 90, 200], [100, 30, 180, 230], [200, 10, 310, 235], [150, 100, 190, 180]], np.float32
)
SCORES = np.ones(4, np.float32)
TOP_DOWN = {
    "rtmpose": RTMPOSE_T,
    "hrnet": f"{POSE_CONFIGS}/topdown_heatmap/coco/td-hm_hrnet-w32_8xb64-210e_coco-256x192.py",
    "vitpose": f"{POSE_CONFIGS}/topdown_heatmap/coco/td-hm_ViTPose-small_8xb64-210e_coco-256x192.py",
}
ONE_STAGE = {  # and a score that some people have
    "rtmo": (f"{POSE_CONFIGS}/rtmo/body7/rtmo-t_8xb32-600e_body7-416x416.py", 0.55),
    "yolox-pose": (f"{POSE_CONFIGS}/yoloxpose/coco/yoloxpose_tiny_4xb64-300e_coco-416.py", 0.3),
}


def make_network(config, checkpoint, scope="mmpose", stage="pose", precision="fp32"):
    return Network(config, checkpoint, scope, "cpu", precision, stage, {})


def nearest(boxes, others):
    """For each box the row of the other that is nearest; each other at most once."""
    rows = np.abs(boxes[:, None] - others[None]).max(2).argmin(1)
    assert len(set(rows)) == len(rows)
    return rows


@pytest.mark.parametrize("flip", [False, True])
@pytest.mark.parametrize("name", TOP_DOWN)
def test_joints_in_given_boxes_are_those_of_mmpose(name, flip, openmmlab, checkpoints, picture):
    from mmpose.apis import inference_topdown, init_model

    config = config_path(TOP_DOWN[name])
    checkpoint = checkpoints(config)
    pose = pose_model(make_network(config, checkpoint), OpenMMLabSettings(flip_test=flip), 16)
    assert isinstance(pose, TopDownPose)
    (ours,) = pose.estimate([picture], [(BOXES, SCORES)])
    model = init_model(str(config), str(checkpoint), device="cpu")
    model.test_cfg["flip_test"] = flip
    theirs = np.concatenate(
        [sample.pred_instances.keypoints for sample in inference_topdown(model, picture, BOXES)]
    )
    assert np.abs(ours.keypoints[..., :2] - theirs).max() < 0.01
    assert np.ptp(theirs, axis=1).min() > 1  # joints in different places


@pytest.mark.parametrize("name", ONE_STAGE)
def test_one_stage_models_find_the_people_of_mmpose(name, openmmlab, checkpoints, picture):
    from mmpose.apis import inference_bottomup, init_model
    from mmpose.evaluation.functional import nms

    name, least = ONE_STAGE[name]
    config = config_path(name)
    checkpoint = checkpoints(config)
    settings = OpenMMLabSettings(min_score=least, nms=0.5, max_people=1000)
    pose = pose_model(make_network(config, checkpoint), settings, 16)
    assert isinstance(pose, OneStagePose)
    ours, cut = pose.estimate([picture, picture[:200]])
    model = init_model(str(config), str(checkpoint), device="cpu")
    for people, image in ((ours, picture), (cut, picture[:200])):
        found = inference_bottomup(model, image)[0].pred_instances
        boxes = found.bboxes.clip(0, [image.shape[1], image.shape[0]] * 2)
        sure = (found.bbox_scores > least) & (boxes[:, 2:] > boxes[:, :2]).all(1)
        boxes, joints, scores = boxes[sure], found.keypoints[sure], found.bbox_scores[sure]
        keep = nms(np.concatenate([boxes, scores[:, None]], axis=1), 0.5)
        assert len(keep) == len(people) > 3
        same = nearest(people.boxes, boxes[keep])
        assert np.abs(people.boxes - boxes[keep][same]).max() < 0.5
        assert np.abs(people.keypoints[..., :2] - joints[keep][same]).max() < 0.5
        assert np.abs(people.scores - scores[keep][same]).max() < 1e-3


def test_boxes_of_a_batch_are_those_of_mmdet(openmmlab, picture, tmp_path):
    from mmdet.apis import inference_detector, init_detector

    config = config_path(RTMDET_NANO)
    checkpoint = save_random(config, "mmdet", tmp_path / "detector.pth", box_gain=0.3)
    settings = OpenMMLabSettings(min_score=0.3, nms=1.0, max_people=1000)
    detector = PersonDetector(make_network(config, checkpoint, "mmdet", "detector"), settings)
    model = init_detector(str(config), str(checkpoint), device="cpu")
    images = [picture, picture[:, ::-1].copy(), picture[::-1].copy()]
    for (boxes, scores), image in zip(detector.detect(images), images, strict=True):
        found = inference_detector(model, image).pred_instances
        theirs = found.bboxes[found.scores > 0.3].numpy()
        assert len(boxes) == len(theirs) > 1
        assert np.abs(boxes - theirs[nearest(boxes, theirs)]).max() < 0.5
        assert np.all(np.diff(scores) <= 0)


@pytest.fixture(scope="session")
def tiny(openmmlab, checkpoints):
    """Settings of a small detector and a small pose model with random weights."""
    pose, detector = config_path(RTMPOSE_T), config_path(RTMDET_NANO)
    return OpenMMLabSettings(
        model=str(pose),
        checkpoint=str(checkpoints(pose)),
        detector=str(detector),
        detector_checkpoint=str(checkpoints(detector, "mmdet")),
        device="cpu",
    )


def test_from_frame_to_joints_it_is_mmposes_own_inferencer(tiny, picture):
    from mmpose.apis.inferencers import Pose2DInferencer

    estimator = OpenMMLabEstimator(replace(tiny, flip_test=True))
    estimator.start(25.0, (320, 240))
    images = [picture, picture[:, ::-1].copy(), picture[::-1].copy()]
    ours = estimator.estimate([Frame(i, i / 25, image) for i, image in enumerate(images)])
    inferencer = Pose2DInferencer(
        tiny.model, tiny.checkpoint, "cpu", det_model=tiny.detector, det_weights=tiny.detector_checkpoint,
        det_cat_ids=(0,),
    )  # fmt: skip
    for people, image in zip(ours, images, strict=True):
        theirs = next(inferencer(image, return_datasamples=True))["predictions"][0].pred_instances
        apart = np.abs(people.boxes[:, None] - theirs.bboxes[None]).max(2)
        same, found = apart.argmin(1), apart.min(1) < 0.5
        # Of two people equally good by random weights, rounding may choose the other.
        assert found.sum() > 2
        assert abs(len(people) - len(theirs)) <= 2
        assert (~found).sum() <= 2
        assert np.abs(people.keypoints[found, :, :2] - theirs.keypoints[same[found]]).max() < 0.5
