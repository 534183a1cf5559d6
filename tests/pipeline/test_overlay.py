from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from pipeline.drawing import anomaly_colour, draw_people
from pipeline.overlay import OverlaySettings, write_overlay
from pose_extract.errors import ConfigError, OutputError, VideoError
from pose_extract.records import ClipTracks
from pose_extract.skeletons import COCO17
from pose_extract.video import VideoReader, VideoSettings
from tests.conftest import X264

GREY = 128


def person(x=40.0, y=10.0, height=80.0, confidence=1.0):
    """Keypoints (17, 3) of somebody who stands, and the box (4,) around them."""
    down = {"nose": 0.0, "eye": 0.0, "ear": 0.0, "shoulder": 0.2, "elbow": 0.35, "wrist": 0.5}
    down |= {"hip": 0.5, "knee": 0.75, "ankle": 1.0}
    keypoints = np.zeros((17, 3), np.float32)
    for j, joint in enumerate(COCO17.joints):
        side = 0.1 if "left" in joint else -0.1 if "right" in joint else 0.0
        keypoints[j] = x + side * height, y + down[joint.split("_")[-1]] * height, confidence
    return keypoints, np.array([x - height / 5, y - 2, x + height / 5, y + height + 2], np.float32)


def drawn(keypoints, boxes, anomalies, ids=None, size=(160, 120), **options):
    image = np.full((size[1], size[0], 3), GREY, np.uint8)
    draw_people(image, np.array(keypoints), np.array(boxes), ids, np.array(anomalies), COCO17, **options)
    return image


def touched(image):
    return np.any(image != GREY, axis=2)


def amount(image, colour):
    """How many pixels are nearly of ``colour``."""
    return int(np.sum(np.abs(image.astype(int) - colour).max(axis=2) < 12))


def test_colours_go_from_green_over_yellow_to_red():
    def hue(anomaly):
        blue, green, red = anomaly_colour(anomaly)
        assert blue < max(green, red)
        return np.arctan2(red, green)

    hues = [hue(anomaly) for anomaly in np.linspace(0, 1, 41)]
    assert np.all(np.diff(hues) > -1e-6)
    assert hues[0] < 0.5 < 0.7 < hue(0.85) < 1.1 < 1.3 < hues[-1]
    assert hue(0.5) < 0.6  # half of all normal people are above 0.5: they look normal


def test_a_person_without_a_score_is_grey():
    assert len(set(anomaly_colour(float("nan")))) == 1


def test_each_person_has_the_colour_of_their_own_anomaly():
    people = [person(x=40), person(x=120)]
    image = drawn([p[0] for p in people], [p[1] for p in people], [0.1, 1.0])
    left, right = image[:, :80], image[:, 80:]
    assert amount(left, anomaly_colour(0.1)) > 100
    assert amount(left, anomaly_colour(1.0)) == 0
    assert amount(right, anomaly_colour(1.0)) > 100
    assert amount(right, anomaly_colour(0.1)) == 0


def test_the_most_abnormal_person_is_drawn_on_top():
    people = [person(), person()]
    image = drawn([p[0] for p in people], [p[1] for p in people], [1.0, 0.1])
    assert amount(image, anomaly_colour(1.0)) > 30
    assert amount(image, anomaly_colour(0.1)) == 0


def test_joints_that_were_not_found_are_not_drawn():
    keypoints, box = person()
    nobox = np.full((1, 4), np.nan)
    whole = touched(drawn([keypoints], nobox, [0.5]))
    assert whole[60:, :].any()
    keypoints[COCO17.index["left_hip"] :, 2] = 0.1  # hips and legs
    assert not touched(drawn([keypoints], nobox, [0.5]))[60:, :].any()
    assert touched(drawn([keypoints], nobox, [0.5], min_confidence=0.05))[60:, :].any()
    keypoints[:, :2], keypoints[:, 2] = np.nan, 1.0
    assert not touched(drawn([keypoints], nobox, [0.5])).any()
    assert touched(drawn([keypoints], [box], [0.5])).any()


def test_joints_far_outside_the_picture_do_no_harm():
    keypoints, box = person()
    keypoints[0, :2], keypoints[1, :2] = 1e9, -1e9
    assert touched(drawn([keypoints], [box * 1e7], [0.5])).any()


def test_nobody_leaves_the_picture_as_it_was():
    image = drawn(np.zeros((0, 17, 3)), np.zeros((0, 4)), np.zeros(0), ids=np.zeros(0, int))
    assert not touched(image).any()


