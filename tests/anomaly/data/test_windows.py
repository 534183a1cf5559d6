import dataclasses

import numpy as np
import pytest
import torch
import yaml

from anomaly.data.normalisation import normalise, smooth_joints
from anomaly.data.resampling import GrowingArray
from anomaly.data.windows import Windows, make_windows
from anomaly.networks.st_gcae import Network
from anomaly.settings import WindowSettings, settings_from_dict, settings_to_dict
from pose_extract.errors import ConfigError, ModelError
from pose_extract.skeletons import COCO17, COCO18, SKELETONS
from pose_extract.tracks.records import ClipTracks, cut_frames
from tests.helpers import walkers

T = 12
COCO = WindowSettings(skeleton="coco17", features="xy")


def line(frames, fps=24.0, time_s=None, keep=None):
    """One person all of whose joints move right at 48 px a second and stay apart from each other."""
    time_s = np.arange(frames) / fps if time_s is None else np.asarray(time_s, float)
    joints = np.repeat(np.stack([np.arange(17) * 7.0, np.arange(17) ** 2.0], axis=1)[None], frames, axis=0)
    joints[..., 0] += 48 * time_s[:, None]
    keypoints = np.concatenate([joints, np.full((frames, 17, 1), 0.9)], axis=2)[:, None]
    return walkers.from_array(
        keypoints, time_s, fps, keep=None if keep is None else np.asarray(keep, bool)[:, None]
    )


@pytest.mark.parametrize("stride", [1, 5, 8])
def test_a_track_of_exactly_t_frames_yields_one_window(stride):
    windows = make_windows(line(T), COCO, stride)
    assert windows.x.shape == (1, 2, T, 17)
    assert windows.start_s[0] == 0
    assert windows.end_s[0] == pytest.approx((T - 1) / 24)
    assert len(make_windows(line(T - 1), COCO, stride)) == 0


@pytest.mark.parametrize("frames", [13, 20, 31])
def test_the_last_window_of_a_track_is_not_lost(frames):
    windows = make_windows(line(frames), COCO, 8)
    assert windows.first[0] == 0
    assert windows.end_s[-1] == pytest.approx((frames - 1) / 24)


def test_stride_1_gives_every_window():
    assert list(make_windows(line(20), COCO, 1).first) == list(range(9))


def test_a_track_that_starts_later_has_its_windows_where_it_is():
    keep = np.zeros(60, bool)
    keep[29 : 29 + T] = True
    windows = make_windows(line(60, keep=keep), COCO, 8)
    assert list(windows.first) == [29]


@pytest.mark.parametrize("fps", [12, 15, 23.976, 25, 29.97, 30, 50, 60])
def test_other_frame_rates_are_resampled_to_the_models(fps):
    windows = make_windows(line(round(2 * fps), fps), COCO, 1)
    assert abs(len(windows) - (48 - T + 1)) <= 2
    step = 2 * 48 / 24 / 640  # of x in one grid frame, in frame widths of 2 units
    np.testing.assert_allclose(np.diff(windows.x[:, 0], axis=1), step, atol=1e-5)
    assert np.abs(np.diff(windows.x[:, 1], axis=1)).max() < 1e-6


def test_a_variable_frame_rate_is_resampled_by_its_timestamps():
    rng = np.random.default_rng(0)
    time_s = np.cumsum(rng.choice([1 / 60, 1 / 30, 1 / 15], size=60))
    windows = make_windows(line(60, 30, time_s - time_s[0]), COCO, 1)
    assert len(windows) > 10
    np.testing.assert_allclose(np.diff(windows.x[:, 0], axis=1), 2 * 48 / 24 / 640, atol=1e-5)


def test_timestamps_rounded_to_milliseconds_do_not_cost_a_window():
    for first in range(24):
        keep = np.zeros(40, bool)
        keep[first : first + T] = True
        assert len(make_windows(line(40, time_s=np.round(np.arange(40) / 24, 3), keep=keep), COCO, 8)) == 1


