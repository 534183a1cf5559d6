"""The shipped default, and its clusters alone, on the synthetic street, with an estimator's errors."""

import dataclasses

import numpy as np
import pytest
import torch

from anomaly.evaluation.metrics import frame_auc
from anomaly.networks.st_gcae import Network
from anomaly.runtime.seeding import seeded
from anomaly.scoring.scores import score_clip
from anomaly.training.train import train_model
from pipeline.settings import load_settings
from pipeline.synthetic.clips import simulate_clip
from pipeline.synthetic.street.errors import estimated
from pipeline.synthetic.street.scene import StreetSettings
from pose_extract.tracks.cleaning import clean_tracks
from pose_extract.tracks.settings import CleaningSettings

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


@pytest.fixture(scope="module")
def street():
    """Normal clips, abnormal ones, and the latter's frame labels."""
    normal = [extracted(simulate_clip(f"n{i}", 900 + i, STREET), i) for i in range(6)]
    clips = [simulate_clip(f"a{i}", 950 + i, STREET, [act]) for i, act in enumerate(ACTS)]
    tests = [extracted(clip, 50 + i) for i, clip in enumerate(clips)]
    return normal, tests, np.concatenate([clip.labels for clip in clips])


@pytest.fixture(scope="module")
def default(street):
    return train_model(street[0], load_settings("default").for_model(), seed=0)


def auc(model, tracks, labels, scoring):
    scores = [score_clip(model, t, scoring).frames.score for t in tracks]
    return frame_auc(np.concatenate(scores), labels)


def clusters_alone(model):
    return dataclasses.replace(load_settings("clustering").scoring, parts=model.settings.scoring.parts)


def test_the_default_tells_normal_from_abnormal_and_rests_on_motion(street, default):
    _, tests, labels = street
    found = auc(default, tests, labels, default.settings.scoring)
    assert found >= 0.93
    assert found > auc(default, tests, labels, clusters_alone(default))
    still = [shuffled(t, i) for i, t in enumerate(tests)]
    assert auc(default, still, labels, default.settings.scoring) < found - 0.15


def test_the_clusters_tell_normal_from_abnormal_and_rest_on_learning(street, default):
    _, tests, labels = street
    scoring = clusters_alone(default)
    with seeded(1, "cpu"):
        network = Network(default.settings).eval()
        torch.nn.init.normal_(network.clustering.theta)
    found = auc(default, tests, labels, scoring)
    assert found >= 0.85
    assert auc(dataclasses.replace(default, network=network), tests, labels, scoring) < found - 0.15
