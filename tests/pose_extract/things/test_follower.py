import numpy as np
import pytest

from pose_extract.things.finder import Sighting
from pose_extract.things.follower import ThingFollower
from pose_extract.things.settings import ThingSettings
from pose_extract.tracks.things import GONE, LEFT, PERSON, UNKNOWN, Things

LOOKS = 10.0  # a second
FRAME = 3000, 600  # pixels, wide enough for all courses
NOBODY = (np.zeros(0, np.int32), np.zeros((0, 4), np.float32))


def sighting(*things, stature=100.0):
    """Things, each a box and, if they are not the usual ones, its kind, how solid it is, its outline now and before.

    Of what has a name the detector's score comes in the place of how solid it is, and nothing stands out there.
    """
    usual = [
        (UNKNOWN, 0.9, 2.0, 0.2) if len(each) < 2 or each[1] == UNKNOWN else (0, 0.8, 1.0, 1.0)
        for each in things
    ]
    full = [(*each, *values[len(each) - 1 :]) for each, values in zip(things, usual, strict=True)]
    boxes = np.array([each[0] for each in full], np.float32).reshape(-1, 4)
    kinds = np.array([each[1] for each in full], np.uint8)
    first, outline, before = (np.array([each[i] for each in full], np.float32) for i in (2, 3, 4))
    score, solid = np.where(kinds == UNKNOWN, 0, first), np.where(kinds == UNKNOWN, first, 0)
    return Sighting(boxes, kinds, score, solid, outline, before, stature)


def box(x, y=100.0, w=40.0, h=30.0):
    return x, y, x + w, y + h


def follow(looks, people=None, settings=None):
    """What is said at each look; ``looks(i)`` gives its things, ``people(i)`` ids and boxes."""
    follower = ThingFollower(settings or ThingSettings(), LOOKS, FRAME)
    count = 60
    return [
        follower.update(i / LOOKS, sighting(*looks(i)), *(people(i) if people else NOBODY))
        for i in range(count)
    ]


def test_what_moves_on_has_one_id_a_speed_and_an_age():
    found = follow(lambda i: [(box(10 + 8 * i),)])
    assert [len(each) for each in found[:2]] == [0, 0]  # not before it was seen three times
    last = found[-1]
    assert last.ids.tolist() == [1]
    assert last.kinds.tolist() == [UNKNOWN]
    assert last.velocity[0] == pytest.approx([80, 0], abs=5)
    assert last.age_s[0] == pytest.approx(5.9)
    assert last.still_s[0] < 0.5
    assert last.quality[0] > 0.9
    assert last.person.tolist() == [0]


def test_small_fast_things_that_never_overlap_are_one():
    ids = np.concatenate([each.ids for each in follow(lambda i: [(box(10 + 30 * i, w=12, h=12),)])])
    assert set(ids.tolist()) == {1}


def test_the_detectors_name_lasts_over_looks_without_one():
    found = follow(lambda i: [(box(10 + 8 * i), 1 if i % 3 else UNKNOWN, 0.7)])
    assert found[-1].kinds.tolist() == [1]
    assert found[-1].quality[0] > 0.4


def test_what_stays_where_nothing_was_is_left_behind_and_where_something_was_it_has_gone():
    left = follow(lambda i: [(box(100), UNKNOWN, 0.9, 2.0, 0.2)])
    gone = follow(lambda i: [(box(100), UNKNOWN, 0.9, 0.2, 2.0)])
    assert (left[-1].kinds.tolist(), gone[-1].kinds.tolist()) == ([LEFT], [GONE])
    assert left[-1].still_s[0] == pytest.approx(5.9)
    assert not any(len(each) for each in left[:20])  # not before two seconds
    assert left[21].kinds.tolist() == [LEFT]


def test_a_shadow_has_no_outline_and_leaves_go_to_and_fro():
    shadow = follow(lambda i: [(box(10 + 8 * i), UNKNOWN, 0.9, 1.0, 1.0)])
    assert not len(shadow[-1])
    rng = np.random.default_rng(0)
    leaves = follow(lambda i: [(box(200 + rng.uniform(-25, 25), 100 + rng.uniform(-25, 25), 30, 30),)])
    assert (
        not len(Things.concatenate(leaves[20:]).ids) or Things.concatenate(leaves[20:]).quality.mean() < 0.6
    )


def test_what_trembles_in_its_place_goes_nowhere_and_is_nothing_and_a_name_is_believed_at_once():
    def tremble(i):
        return box(100 + 30 * (i % 2))

    assert not any(len(each) for each in follow(lambda i: [(tremble(i),)])[:20])
    named = follow(lambda i: [(tremble(i), 32, 0.6)])
    assert named[10].kinds.tolist() == [32]