def test_a_frame_rate_just_below_the_models_does_not_cost_a_window():
    for first in range(0, 480, 37):
        keep = np.zeros(500, bool)
        keep[first : first + T] = True
        assert len(make_windows(line(500, 24000 / 1001, keep=keep), COCO, 8)) == 1


def test_a_window_may_miss_two_frames_and_no_more():
    keep = np.ones(T, bool)
    keep[[4, 5]] = False
    windows = make_windows(line(T, keep=keep), COCO, 1)
    assert len(windows) == 1
    np.testing.assert_allclose(np.diff(windows.x[0, 0], axis=0), 2 * 48 / 24 / 640, atol=1e-6)  # interpolated
    keep[8] = False
    assert len(make_windows(line(T, keep=keep), COCO, 1)) == 0


def test_windows_do_not_reach_across_a_long_hole():
    keep = np.ones(60, bool)
    keep[20:40] = False
    windows = make_windows(line(60, keep=keep), COCO, 1)
    assert all(e < 20 or s >= 40 for s, e in zip(windows.first, windows.first + T - 1, strict=True))
    assert list(np.unique(windows.first)) == list(range(0, 9)) + list(range(40, 49))


def test_a_hole_of_a_day_costs_no_memory():
    time_s = np.concatenate([np.arange(30), 86_400 * 24 + np.arange(30)]) / 24
    assert len(make_windows(line(60, time_s=time_s), COCO, 1)) == 2 * 19


def test_where_a_person_is_in_the_frame_does_not_matter():
    clip = walkers.clip(people=1, frames=30)
    moved = clip.keypoints.copy()
    moved[..., :2] += (120, -40)
    settings = WindowSettings()
    there = make_windows(dataclasses.replace(clip, keypoints=moved), settings, 1)
    here = make_windows(clip, settings, 1)
    np.testing.assert_allclose(here.x, there.x, atol=2e-6)
    np.testing.assert_allclose(here.x[:, :2].mean(axis=(2, 3)), 0, atol=1e-6)


def test_the_papers_scale_is_the_frame_and_the_mean_of_the_window_is_subtracted():
    clip = line(T)
    x = make_windows(clip, COCO, 1).x[0]
    expected = 2 * clip.keypoints[..., :2].reshape(T, 17, 2) / (640, 360) - 1
    expected -= expected.mean(axis=(0, 1))
    np.testing.assert_allclose(x, expected.transpose(2, 0, 1), atol=1e-6)


@pytest.mark.parametrize("scale", ["body", "largest"])
def test_with_a_scale_near_and_far_people_look_alike(scale):
    clip = walkers.clip(people=1, frames=30)
    smaller = clip.keypoints.copy()
    smaller[..., :2] = 100 + 0.4 * smaller[..., :2]
    settings = WindowSettings(scale=scale)
    a, b = (make_windows(c, settings, 1).x for c in (clip, dataclasses.replace(clip, keypoints=smaller)))
    np.testing.assert_allclose(a, b, atol=1e-4)
    if scale == "largest":
        assert np.abs(a[:, :2]).max() == pytest.approx(1)


def test_the_body_scale_is_the_same_standing_and_lying():
    clip = walkers.clip(people=1, frames=T)
    lying = clip.keypoints.copy()
    lying[..., 0], lying[..., 1] = clip.keypoints[..., 1], -clip.keypoints[..., 0]
    settings = WindowSettings(scale="body", features="xy")
    up = make_windows(clip, settings, 1).x[0]
    down = make_windows(dataclasses.replace(clip, keypoints=lying), settings, 1).x[0]
    np.testing.assert_allclose(down[0], up[1], atol=1e-5)
    np.testing.assert_allclose(down[1], -up[0], atol=1e-5)


