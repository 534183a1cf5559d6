"""Clips of actions: who does what can be told, and the tracks and the pictures show the same body."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from pipeline.synthetic.actions.clips import ACTIONS, ActionSettings, make_action_clips, meaningful_splits
from pipeline.synthetic.actions.pictures import follow, render_action
from pipeline.synthetic.actions.tracks import ntu_joints
from pipeline.synthetic.motion.body import INDEX
from pipeline.synthetic.street.scene import Camera
from pose_extract.errors import ConfigError
from pose_extract.skeletons import COCO17, NTU25
from tests.helpers.street_body import BONES

FEW = ActionSettings(clips=8, performers=8)


@pytest.fixture(scope="module")
def clips_2d():
    return make_action_clips(FEW, 3)


@pytest.fixture(scope="module")
def clips_3d():
    return make_action_clips(replace(FEW, dimensions=3), 3)


@pytest.fixture(scope="module")
def exact_2d():
    return make_action_clips(replace(FEW, clips=2, noise=0.0), 3)


def course_of(clip, frames=16):
    """(T, V, D) joints at T even times, relative to the person's middle and size."""
    tracks = clip.tracks
    size = tracks.keypoints.shape[2] - 1
    times = np.linspace(0, tracks.frame_count - 1, frames)
    joints = np.zeros((frames, tracks.keypoints.shape[1], size))
    for joint in range(joints.shape[1]):
        seen = tracks.keypoints[:, joint, -1] > 0.1
        for axis in range(size):
            joints[:, joint, axis] = np.interp(times, tracks.frame[seen], tracks.keypoints[seen, joint, axis])
    extent = np.median(np.linalg.norm(np.ptp(joints, axis=1), axis=-1))
    return (joints - joints.mean(axis=1, keepdims=True)) / extent


def looks(clip):
    """What a simple classifier sees of a clip: mean, range, variation and rhythm of each joint."""
    joints = course_of(clip)
    rhythm = np.abs(np.fft.rfft(joints - joints.mean(0), axis=0))[1:6] / 4
    parts = (2 * joints.mean(0), 3 * joints.std(0), joints.min(0), joints.max(0), rhythm)
    return np.concatenate([part.ravel() for part in parts])


def nearest_neighbour_accuracy(clips, settings):
    features = np.array([looks(clip) for clip in clips])
    labels = np.array([clip.action for clip in clips])
    train = np.isin([clip.performer for clip in clips], settings.train_performers)
    features = (features - features[train].mean(0)) / (features[train].std(0) + 0.02)
    apart = ((features[~train, None] - features[None, train]) ** 2).sum(-1)
    return np.mean(labels[train][apart.argmin(1)] == labels[~train])


def test_there_are_groups_of_actions_that_belong_together():
    splits = meaningful_splits()
    assert len(ACTIONS) >= 20
    assert len({action.name for action in ACTIONS}) == len(ACTIONS)
    assert len(splits) >= 5
    assert all(len(actions) == 4 for actions in splits.values())
    assert sorted(number for actions in splits.values() for number in actions) == list(range(len(ACTIONS)))


def test_there_are_so_many_clips_of_each_action_and_every_performer_does_each(clips_2d):
    assert len(clips_2d) == 8 * len(ACTIONS)
    for number in range(len(ACTIONS)):
        mine = [clip for clip in clips_2d if clip.action == number]
        assert sorted(clip.performer for clip in mine) == list(range(1, 9))
    assert len({clip.name for clip in clips_2d}) == len(clips_2d)
    assert FEW.train_performers == (1, 2, 3, 4)


def test_tracks_are_one_person_in_every_or_nearly_every_frame(clips_2d, clips_3d):
    for clip in clips_2d + clips_3d:
        assert clip.tracks.frame_count == 48
        assert set(clip.tracks.track.tolist()) == {1}
        assert len(clip.tracks) >= 24
        assert np.isfinite(clip.tracks.keypoints).all()
    assert {(c.tracks.skeleton, c.tracks.keypoints.shape[1:]) for c in clips_2d} == {("coco17", (17, 3))}
    assert {(c.tracks.skeleton, c.tracks.keypoints.shape[1:]) for c in clips_3d} == {("ntu25", (25, 4))}


