"""The shipped default on the synthetic street, from its exact joints with an estimator's errors added."""

import dataclasses

import numpy as np
import pytest
import torch

from anomaly.metrics import frame_auc
from anomaly.network import Network
from anomaly.scoring import score_clip
from anomaly.training import seeded, train_model
from pipeline.settings import load_settings
from pipeline.street.clips import simulate_clip
from pipeline.street.errors import estimated
from pipeline.street.scene import StreetSettings
from pose_extract.cleaning import CleaningSettings, clean_tracks

pytestmark = pytest.mark.slow

STREET = StreetSettings(seconds=12.0, people=(2, 4), scene=77)
ACTS = ("running", "falling", "fighting", "crawling", "jumping")


def extracted(clip, seed):
    """What training and scoring get of a clip: an estimator's and tracker's rows, cleaned."""
    return clean_tracks(estimated(clip.truth, seed), CleaningSettings())


def shuffled(tracks, seed):
    """Every person's frames in random order."""
    rng = np.random.default_rng(seed)
    points = tracks.keypoints.copy()
    for track in np.unique(tracks.track):
        rows = np.flatnonzero(tracks.track == track)
        points[rows] = points[rng.permutation(rows)]
    return dataclasses.replace(tracks, keypoints=points)


def test_the_default_tells_normal_from_abnormal_and_rests_on_motion_and_learning():
    normal = [extracted(simulate_clip(f"n{i}", 900 + i, STREET), i) for i in range(6)]
    clips = [simulate_clip(f"a{i}", 950 + i, STREET, [act]) for i, act in enumerate(ACTS)]
    tests = [extracted(clip, 50 + i) for i, clip in enumerate(clips)]
    labels = np.concatenate([clip.labels for clip in clips])
    settings = load_settings("default").for_model()
    model = train_model(normal, settings, seed=0)

    def auc(model, tracks):
        return frame_auc(np.concatenate([score_clip(model, t).frames.score for t in tracks]), labels)

    learned = auc(model, tests)
    with seeded(1, "cpu"):
        network = Network(settings).eval()
        torch.nn.init.normal_(network.clustering.theta)
    assert learned >= 0.85
    assert auc(model, [shuffled(t, i) for i, t in enumerate(tests)]) < learned - 0.15
    assert auc(dataclasses.replace(model, network=network), tests) < learned - 0.15
