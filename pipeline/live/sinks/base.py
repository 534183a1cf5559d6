"""What a sink is, what it is given, and how it says that something was not delivered."""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass
from typing import Any, Protocol

from pipeline.live.events.record import LiveEvent

INSTALL = "pip install 'gepc-pipeline[live]'"


class NotDelivered(Exception):
    """It did not work this time; the same message is tried again later."""

    def __init__(self, why: str, wait_s: float = 0.0) -> None:
        super().__init__(why)
        self.wait_s = wait_s  # the receiver asked to be left alone so long


class Refused(Exception):
    """The receiver does not want this message, now or later; it is counted and the next one is sent."""


@dataclass(frozen=True)
class Message:
    """An event on its way.

    Attributes:
        id: of this message, the same in every attempt, so that a receiver may recognise a repetition.
        event: as it is now.
        before: as it was when it was last sent; None of a new one.
    """

    id: str
    event: LiveEvent
    before: LiveEvent | None = None

    @classmethod
    def of(cls, event: LiveEvent, before: LiveEvent | None = None) -> Message:
        """A message of its own: one id for an event's beginning, one for its end, a new one for each update."""
        ending = f"update-{uuid.uuid4().hex[:12]}" if event.type == "update" else event.type
        return cls(f"{event.id}.{ending}", event, before)

    def to_bytes(self) -> bytes:
        """As a queue keeps it."""
        before = None if self.before is None else self.before.to_dict()
        return json.dumps({"id": self.id, "event": self.event.to_dict(), "before": before}).encode()

    @classmethod
    def from_bytes(cls, data: bytes) -> Message:
        """What `to_bytes` has written; raises ValueError, KeyError or FormatError if it is none."""
        found = json.loads(data)
        before = found["before"]
        return cls(
            found["id"],
            LiveEvent.from_dict(found["event"]),
            None if before is None else LiveEvent.from_dict(before),
        )


class Sink(Protocol):
    """Takes messages somewhere. All of it is called from one thread, but for `close`."""

    def deliver(self, message: Message) -> None:
        """Bring the message to its receiver, or raise `NotDelivered` or `Refused`."""

    def tell(self, stats: dict[str, Any]) -> None:
        """Take figures about `watch` along, where the receiver has a place for them; never raises for long."""

    def close(self) -> None:
        """Say good-bye; may be called while `deliver` hangs, and ends it if it can."""
