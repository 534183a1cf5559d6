"""Experiments on a handful of simple actions: stick figures whose joints swing in their own ways."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from pipeline.experiments.data.action_sets import ActionSet, LabelledClip
from pipeline.experiments.data.splits import Split
from pipeline.experiments.methods.coarse import Coarse, Task
from pipeline.experiments.settings import ExperimentSettings
from pose_extract.checking import build
from pose_extract.tracks.records import ClipTracks

# Quick, and able to tell swinging arms from swinging legs.
TINY = {
    "windows": {"extent": "clip", "frames": 12, "scale": "body", "skeleton": "coco17"},
    "model": {
        "width": 4, "encoder": [2, 3], "strides": [2, 3], "decoder": [2, 2], "upsampling": [3, 2],
        "temporal_kernel": 3, "dropout": 0.1,
    },
    "training": {
        "transforms": ["identity"], "all_transforms": False, "batch_size": 16, "pretrain_epochs": 4,
        "finetune_epochs": 2, "pretrain_rate": [1e-4, 3e-3],
    },
    "clustering": {"clusters": 3, "bias": True, "temperature": 0, "weight": 0.1, "kmeans_starts": 1},
    "normality": {"components": 2, "every": 1, "form": "logratio"},
    "scoring": {"by": "sum", "parts": ["clustering", "latent", "poses", "steps", "reach"]},
    "gaussian_mixture": {"components": 1, "principal": 2},
    "mped_rnn": {"input": 4, "prediction": 2, "epochs": 1, "hidden_global": 4, "hidden_local": 4},
    "classifier": {"width": 4, "encoder": [1, 2], "strides": [1, 2], "epochs": 2, "batch_size": 16},
}  # fmt: skip

SPLIT = Split("arms", "meaningful", (0, 1))
CHEAP = ("reconstruction", "knn", "ours")


def stick_clip(name: str, action: int, seed: int, people: int = 1, frames: int = 24) -> ClipTracks:
    """People whose joints swing as only those do who do this action: each action moves joints of its own."""
    rng = np.random.default_rng((seed, action))
    rest = np.random.default_rng(5).uniform(-40, 40, (17, 2))
    moving = np.random.default_rng((6, action)).uniform(-1, 1, (17, 2)) * 25
    time_s = np.arange(frames) / 24
    keypoints = np.ones((frames, people, 17, 3), np.float32)
    for who in range(people):
        phase = 2 * np.pi * (rng.uniform(0.8, 1.2) * 2 * time_s + rng.uniform())
        joints = rest + moving * np.sin(phase)[:, None, None] + rng.normal(0, 0.5, (frames, 17, 2))
        keypoints[:, who, :, :2] = joints + np.array([200 + 150 * who, 200])
    points = keypoints.reshape(-1, 17, 3)
    return ClipTracks(
        clip=name,
        skeleton="coco17",
        fps=24.0,
        frame_size=(640, 400),
        time_s=time_s,
        frame=np.repeat(np.arange(frames), people).astype(np.int32),
        track=np.tile(np.arange(1, people + 1), frames).astype(np.int32),
        keypoints=points,
        boxes=np.concatenate([points[..., :2].min(axis=1), points[..., :2].max(axis=1)], axis=1),
    )


class Sticks:
    """Four actions; pairs of them belong together."""

    name, has_frames = "sticks", False
    published: Any = ""
    splits: Any = (SPLIT, Split("legs", "meaningful", (2, 3)), Split("random1", "random", (0, 2)))

    def __init__(self, relabel: dict[str, int] | None = None) -> None:
        self.relabel = relabel or {}

    def clips(self, seed: int) -> ActionSet:
        def some(part, count):
            return tuple(
                LabelledClip(
                    f"{part}{a}-{i}",
                    self.relabel.get(f"{part}{a}-{i}", a),
                    partial(stick_clip, f"{part}{a}-{i}", a, 100 * (seed + 1) + i + 50 * (part == "test")),
                )
                for a in range(4)
                for i in range(count)
            )

        return ActionSet(some("train", 14), some("test", 5))

    def identity(self, seed: int) -> dict[str, Any]:
        return {"sticks": seed}


def settings(**changes) -> ExperimentSettings:
    return build(ExperimentSettings, {**TINY, **changes})


ONE = (Task(SPLIT, "few-vs-many", 0),)


def experiment(folder, methods=CHEAP, tasks=ONE, actions=None, **changes):
    return Coarse(settings(**changes), actions or Sticks(), tasks, methods, folder)
