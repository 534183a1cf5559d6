"""A camera whose pictures queue up."""

import os
import threading
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
from tests.helpers.videos import run_ffmpeg

clock = SimpleNamespace(now=1000.0)


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
