"""Times of a stream that always go forward."""

import numpy as np
import pytest

from pipeline.live.capture.clock import StreamClock


def ticks(stream, arrived):
    clock = StreamClock()
    return np.array([clock.tick(s, a) for s, a in zip(stream, arrived, strict=True)]), clock


def test_the_streams_own_clock_counts_while_it_is_sane():
    stream = 1000 + np.arange(50) / 25
    arrived = stream - 990 + np.random.default_rng(0).uniform(0, 0.3, 50)  # a network that is uneven
    time_s, clock = ticks(stream, np.maximum.accumulate(arrived))
    np.testing.assert_allclose(time_s, np.arange(50) / 25, atol=1e-9)
    assert clock.jumps == 0


@pytest.mark.parametrize("jump", [3600.0, -3600.0, 5.0, -0.5])
def test_a_jump_of_the_streams_clock_is_none_of_ours(jump):
    arrived = np.arange(100) / 25
    stream = arrived + np.where(np.arange(100) < 50, 0, jump)
    time_s, clock = ticks(stream, arrived)
    assert clock.jumps == 1
    np.testing.assert_allclose(time_s, arrived, atol=0.05)


def test_a_clock_that_stands_still_is_replaced_by_arrival():
    arrived = np.arange(60) / 20
    time_s, _ = ticks(np.full(60, 7.0), arrived)
    np.testing.assert_allclose(time_s, arrived, atol=1e-9)
    time_s, _ = ticks([None] * 60, arrived)
    np.testing.assert_allclose(time_s, arrived, atol=1e-9)


def test_time_strictly_increases_whatever_comes():
    rng = np.random.default_rng(1)
    stream = rng.choice([0.0, 5.0, 5.04, -3.0, 1e6], 500) + rng.normal(0, 1, 500)
    arrived = np.cumsum(rng.choice([0.0, 0.04, 1.0], 500))
    time_s, _ = ticks(stream, arrived)
    assert (np.diff(time_s) > 0).all()


def test_time_goes_on_over_a_new_connection_by_as_much_as_passed():
    clock = StreamClock()
    for i in range(10):
        last = clock.tick(500 + i / 10, i / 10)
    clock.reconnected()
    assert clock.tick(3.0, 0.9 + 20) == pytest.approx(last + 20)
    assert clock.tick(3.1, 21.3) == pytest.approx(last + 20.1)


def test_frames_that_come_too_fast_do_not_run_ahead_of_time():
    arrived = np.arange(200) / 1000  # 200 frames of 25 a second within 0.2 s: a buffer that is emptied
    time_s, clock = ticks(np.arange(200) / 25, arrived)
    assert time_s[-1] <= 0.2 + 2.0
    assert clock.jumps > 100


def test_pictures_that_come_slower_than_they_were_taken_are_behind():
    stream = np.arange(300) / 25
    _, slow = ticks(stream, 1.3 * stream)
    assert slow.behind_s == pytest.approx(0.27 * stream[-1], rel=0.1)
    _, fine = ticks(stream, 1.01 * stream)
    assert fine.behind_s == pytest.approx(0, abs=1e-9)
    late = np.clip(4 - (np.arange(300) - 100) / 25, 0, 4) * (
        np.arange(300) >= 100
    )  # a stall, and then all at once
    _, caught_up = ticks(stream, np.maximum.accumulate(stream + late))
    assert caught_up.behind_s < 0.5
