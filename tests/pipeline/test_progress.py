"""Progress is plain lines where there is no terminal, with count, rate and remaining time."""

import io
import re
import sys
import time

import numpy as np
import pytest

from pipeline import progress
from pipeline.extraction.progress import Count, Told
from pipeline.progress import format_duration, stage


def test_plain_lines_tell_count_rate_and_what_is_left(capsys, monkeypatch):
    clock = iter(range(0, 1000, 5))
    monkeypatch.setattr(progress.time, "monotonic", lambda: next(clock))
    with stage("extract a.mp4", "frames", 100) as bar:
        for _ in range(8):
            bar.advance(10, "3 tracks")
    lines = capsys.readouterr().err.splitlines()
    assert lines
    assert all(
        re.fullmatch(r"extract a\.mp4: \d+/100 frames, .+?(, \d+:\d\d left)?, 3 tracks", line)
        for line in lines
    )
    assert " left, " in lines[-1]


def test_work_goes_on_where_nobody_reads_its_progress_any_more(monkeypatch):
    class Gone(io.StringIO):
        def write(self, _):
            raise BrokenPipeError

    monkeypatch.setattr(progress, "_PLAIN_EVERY_S", 0.0)
    monkeypatch.setattr(sys, "stderr", Gone())
    with stage("x", "frames", 3) as bar:
        for _ in range(3):
            bar.advance()
    assert bar.done == 3


def test_quiet_says_nothing(capsys):
    with stage("x", "frames", 2, quiet=True) as bar:
        bar.advance()
    assert capsys.readouterr().err == ""


def test_an_unknown_total_is_no_problem(capsys):
    with stage("x", "frames", None) as bar:
        bar.advance(5)
        assert bar.describe().startswith("x: 5 frames, ")


def test_durations_read_like_a_clock():
    assert [format_duration(s) for s in (0, 75, 3700)] == ["0:00", "1:15", "1:01:40"]


@pytest.mark.parametrize(("frames", "said"), [(90_000, True), (None, True), (500, False)])
def test_after_the_first_seconds_is_said_once_what_an_hour_takes(frames, said, caplog, monkeypatch):
    clock = iter(np.arange(0.0, 100.0, 0.5))
    monkeypatch.setattr(progress.time, "monotonic", lambda: next(clock))
    caplog.set_level("INFO")
    forecast = progress.Forecast(25.0, frames)
    for _ in range(40):
        forecast.advance(5)
    text = "10.0 frames a second so far: an hour of this video takes about 2:30:00"
    assert caplog.messages == [text] * said


def test_a_stage_in_which_nothing_is_done_for_long_says_that_it_goes_on(capsys, monkeypatch):
    monkeypatch.setattr(progress, "_PLAIN_EVERY_S", 0.02)
    with stage("mixture", "steps", 3):
        time.sleep(0.5)
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) >= 2
    assert set(lines) == {"mixture: 0/3 steps, starting"}


def test_what_comes_before_the_first_unit_is_no_pace(monkeypatch):
    clock = iter([0.0, 60.0, 61.0, 70.0])  # a minute of loading; the first frame; one look too early, one not
    monkeypatch.setattr(progress.time, "monotonic", lambda: next(clock))
    bar = progress.Progress("extract a.mp4", "frames", 100)
    bar.update(1)
    bar.update(2)
    assert "left" not in bar.describe()
    bar.update(11)
    assert "1:29 left" in bar.describe()


class Terminal(io.StringIO):
    """What a terminal shows, as it is written."""

    def isatty(self):
        return True


def test_all_steps_are_one_display(monkeypatch, capsys):
    screen = Terminal()
    monkeypatch.setattr(sys, "stderr", screen)
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.setenv("TERM", "xterm")
    with progress.Steps(("extract", "train", "score")) as steps:
        with steps.at("extract"), stage("extract a[b].mp4", "frames", 20) as bar:
            bar.advance(10)
            steps._display.refresh()
        with stage("more of it", "clips", 2):
            print("a line for whoever reads standard output")
        steps.pass_over("train", "the model is there")
    last = re.split(r"\x1b\[\d*A", re.sub(r"\x1b\[[\d;?]*[a-zKlh]", "", screen.getvalue()))[-1]
    lines = [line.strip() for line in last.splitlines() if line.strip()]
    assert [line.split()[:2] for line in lines] == [["1/3", "extract"], ["2/3", "train"], ["3/3", "score"]]
    assert "extract a[b].mp4: 10/20 frames" in screen.getvalue()
    assert capsys.readouterr().out.splitlines() == [
        "1/3 extract", "a line for whoever reads standard output", "2/3 train: the model is there",
    ]  # fmt: skip


def test_without_a_terminal_a_stage_says_of_which_step_it_is(capsys, monkeypatch):
    monkeypatch.setattr(progress, "_PLAIN_EVERY_S", 0.0)
    with (
        progress.Steps(("extract", "train")) as steps,
        steps.at("train"),
        stage("mixture", "steps", 3) as bar,
    ):
        bar.advance()
    assert "2/2 train: mixture: 1/3 steps" in capsys.readouterr().err


def test_shares_of_what_workers_have_in_hand_count(monkeypatch):
    told = []
    clock = iter(range(0, 1000, 10))
    monkeypatch.setattr("time.monotonic", lambda: next(clock))
    for name, frames, total in (("a", 25, 100), ("b", 30, 60), ("c", 5, None)):
        Told(name, "frames", total, told.append).update(frames)
    assert told == [("a", 25, 0.25), ("b", 30, 0.5), ("c", 5, 0.0)]
    bar = progress.Progress("extract", "videos", 4)
    count = Count(bar)
    for note in told:
        count.told(note)
    assert bar.done == 0.75
    count.ended("b")
    assert bar.done == 1.25
    assert bar.describe().startswith("extract: 1/4 videos, ")
