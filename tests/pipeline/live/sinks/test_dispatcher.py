import json
import sys
import threading
import time
from pathlib import Path

import pytest

from pipeline.live.events.record import LiveEvent
from pipeline.live.sinks.base import Message, NotDelivered, Refused
from pipeline.live.sinks.dispatcher import Dispatcher
from pipeline.live.sinks.settings import SinkSettings
from pose_extract.checking import build
from pose_extract.errors import ConfigError, UsageError
from tests.pipeline.live.helpers import MqttBroker, MqttListener, WebServer, event, free_port, state, wait_for


def sink(**values: object) -> SinkSettings:
    return build(SinkSettings, {"retry_first_s": 0.05, "retry_most_s": 0.2, **values})


def lines(path: Path) -> list[LiveEvent]:
    return [LiveEvent.from_json(line) for line in path.read_text().splitlines()] if path.exists() else []


@pytest.fixture
def server():
    server = WebServer()
    yield server
    server.close()


def test_every_sink_gets_every_event_in_order_and_knows_what_was_before(tmp_path, server):
    dispatcher = Dispatcher(
        {
            "file": sink(jsonl={"path": str(tmp_path / "out.jsonl")}),
            "hook": sink(webhook={"url": server.url}),
        },
        tmp_path / "queue",
    )
    sent = [event(1), event(2), event(1, "update"), event(1, "end"), event(2, "end")]
    for each in sent:
        dispatcher.send(each)
    dispatcher.close(20)
    assert lines(tmp_path / "out.jsonl") == sent
    assert [LiveEvent.from_json(body) for body in server.taken] == sent
    assert dispatcher.figures()["hook"].delivered == 5


class Keeps:
    """A sink that keeps what it gets."""

    def __init__(self) -> None:
        self.messages: list[Message] = []
        self.stats: list[object] = []

    def deliver(self, message: Message) -> None:
        self.messages.append(message)

    def tell(self, stats: object) -> None:
        self.stats.append(stats)

    def close(self) -> None: ...


def test_messages_tell_what_was_sent_before_of_the_same_event(tmp_path):
    kept = Keeps()
    dispatcher = Dispatcher({"a": sink(jsonl={})}, tmp_path, make=lambda *_: kept)
    sent = [event(1), event(2), event(1, "update", score=4.0), event(1, "end"), event(1)]
    for each in sent:
        dispatcher.send(each)
    dispatcher.close(20)
    assert [m.before for m in kept.messages] == [None, None, sent[0], sent[2], None]


def test_a_sink_gets_only_what_it_asks_for(tmp_path):
    paths = {name: str(tmp_path / name) for name in "abc"}
    dispatcher = Dispatcher(
        {
            "a": sink(jsonl={"path": paths["a"]}, types=["new"]),
            "b": sink(jsonl={"path": paths["b"]}, kinds=["state"]),
            "c": sink(jsonl={"path": paths["c"]}, cameras=["yard"]),
        },
        tmp_path / "queue",
    )
    for each in (event(1), event(1, "end"), state("lost"), state("lost", camera="yard")):
        dispatcher.send(each)
    dispatcher.close(20)
    assert [e.id for e in lines(tmp_path / "a")] == ["door-1", "door-state-1", "yard-state-1"]
    assert [e.id for e in lines(tmp_path / "b")] == ["door-state-1", "yard-state-1"]
    assert [e.id for e in lines(tmp_path / "c")] == ["yard-state-1"]


@pytest.mark.parametrize("trouble", [500, "hang", "refuse"])
def test_a_webhook_in_trouble_loses_nothing_and_delays_nobody(tmp_path, trouble):
    port = free_port()
    server = None if trouble == "refuse" else WebServer(port)
    if server:
        server.answer = trouble
    hook = sink(webhook={"url": f"http://127.0.0.1:{port}/", "timeout_s": 0.5})
    dispatcher = Dispatcher(
        {"hook": hook, "file": sink(jsonl={"path": str(tmp_path / "out.jsonl")})}, tmp_path / "queue"
    )
    for number in range(1, 101):
        begin = time.monotonic()
        dispatcher.send(event(number))
        assert time.monotonic() - begin < 5  # a queue waits for nobody; generous, for busy machines
    wait_for(lambda: len(lines(tmp_path / "out.jsonl")) == 100)
    assert dispatcher.figures()["hook"].queued == 100
    wait_for(lambda: dispatcher.figures()["hook"].failures >= 2)
    if server:
        server.answer = 200
    else:
        server = WebServer(port)
    wait_for(lambda: len(server.taken) >= 100)
    dispatcher.close(20)
    server.close()
    assert [json.loads(body)["id"] for body in server.taken] == [f"door-{number}" for number in range(1, 101)]
    assert dispatcher.figures()["hook"].dropped == 0