def test_the_same_seed_gives_the_same_clips_and_another_seed_others():
    settings = ActionSettings(clips=2)
    first, again, other = (make_action_clips(settings, seed) for seed in (4, 4, 5))
    more = [c for c in make_action_clips(replace(settings, clips=3), 4) if not c.name.endswith("_003")]
    for a, b, c, d in zip(first, again, other, more, strict=True):
        assert np.array_equal(a.tracks.keypoints, b.tracks.keypoints)
        assert np.array_equal(a.tracks.keypoints, d.tracks.keypoints)
        assert not np.array_equal(a.sight.pixels, c.sight.pixels)


def test_bones_keep_their_lengths_and_nobody_sinks_into_the_ground(clips_2d):
    a, b = np.array(BONES).T
    for clip in clips_2d:
        joints = clip.sight.person.joints
        lengths = np.linalg.norm(joints[:, a] - joints[:, b], axis=-1)
        assert np.abs(lengths - lengths[0]).max() < 1e-6
        assert joints[..., 2].min() > -1e-6
        assert joints[..., 2].max() < 3.2


def test_motion_is_continuous():
    for clip in make_action_clips(ActionSettings(clips=3, fps=60.0, noise=0.0), 1):
        joints = clip.sight.person.joints
        step = np.linalg.norm(np.diff(joints, axis=0), axis=-1) * 60
        assert step.max() < 16.0, clip.name  # metres a second


def test_without_noise_pixels_are_the_projection_of_the_joints_in_metres(exact_2d):
    in_space = make_action_clips(replace(FEW, clips=2, noise=0.0, dimensions=3), 3)
    shared = [joint for joint in COCO17.joints if joint in NTU25.index]
    flat, deep = [COCO17.index[j] for j in shared], [NTU25.index[j] for j in shared]
    assert len(shared) == 12
    for a, b in zip(exact_2d, in_space, strict=True):
        assert (a.name, a.performer) == (b.name, b.performer)
        right, up, depth = np.moveaxis(b.tracks.keypoints[:, deep, :3].astype(float), -1, 0)
        focal = Camera(a.camera).focal
        pixels = np.stack([320 + focal * right / depth, 180 - focal * up / depth], axis=-1)
        assert np.abs(pixels - a.tracks.keypoints[:, flat, :2]).max() < 0.02


def test_exact_joints_in_metres_have_bones_of_constant_length():
    for clip in make_action_clips(replace(FEW, clips=1, noise=0.0, dimensions=3), 3):
        a, b = np.array(NTU25.edges).T
        joints = ntu_joints(clip.sight.person.joints)
        apart = np.linalg.norm(joints[:, a] - joints[:, b], axis=-1)
        rigid = [
            i for i, (j, k) in enumerate(NTU25.edges) if "neck" not in (NTU25.joints[j], NTU25.joints[k])
        ]
        rigid = [i for i in rigid if not any("hip" in NTU25.joints[j] for j in NTU25.edges[i])]
        assert len(rigid) >= 18
        assert np.ptp(apart[:, rigid], axis=0).max() < 1e-6
        assert apart.min() > 0.005


def test_noise_is_that_of_an_estimator_and_grows_with_the_setting():
    def errors(noise):
        settings = ActionSettings(clips=2, noise=noise)
        found = []
        for clip in make_action_clips(settings, 9):
            exact = make_clip_exact[clip.name].tracks
            rows = np.searchsorted(exact.frame, clip.tracks.frame)
            gap = np.linalg.norm(clip.tracks.keypoints[..., :2] - exact.keypoints[rows, :, :2], axis=-1)
            found.append(gap.ravel() / np.ptp(exact.keypoints[..., 1]))
        return np.concatenate(found)

    make_clip_exact = {c.name: c for c in make_action_clips(ActionSettings(clips=2, noise=0.0), 9)}
    assert errors(0.0).max() == 0
    half, usual = np.median(errors(0.5)), np.median(errors(1.0))
    assert 0.005 < usual < 0.03  # of the person's height
    assert 0.4 * usual < half < 0.65 * usual


