from __future__ import annotations

import subprocess
import threading
from dataclasses import replace
from itertools import pairwise

import cv2
import numpy as np
import pytest

from pipeline.events.events import Event
from pipeline.events.timeline import ScoredTimeline
from pipeline.pictures.drawing import (
    ALARM,
    SCALE_AT,
    anomaly_colour,
    draw_people,
    level,
    text_width,
    write_text,
)
from pipeline.pictures.overlay import OverlayArtist, OverlaySettings, write_overlay
from pose_extract.errors import ConfigError, OutputError, VideoError
from pose_extract.skeletons import COCO17
from pose_extract.tracks.records import ClipTracks, Frame
from pose_extract.video import VideoReader, VideoSettings
from pose_extract.video.ffmpeg import find_ffmpeg, passthrough
from tests.helpers.processes import own_children
from tests.helpers.things import clip_things, things
from tests.helpers.videos import KEYED, X264, run_ffmpeg

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


def test_colours_go_from_blue_over_pale_yellow_to_red():
    redder = [anomaly_colour(anomaly)[2] - anomaly_colour(anomaly)[0] for anomaly in np.linspace(0, 1, 41)]
    assert redder[0] < -100  # blue
    assert anomaly_colour(0.5)[0] > 200 > anomaly_colour(0.5)[2]  # half of all normal people are above it
    assert min(anomaly_colour(0.85)) > 150
    assert anomaly_colour(1.0)[2] > 200 > 60 > max(anomaly_colour(1.0)[:2])


# How colours look to whom one kind of cone is missing, in linear light (Machado, Oliveira, Fernandes, 2009).
MISSING = {
    "none": np.eye(3),
    "red": [
        [0.152286, 1.052583, -0.204868],
        [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ],
    "green": [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.011820, 0.042940, 0.968881],
    ],
    "blue": [
        [1.255528, -0.076749, -0.178779],
        [-0.078411, 0.930809, 0.147602],
        [0.004733, 0.691367, 0.303900],
    ],
}


@pytest.mark.parametrize("missing", MISSING)
def test_who_cannot_tell_some_colours_apart_tells_usual_from_rare(missing):
    def lab(anomalies):
        rgb = np.array([anomaly_colour(anomaly)[::-1] for anomaly in anomalies]) / 255
        linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
        seen = np.clip(linear @ np.array(MISSING[missing]).T, 0, 1)
        shown = np.where(seen <= 0.0031308, 12.92 * seen, 1.055 * seen ** (1 / 2.4) - 0.055)
        return cv2.cvtColor(shown[None].astype(np.float32), cv2.COLOR_RGB2LAB)[0]

    usual, rare = lab(np.linspace(0, 0.6, 13)), lab(np.linspace(0.95, 1, 6))
    assert np.linalg.norm(usual[:, None] - rare, axis=2).min() > 60  # 2.3 is just noticeable
    steps = lab(SCALE_AT)
    assert np.linalg.norm(np.diff(steps, axis=0), axis=1).min() > 15


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


def test_of_somebody_whose_joints_are_not_seen_only_the_corners_of_the_box_are_drawn():
    keypoints, _ = person(confidence=0.0)
    image = drawn([keypoints], [[30.0, 20, 70, 100]], [np.nan])
    assert touched(image[58:62]).sum() == 0
    assert touched(image[95:102]).sum() > 10


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


@pytest.mark.parametrize("anomaly", [0.1, 0.9, 1.0, np.nan])
def test_a_bone_has_the_colour_of_the_score_and_a_joint_is_white(anomaly):
    keypoints, box = person(x=200, y=40, height=400)
    image = drawn([keypoints], [box], [anomaly], size=(400, 480))
    hip, knee = (keypoints[COCO17.index[f"left_{joint}"], :2] for joint in ("hip", "knee"))
    x, y = (hip + knee).round().astype(int) // 2
    assert tuple(image[y, x].tolist()) == anomaly_colour(anomaly)
    assert tuple(image[round(knee[1]), round(knee[0])].tolist()) == (255, 255, 255)


@pytest.mark.parametrize("anomaly", [0.5, 0.9, 0.99, 1.0])
def test_the_bar_on_a_box_is_as_long_as_the_level_of_the_score(anomaly):
    keypoints, box = person(x=200, y=40, height=400)
    box = np.array([100, 50, 299, 450], np.float32)
    image = drawn([keypoints], [box], [anomaly], size=(400, 480))
    row = image[49, 100:300]
    filled = np.all(row == anomaly_colour(anomaly), axis=1)
    assert filled.sum() == round(float(level(anomaly)) * 200)
    assert filled[: filled.sum()].all()
    assert np.all(row[filled.sum() :] == (20, 20, 20))