def test_a_broker_that_is_down_loses_nothing_and_delays_nobody(tmp_path):
    port = free_port()
    dispatcher = Dispatcher(
        {
            "home": sink(mqtt={"host": "127.0.0.1", "port": port, "timeout_s": 2.0}),
            "file": sink(jsonl={"path": str(tmp_path / "out.jsonl")}),
        },
        tmp_path / "queue",
        ["door"],
    )
    for number in range(1, 51):
        dispatcher.send(event(number))
    wait_for(lambda: len(lines(tmp_path / "out.jsonl")) == 50)
    assert dispatcher.figures()["home"].queued == 50
    broker = MqttBroker(port)
    listener = MqttListener(port)
    wait_for(lambda: len(listener.all("gepc/events")) == 50, 40)
    assert [each["after"]["id"] for each in listener.all("gepc/events")] == [
        f"door-{n}" for n in range(1, 51)
    ]
    dispatcher.close(5)
    listener.close()
    broker.close()


def test_what_was_not_delivered_is_delivered_after_a_restart(tmp_path, server, caplog):
    server.answer = 503
    settings = {"hook": sink(webhook={"url": server.url})}
    first = Dispatcher(settings, tmp_path)
    first.send(event(1))
    first.send(event(1, "end"))
    first.close(0.5)
    assert "wait for the next start (hook: 2)" in caplog.text
    server.answer = 200
    second = Dispatcher(settings, tmp_path)
    wait_for(lambda: len(server.taken) == 2)
    second.close(5)
    assert [json.loads(body)["type"] for body in server.taken] == ["new", "end"]
    tried = [headers["webhook-id"] for headers, _ in server.requests]
    assert set(tried) == {"door-1.new", "door-1.end"}


def test_closing_waits_no_longer_than_it_may_for_a_receiver_that_hangs(tmp_path, server):
    server.answer = "hang"
    dispatcher = Dispatcher({"hook": sink(webhook={"url": server.url, "timeout_s": 120.0})}, tmp_path)
    dispatcher.send(event(1))
    wait_for(lambda: server.requests)
    begin = time.monotonic()
    dispatcher.close(0.5)
    assert time.monotonic() - begin < 10
    server.answer = 200
    server.free.set()
    second = Dispatcher({"hook": sink(webhook={"url": server.url})}, tmp_path)
    wait_for(lambda: server.taken)
    second.close(5)


class Broken:
    """A sink with a defect, or one that refuses."""

    def __init__(self, error: Exception) -> None:
        self.error, self.attempts = error, 0

    def deliver(self, message: Message) -> None:
        self.attempts += 1
        if message.event.id == "door-1":
            raise self.error

    def tell(self, stats: object) -> None:
        raise self.error

    def close(self) -> None:
        raise self.error


@pytest.mark.parametrize(
    ("error", "attempts"), [(Refused("no"), 2), (RuntimeError("defect"), 21), (NotDelivered("later"), None)]
)
def test_an_event_that_a_sink_cannot_take_does_not_stand_in_the_way_for_ever(tmp_path, error, attempts):
    broken = Broken(error)
    settings = build(SinkSettings, {"jsonl": {}, "retry_first_s": 0.001, "retry_most_s": 0.002})
    dispatcher = Dispatcher({"a": settings}, tmp_path, make=lambda *_: broken)
    dispatcher.tell({})
    dispatcher.send(event(1))
    dispatcher.send(event(2))
    if attempts is None:  # it was said that it will work one day
        wait_for(lambda: broken.attempts > 30)
        assert dispatcher.figures()["a"].queued == 2
    else:
        wait_for(lambda: dispatcher.figures()["a"].queued == 0)
        assert (broken.attempts, dispatcher.figures()["a"].refused) == (attempts, 1)
        assert dispatcher.figures()["a"].delivered == 1
    dispatcher.close(0.5)


def test_figures_reach_the_sinks_that_publish_them(tmp_path):
    kept = Keeps()
    dispatcher = Dispatcher({"a": sink(jsonl={})}, tmp_path, make=lambda *_: kept)
    dispatcher.tell({"fps": 5})
    wait_for(lambda: kept.stats == [{"fps": 5}])
    dispatcher.close(5)


def test_a_sink_that_cannot_be_made_ends_those_that_were(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "apprise", None)
    before = threading.active_count()
    settings = {
        "home": sink(mqtt={"host": "127.0.0.1", "port": free_port()}),
        "person": sink(apprise={"url": "json://a"}),
    }
    with pytest.raises(UsageError, match="pip install"):
        Dispatcher(settings, tmp_path)
    wait_for(lambda: threading.active_count() <= before)


def test_many_threads_may_send_at_once(tmp_path):
    dispatcher = Dispatcher({"file": sink(jsonl={"path": str(tmp_path / "out")})}, tmp_path / "queue")
    threads = [
        threading.Thread(target=lambda k=k: [dispatcher.send(event(100 * k + n)) for n in range(50)])
        for k in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    dispatcher.close(30)
    assert sorted(e.id for e in lines(tmp_path / "out")) == sorted(
        f"door-{100 * k + n}" for k in range(4) for n in range(50)
    )


@pytest.mark.parametrize("name", ["../out", "", "a/b", ".hidden", "x" * 65])
def test_a_name_that_is_no_file_is_told(tmp_path, name):
    with pytest.raises(ConfigError, match="sinks: expected names of letters"):
        Dispatcher({name: sink(jsonl={})}, tmp_path / "queue")
    assert not list(tmp_path.iterdir())
