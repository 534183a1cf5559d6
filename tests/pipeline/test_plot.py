"""The score plot shows what is in the arrays, also of very long clips."""

import numpy as np

from pipeline.plot import plot_scores, thin


def test_thinning_keeps_the_highest_point_of_every_stretch():
    curve = np.zeros(1_000_003)
    curve[[17, 500_000, 1_000_002]] = [3, 2, 1]
    kept = thin(curve, 4000)
    assert len(kept) == 4000
    assert {17, 500_000, 1_000_002} <= set(kept.tolist())
    assert np.all(np.diff(kept) > 0)


def test_a_short_curve_is_kept_whole():
    np.testing.assert_array_equal(thin(np.arange(5), 10), np.arange(5))


def _red_pixels(path) -> int:
    import cv2

    b, g, r = np.moveaxis(cv2.imread(str(path)).astype(int), 2, 0)
    return int(((abs(r - 217) < 12) & (abs(g - 48) < 12) & (abs(b - 37) < 12)).sum())


def test_alarms_are_drawn_in_red_in_proportion_to_their_length(tmp_path):
    time_s = np.arange(1000) / 25
    counts = []
    for length in (0, 200, 400):
        alarm = np.zeros(1000, bool)
        alarm[100 : 100 + length] = True
        plot_scores(tmp_path / "plot.png", "clip", time_s, np.full(1000, 50.0), alarm, 99.0)
        counts.append(_red_pixels(tmp_path / "plot.png"))
    assert counts[0] == 0
    assert counts[2] > 1.5 * counts[1] > 0


def test_a_clip_of_one_frame_or_none_is_drawn_too(tmp_path):
    for n in (0, 1):
        plot_scores(tmp_path / "p.svg", "clip", np.zeros(n), np.zeros(n), np.zeros(n, bool), 99.0)
        assert "<svg" in (tmp_path / "p.svg").read_text()
