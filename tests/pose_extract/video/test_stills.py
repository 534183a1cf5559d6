"""Single frames are those that reading the whole video gives at that time."""

from __future__ import annotations

import zlib

import cv2
import numpy as np
import pytest

from pose_extract.video import VideoReader, VideoSettings, VideoSource, find_sources
from pose_extract.video.stills import read_still
from tests.helpers.videos import KEYED, X264, numbered_images, run_ffmpeg

pytestmark = pytest.mark.usefixtures("each_ffmpeg")


def check(path, settings=None, frames=(0, 1, 7, 24, 37, 49)):
    [source] = find_sources(path) if not isinstance(path, VideoSource) else [path]
    with VideoReader(source, settings) as reader:
        images = [(frame.time_s, frame.image) for frame in reader]
        for index in frames:
            time_s, image = images[index]
            still = read_still(source, reader.info, time_s)
            assert still is not None
            np.testing.assert_allclose(still, image, atol=1, err_msg=f"frame {index}")


@pytest.mark.parametrize("ending", ["mp4", "mkv", "ts", "avi"])
def test_a_still_is_the_frame_of_its_time(ending, make_video):
    codec = ("-c:v", "mpeg4", "-g", "12") if ending == "avi" else KEYED
    check(make_video(f"grey.{ending}", *codec, frames=300), frames=(0, 1, 7, 124, 126, 200, 299))


def test_a_video_that_begins_later_than_its_sound_is_searched_by_its_own_time(make_video, tmp_path):
    whole = make_video("sound.mkv", *KEYED, "-c:a", "aac", frames=300, audio=True)
    late = tmp_path / "late.ts"
    run_ffmpeg("-i", whole, "-vf", "trim=start=0.6", *KEYED, "-c:a", "copy", late)
    check(late, frames=(0, 1, 140, 250))


def test_a_scaled_reading_gives_scaled_stills(make_video):
    check(make_video("grey.mp4", *X264, frames=50), VideoSettings(max_side=32))


def test_numbered_images_have_stills_too(tmp_path):
    for n in range(50):
        cv2.imwrite(str(tmp_path / f"{n:03}.png"), np.full((24, 32, 3), 5 * n, np.uint8))
    check(tmp_path)


def test_what_cannot_be_read_is_none(make_video, tmp_path):
    path = make_video("grey.mp4", *KEYED, frames=50)
    [source] = find_sources(path)
    info = VideoReader(source).info
    assert read_still(source, info, 100.0) is None
    copy = tmp_path / "gone.mp4"
    copy.write_bytes(path.read_bytes())
    [source] = find_sources(copy)
    copy.unlink()
    assert read_still(source, info, 1.0) is None


def test_an_image_that_cannot_be_read_is_none(tmp_path):
    folder = numbered_images(tmp_path / "cam", [f"{n:03}.png" for n in range(10)])
    [source] = find_sources(folder)
    info = VideoReader(source).info
    huge = bytearray((folder / "003.png").read_bytes())
    huge[16:24] = b"\x00\x10\x00\x00" * 2  # a million pixels wide, and high
    huge[29:33] = zlib.crc32(huge[12:29]).to_bytes(4, "big")
    (folder / "003.png").write_bytes(huge)
    assert read_still(source, info, 3 / info.fps) is None
    (folder / "004.png").unlink()
    (folder / "004.png").symlink_to("004.png")
    assert read_still(source, info, 4 / info.fps) is not None  # the one before
    for image in folder.iterdir():
        image.unlink()
    assert read_still(source, info, 4 / info.fps) is None
