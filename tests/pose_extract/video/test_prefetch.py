"""Fetching ahead: the same items in the same order, errors at their place, nothing left running."""

import gc
import threading
import time
import weakref
from contextlib import closing

import pytest

from pose_extract.errors import VideoError
from pose_extract.video import VideoReader
from pose_extract.video.prefetch import prefetch
from tests.helpers.processes import decoder, own_children
from tests.helpers.videos import X264


@pytest.fixture(autouse=True)
def no_thread_is_left():
    before = set(threading.enumerate())
    yield
    left = [t for t in threading.enumerate() if t not in before and t.name == "prefetch"]
    assert not left


def wait_until(condition) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline, "it never happened"
        time.sleep(0.002)


class Source:
    """Numbers that say how many were taken and whether they were closed."""

    def __init__(self, count: int, fails_at: int | None = None) -> None:
        self.count, self.fails_at = count, fails_at
        self.taken = 0
        self.closed = False

    def __iter__(self):
        try:
            for i in range(self.count):
                if i == self.fails_at:
                    raise VideoError("broken here")
                self.taken += 1
                yield i
        finally:
            self.closed = True


@pytest.mark.parametrize("size", [1, 3, 1000])
@pytest.mark.parametrize("pause", ["neither", "producer", "consumer"])
def test_items_come_in_order_whoever_is_slower(size, pause):
    def source():
        for i in range(40):
            if pause == "producer":
                time.sleep(0.001)
            yield i

    got = []
    for item in prefetch(source(), size):
        if pause == "consumer":
            time.sleep(0.001)
        got.append(item)
    assert got == list(range(40))


def test_nothing_comes_of_nothing():
    assert list(prefetch([], 2)) == []


def test_none_is_an_item_like_any_other():
    assert list(prefetch([None, 0, None], 2)) == [None, 0, None]


def test_the_next_items_are_fetched_while_the_caller_works():
    source = Source(100)
    with closing(prefetch(source, 4)) as items:
        assert next(items) == 0
        wait_until(lambda: source.taken == 1 + 4 + 1)  # the caller's, those that wait, the thread's


def test_no_more_than_the_bound_is_ever_fetched_ahead():
    source = Source(200)
    for item in prefetch(source, 3):
        assert source.taken <= item + 1 + 3 + 1
        if item % 50 == 0:
            time.sleep(0.02)


def test_items_that_were_used_are_not_kept():
    class Picture:
        def __init__(self) -> None:
            alive.add(self)

    alive: weakref.WeakSet[Picture] = weakref.WeakSet()
    for _ in prefetch((Picture() for _ in range(50)), 2):
        assert len(alive) <= 2 + 2
    del _
    gc.collect()
    assert not alive


def test_an_item_is_let_go_before_the_next_one_is_there():
    class Picture:
        pass

    given: list[weakref.ref[Picture]] = []

    def source():
        for _ in range(3):
            wait_until(lambda: not any(one() for one in given))
            picture = Picture()
            given.append(weakref.ref(picture))
            yield picture
            del picture

    items = prefetch(source(), 1)
    for _ in range(3):
        next(items)
    items.close()
    assert len(given) == 3


def test_an_error_of_the_source_comes_after_the_items_before_it():
    got = []
    with pytest.raises(VideoError, match="broken here"):
        for item in prefetch(Source(10, fails_at=6), 3):
            got.append(item)
    assert got == list(range(6))


def test_an_error_before_the_first_item_is_raised_too():
    with pytest.raises(VideoError):
        next(prefetch(Source(3, fails_at=0), 3))
    with pytest.raises(TypeError):
        next(prefetch(5, 1))  # not iterable


def test_the_generator_is_at_its_end_after_an_error():
    items = prefetch(Source(3, fails_at=1), 1)
    assert next(items) == 0
    with pytest.raises(VideoError):
        next(items)
    with pytest.raises(StopIteration):
        next(items)


@pytest.mark.parametrize("asked_for", [1, 5])
def test_closing_early_closes_the_source_even_while_the_queue_is_full(asked_for):
    source = Source(1_000_000)
    items = prefetch(source, 2)
    for _ in range(asked_for):
        next(items)
    wait_until(lambda: source.taken == asked_for + 3)
    items.close()
    assert source.closed
    assert source.taken <= asked_for + 4


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, MemoryError])
def test_whatever_ends_the_source_ends_the_caller_too(error):
    def source():
        yield 0
        raise error

    items = prefetch(source(), 2)
    assert next(items) == 0
    with pytest.raises(error):
        next(items)


