"""Which threshold marks ask for, and what files of marks may look like."""

from __future__ import annotations

import json
from dataclasses import asdict, replace

import numpy as np
import pytest

from pipeline.review.marks import COLUMNS, Mark, merged, read_marks, write_marks
from pipeline.review.recalibrate import choose_threshold
from pose_extract.errors import FormatError


def choose(right, false, start, **options):
    choice = choose_threshold(right, false, start, **options)
    return choice.threshold, int(choice.kept.sum()), int(choice.quiet.sum())


def test_false_alarms_raise_the_threshold_just_above_the_highest_of_them():
    threshold, kept, quiet = choose([9, 8], [3, 5], start=2, spread=1)
    assert 5 < threshold < 5.1
    assert (kept, quiet) == (2, 2)


def test_a_missed_event_lowers_it_just_below():
    threshold, kept, quiet = choose([4], [1], start=6, spread=1)
    assert 3.9 < threshold < 4
    assert (kept, quiet) == (1, 1)


def test_marks_that_the_threshold_satisfies_leave_it_alone():
    assert choose([9], [1], start=2) == (2, 1, 1)
    assert choose([9], [], start=2) == (2, 1, 0)
    assert choose([], [1], start=2) == (2, 0, 1)


def test_only_false_alarms_silence_all_of_them():
    threshold, _, quiet = choose([], [3, 5], start=2)
    assert threshold == 5
    assert quiet == 2


def test_where_they_overlap_right_alarms_stay_and_lower_false_ones_are_silenced():
    threshold, kept, quiet = choose([4, 9], [3, 5, 6], start=2, spread=1)
    assert 3 <= threshold < 4
    assert (kept, quiet) == (2, 1)


def test_right_alarms_may_be_given_up_for_false_ones_but_no_more_than_asked_and_than_helps():
    rights, falses = [4, 6, 9, 10], [3, 5, 8]
    assert choose(rights, falses, 2, keep_right=1)[1:] == (4, 1)
    assert choose(rights, falses, 2, keep_right=0.75)[1:] == (3, 2)
    assert choose(rights, falses, 2, keep_right=0.5)[1:] == (2, 3)
    assert choose(rights, falses, 2, keep_right=0.25)[1:] == (2, 3)
    assert choose(rights, [3], 2, keep_right=0.25)[1:] == (4, 1)


def test_no_threshold_can_part_equal_scores():
    threshold, kept, quiet = choose([5], [5], start=2)
    assert (threshold, kept, quiet) == (2, 1, 0)


@pytest.mark.parametrize("seed", range(20))
def test_no_other_threshold_does_better(seed):
    rng = np.random.default_rng(seed)
    right, false = rng.integers(0, 20, rng.integers(0, 6)), rng.integers(0, 20, rng.integers(0, 6))
    start = float(rng.integers(0, 20))
    threshold, kept, quiet = choose(right, false, start, spread=rng.choice([0, 10]))
    assert kept == len(right)
    candidates = [t for t in np.arange(-1, 21, 0.25) if (right > t).all()]
    best = max((false <= t).sum() for t in candidates)
    assert quiet == best
    nearest = min(abs(t - start) for t in candidates if (false <= t).sum() == best)
    assert abs(threshold - start) <= nearest + 0.25


MARK = Mark("street.mp4", "street", 10, 20, 0.4, 0.8, 0.5, 3.25, 99.5, "right")


def test_marks_come_back_from_json(tmp_path):
    marks = [MARK, replace(MARK, clip='a "b" é', score=None, verdict="false")]
    write_marks(tmp_path / "m.json", marks)
    assert read_marks(tmp_path / "m.json") == marks


def test_marks_come_from_a_csv_as_the_review_page_writes_it(tmp_path):
    text = (
        ",".join(COLUMNS)
        + '\r\n"a,b.mp4",street,10,20,0.4,0.8,0.5,3.25,99.5,right\r\n,c,1,2,0,1,0,,,false\r\n'
    )
    (tmp_path / "m.csv").write_bytes(b"\xef\xbb\xbf" + text.encode())
    first, second = read_marks(tmp_path / "m.csv")
    assert first == replace(MARK, video="a,b.mp4")
    assert (second.clip, second.score, second.verdict) == ("c", None, "false")


def broken(**changes):
    return {**asdict(MARK), **changes}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"clip": ""}, r"\['clip'\]"),
        ({"clip": 7}, r"\['clip'\]"),
        ({"verdict": "maybe"}, r"\['verdict'\]: expected 'right' or 'false'"),
        ({"start_frame": 1.5}, r"\['start_frame'\]: expected a whole number"),
        ({"start_frame": -1}, "end_frame after start_frame"),
        ({"end_frame": 10}, "end_frame after start_frame"),
        ({"end_frame": 10**400}, r"\['end_frame'\]"),
        ({"start_s": None}, r"\['start_s'\]: expected a number"),
        ({"peak_s": 5.0}, "start_s <= peak_s <= end_s"),
        ({"score": "high"}, r"\['score'\]"),
        ({"score": True}, r"\['score'\]"),
        ({"percentile": [1]}, r"\['percentile'\]"),
    ],
)
def test_a_wrong_mark_is_named_with_what_was_expected(tmp_path, change, message):
    data = {"format": "gepc-marks", "version": 1, "marks": [asdict(MARK), broken(**change)]}
    (tmp_path / "m.json").write_text(json.dumps(data))
    with pytest.raises(FormatError, match=r"\['marks'\]\[1\].*" + message):
        read_marks(tmp_path / "m.json")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("m.json", b"", "expected JSON"),
        ("m.json", b'{"format": "gepc-marks", "version": 1, "marks": [{', "expected JSON"),
        ("m.json", b"[]", "expected marks of the review page"),
        ("m.json", b'{"format": "gepc-events", "version": 1}', "expected marks of the review page"),
        ("m.json", b'{"format": "gepc-marks", "version": 2, "marks": []}', "version 2"),
        ("m.json", b'{"format": "gepc-marks", "version": 1, "marks": {}}', "expected a list"),
        ("m.json", b'{"format": "gepc-marks", "version": 1, "marks": [3]}', "expected an object"),
        ("m.json", b"[" * 100_000, "expected JSON|nested too deeply"),
        ("m.csv", b"\xff\xfe\x00", "no text"),
        ("m.csv", b"a,b\n1,2\n", "clip.* missing"),
        ("m.csv", (",".join(COLUMNS) + "\nx\n").encode(), "line 2: expected 10 columns, found 1"),
        ("m.csv", (",".join(COLUMNS) + '\n"x').encode(), "expected a CSV"),
        ("m.csv", b"", "missing"),
    ],
)
def test_a_damaged_file_is_refused(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(FormatError, match=message):
        read_marks(tmp_path / name)


def test_a_missing_file_is_refused(tmp_path):
    for name in ("m.json", "m.csv"):
        with pytest.raises(FormatError, match="cannot be read"):
            read_marks(tmp_path / name)


def test_a_later_mark_of_the_same_event_replaces_the_earlier_one():
    wider = replace(MARK, start_s=0.1, end_s=1.5, start_frame=2, end_frame=37, verdict="false")
    elsewhere = replace(MARK, start_s=5.0, peak_s=5.1, end_s=6.0)
    another = replace(MARK, clip="other")
    assert merged([MARK, elsewhere, another], [wider]) == [another, wider, elsewhere]
