"""Simple people as `ClipTracks`: swinging limbs seen from the side, who walk, run, or do neither."""

from __future__ import annotations

from functools import cache

import numpy as np

from pose_extract.tracks.records import ClipTracks

# Settings of a model that trains in a few seconds.
TINY = {
    "windows": {"train_stride": 4, "scale": "body"},
    "model": {
        "width": 4, "encoder": [2, 3], "strides": [2, 3], "decoder": [2, 2], "upsampling": [3, 2],
        "temporal_kernel": 3, "dropout": 0.1,
    },
    "training": {
        "transforms": ["identity", "mirror"], "all_transforms": False, "batch_size": 64, "pretrain_epochs": 3,
        "finetune_epochs": 2, "pretrain_rate": [1e-4, 3e-3],
    },
    "clustering": {"clusters": 5, "bias": True, "temperature": 0, "weight": 0.1, "kmeans_starts": 1},
    "normality": {"components": 3, "every": 1, "form": "logratio"},
    "scoring": {"smoothing_s": 0.2},
}  # fmt: skip

# Joint heights and half widths of an upright person 100 px tall, hip at the origin, y down (COCO-17).
_REST = np.array(
    [
        (4, -45), (5, -47), (3, -47), (2, -46), (0, -46), (0, -35), (0, -35), (0, -20), (0, -20), (0, -6), (0, -6),
        (0, 0), (0, 0), (0, 25), (0, 25), (0, 50), (0, 50),
    ],
    float,
)  # fmt: skip
_SWING = np.array([0, 0, 0, 0, 0, 0, 0, 8, -8, 16, -16, 0, 0, -10, 10, -22, 22], float)


def person(time_s, rng, kind="walk", size=None):
    """(n, 17, 3) pixels and confidence of one person at the given times."""
    size = size or rng.uniform(0.9, 1.6)
    rate, reach, speed, bounce = {
        "walk": (0.9, 1.0, 45, 1.5),
        "run": (1.6, 1.7, 130, 6.0),
        "jump": (2.2, 0.3, 5, 16.0),
        "stand": (0.2, 0.05, 0, 0.3),
    }[kind]
    phase = 2 * np.pi * (rate * rng.uniform(0.9, 1.1) * time_s + rng.uniform())
    ahead = rng.choice([-1, 1])
    joints = np.repeat(_REST[None], len(time_s), axis=0)
    joints[..., 0] += reach * _SWING * np.sin(phase)[:, None]
    joints[..., 1] -= bounce * np.abs(np.sin(phase))[:, None]
    joints[..., 0] *= ahead
    joints *= size
    joints += rng.uniform((150, 120), (450, 220))
    joints[..., 0] += ahead * speed * size * (time_s - time_s[0])[:, None]
    joints += rng.normal(0, 0.6, joints.shape)
    confidence = rng.uniform(0.7, 1.0, joints.shape[:2])[..., None]
    return np.concatenate([joints, confidence], axis=2)


def clip(name="clip", seed=0, people=3, frames=120, fps=24.0, kinds=("walk",), time_s=None):
    """A clip of ``people`` who are there from its first frame to its last and take turns in ``kinds``."""
    rng = np.random.default_rng(seed)
    time_s = np.arange(frames) / fps if time_s is None else np.asarray(time_s, float)
    keypoints = np.stack([person(time_s, rng, kinds[i % len(kinds)]) for i in range(people)], axis=1)
    return from_array(keypoints, time_s, fps, name)


def from_array(keypoints, time_s=None, fps=24.0, name="clip", keep=None):
    """`ClipTracks` of (F, P, 17, 3) joints; ``keep`` (F, P) says where a person is seen."""
    frames, people = keypoints.shape[:2]
    time_s = np.arange(frames) / fps if time_s is None else time_s
    keep = np.ones((frames, people), bool) if keep is None else keep
    frame, who = np.nonzero(keep)
    points = keypoints[frame, who].astype(np.float32)
    boxes = np.concatenate([points[..., :2].min(axis=1), points[..., :2].max(axis=1)], axis=1)
    return ClipTracks(
        name,
        "coco17",
        fps,
        (640, 360),
        time_s,
        frame.astype(np.int32),
        (who + 1).astype(np.int32),
        points,
        boxes,
    )


@cache
def trained():
    """A model of people who walk, with the settings `TINY`; all tests of a process share it."""
    from anomaly.settings import settings_from_dict
    from anomaly.training.train import train_model

    return train_model([clip(f"walk{i}", seed=i) for i in range(4)], settings_from_dict(TINY), seed=0)


@cache
def online_scorer():
    """That model, for scores that come while a camera films."""
    import dataclasses

    from pipeline.scoring import Scorer
    from pipeline.settings import Settings

    scoring = dataclasses.replace(trained().settings.scoring, frames="online")
    return Scorer(trained(), dataclasses.replace(Settings(), scoring=scoring))
