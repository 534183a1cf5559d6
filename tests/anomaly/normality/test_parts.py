import dataclasses
import re

import numpy as np
import pytest

from anomaly.bundle import load_bundle, save_bundle
from anomaly.data.normalisation import smooth_joints
from anomaly.data.windows import Windows, make_windows
from anomaly.normality.gaussian import GaussianDensity
from anomaly.normality.movement import movement_features
from anomaly.normality.parts import FittedParts, assign_folds_to_clips, assign_folds_to_windows
from anomaly.scoring.model import Model
from anomaly.scoring.scores import score_clip
from anomaly.settings import (
    DensitySettings,
    ScoringSettings,
    WindowSettings,
    settings_from_dict,
)
from anomaly.training.train import train_model
from pose_extract.errors import ConfigError, ModelError, TrainingError
from pose_extract.skeletons import get_skeleton
from pose_extract.skeletons.stature import fit_figure, standing_figure
from tests.helpers import walkers

COCO18 = get_skeleton("coco18")


def figures(stature, place, angle=0.0, frames=4, shown=None):
    """(1, T, V, 3) the standing figure in pixels, turned, at ``place`` (x, y)."""
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    points = standing_figure(COCO18) @ turn * stature + place
    out = np.concatenate([points, np.ones((18, 1))], axis=1)
    if shown is not None:
        out[~np.isin(np.arange(18), shown)] = 0
    return np.tile(out.astype(np.float32), (1, frames, 1, 1))


@pytest.mark.parametrize("angle", [0.0, 0.5, np.pi / 2])
def test_a_person_is_as_tall_standing_and_lying(angle):
    stature, place = fit_figure(figures(170, (300, 200), angle), COCO18)
    np.testing.assert_allclose(stature, 170, rtol=1e-4)
    if angle == 0:
        np.testing.assert_allclose(place[0], [[300, 200]] * 4, atol=1e-2)


def test_hidden_feet_make_nobody_smaller_nor_move_them():
    upper = [COCO18.index[name] for name in ("nose", "neck", "left_shoulder", "right_shoulder", "left_hip")]
    stature, place = fit_figure(figures(170, (300, 200), shown=upper), COCO18)
    np.testing.assert_allclose(stature, 170, rtol=1e-3)
    np.testing.assert_allclose(place[0], [[300, 200]] * 4, atol=0.1)


def test_frames_without_joints_have_no_place_and_change_no_stature():
    points = figures(100, (50, 60), frames=5)
    points[0, 1] = 0
    stature, place = fit_figure(points, COCO18)
    np.testing.assert_allclose(stature, 100, rtol=1e-4)
    assert np.isnan(place[0, 1]).all()
    nobody, _ = fit_figure(np.zeros((1, 3, 18, 3), np.float32), COCO18)
    assert nobody == 1  # defined, and nothing is divided by 0


def test_speed_is_in_statures_a_second_near_and_far():
    size = np.array([[640, 360]], np.float32)
    for stature in (40, 160):
        points = figures(stature, (200, 150), frames=13)
        points[..., 0] += 0.05 * stature * np.arange(13)[None, :, None]
        features = movement_features(points, size, COCO18, 24.0)
        np.testing.assert_allclose(features.motion[0, :4], [1.2, 1.2, 0, 1.2], atol=1e-3)
        assert abs(features.motion[0, 4]) < 1e-3
        np.testing.assert_allclose(features.size[0, 0], np.log(stature / 360), atol=1e-3)


def test_a_joint_that_comes_and_goes_is_no_motion():
    points = figures(100, (200, 150), frames=12)
    points[0, ::2, COCO18.index["left_wrist"]] = 0
    points[0, 1::3, COCO18.index["right_ankle"]] = 0
    features = movement_features(points, np.array([[640, 360]], np.float32), COCO18, 24.0)
    assert np.abs(features.motion).max() < 1e-3
    assert np.nanmax(np.abs(features.swing)) < 1e-3


