"""Appearance vectors as features of windows: which row they come from, what stands for missing ones, their scale."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from anomaly.bundle import load_bundle, save_bundle
from anomaly.data.windows import Windows, make_windows
from anomaly.networks.st_gcae import Network
from anomaly.scoring.scores import score_clip
from anomaly.settings import WindowSettings, settings_from_dict
from anomaly.training.train import train_model
from pose_extract.errors import ConfigError, ModelError
from pose_extract.tracks.cleaning import clean_tracks
from pose_extract.tracks.feature_rows import FeatureRows
from pose_extract.tracks.records import cut_frames
from pose_extract.tracks.settings import CleaningSettings
from tests.helpers import walkers

D = 5
PATCH = WindowSettings(skeleton="coco17", features="patch")
BOTH = WindowSettings(skeleton="coco17", features="pose+patch", scale="body")


def dressed(tracks, seed=0, channels=D, odd=()):
    """Tracks whose joints look by their person, joint and frame; people in ``odd`` look different from all others."""
    rng = np.random.default_rng(seed)
    looks = rng.normal(3, 1, (17, channels))
    values = looks + rng.normal(0, 0.3, (len(tracks), 17, channels))
    values[np.isin(tracks.track, odd)] *= -1
    return dataclasses.replace(tracks, features=values.astype(np.float16))


def marked(tracks):
    """Tracks whose every vector tells the row of the tracks and the joint that it is of."""
    rows = np.broadcast_to(np.arange(1, len(tracks) + 1)[:, None], (len(tracks), 17))
    joints = np.broadcast_to(np.arange(1, 18), rows.shape)
    return dataclasses.replace(tracks, features=np.stack([rows, joints], axis=2).astype(np.float16))


def hidden(tracks, joint, frames, track=1):
    """Tracks in which a joint of one person is missing in some frames."""
    keypoints = tracks.keypoints.copy()
    keypoints[(tracks.track == track) & np.isin(tracks.frame, frames), joint, 2] = 0
    return dataclasses.replace(tracks, keypoints=keypoints)


def first(windows, track):
    """Number of a person's first window."""
    return int(np.flatnonzero(windows.track == track)[0])


@pytest.mark.parametrize(
    ("features", "channels"),
    [("patch", D), ("pose", 3), ("pose+patch", 3 + D), ("xyc+patch", 3 + D), ("xy+patch", 2 + D)],
)
def test_the_first_layer_is_as_wide_as_the_features(features, channels, tiny):
    length = D if "patch" in features else 0
    settings = tiny(windows={"features": features, "patch_channels": length})
    assert settings.windows.channels == channels
    block = Network(settings).autoencoder.encoder[0].spatial
    assert block.infer.source.in_channels == channels
    clip = dressed(walkers.clip())
    assert make_windows(clip, settings.windows, 8).x.shape[1:] == (channels, 12, 18)


def test_patches_are_seen_in_the_identity_transform_only(tiny):
    assert tiny(windows={"features": "patch"}).training.transforms == ("identity",)
    assert tiny(windows={"features": "pose+patch"}).training.transforms == ("identity",)
    assert tiny(windows={"features": "pose"}).training.transforms == ("identity", "mirror")


def test_both_are_the_pose_and_then_the_patch():
    clip = dressed(walkers.clip())
    pose = make_windows(clip, dataclasses.replace(BOTH, features="pose"), 8).x
    patch = make_windows(clip, dataclasses.replace(BOTH, features="patch"), 8).x
    both = make_windows(clip, BOTH, 8).x
    np.testing.assert_array_equal(both, np.concatenate([pose, patch], axis=1))


@pytest.mark.parametrize("fps", [12, 24, 25, 60])
def test_a_frame_of_a_window_has_the_patches_of_the_nearest_frame_of_its_track(fps):
    clip = marked(walkers.clip(people=3, frames=5 * fps, fps=fps))
    windows = make_windows(clip, PATCH, 1)
    x = windows.x
    rows = x[:, 0].astype(int) - 1  # (N, T, V)
    assert (rows == rows[..., :1]).all()
    assert (x[:, 1] == np.arange(1, 18)).all()
    assert (clip.track[rows[..., 0]] == windows.track[:, None]).all()
    wanted = (windows.first[:, None] + np.arange(12)) / 24
    off = np.abs(clip.time_s[clip.frame[rows[..., 0]]] - wanted)
    assert (off <= np.maximum(0.5 / fps, wanted - clip.time_s[-1]) + 1e-9).all()


