"""A camera whose pictures queue up."""

import os
import threading
from contextlib import ExitStack
from datetime import datetime
from types import SimpleNamespace

import numpy as np
import pytest

from pipeline.live.backoff import Backoff
from pipeline.live.capture import capture as module
from pipeline.live.capture.capture import FileCapture, StreamCapture
from pose_extract.video import VideoSettings, VideoSource
from pose_extract.video.stream_decoder import StreamPicture
from pose_extract.video.streams import StreamSource, live_source
from tests.helpers.camera import camera
from tests.helpers.videos import run_ffmpeg

clock = SimpleNamespace(now=1000.0)


@pytest.fixture
def camera_of():
    """A camera that serves so many JPEG pictures over HTTP, with so long a pause between them."""
    with ExitStack() as cameras:

        def serve(count, pause_s):
            pictures = [np.full((48, 64, 3), 8 * number % 256, np.uint8) for number in range(count)]
            return live_source(cameras.enter_context(camera(pictures, pause_s)))

        yield serve


class SlowDecoder:
    """Gives pictures at half the speed at which they were taken, by a clock of its own."""

    made = 0

    def __init__(self, source, max_side):
        type(self).made += 1
        self.changed, self.complaint, self.fps, self.codec, self.pid = False, "", 25.0, "h264", 0
        self._next = 0

    def read(self):
        clock.now += 0.08
        self._next += 1
        return StreamPicture(self._next / 25, np.zeros((4, 6, 3), np.uint8))

    def kill(self):
        pass

    close = kill


def test_old_pictures_are_left_behind_by_a_new_connection_but_not_again_and_again(monkeypatch):
    monkeypatch.setattr(module, "StreamDecoder", SlowDecoder)
    monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: clock.now))
    capture = StreamCapture(
        "door", [live_source("rtsp://host/x")], threading.Condition(), None, Backoff(0.1, 1)
    )
    frames = []

    def put(frame):
        frames.append(frame)
        if clock.now > 1100:
            capture._stopping.set()
        return clock.now < 1100

    monkeypatch.setattr(capture.mailbox, "put", put)
    capture.run()
    assert capture.late == 2  # within 100 s: soon, and not before a minute has passed
    assert SlowDecoder.made == 3
    assert capture.finished
    assert np.diff([frame.time_s for frame in frames]).min() > 0
    assert {frame.connection for frame in frames} == {1, 2, 3}


@pytest.mark.parametrize("realtime", [False, True])
def test_recordings_that_cannot_be_read_are_told_and_the_others_are_read(tmp_path, realtime):
    os.mkfifo(tmp_path / "pipe.mp4")
    (tmp_path / "words.mp4").write_text("words\n" * 50)
    run_ffmpeg("-f", "lavfi", "-i", "testsrc2=s=64x48:r=10:d=0.5", "-c:v", "mpeg4", tmp_path / "sound.mp4")
    paths = [tmp_path / name for name in ("pipe.mp4", "words.mp4", "sound.mp4")]
    arrivals = threading.Condition()
    if realtime:
        sources = [StreamSource("file", str(path)) for path in paths]
        capture = StreamCapture("door", sources, arrivals, None, Backoff(0.1, 1))
    else:
        sources = [VideoSource(path, "video", path.stem) for path in paths]
        capture = FileCapture("door", sources, VideoSettings(), arrivals, datetime.now().astimezone())
        capture.mailbox.put = lambda _: True  # nobody takes them, and none is dropped
    capture.run()
    assert capture.finished
    assert capture.received == 5
    assert capture.recordings == 3
    assert "pipe.mp4 is a device or a pipe" in str(capture.failed[0])
    assert "words.mp4" in str(capture.failed[1])
    assert len(capture.failed) == 2


def test_a_slow_camera_of_jpeg_pictures_over_http_keeps_its_time(camera_of):
    capture = StreamCapture("door", [camera_of(30, 0.125)], threading.Condition(), None, Backoff(0.1, 1))
    times, rates = [], []

    def put(frame):
        times.append(frame.time_s)
        rates.append(frame.fps)
        if len(times) == 25:
            capture._stopping.set()
        return len(times) < 25

    capture.mailbox.put = put
    capture.start()
    capture.join(20)
    assert not capture.is_alive()
    assert len(times) == 25
    assert np.median(np.diff(times)) == pytest.approx(0.125, rel=0.4)
    assert 4 < rates[-1] < 12
    assert capture.behind_s == 0


def test_what_nobody_foresaw_costs_a_camera_a_connection_and_not_its_thread(monkeypatch, caplog):
    made = []

    def decoder(source, max_side):
        made.append(source)
        if len(made) < 3:
            raise RuntimeError("can't start new thread")
        capture.stop()
        return SlowDecoder(source, max_side)

    monkeypatch.setattr(module, "StreamDecoder", decoder)
    capture = StreamCapture(
        "door", [live_source("rtsp://host/x")], threading.Condition(), None, Backoff(0.01, 0.02)
    )
    capture.run()
    assert len(made) == 3
    assert caplog.text.count("camera door: it cannot be read now") == 2
    assert capture.finished


def test_what_nobody_foresaw_ends_a_recording_and_nobody_waits_for_it(monkeypatch, tmp_path):
    monkeypatch.setattr(module, "VideoReader", lambda *_: 1 / 0)
    sources = [VideoSource(tmp_path / "a.mp4", "video", "a")]
    capture = FileCapture(
        "door", sources, VideoSettings(), threading.Condition(), datetime.now().astimezone()
    )
    capture.run()
    assert capture.finished
    assert "ZeroDivisionError" in str(capture.failed[0])