def test_in_statures_what_a_window_lacks_is_where_the_figure_has_it():
    settings = WindowSettings(scale="stature", frames=4, shortest=4)
    clip = walkers.clip(people=1, frames=30)
    clip.keypoints[:, 9] = 0  # left wrist
    x = make_windows(clip, settings, 4).x
    wrist = COCO18.index["left_wrist"]
    np.testing.assert_allclose(
        x[:, :2, 0, wrist], np.tile(standing_figure(COCO18)[wrist], (len(x), 1)), rtol=1e-5
    )
    assert (x[:, 2, :, wrist] == 0).all()
    assert np.ptp(x[:, 1], axis=(1, 2)).max() < 1.5  # everybody is about one stature high


def test_scale_stature_does_not_depend_on_the_distance_to_the_camera():
    settings = WindowSettings(scale="stature")
    near = walkers.clip(people=2)
    keypoints = near.keypoints.copy()
    keypoints[..., :2] = keypoints[..., :2] * 0.4 + 30
    far = dataclasses.replace(near, keypoints=keypoints)
    a, b = (make_windows(clip, settings, 6).x for clip in (near, far))
    np.testing.assert_allclose(a, b, atol=1e-4)


def test_pieces_shorter_than_a_window_are_one_window_that_ends_with_them():
    clip = walkers.clip(people=1, frames=7)
    assert len(make_windows(clip, WindowSettings(), 1)) == 0
    windows = make_windows(clip, WindowSettings(shortest=4, min_certainty=0.5), 1)
    assert windows.first.tolist() == [-5]
    x = windows.x
    assert (x[0, 2, :5] == 0).all()
    assert (x[0, 2, 5:] > 0).all()
    assert len(make_windows(clip, WindowSettings(shortest=8), 1)) == 0
    np.testing.assert_allclose(x[0, :2, 4], x[0, :2, 5], atol=1e-5)  # held, so that nothing seems to move


def test_short_pieces_get_a_score_in_both_modes(with_densities):
    clip = walkers.clip(people=1, frames=7)
    for mode in ("backtracked", "online"):
        rows = score_clip(with_densities, clip, ScoringSettings(frames=mode, by="sum")).row_score
        assert np.isfinite(rows[-1])


PARTS = (
    "posture+swing",
    "motion",
    "motion+size",
    "size+place",
    "posture+motion+size+place",
    "prediction",
    "pretext",
)
SETTINGS = {
    **walkers.TINY,
    "windows": {**walkers.TINY["windows"], "scale": "stature", "shortest": 4},
    "training": {**walkers.TINY["training"], "masked": True, "pretrain_epochs": 1, "finetune_epochs": 1},
    "scoring": {"smoothing_s": 0.2, "by": "sum", "parts": ["clustering", *PARTS]},
    "densities": {
        "components": 3,
        "pose_components": 2,
        "width": 32,
        "predictor_epochs": 10,
        "pretext_epochs": 3,
    },
}


@pytest.fixture(scope="module")
def with_densities() -> Model:
    clips = [walkers.clip(f"walk{i}", seed=i, people=6) for i in range(3)]
    return train_model(clips, settings_from_dict(SETTINGS), seed=0)