def test_a_missing_joint_keeps_the_patch_of_the_nearest_frame_that_has_one():
    clip = marked(hidden(walkers.clip(people=2, frames=12), joint=9, frames=(4, 5, 6)))
    windows = make_windows(clip, PATCH, 1)
    rows = windows.x[first(windows, 1), 0].astype(int) - 1
    frames = clip.frame[rows]
    assert list(frames[:, 8]) == list(range(12))
    assert list(frames[:, 9]) == [0, 1, 2, 3, 3, 3, 7, 7, 8, 9, 10, 11]


def test_a_joint_with_no_vector_or_below_the_confidence_is_missing_too():
    clip = walkers.clip(people=1, frames=12)
    keypoints = clip.keypoints.copy()
    keypoints[5, 3, 2] = 0.1
    clip = marked(dataclasses.replace(clip, keypoints=keypoints))
    clip.features[7, 4] = 0
    x = make_windows(clip, dataclasses.replace(PATCH, min_confidence=0.2), 1).x[0, 0]
    assert x[5, 3] == 5  # of the frame before
    assert x[7, 4] == 7


def test_a_joint_that_a_window_lacks_is_as_the_mean_of_the_training_windows():
    clip = dressed(hidden(walkers.clip(people=2, frames=60), joint=9, frames=range(60)))
    windows = make_windows(clip, PATCH, 1)
    scaled = windows.scaled()
    assert (scaled.x[windows.track == 1][:, :, :, 9] == 0).all()
    assert (scaled.x[windows.track == 2][:, :, :, 9] != 0).any()


def test_channels_are_scaled_by_the_training_windows_joint_by_joint():
    clip = dressed(walkers.clip(people=4, frames=240))
    clip.features[..., 2] *= 100
    windows = make_windows(clip, PATCH, 12)
    x = windows.scaled().x
    np.testing.assert_allclose(x.mean(axis=(0, 2)), 0, atol=0.15)
    np.testing.assert_allclose(x.std(axis=(0, 2)), 1, atol=0.15)
    assert np.abs(x).max() <= 10


def test_the_scale_is_that_of_all_frames_of_all_windows():
    clip = marked(walkers.clip(people=2, frames=30))
    windows = make_windows(clip, PATCH, 7)
    rows = np.unique(windows.start[:, None] + np.arange(12))
    values = windows.patches.read()[rows].astype(float)
    np.testing.assert_allclose(windows.scaled().scale.mean, values.mean(axis=0), rtol=1e-5)
    np.testing.assert_allclose(windows.scaled().scale.deviation[:, 0], values[..., 0].std(axis=0), rtol=1e-2)
    pose = make_windows(clip, dataclasses.replace(PATCH, features="pose"), 7)
    assert pose.scaled() is pose


def test_the_neck_looks_like_the_shoulders():
    clip = dressed(walkers.clip(frames=12, people=1))
    x = make_windows(clip, dataclasses.replace(PATCH, skeleton="coco18"), 1).x[0]
    by_name = dict(zip(WindowSettings(skeleton="coco18").person.joints, range(18), strict=True))
    shoulders = (x[..., by_name["left_shoulder"]] + x[..., by_name["right_shoulder"]]) / 2
    np.testing.assert_allclose(x[..., by_name["neck"]], shoulders, atol=5e-3)


def test_cleaning_takes_the_patches_along():
    """A frame that the tracker skipped has the joints between its neighbours' and the patches of the nearest one."""
    keep = np.ones((40, 1), bool)
    keep[20] = False
    whole = walkers.clip(people=1, frames=40)
    keypoints = whole.keypoints.reshape(40, 1, 17, 3)
    clip = marked(walkers.from_array(keypoints, keep=keep))
    windows = make_windows(clean_tracks(clip, CleaningSettings()), PATCH, 1)
    rows = windows.points.shape[0]
    assert rows == 40
    found = windows.patches.read()[:, 0, 0].astype(int) - 1
    assert list(clip.frame[found]) == [*range(20), 21, *range(21, 40)]


def test_a_part_of_a_clip_gives_the_windows_that_the_whole_gives_there():
    clip = clean_tracks(dressed(walkers.clip(people=3, frames=200)), CleaningSettings())
    whole, part = make_windows(clip, BOTH, 1), make_windows(cut_frames(clip, 50, 150), BOTH, 1)
    assert len(part)
    for track in np.unique(part.track):
        mine = np.flatnonzero(part.track == track)
        there = np.flatnonzero((whole.track == track) & np.isin(whole.first, part.first[mine]))
        np.testing.assert_allclose(part.batch(mine), whole.batch(there), atol=1e-6)


