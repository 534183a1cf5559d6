"""Sinks in trouble: is an event lost, and is another sink delayed?

    python -m benchmarks.live_sinks --minutes 5

A webhook that answers 500, one that hangs, one that refuses connections and an MQTT broker that is down, all at once
for so many minutes, beside a sink that is well; then they are there again. Needs the extra `live`, and amqtt for the
broker.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import tempfile
import threading
import time
from collections.abc import Sequence
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.live.events.record import LiveEvent
from pipeline.live.sinks.base import Message, Sink
from pipeline.live.sinks.dispatcher import Dispatcher, make_sink
from pipeline.live.sinks.settings import SinkSettings
from pose_extract.checking import build

_FIRST_PORT = 18080


class Receiver:
    """A web server that takes events, or does not."""

    def __init__(self, port: int, trouble: int | str | None) -> None:
        self.trouble, self.ids = trouble, list[str]()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if outer.trouble == "hang":
                    time.sleep(60)
                    return
                if outer.trouble is None:
                    outer.ids.append(json.loads(body)["id"])
                self.send_response(outer.trouble if isinstance(outer.trouble, int) else 200)
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                pass

        server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()


class Well:
    """A sink that is well and notes when events come."""

    def __init__(self) -> None:
        self.came: dict[str, float] = {}

    def deliver(self, message: Message) -> None:
        """Note when it came."""
        self.came[message.event.id] = time.perf_counter()

    def tell(self, stats: dict[str, Any]) -> None:
        """Figures are not wanted."""

    def close(self) -> None:
        """There is nothing to close."""


def broker_and_listener(port: int) -> list[str]:
    """Start a broker and somebody who listens; returns the list of ids that come."""
    from amqtt.broker import Broker
    from paho.mqtt import client as paho
    from paho.mqtt.enums import CallbackAPIVersion

    for name in ("amqtt", "transitions"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    loop = asyncio.new_event_loop()
    threading.Thread(target=loop.run_forever, daemon=True).start()

    async def start() -> None:
        plugins = {"amqtt.plugins.authentication.AnonymousAuthPlugin": {"allow_anonymous": True}}
        listeners = {"default": {"type": "tcp", "bind": f"127.0.0.1:{port}"}}
        await Broker({"listeners": listeners, "plugins": plugins}).start()

    asyncio.run_coroutine_threadsafe(start(), loop).result(30)
    ids: list[str] = []
    client = paho.Client(CallbackAPIVersion.VERSION2)
    client.on_connect = lambda c, *_: c.subscribe("gepc/events", qos=1)
    client.on_message = lambda _c, _d, m: ids.append(json.loads(m.payload)["after"]["id"])
    client.connect("127.0.0.1", port)
    client.loop_start()
    return ids


def measure(minutes: float, every_s: float, folder: Path) -> list[tuple[str, int, int, int, bool]]:
    """Rows of sink, received, lost, twice, in order; prints how long it took."""
    well = Well()
    receivers = {
        "webhook-500": Receiver(_FIRST_PORT, 500),
        "webhook-hung": Receiver(_FIRST_PORT + 1, "hang"),
    }
    ports = {"webhook-500": 0, "webhook-hung": 1, "webhook-refused": 2}
    values: dict[str, dict[str, Any]] = {
        name: {"webhook": {"url": f"http://127.0.0.1:{_FIRST_PORT + port}/"}} for name, port in ports.items()
    }
    values["broker-down"] = {"mqtt": {"host": "127.0.0.1", "port": _FIRST_PORT + 3}}
    values["well"] = {"jsonl": {}}
    sinks = {name: build(SinkSettings, {**each, "retry_most_s": 10.0}) for name, each in values.items()}

    def make(settings: SinkSettings, cameras: Sequence[str], published: Path) -> Sink:
        return well if settings.jsonl else make_sink(settings, cameras, published)

    dispatcher = Dispatcher(sinks, folder, ["door"], make=make)
    sent: dict[str, float] = {}
    calls = []
    until = time.perf_counter() + 60 * minutes
    while time.perf_counter() < until:
        name = f"door-{len(sent)}"
        sent[name] = begin = time.perf_counter()
        dispatcher.send(LiveEvent("new", "anomaly", name, "door", datetime.now().astimezone(), score=1.0))
        calls.append(time.perf_counter() - begin)
        time.sleep(every_s)
    failures = {name: figures.failures for name, figures in dispatcher.figures().items()}
    for receiver in receivers.values():
        receiver.trouble = None
    receivers["webhook-refused"] = Receiver(_FIRST_PORT + 2, None)
    came = {
        **{name: r.ids for name, r in receivers.items()},
        "broker-down": broker_and_listener(_FIRST_PORT + 3),
    }
    back = time.perf_counter()
    while any(len(set(ids)) < len(sent) for ids in came.values()) and time.perf_counter() < back + 120:
        time.sleep(0.1)
    waited = time.perf_counter() - back
    print(f"attempts that failed meanwhile: {failures}")
    print(f"sinks_events = {len(sent)}\nsinks_caught_up_s = {waited:.1f}")
    delays = np.array([well.came[name] - begin for name, begin in sent.items() if name in well.came]) * 1000
    for what, times in (("send", np.array(calls) * 1000), ("well", delays)):
        p50, p95 = np.percentile(times, [50, 95])
        print(f"sinks_{what}_p50_ms = {p50:.2f}\nsinks_{what}_p95_ms = {p95:.2f}")
        print(f"sinks_{what}_most_ms = {times.max():.2f}")
    came["well"] = list(well.came)
    dispatcher.close(5)
    order = list(sent)
    return [
        (
            name,
            len(set(ids)),
            len(set(sent) - set(ids)),
            len(ids) - len(set(ids)),
            list(dict.fromkeys(ids)) == [n for n in order if n in set(ids)],
        )
        for name, ids in came.items()
    ]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--minutes", type=float, default=0.5, help="how long the trouble lasts")
    parser.add_argument("--every", type=float, default=0.5, metavar="SECONDS", help="between two events")
    args = parser.parse_args()
    logging.getLogger("pipeline").setLevel(logging.ERROR)
    with tempfile.TemporaryDirectory() as folder:
        rows = measure(args.minutes, args.every, Path(folder))
    print("### What arrived\n| sink | received | lost | twice | in order |\n|---|---|---|---|---|")
    for name, received, lost, twice, ordered in rows:
        print(f"| {name} | {received} | {lost} | {twice} | {'yes' if ordered else 'no'} |")


if __name__ == "__main__":
    main()
