"""Who has come back: tracklets by hand, and the pairs that are made of them."""

from __future__ import annotations

import numpy as np
import pytest

from pose_extract.tracking.linking import LEFT_S, OVERLAP_S, Tracklet, link

SIZE = (640, 360)
RED, BLUE = np.eye(2)


def seen(
    key: int,
    start: tuple[float, float],
    velocity: tuple[float, float] = (0.0, 0.0),
    begins: float = 0.0,
    ends: float = 1.0,
    height: float = 100.0,
    fps: float = 10.0,
) -> Tracklet:
    """Somebody whose box's middle goes from ``start`` at ``velocity`` (px/s), a fifth as wide as high."""
    tracklet = Tracklet(key)
    for step in range(round((ends - begins) * fps) + 1):
        x, y = np.array(start) + np.array(velocity) * step / fps
        half = height / 10, height / 2
        tracklet.add(begins + step / fps, np.array([x - half[0], y - half[1], x + half[0], y + half[1]]))
    return tracklet


def linked(
    begun: Tracklet | list[Tracklet],
    lost: Tracklet | list[Tracklet],
    now: float = 10.0,
    gap: float = 3.0,
    distance: float = 0.8,
    colours: dict[int, np.ndarray] | None = None,
) -> dict[int, int]:
    begun = begun if isinstance(begun, list) else [begun]
    lost = lost if isinstance(lost, list) else [lost]
    return link(begun, lost, now, SIZE, gap, distance, (colours or {}).get)


def test_who_is_found_again_nearby_is_the_same_and_far_off_somebody_else() -> None:
    lost = seen(1, (300, 200))
    # After a second the allowance is 0.25 + 0.8 body heights; a cost of 0.6 of the distance over it is below 1.
    assert linked(seen(2, (300 + 104, 200), begins=2, ends=3), lost) == {2: 0}
    assert linked(seen(2, (300 + 160, 200), begins=2, ends=3), lost) == {}
    # What is allowed grows with the root of the gap.
    assert linked(seen(2, (300 + 40, 200), begins=1.1, ends=2), lost) == {2: 0}
    assert linked(seen(2, (300 + 90, 200), begins=1.1, ends=2), lost) == {}
    assert linked(seen(2, (300 + 160, 200), begins=4, ends=5), lost) == {2: 0}


def test_the_longest_time_out_of_sight_is_a_limit() -> None:
    lost = seen(1, (300, 200))
    assert linked(seen(2, (300, 200), begins=4.0, ends=5), lost) == {2: 0}
    assert linked(seen(2, (300, 200), begins=4.1, ends=5), lost) == {}


def test_a_new_track_may_begin_a_moment_before_the_old_one_ends_if_that_one_is_out_of_sight() -> None:
    lost = seen(1, (300, 200))
    assert linked(seen(2, (300, 200), begins=1 - OVERLAP_S + 0.05, ends=2), lost) == {2: 0}
    assert linked(seen(2, (300, 200), begins=1 - OVERLAP_S - 0.05, ends=2), lost) == {}
    still = 1.0 + OVERLAP_S / 2
    assert linked(seen(2, (300, 200), begins=0.9, ends=2), lost, now=still) == {}
    assert linked(seen(2, (300, 200), begins=1.1, ends=2), lost, now=still) == {2: 0}


@pytest.mark.parametrize(
    ("ratio", "same"), [(1.0, True), (1.6, True), (1 / 1.6, True), (1.7, False), (5.0, False), (0.2, False)]
)
def test_people_do_not_grow_nor_shrink_while_they_are_out_of_sight(ratio: float, same: bool) -> None:
    lost = seen(1, (300, 180))
    assert bool(linked(seen(2, (300, 180), begins=2, ends=3, height=100 * ratio), lost)) == same


