"""Clothes show who is who after people were in each other's way."""

from __future__ import annotations

import numpy as np
import pytest

from pose_extract.tracking.crossings import Clothes, ClothingMemory

FPS = 20.0
RED, BLUE, GREEN = np.eye(3)
APART = np.array([[0, 0, 40, 100], [200, 0, 240, 100]], float)
TOGETHER = np.array([[90, 0, 130, 100], [100, 0, 140, 100]], float)


def meet(
    after: tuple[np.ndarray, np.ndarray], before: tuple[np.ndarray, np.ndarray] = (RED, BLUE)
) -> list[tuple[int, int | None]]:
    """Two people are apart for a second, overlap for half of one and are apart again; what was found to be wrong."""
    clothing = ClothingMemory(FPS, margin=0.1, min_colour=0.4)
    mixed = np.array([RED + BLUE, RED + BLUE]) / 2
    keys, found = [7, 9], []
    for i in range(60):
        boxes, colours = APART, np.array(before if i < 20 else after)
        if 20 <= i < 30:
            boxes, colours = TOGETHER, mixed
        for pair in clothing.update(list(keys), boxes, colours, i / FPS):
            found.append(pair)
            if pair[1] is None:
                clothing.split(pair[0], 10)
                keys[keys.index(pair[0])] = 10
            else:
                clothing.exchange(pair[0], pair[1])
    return found


def test_people_who_wear_what_they_wore_are_left_alone() -> None:
    assert meet((RED, BLUE)) == []


def test_exchanged_clothes_are_found_once() -> None:
    assert len(meet((BLUE, RED))) == 1
    assert set(meet((BLUE, RED))[0]) == {7, 9}


def test_people_dressed_alike_are_left_alone() -> None:
    alike = (0.9 * RED + 0.1 * BLUE, 0.95 * RED + 0.05 * BLUE)
    assert meet(alike[::-1], before=alike) == []


def test_clothes_of_neither_are_somebody_else_s() -> None:
    assert meet((RED, GREEN)) == [(9, None)]


def test_one_of_the_two_is_enough_if_the_other_one_is_gone() -> None:
    clothing = ClothingMemory(FPS, margin=0.1, min_colour=0.4)
    found = []
    for i in range(60):
        if i < 30:
            boxes, colours, keys = (APART if i < 20 else TOGETHER), np.array([RED, BLUE]), [7, 9]
        else:
            boxes, colours, keys = APART[:1], BLUE[None], [7]
        found += clothing.update(keys, boxes, colours, i / FPS)
        if found:
            break
    assert found == [(7, 9)]


def test_the_profile_of_an_overlapped_person_is_what_was_seen_before() -> None:
    clothing = ClothingMemory(FPS, margin=0.1, min_colour=0.4)
    for i in range(10):
        clothing.update([7, 9], APART, np.array([RED, BLUE]), i / FPS)
    for i in range(10, 30):
        clothing.update([7, 9], TOGETHER, np.array([BLUE, BLUE]), i / FPS)
    assert clothing.profile(7) == pytest.approx(RED)


def test_forgotten_tracklets_leave_nothing_behind() -> None:
    clothing = ClothingMemory(FPS, margin=0.1, min_colour=0.4)
    clothing.update([7, 9], TOGETHER, np.array([RED, BLUE]), 0.0)
    clothing.forget({9})
    assert clothing.profile(7) is None
    clothing.update([9], APART[1:], BLUE[None], 0.1)
    assert set(clothing.clothes) == {9}


def test_clothes_that_change_from_one_moment_to_the_next_are_somebody_else_s_even_without_an_encounter() -> (
    None
):
    clothing = ClothingMemory(FPS, margin=0.1, min_colour=0.4)
    found = []
    for i in range(60):
        found += clothing.update([7], APART[:1], (RED if i < 30 else BLUE)[None], i / FPS)
        if found:
            break
    assert found == [(7, None)]
    assert clothing.profile(7) == pytest.approx(RED)


def test_clothes_that_change_slowly_as_the_light_does_are_the_same_person_s() -> None:
    clothing = ClothingMemory(FPS, margin=0.1, min_colour=0.4)
    for i in range(200):
        assert clothing.update([7], APART[:1], (RED * (1 - i / 200) + BLUE * i / 200)[None], i / FPS) == []


