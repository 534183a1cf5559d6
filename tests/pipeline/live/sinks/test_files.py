import csv
import json
import os
import select
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


def test_standard_output_gets_lines_at_once(capfd):
    JsonLines(JsonLinesSettings()).deliver(Message.of(event(1)))
    assert json.loads(capfd.readouterr().out)["id"] == "door-1"


BUFFERED = os.environ | {"PYTHONUNBUFFERED": ""}  # as Python is by itself

FULL = """
import resource
from pipeline.live.sinks.base import Message, NotDelivered
from pipeline.live.sinks.files import JsonLines
from pipeline.live.sinks.settings import JsonLinesSettings
from tests.pipeline.live.helpers import event
sink = JsonLines(JsonLinesSettings())
resource.setrlimit(resource.RLIMIT_FSIZE, (600, resource.RLIM_INFINITY))
def attempts(number):
    for _ in range(4):
        try:
            return sink.deliver(Message.of(event(number)))
        except NotDelivered:
            pass
for number in (1, 2, 3, 4):  # 2 is begun and given up, nothing is written of 3
    attempts(number)
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
for number in (4, 5):
    attempts(number)
"""


def test_a_full_disk_makes_no_line_of_standard_output_come_twice_or_in_pieces(tmp_path):
    with open(tmp_path / "out.jsonl", "wb") as file:
        subprocess.run(
            [sys.executable, "-c", FULL], cwd=ROOT, env=BUFFERED, stdout=file, check=True, timeout=60
        )
    lines = (tmp_path / "out.jsonl").read_text().splitlines()
    assert [LiveEvent.from_json(line).id for line in lines] == ["door-1", "door-2", "door-4", "door-5"]


UNREAD = """
import sys
from pathlib import Path
from pipeline.live.sinks.dispatcher import Dispatcher
from pipeline.live.sinks.settings import JsonLinesSettings, SinkSettings
from tests.pipeline.live.helpers import event
sinks = Dispatcher({"out": SinkSettings(jsonl=JsonLinesSettings())}, Path(sys.argv[1]))
sinks.send(event(1, reasons=("x" * 200_000,)))
sys.stdin.read()
sinks.close(0.5)
"""


def test_a_reader_of_standard_output_that_hangs_does_not_keep_the_process_from_ending(tmp_path):
    read, write = os.pipe()  # holds less than the event
    child = subprocess.Popen(
        [sys.executable, "-c", UNREAD, tmp_path], cwd=ROOT, env=BUFFERED, stdin=subprocess.PIPE, stdout=write
    )
    os.close(write)
    try:
        assert select.select([read], [], [], 60)[0]  # it is being written
        assert child.stdin is not None
        child.stdin.close()
        assert child.wait(30) == 0
    finally:
        child.kill()
        child.wait()
        os.close(read)


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