def test_what_has_no_name_has_to_be_surer_once():
    faint = follow(
        lambda i: [(box(10 + 8 * i), UNKNOWN, 0.12, 2.0, 0.2)]
    )  # a quality of 0.4: more than is asked for
    assert not any(len(each) for each in faint)
    later = follow(lambda i: [(box(10 + 8 * i), UNKNOWN, 0.12 if i % 40 > 9 else 0.2, 2.0, 0.2)])
    assert 0.3 < later[-1].quality[0] < 0.45


def test_the_place_of_somebody_who_stood_there_from_the_beginning_is_nothing():
    stood = np.array([[90, 60, 150, 160]], np.float32)

    def people(i):
        return (np.array([1], np.int32), stood + (0 if i < 10 else 30 * (i - 10)))

    found = follow(lambda i: [(box(100, 80, 40, 70), UNKNOWN, 0.9, 0.2, 2.0)] if i > 15 else [], people)
    assert UNKNOWN not in found[-1].kinds
    assert GONE not in found[-1].kinds


def test_whom_a_thing_moves_with_is_told():
    def people(i):
        return np.array([7, 9], np.int32), np.array(
            [(8 * i, 60, 8 * i + 30, 160), (300, 60, 330, 160)], np.float32
        )

    found = follow(lambda i: [(box(40 + 8 * i),)], people)
    assert found[-1].person[0] == 7


def test_somebody_who_stays_is_told_with_the_time_and_their_own_id():
    def people(i):
        x = 100 if i < 55 else 400
        return np.array([3], np.int32), np.array([(x, 60, x + 30, 160)], np.float32)

    found = follow(lambda i: [], people, ThingSettings(stays_s=2.0))
    assert not len(found[19])
    assert (found[50].kinds.tolist(), found[50].ids.tolist(), found[50].person.tolist()) == (
        [PERSON],
        [3],
        [3],
    )
    assert found[50].still_s[0] == pytest.approx(5.0)
    assert not len(found[-1])


def test_what_stays_is_found_again_after_it_was_hidden_and_meanwhile_taken_to_be_there_for_a_while():
    found = follow(lambda i: [(box(100),)] if i < 30 or i >= 55 else [])
    assert found[40].ids.tolist() == [1]
    assert not len(found[53])
    assert found[-1].ids.tolist() == [1]
    assert found[-1].still_s[0] > 5


def test_what_was_hidden_is_as_sure_afterwards_as_before():
    def looks(i):
        return [] if 20 <= i < 40 else [(box(10 + 8 * i), 1, 0.4)]

    crowd = np.array([4], np.int32), np.array([[150, 50, 420, 300]], np.float32)
    found = [each.select(each.kinds == 1) for each in follow(looks, lambda i: crowd)]
    assert (found[19].ids.tolist(), found[41].ids.tolist()) == ([1], [1])
    assert found[41].quality[0] > 0.9 * found[19].quality[0]


def test_ids_go_on_from_where_an_earlier_stretch_ended():
    follower = ThingFollower(ThingSettings(), LOOKS, FRAME, first_id=5)
    for i in range(9):
        last = follower.update(i / LOOKS, sighting((box(10 + 8 * i),)), *NOBODY)
    assert last.ids.tolist() == [5]
    assert follower.next_id == 6


def test_what_is_a_tenth_as_large_is_something_else():
    """A car leaves, and a shoe is found near where it was last: that is not the car."""
    car, shoe = (2500.0, 100.0, 2600.0, 190.0), (2570.0, 170.0, 2590.0, 180.0)
    found = follow(lambda i: [(car, 2, 0.8)] if i < 20 else [(shoe, 36, 0.35)])
    assert found[19].ids.tolist() == [1]
    assert not any(1 in each.ids[np.abs(each.boxes[:, 0] - shoe[0]) < 5].tolist() for each in found[20:])


@pytest.mark.parametrize(("edge", "held"), [(True, 0), (False, 4)])
def test_what_was_last_seen_at_the_edge_has_left(edge, held):
    """It comes from far to the left and is lost in the middle, or at the right edge."""
    end = FRAME[0] if edge else FRAME[0] / 2
    found = follow(
        lambda i: (
            [((end - 60 + 2 * i - 38, 100, min(end + 2 * i - 38, FRAME[0]), 140), 2, 0.8)] if i < 20 else []
        )
    )
    assert found[19].ids.tolist() == [1]
    assert sum(len(each) for each in found[20:]) == held


