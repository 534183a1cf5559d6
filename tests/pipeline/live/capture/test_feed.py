"""Frames on their way from one thread to another."""

import threading
import time
from datetime import UTC, datetime

import numpy as np

from pipeline.live.capture.feed import LiveFrame, Mailbox


def frame(number):
    return LiveFrame(float(number), np.zeros((4, 6, 3), np.uint8), datetime.now(UTC), 0.0, 25.0, 1)


def test_of_a_camera_the_newest_frame_wins_and_older_ones_are_counted():
    box = Mailbox(threading.Condition(), drop=True)
    for number in range(5):
        assert box.put(frame(number))
    assert box.take().time_s == 4
    assert box.take() is None
    assert (box.dropped, box.taken) == (4, 1)


def test_of_a_camera_only_every_kth_frame_may_be_let_in():
    box = Mailbox(threading.Condition(), drop=True)
    box.every, found = 3, []
    for number in range(1, 11):
        assert box.put(frame(number))
        if (taken := box.take()) is not None:
            found.append(taken.time_s)
    assert found == [3, 6, 9]
    assert (box.came, box.dropped, box.taken) == (10, 7, 3)
    box.close()
    assert not box.put(frame(11))


def test_of_a_file_no_frame_is_dropped_and_who_leaves_them_waits():
    box = Mailbox(threading.Condition(), drop=False)
    put = []

    def fill():
        for number in range(10):
            box.put(frame(number))
            put.append(number)

    thread = threading.Thread(target=fill)
    thread.start()
    time.sleep(0.2)
    assert len(put) == 2
    found = []
    while len(found) < 10:
        if (next_one := box.take()) is not None:
            found.append(int(next_one.time_s))
    thread.join(5)
    assert found == list(range(10))
    assert box.dropped == 0


def test_closing_lets_go_who_waits():
    box = Mailbox(threading.Condition(), drop=False)
    box.put(frame(0)), box.put(frame(1))
    result = []
    thread = threading.Thread(target=lambda: result.append(box.put(frame(2))))
    thread.start()
    time.sleep(0.1)
    box.close()
    thread.join(5)
    assert result == [False]
    assert box.take() is None


def test_the_size_is_that_of_the_picture():
    assert frame(0).size == (6, 4)
