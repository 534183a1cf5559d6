"""A camera whose pictures queue up."""

import threading
from types import SimpleNamespace

import numpy as np

from pipeline.live.backoff import Backoff
from pipeline.live.capture import capture as module
from pipeline.live.capture.capture import StreamCapture
from pose_extract.video.stream_decoder import StreamPicture
from pose_extract.video.streams import live_source

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
