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
from pipeline.synthetic.motion.behaviours import ABNORMAL
from pipeline.synthetic.street.errors import estimated
from pipeline.synthetic.street.scene import StreetSettings
from pose_extract.tracks.cleaning import clean_tracks
from pose_extract.tracks.settings import CleaningSettings

pytestmark = pytest.mark.slow

STREET = StreetSettings(seconds=12.0, people=(2, 4), scene=77)
ACTS = ("running", "falling", "fighting", "crawling", "jumping")  # the five that are found well
OTHERS = tuple(act for act in ABNORMAL if act not in ACTS)
# Frame AUC that each act's clip and two normal ones have at least, and all clips together: what the default gave with
# seed 0, less 0.03. Another seed of training gives 0.01 less or more, of limping, which is nearly walking, 0.06.
FLOORS = {
    "running": 0.94, "cycling": 0.94, "jumping": 0.95, "falling": 0.955, "fighting": 0.93, "crouching": 0.915,
    "crawling": 0.96, "panicking": 0.935, "skipping": 0.895, "limping": 0.555, "all": 0.885,
}  # fmt: skip


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
def every_act(street):
    """Act -> an extracted clip and its frame labels; "normal", two clips."""
    _, tests, _ = street
    five = [simulate_clip(f"a{i}", 950 + i, STREET, [act]).labels for i, act in enumerate(ACTS)]
    found = {act: [(tracks, labels)] for act, tracks, labels in zip(ACTS, tests, five, strict=True)}
    for i, act in enumerate([*OTHERS, "normal", "normal"], len(ACTS)):
        clip = simulate_clip(f"a{i}", 950 + i, STREET, [] if act == "normal" else [act])
        found.setdefault(act, []).append((extracted(clip, 50 + i), clip.labels))
    return found


@pytest.fixture(scope="module")
def default(street):
    return train_model(street[0], load_settings("default").for_model(), seed=0)


@pytest.fixture(scope="module")
def scored(default, every_act):
    """Act -> the frame scores and labels of its clips."""
    return {
        act: [(score_clip(default, tracks).frames.score, labels) for tracks, labels in clips]
        for act, clips in every_act.items()
    }


def together(scored, *acts):
    """Frame AUC of the clips of some acts."""
    scores, labels = zip(*(pair for act in acts for pair in scored[act]), strict=True)
    return frame_auc(np.concatenate(scores), np.concatenate(labels))


def auc(model, tracks, labels, scoring):
    scores = [score_clip(model, t, scoring).frames.score for t in tracks]
    return frame_auc(np.concatenate(scores), labels)


def clusters_alone(model):
    return dataclasses.replace(load_settings("clustering").scoring, parts=model.settings.scoring.parts)


def test_the_default_tells_normal_from_abnormal_and_rests_on_motion(street, default, scored):
    _, tests, labels = street
    found = together(scored, *ACTS)
    assert found >= 0.955
    assert found > auc(default, tests, labels, clusters_alone(default))
    still = [shuffled(t, i) for i, t in enumerate(tests)]
    assert auc(default, still, labels, default.settings.scoring) < found - 0.15


def test_every_act_is_found_as_well_as_it_was(scored):
    found = {act: together(scored, act, "normal") for act in ABNORMAL} | {"all": together(scored, *scored)}
    assert found.keys() == FLOORS.keys()
    assert not {act: (round(found[act], 3), floor) for act, floor in FLOORS.items() if found[act] < floor}


def test_the_clusters_tell_normal_from_abnormal_and_rest_on_learning(street, default):
    _, tests, labels = street
    scoring = clusters_alone(default)
    with seeded(1, "cpu"):
        network = Network(default.settings).eval()
        torch.nn.init.normal_(network.clustering.theta)
    found = auc(default, tests, labels, scoring)
    assert found >= 0.85
    assert auc(dataclasses.replace(default, network=network), tests, labels, scoring) < found - 0.15
