import dataclasses

import numpy as np
import pytest
import torch

from anomaly.evaluation.metrics import frame_auc
from anomaly.networks.st_gcae import Network
from anomaly.runtime.seeding import seeded
from anomaly.scoring.scores import score_clip
from anomaly.settings import TrainingSettings
from anomaly.training.train import train_model
from pose_extract.errors import ConfigError, ModelError, TrainingError
from tests.helpers import walkers


def test_the_same_seed_gives_the_same_model_and_another_seed_another(walking_clips, tiny, trained):
    again = train_model(walking_clips, tiny(), seed=0)
    other = train_model(walking_clips, tiny(), seed=1)
    x = torch.randn(4, 3, 12, 18).numpy()
    np.testing.assert_array_equal(again.anomaly_of(x), trained.anomaly_of(x))
    assert np.abs(other.anomaly_of(x) - trained.anomaly_of(x)).max() > 1e-3


def test_global_generators_are_left_alone(walking_clips, tiny):
    torch.manual_seed(5)
    np.random.seed(5)  # noqa: NPY002
    before, legacy = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    settings = tiny(training={"pretrain_epochs": 1, "finetune_epochs": 1})
    train_model(walking_clips[:2], settings, seed=3)
    assert torch.equal(torch.get_rng_state(), before)
    np.testing.assert_array_equal(np.random.get_state()[1], legacy)  # noqa: NPY002


def test_both_phases_leave_a_history_and_reconstruction_gets_better(trained):
    stages = [h["stage"] for h in trained.history]
    assert stages == ["pretrain"] * 3 + ["finetune"] * 2 + ["end"]
    losses = [h["loss_rec"] for h in trained.history[:5]]
    assert losses[2] < losses[0]
    assert all(np.isfinite(h["loss_cluster"]) for h in trained.history[3:5])
    assert trained.history[-1]["reason"] == "all 2 epochs are done"
    assert sum(trained.history[-1]["occupancy"]) == pytest.approx(1)


def test_pre_training_leaves_the_clustering_layer_and_fine_tuning_moves_it(walking_clips, tiny, monkeypatch):
    import anomaly.training.train as training

    seen = {}
    original = training.initialise

    def spy(run, *rest):
        seen["after pre-training"] = run.network.clustering.theta.detach().clone()
        original(run, *rest)
        seen["after k-means"] = run.network.clustering.theta.detach().clone()

    monkeypatch.setattr(training, "initialise", spy)
    model = train_model(walking_clips[:2], tiny(), seed=0)
    assert (seen["after pre-training"] == 0).all()
    assert (seen["after k-means"] != 0).any()
    assert (model.network.clustering.theta != seen["after k-means"]).any()


def test_progress_is_told_for_every_stage(walking_clips, tiny):
    told = []
    settings = tiny(training={"pretrain_epochs": 1, "finetune_epochs": 1})
    train_model(
        walking_clips[:2],
        settings,
        progress=lambda stage, done, total, facts: told.append((stage, done, total)),
    )
    assert list(dict.fromkeys(t[0] for t in told)) == [
        "windows", "pretrain", "kmeans", "finetune", "normality", "calibrate",
    ]  # fmt: skip
    assert all(0 <= done <= total for _, done, total in told)


def test_fine_tuning_stops_when_labels_no_longer_change(walking_clips, tiny):
    settings = tiny(
        training={"finetune_epochs": 12, "finetune_rate": 1e-9},
        clustering={"target_every": 1, "stop_after": 3, "stop_share": 0.5},
    )
    history = train_model(walking_clips[:2], settings, seed=0).history
    assert sum(h["stage"] == "finetune" for h in history) == 4  # never before epoch 3 is over
    assert "changed their cluster" in history[-1]["reason"]


def test_calibration_windows_share_no_frame_with_training_windows(walking_clips, tiny, monkeypatch):
    from anomaly.scoring import model
    from anomaly.training import preparation as training

    until, since = {}, {}
    original = training.make_windows

    def trained_on(tracks, settings, stride, *camera):
        windows = original(tracks, settings, stride, *camera)
        until[tracks.clip] = windows.end_s.max()
        return windows

    def scored(tracks, settings, stride, *camera):
        windows = original(tracks, settings, stride, *camera)
        since[tracks.clip] = min(windows.start_s.min(), since.get(tracks.clip, np.inf))
        return windows

    monkeypatch.setattr(training, "make_windows", trained_on)
    monkeypatch.setattr(model, "make_windows", scored)
    settings = tiny(training={"pretrain_epochs": 1, "finetune_epochs": 0})
    train_model(walking_clips, settings, seed=0)
    assert until.keys() == since.keys()
    assert all(since[clip] > until[clip] for clip in until)


