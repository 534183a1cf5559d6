"""The estimator gives what mmdet's and mmpose's own inference gives, in batches, from checkpoints."""

from __future__ import annotations

import numpy as np
import pytest
from openmmlab_models import POSE_CONFIGS, RTMPOSE_T, config_path

from pose_extract.estimators.openmmlab.networks import Network
from pose_extract.estimators.openmmlab.poses import TopDownPose, pose_model
from pose_extract.estimators.openmmlab.settings import OpenMMLabSettings

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
ONE_STAGE = {
    "rtmo": f"{POSE_CONFIGS}/rtmo/body7/rtmo-t_8xb32-600e_body7-416x416.py",
    "yolox-pose": f"{POSE_CONFIGS}/yoloxpose/coco/yoloxpose_tiny_4xb64-300e_coco-416.py",
}


def make_network(config, checkpoint, scope="mmpose", stage="pose", precision="fp32"):
    return Network(config, checkpoint, scope, "cpu", precision, stage, {})


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
