"""Things in pictures: what the alarm is about in its colour, the others faint."""

from __future__ import annotations

import numpy as np

from pipeline.pictures.drawing import ALARM, UNKNOWN, draw_caption, draw_things

GREY = 128


def ground(size=(160, 120)):
    return np.full((size[1], size[0], 3), GREY, np.uint8)


def amount(image, colour):
    return int(np.sum(np.abs(image.astype(int) - colour).max(axis=2) < 12))


def test_what_the_alarm_is_about_is_in_its_colour_and_other_things_are_faint():
    image = ground()
    boxes = np.array([[10, 30, 60, 100], [90, 30, 150, 100]], np.float32)
    draw_things(image, boxes, ["", ""], np.array([True, False]))
    assert amount(image[:, :80], ALARM) > 150
    assert amount(image[:, 80:], ALARM) == 0
    faint = (GREY + UNKNOWN[0]) // 2
    assert image[60, 90].tolist() == [faint] * 3
    assert image[60, 120].tolist() == [GREY] * 3  # a frame, no plate


def test_what_is_meant_is_drawn_over_what_is_not_whatever_the_order():
    image = ground()
    boxes = np.array([[10, 30, 60, 100], [10, 30, 60, 100]], np.float32)
    draw_things(image, boxes, ["", ""], np.array([True, False]))
    assert amount(image, ALARM) > 150


def test_words_are_written_and_boxes_beyond_the_picture_are_cut():
    image = ground()
    boxes = np.array([[-50, -20, 400, 300], [300, 300, 400, 400], [40, 50, 90, 90]], np.float32)
    draw_things(image, boxes, ["car 1", "", "bicycle 2"], np.array([True, False, False]))
    assert amount(image, ALARM) > 100  # the plate
    bare = ground()
    draw_things(bare, boxes[2:], [""], np.zeros(1, bool))
    worded = ground()
    draw_things(worded, boxes[2:], ["bicycle 2"], np.zeros(1, bool))
    assert (worded != bare).any()
    assert (worded[60:] == bare[60:]).all()  # it stands above the box
    draw_things(ground(), np.zeros((0, 4), np.float32), [], np.zeros(0, bool))


def test_a_caption_begins_with_a_capital_and_stays_inside():
    for width in (240, 640):
        image = ground((width, 120))
        draw_caption(image, "many move as they usually do not here")
        rows, columns = np.nonzero((image != GREY).any(axis=2))
        assert columns.max() < width - 1
        assert rows.max() < 40
    upper, lower = ground(), ground()
    draw_caption(upper, "Car")
    draw_caption(lower, "car")
    assert (upper == lower).all()
