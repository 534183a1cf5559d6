import csv
import json
import os
import subprocess
import sys
from datetime import datetime, timedelta

import pytest

from pipeline.live.events.record import EventThing, LiveEvent
from pipeline.live.sinks.base import Message, NotDelivered
from pipeline.live.sinks.files import COLUMNS, DailyCsv, JsonLines
from pipeline.live.sinks.settings import CsvSettings, JsonLinesSettings
from tests.helpers import ROOT
from tests.pipeline.live.helpers import event, state


def test_json_lines_are_events_that_can_be_read_back(tmp_path):
    sink = JsonLines(JsonLinesSettings(str(tmp_path / "deep" / "events.jsonl")))
    sent = [event(1), event(1, "end"), state("lost")]
    for each in sent:
        sink.deliver(Message.of(each))
    lines = (tmp_path / "deep" / "events.jsonl").read_text().splitlines()
    assert [LiveEvent.from_json(line) for line in lines] == sent


def test_a_file_that_is_moved_away_is_begun_anew(tmp_path):
    path = tmp_path / "events.jsonl"
    sink = JsonLines(JsonLinesSettings(str(path)))
    sink.deliver(Message.of(event(1)))
    path.rename(tmp_path / "old")
    sink.deliver(Message.of(event(2)))
    assert json.loads(path.read_text())["id"] == "door-2"


def test_standard_output_gets_lines_at_once(capsys):
    JsonLines(JsonLinesSettings()).deliver(Message.of(event(1)))
    assert json.loads(capsys.readouterr().out)["id"] == "door-1"


def test_a_closed_standard_output_ends_nothing():
    code = """
import sys
from pipeline.live.sinks.base import Message, Refused
from pipeline.live.sinks.files import JsonLines
from pipeline.live.sinks.settings import JsonLinesSettings
from tests.pipeline.live.helpers import event
sys.stdin.read()
try:
    JsonLines(JsonLinesSettings()).deliver(Message.of(event(1)))
except Refused as error:
    print(error, file=sys.stderr)
"""
    read, write = os.pipe()
    child = subprocess.Popen(
        [sys.executable, "-c", code],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=write,
        stderr=subprocess.PIPE,
        text=True,
    )
    os.close(write)
    os.close(read)
    _, said = child.communicate("", timeout=60)
    assert (child.returncode, said) == (0, "nobody reads standard output any more\n")


def test_a_table_a_day_by_the_day_of_the_beginning(tmp_path):
    sink = DailyCsv(CsvSettings(str(tmp_path)))
    late = datetime(2026, 11, 29, 23, 59, 58).astimezone()
    sink.deliver(Message.of(event(1, start_time=late)))
    sink.deliver(Message.of(event(1, "end", start_time=late, end_time=late + timedelta(minutes=1))))
    sink.deliver(Message.of(event(2, start_time=late + timedelta(minutes=5))))
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "events-2026-11-29.csv",
        "events-2026-11-30.csv",
    ]
    with open(tmp_path / "events-2026-11-29.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["type"] for row in rows] == ["new", "end"]
    assert tuple(rows[0]) == COLUMNS
    assert rows[0]["people"] == "7:99.95:10.0 20.0 60.0 180.0"
    assert rows[1]["end_time"].startswith("2026-11-30T00:00:58")


def test_things_are_a_cell_too(tmp_path):
    about = (EventThing(3, "car", (1.0, 2.0, 30.5, 40.0)), EventThing(9, "dog", (5.0, 6.0, 7.0, 8.0)))
    DailyCsv(CsvSettings(str(tmp_path))).deliver(Message.of(event(1, things=about)))
    with open(next(tmp_path.iterdir()), newline="") as file:
        assert next(csv.DictReader(file))["things"] == "3:car:1.0 2.0 30.5 40.0; 9:dog:5.0 6.0 7.0 8.0"


def test_a_cell_with_signs_of_csv_comes_back(tmp_path):
    reasons = ('says "hello", then\nfalls',)
    DailyCsv(CsvSettings(str(tmp_path))).deliver(Message.of(event(1, reasons=reasons)))
    with open(next(tmp_path.iterdir()), newline="") as file:
        assert next(csv.DictReader(file))["reasons"] == reasons[0]


@pytest.mark.parametrize(
    "sink", [JsonLines(JsonLinesSettings("/dev/full")), DailyCsv(CsvSettings("/dev/null/x"))]
)
def test_a_file_that_cannot_be_written_is_tried_again(sink):
    with pytest.raises(NotDelivered):
        sink.deliver(Message.of(event(1)))
