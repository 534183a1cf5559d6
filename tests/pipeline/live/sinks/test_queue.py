import os
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pipeline.live.sinks.base import Message
from pipeline.live.sinks.queue import DiskQueue
from tests.helpers import ROOT
from tests.pipeline.live.helpers import event


def ids(queue: DiskQueue) -> list[str]:
    found = []
    while (item := queue.first(0)) is not None:
        found.append(item[1].id)
        queue.done(item[0])
    return found


def test_messages_come_in_their_order_and_stay_until_they_are_done(tmp_path):
    queue = DiskQueue(tmp_path / "q.db", 10, 2**20)
    for number in (1, 2):
        queue.put(Message.of(event(number)))
    number, message = queue.first(0)
    assert (message.id, len(queue)) == ("door-1.new", 2)
    assert queue.first(0)[0] == number
    assert ids(queue) == ["door-1.new", "door-2.new"]
    assert queue.first(0) is None


def test_what_was_not_done_is_there_after_a_restart_with_the_same_ids(tmp_path):
    queue = DiskQueue(tmp_path / "q.db", 10, 2**20)
    messages = [Message.of(event(1)), Message.of(event(1, "update"), event(1)), Message.of(event(1, "end"))]
    for message in messages:
        queue.put(message)
    queue.done(queue.first(0)[0])
    queue.close()
    again = DiskQueue(tmp_path / "q.db", 10, 2**20)
    assert again.first(0)[1] == messages[1]
    again.put(Message.of(event(2)))
    assert ids(again) == [messages[1].id, "door-1.end", "door-2.new"]


