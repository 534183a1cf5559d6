"""Marks of live events, and the threshold that they ask for."""

import os

import numpy as np
import pytest

from pipeline.live.watching.marks import History, marked_threshold, read_verdicts
from pose_extract.errors import FormatError
from tests.helpers import walkers
from tests.pipeline.live.helpers import event


@pytest.fixture(scope="module")
def scorer():
    return walkers.online_scorer()


def test_history_knows_the_scores_of_a_models_events(tmp_path):
    history = History(tmp_path / "kept" / "history.jsonl")
    for number in range(3):
        history.add(event(number, "end", score=2.0 + number))
    history.add(event(7, "end", model_id="another"))
    with open(tmp_path / "kept" / "history.jsonl", "a") as file:
        file.write('{"id": "cut o')
    assert history.scores("abc") == {"door-0": 2.0, "door-1": 3.0, "door-2": 4.0}
    with open(tmp_path / "kept" / "history.jsonl", "ab") as file:
        file.write(b"\xff\xfe")  # what a disk makes of it when the power fails
    history.add(event(8, "end", score=5.0))
    assert history.scores("abc") == {"door-0": 2.0, "door-1": 3.0, "door-2": 4.0, "door-8": 5.0}
    assert History(tmp_path / "none.jsonl").scores("abc") == {}


def test_marks_are_lines_of_json_or_a_table_and_the_later_one_counts(tmp_path):
    lines = tmp_path / "marks.jsonl"
    lines.write_text(
        '{"id": "a", "verdict": "right"}\n\n{"id": "b", "verdict": "false", "note": "one\u2028two"}\n'
        '{"id": "a", "verdict": "false"}\n'
    )
    table = tmp_path / "marks.csv"
    table.write_text("id,verdict,who\na,false,me\nb,false,me\n")
    of_spreadsheet = tmp_path / "sheet.csv"
    of_spreadsheet.write_text("id;verdict;score\na;false;1,5\n b ;false;\n", encoding="utf-16")
    assert (
        read_verdicts(lines)
        == read_verdicts(table)
        == read_verdicts(of_spreadsheet)
        == {"a": "false", "b": "false"}
    )


def test_marks_that_cannot_be_read_are_one_line(tmp_path):
    os.mkfifo(tmp_path / "marks.jsonl")
    for name in ("marks.jsonl", "none.csv", "folder.csv"):
        with pytest.raises(FormatError, match=rf"{name}.*cannot be read"):
            (tmp_path / "folder.csv").mkdir(exist_ok=True)
            read_verdicts(tmp_path / name)


@pytest.mark.parametrize(
    "text",
    ['{"id": "a"}', '{"id": 3, "verdict": "right"}', "[1]", "not json", '{"id": "a", "verdict": "maybe"}'],
)
def test_what_is_no_mark_is_named(tmp_path, text):
    (tmp_path / "marks.jsonl").write_text(text + "\n")
    with pytest.raises(FormatError, match=r"marks\.jsonl"):
        read_verdicts(tmp_path / "marks.jsonl")


def test_right_events_stay_alarms_and_false_ones_fall_silent(scorer):
    usual = scorer.alarm_above()
    verdicts = {"a": "false", "b": "right", "unknown": "false"}
    assert marked_threshold(scorer, {"unknown": "false"}, {}) is None
    choice = marked_threshold(scorer, verdicts, {"a": usual + 1, "b": usual + 2})
    assert usual + 1 < choice.threshold < usual + 2
    np.testing.assert_array_equal(choice.kept, [True])
    np.testing.assert_array_equal(choice.quiet, [True])
    assert marked_threshold(scorer, {"b": "right"}, {"b": usual + 2}).threshold == usual
