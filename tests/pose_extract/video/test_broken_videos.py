from __future__ import annotations

import os
import shutil
import threading
import time

import numpy as np
import pytest

from pose_extract.errors import VideoError
from pose_extract.video import VideoReader, find_sources
from tests.helpers.videos import X264, read, run_ffmpeg

pytestmark = pytest.mark.usefixtures("each_ffmpeg")

# -- damaged files -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.ts", "a.avi"])
def test_frames_around_corruption_are_read_and_the_damage_has_its_time(ten_seconds, tmp_path, name):
    data = bytearray((ten_seconds / name).read_bytes())
    middle, length = len(data) // 2, len(data) // 50
    data[middle : middle + length] = np.random.default_rng(0).bytes(length)
    path = tmp_path / name
    path.write_bytes(data)
    times, _, damage = read(path)
    assert len(times) > 200
    assert times[-1] > 9.5
    assert damage
    assert all(3.5 < entry.time_s < 6.2 for entry in damage), damage
    assert all(entry.message for entry in damage)


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.avi"])
def test_a_truncated_video_is_read_as_far_as_it_goes(ten_seconds, tmp_path, name):
    data = (ten_seconds / name).read_bytes()
    path = tmp_path / name
    path.write_bytes(data[: len(data) * 6 // 10])
    times, _, damage = read(path)
    assert 5.0 < times[-1] < 7.0
    assert damage
    assert all(4.5 < entry.time_s < 7.0 for entry in damage), damage


def test_words_in_names_and_titles_are_neither_damage_nor_times(make_video, tmp_path):
    path = tmp_path / "corrupt truncated error.mp4"
    title = (
        "[error] corrupt n: 0 pts: 7 pts_time:7 type:I Stream mapping: Duration: 09:00:00.00 s:1x1 : Audio: "
    )
    run_ffmpeg("-i", make_video("h264.mp4", *X264), "-c", "copy", "-metadata", f"title={title}", path)
    times, _, damage = read(path)
    np.testing.assert_allclose(times, np.arange(25) / 25)
    assert damage == []


def test_a_whole_video_has_no_damage(ten_seconds):
    for name in ("a.mp4", "a.mkv", "a.ts", "a.avi"):
        times, _, damage = read(ten_seconds / name)
        assert (len(times), damage) == (250, []), name


def test_more_messages_than_a_pipe_holds_do_not_block(ten_seconds, tmp_path):
    # About 600 messages; nobody reads pictures while they come.
    data = (ten_seconds / "a.mp4").read_bytes()
    middle = len(data) // 2
    path = tmp_path / "cut_out.mp4"
    path.write_bytes(data[:middle] + data[middle + 1000 :])
    finished = threading.Event()

    def work():
        for frame in VideoReader(path):
            if frame.index == 0:
                time.sleep(0.5)
        finished.set()

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    thread.join(60)
    assert finished.is_set()


# -- what is no video --------------------------------------------------------------------------------------------------


def problem(path):
    with pytest.raises(VideoError) as caught:
        VideoReader(path)
    assert str(path) in str(caught.value)
    return str(caught.value)


def test_a_missing_file_is_named(tmp_path):
    assert "no such file" in problem(tmp_path / "gone.mp4")


def test_an_empty_file_is_called_empty(tmp_path):
    path = tmp_path / "empty.mp4"
    path.touch()
    assert "is empty" in problem(path)


@pytest.mark.parametrize("name", ["words.mp4", "words.txt", "words.avi"])
def test_text_is_no_video(tmp_path, name):
    path = tmp_path / name
    path.write_text("These are words, not pictures.\n" * 50)
    assert "is not a video" in problem(path)


@pytest.mark.parametrize("name", ["photo.png", "photo.jpg"])
def test_a_still_image_is_no_video(tmp_path, name):
    path = tmp_path / name
    run_ffmpeg("-f", "lavfi", "-i", "color=red:s=32x32:r=1:d=1", path)
    assert "is not a video" in problem(path)


def test_noise_is_no_video(tmp_path):
    path = tmp_path / "noise.mp4"
    path.write_bytes(np.random.default_rng(0).bytes(5000))
    assert "is not a video" in problem(path)


@pytest.mark.parametrize("name", ["tone.mp3", "tone.wav", "tone.m4a", "tone.mp4"])
def test_sound_alone_has_no_picture(tmp_path, name):
    path = tmp_path / name
    run_ffmpeg("-f", "lavfi", "-i", "sine=d=0.5", path)
    assert "has sound but no picture" in problem(path)


def test_a_cover_image_is_no_moving_picture(tmp_path):
    path = tmp_path / "album.mp3"
    run_ffmpeg("-f", "lavfi", "-i", "color=red:s=32x32:r=1:d=1", tmp_path / "cover.png")
    cover = ("-i", tmp_path / "cover.png", "-map", "0", "-map", "1", "-disposition:v", "attached_pic")
    run_ffmpeg("-f", "lavfi", "-i", "sine=d=0.5", *cover, path)
    assert "only a cover image" in problem(path)


def test_an_mp4_without_its_index_is_called_incomplete(make_video, tmp_path):
    data = make_video("h264.mp4", *X264).read_bytes()  # without faststart: the index is at the end
    path = tmp_path / "cut_off.mp4"
    path.write_bytes(data[: len(data) * 7 // 10])
    assert "incomplete" in problem(path)


def test_a_folder_without_videos_says_what_was_looked_for(tmp_path):
    (tmp_path / "notes.txt").write_text("nothing here")
    message = problem(tmp_path)
    assert "holds no video" in message
    assert ".mp4" in message


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read every file")
def test_a_file_without_permission_cannot_be_read(make_video, tmp_path):
    path = tmp_path / "secret.mp4"
    shutil.copy(make_video("h264.mp4", *X264), path)
    path.chmod(0)
    assert "Permission denied" in problem(path)


def test_an_unreadable_file_gives_the_systems_reason(make_video, tmp_path, monkeypatch):
    path = tmp_path / "secret.mp4"
    shutil.copy(make_video("h264.mp4", *X264), path)

    def refuse(*_args, **_kwargs):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("builtins.open", refuse)
    with pytest.raises(VideoError, match=r"secret\.mp4 cannot be read: Permission denied"):
        VideoReader(path)


def test_a_pipe_is_refused_instead_of_waited_for(tmp_path):
    path = tmp_path / "pipe.mp4"
    os.mkfifo(path)
    assert "device or a pipe" in problem(path)


def test_a_video_whose_pictures_are_all_broken_says_so(make_video, tmp_path):
    data = bytearray(make_video("fast.mp4", *X264, "-movflags", "+faststart").read_bytes())
    start = data.index(b"mdat") + 4
    data[start:] = bytes(len(data) - start)
    path = tmp_path / "blank.mp4"
    path.write_bytes(data)
    message = problem(path)
    assert "no frame" in message or "not a video" in message


@pytest.mark.parametrize(
    "name", ["-y.mp4", "100%d.mp4", "a:b.mp4", "concat:a|b.mp4", "http:x.mp4", "sp ace'\".mp4", "ü.mp4"]
)
def test_odd_file_names_are_just_names(make_video, tmp_path, monkeypatch, name):
    shutil.copy(make_video("h264.mp4", *X264), tmp_path / name)
    monkeypatch.chdir(tmp_path)
    (source,) = find_sources(name)
    assert len(list(VideoReader(source))) == 25


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("list.mp4", "#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:1,\n{video}\n#EXT-X-ENDLIST\n"),
        ("list.m3u8", "#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:1,\n{video}\n#EXT-X-ENDLIST\n"),
        ("list.ffconcat", "ffconcat version 1.0\nfile {video}\n"),
    ],
)
def test_a_playlist_cannot_open_other_files(make_video, tmp_path, name, text):
    shutil.copy(make_video("h264.ts", *X264), tmp_path / "other.ts")
    path = tmp_path / name
    path.write_text(text.format(video="other.ts"))
    assert "is not a video" in problem(path)
