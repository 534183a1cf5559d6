"""What files of marks may look like, and which marks are of one event."""

from __future__ import annotations

import json
from dataclasses import asdict, replace

import pytest

from pipeline.review.marks import COLUMNS, Mark, all_marks, merged, read_marks, write_marks
from pose_extract.errors import FormatError, UsageError

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


def test_a_verdict_that_a_spreadsheet_has_made_a_truth_value_is_read(tmp_path):
    head, row = ",".join(COLUMNS), "street.mp4,street,10,20,0.4,0.8,0.5,3.25,99.5"
    (tmp_path / "m.csv").write_text(f"{head}\n{row},FALSE\n{row},Right\n")
    assert [mark.verdict for mark in read_marks(tmp_path / "m.csv")] == ["false", "right"]


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


def at(start, peak, end, clip="street"):
    return replace(MARK, clip=clip, start_s=start, peak_s=peak, end_s=end)


def test_marks_are_of_one_event_if_the_peak_of_either_lies_in_the_other():
    wide, narrow = at(0.0, 5.0, 10.0), at(4.0, 4.5, 6.0)
    assert wide.same_event(narrow)
    assert narrow.same_event(wide)
    early, late = at(0.0, 5.0, 10.0), at(9.0, 9.5, 20.0)  # only the later one's peak lies in the earlier
    assert early.same_event(late)
    assert late.same_event(early)
    early, late = at(0.0, 9.5, 10.0), at(9.0, 15.0, 20.0)  # only the earlier one's in the later
    assert early.same_event(late)
    assert late.same_event(early)
    assert not at(0.0, 5.0, 10.0).same_event(at(9.0, 15.0, 20.0))  # they overlap, but neither holds a peak
    assert at(0.0, 5.0, 10.0).same_event(at(10.0, 10.0, 12.0))
    assert at(5.0, 5.0, 10.0).same_event(at(0.0, 1.0, 5.0))
    assert not at(0.0, 5.0, 10.0).same_event(at(0.0, 5.0, 10.0, "yard"))


def test_marks_are_ordered_by_clip_then_time():
    marks = [at(3, 3, 3, "b"), at(9, 9, 9, "a"), at(1, 1, 2, "b"), at(1, 1, 1, "b")]
    assert merged([], marks) == [marks[1], marks[3], marks[2], marks[0]]


def written(path, *marks):
    write_marks(path, marks)
    return path


def test_of_an_event_that_is_marked_again_the_later_mark_counts_and_all_others_stay(tmp_path):
    kept = written(tmp_path / "marks.json", at(0, 5, 10), at(30, 30, 31))
    again = replace(at(4, 5, 6), verdict="false")
    found = all_marks(
        kept, [written(tmp_path / "a.json", again), written(tmp_path / "b.json", at(50, 50, 50))]
    )
    assert found == [again, at(30, 30, 31), at(50, 50, 50)]
    assert all_marks(kept, []) == [at(0, 5, 10), at(30, 30, 31)]
    assert all_marks(tmp_path / "none.json", [tmp_path / "a.json"]) == [again]


def test_a_mark_that_is_twice_in_a_file_counts_once(tmp_path):
    twice = written(tmp_path / "m.json", at(0, 5, 10), at(30, 30, 31), at(0, 5, 10))
    assert all_marks(tmp_path / "none.json", [twice]) == [at(0, 5, 10), at(30, 30, 31)]


def test_a_file_that_calls_an_event_right_and_false_and_no_marks_at_all_are_refused(tmp_path):
    both = written(tmp_path / "m.json", MARK, replace(MARK, verdict="false"))
    with pytest.raises(UsageError, match="marked right and false"):
        all_marks(tmp_path / "none.json", [both])
    other_clip = written(tmp_path / "n.json", MARK, replace(MARK, verdict="false", clip="yard"))
    assert len(all_marks(tmp_path / "none.json", [other_clip])) == 2
    with pytest.raises(UsageError, match=r"no marks in .*none\.json"):
        all_marks(tmp_path / "none.json", [])
    with pytest.raises(UsageError, match=r"no marks in .*e\.json"):
        all_marks(tmp_path / "none.json", [written(tmp_path / "e.json")])


def test_more_marks_than_anybody_makes_are_refused(tmp_path, monkeypatch):
    from pipeline.review import marks as module

    monkeypatch.setattr(module, "_MOST_MARKS", 2)
    with pytest.raises(FormatError, match="3 marks, expected at most 2"):
        read_marks(written(tmp_path / "m.json", MARK, MARK, MARK))
    assert len(read_marks(written(tmp_path / "n.json", MARK, MARK))) == 2
    monkeypatch.setattr(module, "_MOST_BYTES", 10)
    (tmp_path / "m.csv").write_text(",".join(COLUMNS))
    with pytest.raises(FormatError, match="expected at most"):
        read_marks(tmp_path / "m.csv")


def test_a_csv_may_have_its_columns_in_any_order_lack_what_is_optional_and_end_in_empty_lines(tmp_path):
    columns = [name for name in reversed(COLUMNS) if name not in ("video", "score", "percentile")]
    values = {**asdict(MARK), "clip": "c"}
    text = ",".join(columns) + "\n" + ",".join(str(values[name]) for name in columns) + "\n\n"
    (tmp_path / "m.CSV").write_text(text)
    assert read_marks(tmp_path / "m.CSV") == [replace(MARK, video="", clip="c", score=None, percentile=None)]


@pytest.mark.parametrize("changes", [{"start_s": -0.1}, {"peak_s": 0.3}, {"peak_s": 0.9}, {"start_s": 1e16}])
def test_times_out_of_order_are_refused_and_equal_ones_are_not(tmp_path, changes):
    data = {"format": "gepc-marks", "version": 1, "marks": [broken(**changes)]}
    (tmp_path / "m.json").write_text(json.dumps(data))
    with pytest.raises(FormatError):
        read_marks(tmp_path / "m.json")
    still = replace(MARK, start_frame=0, end_frame=1, start_s=0.0, peak_s=0.0, end_s=0.0, video="", score=0.0)
    assert read_marks(written(tmp_path / "n.json", still)) == [still]


def test_a_mark_is_told_by_clip_time_and_verdict():
    assert str(MARK) == "street 0.40 s to 0.80 s (right)"


@pytest.mark.parametrize(
    "number", ["NaN", "Infinity", "-Infinity", "1e16", "-1e16", '"nan"', '"inf"', '"1e16"']
)
@pytest.mark.parametrize("name", ["score", "percentile"])
def test_numbers_that_are_none_or_beyond_all_are_refused(tmp_path, name, number):
    text = json.dumps({"format": "gepc-marks", "version": 1, "marks": [broken(**{name: "HERE"})]})
    (tmp_path / "m.json").write_text(text.replace('"HERE"', number))
    with pytest.raises(FormatError):
        read_marks(tmp_path / "m.json")
    (tmp_path / "m.json").write_text(text.replace('"HERE"', "-1e15"))
    assert getattr(read_marks(tmp_path / "m.json")[0], name) == -1e15