@pytest.mark.parametrize(
    ("kind", "covered", "held"),
    [(1, True, 15), (1, False, 4), (UNKNOWN, True, 4)],
    ids=["bicycle", "open", "moving"],
)
def test_what_has_a_name_goes_on_behind_people(kind, covered, held):
    def looks(i):
        return [] if 20 <= i < 35 else [(box(10 + 8 * i), kind)]

    crowd = np.array([4], np.int32), np.array([[150, 50, 320, 300 if covered else 60]], np.float32)
    found = [each.select(each.kinds != PERSON) for each in follow(looks, lambda i: crowd)]
    assert [len(each) for each in found[20:35]] == [1] * held + [0] * (15 - held)
    for i in range(20, 20 + held):
        assert found[i].boxes[0] == pytest.approx(np.array(box(10 + 8 * i)), abs=10)
    assert found[-1].ids.tolist() == ([1] if kind != UNKNOWN else [2])


@pytest.mark.parametrize("kind", [26, UNKNOWN])
def test_what_was_just_put_down_and_hidden_is_found_again_in_its_place(kind):
    follower = ThingFollower(ThingSettings(), LOOKS, FRAME)
    way = [400 + 24 * min(0, i - 6) for i in range(18)]  # it comes for 0.6 s and stands for 1.2 s
    last, stop = way[-1], len(way) + 30  # hidden for three seconds
    for i in range(stop + 30):
        x = way[i] if i < len(way) else last
        seen = [] if len(way) <= i < stop else [(box(x, w=40, h=40), kind)]
        found = follower.update(i / LOOKS, sighting(*seen, stature=150.0), *NOBODY)
    assert found.ids.tolist() == [1]


def test_what_comes_out_from_behind_people_is_never_there_twice():
    people = np.array([5, 6], np.int32), np.array([[400, 50, 480, 200], [480, 50, 560, 200]], np.float32)

    def looks(i):
        left, right = 60 + 10 * i, 150 + 10 * i
        parts = [(left, min(right, 400)), (max(left, 560), right)]
        return [((a, 120, b, 180), 1) for a, b in parts if b - a >= 36]  # of which a detector sees enough

    follower = ThingFollower(ThingSettings(), LOOKS, FRAME)
    found = [follower.update(i / LOOKS, sighting(*looks(i), stature=150.0), *people) for i in range(80)]
    bicycles = [each.ids[each.kinds == 1].tolist() for each in found]
    assert bicycles[5:] == [[1]] * 75


def test_what_comes_out_from_behind_people_half_covered_at_first_keeps_its_id():
    def looks(i):
        left, right = 60 + 10 * i, 150 + 10 * i
        a, b = (left, right) if right <= 400 else (max(left, 500), right)
        return [((a, 120, b, 180), 1)] if b - a >= 20 else []

    follower = ThingFollower(ThingSettings(), LOOKS, FRAME)
    people = np.array([5], np.int32), np.array([[400, 50, 500, 200]], np.float32)
    found = [follower.update(i / LOOKS, sighting(*looks(i), stature=150.0), *people) for i in range(60)]
    assert found[-1].ids[found[-1].kinds == 1].tolist() == [1]


@pytest.mark.parametrize(("kind", "held"), [(28, 15), (UNKNOWN, 0)], ids=["suitcase", "part of them"])
def test_what_moves_with_somebody_and_is_not_seen_goes_where_they_go(kind, held):
    def x(i):
        return 10 + 8 * min(i, 40) - 8 * max(0, i - 40)  # they turn back

    def people(i):
        return np.array([7], np.int32), np.array([(x(i), 60, x(i) + 30, 160)], np.float32)

    found = follow(lambda i: [(box(x(i) + 15), kind)] if not 36 <= i < 51 else [], people)
    found = [each.select(each.kinds != PERSON) for each in found]
    assert (found[35].ids.tolist(), found[35].person.tolist()) == ([1], [7])
    assert [len(each) for each in found[36:51]] == [1] * held + [0] * (15 - held)
    for i in range(36, 36 + held):
        assert found[i].boxes[0] == pytest.approx(np.array(box(x(i) + 15)), abs=20 if i > 40 else 1)
    if held:  # they turned at once: it takes a moment to believe that
        assert found[50].boxes[0] == pytest.approx(np.array(box(x(50) + 15)), abs=15)


