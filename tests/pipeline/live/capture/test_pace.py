"""Cameras are judged at an even pace."""

import threading
from types import SimpleNamespace

import numpy as np
import pytest

from pipeline.live.capture.feed import Mailbox
from pipeline.live.capture.pace import Pace, Paced


def played(cost_s, cameras=1, seconds=30.0, fps=24.0, drop=True):
    """Times of the frames of each camera that are judged, one after another, each taking ``cost_s`` (of the time)."""
    arrivals = threading.Condition()
    boxes = [Mailbox(arrivals, drop) for _ in range(cameras)]
    judging = [0.0] * cameras
    pace, taken, turn, free_s = Pace(), [[] for _ in boxes], 0, 0.0
    for number in range(round(seconds * fps)):
        now_s = number / fps
        for box in boxes:
            box.put(SimpleNamespace(time_s=now_s))
        while free_s < now_s + 1 / fps:
            start_s = max(free_s, now_s)
            order = [(turn + step) % cameras for step in range(cameras)]
            place, frame = next(((p, f) for p in order if (f := boxes[p].take()) is not None), (None, None))
            if frame is None:
                break
            cost = cost_s(start_s)
            turn, free_s = place + 1, start_s + cost
            judging[place] += cost
            taken[place].append(frame.time_s)
        pace.look([Paced(box, spent) for box, spent in zip(boxes, judging, strict=True)], now_s)
    return taken, boxes


def steps_of(times, after_s=10.0):
    """Steps between the frames that were judged after a while, in frames that came."""
    return np.round(np.diff([t for t in times if t >= after_s]) * 24).astype(int)


@pytest.mark.parametrize(
    ("cost_s", "cameras", "every"),
    [(0.01, 1, 1), (0.041, 1, 1), (0.07, 1, 2), (0.05, 2, 3), (0.02, 4, 2), (0.15, 1, 4), (0.5, 1, 5)],
)
def test_every_kth_frame_is_judged(cost_s, cameras, every):
    taken, boxes = played(lambda _: cost_s, cameras)
    assert [box.every for box in boxes] == [every] * cameras
    for times, box in zip(taken, boxes, strict=True):
        assert box.came == 720
        assert box.came - box.dropped - box.taken in (0, 1)
        if cost_s * cameras * 24 / every < 1:  # then all that is let in is judged, and evenly
            assert set(steps_of(times)) == {every}


def test_more_frames_are_let_in_again_when_judging_costs_less():
    taken, (box,) = played(lambda now_s: 0.1 if now_s < 10 else 0.02)
    assert set(steps_of([t for t in taken[0] if t < 10], 3)) == {3}
    assert box.every == 1
    assert set(steps_of(taken[0], 15)) == {1}


def test_a_little_less_cost_changes_nothing():
    """What is let in does not swing between two numbers: people would be followed anew each time."""
    taken, (box,) = played(lambda now_s: 0.05 + 0.003 * np.sin(now_s))
    assert box.every == 2
    assert set(steps_of(taken[0], 3)) == {2}


def test_of_a_file_every_frame_is_judged():
    arrivals = threading.Condition()
    box = Mailbox(arrivals, drop=False)
    pace = Pace()
    for now_s in range(10):
        assert box.put(SimpleNamespace(time_s=now_s))
        assert box.take().time_s == now_s
        pace.look([Paced(box, 10.0 * now_s)], 2.0 * now_s)
    assert box.every == 1
    assert box.dropped == 0


def test_a_camera_that_gives_nothing_has_no_share():
    arrivals = threading.Condition()
    live, lost = Mailbox(arrivals, drop=True), Mailbox(arrivals, drop=True)
    pace, spent = Pace(), 0.0
    for number in range(240):
        live.put(SimpleNamespace(time_s=number / 24))
        if live.take() is not None:
            spent += 0.03
        pace.look([Paced(live, spent), Paced(lost, 0.0)], number / 24)
    assert live.every == 1