def test_missing_joints_are_interpolated_over_time_and_keep_confidence_0():
    clip = line(T)
    whole = make_windows(clip, WindowSettings(skeleton="coco17"), 1).x[0]
    keypoints = clip.keypoints.copy()
    keypoints[5:7, 9] = (0, 0, 0)
    keypoints[8, 10] = (np.nan, np.nan, 0.9)
    holes = make_windows(
        dataclasses.replace(clip, keypoints=keypoints), WindowSettings(skeleton="coco17"), 1
    ).x[0]
    np.testing.assert_allclose(holes[:2], whole[:2], atol=1e-6)
    assert (holes[2, 5:7, 9] == 0).all()
    assert holes[2, 8, 10] == 0
    assert (holes[2] > 0).sum() == T * 17 - 3


@pytest.mark.parametrize("scale", ["none", "largest", "body"])
def test_joints_never_seen_and_people_without_joints_leave_no_nan(scale):
    clip = walkers.clip(people=2, frames=40)
    keypoints = clip.keypoints.copy()
    keypoints[clip.track == 1, 3:9] = np.nan
    keypoints[clip.track == 2, :, 2] = 0
    windows = make_windows(dataclasses.replace(clip, keypoints=keypoints), WindowSettings(scale=scale), 1)
    assert set(windows.track) == {1}
    assert np.isfinite(windows.x).all()


@pytest.mark.parametrize(("confidence", "kept"), [(0.6, 1), (0.51, 1), (0.49, 0)])
def test_of_a_piece_shorter_than_a_window_the_frames_that_it_has_count_for_its_certainty(confidence, kept):
    clip = line(7)
    clip.keypoints[..., 2] = confidence
    settings = WindowSettings(skeleton="coco17", features="xy", shortest=4, min_certainty=0.5)
    assert len(make_windows(clip, settings, 1)) == kept
    whole = line(T)
    whole.keypoints[..., 2] = confidence
    assert len(make_windows(whole, settings, 1)) == kept


def test_a_window_is_certain_by_the_mean_over_its_frames_and_joints():
    clip = line(20)
    clip.keypoints[..., 2] = np.where(clip.frame < 10, 1.0, 0.0001)[:, None]
    settings = WindowSettings(skeleton="coco17", features="xy", min_certainty=0.5)
    assert make_windows(clip, settings, 1).first.tolist() == [0, 1, 2, 3, 4]  # six of twelve frames, at least


@pytest.mark.parametrize("scale", ["none", "largest", "body", "stature"])
def test_windows_give_their_joints_back_in_pixels(scale):
    clip = walkers.clip(people=2, frames=30)
    clip.keypoints[clip.frame == 5, 3] = 0
    clip.keypoints[:, 9, 2] = 0
    windows = make_windows(clip, WindowSettings(skeleton="coco17", scale=scale), 1)
    index = np.array([2, len(windows) - 1, 0])
    found = windows.pixels(index)
    assert found.shape == (3, T, 17, 3)
    for points, i in zip(found, index, strict=True):
        rows = (clip.track == windows.track[i]) & (clip.frame >= windows.first[i])
        expected = clip.keypoints[rows][:T].copy()
        expected[(expected[..., 2] == 0)] = 0
        seen = np.ones((T, 17), bool)
        seen[:, 9] = False
        gone = windows.first[i] <= 5 < windows.first[i] + T
        if gone:  # interpolated coordinates, confidence 0
            seen[5 - windows.first[i], 3] = False
        np.testing.assert_allclose(points[seen], expected[seen], atol=1e-3)
        assert (points[~seen][:, 2] == 0).all()


def test_some_of_the_windows_have_what_those_have():
    clips = [walkers.clip("a", people=2, frames=20), walkers.clip("b", seed=1, people=1, frames=20)]
    one = Windows.concatenate(make_windows(c, WindowSettings(), 3, camera=c.clip) for c in clips)
    index = np.array([5, 0, len(one) - 1])
    some = one.pick(index)
    assert len(some) == 3
    np.testing.assert_array_equal(some.x, one.x[index])
    for name in ("start", "track", "first", "partner", "view", "start_s", "end_s", "camera", "size"):
        np.testing.assert_array_equal(getattr(some, name), getattr(one, name)[index])
    assert set(some.camera) == {"a", "b"}
    assert some.views == one.views
    np.testing.assert_array_equal(some.pixels(np.arange(3)), one.pixels(index))