def test_what_is_pushed_does_not_tremble_with_a_half_hidden_person():
    rng = np.random.default_rng(0)
    off = rng.normal(0, 15, 60)

    def people(i):
        return np.array([7], np.int32), np.array([(8 * i, 60 + off[i], 8 * i + 30, 160 + off[i])], np.float32)

    found = follow(lambda i: [(box(40 + 8 * i), 1)] if i < 36 else [], people)
    y = [float(each.boxes[each.kinds == 1][0, 1]) for each in found[36:55]]
    assert np.abs(np.array(y) - 100).mean() < 10
    assert np.std(np.diff(y)) < 8


def test_what_was_just_put_down_stays_where_it_is_while_somebody_hides_it():
    def x(i):
        return 10 + 24 * min(i, 12)

    somebody = np.array([4], np.int32), np.array([[0, 50, 600, 300]], np.float32)
    found = follow(lambda i: [(box(x(i)), 26)] if i < 26 else [], lambda i: somebody)
    found = [each.select(each.kinds == 26) for each in found]
    assert [len(each) for each in found[26:48]] in ([1] * 19 + [0] * 3, [1] * 20 + [0] * 2)
    assert all(each.boxes[0] == pytest.approx(np.array(box(x(25)))) for each in found[26:45])


@pytest.mark.parametrize("x", [[*[0] * 7, 12, 24, 35], [2700 + 25 * i for i in range(10)]], ids=["in", "out"])
def test_what_comes_in_or_is_about_to_go_out_is_not_taken_to_be_there(x):
    """It is lost while it touches the edge, though it would be within by now; or before, and would touch it now."""
    people = np.array([4], np.int32), np.array([[0, 0, *FRAME]], np.float32)
    found = follow(lambda i: [(box(x[i], w=32), 1, 0.8)] if i < 10 else [], lambda i: people)
    found = [each.select(each.kinds == 1) for each in found]
    assert len(found[9]) == 1
    assert not any(len(each) for each in found[10:])


def test_what_has_a_name_is_no_place_that_somebody_has_left():
    place = (300.0, 60.0, 340.0, 220.0)

    def somebody(i):
        return np.array([5], np.int32), np.array([place], np.float32) + (0 if i < 18 else 25 * (i - 17))

    def looks(i):
        x = np.array([place], np.float32)
        values = (np.array([v], np.float32) for v in (0.8, 0.6, 0.3, 2.0))  # fainter than what was there
        return Sighting(x, np.array([28], np.uint8), *values, 100.0) if i >= 25 else sighting()

    follower = ThingFollower(ThingSettings(), LOOKS, FRAME)
    found = [follower.update(i / LOOKS, looks(i), *somebody(i)) for i in range(60)]
    assert found[-1].kinds[found[-1].kinds != PERSON].tolist() == [28]


def test_what_is_large_is_sure_the_sooner():
    def first(side):
        found = follow(lambda i: [((100 + 20 * i, 100, 100 + 20 * i + side, 100 + side), 2, 0.5)])
        return next(i for i, each in enumerate(found) if len(each) and each.quality[0] >= 0.4)

    assert first(200) < first(50)


def test_an_outline_and_a_name_count_each_for_itself():
    """A detector that is hardly sure, and a region that clearly goes: together no less than the region alone."""
    region = follow(lambda i: [(box(10 + 8 * i),)])[-1]
    follower = ThingFollower(ThingSettings(), LOOKS, FRAME)
    for i in range(60):
        x = np.array([box(10 + 8 * i)], np.float32)
        seen = Sighting(
            x, np.array([1], np.uint8), *(np.array([v], np.float32) for v in (0.31, 0.9, 2.0, 0.2)), 100.0
        )
        found = follower.update(i / LOOKS, seen, *NOBODY)
    assert found.kinds.tolist() == [1]
    assert found.quality[0] >= region.quality[0] - 1e-6


def test_a_place_that_somebody_has_left_is_not_the_bicycle_that_passed_there():
    """Who stood there from the beginning was background; the bicycle passes; the place differs from then on."""
    place = (300.0, 60.0, 340.0, 220.0)

    def looks(i):
        if i < 20:
            return [((700 - 20 * i, 120, 780 - 20 * i, 200), 1, 0.8)]
        return [(place, UNKNOWN, 0.6, 0.3, 2.0)]

    def somebody(i):
        boxes = np.array([place], np.float32) + (0 if i < 18 else 25 * (i - 17))
        return np.array([5], np.int32), boxes

    found = follow(looks, somebody)
    assert found[19].kinds[found[19].ids == 1].tolist() == [1]
    for each in found[26:]:
        assert not (np.abs(each.boxes[:, 0] - place[0]) < 5).any()
