"""Hand events to all sinks: each has a queue on disk and a thread, so that none waits for another."""

from __future__ import annotations

import logging
import re
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.live.backoff import Backoff
from pipeline.live.events.record import LiveEvent
from pipeline.live.sinks.base import Message, NotDelivered, Refused, Sink
from pipeline.live.sinks.queue import DiskQueue
from pipeline.live.sinks.settings import SinkSettings
from pose_extract.errors import ConfigError

logger = logging.getLogger(__name__)

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_LOOK_S = 1.0  # how often an idle sink looks at figures
_TIDY_S = 5.0  # how often a queue's log is written into its file
_DEFECTS = 20  # attempts at a message that makes a sink fail in a way nobody foresaw
_MOST_OPEN = 10_000  # events whose last state is remembered


def make_sink(settings: SinkSettings, cameras: Sequence[str] = (), published: Path | None = None) -> Sink:
    """The sink that the settings ask for.

    Args:
        settings: of it.
        cameras: names of all of them.
        published: file in which it may keep what its receiver remembers.

    Raises:
        UsageError: a package is not installed; names the line that mends it.
        ConfigError: a setting is not usable.
    """
    if settings.jsonl is not None:
        from pipeline.live.sinks.files import JsonLines

        return JsonLines(settings.jsonl)
    if settings.csv is not None:
        from pipeline.live.sinks.files import DailyCsv

        return DailyCsv(settings.csv)
    if settings.webhook is not None:
        from pipeline.live.sinks.webhook import Webhook

        return Webhook(settings.webhook)
    if settings.mqtt is not None:
        from pipeline.live.sinks.mqtt import Mqtt

        own = [c for c in cameras if not settings.cameras or c in settings.cameras]
        return Mqtt(settings.mqtt, own, published)
    if settings.command is not None:
        from pipeline.live.sinks.command import Command

        return Command(settings.command)
    from pipeline.live.sinks.messenger import Messenger

    assert settings.apprise is not None
    return Messenger(settings.apprise)


@dataclass(frozen=True)
class SinkFigures:
    """What a sink has done since the start.

    Attributes:
        queued: messages that wait.
        delivered: taken by the receiver.
        refused: not wanted by it, and given up.
        dropped: for which there was no room in the queue.
        failures: attempts that did not work.
        last_error: of the latest of them; empty since the latest delivery.
    """

    queued: int
    delivered: int
    refused: int
    dropped: int
    failures: int
    last_error: str


class Dispatcher:
    """Takes events at once and delivers them in their order, each sink at its own pace.

    Args:
        sinks: name -> settings.
        folder: where the queues are kept; what an earlier run has left there is delivered first.
        cameras: names of all of them.
        make: makes a sink; tests give their own.

    Raises:
        ConfigError: a name cannot be one, or a setting is not usable.
        UsageError: a package is not installed.
    """

    def __init__(
        self,
        sinks: Mapping[str, SinkSettings],
        folder: Path,
        cameras: Sequence[str] = (),
        make: Callable[[SinkSettings, Sequence[str], Path], Sink] = make_sink,
    ) -> None:
        self._last: dict[str, LiveEvent] = {}
        self._lock = threading.Lock()
        self._closed = False
        for name in sinks:
            if not _NAME.fullmatch(name):  # it becomes the name of a file
                raise ConfigError(
                    f"config: sinks: expected names of letters, digits, dots, dashes and underscores, got {name!r}"
                )
        made: list[_Worker] = []
        try:
            for name, settings in sinks.items():
                sink = make(settings, cameras, folder / f"{name}.published.json")
                made.append(_Worker(name, settings, sink, folder))
        except BaseException:
            for worker in made:
                worker.sink.close()
                worker.queue.close()
            raise
        self._workers = made
        for worker in made:
            worker.start()

    def send(self, event: LiveEvent, context: object = None) -> None:
        """Queue an event for every sink that wants it; waits for no network and no other sink.

        Args:
            event: what is sent.
            context: not used here; those that draw pictures take the same arguments.
        """
        with self._lock:
            message = Message.of(event, self._last.get(event.id))
            if event.type == "end":
                self._last.pop(event.id, None)
            else:
                self._last[event.id] = event
                if len(self._last) > _MOST_OPEN:
                    self._last.pop(next(iter(self._last)))
            for worker in self._workers:
                worker.put(message)

    def tell(self, stats: dict[str, Any]) -> None:
        """Give figures to the sinks that publish them; older ones that a sink has not taken yet are replaced."""
        for worker in self._workers:
            worker.stats = stats

    def figures(self) -> dict[str, SinkFigures]:
        """Of each sink, by name."""
        return {worker.name: worker.figures() for worker in self._workers}

    def close(self, timeout_s: float) -> None:
        """Deliver what can be delivered in that time and end; the rest waits on disk for the next start."""
        until = time.monotonic() + timeout_s
        for worker in self._workers:
            worker.finish(until)
        for worker in self._workers:
            worker.join(max(0.0, until - time.monotonic()))
        for worker in self._workers:
            worker.close(max(0.1, until - time.monotonic()))
        left = {worker.name: len(worker.queue) for worker in self._workers if len(worker.queue)}
        if left and not self._closed:  # it may be asked twice, by who cannot wait any longer
            text = ", ".join(f"{name}: {count}" for name, count in left.items())
            logger.warning("events that were not delivered wait for the next start (%s)", text)
        self._closed = True


