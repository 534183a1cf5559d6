"""Let an event through or keep it back: by schedule, by a number a day, and quiet after many at once."""

from __future__ import annotations

import json
import logging
from collections import Counter, deque
from contextlib import suppress
from dataclasses import replace
from datetime import date, datetime, timedelta
from pathlib import Path

from pipeline.live.events.record import LiveEvent
from pipeline.live.rules.schedules import is_on, local
from pipeline.live.rules.settings import RuleSettings
from pose_extract.errors import OutputError
from pose_extract.files import write_atomically

logger = logging.getLogger(__name__)

_MOST_OPEN = 10_000

SCHEDULE, DAY, QUIET = "schedule", "most_a_day", "quiet"


class Limits:
    """Decides at an event's beginning whether it is sent; its updates and its end go the same way.

    Of one that is kept back it is asked again and again: where it goes on when nothing keeps it back any more, it is
    told.
    Of kind "state" every event is sent: that a camera sees nothing is no alarm that one may have too many of.

    Args:
        settings: the camera's rules.
        path: file of what has been sent by now, so that a restart grants no more; None: nothing is kept.
    """

    def __init__(self, settings: RuleSettings, path: Path | None = None) -> None:
        self._settings = settings
        self._path = path if settings.most_a_day or settings.quiet_after else None
        self._kept: dict[str, None] = {}  # ids of events that are kept back, in order
        self._day: date | None = None
        self._of_day = 0
        self._recent: deque[datetime] = deque()
        self._quiet_until: datetime | None = None
        self.kept_back: Counter[str] = Counter()  # why -> events, since the start
        self._restore()

    def let_through(self, event: LiveEvent, now: datetime) -> LiveEvent | None:
        """The event as it is to be sent: the first that is told of it is "new"; None: it is kept back.

        Args:
            event: of this camera.
            now: with a time zone.
        """
        late = event.id in self._kept
        if self.keeps_back(event, now) is not None:
            return None
        return replace(event, type="new") if late else event

    def holds(self, event: LiveEvent) -> bool:
        """Whether the event has been kept back until now."""
        return event.id in self._kept

    def keeps_back(self, event: LiveEvent, now: datetime) -> str | None:
        """Why the event is not sent: "schedule", "most_a_day" or "quiet"; None: it is sent.

        Args:
            event: of this camera.
            now: with a time zone.
        """
        if event.kind != "anomaly":
            return None
        known = event.id in self._kept
        if event.type != "new" and not known:
            return None
        if event.type == "end":
            del self._kept[event.id]
            return "its beginning was kept back"
        why = self._why(now)
        if why is None:
            self._kept.pop(event.id, None)
            self._of_day += 1
            self._recent.append(now)
            self._keep()
            return None
        if not known:
            self._kept[event.id] = None
            self.kept_back[why] += 1
            if len(self._kept) > _MOST_OPEN:
                del self._kept[next(iter(self._kept))]
        return why

    def _why(self, now: datetime) -> str | None:
        settings = self._settings
        if not is_on(settings, now):
            return SCHEDULE
        today = local(settings, now).date()
        if today != self._day:
            self._day, self._of_day = today, 0
        if settings.most_a_day and self._of_day >= settings.most_a_day:
            return DAY
        if not settings.quiet_after:
            return None
        # What is later than now, or quiet for longer than it may be, is of a clock that was wrong and has been set.
        until = self._quiet_until
        if until is not None and now < until <= now + timedelta(seconds=settings.quiet_for_s):
            return QUIET
        within = timedelta(seconds=settings.quiet_within_s)
        self._recent = deque(time for time in self._recent if timedelta() <= now - time <= within)
        if len(self._recent) >= settings.quiet_after:
            self._recent.clear()
            self._quiet_until = now + timedelta(seconds=settings.quiet_for_s)
            self._keep()
            return QUIET
        return None

    def _keep(self) -> None:
        """Put on disk what has been sent."""
        if self._path is None:
            return
        state = {
            "day": None if self._day is None else self._day.isoformat(),
            "of_day": self._of_day,
            "recent": [time.isoformat() for time in self._recent],
            "quiet_until": None if self._quiet_until is None else self._quiet_until.isoformat(),
        }
        try:
            write_atomically(self._path, json.dumps(state).encode())
        except OutputError as error:
            logger.warning("%s; a restart would grant events anew", error)

    def _restore(self) -> None:
        """Take up what an earlier run has sent; a file that is damaged counts for nothing."""
        if self._path is None:
            return
        with suppress(OSError, ValueError, TypeError, KeyError):
            state = json.loads(self._path.read_text(encoding="utf-8"))
            day, until = state["day"], state["quiet_until"]
            found = (
                None if day is None else date.fromisoformat(day),
                int(state["of_day"]),
                deque(datetime.fromisoformat(time).astimezone() for time in state["recent"]),
                None if until is None else datetime.fromisoformat(until).astimezone(),
            )
            self._day, self._of_day, self._recent, self._quiet_until = found