def test_a_joint_below_the_confidence_floor_counts_as_missing():
    clip = line(T)
    keypoints = clip.keypoints.copy()
    keypoints[3, 2] = (500, 300, 0.1)  # a wild guess
    settings = WindowSettings(skeleton="coco17", features="xy", min_confidence=0.2)
    x = make_windows(dataclasses.replace(clip, keypoints=keypoints), settings, 1).x
    np.testing.assert_allclose(x, make_windows(clip, settings, 1).x, atol=1e-6)


def test_windows_that_are_hardly_seen_are_left_out():
    clip = walkers.clip(people=2, frames=40)
    keypoints = clip.keypoints.copy()
    keypoints[clip.track == 2, :, 2] = 0.4
    keypoints[(clip.track == 1) & (clip.frame == 20), 3:, 2] = 0.1  # one bad frame is no reason
    faint = dataclasses.replace(clip, keypoints=keypoints)
    windows = make_windows(faint, WindowSettings(min_certainty=0.5), 1)
    assert set(windows.track) == {1}
    assert len(windows) == 40 - T + 1
    assert set(make_windows(faint, WindowSettings(), 1).track) == {1, 2}


def test_of_somebody_whose_joints_are_not_seen_nothing_is_made_whatever_the_settings():
    tracks = line(72)
    tracks.keypoints[30:, :, 2] = 0
    windows = make_windows(tracks, WindowSettings(min_certainty=0.0), 1)
    assert windows.first.tolist() == list(range(19))  # the last one ends where the joints do


def test_nobody_gives_no_window_of_the_right_shape():
    nobody = walkers.from_array(np.zeros((30, 1, 17, 3)), keep=np.zeros((30, 1), bool))
    assert make_windows(nobody, WindowSettings(), 1).x.shape == (0, 3, T, 18)


def test_the_neck_lies_between_the_shoulders_and_the_others_keep_their_place():
    clip = walkers.clip(people=1, frames=T)
    keypoints = clip.keypoints.copy()
    keypoints[:, COCO17.index["left_shoulder"], 2] = 0.3
    clip = dataclasses.replace(clip, keypoints=keypoints)
    with_neck = make_windows(clip, WindowSettings(), 1).x[0]
    plain = make_windows(clip, WindowSettings(skeleton="coco17"), 1).x[0]
    shift = (with_neck[:2, :, 0] - plain[:2, :, 0])[..., None]  # the neck moves the mean
    for joint in COCO17.joints:
        a, b = with_neck[:2, :, COCO18.index[joint]], plain[:2, :, COCO17.index[joint]]
        np.testing.assert_allclose(a - b, shift[..., 0], atol=1e-5)
    shoulders = [with_neck[:2, :, COCO18.index[f"{side}_shoulder"]] for side in ("left", "right")]
    np.testing.assert_allclose(with_neck[:2, :, 1], np.mean(shoulders, axis=0), atol=1e-6)
    np.testing.assert_allclose(with_neck[2, :, 1], 0.3, atol=1e-6)


def test_a_part_of_a_clip_gives_the_windows_that_the_whole_gives_there():
    clip = walkers.clip(people=3, frames=200, fps=29.97)
    whole = make_windows(clip, WindowSettings(), 1)
    part = make_windows(cut_frames(clip, 60, 140), WindowSettings(), 1)
    inner = (part.start_s > clip.time_s[62]) & (part.end_s < clip.time_s[137])
    assert inner.sum() > 30
    lookup = {(t, f): x for t, f, x in zip(whole.track, whole.first, whole.x, strict=True)}
    for t, f, x in zip(part.track[inner], part.first[inner], part.x[inner], strict=True):
        np.testing.assert_array_equal(x, lookup[t, f])