class _Worker(threading.Thread):
    """Delivers the messages of one sink."""

    def __init__(self, name: str, settings: SinkSettings, sink: Sink, folder: Path) -> None:
        super().__init__(name=f"sink-{name}", daemon=True)
        self.settings, self.sink = settings, sink
        self.label = f"{name} ({settings.kind})"
        self.name = name
        self.queue = DiskQueue(folder / f"{name}.db", settings.queue_events, int(settings.queue_mib * 2**20))
        self.stats: dict[str, Any] | None = None
        self._backoff = Backoff(settings.retry_first_s, settings.retry_most_s)
        self._ending = threading.Event()
        self._until = float("inf")
        self._delivered = self._refused = self._failures = self._defects = 0
        self._error = ""
        self._tidied = 0.0

    def put(self, message: Message) -> None:
        event, settings = message.event, self.settings
        if event.type in settings.types and event.kind in settings.kinds:
            if settings.cameras and event.camera not in settings.cameras:
                return
            self.queue.put(message)

    def figures(self) -> SinkFigures:
        return SinkFigures(
            len(self.queue), self._delivered, self._refused, self.queue.dropped, self._failures, self._error
        )

    def finish(self, until: float) -> None:
        self._until = until
        self._ending.set()
        self.queue.wake()

    def close(self, timeout_s: float) -> None:
        """Close sink and queue; a sink that hangs is left behind, its thread ends with the process."""
        closer = threading.Thread(target=self._close_sink, daemon=True)
        closer.start()
        closer.join(timeout_s)
        self.join(0.1)
        self.queue.close()

    def _close_sink(self) -> None:
        try:
            self.sink.close()
        except Exception as error:
            logger.warning("sink %s: %s", self.label, error)

    def run(self) -> None:
        while True:
            ending = self._ending.is_set()
            if ending and time.monotonic() >= self._until:
                return
            self._tell()
            found = self.queue.first(0.0 if ending else _LOOK_S)
            if found is None:
                if ending:
                    return
                continue
            wait_s = self._attempt(*found)
            if time.monotonic() > self._tidied + _TIDY_S:
                self.queue.tidy()
                self._tidied = time.monotonic()
            if wait_s:
                if ending:  # that was the last attempt
                    return
                self._ending.wait(wait_s)

    def _attempt(self, number: int, message: Message) -> float:
        """Deliver once; returns the seconds to wait before the next attempt, 0 if it need not be repeated."""
        try:
            self.sink.deliver(message)
        except Refused as error:
            self._refused += 1
            logger.warning("sink %s refuses event %s: %s", self.label, message.id, error)
        except NotDelivered as error:
            return self._failed(str(error), error.wait_s)
        except Exception as error:
            self._defects += 1
            if self._defects < _DEFECTS:
                return self._failed(f"unexpected {type(error).__name__}: {error}", 0.0)
            self._refused += 1
            logger.error("sink %s gives up event %s", self.label, message.id, exc_info=error)
        else:
            self._delivered += 1
            if self._error:
                logger.warning("sink %s works again; %d wait", self.label, len(self.queue) - 1)
        self._error, self._defects = "", 0
        self._backoff.succeeded()
        self.queue.done(number)
        return 0.0

    def _failed(self, why: str, asked_s: float) -> float:
        self._failures += 1
        if why != self._error:
            logger.warning("sink %s: %s; tried again until it works", self.label, why)
        self._error = why
        return max(self._backoff.next_s(), asked_s)

    def _tell(self) -> None:
        stats, self.stats = self.stats, None
        if stats is not None:
            try:
                self.sink.tell(stats)
            except Exception as error:
                logger.debug("sink %s: %s", self.label, error)
