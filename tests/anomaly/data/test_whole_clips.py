import dataclasses

import numpy as np
import pytest

from anomaly.data.windows import Windows, make_windows
from anomaly.settings import WindowSettings
from pose_extract.errors import ConfigError
from tests.helpers import walkers

CLIP = WindowSettings(extent="clip", frames=30)
PAIR = dataclasses.replace(CLIP, people=2)
ONE_XY = WindowSettings(extent="clip", frames=30, skeleton="coco17", features="xy", min_frames=2)


def seen(clip, keep):
    """The clip's rows that ``keep`` (M,) picks."""
    return dataclasses.replace(
        clip,
        **{name: getattr(clip, name)[keep] for name in ("frame", "track", "keypoints", "boxes")},
    )


def moving_right(frames, fps=24.0, speed=60.0, keep=None):
    """One person whose joints all move right at ``speed`` px a second, and stay apart."""
    time_s = np.arange(frames) / fps
    joints = np.stack([np.arange(17) * 7.0, np.arange(17) ** 1.5], axis=1)[None].repeat(frames, axis=0)
    joints[..., 0] += speed * time_s[:, None]
    points = np.concatenate([joints, np.full((frames, 17, 1), 0.9)], axis=2)[:, None]
    return walkers.from_array(
        points, time_s, fps, keep=None if keep is None else np.asarray(keep, bool)[:, None]
    )


def test_each_person_of_a_clip_is_one_window_over_the_time_they_are_there():
    clip = walkers.clip(people=3, frames=90)
    windows = make_windows(seen(clip, (clip.track != 2) | (clip.frame >= 40)), CLIP, 1)
    assert windows.whole
    assert windows.x.shape == (3, 3, 30, 18)
    assert list(windows.track) == [1, 2, 3]
    assert list(windows.partner) == [0, 0, 0]
    np.testing.assert_allclose(windows.start_s, [0, 40 / 24, 0])
    np.testing.assert_allclose(windows.end_s, [89 / 24] * 3)


@pytest.mark.parametrize("frames", [12, 30, 31, 200])
def test_shorter_and_longer_clips_are_resampled_evenly_over_their_duration(frames):
    x = make_windows(moving_right(frames), ONE_XY, 1).x
    assert x.shape == (1, 2, 30, 17)
    duration = (frames - 1) / 24
    np.testing.assert_allclose(np.diff(x[0, 0], axis=0), 2 * 60 * duration / 29 / 640, atol=1e-5)
    assert np.abs(np.diff(x[0, 1], axis=0)).max() < 1e-6


def test_gaps_of_any_length_are_bridged_by_a_straight_line():
    keep = np.ones(100, bool)
    keep[20:80] = False
    whole, gap = (make_windows(moving_right(100, keep=k), ONE_XY, 1).x for k in (None, keep))
    np.testing.assert_allclose(gap, whole, atol=1e-5)


def test_the_frame_rate_does_not_matter():
    a = make_windows(moving_right(49, fps=24), ONE_XY, 1).x
    b = make_windows(moving_right(121, fps=60), ONE_XY, 1).x
    np.testing.assert_allclose(a, b, atol=1e-5)


def test_a_person_seen_in_too_few_frames_has_no_window():
    clip = walkers.clip(people=2, frames=40)
    brief = seen(clip, (clip.track == 1) | (clip.frame < 11))
    assert list(make_windows(brief, CLIP, 1).track) == [1]
    assert list(make_windows(brief, dataclasses.replace(CLIP, min_frames=11), 1).track) == [1, 2]


@pytest.mark.parametrize("settings", [CLIP, PAIR])
def test_an_empty_clip_has_no_window_of_the_right_shape(settings):
    clip = walkers.clip(people=1, frames=40)
    windows = make_windows(seen(clip, np.zeros(len(clip), bool)), settings, 1)
    assert windows.x.shape == (0, 3, 30, 18 * settings.people)
    assert len(windows.start_s) == len(windows.end_s) == 0
    both = Windows.concatenate([windows, make_windows(clip, settings, 1)])
    assert len(both) == 1
    assert both.end_s[0] == pytest.approx(39 / 24)