def test_windows_are_views_of_the_tracks_joints():
    clip = walkers.clip(people=5, frames=200)
    windows = make_windows(clip, WindowSettings(), 1)
    assert len(windows) == 5 * (200 - T + 1)
    assert windows.points.shape == (5 * 200, 18, 3)
    held = sum(v.nbytes for v in vars(windows).values() if isinstance(v, np.ndarray))
    assert held < 1.2 * clip.keypoints.nbytes  # a neck more, and 24 bytes a window
    index = np.array([17, 3, 3, 900])
    np.testing.assert_array_equal(windows.batch(index), windows.x[index])


def test_windows_of_several_clips_are_one_after_the_other():
    clips = [walkers.clip(seed=i, people=i + 1, frames=30 + i) for i in range(3)]
    nobody = walkers.from_array(np.zeros((30, 1, 17, 3)), keep=np.zeros((30, 1), bool))
    parts = [make_windows(clip, WindowSettings(), 3) for clip in (clips[0], nobody, *clips[1:])]
    one = Windows.concatenate(iter(parts))
    np.testing.assert_array_equal(one.x, np.concatenate([p.x for p in parts]))
    for name in ("track", "first", "partner", "start_s", "end_s"):
        np.testing.assert_array_equal(getattr(one, name), np.concatenate([getattr(p, name) for p in parts]))


def test_windows_of_several_cameras_know_which_picture_they_are_in():
    shown = (("a", (640, 360)), ("b", (320, 200)), ("a", (640, 360)), ("a", (1280, 720)))
    clips = [dataclasses.replace(walkers.clip(people=1, frames=30), frame_size=size) for _, size in shown]
    parts = [
        make_windows(c, WindowSettings(), 9, camera=name) for c, (name, _) in zip(clips, shown, strict=True)
    ]
    one = Windows.concatenate(parts)
    count = len(parts[0])
    assert len(one) == 4 * count
    assert one.camera.tolist() == list(np.repeat(["a", "b", "a", "a"], count))
    assert one.size[::count].tolist() == [[640, 360], [320, 200], [640, 360], [1280, 720]]
    assert len(one.views) == 3
    assert [array.dtype for array in (one.view, one.track, one.partner)] == [np.int32] * 3


def test_windows_are_smoothed_where_the_settings_ask_for_it_and_their_joints_in_memory_are_not():
    clip = walkers.clip(people=1, frames=30)
    plain = WindowSettings(skeleton="coco17", scale="body")
    smoothed = make_windows(clip, dataclasses.replace(plain, smoothing_s=0.1), 3)
    as_they_are = make_windows(clip, plain, 3)
    np.testing.assert_array_equal(smoothed.points, as_they_are.points)
    rows = as_they_are.start[:, None] + np.arange(T)
    np.testing.assert_array_equal(smoothed.x, normalise(smooth_joints(as_they_are.points[rows], 2.4), plain))
    shaken, steadier = (np.abs(np.diff(w.x[:, :2], 2, axis=2)).mean() for w in (as_they_are, smoothed))
    assert steadier < 0.7 * shaken


def test_windows_start_where_the_stride_divides_the_grid_and_at_both_ends():
    clip = line(40)
    for stride, firsts in ((5, [0, 5, 10, 15, 20, 25, 28]), (100, [0, 28]), (28, [0, 28])):
        assert make_windows(clip, COCO, stride).first.tolist() == firsts
    later = cut_frames(clip, 3, 40)
    assert make_windows(later, COCO, 5).first.tolist() == [3, 5, 10, 15, 20, 25, 28]
    assert make_windows(later, COCO, 5).start.tolist() == [0, 2, 7, 12, 17, 22, 25]


def test_the_time_of_a_window_is_that_of_its_first_and_of_its_last_frame():
    windows = make_windows(line(40), COCO, 100)
    np.testing.assert_allclose(windows.start_s, [0, 28 / 24])
    np.testing.assert_allclose(windows.end_s, [11 / 24, 39 / 24])
    assert windows.span_s is None
    assert not windows.whole


def test_windows_of_different_kinds_are_not_put_together():
    clip = walkers.clip(people=1, frames=30)
    parts = [make_windows(clip, WindowSettings(scale=scale), 1) for scale in ("none", "body")]
    with pytest.raises(ValueError, match="one kind"):
        Windows.concatenate(parts)
    with pytest.raises(ValueError, match="at least one"):
        Windows.concatenate([])


