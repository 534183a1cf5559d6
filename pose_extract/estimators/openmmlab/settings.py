"""Settings of the estimator `openmmlab`; importing this needs neither torch nor OpenMMLab."""

from __future__ import annotations

from dataclasses import dataclass

from pose_extract.checking import expect_between, expect_one_of
from pose_extract.errors import ConfigError
from pose_extract.skeletons import COCO17, COCO18, HALPE26

PRECISIONS = ("fp32", "fp16", "bf16")
SKELETONS = (COCO17.name, COCO18.name, HALPE26.name)


@dataclass(frozen=True)
class OpenMMLabSettings:
    """Which models find people and joints, and how.

    Attributes:
        model: the pose model: a preset (lightweight, balanced, performance), a short name (rtmpose-m, rtmo-s, …), the
            name under which mmpose publishes it, or the path of a config of mmpose. Such a config is a Python program
            and runs: use only ones that you trust.
        checkpoint: path of the pose model's weights; "" fetches the published ones.
        detector: the person detector of a top-down model, named likewise among mmdet's; "" is the one that fits the
            pose model. One-stage models need none.
        detector_checkpoint: path of the detector's weights; "" fetches the published ones.
        person_label: number of the class "person" among the detector's classes.
        min_score: people with a lower score are dropped, 0..1.
        nms: of two boxes that overlap by more than this (intersection over union), the better one stays.
        max_people: at most so many people a frame, the best ones.
        detect_every: the detector looks at every n-th frame; between, boxes are interpolated. No effect on one-stage
            models.
        flip_test: run the pose model on the mirrored crop too and average, as published accuracies do; twice the time.
        skeleton: joints of a person: "coco17", "coco18" (a neck between the shoulders) or "halpe26", if the model has
            them. Of whole-body models, the body is taken.
        features: name of the pose network's module whose feature map is sampled at each joint ("backbone.stage2"; of
            several maps the last one, or by number: "neck[0]"); "" for none.
        precision: arithmetic of the networks, "fp32", "fp16" (GPU only) or "bf16".
        device: "cpu", "cuda", "cuda:N", "mps", or "auto" for the fastest there is.
        frames_per_batch: frames that go through a network at once; 0: 4 on a CPU, 16 on a GPU.
        people_per_batch: people that go through the pose network at once; 0: 16 on a CPU, 128 on a GPU.
    """

    model: str = "balanced"
    checkpoint: str = ""
    detector: str = ""
    detector_checkpoint: str = ""
    person_label: int = 0
    min_score: float = 0.3
    nms: float = 0.3
    max_people: int = 100
    detect_every: int = 1
    flip_test: bool = False
    skeleton: str = COCO17.name
    features: str = ""
    precision: str = "fp32"
    device: str = "auto"
    frames_per_batch: int = 0
    people_per_batch: int = 0

    def __post_init__(self) -> None:
        expect_one_of("openmmlab.skeleton", self.skeleton, SKELETONS)
        expect_one_of("openmmlab.precision", self.precision, PRECISIONS)
        if not self.model:
            raise ConfigError(
                "openmmlab.model: expected a preset, a published name or the path of a config, got nothing"
            )
        expect_between("openmmlab", self, 0, 10_000, "person_label")
        expect_between("openmmlab", self, 0, 1, "min_score", "nms")
        expect_between("openmmlab", self, 1, 1000, "max_people")
        expect_between("openmmlab", self, 1, 100, "detect_every")
        expect_between("openmmlab", self, 0, 256, "frames_per_batch")
        expect_between("openmmlab", self, 0, 4096, "people_per_batch")
