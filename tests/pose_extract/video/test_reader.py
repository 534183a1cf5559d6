from __future__ import annotations

import gc
import subprocess
import time
from pathlib import Path

import cv2
import numpy as np
import psutil
import pytest

from pose_extract.errors import VideoError
from pose_extract.tracks.clip_time import holes
from pose_extract.video import VideoReader, VideoSettings
from pose_extract.video.ffmpeg import find_ffmpeg, passthrough, sound_start
from pose_extract.video.sources import image_places
from tests.helpers.processes import decoder, own_children
from tests.helpers.videos import (
    KEYED,
    X264,
    grey,
    numbered_images,
    passthrough_option,
    read,
    rotated,
    run_ffmpeg,
)

pytestmark = pytest.mark.usefixtures("each_ffmpeg")


def shown(levels):
    """Which frame of `make_video` each grey level is, modulo its period."""
    known = np.array([grey(n) for n in range(36)])
    nearest = [int(np.abs(known - level).argmin()) for level in levels]
    assert all(abs(known[n] - level) <= 2.9 for n, level in zip(nearest, levels, strict=True)), levels
    return nearest


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("h264.mp4", X264),
        ("b_frames.mp4", (*X264, "-bf", "3")),
        ("h264.mkv", X264),
        ("h264.ts", X264),
        ("mpeg4.avi", ("-c:v", "mpeg4", "-q:v", "2")),
        ("mpeg2.mpg", ("-c:v", "mpeg2video", "-q:v", "2")),
        ("lossless.avi", ("-c:v", "ffv1")),
        ("raw_stream.h264", X264),
        ("raw_stream.mjpeg", ("-c:v", "mjpeg", "-q:v", "2")),
        ("video.dv", ("-c:v", "dvvideo", "-s", "720x576", "-pix_fmt", "yuv420p")),
        ("motion_jpeg.mov", ("-c:v", "mjpeg", "-q:v", "2")),
    ],
)
def test_every_frame_comes_once_and_in_order(make_video, name, options):
    times, levels, damage = read(make_video(name, *options))
    assert shown(levels) == list(range(25))
    np.testing.assert_allclose(times, np.arange(25) / 25, atol=1e-3)
    assert damage == []
    assert VideoReader(make_video(name, *options)).info.fps == 25


