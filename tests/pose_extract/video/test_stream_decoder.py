"""Streams that are read while they come."""

import os
import threading
import time
from contextlib import ExitStack
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest

from pose_extract.video.stream_decoder import StreamDecoder
from pose_extract.video.streams import StreamSource, live_source
from tests.helpers.camera import camera
from tests.helpers.videos import run_ffmpeg


@pytest.fixture
def served():
    """Serves MJPEG as cameras do: the pictures that a test gives, and then nothing, with the line held open."""
    with ExitStack() as cameras:
        yield lambda pictures, pause_s=0.02: live_source(cameras.enter_context(camera(pictures, pause_s)))


class Silent(SimpleHTTPRequestHandler):
    """Serves a folder and says nothing."""

    def log_message(self, *_):
        pass


def grey(level, size=(64, 48)):
    return np.full((size[1], size[0], 3), level, np.uint8)


def test_mjpeg_pictures_come_one_by_one_and_a_hanging_reader_can_be_freed(served):
    decoder = StreamDecoder(served([grey(10 * i) for i in range(20)]))
    pictures = [decoder.read() for _ in range(15)]
    assert np.diff([picture.image.mean() for picture in pictures]).min() > 5
    assert decoder.codec == "mjpeg"
    assert {picture.time_s for picture in pictures} == {None}  # ffmpeg makes up 25 a second, whatever comes
    assert decoder.fps is None
    found = []
    thread = threading.Thread(target=lambda: found.extend(iter(decoder.read, None)))
    thread.start()
    time.sleep(0.3)
    decoder.kill()
    thread.join(5)
    assert not thread.is_alive()
    decoder.close()
    decoder.close()


def test_another_size_ends_the_stream_so_that_it_is_begun_anew(tmp_path):
    for name, size in (("a", "96x64"), ("b", "64x48")):
        run_ffmpeg(
            "-f",
            "lavfi",
            "-i",
            f"testsrc2=s={size}:r=25:d=0.4",
            "-c:v",
            "mpeg2video",
            tmp_path / f"{name}.ts",
        )
    both = tmp_path / "both.ts"
    both.write_bytes((tmp_path / "a.ts").read_bytes() + (tmp_path / "b.ts").read_bytes())
    decoder = StreamDecoder(StreamSource("file", str(both)))
    shapes = [picture.image.shape for picture in iter(decoder.read, None)]
    decoder.close()
    assert set(shapes) == {(64, 96, 3)}
    assert decoder.changed


def test_a_file_is_played_at_its_own_speed_with_its_times_whatever_its_name(tmp_path):
    path = tmp_path / os.fsdecode(b"caf\xe9, 1%d.mp4")  # no UTF-8
    run_ffmpeg("-f", "lavfi", "-i", "testsrc2=s=96x64:r=10:d=1.5", "-c:v", "mpeg4", path)
    decoder = StreamDecoder(StreamSource("file", str(path)), max_side=48)
    first = decoder.read()
    began = time.monotonic()
    rest = list(iter(decoder.read, None))
    took = time.monotonic() - began
    decoder.close()
    assert first.image.shape == (32, 48, 3)
    np.testing.assert_allclose(np.diff([picture.time_s for picture in (first, *rest)]), 0.1, atol=1e-6)
    assert took > 0.6
    assert decoder.fps == pytest.approx(10)
    assert not decoder.changed


def test_hls_comes_at_the_speed_at_which_it_was_filmed(tmp_path):
    run_ffmpeg(
        "-f", "lavfi", "-i", "testsrc2=s=96x64:r=10:d=4", "-c:v", "mpeg2video", "-g", "10",
        "-hls_time", "2", "-hls_playlist_type", "event", tmp_path / "live.m3u8",
    )  # fmt: skip
    handler = partial(Silent, directory=str(tmp_path))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        decoder = StreamDecoder(live_source(f"http://127.0.0.1:{server.server_address[1]}/live.m3u8?token=x"))
        times, came = [], []
        while (picture := decoder.read()) is not None:
            times.append(picture.time_s)
            came.append(time.monotonic())
        decoder.close()
        server.shutdown()
    np.testing.assert_allclose(np.diff(times), 0.1, atol=1e-3)
    assert 15 <= len(times) <= 40
    assert came[-1] - came[0] > 0.6 * (times[-1] - times[0])


def test_a_refused_connection_is_said_without_the_password():
    decoder = StreamDecoder(live_source("rtsp://me:secret@127.0.0.1:9/x"))
    assert decoder.read() is None
    decoder.close()
    assert "refused" in decoder.complaint
    assert "secret" not in decoder.complaint
