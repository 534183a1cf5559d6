from __future__ import annotations

import os
import resource
import subprocess

import numpy as np
import pytest

from pose_extract.errors import OutputError
from pose_extract.video import VideoReader, VideoWriter
from pose_extract.video import writer as video_writer
from pose_extract.video.ffmpeg import encoders, find_ffmpeg
from tests.helpers.processes import own_children
from tests.helpers.videos import X264, grey, run_ffmpeg

pytestmark = pytest.mark.usefixtures("each_ffmpeg")


def frames(count=10, size=(64, 48)):
    return [np.full((size[1], size[0], 3), grey(n), np.uint8) for n in range(count)]


def write(path, images, fps=25.0, **options):
    height, width = images[0].shape[:2]
    with VideoWriter(path, fps, (width, height), **options) as writer:
        for image in images:
            writer.write(image)
    return path


def described(path):
    """What ffmpeg says about the file."""
    return subprocess.run(
        [find_ffmpeg(), "-hide_banner", "-i", str(path)], capture_output=True, text=True
    ).stderr


def nothing_left(folder):
    return [path.name for path in folder.iterdir()] == [] and own_children() == []


def test_what_is_written_is_read_again(tmp_path):
    with VideoReader(write(tmp_path / "out.mp4", frames(), fps=30000 / 1001)) as reader:
        assert reader.info.fps == pytest.approx(30000 / 1001)
        assert reader.info.frame_size == (64, 48)
        levels = [float(frame.image.mean()) for frame in reader]
    np.testing.assert_allclose(levels, [grey(n) for n in range(10)], atol=1.5)


def test_colours_survive(tmp_path):
    colours = [(200, 40, 40), (40, 200, 40), (40, 40, 200), (30, 220, 220), (128, 128, 128)]
    path = write(tmp_path / "out.mp4", [np.full((48, 64, 3), colour, np.uint8) for colour in colours])
    for frame, colour in zip(VideoReader(path), colours, strict=True):
        np.testing.assert_allclose(frame.image.mean(axis=(0, 1)), colour, atol=4)


def test_browsers_can_play_it(tmp_path):
    path = write(tmp_path / "out.mp4", frames())
    text = described(path)
    assert "h264" in text
    assert "yuv420p" in text
    data = path.read_bytes()
    assert data.index(b"moov") < data.index(b"mdat")  # the index comes first: playing starts while it loads


def test_the_same_frames_give_the_same_bytes(tmp_path):
    rng = np.random.default_rng(0)
    images = [rng.integers(0, 256, (48, 64, 3), dtype=np.uint8) for _ in range(30)]
    assert write(tmp_path / "a.mp4", images).read_bytes() == write(tmp_path / "b.mp4", images).read_bytes()


def test_odd_sizes_are_padded_by_one(tmp_path):
    with VideoReader(write(tmp_path / "out.mp4", frames(size=(33, 21)))) as reader:
        assert reader.info.frame_size == (34, 22)
        np.testing.assert_allclose(
            [frame.image.mean() for frame in reader], [grey(n) for n in range(10)], atol=1.5
        )


def test_frames_of_a_varying_rate_stay_on_time(tmp_path):
    with VideoWriter(tmp_path / "out.mp4", 10, (64, 48)) as writer:
        canvas = np.empty((48, 64, 3), np.uint8)  # one array for all frames, as drawing code has it
        for image, time_s in zip(frames(4), (0.0, 0.1, 0.5, 0.52), strict=True):
            canvas[:] = image
            writer.write(canvas, time_s)
        assert writer.frames == 6
    levels = [frame.image.mean() for frame in VideoReader(tmp_path / "out.mp4")]
    # The frame at 0.1 s stands until the one at 0.5 s; the one at 0.52 s has no place of its own.
    np.testing.assert_allclose(levels, [grey(0), *[grey(1)] * 4, grey(2)], atol=1.5)


