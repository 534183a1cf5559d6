"""What a video says of its own time, and what is made of it when that is odd or missing."""

import logging

import numpy as np
import pytest

from pose_extract.tracks.clip_time import holes
from pose_extract.video import VideoReader, VideoSettings
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
