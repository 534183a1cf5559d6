"""`watch` with everything that hangs on it: sinks, rules, recordings, metrics."""

from __future__ import annotations

import json
import sys
import threading
import time
import urllib.request
from datetime import datetime

import jsonschema
import numpy as np
import pytest
import yaml

from benchmarks.helpers.scripted import ScriptedEstimator, scripted_video
from pipeline.live.events.record import LiveEvent
from pipeline.live.events.schema import event_schema
from pipeline.live.rules.settings import DAYS
from pipeline.synthetic.clips import simulate_clip
from pipeline.synthetic.street.scene import StreetSettings
from pose_extract.video import VideoReader
from tests.pipeline.live.helpers import MqttBroker, MqttListener, WebServer, free_port, wait_for

SCHEMA = jsonschema.Draft202012Validator(event_schema(), format_checker=jsonschema.FormatChecker())


@pytest.fixture(scope="module")
def street():
    """Somebody falls, in the middle of others."""
    return simulate_clip("door", 31, StreetSettings(seconds=8), abnormal=("falling",)).truth


@pytest.fixture
def scripted(monkeypatch, street):
    """Every estimator is one that knows the street's people."""
    monkeypatch.setattr("pipeline.live.cameras.chosen_estimator", lambda name: name)
    monkeypatch.setattr("pipeline.live.cameras.create_estimator", lambda *_: ScriptedEstimator(street))


@pytest.fixture(scope="module")
def video(tmp_path_factory, street):
    return scripted_video(tmp_path_factory.mktemp("video") / "door.mp4", street.frame_count, street.fps)


@pytest.fixture
def watch(cli, truth_workspace, scripted, video, tmp_path):
    """Runs `watch` on the street with a watch.yaml that holds more; gives what was said on standard output."""

    def run(rules: dict | None = None, **more: object) -> list[LiveEvent]:
        values = {"cameras": {"door": {"source": str(video), "rules": rules or {}}}, **more}
        (tmp_path / "watch.yaml").write_text(yaml.safe_dump(values))
        model = ("--model", truth_workspace / "model", "--out", tmp_path / "out")
        result = cli("watch", tmp_path / "watch.yaml", *model, "--quiet")
        assert result.code == 0
        return [LiveEvent.from_json(line) for line in result.out.splitlines()]

    return run


def test_every_sink_gets_the_same_events_with_pictures_and_clips(watch, tmp_path):
    server, broker = WebServer(), MqttBroker(free_port())
    listener = MqttListener(broker.port)
    code = "import sys; open(sys.argv[1], 'a').write(sys.stdin.read() + '\\n')"
    said = watch(
        sinks={
            "out": {"jsonl": {}},
            "log": {"jsonl": {"path": str(tmp_path / "log.jsonl")}},
            "table": {"csv": {"folder": str(tmp_path / "tables")}},
            "hook": {"webhook": {"url": server.url, "format": "cloudevents"}},
            "home": {"mqtt": {"host": "127.0.0.1", "port": broker.port}},
            "program": {"command": {"arguments": [sys.executable, "-c", code, str(tmp_path / "program")]}},
            "phone": {"apprise": {"url": f"json://127.0.0.1:{server.port}/phone"}},
        },
        recording={"before_s": 1, "after_s": 1},
    )
    assert {event.type for event in said if event.kind == "anomaly"} >= {"new", "end"}
    lines = [event.to_json() for event in said]
    for event in said:
        SCHEMA.validate(event.to_dict())

    def all_there() -> bool:
        return len(listener.all("gepc/events")) == len(said)

    wait_for(all_there)
    assert (tmp_path / "log.jsonl").read_text().splitlines() == lines
    assert (tmp_path / "program").read_text().splitlines() == lines
    assert [json.dumps(each["after"], ensure_ascii=False) for each in listener.all("gepc/events")] == lines
    posted = [json.loads(body) for body in server.taken]
    assert [LiveEvent.from_dict(each["data"]).to_json() for each in posted if "data" in each] == lines
    told = [each["title"] for each in posted if "title" in each]
    assert len(told) == sum(event.type == "new" for event in said)
    rows = sum(len(path.read_text().splitlines()) - 1 for path in (tmp_path / "tables").iterdir())
    assert rows == len(said)
    wait_for(lambda: listener.last("gepc/available") == "offline")
    assert listener.last("gepc/door/unusual") == "OFF"
    for event in said:
        if event.kind == "anomaly":
            with open(event.picture or "", "rb") as file:
                assert file.read(3) == b"\xff\xd8\xff"
        if event.type == "end":
            shares = white_in(event.clip or "")
            assert len(shares) > 24
            assert np.mean(shares) > 0.1  # as filmed
    listener.close()
    broker.close()
    server.close()


