"""Estimate joints by mmpose's models: top-down ones in given boxes, one-stage ones in whole frames."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pose_extract.errors import EstimatorError
from pose_extract.estimators.openmmlab.detector import Boxes
from pose_extract.estimators.openmmlab.features import HiddenFeatures
from pose_extract.estimators.openmmlab.joints import JointMap, joint_names
from pose_extract.estimators.openmmlab.networks import Network
from pose_extract.estimators.openmmlab.settings import OpenMMLabSettings
from pose_extract.skeletons import get_skeleton
from pose_extract.tracks.records import PoseDetections

Image = NDArray[np.uint8]
Joints = tuple[NDArray[np.float32], NDArray[np.float16] | None]
"""Keypoints (P, V, 3) and, if asked for, features (P, V, D)."""


class _PoseModel:
    """What both kinds share: the data set's description and the joints taken from it."""

    def __init__(self, network: Network, settings: OpenMMLabSettings) -> None:
        self._network, self._settings = network, settings
        self._meta = network.dataset_meta or _meta_of(network.config)
        self._joints = JointMap(joint_names(self._meta), get_skeleton(settings.skeleton))
        network.model.test_cfg["flip_test"] = settings.flip_test
        self._features = HiddenFeatures(network, settings.features) if settings.features else None

    def _predict(self, inputs: Sequence[dict[str, Any]]) -> list[Any]:
        """The model's data samples, one an input, all in one batch."""
        prepared = self._network.prepare([{**self._meta, **one} for one in inputs])
        if self._features is not None:
            self._features.clear()
        return self._network.predict(prepared)

    def _joints_of(self, samples: Sequence[Any], rows: Sequence[NDArray[np.intp]]) -> list[Joints]:
        """The joints of some of the people of each sample of the last prediction."""
        found = [sample.pred_instances for sample in samples]
        points = [
            np.asarray(one.keypoints, np.float32)[some, :, :2] for one, some in zip(found, rows, strict=True)
        ]
        keypoints = [
            self._joints.keypoints(places, np.asarray(one.keypoint_scores, np.float32)[some])
            for one, places, some in zip(found, points, rows, strict=True)
        ]
        if self._features is None:
            return [(one, None) for one in keypoints]
        features = [self._joints.features(vectors) for vectors in self._features.sample(samples, points)]
        for vectors, one in zip(features, keypoints, strict=True):
            vectors[one[..., 2] == 0] = 0
        return list(zip(keypoints, features, strict=True))


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
        joints: list[Joints] = []
        for begin in range(0, len(crops), self._batch):
            inputs = [
                {"img": images[i], "bbox": box[None], "bbox_score": np.ones(1, np.float32)}
                for i, box in crops[begin : begin + self._batch]
            ]
            joints += self._joints_of(self._predict(inputs), [np.zeros(1, np.intp)] * len(inputs))
        none = PoseDetections.empty(get_skeleton(self._settings.skeleton).num_joints)
        detections, done = [], 0
        for boxes, scores in people:
            mine = joints[done : done + len(boxes)]
            done += len(boxes)
            keypoints = [one for one, _ in mine]
            features = [vectors for _, vectors in mine if vectors is not None]
            detections.append(
                PoseDetections(
                    boxes, np.concatenate(keypoints), scores, np.concatenate(features) if features else None
                )
                if mine
                else none
            )
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
        samples = self._predict([{"img": image} for image in images])
        people = [
            self._kept(sample.pred_instances, image) for sample, image in zip(samples, images, strict=True)
        ]
        joints = self._joints_of(samples, [rows for rows, _, _ in people])
        return [
            PoseDetections(boxes, keypoints, scores, features)
            for (_, boxes, scores), (keypoints, features) in zip(people, joints, strict=True)
        ]

    def channels_of(self, image: Image) -> int:
        """D, length of the joints' feature vectors, whoever is in the picture."""
        features = self._joints_of(self._predict([{"img": image}]), [np.zeros(0, np.intp)])[0][1]
        return 0 if features is None else features.shape[2]

    def _kept(
        self, found: Any, image: Image
    ) -> tuple[NDArray[np.intp], NDArray[np.float32], NDArray[np.float32]]:
        """Rows, boxes and scores of the people who count, best first."""
        from mmpose.evaluation.functional import nms

        size = np.array([image.shape[1], image.shape[0]] * 2, np.float32)
        boxes = np.asarray(found.bboxes, np.float32).clip(0, size)
        scores = np.asarray(found.bbox_scores, np.float32).clip(0, 1)
        good = np.flatnonzero((scores > self._settings.min_score) & np.isfinite(boxes).all(1))
        good = good[(boxes[good, 2:] > boxes[good, :2]).all(1)]
        kept = nms(np.concatenate([boxes[good], scores[good, None]], axis=1), self._settings.nms)
        keep = good[kept[: self._settings.max_people]]
        return keep, boxes[keep], scores[keep]


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