def test_sound_of_the_source_is_kept(make_video, tmp_path):
    source = make_video("sound.mkv", *X264, "-c:a", "pcm_s16le", audio=True)
    assert "Audio: aac" in described(write(tmp_path / "out.mp4", frames(25), audio_from=source))
    silent = make_video("h264.mp4", *X264)
    assert "Audio" not in described(write(tmp_path / "silent.mp4", frames(25), audio_from=silent))


@pytest.mark.parametrize(("start_s", "heard_s"), [(None, 1.0), (0.0, 1.0), (0.5, 0.5), (-0.5, 1.5)])
def test_sound_is_cut_or_led_in_by_silence_to_begin_with_the_first_frame(start_s, heard_s, tmp_path):
    tone = "sine=1000:d=2,volume=enable='lt(t,1)':volume=0"
    run_ffmpeg("-f", "lavfi", "-i", tone, tmp_path / "tone.wav")
    path = write(tmp_path / "out.mp4", frames(40), audio_from=tmp_path / "tone.wav", audio_start_s=start_s)
    command = [find_ffmpeg(), "-v", "error", "-i", path, "-map", "0:a:0", "-ar", "8000", "-f", "s16le", "-"]
    raw = subprocess.run(command, check=True, capture_output=True).stdout
    loud = np.abs(np.frombuffer(raw, np.int16).astype(int)) > 1000
    assert np.argmax(loud) / 8000 == pytest.approx(heard_s, abs=0.03)
    assert len(loud) / 8000 == pytest.approx(heard_s + 1, abs=0.05)


def test_the_last_frame_can_be_held(tmp_path):
    with VideoWriter(tmp_path / "out.mp4", 10, (64, 48)) as writer:
        for n, image in enumerate(frames(3)):
            writer.write(image, n / 10)
        writer.hold(1.0)
        writer.hold(0.5)  # it has been there already
    levels = [frame.image.mean() for frame in VideoReader(tmp_path / "out.mp4")]
    np.testing.assert_allclose(levels, [grey(0), grey(1), *[grey(2)] * 8], atol=1.5)


def test_quick_files_show_the_same_pictures(tmp_path):
    path = write(tmp_path / "out.mp4", frames(20), quick=True)
    levels = [float(frame.image.mean()) for frame in VideoReader(path)]
    np.testing.assert_allclose(levels, [grey(n) for n in range(20)], atol=4)


