"""The score picture shows what is in the arrays: by its pixels, for short clips and long ones."""

from __future__ import annotations

import warnings
from dataclasses import replace

import cv2
import numpy as np
import pytest

from pipeline.events.events import Event
from pipeline.events.timeline import ScoredTimeline
from pipeline.pictures import fonts
from pipeline.pictures.plot import MOST_THUMBNAILS, _slots, save_figure, score_figure, thin
from pose_extract.errors import OutputError

CURVE, ALARM, LABEL = (0x1F, 0x3B, 0x73), (0xD9, 0x30, 0x25), (0x7B, 0x4F, 0xA3)


def event(peak_s, score, people=(7,)):
    nowhere = np.full((len(people), 4), np.nan)
    return Event(0, 1, peak_s, peak_s, 0, peak_s, score, 99.0, people, np.full(len(people), 99.0), nowhere)


class Picture:
    """A drawn figure, and where in its pixels times and scores are."""

    def __init__(self, folder, time_s, score, alarm=None, threshold=5.0, **options):
        score = np.asarray(score, np.float32)
        alarm = score > threshold if alarm is None else alarm
        drawn = {name: options.pop(name) for name in ("labelled", "thumbnails") if name in options}
        timeline = ScoredTimeline(np.asarray(time_s, float), score, score, alarm, threshold, **options)
        self.figure = score_figure("a clip", timeline, **drawn)
        save_figure(self.figure, folder / "plot.png")
        self.pixels = cv2.imread(str(folder / "plot.png"))[:, :, ::-1].astype(int)
        self.axes = next(axes for axes in self.figure.axes if axes.get_xlabel())

    def at(self, time_s, score):
        """Column and row of a point of the curve."""
        x, y = self.axes.transData.transform((time_s, score)) * (110 / self.figure.dpi)
        return round(float(x)), round(self.pixels.shape[0] - 1 - float(y))

    def near(self, time_s, score, colour, reach=2):
        """Whether there is a pixel of a colour at a point, a few pixels to and fro."""
        x, y = self.at(time_s, score)
        part = self.pixels[y - reach : y + reach + 1, x - reach : x + reach + 1]
        return bool((np.abs(part - colour).max(axis=2) < 40).any())

    def texts(self):
        return [text.get_text() for axes in self.figure.axes for text in axes.texts]


def wave(n=1000, fps=25.0):
    time_s = np.arange(n) / fps
    return time_s, 3 + 4 * np.sin(time_s / 3)


def test_the_curve_runs_through_each_frames_score(tmp_path):
    time_s, score = wave()
    picture = Picture(tmp_path, time_s, score)
    for frame in range(20, 1000, 70):
        assert picture.near(time_s[frame], score[frame], CURVE)
        assert not picture.near(time_s[frame], score[frame] + 1.5, CURVE)


def test_alarms_are_shaded_over_their_time_and_nowhere_else(tmp_path):
    time_s = np.arange(1000) / 25
    alarm = np.zeros(1000, bool)
    alarm[250:500] = True  # 10 to 20 s
    picture = Picture(tmp_path, time_s, np.full(1000, 1.0), alarm)
    x, y = zip(*(picture.at(t, 3.0) for t in (5, 9.8, 10.2, 15, 19.8, 20.2, 30)), strict=True)
    shade = picture.pixels[y[0], list(x)]
    reddish = (shade[:, 0] - shade[:, 2]) > 15
    assert reddish.tolist() == [False, False, True, True, True, False, False]


def test_a_hole_in_the_clips_time_stays_empty(tmp_path):
    time_s = np.append(np.arange(250) / 25, 30 + np.arange(250) / 25)
    picture = Picture(tmp_path, time_s, np.full(500, 6.0))
    assert [picture.near(t, 6.0, CURVE) for t in (5, 20, 35)] == [True, False, True]
    x, y = zip(*(picture.at(t, 5.5) for t in (5, 20, 35)), strict=True)
    shade = picture.pixels[y[0], list(x)]
    assert ((shade[:, 0] - shade[:, 2]) > 15).tolist() == [True, False, True]
    assert "alarm in 100.0% of 0:20" in picture.axes.get_title(loc="right")


def test_the_share_of_alarms_is_one_of_time_and_not_of_frames(tmp_path):
    time_s = np.append(np.arange(50) / 10, 5 + np.arange(200) / 40)  # 5 s each
    picture = Picture(tmp_path, time_s, np.where(np.arange(250) < 50, 6.0, 0.0))
    assert "alarm in 50.0% of 0:10" in picture.axes.get_title(loc="right")


def test_where_nobody_could_be_judged_there_is_no_curve(tmp_path):
    time_s, judged = np.arange(500) / 25, np.ones(500, bool)
    judged[200:300] = False
    picture = Picture(tmp_path, time_s, np.full(500, 4.0), judged=judged)
    assert [picture.near(t, 4.0, CURVE) for t in (4, 10, 16)] == [True, False, True]