def test_the_way_is_measured_forwards_and_backwards() -> None:
    """Both go right: the lost one's pace leads to where the new one begins, and back. One who comes back does not."""
    pace = 100 * (1 - np.exp(-1))  # the part of a second's way that is trusted
    lost = seen(1, (200, 200), (100, 0))
    end = 300.0
    onwards = seen(2, (end + pace, 200), (100, 0), begins=2, ends=3)
    back = seen(3, (end + pace, 200), (-100, 0), begins=2, ends=3)
    assert linked(onwards, lost, distance=0.1) == {2: 0}
    assert linked(back, lost, distance=0.1) == {}


def test_clothes_count_where_both_are_known() -> None:
    lost, begun = seen(1, (300, 200)), seen(2, (300, 200), begins=2, ends=3)
    assert linked(begun, lost, colours={1: RED, 2: RED}) == {2: 0}
    assert linked(begun, lost, colours={1: RED, 2: BLUE}) == {}
    assert linked(begun, lost, colours={1: RED}) == {2: 0}
    # Nearer, but in other clothes.
    near, far = seen(2, (300, 200), begins=2, ends=3), seen(3, (340, 200), begins=2, ends=3)
    mixed = 0.45 * RED + 0.55 * BLUE
    assert linked([near, far], lost, colours={1: RED, 2: mixed, 3: RED}) == {3: 0}
    assert linked([near, far], lost) == {2: 0}


def test_pairs_are_chosen_together_at_the_least_total_cost() -> None:
    """The nearest pair alone would leave the other two apart."""
    a, b = seen(1, (300, 200)), seen(2, (360, 200))
    first, second = seen(3, (340, 200), begins=2, ends=3), seen(4, (420, 200), begins=2, ends=3)
    assert linked([first, second], [a, b]) == {3: 0, 4: 1}
    assert linked([second, first], [b, a]) == {3: 1, 4: 0}
    assert linked([], [a]) == {}
    assert linked([first], []) == {}


def test_who_walked_out_of_the_picture_is_not_found_again_inside_unless_at_once() -> None:
    leaver = seen(1, (550, 200), (80, 0))  # at 630 when last seen
    assert leaver.has_left(SIZE)
    assert linked(seen(2, (620, 200), begins=1 + LEFT_S + 0.05, ends=3), leaver) == {}
    assert linked(seen(2, (625, 200), begins=1 + LEFT_S - 0.05, ends=3), leaver) == {2: 0}
    comer = seen(2, (630, 200), (-80, 0), begins=1 + LEFT_S - 0.05, ends=3)
    assert comer.has_come_in(SIZE)
    assert linked(comer, leaver) == {}


@pytest.mark.parametrize(
    ("middle", "velocity", "left"),
    [
        ((15, 200), (-30, 0), True),  # left border
        ((625, 200), (30, 0), True),  # right
        ((300, 55), (0, -30), True),  # top
        ((300, 305), (0, 30), True),  # bottom
        ((15, 200), (30, 0), False),  # inwards
        ((15, 200), (-10, 0), False),  # too slow
        ((60, 200), (-30, 0), False),  # not there yet
        ((15, 200), (0, 0), False),
    ],
)
def test_to_have_left_is_to_be_at_the_border_and_on_the_way_out(middle, velocity, left) -> None:
    start = np.array(middle) - np.array(velocity)
    assert seen(1, tuple(start), velocity).has_left(SIZE) == left
    assert seen(1, middle, tuple(-np.array(velocity))).has_come_in(SIZE) == left


def test_a_tracklet_keeps_its_first_and_its_last_moments_only() -> None:
    tracklet = seen(1, (300, 200), begins=5, ends=65)
    assert (tracklet.hits, tracklet.first_time, tracklet.last_time) == (601, 5.0, 65.0)
    assert tracklet.head[0][0] == 5.0
    assert tracklet.head[-1][0] == pytest.approx(5.8)
    assert tracklet.tail[0][0] == pytest.approx(63.0)
    assert tracklet.tail[-1][0] == 65.0