@pytest.mark.parametrize("frames", [0, 5, 20])
def test_too_little_to_train_on_is_an_error_that_says_how_much_is_needed(tiny, frames):
    clips = (
        [walkers.clip(people=1, frames=frames)] if frames else [walkers.from_array(np.zeros((50, 1, 17, 3)))]
    )
    with pytest.raises(TrainingError, match=r"at least 25 windows of 0.5 s.*s or more"):
        train_model(clips, tiny())


def test_held_out_video_without_people_is_an_error_that_says_so(tiny):
    clip = walkers.clip(frames=400)
    keep = np.ones((400, 3), bool)
    keep[320:] = False
    with pytest.raises(TrainingError, match="held-out"):
        train_model(
            [walkers.from_array(clip.keypoints.reshape(400, 3, 17, 3), keep=keep)],
            tiny(training={"pretrain_epochs": 1, "finetune_epochs": 0}),
        )


def test_a_loss_that_is_no_number_ends_training_with_a_remedy(walking_clips, tiny, monkeypatch):
    monkeypatch.setattr("anomaly.settings.training.MOST_RATE", 1e30)
    settings = tiny(training={"pretrain_rate": [1e25, 1e30]})
    with pytest.raises(TrainingError, match="pretrain_rate"):
        train_model(walking_clips[:2], settings)


def test_a_threshold_that_rests_on_a_few_frames_is_said(walking_clips, tiny, caplog):
    fast = {"pretrain_epochs": 1, "finetune_epochs": 0}
    train_model(walking_clips, tiny(training=fast, calibration={"false_alarm_rate": 0.01}))
    assert "the 1 highest of 96 held-out frames" in caplog.text
    caplog.clear()
    train_model(walking_clips, tiny(training=fast, calibration={"false_alarm_rate": 0.2}))
    assert "held-out" not in caplog.text


def test_another_skeleton_is_an_error_before_training(walking_clips, tiny):
    with pytest.raises(ModelError, match="features"):
        train_model(walking_clips, tiny(windows={"features": "xyz"}, training={"transforms": ["identity"]}))


def test_random_weights_tell_nothing_like_the_trained_ones_do(trained, tiny):
    clips = [walkers.clip(seed=400 + i, kinds=(k,)) for i, k in enumerate(("walk", "jump"))]
    labels = np.repeat([0, 1], 120)
    with seeded(9, "cpu"):
        network = Network(tiny())
        torch.nn.init.normal_(network.clustering.theta)
    random = dataclasses.replace(trained, network=network.eval())

    def auc(model):
        return frame_auc(np.concatenate([score_clip(model, c).frames.score for c in clips]), labels)

    assert auc(trained) > 0.9
    assert auc(random) < auc(trained) - 0.2


@pytest.mark.parametrize(
    "wrong",
    [
        {"transforms": ("flip",)},
        {"transforms": ()},
        {"batch_size": 1},
        {"pretrain_rate": (1e-3, 1e-5)},
        {"finetune_decay": 0.0},
    ],
)
def test_settings_out_of_range_are_refused(wrong):
    with pytest.raises(ConfigError):
        TrainingSettings(**wrong)


def test_mixed_precision_trains_on_a_cpu_and_keeps_losses_and_statistics_in_float32(
    walking_clips, tiny, trained
):
    from anomaly.training.train import fit_network

    settings = tiny(training={"precision": "bfloat16"})
    learned = fit_network(walking_clips, settings, seed=0)
    assert {t.dtype for t in learned.network.state_dict().values()} <= {torch.float32, torch.int64}
    assert learned.log_p.dtype == np.float32
    losses = [row["loss_rec"] for row in learned.history[:5]]
    expected = [row["loss_rec"] for row in trained.history[:5]]
    np.testing.assert_allclose(losses, expected, rtol=0.05)
    assert losses != expected  # it was not float32 after all


def test_a_clustering_that_collapses_is_said_once_while_it_trains_and_once_at_the_end(
    tiny, walking_clips, caplog
):
    from anomaly.networks.clustering import ClusterOccupancy
    from anomaly.training.curves import Curves
    from anomaly.training.run import TrainingRun

    collapsed = ClusterOccupancy(counts=(100, 0, 0), used=1.0, largest=1.0, saturated=0.2, entropy=0.1)
    run = TrainingRun(None, None, "cpu", None, Curves(None, 3), None)
    for _ in range(3):
        run.watch(collapsed)
    assert caplog.text.count("collapsed") == 1
    run.end("all is done", collapsed)
    assert caplog.text.count("collapsed") == 2
    assert "clustering.weight" in caplog.text