def test_the_threshold_stands_at_its_score(tmp_path):
    time_s, _ = wave()
    picture = Picture(tmp_path, time_s, np.zeros(1000), threshold=5.0, threshold_percentile=99.0)
    row = picture.at(0, 5.0)[1]
    left, right = picture.at(0, 0)[0] + 3, picture.at(time_s[-1], 0)[0] - 3
    line = (np.abs(picture.pixels[row - 1 : row + 2, left:right] - ALARM).max(axis=2) < 60).any(axis=0)
    assert 0.4 < line.mean() < 0.95  # dashed
    names = [text.get_text() for text in picture.axes.get_legend().get_texts()]
    assert "alarm threshold (99 % of normal frames)" in names


def test_percentiles_stand_on_the_right_at_their_scores(tmp_path):
    time_s, score = wave()
    marks = {50.0: 1.0, 90.0: 3.0, 99.0: 5.0}
    picture = Picture(tmp_path, time_s, score, score_at=marks)
    heights = {t.get_text(): t.get_position()[1] for t in picture.axes.texts}
    assert {name: heights[name] for name in ("50 %", "90 %", "99 %")} == {"50 %": 1, "90 %": 3, "99 %": 5}


def test_percentiles_too_close_to_be_read_are_left_out(tmp_path):
    time_s, score = wave()
    picture = Picture(tmp_path, time_s, score, score_at={50.0: 1.0, 90.0: 1.01, 99.0: 5.0})
    assert {"99 %", "90 %"} <= set(picture.texts())
    assert "50 %" not in picture.texts()


def test_labels_are_a_band_below_the_curve_with_their_names(tmp_path):
    time_s, score = wave()
    picture = Picture(tmp_path, time_s, score, labelled=[(10.0, 20.0, "somebody_runs"), (30.0, 31.0, "")])
    bottom = picture.axes.get_ylim()[0] + 0.02 * np.ptp(picture.axes.get_ylim())
    at = [bool(picture.near(t, bottom, LABEL)) for t in (5, 9.5, 10.5, 19.5, 20.5, 30.5, 35)]
    assert at == [False, False, True, True, False, True, False]
    assert "somebody runs" in picture.texts()


def test_peaks_are_numbered_in_order_of_time(tmp_path):
    time_s, score = wave()
    peaks = [event(5.0, 7.0), event(23.5, 6.9)]
    picture = Picture(tmp_path, time_s, score, events=peaks)
    numbers = [a for a in picture.axes.texts if a.get_gid() and a.get_gid().startswith("peak-")]
    assert [(a.get_text(), a.xy) for a in numbers] == [("1", (5.0, 7.0)), ("2", (23.5, 6.9))]
    x, y = picture.at(5.0, 7.0)
    above = picture.pixels[y - 26 : y - 4, x - 10 : x + 11]
    assert (np.abs(above - ALARM).max(axis=2) < 20).sum() > 60


def test_of_many_events_the_worst_have_numbers_and_all_have_a_point(tmp_path):
    time_s = np.arange(100_000) / 25
    peaks = [event(10.0 + 20 * i, 10.0 + (i * 7919) % 200) for i in range(200)]
    score = np.zeros(100_000)
    for peak in peaks:
        score[round(peak.peak_s * 25)] = peak.score
    picture = Picture(tmp_path, time_s, score, events=peaks)
    numbers = [int(text) for text in picture.texts() if text.isdigit()]
    worst = sorted(range(200), key=lambda i: -peaks[i].score)[: len(numbers)]
    assert numbers == sorted(i + 1 for i in worst)
    assert len(numbers) == 20
    points = next(line for line in picture.axes.lines if line.get_gid() == "peaks")
    assert len(points.get_xdata()) == 180


def test_each_peak_has_its_thumbnail_with_its_number_and_time(tmp_path):
    time_s, score = wave()
    colours = {1: (250, 20, 10), 2: (10, 240, 30)}  # BGR
    thumbnails = {number: np.full((90, 160, 3), colour, np.uint8) for number, colour in colours.items()}
    peaks = [event(5.0, 7.0, ()), event(23.5, 6.9)]
    picture = Picture(tmp_path, time_s, score, events=peaks, thumbnails=thumbnails)
    found = {}
    for number, (blue, green, red) in colours.items():
        same = np.abs(picture.pixels - (red, green, blue)).max(axis=2) < 6
        rows, columns = np.nonzero(same)
        assert len(rows) > 5000
        assert same[rows.min() : rows.max(), columns.min() : columns.max()].mean() > 0.95  # it is whole
        found[number] = columns.mean()
    assert found[1] < found[2]
    titles = [axes.get_title() for axes in picture.figure.axes]
    assert "1   0:05.0" in titles
    assert "2   0:23.5 · person 7" in titles