def test_a_source_that_somebody_else_holds_is_closed_too():
    source = iter(Source(1_000_000))
    items = prefetch(source, 2)
    next(items)
    items.close()
    assert next(source, "closed") == "closed"


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_an_error_of_the_caller_ends_the_thread_and_the_source(error):
    source = Source(1_000_000)
    with pytest.raises(error), closing(prefetch(source, 2)) as items:
        for item in items:
            if item == 3:
                raise error
    assert source.closed


def test_a_generator_never_started_touches_nothing():
    source = Source(3)
    items = prefetch(source, 2)
    items.close()
    assert source.taken == 0


def test_a_source_that_hangs_does_not_hang_the_caller_for_ever(monkeypatch):
    monkeypatch.setattr("pose_extract.video.prefetch._PATIENCE_S", 0.05)
    hanging, free = threading.Event(), threading.Event()

    def source():
        yield 0
        hanging.set()
        free.wait(10)

    items = prefetch(source(), 1)
    assert next(items) == 0
    assert hanging.wait(10)
    items.close()
    assert any(t.name == "prefetch" for t in threading.enumerate())  # nobody waited for it
    free.set()
    wait_until(lambda: not any(t.name == "prefetch" for t in threading.enumerate()))


def test_a_size_below_one_is_refused_at_once():
    with pytest.raises(ValueError, match="at least 1, got 0"):
        prefetch([1], 0)


def test_closing_stress():
    """Closed at any moment relative to the thread, nothing hangs."""
    for i in range(300):
        with closing(prefetch(iter(range(i % 7)), 1 + i % 3)) as items:
            for _ in range(i % 5):
                next(items, None)


def frames_of(path, size=None):
    """Times and pictures of a whole video, fetched ahead or not, its damages, and the error at its end."""
    got, error = [], None
    with VideoReader(path) as reader:
        try:
            for frame in reader if size is None else prefetch(reader, size):
                got.append((frame.index, frame.time_s, frame.image.tobytes()))
        except VideoError as end:
            error = str(end)
        return got, reader.damage, error


def test_frames_of_a_video_are_those_of_the_reader(make_video):
    path = make_video("clip.mp4", *X264)
    assert frames_of(path, 4) == frames_of(path)


@pytest.mark.parametrize("name", ["a.mkv", "a.ts", "a.mp4"])
def test_frames_of_a_broken_video_are_those_of_the_reader(ten_seconds, tmp_path, name):
    data = bytearray((ten_seconds / name).read_bytes())
    for at in range(len(data) // 3, len(data) // 2, 97):
        data[at] ^= 0xFF
    path = tmp_path / name
    path.write_bytes(data[: len(data) * 3 // 4])
    expected = frames_of(path)
    frames, damage, error = frames_of(path, 4)
    assert len(frames) > 50
    # Where it is damaged, ffmpeg's threads do not make up the same pixels twice.
    assert [f[:2] for f in frames] == [f[:2] for f in expected[0]]
    assert frames[:50] == expected[0][:50]
    assert damage
    assert expected[1]
    assert error == expected[2]


def test_a_decoder_that_is_killed_is_an_error_after_the_frames_before_it(make_video):
    path = make_video("long.mp4", *X264, frames=200, size=(640, 480))
    got = 0
    with VideoReader(path) as reader, pytest.raises(VideoError, match="was killed"):
        for frame in prefetch(reader, 2):
            assert frame.index == got
            got += 1
            if got == 10:
                decoder().kill()
    assert 10 <= got < 200


def test_no_decoder_stays_behind_when_the_caller_fails(make_video):
    path = make_video("long.mp4", *X264, frames=200, size=(640, 480))
    reader = VideoReader(path)
    with pytest.raises(RuntimeError), closing(prefetch(reader, 4)) as frames:  # nobody closes the reader
        next(frames)
        assert len(own_children()) == 1
        raise RuntimeError
    assert own_children() == []