@pytest.mark.parametrize("name", ["variable.mp4", "variable.mkv"])
def test_times_of_a_variable_frame_rate_are_the_containers(make_video, name):
    stamps = "settb=1/1000,setpts='N*40+floor(N/5)*130'"
    path = make_video(name, "-vf", stamps, *passthrough_option(), "-enc_time_base", "1:1000", *X264)
    times, levels, damage = read(path)
    np.testing.assert_allclose(times, [n * 0.040 + n // 5 * 0.130 for n in range(25)], atol=1e-6)
    assert shown(levels) == list(range(25))
    assert damage == []


def test_times_stay_exact_late_in_a_long_recording(make_video):
    # ffmpeg prints pts_time with six digits only: 20000.04 s would become 20000 s.
    path = make_video(
        "late.mkv", "-vf", "settb=1/1000,setpts='N*40+gt(N,0)*20000000'", *passthrough_option(), *X264
    )
    times, _, _ = read(path)
    np.testing.assert_allclose(times[1:], 20000 + np.arange(1, 25) * 0.04, atol=1e-6)


def test_the_first_frame_is_at_zero_wherever_the_containers_clock_starts(make_video):
    path = make_video("offset.ts", *X264, "-output_ts_offset", "1000", audio=True)
    times, _, _ = read(path)
    assert times[0] == 0.0
    assert times[-1] == pytest.approx(24 / 25, abs=1e-3)


def test_a_set_frame_rate_repeats_and_leaves_out_frames(make_video):
    path = make_video("h264.mp4", *X264)
    times, levels, _ = read(path, fps=12.5)
    np.testing.assert_allclose(times, np.arange(len(times)) / 12.5, atol=1e-6)
    assert len(times) in (12, 13)
    assert np.all(np.diff(shown(levels)) == 2)
    times, levels, _ = read(path, fps=50)
    assert len(times) == 50
    assert shown(levels) == [n // 2 for n in range(50)]
    with VideoReader(path, VideoSettings(fps=50)) as reader:
        assert (reader.info.fps, reader.info.frame_count) == (50, 50)


@pytest.mark.parametrize(
    ("tag", "created"),
    [
        ("creation_time=2024-05-12T06:15:00.250Z", "2024-05-12T06:15:00+00:00"),
        ("creation_time=1970-01-01T00:00:00Z", None),  # a clock that was never set
        ("title=2024-05-12T06:15:00Z", None),
    ],
)
def test_info_tells_when_the_file_says_that_it_was_recorded(make_video, tag, created):
    told = VideoReader(make_video("told.mp4", *X264, "-metadata", tag)).info.metadata
    assert (told.created, told.device) == (created, "")


def test_info_tells_rate_size_length_and_sound(make_video):
    info = VideoReader(make_video("sound.mp4", *X264, "-c:a", "aac", fps=30000 / 1001, audio=True)).info
    assert info.fps == pytest.approx(30000 / 1001, abs=1e-4)
    assert info.frame_size == (64, 48)
    assert info.frame_count == 25
    assert info.duration_s == pytest.approx(25 * 1001 / 30000, abs=0.06)
    assert info.has_audio
    assert not VideoReader(make_video("h264.mp4", *X264)).info.has_audio


def test_the_length_is_unknown_where_the_container_does_not_state_it(make_video):
    info = VideoReader(make_video("raw_stream.h264", *X264)).info
    assert info.frame_count is None
    assert info.duration_s is None


@pytest.mark.parametrize("ending", ["mkv", "mp4", "ts"])
def test_where_sound_begins_before_the_pictures_the_end_still_counts_from_the_first_frame(
    ending, make_video, tmp_path
):
    whole = make_video("sound.mkv", *KEYED, "-c:a", "aac", frames=75, audio=True)
    late = tmp_path / f"late.{ending}"
    [(option, value)] = passthrough(find_ffmpeg()).items()
    run_ffmpeg("-i", whole, "-vf", "trim=start=1", f"-{option}", value, *KEYED, "-c:a", "copy", late)
    with VideoReader(late) as reader:
        times = [frame.time_s for frame in reader]
        info = reader.info
    assert times[0] == 0.0
    assert info.end_s == pytest.approx(times[-1] + 0.04, abs=0.08)
    assert info.end_s == pytest.approx(info.duration_s - 1, abs=0.08)
    first_sound = sound_start(late)
    assert info.start_s - first_sound == pytest.approx(1.0, abs=0.05)
    assert sound_start(make_video("grey.mp4", *X264)) is None


# -- pictures ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("ten_bit.mkv", ("-c:v", "ffv1", "-pix_fmt", "yuv420p10le")),
        ("sixteen_bit_grey.mkv", ("-c:v", "ffv1", "-pix_fmt", "gray16le")),
        ("grey.mkv", ("-c:v", "ffv1", "-pix_fmt", "gray")),
        ("alpha.mkv", ("-c:v", "ffv1", "-pix_fmt", "yuva420p")),
        ("full_chroma.mkv", ("-c:v", "ffv1", "-pix_fmt", "yuv444p")),
        ("rgb.mkv", ("-c:v", "ffv1", "-pix_fmt", "bgr0")),
        ("full_range.avi", ("-c:v", "mjpeg", "-pix_fmt", "yuvj422p", "-q:v", "2")),
        ("palette.gif", ()),
    ],
)
def test_any_pixel_format_becomes_8_bit_bgr(make_video, name, options):
    with VideoReader(make_video(name, *options)) as reader:
        frames = list(reader)
    assert all(frame.image.shape == (48, 64, 3) and frame.image.dtype == np.uint8 for frame in frames)
    assert shown([float(frame.image.mean()) for frame in frames]) == list(range(25))


@pytest.mark.parametrize("size", [(161, 121), (33, 17), (1, 1), (62, 95)])
def test_odd_sizes_are_read_as_they_are(make_video, size):
    path = make_video("odd.mkv", "-c:v", "ffv1", "-pix_fmt", "bgr0", size=size)
    with VideoReader(path) as reader:
        assert reader.info.frame_size == size
        frames = list(reader)
    assert len(frames) == 25
    assert all(frame.image.shape == (size[1], size[0], 3) for frame in frames)
    assert shown([float(frame.image.mean()) for frame in frames]) == list(range(25))


def test_channels_are_blue_green_red(tmp_path):
    path = tmp_path / "red.mkv"
    run_ffmpeg("-f", "lavfi", "-i", "color=red:s=32x32:d=0.2,format=bgr0", "-c:v", "ffv1", path)
    for frame in VideoReader(path):
        np.testing.assert_allclose(frame.image.mean(axis=(0, 1)), (0, 0, 254), atol=2)


@pytest.mark.parametrize("turns", [0, 1, 2, 3])
def test_display_rotation_is_applied_to_pictures_and_size(tmp_path, turns):
    flat = tmp_path / "flat.mp4"
    # White in the top left corner, black elsewhere.
    run_ffmpeg(
        "-f", "lavfi", "-i", "color=black:s=96x48:d=0.2,drawbox=0:0:24:24:white:fill", *X264, flat
    )  # fmt: skip
    with VideoReader(rotated(flat, tmp_path / "turned.mp4", turns), VideoSettings(max_side=48)) as reader:
        image = next(iter(reader)).image
        assert reader.info.frame_size == ((24, 48) if turns % 2 else (48, 24))
    assert image.shape[:2] == reader.info.frame_size[::-1]
    white = np.argwhere(image.mean(axis=2) > 128).mean(axis=0) / image.shape[:2]
    corner = [(0, 0), (0, 1), (1, 1), (1, 0)][turns]  # (bottom?, right?)
    assert tuple(int(share > 0.5) for share in white) == corner


def test_max_side_scales_down_and_never_up(make_video):
    path = make_video("large.mkv", "-c:v", "ffv1", size=(322, 182), frames=2)
    for limit, size in ((161, (161, 91)), (400, (322, 182)), (100, (100, 57))):
        with VideoReader(path, VideoSettings(max_side=limit)) as reader:
            assert reader.info.frame_size == size
            assert [frame.image.shape[:2] for frame in reader] == [size[::-1]] * 2


def test_a_size_that_changes_half_way_does_not_shift_the_pictures(make_video, tmp_path):
    parts = [make_video(f"{w}.ts", *X264, size=(w, h), frames=12) for w, h in ((64, 48), (128, 64), (32, 32))]
    joined = tmp_path / "joined.ts"
    joined.write_bytes(b"".join(part.read_bytes() for part in parts))
    with VideoReader(joined) as reader:
        frames = list(reader)
    assert {frame.image.shape for frame in frames} == {(48, 64, 3)}
    assert shown([float(frame.image.mean()) for frame in frames]) == list(range(12)) * 3
    # Each picture is of one grey level; pictures out of step would hold parts of two.
    assert max(float(np.ptp(frame.image)) for frame in frames) < 12
    assert np.all(np.diff([frame.time_s for frame in frames]) > 0)


# -- the child process -------------------------------------------------------------------------------------------------


def test_reading_to_the_end_leaves_no_process(make_video):
    read(make_video("h264.mp4", *X264))
    assert own_children() == []


@pytest.mark.parametrize("name", ["a.mp4", "a.ts", "a.avi"])
def test_a_span_has_the_pictures_and_times_of_the_whole_video(ten_seconds, name):
    with VideoReader(ten_seconds / name) as reader:
        whole = [(frame.time_s, frame.image.tobytes()) for frame in reader]
        np.testing.assert_allclose(reader.frame_times(), [time_s for time_s, _ in whole], atol=1e-9)
        for start_s, stop_s in ((0.0, 0.5), (5.51, 6.0), (9.5, np.inf)):
            found = list(reader.frames(start_s, stop_s))
            assert [frame.index for frame in found] == list(range(len(found)))
            wanted = [frame for frame in whole if start_s <= frame[0] < stop_s]
            assert [(frame.time_s, frame.image.tobytes()) for frame in found] == wanted
        assert not reader.damage


def test_a_span_is_read_where_the_container_leads_behind_its_beginning(tmp_path):
    path = tmp_path / "one_key.mp4"  # a single key frame: all has to be decoded
    run_ffmpeg("-f", "lavfi", "-i", "testsrc2=s=64x48:r=25:d=9", *X264, "-g", "1000", path)
    with VideoReader(path, VideoSettings(fps=10)) as reader:
        whole = [(frame.time_s, frame.image.tobytes()) for frame in reader]
        found = [(frame.time_s, frame.image.tobytes()) for frame in reader.frames(8.0)]
        assert found == [frame for frame in whole if frame[0] >= 8.0]
        np.testing.assert_allclose(reader.frame_times(), [time_s for time_s, _ in whole], atol=1e-9)


def test_times_are_not_told_of_recordings_joined_end_to_end(ten_seconds, tmp_path):
    joined = tmp_path / "joined.ts"
    joined.write_bytes((ten_seconds / "a.ts").read_bytes() * 2)
    with VideoReader(joined) as reader:
        assert reader.frame_times() is None


def test_leaving_early_ends_the_decoder_at_once(ten_seconds):
    with VideoReader(ten_seconds / "a.mp4") as reader:
        for frame in reader:
            if frame.index == 3:
                assert len(own_children()) == 1
                break
    assert own_children() == []


def test_an_error_while_reading_ends_the_decoder(ten_seconds):
    with pytest.raises(ZeroDivisionError), VideoReader(ten_seconds / "a.mp4") as reader:
        for _ in reader:
            raise ZeroDivisionError
    assert own_children() == []


def test_a_forgotten_reader_ends_its_decoder(ten_seconds):
    frames = iter(VideoReader(ten_seconds / "a.mp4"))
    next(frames)
    del frames
    gc.collect()
    assert own_children() == []


def test_each_iteration_starts_again(make_video):
    with VideoReader(make_video("h264.mp4", *X264)) as reader:
        iterator = iter(reader)
        next(iterator)
        next(iterator)
        assert [frame.index for frame in reader] == list(range(25))
        assert [frame.index for frame in reader] == list(range(25))
    assert own_children() == []


def test_a_killed_decoder_is_an_error_and_not_the_end_of_the_video(tmp_path):
    path = tmp_path / "long.mp4"
    run_ffmpeg("-f", "lavfi", "-i", "testsrc2=s=640x480:r=25:d=20", *KEYED, path)
    with VideoReader(path) as reader, pytest.raises(VideoError, match="was killed"):
        for frame in reader:
            if frame.index == 2:
                decoder().kill()
    assert own_children() == []


def test_frames_are_not_shared(make_video):
    first, second = list(VideoReader(make_video("h264.mp4", *X264)))[:2]
    second.image[:] = 0
    assert float(first.image.mean()) == pytest.approx(grey(0), abs=3)
    assert first.image.flags.writeable


def test_memory_does_not_grow_with_length(tmp_path):
    path = tmp_path / "long.mp4"
    run_ffmpeg("-f", "lavfi", "-i", "color=gray:s=320x240:r=50:d=60", *KEYED, path)
    process = psutil.Process()
    early, peak, child_peak = 0, 0, 0
    with VideoReader(path) as reader:
        for frame in reader:
            if frame.index == 200:
                early = process.memory_info().rss
            if frame.index % 100 == 0:
                peak = max(peak, process.memory_info().rss)
                child_peak = max(child_peak, *(child.memory_info().rss for child in own_children()))
    assert frame.index == 2999  # 660 MiB of pictures
    assert peak - early < 20 * 2**20
    assert child_peak < 300 * 2**20


def test_the_decoder_waits_for_a_slow_reader(tmp_path):
    path = tmp_path / "long.mp4"
    run_ffmpeg("-f", "lavfi", "-i", "testsrc2=s=320x240:r=50:d=20", *KEYED, path)
    with VideoReader(path) as reader:
        iterator = iter(reader)
        next(iterator)
        (child,) = own_children()
        before, deadline = -1.0, time.monotonic() + 60
        while child.cpu_times().user > before and time.monotonic() < deadline:
            before = child.cpu_times().user
            time.sleep(0.5)
        assert child.cpu_times().user == before  # it has stopped, and not because it is done
        assert child.status() != psutil.STATUS_ZOMBIE
        assert child.memory_info().rss < 300 * 2**20


# -- numbered images ---------------------------------------------------------------------------------------------------


def test_images_come_in_the_order_of_their_numbers(tmp_path):
    folder = numbered_images(tmp_path / "shot", ["f_1.png", "f_2.png", "f_10.png", "f_11.png"])
    (folder / "readme.txt").write_text("x")
    numbered_images(folder, [".f_0.png"])
    with VideoReader(folder) as reader:
        assert reader.info.frame_count == 4
        assert reader.info.fps == 24
        assert reader.info.frame_size == (32, 24)
        assert not reader.info.has_audio
        frames = list(reader)
    assert [float(frame.image.mean()) for frame in frames] == [grey(n) for n in range(4)]
    np.testing.assert_allclose([frame.time_s for frame in frames], np.arange(4) / 24)


def test_numbers_that_are_missing_among_images_are_time_that_is_said(tmp_path):
    numbers = [*range(100, 130), *range(190, 220)]
    folder = numbered_images(tmp_path / "shot", [f"{n}.png" for n in numbers])
    times, _, damages = read(folder, fps=10)
    np.testing.assert_allclose(times, (np.array(numbers) - 100) / 10)
    assert holes(np.array(times), 10.0) == [(2.9, 9.0)]
    info = VideoReader(folder, VideoSettings(fps=10)).info
    assert (info.frame_count, info.duration_s) == (60, 12.0)
    (damage,) = damages
    assert (damage.time_s, damage.message) == (
        9.0,
        "60 numbers are missing before 190.png; that time has no images",
    )


@pytest.mark.parametrize(
    "names",
    [
        [f"{n}" for n in (1, 2, 10, 11)],
        [f"12{m:02}{s:02}" for m in range(3) for s in range(60)],
        [f"{n}_{n % 7}x{n % 3}" for n in range(60)],
    ],
)
def test_names_that_do_not_count_evenly_tell_no_time(names):
    assert image_places([Path(f"{name}.png") for name in names]) == list(range(len(names)))


def test_images_of_every_fifth_frame_follow_one_another():
    images = [Path(f"clip7_{n:05}.jpg") for n in range(0, 500, 5)]
    assert image_places(images) == list(range(100))
    assert image_places([*images[:50], *images[60:]]) == [*range(50), *range(60, 100)]


def test_images_take_their_rate_from_the_settings_and_are_scaled(tmp_path):
    folder = numbered_images(tmp_path / "shot", [f"{n:03}.png" for n in range(5)], size=(64, 32))
    times, levels, _ = read(folder, fps=10, max_side=32)
    np.testing.assert_allclose(times, np.arange(5) / 10)
    assert levels == [grey(n) for n in range(5)]
    assert VideoReader(folder, VideoSettings(max_side=32)).info.frame_size == (32, 16)


def test_grey_deep_and_transparent_images_become_8_bit_bgr(tmp_path):
    folder = tmp_path / "shot"
    folder.mkdir()
    cv2.imwrite(str(folder / "1.png"), np.full((24, 32), 100, np.uint8))
    cv2.imwrite(str(folder / "2.png"), np.full((24, 32, 3), 100 * 257, np.uint16))
    cv2.imwrite(str(folder / "3.png"), np.full((24, 32, 4), 100, np.uint8))
    for frame in VideoReader(folder):
        assert frame.image.shape == (24, 32, 3)
        assert np.all(frame.image == 100)


def test_a_broken_image_is_damage_and_the_others_go_on(tmp_path):
    folder = numbered_images(tmp_path / "shot", [f"{n}.png" for n in range(4)])
    (folder / "2.png").write_bytes(b"no image")
    times, levels, damage = read(folder)
    assert levels == [grey(0), grey(1), 0, grey(3)]  # black: its row stays, with nobody in it
    np.testing.assert_allclose(times, np.arange(4) / 24)
    assert [(entry.time_s, "2.png" in entry.message) for entry in damage] == [(2 / 24, True)]


def test_images_of_another_size_are_scaled_to_the_first_and_reported(tmp_path):
    folder = numbered_images(tmp_path / "shot", ["1.png", "2.png"])
    numbered_images(folder, ["3.png"], size=(64, 20))
    with VideoReader(folder) as reader:
        assert {frame.image.shape for frame in reader} == {(24, 32, 3)}
    (entry,) = reader.damage
    assert "3.png" in entry.message
    assert "64x20" in entry.message


def test_an_image_that_is_a_link_to_itself_costs_no_other(tmp_path):
    folder = numbered_images(tmp_path / "cam", [f"{n:03}.png" for n in range(40)])
    (folder / "007.png").unlink()
    (folder / "007.png").symlink_to("007.png")
    times, _, damage = read(folder)
    assert len(times) == 39
    assert [entry.message for entry in damage] == [
        "1 numbers are missing before 008.png; that time has no images"
    ]


def test_a_folder_of_nothing_but_broken_images_is_an_error(tmp_path):
    (tmp_path / "1.png").write_bytes(b"no image")
    with pytest.raises(VideoError, match="none of the 1 images"):
        VideoReader(tmp_path)


# -- settings and the binary -------------------------------------------------------------------------------------------


def test_the_named_ffmpeg_must_run(monkeypatch, tmp_path):
    monkeypatch.setenv("GEPC_FFMPEG", str(tmp_path / "ffmpeg"))
    with pytest.raises(VideoError, match="GEPC_FFMPEG"):
        find_ffmpeg()


def test_without_ffmpeg_in_the_path_the_wheels_is_used(monkeypatch):
    imageio_ffmpeg = pytest.importorskip("imageio_ffmpeg")
    monkeypatch.delenv("GEPC_FFMPEG")
    monkeypatch.setenv("PATH", "")
    assert find_ffmpeg() == imageio_ffmpeg.get_ffmpeg_exe()


def test_an_ffmpeg_in_the_path_that_does_not_run_is_passed_over(monkeypatch, tmp_path):
    imageio_ffmpeg = pytest.importorskip("imageio_ffmpeg")
    broken = tmp_path / "ffmpeg"
    broken.write_text("#!/bin/sh\nexit 1\n")
    broken.chmod(0o755)
    assert subprocess.run([broken]).returncode == 1
    monkeypatch.delenv("GEPC_FFMPEG")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert find_ffmpeg() == imageio_ffmpeg.get_ffmpeg_exe()
