"""Events as messages to a person, by Apprise: one line of config for a hundred services."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

from pipeline.live.events.record import LiveEvent
from pipeline.live.sinks.base import INSTALL, Message, NotDelivered
from pipeline.live.sinks.settings import AppriseSettings, secret
from pose_extract.errors import ConfigError, UsageError

_STATES = {
    "online": "is back",
    "lost": "sends no pictures",
    "blind": "sees nothing",
    "moved": "was moved: it no longer shows what the model has learned",
    "no-model": "has no model",
}


class Messenger:
    """Sends each event as a title, a few lines, and its picture."""

    def __init__(self, settings: AppriseSettings) -> None:
        try:
            import apprise
        except ImportError as error:
            raise UsageError(
                f"events to a messenger need Apprise, which is not installed: {INSTALL}"
            ) from error
        logging.getLogger("apprise").setLevel(
            logging.ERROR
        )  # its warnings name addresses with their passwords
        self._settings = settings
        self._service = apprise.Apprise()
        if not self._service.add(secret("apprise.url", settings.url)):
            raise ConfigError(
                "config: apprise.url: expected an address that Apprise knows (see its list of services)"
            )

    def deliver(self, message: Message) -> None:
        """Send it once."""
        event = message.event
        picture = event.picture if self._settings.attach_picture else None
        attached = {"attach": picture} if picture and Path(picture).is_file() else {}
        if not self._service.notify(title=title(event), body=body(event), **attached):
            raise NotDelivered("the service has not taken the message")

    def tell(self, stats: dict[str, Any]) -> None:
        """A messenger gets events only."""

    def close(self) -> None:
        """Nothing is kept open."""


def title(event: LiveEvent) -> str:
    """What happens, in a line."""
    if event.kind == "state":
        return f"Camera {event.camera} {_STATES[event.state or 'online']}"
    where = event.camera + (f", {event.zone}" if event.zone else "")
    return {"new": "Unusual", "update": "Still unusual", "end": "Over"}[event.type] + f": {where}"


def body(event: LiveEvent) -> str:
    """When, how unusual, and why."""
    lines = [f"since {event.start_time.isoformat(sep=' ', timespec='seconds')}"]
    if event.end_time is not None:
        lines[0] += f" until {event.end_time.isoformat(sep=' ', timespec='seconds')}"
    if event.percentile is not None:
        lines.append(f"more unusual than {event.percentile:.2f} % of what the model has learned")
    lines += event.reasons
    return "\n".join(lines)