def test_a_thumbnail_says_what_its_event_is_about(tmp_path):
    time_s, score = wave()
    peaks = [replace(event(5.0, 7.0), cause="flow"), event(23.5, 6.9)]
    shown = {number: np.full((90, 160, 3), 200, np.uint8) for number in (1, 2)}
    picture = Picture(tmp_path, time_s, score, events=peaks, thumbnails=shown)
    assert "many move as they usually do not\nhere" in picture.texts()
    titles = [axes.get_title() for axes in picture.figure.axes]
    assert "1   0:05.0" in titles  # nobody is named of a crowd
    assert "2   0:23.5 · person 7" in titles


def test_thumbnails_keep_their_order_and_stay_near_their_times():
    assert _slots([0.0], 60.0) == [0]
    assert _slots([59.0], 60.0) == [5]
    assert _slots([0.0, 30.0, 59.0], 60.0) == [0, 3, 5]
    assert _slots([58.0, 59.0, 60.0], 60.0) == [3, 4, 5]
    assert _slots([0.0, 1.0, 2.0], 60.0) == [0, 1, 2]
    assert _slots(list(range(6)), 5.0) == list(range(MOST_THUMBNAILS))


def test_a_day_keeps_every_peak_of_a_single_frame(tmp_path):
    count = 86_400 * 25
    rng = np.random.default_rng(0)
    score = rng.normal(0, 0.3, count).astype(np.float32)
    frames = np.sort(rng.choice(count, 12, replace=False))
    score[frames] = np.linspace(8, 12, 12)
    time_s = np.arange(count) / 25
    picture = Picture(tmp_path, time_s, score)
    for frame in frames:
        assert picture.near(time_s[frame], score[frame] - 0.2, CURVE)
    assert "highest of each stretch" in picture.axes.get_ylabel()
    ticks = [label.get_text() for label in picture.axes.get_xticklabels()]
    assert "12:00:00" in ticks


def test_an_alarm_of_one_frame_is_seen_in_a_day(tmp_path):
    time_s = np.arange(86_400) * 1.0
    alarm = np.zeros(86_400, bool)
    alarm[[10_000, 60_000]] = True
    picture = Picture(tmp_path, time_s, np.zeros(86_400), alarm)
    for at, seen in ((10_000, True), (35_000, False), (60_000, True)):
        x, y = picture.at(at, 3.0)
        around = picture.pixels[y, x - 2 : x + 4]
        assert ((around[:, 0] - around[:, 2]).max() > 10) == seen


def test_a_few_scores_far_above_the_rest_do_not_flatten_the_others(tmp_path):
    time_s = np.arange(1000) / 25
    score = np.where(np.arange(1000) % 2, 0.0, 1.0)
    score[500] = 1e6
    picture = Picture(tmp_path, time_s, score, threshold=3.0, score_at={50.0: 0.5})
    heights = [picture.at(0, value)[1] for value in (0.0, 1.0, 3.0, 1e6)]
    assert np.all(-np.diff(heights) > 4)
    assert picture.near(time_s[500], 1e6, CURVE)


def test_thinning_keeps_the_highest_point_of_every_stretch():
    curve = np.zeros(1_000_003)
    curve[[17, 500_000, 1_000_002]] = [3, 2, 1]
    kept = thin(curve, 4000)
    assert len(kept) == 4000
    assert {17, 500_000, 1_000_002} <= set(kept.tolist())
    assert np.all(np.diff(kept) > 0)


def test_a_short_curve_is_kept_whole():
    np.testing.assert_array_equal(thin(np.arange(5), 10), np.arange(5))


@pytest.mark.parametrize("frames", [0, 1])
def test_a_clip_of_one_frame_or_none_is_drawn_too(tmp_path, frames):
    empty = np.zeros(frames)
    save_figure(
        score_figure("clip", ScoredTimeline(empty, empty, empty, np.zeros(frames, bool), 5.0)),
        tmp_path / "p.svg",
    )
    assert "<svg" in (tmp_path / "p.svg").read_text()


@pytest.mark.parametrize(
    "name", ["中庭", "ворота", "a$x^$b$", "\N{VIDEO CAMERA}", "two\nlines", "\x1b[31m", "_a_"]
)
def test_names_of_any_script_are_drawn_without_a_word(tmp_path, name):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        time_s, score = wave(50)
        labelled = [(0.5, 1.0, name)]
        figure = score_figure(name, ScoredTimeline(time_s, score, score, score > 5, 5.0), labelled)
        save_figure(figure, tmp_path / "p.png")


def test_letters_that_no_font_has_become_boxes(monkeypatch):
    from matplotlib import font_manager

    monkeypatch.setattr(font_manager.fontManager, "ttflist", [])
    fonts.drawable.cache_clear()
    assert fonts.drawable("a中б") == ("a□б", ("DejaVu Sans",))
    fonts.drawable.cache_clear()


def test_other_endings_than_pictures_are_refused(tmp_path):
    with pytest.raises(OutputError, match=r"\.png, \.svg, \.pdf"):
        save_figure(None, tmp_path / "plot.txt")
