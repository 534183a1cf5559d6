"""People's joints by mmpose's models: top-down ones in given boxes, one-stage ones in whole frames."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pose_extract.errors import EstimatorError
from pose_extract.estimators.openmmlab.detector import Boxes
from pose_extract.estimators.openmmlab.joints import JointMap, joint_names
from pose_extract.estimators.openmmlab.networks import Network
from pose_extract.estimators.openmmlab.settings import OpenMMLabSettings
from pose_extract.records import PoseDetections
from pose_extract.skeletons import get_skeleton

Image = NDArray[np.uint8]


class _PoseModel:
    """What both kinds share: the data set's description and the joints taken from it."""

    def __init__(self, network: Network, settings: OpenMMLabSettings) -> None:
        self._network, self._settings = network, settings
        self._meta = network.dataset_meta or _meta_of(network.config)
        self._joints = JointMap(joint_names(self._meta), get_skeleton(settings.skeleton))
        network.model.test_cfg["flip_test"] = settings.flip_test

    def _keypoints(self, found: Any) -> NDArray[np.float32]:
        return self._joints.keypoints(
            np.asarray(found.keypoints, np.float32)[..., :2], np.asarray(found.keypoint_scores, np.float32)
        )


class TopDownPose(_PoseModel):
    """Joints of the people in given boxes, all people of all frames in common batches.

    Args:
        network: a top-down model.
        settings: joints and mirrored passes.
        batch: people that go through at once.
    """

    def __init__(self, network: Network, settings: OpenMMLabSettings, batch: int) -> None:
        super().__init__(network, settings)
        self._batch = batch

    def estimate(self, images: Sequence[Image], people: Sequence[Boxes]) -> list[PoseDetections]:
        """The people of each picture (H, W, 3) BGR whose boxes and scores are given."""
        crops = [(i, box) for i, (boxes, _) in enumerate(people) for box in boxes]
        keypoints: list[NDArray[np.float32]] = []
        for begin in range(0, len(crops), self._batch):
            inputs = [
                {**self._meta, "img": images[i], "bbox": box[None], "bbox_score": np.ones(1, np.float32)}
                for i, box in crops[begin : begin + self._batch]
            ]
            samples = self._network.predict(self._network.prepare(inputs))
            keypoints += [self._keypoints(sample.pred_instances) for sample in samples]
        none = PoseDetections.empty(get_skeleton(self._settings.skeleton).num_joints)
        detections, done = [], 0
        for boxes, scores in people:
            mine = keypoints[done : done + len(boxes)]
            done += len(boxes)
            detections.append(PoseDetections(boxes, np.concatenate(mine), scores) if mine else none)
        return detections


class OneStagePose(_PoseModel):
    """People and joints at once, from whole frames.

    Args:
        network: a one-stage model that gives boxes too (RTMO, YOLOX-Pose).
        settings: joints, and which people count.
    """

    def estimate(self, images: Sequence[Image]) -> list[PoseDetections]:
        """The people of each picture (H, W, 3) BGR."""
        if not images:
            return []
        samples = self._network.predict(
            self._network.prepare([{**self._meta, "img": image} for image in images])
        )
        return [
            self._people(sample.pred_instances, image) for sample, image in zip(samples, images, strict=True)
        ]

    def _people(self, found: Any, image: Image) -> PoseDetections:
        from mmpose.evaluation.functional import nms

        size = np.array([image.shape[1], image.shape[0]] * 2, np.float32)
        boxes = np.asarray(found.bboxes, np.float32).clip(0, size)
        scores = np.asarray(found.bbox_scores, np.float32).clip(0, 1)
        good = np.flatnonzero((scores > self._settings.min_score) & np.isfinite(boxes).all(1))
        good = good[(boxes[good, 2:] > boxes[good, :2]).all(1)]
        kept = nms(np.concatenate([boxes[good], scores[good, None]], axis=1), self._settings.nms)
        keep = good[kept[: self._settings.max_people]]
        return PoseDetections(boxes[keep], self._keypoints(found)[keep], scores[keep])


def pose_model(network: Network, settings: OpenMMLabSettings, batch: int) -> TopDownPose | OneStagePose:
    """The pose model of a network, of the kind that it is; raises `EstimatorError` if it is neither."""
    kind = type(network.model).__name__
    if kind == "TopdownPoseEstimator":
        return TopDownPose(network, settings, batch)
    head = type(getattr(network.model, "head", None)).__name__
    if kind == "BottomupPoseEstimator" and head in ("RTMOHead", "YOLOXPoseHead"):
        return OneStagePose(network, settings)
    raise EstimatorError(
        f"openmmlab.model: expected a top-down model or a one-stage one (RTMO, YOLOX-Pose), got a {kind} with a {head}"
    )


def _meta_of(config: Any) -> dict[str, Any]:
    """The description of the data set that a config names, for checkpoints that hold none."""
    from mmpose.apis.inference import dataset_meta_from_config

    meta = dataset_meta_from_config(config, "train")
    if meta is None:
        raise EstimatorError(
            "neither the checkpoint nor the config says which joints the model finds (no data set in it)"
        )
    return dict(meta)