def test_text_is_written_within_its_height_and_cut_at_the_border():
    image = np.zeros((60, 200, 3), np.uint8)
    write_text(image, "H8", (20, 40), 20, (10, 20, 30))
    rows, columns = np.nonzero(image.any(axis=2))
    assert (rows.min(), rows.max()) == pytest.approx((20, 39), abs=1)
    assert columns.min() >= 20
    assert columns.max() - 20 == pytest.approx(text_width("H8", 20), abs=2)
    assert image.max(axis=(0, 1)).tolist() == [10, 20, 30]
    for at in ((-10, 10), (190, 40), (20, 200), (20, -50)):
        write_text(image, "12", at, 20)


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


def timeline_of(tracks, percentile=0.5, alarm=(), row=0.2, threshold=None):
    """The same score throughout; shares of 0..1."""
    alarms, scores = np.zeros(tracks.frame_count, bool), np.full(tracks.frame_count, 100 * percentile)
    alarms[list(alarm)] = True
    line = None if threshold is None else 100 * threshold
    rows = np.full(len(tracks), 100 * row)
    return ScoredTimeline(tracks.time_s, scores, scores, alarms, 0.0, line, row_percentile=rows)


def overlay(source, path, tracks, percentile=0.5, alarm=(), row=0.2, threshold=None, **options):
    timeline = timeline_of(tracks, percentile, alarm, row, threshold)
    count = write_overlay(source, tracks, path, timeline, **options)
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


def test_a_bone_in_the_video_has_the_colour_of_its_persons_score(make_video, tmp_path):
    source = make_video("big.mp4", "-vf", "geq=lum=128:cb=128:cr=128", *X264, size=(320, 480), frames=5)
    keypoints, box = person(x=160, y=40, height=400)
    tracks = replace(
        tracks_of(5, size=(320, 480), people=((160, 0, 5),)),
        keypoints=np.repeat(keypoints[None], 5, axis=0),
        boxes=np.repeat(box[None], 5, axis=0),
    )
    hip, knee = (keypoints[COCO17.index[f"left_{joint}"], :2] for joint in ("hip", "knee"))
    x, y = (hip + knee).round().astype(int) // 2
    for score in (0.1, 1.0):
        _, images = overlay(source, tmp_path / "o.mp4", tracks, row=score)
        np.testing.assert_allclose(
            images[2][y, x], anomaly_colour(score), atol=40
        )  # colour is coded coarsely


def test_an_upright_picture_is_drawn_into_a_turned_video(make_video, tmp_path):
    flat = make_video("flat.mp4", "-vf", "geq=lum=128:cb=128:cr=128", *X264, size=(160, 120))
    turned = tmp_path / "turned.mp4"
    data = flat.read_bytes()
    one = (1 << 16).to_bytes(4, "big")
    none, minus = bytes(4), ((1 << 32) - (1 << 16)).to_bytes(4, "big")
    identity = one + none * 3 + one + none * 3 + (1 << 30).to_bytes(4, "big")
    # The track's display matrix, a quarter turn; the movie's own comes first and stays.
    quarter = none + one + none + minus + none + none + (120 << 16).to_bytes(4, "big") + none
    quarter += (1 << 30).to_bytes(4, "big")
    at = data.index(identity, data.index(b"tkhd"))
    turned.write_bytes(data[:at] + quarter + data[at + 36 :])
    assert VideoReader(turned).info.frame_size == (120, 160)
    tracks = tracks_of(25, size=(120, 160), people=((60, 0, 25),))
    _, images = overlay(turned, tmp_path / "out.mp4", tracks)
    assert images[0].shape[1] == 120
    drawn_at = np.argwhere((np.abs(images[3][:160].astype(int) - GREY) > 40).any(axis=2))
    assert drawn_at[:, 1].mean() == pytest.approx(60, abs=4)
    assert drawn_at[:, 0].min() < 20 < 85 < drawn_at[:, 0].max()


def test_frames_that_come_faster_for_a_while_are_all_shown(make_video, tmp_path):
    source = make_video("levels.mp4", *X264, frames=40, size=(160, 120))
    times = np.concatenate(
        (np.arange(10) * 1.0, 10 + np.arange(30) / 20)
    )  # 10 s at 1, then 20 frames a second
    copied = tmp_path / "vfr.mkv"
    stamps = "if(lt(N,10),N,10+(N-10)/20)/TB"
    [(option, value)] = passthrough(find_ffmpeg()).items()
    run_ffmpeg("-i", source, "-vf", f"settb=1/1000,setpts='{stamps}'", f"-{option}", value, *X264, copied)
    nobody = replace(tracks_of(40, fps=40 / 11.5, people=()), time_s=times)
    _, images = overlay(copied, tmp_path / "out.mp4", nobody)
    levels = [int(image[:100].mean().round()) for image in images]
    changes = 1 + sum(abs(b - a) > 4 for a, b in pairwise(levels))
    assert changes == 40
    assert len(images) / VideoReader(tmp_path / "out.mp4").info.fps == pytest.approx(11.5, abs=0.3)