def test_each_part_finds_what_it_is_of(with_densities):
    calm = walkers.clip(seed=60)
    fast = calm.keypoints.copy()
    fast[..., 0] += 3 * (fast[..., 0] - fast[..., 0].mean())  # the walk is three times as wide
    away = calm.keypoints.copy()
    away[..., 1] += 2000
    parts = with_densities.settings.scoring.parts

    def scores(keypoints):
        clip = dataclasses.replace(calm, keypoints=keypoints)
        return dict(zip(parts, with_densities.parts(with_densities.windows_of(clip)), strict=True))

    normal, moved = scores(calm.keypoints), scores(away)
    for part in ("size+place", "posture+motion+size+place"):
        assert np.median(moved[part]) > np.quantile(normal[part], 0.95)
    np.testing.assert_allclose(moved["motion"], normal["motion"], rtol=0.02)  # the place says nothing of it
    np.testing.assert_allclose(moved["motion+size"], normal["motion+size"], rtol=0.02)
    np.testing.assert_allclose(moved["posture+swing"], normal["posture+swing"], rtol=0.02)
    np.testing.assert_allclose(moved["prediction"], normal["prediction"], rtol=0.02)
    np.testing.assert_allclose(moved["pretext"], normal["pretext"], rtol=0.02, atol=0.02)
    near = {**normal, **scores(0.4 * calm.keypoints + np.array([200.0, 100.0, 0.0]))}
    assert np.median(near["motion+size"]) > np.quantile(normal["motion+size"], 0.95)  # somebody much smaller
    np.testing.assert_allclose(near["motion"], normal["motion"], rtol=0.02)
    assert np.median(scores(fast)["motion"]) > np.quantile(normal["motion"], 0.95)


def test_the_sum_ranks_somebody_elsewhere_above_everybody_normal(with_densities):
    calm = walkers.clip(seed=60)
    away = calm.keypoints.copy()
    away[..., 1] += 2000
    a, b = (
        score_clip(with_densities, dataclasses.replace(calm, keypoints=k)) for k in (calm.keypoints, away)
    )
    assert np.median(b.frames.score) > a.frames.score.max()


def test_a_bundle_keeps_the_densities(with_densities, tmp_path):
    save_bundle(with_densities, tmp_path / "model")
    loaded = load_bundle(tmp_path / "model")
    clip = walkers.clip(seed=61)
    np.testing.assert_array_equal(
        score_clip(loaded, clip).frames.score, score_clip(with_densities, clip).frames.score
    )


def test_damaged_densities_are_refused(with_densities, tmp_path):
    save_bundle(with_densities, tmp_path / "model")
    path = tmp_path / "model" / "normality.npz"
    with np.load(path) as file:
        arrays = dict(file)
    for name, value in (
        ("size+place_deviation", 0.0),
        ("motion_means", np.nan),
        ("posture+swing_weights", -1.0),
        ("prediction_biases2", np.inf),
        ("pretext_weights0", np.nan),
        ("motion_camera", "door"),
        ("calibration_weights", 0.0),
        ("calibration_weights", -1.0),
        ("calibration_weights", np.nan),
    ):
        np.savez(path, **{**arrays, name: np.full_like(arrays[name], value)})
        with pytest.raises(
            ModelError, match=re.escape(name.split("_")[0]) if "cal" not in name else "weights"
        ):
            load_bundle(tmp_path / "model")


def test_places_are_learned_for_each_camera_and_another_one_is_compared_with_all():
    settings = WindowSettings(scale="stature", train_stride=1)
    clips = [walkers.clip(f"0{c}_{i}", seed=9 * c + i, people=8, frames=90) for c in (1, 2) for i in (0, 1)]
    few = walkers.clip("03_0", seed=5, people=1, frames=90)
    densities = DensitySettings(components=2, camera="prefix")
    windows = Windows.concatenate(
        make_windows(clip, settings, 1, densities.camera_of(clip.clip)) for clip in [*clips, few]
    )
    fold = np.arange(len(windows)) % 2
    learned = FittedParts.fit(windows, fold, ("motion", "place"), densities, seed=0)
    assert sorted(learned.parts["place"]) == [(camera, k) for camera in ("", "01", "02") for k in (0, 1)]
    assert sorted(learned.parts["motion"]) == [("", 0), ("", 1)]
    together = dataclasses.replace(
        learned, parts={"place": {("", k): learned.parts["place"]["", k] for k in (0, 1)}}
    )
    here, new, little = (make_windows(clips[0], settings, 1, camera) for camera in ("01", "07", "03"))
    for windows in (new, little):
        np.testing.assert_array_equal(learned.anomaly(windows)["place"], together.anomaly(windows)["place"])
    assert not np.allclose(learned.anomaly(here)["place"], together.anomaly(here)["place"])
    assert [learned.knows(camera) for camera in ("01", "02", "03", "07")] == [True, True, False, False]


