"""Clothes show who is who after people were in each other's way."""

from __future__ import annotations

import numpy as np
import pytest

from pose_extract.tracking.crossings import ClothingMemory

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