def test_what_was_seen_from_a_time_on_goes_to_the_new_tracklet() -> None:
    old = seen(1, (300, 200), ends=1.5)
    old.person = 7
    new = old.split(9, 1.0)
    assert (old.key, old.person, old.hits, old.last_time) == (1, 7, 10, pytest.approx(0.9))
    assert [time for time, _ in old.tail] == pytest.approx([0.1 * i for i in range(10)])
    assert old.head[-1][0] < 1.0
    assert (new.key, new.person, new.hits) == (9, None, 6)
    assert (new.first_time, new.last_time) == (pytest.approx(1.0), pytest.approx(1.5))
    assert len(new.head) == len(new.tail) == 6
    early = seen(2, (300, 200), ends=0.5)
    later = early.split(3, 0.0)  # all of it is the other one's: one sighting stays with each
    assert (early.hits, len(early.tail), len(early.head), later.hits) == (1, 1, 1, 6)
    nothing = seen(4, (300, 200), ends=0.5).split(5, 9.0)
    assert (nothing.hits, nothing.first_time) == (1, 0.5)


def walk_out_and_in(turn: float, away: float) -> Tracklet:
    """To the right border until ``turn`` px of the box are left in the picture, and ``away`` px back."""
    tracklet, left = Tracklet(1), 560.0
    way = [*np.arange(left, 640 - turn, 4.0), *np.arange(640 - turn, 640 - turn - away, -4.0)]
    for step, x in enumerate(way):
        tracklet.add(step / 20, np.array([x, 100, x + 40, 200]))
    return tracklet


def test_who_turns_at_the_picture_s_border_is_two_people_from_when_the_least_was_seen() -> None:
    turned = walk_out_and_in(turn=10, away=30)
    time = turned.turned_at_border(SIZE)
    assert time is not None
    least = min(turned.tail, key=lambda sighting: 640 - sighting[1][0])[0]
    assert time == least
    assert walk_out_and_in(turn=40, away=30).turned_at_border(SIZE) is None  # seen well all the time
    assert walk_out_and_in(turn=10, away=12).turned_at_border(SIZE) is None  # not back yet
    inside = seen(1, (300, 180), height=60)
    assert inside.turned_at_border(SIZE) is None


WAYS = {  # border -> where the box is of whom so many px are still in the picture
    "left": lambda there: (there - 40, 120, there, 220),
    "right": lambda there: (640 - there, 120, 680 - there, 220),
    "bottom": lambda there: (300, 360 - there, 340, 460 - there),
}


@pytest.mark.parametrize("border", WAYS)
@pytest.mark.parametrize(
    ("begins", "least", "ends", "turned"),
    [
        (60, 10, 60, True),
        (60, 28, 60, True),
        (60, 32, 60, False),  # a third of its height stayed in sight
        (32, 10, 60, True),
        (28, 10, 60, False),  # it hardly went
        (60, 10, 32, True),
        (60, 10, 28, False),  # it has hardly come back
        (60, 10, 130, True),
        (60, 10, 210, False),  # it is well inside again: whatever that was is over
    ],
)
def test_to_turn_at_a_border_is_to_have_been_nearly_gone(border, begins, least, ends, turned) -> None:
    tracklet, way = Tracklet(1), [*range(begins, least, -2), *range(least, ends + 1, 2)]
    for step, there in enumerate(way):
        tracklet.add(step / 100, np.array(WAYS[border](there), float))
    time = tracklet.turned_at_border(SIZE)
    assert (time is not None) == turned
    if turned:
        assert time == way.index(least) / 100


def test_nobody_turns_at_the_top_where_heads_are() -> None:
    tracklet = Tracklet(1)
    for step, there in enumerate([*range(60, 10, -2), *range(10, 61, 2)]):
        tracklet.add(step / 100, np.array([300, there - 100, 340, there], float))
    assert tracklet.turned_at_border(SIZE) is None


