"""`watch` as a process that is told to end, killed, and started again."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time

import pytest

from benchmarks.helpers.scripted import scripted_video
from pipeline.live.events.record import LiveEvent
from pipeline.synthetic.clips import simulate_clip
from pipeline.synthetic.street.scene import StreetSettings
from pose_extract.tracks.cache import save_tracks
from tests.helpers import ROOT
from tests.pipeline.live.helpers import wait_for

pytestmark = pytest.mark.slow

KILLS = int(os.environ.get("GEPC_KILLS", "4"))  # 20 take ten minutes


@pytest.fixture(scope="module")
def street(tmp_path_factory):
    """A video, and the file of its people: somebody falls."""
    folder = tmp_path_factory.mktemp("street")
    truth = simulate_clip("door", 31, StreetSettings(seconds=12), abnormal=("falling",)).truth
    save_tracks(folder / "door.npz", truth)
    scripted_video(folder / "door.mp4", truth.frame_count, truth.fps)
    return folder


class Process:
    """`watch`, whose events go into a file."""

    def __init__(self, street, model, out, *options):
        self.events_file, self.log = out / "events.jsonl", out / "log.txt"
        out.mkdir(exist_ok=True)
        config = out / "watch.yaml"
        config.write_text(
            f"cameras:\n  door: {{source: '{street / 'door.mp4'}', realtime: true}}\n"
            f"sinks:\n  file: {{jsonl: {{path: '{self.events_file}'}}}}\n"
            "set: [events.merge_gap_s=60]\n"  # once begun, an event goes on
        )
        command = [
            sys.executable, "-m", "tests.helpers.scripted_watch", street / "door.npz", config, "--model", model,
            "--out", out / "kept", *options,
        ]  # fmt: skip
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        with open(self.log, "ab") as log:
            self.child = subprocess.Popen(
                [*map(str, command)], stdout=log, stderr=log, env=environment, cwd=ROOT
            )

    def events(self):
        try:
            lines = self.events_file.read_text().splitlines(keepends=True)
        except FileNotFoundError:
            return []
        return [LiveEvent.from_json(line) for line in lines if line.endswith("\n")]

    def open_ids(self):
        found = {}
        for event in self.events():
            if event.kind == "anomaly":
                found[event.id] = event.type
        return {name for name, kind in found.items() if kind != "end"}


@pytest.fixture
def watching(street, truth_workspace, tmp_path):
    started = []

    def start(*options):
        started.append(Process(street, truth_workspace / "model", tmp_path / "watch", *options))
        return started[-1]

    yield start
    for process in started:
        process.child.kill()
        process.child.wait()


def test_sigterm_ends_within_five_seconds_with_events_closed(watching):
    process = watching()
    wait_for(process.open_ids, 60)
    began = time.monotonic()
    process.child.send_signal(signal.SIGTERM)
    assert process.child.wait(5) == 0, process.log.read_text()
    assert time.monotonic() - began < 5
    assert not process.open_ids()
    last = [event for event in process.events() if event.kind == "anomaly"][-1]
    assert (last.type, last.end_reason) == ("end", "shutdown")


def test_killed_at_any_moment_it_ends_what_it_had_begun_and_tells_nothing_twice(watching):
    rng = random.Random(0)
    for attempt in range(KILLS):
        process = watching()
        if attempt % 2:
            wait_for(process.open_ids, 60)
        else:
            wait_for(lambda p=process: len(p.events()), 60)
        time.sleep(rng.uniform(0, 2))
        process.child.kill()
        process.child.wait()
    before = process.open_ids()
    assert before
    process = watching()
    assert process.child.wait(90) == 0, process.log.read_text()
    assert not process.open_ids()
    anomalies = [event for event in process.events() if event.kind == "anomaly"]
    reasons = {event.id: event.end_reason for event in anomalies if event.type == "end"}
    assert all(reasons[name] == "restart" for name in before)
    begun = {event.id: event.start_time for event in anomalies if event.type == "new"}
    assert begun.keys() == reasons.keys()
    assert len(set(begun.values())) == len(begun)  # none has two ids