def test_ids_stand_above_the_box_and_inside_the_picture():
    keypoints, box = person(y=30)
    without = drawn([keypoints], [box], [0.5])
    with_id = drawn([keypoints], [box], [0.5], ids=np.array([7]))
    changed = np.argwhere(np.any(without != with_id, axis=2))
    assert changed[:, 0].max() <= box[1] + 2
    assert changed[:, 0].min() > 0
    keypoints, box = person(x=158, y=-5)  # at the corner
    corner = drawn([keypoints], [box], [0.5], ids=np.array([1234]))
    plate = np.argwhere(np.any(corner != drawn([keypoints], [box], [0.5]), axis=2))
    assert np.ptp(plate[:, 0]) >= 8  # not cut off by the border
    assert np.ptp(plate[:, 1]) >= 20


def test_lines_widen_with_the_picture():
    def share(scale):
        keypoints, box = person(x=160 * scale, y=20 * scale, height=200 * scale)
        return touched(drawn([keypoints], [box], [0.5], size=(320 * scale, 240 * scale))).mean()

    assert share(4) == pytest.approx(share(2), rel=0.35)


def test_keypoints_in_space_are_drawn_by_x_and_y():
    keypoints, box = person()
    deep = np.insert(keypoints, 2, 5.0, axis=1)
    np.testing.assert_array_equal(drawn([deep], [box], [0.5]), drawn([keypoints], [box], [0.5]))


# -- the video ---------------------------------------------------------------------------------------------------------


def tracks_of(frames, size=(160, 120), fps=25.0, people=((40, 0, 25),)):
    """One person standing at each x from frame ``first`` to before ``last``."""
    rows = sorted(
        (f, i + 1, x) for i, (x, first, last) in enumerate(people) for f in range(first, min(last, frames))
    )
    poses = [person(x=x) for _, _, x in rows]
    return ClipTracks(
        clip="clip",
        skeleton="coco17",
        fps=fps,
        frame_size=size,
        time_s=np.arange(frames) / fps,
        frame=np.array([f for f, _, _ in rows], np.int32),
        track=np.array([t for _, t, _ in rows], np.int32),
        keypoints=np.array([k for k, _ in poses], np.float32).reshape(-1, 17, 3),
        boxes=np.array([b for _, b in poses], np.float32).reshape(-1, 4),
    )


def overlay(source, path, tracks, percentile=0.5, alarm=(), row=0.2, **options):
    alarms = np.zeros(tracks.frame_count, bool)
    alarms[list(alarm)] = True
    count = write_overlay(
        source,
        tracks,
        path,
        percentile=np.full(tracks.frame_count, percentile),
        alarm=alarms,
        row_percentile=np.full(len(tracks), row),
        **options,
    )
    return count, [frame.image for frame in VideoReader(path)]


@pytest.fixture
def grey_video(make_video):
    return make_video("grey.mp4", "-vf", "geq=lum=128:cb=128:cr=128", *X264, size=(160, 120))


def test_people_are_drawn_in_the_frames_they_are_in(grey_video, tmp_path):
    tracks = tracks_of(25, people=((40, 0, 10), (120, 10, 20)))
    seen = []
    count, images = overlay(grey_video, tmp_path / "out.mp4", tracks, progress=seen.append)
    assert count == len(images) == 25
    assert seen == list(range(1, 26))
    assert images[0].shape == (120 + 20, 160, 3)
    picture = [image[:120].astype(int) for image in images]
    left = [int((np.abs(image[:, :70] - GREY) > 40).any(axis=2).sum()) for image in picture]
    right = [int((np.abs(image[:, 90:] - GREY) > 40).any(axis=2).sum()) for image in picture]
    assert [n > 100 for n in left] == [True] * 10 + [False] * 15
    assert [n > 100 for n in right] == [False] * 10 + [True] * 10 + [False] * 5


def test_an_alarm_frames_the_picture_in_red(grey_video, tmp_path):
    _, images = overlay(grey_video, tmp_path / "out.mp4", tracks_of(25, people=()), alarm=range(5, 10))
    red = [bool(image[60, 0, 2] > image[60, 0, 0] + 60) for image in images]
    assert red == [5 <= i < 10 for i in range(25)]


def test_tracks_of_a_scaled_down_reading_fit_the_full_picture(grey_video, tmp_path):
    small = tracks_of(25, size=(80, 60), people=((20, 0, 25),))
    big = tracks_of(25, size=(160, 120), people=((20, 0, 25),))
    _, scaled = overlay(grey_video, tmp_path / "a.mp4", small)
    _, plain = overlay(grey_video, tmp_path / "b.mp4", big)

    def middle(image):
        return np.argwhere((np.abs(image[:120].astype(int) - GREY) > 40).any(axis=2))[:, 1].mean()

    assert middle(scaled[3]) == pytest.approx(40, abs=4)
    assert middle(plain[3]) == pytest.approx(20, abs=4)