def test_one_of_two_waits_half_a_second_for_the_other_to_be_seen_alone_too() -> None:
    """After a crossing, 7 wears what 9 wore. While 9 is nowhere to be seen, that might be 9, behind somebody's back."""

    def decided(margin: float, worn: np.ndarray = BLUE, other_from: int = 999) -> float | None:
        clothing = ClothingMemory(FPS, margin=margin, min_colour=0.0)
        for i in range(70):
            if i < 30:
                boxes, colours, keys = (APART if i < 20 else TOGETHER), np.array([RED, BLUE]), [7, 9]
            elif i < other_from:
                boxes, colours, keys = APART[:1], np.array([worn]), [7]
            else:
                boxes, colours, keys = APART, np.array([worn, RED]), [7, 9]
            if found := clothing.update(keys, boxes, colours, i / FPS):
                assert set(found[0]) == {7, 9}
                return (i - 30) / FPS
        return None

    assert decided(0.1) == 0.5
    assert decided(0.1, other_from=30) == 0.2  # both are seen: a quarter of a second each, and it is clear
    # Alone, one must be half as sure again: the gain is here that of a mixture, about 0.57.
    worn = 0.9 * BLUE + 0.1 * RED
    gain = np.sqrt(0.9) - np.sqrt(0.1)
    assert decided(gain / 1.5 - 0.01, worn) == 0.5
    assert decided(gain / 1.5 + 0.01, worn) is None


def memory(margin: float = 0.1, min_colour: float = 0.4) -> ClothingMemory:
    return ClothingMemory(FPS, margin, min_colour)


def test_before_anybody_has_been_seen_alone_for_long_the_profile_is_the_mean_of_what_there_is() -> None:
    clothing = memory()
    assert clothing.profile(7) is None
    clothing.update([7, 9], TOGETHER, np.array([RED, BLUE]), 0.0)
    assert clothing.profile(7) is None
    for i, colour in enumerate((RED, BLUE, GREEN), 1):
        clothing.update([7, 9], APART, np.array([colour, BLUE]), i / FPS)
    assert clothing.profile(7) == pytest.approx((RED + BLUE + GREEN) / 3)
    assert clothing.clothes[7].profile is None  # who was overlapped is looked at again before it counts
    clothing.update([7, 9], TOGETHER, np.array([RED, BLUE]), 0.3)
    assert clothing.profile(7) is None  # of what was seen in between nobody knows whose it is
    clothing.update([7, 9], APART, np.array([0 * RED, BLUE]), 0.4)
    assert clothing.profile(7) is None  # no clothes could be seen


def test_who_meets_nobody_has_a_profile_from_the_first_moment_and_then_one_every_quarter_of_a_second() -> (
    None
):
    clothing, known = memory(min_colour=0.0), []
    for i in range(16):
        clothing.update([7], APART[:1], RED[None], i / FPS)
        known.append(clothing.clothes[7].sightings)
    assert known == [1, 2, 3, 4, 5, 5, 5, 5, 5, 10, 10, 10, 10, 10, 15, 15]


def test_a_profile_is_the_mean_of_the_last_two_seconds_sightings() -> None:
    clothes = Clothes(RED, 30, BLUE, 10, {9})
    clothes.confirm(memory=40)
    assert clothes.profile == pytest.approx(0.75 * RED + 0.25 * BLUE)
    assert (clothes.sightings, clothes.fresh, clothes.fresh_sightings, clothes.met) == (40, None, 0, set())
    clothes.fresh, clothes.fresh_sightings = GREEN, 10
    clothes.confirm(memory=30)  # older ones count as no more than 30
    assert clothes.profile == pytest.approx(0.75 * (0.75 * RED + 0.25 * BLUE) + 0.25 * GREEN)
    clothes.met.add(9)
    before = clothes.profile
    clothes.confirm(memory=30)
    assert clothes.profile is before
    assert clothes.met == set()


@pytest.mark.parametrize(("seen", "settled"), [(4, False), (5, True)])
def test_after_an_exchange_both_go_on_with_the_other_s_profile_which_what_was_seen_since_joins(
    seen, settled
) -> None:
    clothing = memory()
    clothing.clothes = {7: Clothes(RED, 40, BLUE, seen, {9}), 9: Clothes(BLUE, 20, RED, seen, {7, 8})}
    clothing.exchange(7, 9)
    first, second = clothing.clothes[7], clothing.clothes[9]
    assert first.profile == pytest.approx(BLUE)
    assert second.profile == pytest.approx(RED)
    assert (first.met, second.met) == (set(), {8})
    assert (first.sightings, second.sightings) == (20 + seen * settled, 40)
    assert (first.fresh is None) == settled
    assert second.fresh is not None  # it has met somebody else, too


@pytest.mark.parametrize(("alone", "found"), [(4, []), (5, [(7, None)])])
def test_a_profile_of_less_than_a_quarter_of_a_second_makes_nobody_somebody_else(alone, found) -> None:
    clothing, told = memory(), []
    for i in range(alone + 15):
        after = i >= alone + 10
        keys, boxes = ([7, 9], TOGETHER) if alone <= i < alone + 10 else ([7], APART[:1])
        told += clothing.update(keys, boxes, np.array([GREEN if after else RED, BLUE])[: len(keys)], i / FPS)
    assert told == found