def test_windows_of_several_clips_keep_their_patches_apart():
    clips = [dressed(walkers.clip(seed=s), seed=s) for s in (1, 2)]
    parts = [make_windows(clip, PATCH, 6) for clip in clips]
    np.testing.assert_array_equal(Windows.concatenate(parts).x, np.concatenate([part.x for part in parts]))


class Untouchable:
    """Vectors on disk that nobody may read."""

    shape, dtype, ndim = (10_000, 17, D), np.dtype(np.float16), 3

    def __len__(self):
        return self.shape[0]

    def __getitem__(self, index):
        raise AssertionError("read before a batch asked for it")


def test_nothing_is_read_before_a_batch_asks_for_it():
    clip = walkers.clip()
    rows = FeatureRows([Untouchable()])[np.arange(len(clip))]
    clip = clean_tracks(dataclasses.replace(clip, features=rows), CleaningSettings())
    windows = Windows.concatenate([make_windows(cut_frames(clip, 0, 60), PATCH, 8)])
    with pytest.raises(AssertionError, match="read before"):
        windows.batch(slice(0, 1))


@pytest.fixture(scope="module")
def patch_model():
    """A model of pose and patch that knows how people are dressed."""
    sections = {**walkers.TINY, "windows": {**walkers.TINY["windows"], "features": "pose+patch"}}
    clips = [dressed(walkers.clip(f"walk{i}", seed=i)) for i in range(4)]
    return train_model(clips, settings_from_dict(sections), seed=0)


def test_a_model_of_patches_learns_their_length_and_finds_who_looks_different(patch_model):
    assert patch_model.settings.windows.patch_channels == D
    assert 0 <= patch_model.facts["waiting"] < 1
    clip = dressed(walkers.clip(seed=9, people=4), odd=(2,))
    row_score = score_clip(patch_model, clip).row_score
    by_track = [np.nanmean(row_score[clip.track == track]) for track in (1, 2, 3, 4)]
    assert np.argmax(by_track) == 1


def test_a_bundle_of_patches_scores_as_the_model_that_was_saved(patch_model, tmp_path):
    save_bundle(patch_model, tmp_path / "model", patch_encoder=b"the encoder")
    loaded = load_bundle(tmp_path / "model")
    assert (tmp_path / "model" / "patch_encoder.safetensors").read_bytes() == b"the encoder"
    clip = dressed(walkers.clip(seed=5))
    np.testing.assert_array_equal(
        score_clip(loaded, clip).frames.score, score_clip(patch_model, clip).frames.score
    )
    np.testing.assert_array_equal(loaded.patch_scale.mean, patch_model.patch_scale.mean)


def test_typical_windows_are_kept_as_poses(patch_model):
    """They are drawn as skeletons, whatever the features."""
    assert patch_model.words.shape[2:] == (3, 12, 18)
    assert np.nanmin(patch_model.words[:, :, 2]) >= 0  # confidences
    assert WindowSettings(features="patch", patch_channels=7).without_patches.channels == 3


def test_a_bundle_whose_patch_scale_is_damaged_is_refused(patch_model, tmp_path):
    save_bundle(patch_model, tmp_path / "model")
    path = tmp_path / "model" / "normality.npz"
    arrays = dict(np.load(path))
    arrays["patch_deviation"][0, 0] = 0
    np.savez(path, **arrays)
    with pytest.raises(ModelError, match="patch scale"):
        load_bundle(tmp_path / "model")
    del arrays["patch_deviation"]
    np.savez(path, **arrays)
    with pytest.raises(ModelError, match="expected"):
        load_bundle(tmp_path / "model")


@pytest.mark.parametrize("channels", [None, D + 1])
def test_tracks_without_the_models_patches_are_an_error(patch_model, channels):
    clip = walkers.clip(seed=9)
    with pytest.raises(ModelError, match="patch features"):
        score_clip(patch_model, clip if channels is None else dressed(clip, channels=channels))


def test_a_clip_with_nobody_needs_no_patches(patch_model):
    nobody = cut_frames(walkers.from_array(np.zeros((60, 1, 17, 3)), keep=np.zeros((60, 1), bool)), 0, 60)
    assert len(score_clip(patch_model, nobody).frames) == 60


@pytest.mark.parametrize(
    "wrong", [{"features": "patches"}, {"features": "patch", "extent": "clip"}, {"patch_channels": 3}]
)
def test_what_does_not_go_together_is_refused(wrong):
    with pytest.raises(ConfigError, match="windows"):
        WindowSettings(**wrong)