def test_a_clip_with_nobody_and_a_video_longer_than_its_tracks_are_drawn(grey_video, tmp_path):
    assert overlay(grey_video, tmp_path / "a.mp4", tracks_of(25, people=()))[0] == 25
    assert overlay(grey_video, tmp_path / "b.mp4", tracks_of(20))[0] == 25


def test_without_the_panel_the_size_is_the_videos(grey_video, tmp_path):
    _, images = overlay(grey_video, tmp_path / "o.mp4", tracks_of(25), settings=OverlaySettings(panel=0))
    assert images[0].shape == (120, 160, 3)


def test_a_resampled_reading_is_drawn_at_its_own_rate(grey_video, tmp_path):
    path = tmp_path / "out.mp4"
    count, _ = overlay(grey_video, path, tracks_of(12, fps=12.5), video=VideoSettings(fps=12.5))
    assert count in (12, 13)
    assert VideoReader(path).info.fps == 12.5


def test_the_sound_is_kept_unless_told_otherwise(make_video, tmp_path):
    source = make_video("sound.mp4", *X264, "-c:a", "aac", size=(160, 120), audio=True)
    overlay(source, tmp_path / "a.mp4", tracks_of(25))
    overlay(source, tmp_path / "b.mp4", tracks_of(25), settings=OverlaySettings(audio=False))
    assert VideoReader(tmp_path / "a.mp4").info.has_audio
    assert not VideoReader(tmp_path / "b.mp4").info.has_audio


def test_scores_of_another_length_are_refused(grey_video, tmp_path):
    tracks = tracks_of(25)
    good = {"percentile": np.zeros(25), "alarm": np.zeros(25, bool), "row_percentile": np.zeros(len(tracks))}
    for name in good:
        with pytest.raises(ValueError, match=rf"expected {name} of shape \(25,\), got \(24,\)"):
            write_overlay(grey_video, tracks, tmp_path / "out.mp4", **{**good, name: np.zeros(24)})
    assert list(tmp_path.iterdir()) == []


def test_what_cannot_be_read_or_written_is_an_error(grey_video, tmp_path):
    with pytest.raises(VideoError, match="no such file"):
        overlay(tmp_path / "gone.mp4", tmp_path / "out.mp4", tracks_of(25))
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(OutputError, match="cannot be written"):
        overlay(grey_video, tmp_path / "file" / "out.mp4", tracks_of(25))


@pytest.mark.parametrize("settings", [{"min_confidence": 2.0}, {"seconds_shown": 0.0}, {"panel": -0.1}])
def test_settings_out_of_range_are_refused(settings):
    with pytest.raises(ConfigError, match="overlay"):
        OverlaySettings(**settings)


def bones_and_joints(image):
    """How many pixels of the picture are white, as joints are, and how many otherwise drawn."""
    picture = image[:120].astype(int)
    white = int((picture > 225).all(axis=2).sum())
    return white, int((np.abs(picture - GREY) > 40).any(axis=2).sum()) - white


def test_a_declared_skeleton_is_drawn_by_its_own_edges(grey_video, tmp_path):
    plain = replace(tracks_of(25), boxes=np.full_like(tracks_of(25).boxes, np.nan))
    unknown = replace(plain, skeleton="our-own")
    ours = replace(COCO17, name="our-own")
    _, with_bones = overlay(grey_video, tmp_path / "a.mp4", unknown, skeleton=ours)
    _, without = overlay(grey_video, tmp_path / "b.mp4", unknown)
    _, coco = overlay(grey_video, tmp_path / "c.mp4", plain, skeleton=replace(ours, edges=()))
    np.testing.assert_array_equal(
        with_bones[3], coco[3]
    )  # COCO's tracks are drawn as COCO's, whatever the model's
    white, bones = bones_and_joints(with_bones[3])
    white_alone, bones_alone = bones_and_joints(without[3])
    assert bones > 3 * bones_alone
    assert white_alone >= white > 20


def test_joints_in_metres_leave_only_their_boxes(grey_video, tmp_path):
    flat = tracks_of(25)
    keypoints = np.insert(flat.keypoints, 2, 3.0, axis=2)
    metres = keypoints.copy()
    metres[..., :2] /= 100
    space = {"skeleton": "somebody's"}
    _, near = overlay(grey_video, tmp_path / "a.mp4", replace(flat, keypoints=keypoints, **space))
    _, images = overlay(grey_video, tmp_path / "b.mp4", replace(flat, keypoints=metres, **space))
    assert bones_and_joints(near[3])[0] > 20 > bones_and_joints(images[3])[0]
    assert bones_and_joints(images[3])[1] > 50
