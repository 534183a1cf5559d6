"""What a sink may be told: each entry of ``sinks`` in `watch.yaml`. No implementation is imported."""

from __future__ import annotations

import dataclasses
import os
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from pipeline.live.events.record import KINDS, TYPES
from pose_extract.checking import expect_between, expect_one_of
from pose_extract.errors import ConfigError, short

SINK_KINDS = ("jsonl", "csv", "webhook", "mqtt", "command", "apprise")


def secret(where: str, value: str) -> str:
    """``value``, or the environment variable that it names with a dollar in front, so that no config holds a secret.

    Raises:
        ConfigError: there is no such variable.
    """
    if not value.startswith("$"):
        return value
    name = value[1:].strip("{}")
    if name not in os.environ:
        raise ConfigError(f"config: {where}: expected the environment variable {name}, which is not set")
    return os.environ[name]


def expect_web_address(where: str, url: str, written: str) -> None:
    """Raise `ConfigError` unless ``url``, ``written`` so in the settings, is one of http or https with a host."""
    if not url.startswith(("http://", "https://")):
        raise ConfigError(f"config: {where}: expected http:// or https://, got {short(written)}")
    try:
        parts = urlsplit(url)
        usable = bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable:
        raise ConfigError(f"config: {where}: expected a host, and a port if need be, got {short(written)}")
    if not _is_plain(parts.path + parts.query) or " " in url:
        raise ConfigError(
            f"config: {where}: expected %20 and the like for blanks and for letters beyond a to z, got {short(written)}"
        )


def expect_header(where: str, name: str, value: str) -> None:
    """Raise `ConfigError` unless this may be a header of HTTP; what it holds, a secret perhaps, is not said."""
    if not (name.strip() and ":" not in name and _is_plain(name) and _is_plain(value)):
        raise ConfigError(
            f"config: {where}: expected a name and a value of letters, digits and signs in one line"
        )


def _is_plain(text: str) -> bool:
    return text.isascii() and text.isprintable()


@dataclass(frozen=True)
class JsonLinesSettings:
    """Events as lines of JSON.

    Attributes:
        path: the file they are added to; "-" is standard output.
    """

    path: str = "-"

    def __post_init__(self) -> None:
        _expect_text("jsonl", self, "path")


@dataclass(frozen=True)
class CsvSettings:
    """Events as rows of a table, a file a day.

    Attributes:
        folder: where ``events-YYYY-MM-DD.csv`` are written; the day is that of the event's beginning, local time.
    """

    folder: str = "events"

    def __post_init__(self) -> None:
        _expect_text("csv", self, "folder")


@dataclass(frozen=True)
class WebhookSettings:
    """Events sent to a web address by POST, with the headers of Standard Webhooks.

    Attributes:
        url: http or https.
        format: "plain": the event; "cloudevents": a CloudEvents 1.0 envelope around it.
        secret: the key of the signature (HMAC-SHA256): any text, or ``whsec_`` and Base64; empty: not signed.
        headers: further ones, an authorization for instance.
        timeout_s: an answer that takes longer is none.
    """

    url: str
    format: str = "plain"
    secret: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    timeout_s: float = 10.0

    def __post_init__(self) -> None:
        expect_one_of("webhook.format", self.format, ("plain", "cloudevents"))
        expect_between("webhook", self, 0, 300, "timeout_s", above=True)
        if not self.url.startswith("$"):
            expect_web_address("webhook.url", self.url, self.url)
        for name, value in self.headers.items():
            if not value.startswith("$"):
                expect_header(f"webhook.headers.{name}", name, value)


@dataclass(frozen=True)
class MqttSettings:
    """Events published to an MQTT broker; docs/alarms.md has the topics.

    Attributes:
        host: of the broker.
        port: usually 1883, with TLS 8883.
        user: name to log in with; empty: none.
        password: of the user.
        tls: whether the connection is encrypted.
        ca_file: certificates (PEM) that the broker's is checked against; empty: the system's.
        prefix: of every topic.
        client_id: how the broker knows this one; of two with the same it drops the first.
        home_assistant: prefix of the discovery topics, usually "homeassistant"; empty: no discovery.
        timeout_s: how long the broker may take to acknowledge an event.
    """

    host: str
    port: int = 1883
    user: str = ""
    password: str = ""
    tls: bool = False
    ca_file: str = ""
    prefix: str = "gepc"
    client_id: str = "gepc-pipeline"
    home_assistant: str = "homeassistant"
    timeout_s: float = 10.0

    def __post_init__(self) -> None:
        _expect_text("mqtt", self, "host", "prefix", "client_id")
        expect_between("mqtt", self, 1, 65535, "port")
        expect_between("mqtt", self, 0, 300, "timeout_s", above=True)
        if self.ca_file and not self.tls:
            raise ConfigError("config: mqtt.ca_file: expected tls: true beside it")
        for key in ("prefix", "home_assistant"):
            value = getattr(self, key)
            if any(sign in value for sign in "+#\0") or value != value.strip("/"):
                raise ConfigError(
                    f"config: mqtt.{key}: expected a topic without +, # or / at its ends, got {short(value)}"
                )


