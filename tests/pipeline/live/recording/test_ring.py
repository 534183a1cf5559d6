import numpy as np

from pipeline.live.recording.ring import Moment, Ring
from tests.pipeline.live.recording.people import at, moment, nobody, picture


def test_it_reaches_as_far_back_as_it_should():
    ring = Ring(2.0, 2**30)
    for i in range(100):
        ring.add(moment(i / 10))
    kept = ring.since(at(0))
    assert (kept[0].at, kept[-1].at, len(kept)) == (at(7.9), at(9.9), 21)
    assert [m.at for m in ring.since(at(9.75))] == [at(9.8), at(9.9)]
    assert ring.nearest(at(8.34)).at == at(8.3)
    assert ring.nearest(at(0)).at == at(7.9)


def test_its_memory_is_bounded_and_counted():
    one = moment(0).nbytes
    ring = Ring(1e6, 10 * one)
    for i in range(100):
        ring.add(moment(i))
    kept = ring.since(at(0))
    assert ring.nbytes == sum(m.nbytes for m in kept) <= 10 * one
    assert kept[-1].at == at(99)


def test_one_frame_larger_than_all_memory_is_kept_alone():
    ring = Ring(10, 1)
    ring.add(moment(0))
    ring.add(moment(1))
    assert [m.at for m in ring.since(at(0))] == [at(1)]


def test_a_clock_that_was_set_back_leaves_an_order():
    ring = Ring(60, 2**30)
    for seconds in (0, 1, 2, 3, 1.5, 1.7):
        ring.add(moment(seconds))
    assert [m.at for m in ring.since(at(0))] == [at(s) for s in (0, 1, 1.5, 1.7)]
    assert ring.nbytes == sum(m.nbytes for m in ring.since(at(0)))


def test_a_picture_comes_back_and_without_pixels_none_is_there():
    assert np.abs(moment(0).image().astype(int) - picture(0)).mean() < 4
    bare = Moment.of(at(0), picture(0), nobody(), pixels=False)
    assert bare.jpeg is None
    assert bare.image() is None
    assert bare.size == (320, 240)


def test_nothing_is_nearest_to_anything_where_nothing_is():
    assert Ring(1, 1).nearest(at(0)) is None