def test_a_fold_s_density_has_not_seen_it_and_scores_it():
    windows = make_windows(walkers.clip(people=6, frames=120), WindowSettings(scale="stature"), 1)
    fold = np.arange(len(windows)) * 3 // len(windows)
    settings = DensitySettings(components=2, folds=3)
    learned = FittedParts.fit(windows, fold, ("motion",), settings, seed=0)
    assert sorted(learned.parts["motion"]) == [("", 0), ("", 1), ("", 2)]
    others = windows.pick(fold != 2)
    without = FittedParts.fit(others, np.ones(len(others), np.int64), ("motion",), settings, seed=0)
    mine = windows.pick(fold == 2)
    np.testing.assert_allclose(learned.parts["motion"]["", 2].mean, without.parts["motion"]["", 0].mean)
    by_each = [learned.anomaly(mine, np.full(len(mine), k))["motion"] for k in range(3)]
    np.testing.assert_allclose(by_each[2], without.anomaly(mine, np.zeros(len(mine), np.int64))["motion"])
    np.testing.assert_allclose(learned.anomaly(mine)["motion"], np.mean(by_each, axis=0))


def test_clips_are_folded_alike_and_a_few_are_cut_where_no_window_crosses():
    clips = [walkers.clip(f"0{i % 2}_{i}", seed=i, people=1 + i % 3, frames=40) for i in range(12)]
    folds = assign_folds_to_clips(clips, DensitySettings(folds=3, camera="prefix"))
    rows = [sum(len(c) for c, k in zip(clips, folds, strict=True) if k == fold) for fold in (1, 2)]
    assert max(rows) < 1.3 * min(rows)
    assert set(folds) == {1, 2}
    clip = walkers.clip(people=2, frames=240)
    windows = make_windows(clip, WindowSettings(), 1)
    fold = assign_folds_to_windows(windows, clip.time_s, 5)
    assert set(fold) == {-1, 1, 2, 3, 4}
    for a in range(1, 4):
        assert windows.end_s[fold == a].max() < windows.start_s[fold == a + 1].min()


def test_a_short_clip_is_cut_into_fewer_parts_and_a_fold_that_has_nearly_all_is_never_left_out():
    clip = walkers.clip(people=3, frames=70)
    windows = make_windows(clip, WindowSettings(), 2)
    fold = assign_folds_to_windows(windows, clip.time_s, 5)
    assert set(fold) == {1}
    learned = FittedParts.fit(windows, fold, ("motion",), DensitySettings(), seed=0)
    assert list(learned.parts["motion"]) == [("", 0)]
    assert np.isneginf(learned.anomaly(windows, fold)["motion"]).all()  # nothing else tells of them
    assert np.isfinite(learned.anomaly(windows)["motion"]).all()


def test_smoothing_steadies_joints_and_leaves_a_steady_walk_and_what_is_missing():
    rng = np.random.default_rng(0)
    walk = np.cumsum(np.full((1, 12, 1, 2), 3.0), axis=1) + rng.uniform(0, 50, (1, 1, 18, 2))
    points = np.concatenate([walk, np.ones((1, 12, 18, 1))], axis=3).astype(np.float32)
    np.testing.assert_allclose(smooth_joints(points, 1.0)[:, 4:8], points[:, 4:8], atol=0.01)
    trembling = points.copy()
    trembling[..., :2] += rng.normal(0, 2, trembling[..., :2].shape)
    trembling[0, 3, 5] = 0
    smooth = smooth_joints(trembling, 1.5)
    assert (smooth[0, 3, 5] == 0).all()
    off = [np.abs(x[:, 4:8, :, :2] - points[:, 4:8, :, :2]).mean() for x in (smooth, trembling)]
    assert off[0] < 0.6 * off[1]
    np.testing.assert_array_equal(smooth[..., 2], trembling[..., 2])