def test_who_stands_in_a_zone_to_ignore_raises_no_alarm_and_a_zone_to_watch_is_named(watch):
    whole = [[0, 0], [1, 0], [1, 1], [0, 1]]
    names = [(event.type, event.kind, event.zone) for event in watch()]
    assert ("new", "anomaly", None) in names
    ignored = watch(rules={"zones": [{"name": "all", "polygon": whole, "mode": "ignore"}]})
    assert [event.kind for event in ignored] == ["state"]
    found = watch(rules={"zones": [{"name": "street", "polygon": whole}]})
    assert [(event.type, event.kind, event.zone and "street") for event in found if event.zone] == [
        (type_, kind, "street") for type_, kind, _ in names if kind == "anomaly"
    ]


def test_rules_keep_back_whole_events(watch):
    other_day = DAYS[(datetime.now().weekday() + 3) % 7]
    said = watch(rules={"schedules": [{"days": [other_day], "begin": "10:00", "end": "11:00"}]})
    assert [event.kind for event in said] == ["state"]


def test_health_and_metrics_answer_while_it_runs(watch):
    port, found = free_port(), {}

    def ask() -> None:
        until = time.monotonic() + 240
        while time.monotonic() < until and "metrics" not in found:
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=5) as answer:
                    health = json.load(answer)
                if health["cameras"].get("door") == "online":
                    found["health"] = health
                    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
                        text = answer.read().decode()
                    if 'gepc_alarm_share_expected{camera="door"}' in text:  # once the first frames are scored
                        found["metrics"] = text
            except OSError:
                pass
            time.sleep(0.02)

    thread = threading.Thread(target=ask)
    thread.start()
    watch(status={"port": port})
    thread.join()
    assert found["health"]["status"] == "ok"
    assert 'gepc_up{camera="door"} 1.0' in found["metrics"]
    assert 'gepc_alarm_share{camera="door"}' in found["metrics"]


def white_in(clip):
    """Share of white in the upper quarter of each frame: what was filmed has white fields there; joints are small."""
    with VideoReader(clip) as reader:
        return [float((frame.image[:90] > 230).all(axis=2).mean()) for frame in reader]


def test_with_skeletons_only_no_clip_shows_what_was_filmed(watch, tmp_path):
    watch(recording={"privacy": "skeletons", "before_s": 1, "after_s": 1})
    clips = list((tmp_path / "out" / "clips").rglob("*.mp4"))
    assert clips
    assert all(np.mean(white_in(path)) < 0.02 for path in clips)


def test_the_schema_is_printed(cli):
    assert json.loads(cli("watch", "--schema").out) == event_schema()


def test_a_sink_that_cannot_be_is_told_before_anything_starts(cli, truth_workspace, video, tmp_path):
    (tmp_path / "watch.yaml").write_text(
        yaml.safe_dump(
            {"cameras": {"door": {"source": str(video)}}, "sinks": {"hook": {"webhok": {"url": "x"}}}}
        )
    )
    result = cli("watch", tmp_path / "watch.yaml", "--model", truth_workspace / "model", "--check")
    assert result.code == 3
    assert "unknown key 'sinks.hook.webhok'; did you mean 'webhook'?" in result.err
