"""What tests of live parts share: events, a web server and an MQTT broker that can misbehave."""

from __future__ import annotations

import asyncio
import json
import logging
import socket
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from pipeline.live.events.record import EventPerson, LiveEvent

START = datetime(2026, 11, 29, 10, 0, 0, tzinfo=UTC)


def event(number: int = 1, type_: str = "new", **more: Any) -> LiveEvent:
    values: dict[str, Any] = {
        "kind": "anomaly", "camera": "door", "start_time": START + timedelta(seconds=number), "score": 3.5,
        "percentile": 99.9, "threshold": 3.0, "people": (EventPerson(7, (10.0, 20.0, 60.0, 180.0), 99.95),),
        "reasons": ("moves faster than 99.9 % of people here",), "model_id": "abc",
    }  # fmt: skip
    if type_ == "end":
        values |= {"end_time": START + timedelta(seconds=number + 5), "end_reason": "quiet"}
    return LiveEvent(type_, id=f"door-{number}", **(values | more))


def state(name: str, number: int = 1, camera: str = "door") -> LiveEvent:
    return LiveEvent("new", "state", f"{camera}-state-{number}", camera, START, state=name)


def wait_for(what: Callable[[], Any], seconds: float = 20.0) -> Any:
    until = time.monotonic() + seconds
    while not (found := what()):
        assert time.monotonic() < until, "it did not happen in time"
        time.sleep(0.01)
    return found


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


class WebServer:
    """Keeps what is posted; ``answer`` is a status, or "hang" for none at all."""

    def __init__(self, port: int = 0) -> None:
        self.answer: int | str = 200
        self.headers: dict[str, str] = {}  # of the answer
        self.requests: list[tuple[Any, bytes]] = []  # headers and body of all attempts
        self.taken: list[bytes] = []  # those answered with 200
        self.free = threading.Event()  # lets hanging answers end
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                outer.requests.append((self.headers, body))
                if outer.answer == "hang":
                    outer.free.wait()
                    return
                if outer.answer == 200:
                    outer.taken.append(body)
                self.send_response(int(outer.answer))
                for name, value in outer.headers.items():
                    self.send_header(name, value)
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self._server.daemon_threads = True
        self.port = self._server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}/events"
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def close(self) -> None:
        self.free.set()
        self._server.shutdown()
        self._server.server_close()


class MqttBroker:
    """A broker (amqtt) in a thread of its own; with a certificate (PEM files of it and its key) it speaks TLS."""

    def __init__(self, port: int, certificate: tuple[str, str] | None = None) -> None:
        logging.getLogger("amqtt").setLevel(logging.CRITICAL)
        logging.getLogger("transitions").setLevel(logging.CRITICAL)
        self.port, self._certificate = port, certificate
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._broker = self._run(self._start())

    async def _start(self) -> Any:
        from amqtt.broker import Broker

        listener = {"type": "tcp", "bind": f"127.0.0.1:{self.port}"}
        if self._certificate is not None:
            listener |= dict(zip(("certfile", "keyfile"), self._certificate, strict=True), ssl=True)
        broker = Broker(
            {
                "listeners": {"default": listener},
                "plugins": {"amqtt.plugins.authentication.AnonymousAuthPlugin": {"allow_anonymous": True}},
            }
        )
        await broker.start()
        return broker

    def _run(self, work: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(20)

    def close(self) -> None:
        self._run(self._broker.shutdown())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)


class MqttListener:
    """Subscribes to everything and keeps it: (topic, payload, retained)."""

    def __init__(self, port: int) -> None:
        from paho.mqtt import client as paho
        from paho.mqtt.enums import CallbackAPIVersion

        self.messages: list[tuple[str, str, bool]] = []
        self._ready = threading.Event()
        self._client = paho.Client(CallbackAPIVersion.VERSION2)
        self._client.on_connect = lambda client, *_: client.subscribe("#", qos=1)
        self._client.on_subscribe = lambda *_: self._ready.set()
        self._client.on_message = lambda _c, _d, m: self.messages.append(
            (m.topic, m.payload.decode(), m.retain)
        )
        self._client.connect("127.0.0.1", port)
        self._client.loop_start()
        assert self._ready.wait(10)

    def last(self, topic: str) -> str | None:
        return next((text for name, text, _ in reversed(self.messages) if name == topic), None)

    def all(self, topic: str) -> list[Any]:
        return [json.loads(text) for name, text, _ in self.messages if name == topic]

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()
