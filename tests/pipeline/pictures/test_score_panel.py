"""The strip below the overlay's picture, by its pixels."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.pictures.drawing import anomaly_colour, level
from pipeline.pictures.score_panel import _CALM, _SHADE, ALARM, ScorePanel, clock_text

WIDTH, HEIGHT = 640, 80
NOW = (240, 240, 240)


def panel(percentile, alarm=None, width=WIDTH, height=HEIGHT, fps=10.0, **options):
    percentile = np.asarray(percentile, float)
    alarm = np.zeros(len(percentile), bool) if alarm is None else np.asarray(alarm)
    return ScorePanel(width, height, np.arange(len(percentile)) / fps, percentile, alarm, **options)


def near(image, colour, tolerance=12):
    """Where pixels are nearly of ``colour``."""
    return np.abs(image.astype(int) - colour).max(axis=-1) < tolerance


def chart(strip):
    """x1, y1, x2, y2 of the curve."""
    return strip._chart


def curve_at(strip, image, x):
    """Percentile level 0..1 of the brightest point of the curve in column ``x`` of the picture."""
    _, y1, _, y2 = chart(strip)
    strength = image[y1:y2, x].astype(int).max(axis=1)
    return 1 - np.argmax(strength) / (y2 - 1 - y1)


def test_the_level_counts_rareness_in_powers_of_ten():
    np.testing.assert_allclose(level([0.0, 0.9, 0.99, 0.999, 1.0]), [0, 1 / 3, 2 / 3, 1, 1], atol=1e-9)
    assert np.isnan(level(float("nan")))
    assert np.all(np.diff(level(np.linspace(0, 0.999, 50))) > 0)


@pytest.mark.parametrize("value", [0.5, 0.9, 0.99, 1.0])
def test_the_bar_is_as_high_as_the_level_of_the_score(value):
    strip = panel([0.2] * 10 + [value] * 10)
    image = strip.draw(15)
    x1, _, _, y2 = (strip._bar[0], *chart(strip)[1:])
    height = y2 - chart(strip)[1]
    filled = near(image[:, x1 + 1], anomaly_colour(value)).sum()
    assert filled == pytest.approx(1 + float(level(value)) * (height - 1), abs=1)


def test_nothing_is_drawn_through_a_hole_in_the_clips_time():
    time_s = np.append(np.arange(50) / 10, 25 + np.arange(50) / 10)
    strip = ScorePanel(WIDTH, HEIGHT, time_s, np.full(100, 0.99), np.ones(100, bool))
    image = strip.draw(99)
    x1, y1, x2, y2 = chart(strip)
    at = x1 + ((x2 - x1 - 1) * np.array([2.0, 15.0, 28.0]) / time_s[-1]).astype(int)
    red = [near(image[y1:y2, x], anomaly_colour(0.99), 40).any() for x in at]
    shaded = [near(image[y2 - 3, x], _SHADE, 60).any() for x in at]
    assert (red, shaded) == ([True, False, True], [True, False, True])


def test_where_nobody_could_be_judged_it_is_not_called_normal():
    images = [panel([value] * 5).draw(3) for value in (np.nan, 0.5)]
    x1, y1, x2, y2 = panel([0.5] * 5)._words
    green = [near(image[y1:y2, x1:x2], _CALM).any() for image in images]
    assert green == [False, True]


def test_without_a_score_there_is_no_bar_and_no_curve():
    strip = panel([np.nan] * 20)
    image = strip.draw(15)
    x1, y1, x2, y2 = chart(strip)
    assert np.ptp(image[y1:y2, strip._bar[0] : strip._bar[1]], axis=(0, 1)).max() == 0
    assert image[y1:y2, x1:x2].max() == NOW[0]  # the line of the present moment
    assert (image[y1:y2, x1:x2].max(axis=(0, 2)) == NOW[0]).sum() == 1


def test_the_curve_has_the_height_of_each_frames_level():
    values = np.repeat([0.1, 0.9, 0.99, 0.5], 10)
    strip = panel(values)
    image = strip.draw(len(values) - 1)
    x1, _, x2, _ = chart(strip)
    for frame in (4, 14, 24, 34):
        x = round(x1 + frame / (len(values) - 1) * (x2 - 1 - x1))
        assert curve_at(strip, image, x) == pytest.approx(float(level(values[frame])), abs=0.04)


def test_the_future_is_not_shown():
    values = np.concatenate((np.full(50, 0.2), np.full(50, 1.0)))
    strip, ground = panel(values), panel(np.full(100, 0.2))
    np.testing.assert_array_equal(strip.draw(40), ground.draw(40))
    assert np.any(strip.draw(60) != ground.draw(60))


def test_one_after_the_other_gives_the_same_strips_as_any_order():
    rng = np.random.default_rng(0)
    values = rng.uniform(0, 1, 300)
    alarm = values > 0.9
    ordered = panel(values, alarm, threshold=0.9, seconds_shown=10)
    one_by_one = [ordered.draw(i) for i in range(300)]
    for i in (0, 299, 150, 37):
        fresh = panel(values, alarm, threshold=0.9, seconds_shown=10)
        np.testing.assert_array_equal(fresh.draw(i), one_by_one[i])


def test_a_peak_of_one_frame_among_many_in_a_column_is_seen():
    values = np.zeros(36_000)
    values[18_000] = 1.0
    strip = panel(values, seconds_shown=3600)
    image = strip.draw(35_999)
    x1, y1, x2, _ = chart(strip)
    assert near(image[y1 + 1, x1:x2], anomaly_colour(1.0), 60).any()


def test_frames_farther_apart_than_columns_are_joined():
    values = [0.0, 0.9, 0.9, 0.0]
    strip = panel(values, fps=1.0)
    image = strip.draw(3)
    x1, _, x2, _ = chart(strip)
    middle = x1 + (x2 - x1) // 2
    assert curve_at(strip, image, middle) == pytest.approx(1 / 3, abs=0.04)


def test_an_alarm_shows_in_words_and_on_the_curve():
    alarm = np.zeros(50, bool)
    alarm[30:40] = True
    strip, quiet = panel([0.5] * 50, alarm), panel([0.5] * 50)
    np.testing.assert_array_equal(strip.draw(25), quiet.draw(25))
    x1, y1, x2, y2 = strip._words
    during = strip.draw(35)
    plate = near(during[y1:y2, x1:x2], ALARM)
    assert plate.sum() > 0.4 * plate.size
    assert not near(strip.draw(45)[y1:y2, x1:x2], ALARM).any()  # over, and still to be seen on the curve
    left, top, right, _ = chart(strip)
    shaded = np.any(strip.draw(49) != quiet.draw(49), axis=2)[top + 2, left:right]
    at = np.flatnonzero(shaded) / (right - 1 - left) * 49
    assert (at.min(), at.max()) == pytest.approx((30, 40), abs=0.3)


def test_an_alarm_of_one_frame_among_many_in_a_column_is_seen():
    alarm = np.zeros(36_000, bool)
    alarm[18_001] = True
    with_alarm, without = (panel([0.2] * 36_000, a, seconds_shown=3600).draw(35_999) for a in (alarm, None))
    assert np.any(with_alarm != without)


def test_the_threshold_is_a_dashed_line_at_its_level():
    strip = panel([0.2] * 50, threshold=0.99)
    image = strip.draw(49)
    x1, y1, x2, y2 = chart(strip)
    red = near(image[:, x1 : x2 - 1], ALARM)
    rows = np.flatnonzero(red.any(axis=1))
    assert rows == pytest.approx(y2 - 1 - float(level(0.99)) * (y2 - 1 - y1), abs=1)
    assert 0.3 < red[rows[0]].mean() < 0.7
    assert not near(panel([0.2] * 50).draw(49), ALARM).any()


def test_the_present_moment_wanders_to_the_right():
    strip = panel([0.2] * 100)
    x1, y1, x2, _ = chart(strip)
    at = [int(np.argmax(near(strip.draw(i)[y1 + 2, x1:x2], NOW, 2))) for i in (0, 50, 99)]
    assert at == pytest.approx([0, 50 / 99 * (x2 - 1 - x1), x2 - 1 - x1], abs=1)


def test_a_long_clip_scrolls():
    values = np.zeros(6000)
    values[3000:3010] = 1.0
    strip = panel(values, seconds_shown=60)
    x1, y1, x2, y2 = chart(strip)

    def peak(index):
        inside = near(strip.draw(index)[y1:y2, x1 : x2 - 1], anomaly_colour(1.0), 60)
        return np.flatnonzero(inside.any(axis=0))

    assert len(peak(2999)) == len(peak(3700)) == 0
    assert peak(3005).max() == x2 - 2 - x1
    span = x2 - x1
    assert peak(3300).mean() == pytest.approx(span / 2, abs=span / 40)  # 30 of the 60 seconds ago


@pytest.mark.parametrize("frames", [1, 2])
@pytest.mark.parametrize("size", [(640, 80), (115, 204), (33, 8), (16, 2)])
def test_the_strip_draws_at_any_size_and_length(frames, size):
    strip = panel([0.5] * frames, width=size[0], height=size[1], threshold=0.9)
    assert strip.draw(frames - 1).shape == (size[1], size[0], 3)


def test_the_clock_counts_minutes_and_hours():
    times = [0, 9.96, 59.999, 60, 419.98, 3599.99, 3600, 7325.3]
    texts = ["0:00.0", "0:09.9", "0:59.9", "1:00.0", "6:59.9", "59:59.9", "1:00:00.0", "2:02:05.3"]
    assert [clock_text(seconds) for seconds in times] == texts
    assert clock_text(7325.3, tenths=False) == "2:02:05"