def test_three_sightings_have_a_velocity_and_two_have_none() -> None:
    for ends, moves in ((0.2, True), (0.1, False)):
        assert seen(1, (622, 200), (60, 0), ends=ends).has_left(SIZE) == moves
    standing = Tracklet(1)
    for _ in range(4):  # a video whose time stands still
        standing.add(3.0, np.array([600.0, 100, 640, 200]))
    assert not standing.has_left(SIZE)


def test_alike_clothes_do_not_bring_somebody_back_from_too_far_away() -> None:
    lost, far = seen(1, (300, 200)), seen(2, (300 + 160, 200), begins=2, ends=3)
    assert linked(far, lost, colours={1: RED, 2: RED}) == {}


def test_a_velocity_is_measured_over_the_last_and_the_first_eight_tenths_of_a_second() -> None:
    tracklet = seen(1, (300, 200), ends=2)
    assert [time for time, _ in tracklet.head] == pytest.approx([0.1 * i for i in range(9)])
    walker = Tracklet(1)  # first to the left, then out to the right
    for step in range(30):
        x = 500 - 20 * step if step < 10 else 440 + 10 * (step - 10)
        walker.add(step / 10, np.array([x, 100.0, x + 20, 200.0]))
    assert walker.has_left(SIZE)


@pytest.mark.parametrize(("size", "away", "same"), [(1.0, 1.3, True), (1.6, 1.1, True), (1.6, 1.3, False)])
def test_a_long_way_and_another_size_are_too_much_together(size: float, away: float, same: bool) -> None:
    lost = seen(1, (300, 180))
    height = 100 * (1 + size) / 2
    begun = seen(2, (300 + away * height * (0.25 + 0.8), 180), begins=2, ends=3, height=100 * size)
    assert bool(linked(begun, lost)) == same


@pytest.mark.parametrize(
    ("alike", "away", "same"),
    [(0.4, 0.0, True), (0.3, 0.0, False), (0.8, 1.45, True), (1.0, 1.45, True), (0.75, 1.45, False)],
)
def test_clothes_below_17_twentieths_alike_cost_twice_what_they_lack(alike, away, same) -> None:
    worn = alike**2 * RED + (1 - alike**2) * BLUE
    lost, begun = seen(1, (300, 200)), seen(2, (300 + away * 105, 200), begins=2, ends=3)
    assert bool(linked(begun, lost, colours={1: RED, 2: worn})) == same


def sighted(key: int, *middles: float, begins: float) -> Tracklet:
    """Somebody seen a few times, a tenth of a second apart."""
    tracklet = Tracklet(key)
    for step, x in enumerate(middles):
        tracklet.add(begins + step / 10, np.array([x - 10, 150.0, x + 10, 250.0]))
    return tracklet


def test_of_who_was_seen_once_or_twice_the_sighting_nearest_to_the_gap_counts() -> None:
    lost = seen(1, (300, 200))
    assert linked(sighted(2, 300, begins=2), lost) == {2: 0}
    assert linked(sighted(2, 300, 600, begins=2), lost) == {2: 0}
    assert linked(sighted(2, 600, 300, begins=2), lost) == {}
    begun = seen(2, (300, 200), begins=2, ends=3)
    assert linked(begun, sighted(1, 300, begins=1)) == {2: 0}
    assert linked(begun, sighted(1, 600, 300, begins=0.9)) == {2: 0}
    assert linked(begun, sighted(1, 300, 600, begins=0.9)) == {}


@pytest.mark.parametrize(("border", "far"), [("left", 140), ("right", 140), ("bottom", 200)])
def test_who_has_come_in_farther_than_their_height_has_not_just_turned(border: str, far: int) -> None:
    for beyond, turned in ((0, True), (1, False)):
        tracklet = Tracklet(1)
        for step, there in enumerate([60, 30, 10, 30, 60, far, far + beyond]):
            tracklet.add(step / 100, np.array(WAYS[border](there), float))
        assert (tracklet.turned_at_border(SIZE) == 2 / 100) == turned
