"""Progress is plain lines where there is no terminal, with count, rate and remaining time."""

import re

from pipeline import progress
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
        re.fullmatch(r"extract a\.mp4: \d+/100 frames, .+, \d+:\d\d left, 3 tracks", line) for line in lines
    )


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