# -- sound and time ----------------------------------------------------------------------------------------------------

FLASH_S = 2.0


@pytest.fixture(scope="module")
def flash_and_beep(tmp_path_factory):
    """Four seconds, black and silent but for a white flash and a tone at `FLASH_S`."""
    path = tmp_path_factory.mktemp("flash") / "whole.mkv"
    on = f"between(t,{FLASH_S},{FLASH_S + 0.5})"
    picture = f"color=black:s=160x120:r=25:d=4,drawbox=c=white:t=fill:enable='{on}'"
    sound = f"sine=1000:d=4,volume=enable='not({on})':volume=0"
    run_ffmpeg("-f", "lavfi", "-i", picture, "-f", "lavfi", "-i", sound, *KEYED, "-c:a", "aac", path)
    return path


def everyone_gone(source, path):
    """The overlay of a source in which nobody is."""
    with VideoReader(source) as reader:
        times = np.array([frame.time_s for frame in reader])
        nobody = tracks_of(len(times), fps=reader.info.fps, people=())
    overlay(source, path, replace(nobody, time_s=times))
    return path


def flash_s(path):
    with VideoReader(path) as reader:
        return next(frame.time_s for frame in reader if frame.image[:100].mean() > 200)


def sound_of(path):
    """Samples of the sound as a player has them, 8000 a second."""
    command = [find_ffmpeg(), "-v", "error", "-i", str(path), "-map", "0:a:0", "-ac", "1", "-ar", "8000"]
    raw = subprocess.run([*command, "-f", "s16le", "-"], check=True, capture_output=True).stdout
    return np.abs(np.frombuffer(raw, np.int16).astype(float))


def lengths(path):
    """Seconds of the pictures, of the sound, and of the whole file."""
    with VideoReader(path) as reader:
        pictures = sum(1 for _ in reader) / reader.info.fps
        return pictures, len(sound_of(path)) / 8000, reader.info.duration_s


def beep_s(path):
    sound = sound_of(path)
    return np.argmax(sound > sound.max() / 3) / 8000


CUTS = {
    "as it is": ("whole.mkv", (), 4.0),
    "trimmed": ("trimmed.mp4", ("-ss", "1.3", "-i", "{}", "-c", "copy"), 2.7),
    "trimmed mkv": ("trimmed.mkv", ("-ss", "1.3", "-i", "{}", "-c", "copy"), 3.0),
    "trimmed stream": ("trimmed.ts", ("-ss", "1.3", "-i", "{}", "-c", "copy"), 3.0),
    "pictures begin later": ("late.mkv", ("-i", "{}", "-vf", "trim=start=0.6", *KEYED, "-c:a", "copy"), 3.4),
    "sound begins later": ("quiet.mp4", ("-i", "{}", "-c:v", "copy", "-af", "atrim=start=0.7"), 4.0),
    "rate varies": (
        "vfr.mp4",
        (
            "-i",
            "{}",
            "-vf",
            "select=not(mod(n\\,4))+gt(n\\,45)",
            *(f"-{next(iter(passthrough(find_ffmpeg())))}", "vfr"),
            *KEYED,
            "-c:a",
            "copy",
        ),
        4.0,
    ),
    "sound goes on": ("on.mp4", ("-i", "{}", "-vf", "trim=end=3", *KEYED, "-c:a", "copy"), 4.0),
}


@pytest.mark.parametrize("cut", CUTS)
def test_sound_stays_with_the_pictures_and_both_last_as_long_as_the_source(cut, flash_and_beep, tmp_path):
    name, options, length = CUTS[cut]
    source = tmp_path / name if options else flash_and_beep
    if options:
        options = [str(flash_and_beep) if option == "{}" else option for option in options]
        run_ffmpeg(*options, source)
    result = everyone_gone(source, tmp_path / "overlay.mp4")
    assert flash_s(result) == pytest.approx(flash_s(source), abs=0.03)
    assert beep_s(result) == pytest.approx(flash_s(result), abs=0.06)
    assert lengths(result) == pytest.approx((length,) * 3, abs=0.1)