def test_of_who_was_never_seen_alone_before_nothing_can_be_told() -> None:
    clothing, told = memory(min_colour=-1.0), []  # nobody is taken for a stranger
    for i in range(60):
        keys, boxes = ([7], APART[:1]) if i < 20 else ([7, 9], TOGETHER if i < 30 else APART)
        told += clothing.update(keys, boxes, np.array([BLUE if i >= 30 else RED, RED])[: len(keys)], i / FPS)
    assert told == []
    assert clothing.clothes[9].profile == pytest.approx(RED)


@pytest.mark.parametrize(("apart", "found"), [(-0.01, True), (0.01, False)])
def test_of_two_who_are_seen_the_mean_of_what_both_gain_counts(apart, found) -> None:
    worn = 0.9 * BLUE + 0.1 * RED
    gain = (np.sqrt(0.9) - np.sqrt(0.1) + 1) / 2
    clothing, told = memory(gain + apart, min_colour=-1.0), []
    for i in range(45):
        boxes = TOGETHER if 20 <= i < 30 else APART
        told += clothing.update([7, 9], boxes, np.array([worn, RED] if i >= 30 else [RED, BLUE]), i / FPS)
        if told:
            break
    assert told == ([(7, 9)] if found else [])


def test_of_two_that_it_met_the_one_whose_clothes_fit_best_is_who_it_is() -> None:
    clothing = memory()
    partly = 0.5 * BLUE + 0.5 * GREEN
    clothing.clothes = {
        key: Clothes(worn, 20, None, 0, {7}) for key, worn in ((8, partly), (9, BLUE), (10, partly))
    } | {7: Clothes(RED, 20, BLUE, 9, {8, 9, 10, 11}, apart_since=0.0)}
    assert clothing.update([7], APART[:1], BLUE[None], 0.6) == [(7, 9)]
    assert clothing.clothes[7].met == {8, 9, 10}  # 11 is not there any more


def test_what_was_seen_since_the_last_encounter_goes_with_who_it_is_parted_from() -> None:
    clothing = memory()
    clothing.clothes = {7: Clothes(RED, 20, BLUE, 9, {9})}
    clothing.split(7, 10)
    old, new = clothing.clothes[7], clothing.clothes[10]
    assert (old.sightings, old.fresh, old.fresh_sightings, old.met) == (20, None, 0, set())
    assert old.profile == pytest.approx(RED)
    assert (new.sightings, new.fresh, new.met) == (9, None, set())
    assert new.profile == pytest.approx(BLUE)


def test_whose_clothes_somebody_wears_is_told_by_the_margin_where_all_are_known() -> None:
    clothing = memory(margin=0.1)
    clothing.clothes = {1: Clothes(RED, 9), 2: Clothes(BLUE, 9), 3: Clothes(RED, 9), 4: Clothes()}
    assert clothing.wears(3, owner=1, rather_than=2)
    assert not clothing.wears(3, owner=2, rather_than=1)
    assert not clothing.wears(3, owner=1, rather_than=1)
    for key, owner, other in ((4, 1, 2), (3, 4, 2), (3, 1, 4), (99, 1, 2)):
        assert not clothing.wears(key, owner, other)
    clothing.clothes[3] = Clothes(0.55 * RED + 0.45 * BLUE, 9)  # 0.07 more alike with one than with the other
    assert not clothing.wears(3, owner=1, rather_than=2)


@pytest.mark.parametrize("first", [Clothes(GREEN, 20, None, 0, {7}), Clothes(None, 0, GREEN, 9, {7})])
def test_one_of_whom_nothing_is_known_yet_does_not_hide_another_who_it_clearly_is(first) -> None:
    """It has met 8, who is not seen alone yet or never was before, and 9, whose clothes it wears and who wears its."""
    clothing = memory()
    clothing.clothes = {
        7: Clothes(RED, 20, BLUE, 9, {8, 9}, apart_since=0.5), 8: first, 9: Clothes(BLUE, 20, RED, 9, {7})
    }  # fmt: skip
    assert clothing.update([7], APART[:1], BLUE[None], 0.6) == [(7, 9)]


@pytest.mark.parametrize(("alike", "found"), [(0.54, [(7, None)]), (0.56, [])])
def test_the_mean_of_several_sightings_must_be_more_alike_than_a_single_one(alike, found) -> None:
    clothing = memory(min_colour=0.4)
    worn = alike**2 * RED + (1 - alike**2) * BLUE
    clothing.clothes = {7: Clothes(RED, 20, worn, 4)}
    assert clothing.update([7], APART[:1], worn[None], 1.0) == found