@pytest.mark.parametrize("part", ["motion", "prediction"])
def test_too_few_windows_are_an_error_that_says_what_to_do(part):
    windows = make_windows(walkers.clip(people=1, frames=30), WindowSettings(scale="stature"), 12)
    with pytest.raises(TrainingError, match=r"at least 8 windows .* got \d: train on more video"):
        FittedParts.fit(windows, np.ones(len(windows), np.int64), (part,), DensitySettings(), 0)


def test_of_few_windows_mixtures_have_few_components():
    windows = make_windows(walkers.clip(people=2, frames=60), WindowSettings(scale="stature"), 1)
    learned = FittedParts.fit(windows, np.ones(len(windows), np.int64), ("motion",), DensitySettings(), 0)
    (density,) = learned.parts["motion"].values()
    assert isinstance(density, GaussianDensity)
    assert len(density.mixture.weights) == len(windows) // 16 == 6


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"scoring": {"parts": ["clusters"]}}, "parts"),
        ({"scoring": {"parts": []}}, "parts"),
        ({"scoring": {"parts": ["passage"]}}, r"'passage' is called 'motion\+size\+place' now"),
        (
            {"scoring": {"parts": ["place+motion"]}},
            r"posture, swing, motion, size, place alone or joined by \+",
        ),
        ({"scoring": {"weights": "none"}}, "weights"),
        ({"training": {"most_windows": 0}}, "most_windows"),
        ({"scoring": {"parts": ["motion", "motion"]}}, "parts"),
        ({"densities": {"components": 0}}, "components"),
        ({"densities": {"camera": "all"}}, "camera"),
        ({"densities": {"folds": 1}}, "folds"),
        ({"densities": {"predictor_epochs": 0}}, "predictor_epochs"),
        ({"densities": {"pretext_epochs": 0}}, "pretext_epochs"),
        ({"densities": {"width": 0}}, "width"),
        ({"windows": {"shortest": 13}}, "shortest"),
        ({"windows": {"smoothing_s": -1}}, "smoothing_s"),
        ({"windows": {"features": "xy"}, "training": {"masked": True}}, "masked"),
        ({"windows": {"features": "xyz", "scale": "stature"}}, "stature"),
        ({"windows": {"features": "xyz"}, "scoring": {"parts": ["motion"]}}, "sliding windows of 2-D joints"),
    ],
)
def test_settings_that_cannot_be_are_refused(change, said):
    with pytest.raises(ConfigError, match=said):
        settings_from_dict(change)


def test_the_masked_loss_asks_nothing_of_joints_that_are_missing():
    import torch

    from anomaly.networks.losses import reconstruction_loss

    settings = settings_from_dict({"training": {"masked": True}})
    x = torch.rand(2, 3, 12, 18) + 0.1
    x[:, 2, :, 5] = 0
    wrong = x.clone()
    wrong[:, :, :, 5] += 100
    assert reconstruction_loss(wrong, x, settings) == 0
    wrong[:, :, :, 6] += 1
    torch.testing.assert_close(reconstruction_loss(wrong, x, settings), torch.tensor(1 / 17))


def test_a_joint_that_training_never_saw_says_nothing():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(60, 3))
    x[:, 1] = np.nan
    density = GaussianDensity.fit(x, 1, seed=0)
    seen = np.where(np.isnan(x), 0.7, x)
    np.testing.assert_array_equal(density.anomaly(seen), density.anomaly(x))
    again = GaussianDensity.from_arrays(density.arrays())
    np.testing.assert_array_equal(again.anomaly(seen), density.anomaly(x))
