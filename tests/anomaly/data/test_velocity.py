"""Velocities among a joint's features: what they are, that transforms turn them, and that models with them work."""

import dataclasses

import numpy as np
import pytest
import torch

from anomaly.bundle import load_bundle, save_bundle
from anomaly.data.augmentation import apply_each, apply_transforms
from anomaly.data.windows import make_windows
from anomaly.settings import TRANSFORMS, WindowSettings
from anomaly.training.train import train_model
from pose_extract.errors import ConfigError
from tests.helpers import walkers

T = 12


def windows_of(clip, **settings):
    return make_windows(clip, WindowSettings(**settings), 1).x


@pytest.mark.parametrize("features", ["xy", "xyc"])
@pytest.mark.parametrize("scale", ["none", "body", "stature"])
def test_they_are_displacements_in_eight_frames_after_the_coordinates(features, scale):
    clip = walkers.clip(people=2)
    settings = {"skeleton": clip.skeleton, "features": features, "scale": scale}
    alone, both = windows_of(clip, **settings), windows_of(clip, **settings, velocity=True)
    assert WindowSettings(**settings, velocity=True).channels == both.shape[1] == alone.shape[1] + 2
    np.testing.assert_array_equal(both[:, :-2], alone)
    np.testing.assert_allclose(both[:, -2:, 1:], 8 * np.diff(alone[:, :2], axis=2), rtol=0, atol=1e-6)
    np.testing.assert_array_equal(both[:, -2:, 0], both[:, -2:, 1])  # nothing is known before the first frame


def test_somebody_who_walks_has_the_speed_of_the_walk_whatever_the_limbs_do():
    clip = walkers.clip(people=1)
    moved = dataclasses.replace(clip, keypoints=clip.keypoints.copy())
    per_frame = 3.0  # pixels to the right
    moved.keypoints[..., 0] += per_frame * clip.frame[:, None]
    settings = {"skeleton": clip.skeleton, "velocity": True, "scale": "none"}
    more = windows_of(moved, **settings)[:, 3] - windows_of(clip, **settings)[:, 3]
    # A frame's width is 2 units, resampled to 24 frames a second.
    expected = 8 * per_frame * clip.fps / 24 * 2 / clip.frame_size[0]
    assert np.median(more) == pytest.approx(expected, rel=0.02)


@pytest.mark.parametrize("name", TRANSFORMS)
def test_transforms_turn_velocities_as_they_turn_places(name):
    clip = walkers.clip(people=2)
    settings = WindowSettings(skeleton=clip.skeleton, velocity=True)
    x = torch.from_numpy(make_windows(clip, settings, 1).x)
    assert settings.planes == (0, 3)
    turned = apply_transforms(x, (name,), settings.body, settings.planes)[:, 0]
    torch.testing.assert_close(turned[:, 3:, 1:], 8 * turned[:, :2].diff(dim=2), rtol=0, atol=1e-5)
    which = torch.zeros(len(x), dtype=torch.int64)
    torch.testing.assert_close(apply_each(x, which, (name,), settings.body, settings.planes), turned)


def test_of_3d_joints_they_are_3d():
    settings = WindowSettings(skeleton="ntu25", features="xyzc", velocity=True)
    assert (settings.channels, settings.planes) == (7, (0, 4))


def test_patches_alone_have_none():
    with pytest.raises(ConfigError, match="velocity"):
        WindowSettings(features="patch", velocity=True)
    assert WindowSettings(features="xyc+patch", velocity=True, patch_channels=7).channels == 12
    assert WindowSettings(features="xyc+patch", velocity=True, patch_channels=7).without_patches.channels == 5


def test_a_model_with_them_is_trained_kept_and_scores_the_same_again(tiny, walking_clips, tmp_path):
    model = train_model(walking_clips, tiny(windows={"velocity": True}), seed=0)
    windows = model.windows_of(walking_clips[0])
    score = model.anomaly(windows)
    assert np.isfinite(score).all()
    save_bundle(model, tmp_path / "model")
    np.testing.assert_array_equal(load_bundle(tmp_path / "model").anomaly(windows), score)
    assert model.joint_errors(windows.batch(slice(4))).shape == (4, windows.settings.body.num_joints)
