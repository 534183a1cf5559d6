"""What a video says of its own time, and what is made of it when that is odd or missing."""

import logging

import numpy as np
import pytest

from pose_extract.tracks.clip_time import holes
from pose_extract.video import VideoReader, VideoSettings
from pose_extract.video.stills import read_still
from tests.helpers.videos import KEYED, passthrough_option, read, rotated, run_ffmpeg

RAW = [("a.264", ("-c:v", "libx264")), ("a.265", ("-c:v", "libx265"))]


@pytest.mark.usefixtures("each_ffmpeg")
@pytest.mark.parametrize(("suffix", "hole_s"), [("mp4", 600), ("mkv", 600), ("mkv", 93600), ("avi.mkv", 30)])
def test_a_recording_with_a_hole_has_the_rate_of_its_stretches(tmp_path, suffix, hole_s):
    path = tmp_path / f"a.{suffix}"
    run_ffmpeg(
        *("-f", "lavfi", "-i", "testsrc=s=64x48:r=25:d=8"),
        *("-vf", f"setpts='PTS+if(gte(N,100),{hole_s}/TB,0)'", *KEYED, *passthrough_option(), path),
    )
    with VideoReader(path) as reader:
        assert reader.info.fps == pytest.approx(25, rel=0.01)
        times = np.array([frame.time_s for frame in reader])
        assert len(times) == 200
        assert reader.info.frame_count is None or reader.info.frame_count < 1000
        damage = reader.damage
    [(before, after)] = holes(times, 25.0)
    assert (before, after) == pytest.approx((99 / 25, 100 / 25 + hole_s), abs=0.01)
    assert any("frames are missing between" in entry.message for entry in damage)


@pytest.mark.usefixtures("each_ffmpeg")
@pytest.mark.parametrize(("name", "encoder"), RAW)
def test_a_raw_stream_that_states_its_rate_has_it_everywhere(tmp_path, name, encoder, caplog):
    path = tmp_path / name
    run_ffmpeg("-f", "lavfi", "-i", "testsrc=s=64x48:r=10:d=3", "-pix_fmt", "yuv420p", *encoder, path)
    with VideoReader(path) as reader:
        assert reader.info.fps == pytest.approx(10)
    assert "states no frame rate" not in caplog.text


@pytest.mark.usefixtures("each_ffmpeg")
def test_a_raw_stream_without_a_rate_warns_and_takes_the_one_that_is_said(tmp_path, caplog):
    path = tmp_path / "a.mjpeg"
    run_ffmpeg("-f", "lavfi", "-i", "testsrc=s=64x48:r=10:d=3", "-c:v", "mjpeg", path)
    with caplog.at_level(logging.WARNING), VideoReader(path) as reader:
        assert reader.info.fps == 25
    assert "states no frame rate" in caplog.text
    assert "--fps" in caplog.text
    caplog.clear()
    with VideoReader(path, VideoSettings(fps=10)) as reader:
        times = [frame.time_s for frame in reader]
    assert times == pytest.approx(np.arange(30) / 10, abs=1e-4)  # no frame repeated or left out
    assert "states no frame rate" not in caplog.text


@pytest.mark.usefixtures("each_ffmpeg")
@pytest.mark.parametrize(
    ("name", "settings", "options"),
    [
        ("a.mjpeg", {"fps": 10}, ("-c:v", "mjpeg")),  # states no rate
        ("a.m2v", {}, ("-c:v", "mpeg2video", "-g", "12")),
        ("a.264", {}, KEYED),
    ],
)
def test_no_time_is_looked_up_in_a_raw_stream(tmp_path, name, settings, options):
    path = tmp_path / name
    run_ffmpeg("-f", "lavfi", "-i", "testsrc2=s=64x48:r=25:d=20", *options, path)
    with VideoReader(path, VideoSettings(**settings)) as reader:
        assert reader.frame_times() is None
        whole = [(frame.time_s, frame.image.tobytes()) for frame in reader]
        span = [(frame.time_s, frame.image.tobytes()) for frame in reader.frames(16.5, 18.0)]
        assert span == [frame for frame in whole if 16.5 <= frame[0] < 18.0]
        for time_s, pixels in (whole[20], whole[-3]):
            still = read_still(reader.source, reader.info, time_s)
            assert still is not None
            assert still.tobytes() == pixels


@pytest.mark.usefixtures("each_ffmpeg")
def test_a_rotation_that_is_no_right_angle_costs_no_time(make_video, tmp_path):
    source = make_video("a.mp4", *KEYED)
    turned = rotated(source, tmp_path / "turned.mp4", 1)
    data = bytearray(turned.read_bytes())
    start = data.index(b"tkhd") + 44
    half = int(0.70710678 * 65536)
    matrix = np.array([half, half, 0, -half, half, 0, 0, 0, 1 << 30], ">i4").tobytes()
    data[start : start + 36] = matrix
    turned.write_bytes(data)
    times, _, _ = read(turned)
    assert times == pytest.approx(np.arange(25) / 25, abs=1e-3)


