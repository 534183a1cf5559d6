"""Estimate poses by a person detector of mmdet with a top-down model of mmpose, or a one-stage model alone."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import asdict
from functools import cached_property
from pathlib import Path

import numpy as np

from pose_extract.devices import pick_device
from pose_extract.errors import EstimatorError
from pose_extract.estimators.base import PoseEstimator
from pose_extract.estimators.downloads import fetch
from pose_extract.estimators.openmmlab.between import interpolate_boxes, key_frames
from pose_extract.estimators.openmmlab.compat import import_openmmlab, quiet
from pose_extract.estimators.openmmlab.detector import Boxes, PersonDetector
from pose_extract.estimators.openmmlab.names import ModelSource, detector_source, pose_source
from pose_extract.estimators.openmmlab.networks import Network
from pose_extract.estimators.openmmlab.poses import OneStagePose, TopDownPose, pose_model
from pose_extract.estimators.openmmlab.settings import OpenMMLabSettings
from pose_extract.tracks.records import Frame, PoseDetections

_VERSION = "1"  # of this code's results: raise it when they change, so that cached tracks are made anew
_FRAMES = {"cpu": 4, "gpu": 16}  # that go through a network at once
_PEOPLE = {"cpu": 16, "gpu": 128}
_NOT_SHAPING = ("device", "frames_per_batch", "people_per_batch", "checkpoint", "detector_checkpoint")


class OpenMMLabEstimator(PoseEstimator):
    """OpenMMLab's detectors and pose models.

    Args:
        settings: see `OpenMMLabSettings`.

    Raises:
        EstimatorError: OpenMMLab is not installed, or a model cannot be built or does not fit.
        WeightsError: weights are missing and cannot be fetched, or are damaged.
    """

    name = "openmmlab"
    network_stages = ("detector", "pose")

    def __init__(self, settings: OpenMMLabSettings | None = None) -> None:
        self.settings = settings or OpenMMLabSettings()
        self.max_people = self.settings.max_people
        self.skeleton = self.settings.skeleton
        device = pick_device(self.settings.device)
        if self.settings.precision == "fp16" and device == "cpu":
            raise EstimatorError(
                "openmmlab.precision fp16 needs a GPU; on a CPU use fp32, or bf16 if it has AMX"
            )
        kind = "cpu" if device == "cpu" else "gpu"
        every = self.settings.detect_every
        self.batch_size = -(-(self.settings.frames_per_batch or _FRAMES[kind]) // every) * every
        self.timings = {"prepare": 0.0, "detector": 0.0, "pose": 0.0, "decode": 0.0}
        shaping = {k: str(v) for k, v in asdict(self.settings).items() if k not in _NOT_SHAPING}
        self.identity = {"name": self.name, "version": _VERSION, **shaping}

        import_openmmlab()
        network = self._network("pose", pose_source(self.settings), "mmpose", device)
        with quiet():  # descriptions of data sets are read
            self._pose = pose_model(network, self.settings, self.settings.people_per_batch or _PEOPLE[kind])
        self._detector: PersonDetector | None = None
        if isinstance(self._pose, TopDownPose):
            network = self._network("detector", detector_source(self.settings), "mmdet", device)
            self._detector = PersonDetector(network, self.settings)

    def _network(self, role: str, source: ModelSource, scope: str, device: str) -> Network:
        """Build one network and note what it is."""
        weights = fetch(source.weights) if "://" in source.weights else Path(source.weights)
        network = Network(source.config, weights, scope, device, self.settings.precision, role, self.timings)
        self.identity[f"{role}.config"] = _sha256(repr(network.config.to_dict()).encode())
        with weights.open("rb") as file:
            self.identity[f"{role}.weights"] = hashlib.file_digest(file, "sha256").hexdigest()
        return network

    @cached_property
    def feature_channels(self) -> int:  # type: ignore[override]
        """D, found out by a look at an empty picture; 0 without features."""
        if not self.settings.features:
            return 0
        blank = np.zeros((256, 192, 3), np.uint8)
        if isinstance(self._pose, OneStagePose):
            return self._pose.channels_of(blank)
        box = np.array([[0, 0, 192, 256]], np.float32)
        found = self._pose.estimate([blank], [(box, np.ones(1, np.float32))])[0].features
        return 0 if found is None else found.shape[2]

    @property
    def mixes(self) -> bool:
        """Whether frames of different videos may be in one batch: not where boxes between two frames are guessed."""
        return self._detector is None or self.settings.detect_every == 1

    def start(self, fps: float, frame_size: tuple[int, int]) -> None:
        """Get ready for a new video; nothing is kept from one batch of frames to the next but the last boxes."""
        self._last: Boxes | None = None
        self._seen = 0  # frames of this video, or of this stretch of it

    def estimate(self, frames: Sequence[Frame]) -> list[PoseDetections]:
        """Return the people of each frame; frames of a video in order."""
        images = [frame.image for frame in frames]
        if isinstance(self._pose, OneStagePose):
            return self._pose.estimate(images)
        return self._pose.estimate(images, self._boxes(frames))

    def _boxes(self, frames: Sequence[Frame]) -> list[Boxes]:
        """The people's boxes in each frame: the detector's, or between two of its frames, interpolated ones."""
        assert self._detector is not None
        keys = key_frames(self._seen, len(frames), self.settings.detect_every)
        self._seen += len(frames)
        found = self._detector.detect([frames[key].image for key in keys])
        boxes: list[Boxes] = []
        for key, people in zip(keys, found, strict=True):
            between = key - len(boxes)
            if between:
                assert self._last is not None
                boxes += interpolate_boxes(self._last, people, between)
            boxes.append(people)
            self._last = people
        return boxes


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