def test_the_pile_gives_back_what_was_put_on_it():
    rng = np.random.default_rng(0)
    parts = [rng.random((n, 3, 2)).astype(np.float32) for n in (0, 5, 1, 40, 0, 300)]
    pile = GrowingArray((3, 2), np.float32)
    for part in parts:
        pile.add(part)
    np.testing.assert_array_equal(pile.array(), np.concatenate(parts))


def in_3d(frames=30, joints=25, skeleton="ntu25"):
    rng = np.random.default_rng(0)
    points = np.concatenate(
        [np.cumsum(rng.normal(0, 0.02, (frames, joints, 3)), axis=0) + 2, np.full((frames, joints, 1), 0.8)],
        axis=2,
    )
    return ClipTracks(
        "c", skeleton, 24.0, (1920, 1080), np.arange(frames) / 24, np.arange(frames, dtype=np.int32),
        np.ones(frames, np.int32), points.astype(np.float32), np.zeros((frames, 4), np.float32),
    )  # fmt: skip


@pytest.mark.parametrize(("features", "channels"), [("xyz", 3), ("xyzc", 4)])
def test_3d_joints_keep_their_unit_and_their_depth(features, channels):
    clip = in_3d()
    settings = WindowSettings(skeleton="ntu25", features=features)
    x = make_windows(clip, settings, 1).x
    assert x.shape == (30 - T + 1, channels, T, 25)
    assert settings.channels == channels
    expected = clip.keypoints[:T, :, :3] - clip.keypoints[:T, :, :3].mean(axis=(0, 1))
    np.testing.assert_allclose(x[0, :3], expected.transpose(2, 0, 1), atol=1e-5)
    if channels == 4:
        np.testing.assert_allclose(x[:, 3], 0.8, atol=1e-6)


def test_2d_and_3d_joints_are_not_mixed_up():
    with pytest.raises(ModelError, match="3-D"):
        make_windows(in_3d(), WindowSettings(skeleton="ntu25"), 1)
    with pytest.raises(ModelError, match="2-D"):
        make_windows(walkers.clip(people=1), WindowSettings(features="xyz"), 1)


@pytest.mark.parametrize("name", SKELETONS)
@pytest.mark.parametrize(("features", "frames"), [("xy", 12), ("xyc", 24), ("xyz", 12), ("xyzc", 18)])
def test_the_network_takes_windows_of_every_skeleton_feature_and_length(tiny, name, features, frames):
    settings = tiny(windows={"skeleton": name, "features": features, "frames": frames})
    joints = SKELETONS[name].num_joints
    clip = in_3d(frames + 3, joints, name)
    if not settings.windows.depth:
        clip = dataclasses.replace(clip, keypoints=clip.keypoints[..., [0, 1, 3]])
    x = torch.from_numpy(make_windows(clip, settings.windows, 1).x)
    assert x.shape == (4, settings.windows.channels, frames, joints)
    network = Network(settings).eval()
    with torch.no_grad():
        assert network.autoencoder(x)[1].shape == x.shape
        assert network.assign(x).shape == (4, 5)


@pytest.mark.parametrize("skeleton", ["coco18", "blazepose33"])
def test_the_network_learns_from_two_people(tiny, skeleton):
    # torch's own strided 1x1 convolution crashes from 33 joints on: see `anomaly.networks.layers.StridedPointwiseConv`.
    clip = in_3d(60, SKELETONS[skeleton].num_joints, skeleton)
    settings = tiny(
        windows={"extent": "clip", "people": 2, "frames": 24, "skeleton": skeleton, "features": "xyz"}
    )
    x = torch.from_numpy(make_windows(clip, settings.windows, 1).x).repeat(16, 1, 1, 1)
    network = Network(settings)
    for _ in range(5):
        (network.autoencoder(x)[1] - x).square().mean().backward()
    assert all(p.grad.isfinite().all() for p in network.autoencoder.parameters())
    assert network.eval().assign(x).shape == (16, 5)