def test_the_two_people_seen_longest_share_one_window():
    clip = walkers.clip(people=4, frames=60)
    windows = make_windows(seen(clip, (clip.frame % 10 < 5) | (clip.track != 2)), PAIR, 1)
    assert windows.x.shape == (1, 3, 30, 36)
    assert (windows.track[0], windows.partner[0]) == (1, 3)
    pick = seen(clip, (clip.frame < 50) | (clip.track == 4))
    windows = make_windows(pick, PAIR, 1)
    assert (windows.track[0], windows.partner[0]) == (4, 1)


def test_two_people_keep_their_places_to_each_other():
    clip = walkers.clip(people=2, frames=60)
    apart = clip.keypoints.copy()
    apart[clip.track == 2, :, 0] += 64  # a tenth of the frame, which is 2 units wide
    near, far = (
        make_windows(dataclasses.replace(clip, keypoints=k), PAIR, 1).x[0] for k in (clip.keypoints, apart)
    )
    moved = (far[0, :, 18:].mean() - far[0, :, :18].mean()) - (
        near[0, :, 18:].mean() - near[0, :, :18].mean()
    )
    assert moved == pytest.approx(0.2, abs=1e-5)
    np.testing.assert_allclose(far[:2].mean(axis=(1, 2)), 0, atol=1e-6)


@pytest.mark.parametrize("scale", ["none", "largest", "body"])
def test_who_is_alone_has_a_second_person_whose_joints_are_all_missing(scale):
    clip = walkers.clip(people=1, frames=60)
    alone, pair = (make_windows(clip, dataclasses.replace(s, scale=scale), 1) for s in (CLIP, PAIR))
    assert pair.partner[0] == 0
    np.testing.assert_allclose(pair.x[:, :, :, :18], alone.x, atol=1e-6)
    assert (pair.x[:, :, :, 18:] == 0).all()


def test_a_second_person_who_comes_later_is_held_where_first_seen_with_confidence_0():
    clip = walkers.clip(people=2, frames=59)
    windows = make_windows(seen(clip, (clip.track == 1) | (clip.frame >= 29)), PAIR, 1)
    second = windows.x[0, :, :, 18:]
    assert (second[2, :15] == 0).all()
    assert (second[2, 15:] > 0).all()
    np.testing.assert_allclose(second[:2, :15], second[:2, 15:16].repeat(15, axis=1), atol=1e-6)


def test_the_body_scale_of_two_people_does_not_depend_on_their_distance():
    clip = walkers.clip(people=2, frames=60)
    apart = clip.keypoints.copy()
    apart[clip.track == 2, :, 0] += 200
    settings = dataclasses.replace(PAIR, scale="body")
    near, far = (
        make_windows(dataclasses.replace(clip, keypoints=k), settings, 1).x[0]
        for k in (clip.keypoints, apart)
    )
    np.testing.assert_allclose(np.ptp(near[1, :, :18]), np.ptp(far[1, :, :18]), rtol=1e-4)


def test_a_faint_person_is_left_out_but_an_absent_second_one_is_no_reason():
    clip = walkers.clip(people=1, frames=60)
    certain = dataclasses.replace(PAIR, min_certainty=0.5)
    assert len(make_windows(clip, certain, 1)) == 1
    faint = clip.keypoints.copy()
    faint[..., 2] = 0.3
    assert len(make_windows(dataclasses.replace(clip, keypoints=faint), certain, 1)) == 0


def test_two_people_are_certain_by_the_mean_over_both():
    clip = walkers.clip(people=2, frames=60)
    confidence = np.where(clip.track == 2, 0.9, 0.3)  # 0.6 together
    keypoints = clip.keypoints.copy()
    keypoints[..., 2] = confidence[:, None]
    for faint in (1, 2):
        swapped = dataclasses.replace(
            clip, keypoints=keypoints, track=np.where(clip.track == faint, 1, 2).astype(np.int32)
        )
        order = np.lexsort((swapped.track, swapped.frame))
        swapped = dataclasses.replace(
            swapped,
            track=swapped.track[order],
            keypoints=swapped.keypoints[order],
            boxes=swapped.boxes[order],
        )
        for least, kept in ((0.58, 1), (0.62, 0)):
            assert len(make_windows(swapped, dataclasses.replace(PAIR, min_certainty=least), 1)) == kept


def test_two_people_need_whole_clips():
    with pytest.raises(ConfigError, match="extent clip"):
        WindowSettings(people=2)
    with pytest.raises(ConfigError, match="extent"):
        WindowSettings(extent="film")
    with pytest.raises(ConfigError, match="min_frames"):
        WindowSettings(extent="clip", min_frames=1)
