import json
import os
import signal
import sys
import threading
import time

import pytest

from pipeline.live.sinks.base import Message, NotDelivered, Refused
from pipeline.live.sinks.command import Command
from pipeline.live.sinks.settings import CommandSettings
from tests.pipeline.live.helpers import event, wait_for


def python(code: str, *more: str, **settings: object) -> Command:
    return Command(CommandSettings((sys.executable, "-c", code, *more), **settings))  # type: ignore[arg-type]


def test_the_event_comes_on_standard_input(tmp_path):
    code = "import sys, os; open(sys.argv[1], 'w').write(sys.stdin.read() + os.environ['GEPC_CAMERA'])"
    python(code, str(tmp_path / "out")).deliver(Message.of(event()))
    text = (tmp_path / "out").read_text()
    assert text.endswith("}door")
    assert json.loads(text[:-4])["id"] == "door-1"


def test_a_program_that_reads_nothing_is_none_the_worse():
    python("pass").deliver(Message.of(event(reasons=("x" * 200_000,))))


def test_a_program_that_fails_is_tried_again_and_given_up_at_last():
    sink = python("import sys; sys.exit('no network')", attempts=3)
    message = Message.of(event())
    for _ in range(2):
        with pytest.raises(NotDelivered, match="ended with 1: no network"):
            sink.deliver(message)
    with pytest.raises(Refused, match="3 times"):
        sink.deliver(message)
    with pytest.raises(NotDelivered):
        sink.deliver(Message.of(event(2)))


def test_a_program_that_is_not_there_is_told():
    with pytest.raises(NotDelivered, match="nowhere cannot be run"):
        Command(CommandSettings(("/nowhere",))).deliver(Message.of(event()))


def gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    with open(f"/proc/{pid}/stat") as file:
        return file.read().rsplit(")", 1)[1].split()[0] == "Z"


def test_a_program_that_hangs_is_ended_with_all_that_it_started(tmp_path):
    line = ("sh", "-c", 'sleep 60 & echo $! > "$0"; wait', str(tmp_path / "pid"))
    begin = time.monotonic()
    with pytest.raises(NotDelivered, match="longer than 2 s"):
        Command(CommandSettings(line, timeout_s=2.0)).deliver(Message.of(event()))
    assert time.monotonic() - begin < 30
    wait_for(lambda: gone(int((tmp_path / "pid").read_text())))


@pytest.mark.parametrize("code", [0, 3])
def test_a_program_is_over_when_it_ends_whatever_it_leaves_running(tmp_path, code):
    # What it leaves holds its standard input and standard error open.
    text = (
        "import subprocess, sys; p = subprocess.Popen(['sleep', '60']); "
        "open(sys.argv[1], 'a').write(f'{p.pid}\\n'); sys.stderr.write('it was me'); sys.exit(int(sys.argv[2]))"
    )
    sink = python(text, str(tmp_path / "pids"), str(code), timeout_s=30.0)
    message = Message.of(event(reasons=("x" * 200_000,)))  # more than a pipe holds
    begin = time.monotonic()
    if code:
        with pytest.raises(NotDelivered, match="ended with 3: it was me"):
            sink.deliver(message)
    else:
        sink.deliver(message)
    assert time.monotonic() - begin < 25
    (pid,) = (tmp_path / "pids").read_text().split()
    assert not gone(int(pid))
    os.kill(int(pid), signal.SIGKILL)


def test_closing_ends_a_program_that_runs():
    sink = python("import time; time.sleep(60)", timeout_s=60.0)
    failed: list[BaseException] = []

    def run() -> None:
        try:
            sink.deliver(Message.of(event()))
        except NotDelivered as error:
            failed.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    wait_for(lambda: sink._process is not None)
    sink.close()
    thread.join(20)
    assert "ended with -9" in str(failed[0])