@pytest.mark.usefixtures("each_ffmpeg")
def test_a_varying_rate_is_no_damage(tmp_path):
    path = tmp_path / "phone.mp4"
    run_ffmpeg(
        *("-f", "lavfi", "-i", "testsrc=s=64x48:r=30:d=6"),
        *("-vf", "setpts='PTS+mod(N*7,5)*0.004/TB'", *KEYED, *passthrough_option(), path),
    )
    _, _, damage = read(path)
    assert damage == []


def recorded(path, shown):
    """Eight seconds of 25 frames a second, shown at other times."""
    run_ffmpeg(
        *("-f", "lavfi", "-i", "testsrc=s=64x48:r=25:d=8"),
        *("-vf", f"setpts='{shown}'", *KEYED, *passthrough_option(), path),
    )
    return path


@pytest.mark.usefixtures("each_ffmpeg")
def test_another_rate_fills_no_hole(tmp_path):
    path = recorded(tmp_path / "a.mkv", "PTS+if(gte(N,100),93600/TB,0)")
    with VideoReader(path, VideoSettings(fps=10)) as reader:
        times = np.array([frame.time_s for frame in reader])
        assert [entry.message for entry in reader.damage] == [
            "frames are missing between 3.96 s and 93604.00 s"
        ]
        np.testing.assert_allclose(reader.frame_times(), times, atol=1e-9)
        span = [frame.time_s for frame in reader.frames(93605.0, 93606.0)]
    np.testing.assert_allclose(times, np.append(np.arange(40), 936040 + np.arange(40)) / 10, atol=1e-6)
    np.testing.assert_allclose(span, 93605 + np.arange(10) / 10, atol=1e-6)


@pytest.mark.usefixtures("each_ffmpeg")
@pytest.mark.parametrize("suffix", ["mkv", "webm", "ts"])
def test_at_another_rate_all_of_what_was_joined_is_read(suffix, make_video, tmp_path):
    codec = ("-c:v", "libvpx") if suffix == "webm" else KEYED
    part = make_video(f"part.{suffix}", *codec, frames=50)
    path = tmp_path / f"joined.{suffix}"
    path.write_bytes(part.read_bytes() * 2)
    times, _, _ = read(path, fps=12.5)
    np.testing.assert_allclose(times, np.arange(50) / 12.5, atol=1e-6)


@pytest.mark.usefixtures("each_ffmpeg")
@pytest.mark.parametrize("frames", [1, 2])
def test_at_a_low_rate_a_short_video_is_one_frame(frames, make_video):
    times, _, damage = read(make_video("short.mp4", *KEYED, frames=frames), fps=2)
    assert (times, damage) == ([0.0], [])


@pytest.mark.usefixtures("each_ffmpeg")
def test_a_span_at_another_rate_has_the_pictures_of_the_whole(make_video):
    path = make_video("late.ts", *KEYED, "-output_ts_offset", "3.37", frames=100, audio=True)
    with VideoReader(path, VideoSettings(fps=12.5)) as reader:
        whole = [(frame.time_s, frame.image.tobytes()) for frame in reader]
        span = [(frame.time_s, frame.image.tobytes()) for frame in reader.frames(1.0, 2.0)]
    assert span == [frame for frame in whole if 1.0 <= frame[0] < 2.0]


@pytest.mark.usefixtures("each_ffmpeg")
def test_a_rate_that_the_first_frames_do_not_have_is_not_believed(make_video, tmp_path):
    path = recorded(tmp_path / "night.mkv", "PTS*5")  # announced as 25 a second, and 5 come
    with VideoReader(path) as reader:
        assert reader.info.fps == pytest.approx(5)
        assert reader.info.frame_count == pytest.approx(200, abs=2)
    with VideoReader(make_video("day.mkv", *KEYED)) as reader:
        assert reader.info.fps == 25


@pytest.mark.usefixtures("each_ffmpeg")
def test_words_in_a_title_are_no_facts(make_video, tmp_path):
    title = "title=Duration: 09:00:00.00, start: 5.0 Stream #0:1: Audio: aac"
    path = tmp_path / "talk.mp4"
    run_ffmpeg("-i", make_video("plain.mp4", *KEYED), "-c", "copy", "-metadata", title, path)
    info = VideoReader(path).info
    assert (info.duration_s, info.end_s, info.has_audio) == (pytest.approx(1.0), pytest.approx(1.0), False)