@pytest.mark.slow
def test_a_killed_process_loses_no_message_that_was_put(tmp_path):
    code = """
import sys
from pathlib import Path
from pipeline.live.sinks.base import Message
from pipeline.live.sinks.queue import DiskQueue
from tests.pipeline.live.helpers import event
queue = DiskQueue(Path(sys.argv[1]), 10_000, 2**30)
for number in range(10_000):
    queue.put(Message.of(event(number)))
    print(number, flush=True)
"""
    child = subprocess.Popen(
        [sys.executable, "-c", code, tmp_path / "q.db"], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    assert child.stdout is not None
    for _ in range(200):
        put = int(child.stdout.readline())
    os.kill(child.pid, signal.SIGKILL)
    put = max([put, *map(int, child.stdout.read().split())])
    child.wait()
    found = ids(DiskQueue(tmp_path / "q.db", 10_000, 2**30))
    assert found[: put + 1] == [f"door-{number}.new" for number in range(put + 1)]


def test_a_full_queue_drops_updates_first_and_then_the_oldest_and_counts_them(tmp_path):
    queue = DiskQueue(tmp_path / "q.db", 3, 2**20)
    for message in (event(1), event(1, "update"), event(1, "end"), event(2)):
        queue.put(Message.of(message))
    assert (queue.dropped, queue.dropped_by_type) == (1, {"update": 1})
    queue.put(Message.of(event(3)))
    assert (queue.dropped, queue.dropped_by_type) == (2, {"update": 1, "new": 1})
    queue.close()
    assert ids(DiskQueue(tmp_path / "q.db", 3, 2**20)) == ["door-1.end", "door-2.new", "door-3.new"]


def test_bytes_are_bounded_too(tmp_path):
    size = len(Message.of(event(1)).to_bytes())
    queue = DiskQueue(tmp_path / "q.db", 1000, 5 * size + 50)
    for number in range(1, 10):
        queue.put(Message.of(event(number)))
    assert (len(queue), queue.dropped) == (5, 4)


def test_a_file_that_is_damaged_is_set_aside(tmp_path, caplog):
    (tmp_path / "q.db").write_bytes(b"no database" * 1000)
    queue = DiskQueue(tmp_path / "q.db", 10, 2**20)
    queue.put(Message.of(event(1)))
    assert "set aside as q.damaged" in caplog.text
    queue.close()
    assert ids(DiskQueue(tmp_path / "q.db", 10, 2**20)) == ["door-1.new"]
    assert (tmp_path / "q.damaged").exists()


def test_a_message_that_cannot_be_read_is_dropped_and_counted(tmp_path):
    DiskQueue(tmp_path / "q.db", 10, 2**20).close()
    with sqlite3.connect(tmp_path / "q.db") as disk:
        disk.execute("INSERT INTO messages VALUES (1, 'new', ?)", (b'{"id": 1}',))
    queue = DiskQueue(tmp_path / "q.db", 10, 2**20)
    queue.put(Message.of(event(2)))
    assert ids(queue) == ["door-2.new"]
    assert queue.dropped == 1


def test_without_a_disk_messages_wait_in_memory_and_that_is_said(tmp_path, caplog):
    (tmp_path / "file").touch()
    queue = DiskQueue(tmp_path / "file" / "q.db", 10, 2**20)
    queue.put(Message.of(event(1)))
    assert ids(queue) == ["door-1.new"]
    assert "in memory only" in caplog.text


def test_a_full_disk_stops_no_message(tmp_path, caplog):
    queue = DiskQueue(tmp_path / "q.db", 1000, 2**20)
    assert queue._disk is not None
    queue._disk.execute("PRAGMA max_page_count=1")  # SQLite then answers as on a full disk
    for number in range(1, 60):
        queue.put(Message.of(event(number)))
    assert "would lose them" in caplog.text
    assert ids(queue) == [f"door-{number}.new" for number in range(1, 60)]
    assert queue.dropped == 0


@pytest.fixture
def often(monkeypatch):
    """Let a queue try again at once what it could not write."""
    monkeypatch.setattr("pipeline.live.sinks.queue._AGAIN_S", 0.0)


FULL = """
import resource, sys
from pathlib import Path
from pipeline.live.sinks.base import Message
from pipeline.live.sinks.queue import DiskQueue
from tests.pipeline.live.helpers import event
path = Path(sys.argv[1])
queue = DiskQueue(path, 1000, 2**20)
for number in range(5):
    queue.put(Message.of(event(number)))
room = path.with_name("q.db-wal").stat().st_size
resource.setrlimit(resource.RLIMIT_FSIZE, (room, resource.RLIM_INFINITY))
for number in range(100, 110):
    queue.put(Message.of(event(number)))
for _ in range(5):
    queue.done(queue.first(0)[0])
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
queue.put(Message.of(event(200)))
queue.close()
"""


def test_what_a_full_disk_has_not_taken_is_made_up_for_at_the_end(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", FULL, tmp_path / "q.db"], cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert "would lose them" in done.stderr
    assert done.returncode == 0
    waiting = [*range(100, 110), 200]
    assert ids(DiskQueue(tmp_path / "q.db", 1000, 2**20)) == [f"door-{number}.new" for number in waiting]


def test_what_a_locked_file_has_not_taken_is_made_up_for_when_it_is_free(tmp_path, often, caplog):
    queue = DiskQueue(tmp_path / "q.db", 10, 2**20)
    for number in (1, 2):
        queue.put(Message.of(event(number)))
    other = sqlite3.connect(tmp_path / "q.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    queue.done(queue.first(0)[0])
    queue.put(Message.of(event(3)))
    assert "cannot be written" in caplog.text
    other.execute("ROLLBACK")
    other.close()
    assert queue.first(0)[1].id == "door-2.new"  # a sink that looks for work
    assert "can be written again" in caplog.text
    again = DiskQueue(tmp_path / "q.db", 10, 2**20)  # as after a kill: the first was not closed
    assert ids(again) == ["door-2.new", "door-3.new"]


def test_a_file_that_could_not_be_opened_is_opened_later_with_what_it_holds(tmp_path, often, caplog):
    folder = tmp_path / "queues"
    queue = DiskQueue(folder / "q.db", 10, 2**20)
    for number in (1, 2):
        queue.put(Message.of(event(number)))
    queue.close()
    folder.rename(tmp_path / "away")
    folder.touch()
    queue = DiskQueue(folder / "q.db", 10, 2**20)
    queue.put(Message.of(event(3)))
    held = queue.first(0)
    assert held[1].id == "door-3.new"
    assert caplog.text.count("in memory only") == 1
    folder.unlink()
    (tmp_path / "away").rename(folder)
    assert queue.first(0)[1].id == "door-1.new"
    queue.done(held[0])
    queue.put(Message.of(event(4)))
    queue.close()
    assert ids(DiskQueue(folder / "q.db", 10, 2**20)) == ["door-1.new", "door-2.new", "door-4.new"]


def test_the_log_beside_the_file_does_not_grow_for_ever(tmp_path):
    queue = DiskQueue(tmp_path / "q.db", 10, 2**20)
    for number in range(2000):
        queue.put(Message.of(event(number)))
        queue.done(queue.first(0)[0])
        queue.tidy()
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) < 2**20


def test_waiting_for_a_message_ends_when_there_is_one(tmp_path):
    import threading

    queue = DiskQueue(tmp_path / "q.db", 10, 2**20)
    threading.Timer(0.05, lambda: queue.put(Message.of(event(1)))).start()
    begin = time.monotonic()
    assert queue.first(30) is not None
    assert time.monotonic() - begin < 20


def test_paths_are_made(tmp_path: Path):
    DiskQueue(tmp_path / "a" / "b" / "q.db", 10, 2**20).put(Message.of(event(1)))
    assert (tmp_path / "a" / "b" / "q.db").is_file()