def test_broken_sound_does_not_cost_the_video(make_video, tmp_path):
    data = bytearray(make_video("sound.mkv", *X264, "-c:a", "aac", frames=100, audio=True).read_bytes())
    rng = np.random.default_rng(0)
    for start in range(len(data) // 4, len(data) - 100, 400):
        data[start : start + 40] = rng.bytes(40)
    broken = tmp_path / "broken.mkv"
    broken.write_bytes(data)
    assert len(list(VideoReader(write(tmp_path / "out.mp4", frames(25), audio_from=broken)))) == 25
    (tmp_path / "no_sound.mkv").write_bytes(b"nothing of the kind")
    write(tmp_path / "silent.mp4", frames(25), audio_from=tmp_path / "no_sound.mkv")


def test_without_x264_another_encoder_is_used(tmp_path, monkeypatch):
    have = encoders(find_ffmpeg())
    monkeypatch.setattr(video_writer, "encoders", lambda _binary: have - {"libx264", "libopenh264"})
    assert "mpeg4" in described(write(tmp_path / "out.mp4", frames()))


def test_without_any_encoder_it_says_which_are_wanted(tmp_path, monkeypatch):
    monkeypatch.setattr(video_writer, "encoders", lambda _binary: frozenset())
    with pytest.raises(OutputError, match="libx264"):
        write(tmp_path / "out.mp4", frames())
    assert nothing_left(tmp_path)


def test_the_file_appears_only_when_it_is_whole(tmp_path):
    path = tmp_path / "out.mp4"
    with VideoWriter(path, 25, (64, 48)) as writer:
        for image in frames():
            writer.write(image)
            assert not path.exists()
    assert [entry.name for entry in tmp_path.iterdir()] == ["out.mp4"]


def test_an_error_while_writing_leaves_nothing(tmp_path):
    with pytest.raises(ZeroDivisionError), VideoWriter(tmp_path / "out.mp4", 25, (64, 48)) as writer:
        writer.write(frames()[0])
        raise ZeroDivisionError
    assert nothing_left(tmp_path)


def test_an_error_while_writing_keeps_the_older_file(tmp_path):
    path = write(tmp_path / "out.mp4", frames())
    before = path.read_bytes()
    with pytest.raises(ZeroDivisionError), VideoWriter(path, 25, (64, 48)) as writer:
        writer.write(frames()[3])
        raise ZeroDivisionError
    assert path.read_bytes() == before


def test_folders_are_made(tmp_path):
    assert write(tmp_path / "a" / "b" / "out.mp4", frames()).exists()


def test_a_place_that_cannot_be_written_to_is_an_error(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(OutputError, match="cannot be written"):
        VideoWriter(tmp_path / "file" / "out.mp4", 25, (64, 48))
    (tmp_path / "folder.mp4").mkdir()
    with pytest.raises(OutputError, match="is a folder"):
        VideoWriter(tmp_path / "folder.mp4", 25, (64, 48))


def test_a_full_disk_is_an_error_and_leaves_nothing(tmp_path, monkeypatch):
    # A limit on the size of files stands for the full disk: it reaches the encoder, not this process's own small files.
    rng = np.random.default_rng(0)
    start = subprocess.Popen

    def limited(*args, **options):
        return start(
            *args, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000)), **options
        )

    monkeypatch.setattr(video_writer.subprocess, "Popen", limited)
    with pytest.raises(OutputError, match=r"out\.mp4 cannot be written: the disk is full"):  # noqa: SIM117
        with VideoWriter(tmp_path / "out.mp4", 25, (320, 240)) as writer:
            for _ in range(100):
                writer.write(rng.integers(0, 256, (240, 320, 3), dtype=np.uint8))
    assert nothing_left(tmp_path)


@pytest.mark.skipif(
    not os.path.exists("/dev/full"), reason="needs /dev/full, a device that is always full (Linux)"
)
def test_no_space_left_is_an_error(tmp_path, monkeypatch):
    command = VideoWriter._command

    def full(self, *options):
        words = [
            "file:/dev/full" if word == f"file:{self._temporary}" else word
            for word in command(self, *options)
        ]
        return [word for word in words if word not in ("-movflags", "+faststart")]

    monkeypatch.setattr(VideoWriter, "_command", full)
    with pytest.raises(OutputError, match=r"out\.mp4 cannot be written: the disk is full"):
        write(tmp_path / "out.mp4", frames(50, size=(320, 240)))
    assert nothing_left(tmp_path)


def test_a_file_without_frames_is_not_written(tmp_path):
    with pytest.raises(OutputError, match="no frame"), VideoWriter(tmp_path / "out.mp4", 25, (64, 48)):
        pass
    assert nothing_left(tmp_path)


def test_frames_of_another_size_or_type_are_refused(tmp_path):
    with VideoWriter(tmp_path / "out.mp4", 25, (64, 48)) as writer:
        writer.write(frames()[0])
        with pytest.raises(ValueError, match=r"shape \(48, 64, 3\).*\(64, 48, 3\)"):
            writer.write(np.zeros((64, 48, 3), np.uint8))
        with pytest.raises(ValueError, match="float64"):
            writer.write(np.zeros((48, 64, 3)))


def test_names_with_signs_are_plain_names(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("-y.mp4", "100%d.mp4", "http:x.mp4"):
        assert len(list(VideoReader(write(name, frames())))) == 10