def test_damage_in_the_middle_keeps_sound_and_pictures_together(flash_and_beep, tmp_path):
    stream, broken = tmp_path / "whole.ts", tmp_path / "broken.ts"
    run_ffmpeg("-i", flash_and_beep, "-c", "copy", stream)
    data = bytearray(stream.read_bytes())
    first, last = len(data) // 4, len(data) // 3
    data[first:last] = bytes(last - first)
    broken.write_bytes(data)
    result = everyone_gone(broken, tmp_path / "overlay.mp4")
    assert flash_s(result) == pytest.approx(FLASH_S, abs=0.1)
    assert beep_s(result) == pytest.approx(FLASH_S, abs=0.1)
    assert lengths(result) == pytest.approx((4.0,) * 3, abs=0.1)


def test_a_recording_that_was_cut_off_ends_where_it_can_be_read_to(flash_and_beep, tmp_path):
    stream, cut = tmp_path / "whole.ts", tmp_path / "cut.ts"
    run_ffmpeg("-i", flash_and_beep, "-c", "copy", stream)
    cut.write_bytes(stream.read_bytes()[: stream.stat().st_size * 3 // 4])
    with VideoReader(cut) as reader:
        times = [frame.time_s for frame in reader]
    pictures, sound, whole = lengths(everyone_gone(cut, tmp_path / "overlay.mp4"))
    assert pictures == pytest.approx(times[-1] + 0.04, abs=0.05)
    assert sound <= whole == pytest.approx(pictures, abs=0.1)


def test_a_source_without_sound_gives_an_overlay_without(grey_video, tmp_path):
    overlay(grey_video, tmp_path / "a.mp4", tracks_of(25))
    info = VideoReader(tmp_path / "a.mp4").info
    assert not info.has_audio
    assert info.duration_s == pytest.approx(1.0, abs=0.05)


def test_the_sound_is_kept_unless_told_otherwise(make_video, tmp_path):
    source = make_video("sound.mp4", *X264, "-c:a", "aac", size=(160, 120), audio=True)
    overlay(source, tmp_path / "a.mp4", tracks_of(25))
    overlay(source, tmp_path / "b.mp4", tracks_of(25), settings=OverlaySettings(audio=False))
    assert VideoReader(tmp_path / "a.mp4").info.has_audio
    assert not VideoReader(tmp_path / "b.mp4").info.has_audio


def test_scores_of_another_length_are_refused(grey_video, tmp_path):
    tracks = tracks_of(25)
    good = timeline_of(tracks)
    for name in ("percentile", "alarm", "row_percentile"):
        with pytest.raises(ValueError, match=rf"expected {name} of shape \(25,\), got \(24,\)"):
            write_overlay(grey_video, tracks, tmp_path / "out.mp4", replace(good, **{name: np.zeros(24)}))
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


def test_an_error_on_the_way_leaves_neither_a_file_nor_a_process(grey_video, tmp_path):
    def stop(done):
        if done == 5:
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        overlay(grey_video, tmp_path / "out.mp4", tracks_of(25), progress=stop)
    assert list(tmp_path.iterdir()) == []
    assert own_children() == []
    assert not [thread for thread in threading.enumerate() if thread.name == "prefetch"]


def test_things_are_drawn_and_red_while_the_event_is_about_them():
    kinds = things(2, 0, boxes=np.array([[10, 40, 60, 90], [100, 40, 130, 110]]), still_s=np.array([0, 42]))
    none = np.zeros(0, np.int32)
    tracks = ClipTracks(
        "clip", "coco17", 10.0, (160, 120), np.arange(4) / 10, none, none, np.zeros((0, 17, 3), np.float32),
        np.zeros((0, 4), np.float32), things=clip_things(4, 1, f0=kinds, f1=kinds, f2=kinds),
    )  # fmt: skip

    def event(frame, cause, **values):
        return Event(
            frame, frame + 1, frame / 10, frame / 10 + 0.1, frame, frame / 10, 1.0, 99.9, (2,),
            np.array([10.0]), np.full((1, 4), np.nan), cause=cause, **values,
        )  # fmt: skip

    car = {"things": (1,), "thing_kinds": (2,), "thing_boxes": np.zeros((1, 4))}
    events = (event(1, "things", **car), event(2, "stays", culprits=(2,)))
    zeros = np.zeros(4)
    timeline = ScoredTimeline(
        tracks.time_s, zeros, zeros, zeros > 0, 1.0, row_percentile=zeros[:0], events=events
    )
    artist = OverlayArtist(tracks, (320, 240), timeline, OverlaySettings(panel=0))
    red, drawn = [], []
    for index in range(4):
        frame = Frame(index, index / 10, np.full((240, 320, 3), GREY, np.uint8))
        picture = artist.draw(frame)[1][70:]  # below what is written
        red.append((amount(picture[:, :160], ALARM) > 100, amount(picture[:, 160:], ALARM) > 100))
        drawn.append(bool(touched(picture).any()))
    assert red == [(False, False), (True, False), (False, True), (False, False)]
    assert drawn == [True, True, True, False]  # nothing is there at the last look