UPPER = {
    "name": "upper",
    "joints": ["nose", "neck", "left_wrist", "right_wrist"],
    "edges": [["nose", "neck"], ["neck", "left_wrist"], ["neck", "right_wrist"]],
    "centre": "neck",
    "mirror": [["left_wrist", "right_wrist"]],
}


def test_a_declared_skeleton_takes_the_joints_that_it_names(tiny):
    settings = tiny(windows={"skeleton": UPPER, "scale": "none"})
    assert settings_from_dict(yaml.safe_load(yaml.safe_dump(settings_to_dict(settings)))) == settings
    windows = make_windows(walkers.clip(people=1, frames=30), settings.windows, 1)
    plain = make_windows(walkers.clip(people=1, frames=30), WindowSettings(), 1)
    chosen = plain.x[..., [0, 1, 7, 4]]  # of coco18
    chosen[:, :2] -= chosen[:, :2].mean(axis=(2, 3), keepdims=True)
    np.testing.assert_allclose(windows.x, chosen, atol=1e-6)
    with torch.no_grad():
        assert Network(settings).eval().assign(torch.from_numpy(windows.x)).shape == (len(windows), 5)


def test_tracks_that_follow_the_declared_skeleton_fit_and_others_of_that_name_do_not(tiny):
    settings = tiny(windows={"skeleton": UPPER, "features": "xyz"}).windows
    assert len(make_windows(in_3d(T, 4, "upper"), settings, 1)) == 1
    with pytest.raises(ModelError, match="'upper' of 5 joints"):
        make_windows(in_3d(T, 5, "upper"), settings, 1)
    with pytest.raises(ModelError, match="'lower'"):
        make_windows(in_3d(T, 4, "lower"), settings, 1)


def test_a_declared_skeleton_may_not_take_a_known_name(tiny):
    with pytest.raises(ConfigError, match="another name"):
        tiny(windows={"skeleton": {**UPPER, "name": "coco17"}})


def test_a_skeleton_that_the_model_does_not_know_is_an_error_that_names_both():
    clip = ClipTracks(
        "c", "ntu25", 24.0, (640, 360), np.arange(2) / 24, np.zeros(0, np.int32), np.zeros(0, np.int32),
        np.zeros((0, 25, 3), np.float32), np.zeros((0, 4), np.float32),
    )  # fmt: skip
    with pytest.raises(ModelError, match=r"ntu25.*coco17"):
        make_windows(clip, COCO, 1)


@pytest.mark.parametrize(
    "wrong",
    [
        {"skeleton": "dog"},
        {"features": "rgb"},
        {"scale": "big"},
        {"frames": 1},
        {"fps": 0},
        {"train_stride": 0},
        {"max_missing": 11},
        {"min_confidence": 1.0},
        {"min_joints": 0},
        {"min_certainty": 1.0},
    ],
)
def test_settings_out_of_range_are_refused(wrong):
    with pytest.raises(ConfigError):
        WindowSettings(**wrong)


@pytest.mark.parametrize(("size", "sizes"), [(1, [1] * 7), (3, [3, 3, 1]), (7, [7]), (100, [7])])
def test_batches_are_all_windows_in_their_order_so_many_at_once(size, sizes):
    windows = make_windows(line(T + 6), COCO, 1)
    found = list(windows.batches(size))
    assert [len(batch) for batch in found] == sizes
    np.testing.assert_array_equal(np.concatenate(found), windows.batch(slice(None)))


@pytest.mark.parametrize("scale", ["none", "largest", "body", "stature"])
def test_joints_that_were_never_seen_are_at_0_in_pixels(scale):
    clip = walkers.clip(people=1, frames=30)
    clip.keypoints[:, 9] = 0
    windows = make_windows(clip, WindowSettings(skeleton="coco17", scale=scale), 1)
    points = windows.pixels(slice(None))
    assert (points[:, :, 9] == 0).all()
    assert (points[:, :, :9, 2] > 0).all()