@dataclass(frozen=True)
class CommandSettings:
    """A program that is run for every event, with the event as JSON on its standard input.

    Attributes:
        arguments: the program and what it is given; no shell is involved.
        timeout_s: a run that takes longer is ended and counts as failed.
        attempts: an event that the program has failed on so often is given up, and counted as refused.
    """

    arguments: tuple[str, ...]
    timeout_s: float = 30.0
    attempts: int = 5

    def __post_init__(self) -> None:
        if not self.arguments or not self.arguments[0]:
            raise ConfigError("config: command.arguments: expected a program and its arguments, got none")
        expect_between("command", self, 0, 3600, "timeout_s", above=True)
        expect_between("command", self, 1, 1000, "attempts")


@dataclass(frozen=True)
class AppriseSettings:
    """Events as messages to a person, by any service that Apprise knows.

    Attributes:
        url: the service, as Apprise writes it.
        attach_picture: whether the event's picture is sent along.
    """

    url: str
    attach_picture: bool = True

    def __post_init__(self) -> None:
        _expect_text("apprise", self, "url")


@dataclass(frozen=True)
class SinkSettings:
    """One sink: exactly one of the kinds, which events it gets, and how many may wait for it.

    Attributes:
        jsonl: lines of JSON.
        csv: a table a day.
        webhook: a web address.
        mqtt: an MQTT broker.
        command: a program.
        apprise: a messenger.
        types: which of "new", "update" and "end" it gets; left out: all, of a messenger "new" only.
        kinds: which of "anomaly" and "state" it gets.
        cameras: events of which cameras it gets; empty: of all.
        queue_events: so many events wait for it at most. Then updates are dropped first, after them the oldest.
        queue_mib: so large they are at most, in MiB.
        retry_first_s: wait after the first failure; it doubles with every further one.
        retry_most_s: longest wait.
    """

    jsonl: JsonLinesSettings | None = None
    csv: CsvSettings | None = None
    webhook: WebhookSettings | None = None
    mqtt: MqttSettings | None = None
    command: CommandSettings | None = None
    apprise: AppriseSettings | None = None
    types: tuple[str, ...] = ()
    kinds: tuple[str, ...] = KINDS
    cameras: tuple[str, ...] = ()
    queue_events: int = 10_000
    queue_mib: float = 16.0
    retry_first_s: float = 1.0
    retry_most_s: float = 60.0

    def __post_init__(self) -> None:
        given = [name for name in SINK_KINDS if getattr(self, name) is not None]
        if len(given) != 1:
            found = " and ".join(given) or "none"
            raise ConfigError(f"config: sinks: expected one of {', '.join(SINK_KINDS)}, got {found}")
        for value in self.types:
            expect_one_of("sinks.types", value, TYPES)
        for value in self.kinds:
            expect_one_of("sinks.kinds", value, KINDS)
        expect_between("sinks", self, 1, 1_000_000, "queue_events")
        expect_between("sinks", self, 0, 4096, "queue_mib", above=True)
        expect_between("sinks", self, 0, 3600, "retry_first_s", above=True)
        expect_between("sinks", self, self.retry_first_s, 86_400, "retry_most_s")
        if self.mqtt and self.types and not {"new", "end"} <= set(self.types):
            raise ConfigError(
                "config: sinks.types: expected new and end among those of mqtt: its topics need both"
            )
        if not self.types:
            object.__setattr__(self, "types", ("new",) if self.apprise else TYPES)

    @property
    def kind(self) -> str:
        """Which of `SINK_KINDS` it is."""
        return next(name for name in SINK_KINDS if getattr(self, name) is not None)

    def check_secrets(self) -> None:
        """Raise `ConfigError` where a setting names an environment variable that is not set."""
        own = getattr(self, self.kind)
        for name in (f.name for f in dataclasses.fields(own)):
            value = getattr(own, name)
            for text in value.values() if isinstance(value, dict) else [value]:
                if isinstance(text, str):
                    secret(f"{self.kind}.{name}", text)


def _expect_text(section: str, settings: object, *keys: str) -> None:
    for key in keys:
        if not getattr(settings, key):
            raise ConfigError(f"config: {section}.{key}: expected a text, got an empty one")