def test_actions_are_told_apart_across_performers(clips_2d, clips_3d):
    # Chance is 1 in 24.
    assert nearest_neighbour_accuracy(clips_3d, FEW) > 0.85
    assert 0.5 < nearest_neighbour_accuracy(clips_2d, FEW) < 0.99


def test_actions_do_what_they_are_named_for(clips_2d):
    def values(name, what):
        return np.array([what(c.sight.person) for c in clips_2d if ACTIONS[c.action].name == name])

    def travel(person):
        return np.linalg.norm(person.path[-1] - person.path[0])

    def highest_wrist(person):
        wrists = person.joints[:, [INDEX["left_wrist"], INDEX["right_wrist"]], 2]
        return (wrists.max() - person.joints[:, INDEX["left_shoulder"], 2].min()) / person.visit.body.height

    def drop(person):
        hips = person.joints[:, 0, 2]
        return np.ptp(hips) / person.visit.body.height

    def highest_foot(person):
        return person.joints[:, [INDEX["left_ankle"], INDEX["right_ankle"]], 2].max()

    assert values("run", travel).min() > values("walk", travel).max()
    assert values("walk", travel).min() > values("limp", travel).mean()
    for still in ("wave", "punch", "squat", "dribble", "clap"):
        assert values(still, travel).max() < 0.05
    for up in ("wave", "wave_both", "jumping_jack"):
        assert values(up, highest_wrist).min() > values("clap", highest_wrist).max()
    assert values("squat", drop).min() > 0.15
    assert values("pick_up", drop).min() > 0.05
    assert values("sit_down", drop).min() > 0.15
    assert values("fall", drop).min() > 0.35
    assert values("wave", drop).max() < 0.03
    assert values("kick", highest_foot).min() > 0.6


def test_performers_differ_and_one_performer_does_an_action_in_different_ways():
    clips = make_action_clips(ActionSettings(clips=4, performers=2, noise=0.0), 0)
    walks = [c.sight.person for c in clips if ACTIONS[c.action].name == "walk"]
    heights = [w.visit.body.height for w in walks]
    assert heights[0] == heights[2] != heights[1]
    speeds = [np.linalg.norm(w.path[-1] - w.path[0]) for w in walks]
    assert np.ptp([speeds[0], speeds[2]]) > 0.01


def test_pictures_show_the_person_at_the_joints(clips_2d):
    trunk = [INDEX[j] for j in ("left_hip", "right_hip", "chest", "left_knee", "right_knee")]
    for clip in clips_2d[::8]:
        frames = render_action(clip, 64, every=12)
        assert frames.shape == (4, 64, 64, 3)
        assert frames.dtype == np.uint8
        middle, side = follow(clip)
        nobody = np.median(frames, axis=0)
        for k, row in enumerate(range(0, 48, 12)):
            at = (clip.sight.pixels[row] - middle[row] + side / 2) * 64 / side
            assert (at >= 0).all()
            assert (at < 64).all()
            # The person's clothes are of other colours than the grey street at the picture's corners.
            x, y = np.rint(at[trunk]).astype(int).T
            street = frames[k][:6].reshape(-1, 3).mean(axis=0)
            assert np.abs(frames[k][y, x] - street).max(axis=1).mean() > 15
        assert nobody.std() > 5


def test_the_person_fills_the_picture(clips_2d):
    fills = []
    for clip in clips_2d:
        _, side = follow(clip)
        extent = np.ptp(clip.sight.pixels, axis=1).max()
        fills.append(extent / side)
    assert np.mean(fills) > 0.65
    assert max(fills) < 1.0


def test_fewer_pictures_are_some_of_all(clips_2d):
    every, some = render_action(clips_2d[0], 48), render_action(clips_2d[0], 48, every=5)
    assert np.array_equal(every[::5], some)


@pytest.mark.parametrize(
    ("key", "value"), [("clips", 0), ("dimensions", 4), ("performers", 1), ("noise", -1.0), ("view", 200.0)]
)
def test_a_setting_out_of_its_range_is_named(key, value):
    with pytest.raises(ConfigError, match=f"actions.{key}"):
        ActionSettings(**{key: value})
