"""Events published to an MQTT broker, with the topics that home automation expects; docs/alarms.md lists them."""

from __future__ import annotations

import json
import logging
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pipeline.live.events.record import LiveEvent
from pipeline.live.sinks.base import INSTALL, Message, NotDelivered
from pipeline.live.sinks.home_assistant import discovery, topic_level
from pipeline.live.sinks.settings import MqttSettings, secret
from pose_extract.errors import ConfigError, OutputError, UsageError
from pose_extract.files import write_atomically

logger = logging.getLogger(__name__)

_KEEPALIVE_S = 20  # a broker that says nothing for one and a half of it is taken for gone
_FAREWELL_S = 1.0


class Mqtt:
    """Publishes each event with QoS 1 and waits for the broker's word; reconnects by itself, for ever.

    Args:
        settings: the broker and the topics.
        cameras: whose discovery and states are published.
        published: file of the retained topics on the broker, so that those of cameras that are gone are taken from it;
            None: nothing is remembered.
    """

    def __init__(
        self, settings: MqttSettings, cameras: Sequence[str] = (), published: Path | None = None
    ) -> None:
        try:
            from paho.mqtt import client as paho
            from paho.mqtt.enums import CallbackAPIVersion
        except ImportError as error:
            raise UsageError(f"events to MQTT need paho-mqtt, which is not installed: {INSTALL}") from error
        self._settings, self._cameras = settings, frozenset(cameras)
        self._discovery = {
            topic: json.dumps(config)
            for camera in cameras
            if settings.home_assistant
            for topic, config in discovery(settings.home_assistant, settings.prefix, camera).items()
        }
        self._lock = threading.Lock()
        # Topic -> latest payload, said again after each reconnect. What an earlier run had begun it ends as a message.
        self._retained = {self._topic(f"{topic_level(camera)}/unusual"): "OFF" for camera in cameras}
        states = {self._topic(f"{topic_level(camera)}/status") for camera in cameras}
        self._own = {*self._discovery, *self._retained, *states}
        self._published = published
        self._gone = (
            _listed(published) - self._own
        )  # topics that are empty as soon as the broker has heard of it
        self._emptied: list[Any] = []  # what is to tell the broker so
        self._open: dict[str, str] = {}  # camera -> id of the anomaly that has begun last, while it goes on
        self._waiting: tuple[str, Any] | None = None  # a message that the broker has not acknowledged yet
        self._why = "not connected yet"
        self._client = paho.Client(CallbackAPIVersion.VERSION2, client_id=settings.client_id)
        if settings.user:
            self._client.username_pw_set(settings.user, secret("mqtt.password", settings.password) or None)
        if settings.tls:
            try:
                self._client.tls_set(settings.ca_file or None)
            except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
                raise ConfigError(f"config: mqtt.ca_file: {settings.ca_file}: {error}") from error
        self._client.will_set(self._topic("available"), "offline", qos=1, retain=True)
        self._client.reconnect_delay_set(1, 30)
        self._client.on_connect = self._connected
        self._client.on_disconnect = self._disconnected
        self._client.on_connect_fail = self._not_connected
        self._remember()
        self._client.connect_async(secret("mqtt.host", settings.host), settings.port, keepalive=_KEEPALIVE_S)
        self._client.loop_start()

    def deliver(self, message: Message) -> None:
        """Publish it and what follows from it for the camera's retained topics."""
        if not self._client.is_connected():
            raise NotDelivered(f"no connection to {self._settings.host}:{self._settings.port} ({self._why})")
        if self._waiting is None or self._waiting[0] != message.id:
            self._tell_state(message.event)
            self._waiting = (
                message.id,
                self._client.publish(
                    self._topic("events"), json.dumps(envelope(message), ensure_ascii=False), qos=1
                ),
            )
        information = self._waiting[1]  # the client sends an unacknowledged one again itself
        try:
            information.wait_for_publish(self._settings.timeout_s)
            published = information.is_published()
        except (RuntimeError, ValueError) as error:
            self._waiting = None
            raise NotDelivered(str(error)) from error
        if not published:
            raise NotDelivered(f"the broker has not acknowledged it within {self._settings.timeout_s:g} s")
        self._waiting = None

    def tell(self, stats: dict[str, Any]) -> None:
        """Publish figures, and states of which no event has come: of cameras that were there before this sink."""
        if self._client.is_connected():
            self._client.publish(self._topic("stats"), json.dumps(stats), qos=0)
            for camera in self._cameras & stats.get("cameras", {}).keys():
                level, state = topic_level(camera), stats["cameras"][camera]["state"]
                if state is not None and self._topic(f"{level}/status") not in self._retained:
                    self._retain(f"{level}/status", state)
        self._forget_gone()

    def close(self) -> None:
        """Say that nobody is there any more, and end the connection."""
        self._forget_gone()
        if self._client.is_connected():
            try:
                self._client.publish(
                    self._topic("available"), "offline", qos=1, retain=True
                ).wait_for_publish(_FAREWELL_S)
            except (RuntimeError, ValueError) as error:
                logger.debug("mqtt: %s", error)
        self._client.disconnect()
        self._client.loop_stop()

    def _tell_state(self, event: LiveEvent) -> None:
        level = topic_level(event.camera)
        if event.camera not in self._cameras:  # it was taken out while this waited
            self._client.publish(self._topic(f"{level}/event"), event.to_json(), qos=1)
            return
        if event.kind == "state":
            # The end of a state is told by the beginning of the next one.
            if event.type != "end":
                self._retain(f"{level}/status", event.state or "online")
            return
        # Of one that has begun before, the end may have found no room in the queue: nobody waits for it.
        if event.type != "end":
            self._open[event.camera] = event.id
        elif self._open.get(event.camera) == event.id:
            del self._open[event.camera]
        self._retain(f"{level}/unusual", "ON" if event.camera in self._open else "OFF")
        self._client.publish(self._topic(f"{level}/event"), event.to_json(), qos=1)

    def _retain(self, below: str, payload: str) -> None:
        topic = self._topic(below)
        with self._lock:
            self._retained[topic] = payload
        self._client.publish(topic, payload, qos=1, retain=True)

    def _connected(self, client: Any, _data: Any, _flags: Any, reason: Any, _properties: Any) -> None:
        if reason.is_failure:
            self._why = str(reason)
            logger.warning("mqtt: %s:%d refuses us: %s", self._settings.host, self._settings.port, reason)
            return
        with self._lock:
            retained, gone = dict(self._retained), sorted(self._gone)
        self._emptied = [client.publish(topic, b"", qos=1, retain=True) for topic in gone]
        for topic, payload in {**self._discovery, **retained, self._topic("available"): "online"}.items():
            client.publish(topic, payload, qos=1, retain=True)

    def _remember(self) -> None:
        """Put on disk what is retained by the broker, or soon will be."""
        if self._published is None:
            return
        try:
            write_atomically(self._published, json.dumps(sorted(self._own | self._gone)).encode())
        except OutputError as error:
            logger.warning(
                "mqtt: %s; what is taken out of the settings now would stay with the broker", error
            )

    def _forget_gone(self) -> None:
        """Remember those no more that the broker has emptied."""
        try:
            done = self._emptied and all(each.is_published() for each in self._emptied)
        except (
            RuntimeError,
            ValueError,
        ):  # the connection was lost: they are published again after the next one
            return
        if done:
            with self._lock:
                self._gone, self._emptied = set(), []
            self._remember()

    def _not_connected(self, _client: Any, _data: Any) -> None:
        self._why = str(sys.exc_info()[1] or "no connection")  # paho calls this while it handles the error

    def _disconnected(self, _client: Any, _data: Any, _flags: Any, reason: Any, _properties: Any) -> None:
        self._why = str(reason)

    def _topic(self, below: str) -> str:
        return f"{self._settings.prefix}/{below}"


def _listed(path: Path | None) -> set[str]:
    """The topics that an earlier run has written down; none where it has not, or nobody can read it."""
    try:
        found = json.loads(path.read_bytes()) if path is not None else []
    except (OSError, ValueError):
        return set()
    return {each for each in found if isinstance(each, str)} if isinstance(found, list) else set()


def envelope(message: Message) -> dict[str, Any]:
    """What is published: the event as it is, and as it was when it was last sent."""
    return {
        "type": message.event.type,
        "before": None if message.before is None else message.before.to_dict(),
        "after": message.event.to_dict(),
    }
