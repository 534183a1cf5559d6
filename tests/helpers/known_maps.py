"""Pose networks whose joints, or whose feature map, a test decides."""

from __future__ import annotations

from typing import Any

import numpy as np

from pose_extract.estimators.openmmlab.networks import Network
from pose_extract.estimators.openmmlab.poses import pose_model
from pose_extract.estimators.openmmlab.settings import OpenMMLabSettings
from tests.helpers.openmmlab_models import config_path

BOXES = {  # in a frame of 256 x 250; crops are 1.25 times as large, of width to height 3 to 4
    "as large as the input": (50.2, 19.6, 203.8, 224.4),
    "top left": (0, 0, 60, 100),
    "bottom right": (196, 180, 256, 250),
    "wide": (10, 100, 250, 140),
    "tall": (100, 0, 120, 250),
    "small": (90, 80, 110, 100),
}


CHANNELS = np.array([[123.675, 58.395], [116.28, 57.12]], np.float32)  # mean and deviation of red and green


def make_network(checkpoints, name, precision="fp32"):
    config = config_path(name)
    return Network(config, checkpoints(config), "mmpose", "cpu", precision, "pose", {})


def give_joints(network, joints, scores=1.0):
    """Make the head find given joints: for each picture (P, J, 2) in the frame, px."""
    from mmengine.structures import InstanceData

    def in_input(places, picture):
        size, scale, center = (
            np.asarray(picture[f"input_{key}"], np.float64) for key in ("size", "scale", "center")
        )
        return ((places - center + scale / 2) / scale * size).astype(np.float32)

    def predict(feats, samples, test_cfg=None):
        found = []
        for sample, places in zip(samples, joints, strict=True):
            boxes = np.stack([places.min(1), places.max(1) + 1], axis=1)
            found.append(
                InstanceData(
                    keypoints=in_input(places, sample.metainfo),
                    keypoint_scores=np.broadcast_to(np.float32(scores), places.shape[:2]),
                    bboxes=in_input(boxes, sample.metainfo).reshape(-1, 4),
                    bbox_scores=np.linspace(0.9, 1, len(places), dtype=np.float32),  # the last one first
                )
            )
        return found

    network.model.head.predict = predict


def give_map(network, function):
    """Put ``function`` (input -> tuple of maps) in the place of the backbone."""
    import torch

    class Backbone(torch.nn.Module):
        def forward(self, pictures):
            return function(pictures)

    network.model.backbone, network.model.neck = Backbone(), None


def estimate(network, image, boxes, **settings):
    pose: Any = pose_model(network, OpenMMLabSettings(**{"features": "backbone", **settings}), 16)
    (people,) = pose.estimate([image], [(np.array(boxes, np.float32), np.ones(len(boxes), np.float32))])
    return people


def ramp(height, width):
    """A frame whose red is the column and whose green is the row; not rounded when it is made larger or smaller."""
    rows, columns = np.mgrid[:height, :width]
    return np.stack([np.zeros_like(rows), rows, columns], axis=2).astype(np.float32)


def uniform(low, high, size=(1, 17, 2)):
    return np.random.default_rng(3).uniform(low, high, size)


def crop_of(box):
    """Centre and size of the crop that mmpose makes of a box for an input of 192 x 256."""
    box = np.array(box)
    width, height = 1.25 * (box[2:] - box[:2])
    return (box[:2] + box[2:]) / 2, np.array([max(width, 0.75 * height), max(height, width / 0.75)])
