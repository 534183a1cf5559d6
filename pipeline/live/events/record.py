"""The event that `watch` sends, as every sink gets it; `pipeline.live.events.schema` publishes the form of its JSON."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pose_extract.errors import FormatError, short

TYPES = ("new", "update", "end")
KINDS = ("anomaly", "state")
STATES = ("online", "lost", "blind", "moved", "no-model")
END_REASONS = ("quiet", "long", "restart", "shutdown", "lost", "error")


@dataclass(frozen=True)
class EventPerson:
    """One of the people whom an event is about.

    Attributes:
        track_id: their track in this camera, since `watch` was started.
        box: x1 y1 x2 y2 in pixels of the camera's picture; None: not seen in the frame of the highest score.
        percentile: of their highest score among held-out normal people, 0 to 100; None: not known.
    """

    track_id: int
    box: tuple[float, float, float, float] | None = None
    percentile: float | None = None

    def __post_init__(self) -> None:
        if self.box is not None and (len(self.box) != 4 or not all(map(math.isfinite, self.box))):
            raise ValueError(f"EventPerson: expected a box of 4 finite pixels, got {short(self.box)}")
        _expect_finite("EventPerson", self, "percentile")


@dataclass(frozen=True)
class EventThing:
    """One of the things that an event is about.

    Attributes:
        thing_id: the same is the same thing in this camera, since `watch` was started.
        kind: what it is, in plain words.
        box: x1 y1 x2 y2 in pixels of the camera's picture, where it was seen last.
    """

    thing_id: int
    kind: str
    box: tuple[float, float, float, float]

    def __post_init__(self) -> None:
        if len(self.box) != 4 or not all(map(math.isfinite, self.box)):
            raise ValueError(f"EventThing: expected a box of 4 finite pixels, got {short(self.box)}")


@dataclass(frozen=True)
class LiveEvent:
    """Something that a camera shows, or that happens to a camera: its beginning, news of it, or its end.

    Attributes:
        type: "new", "update" or "end".
        kind: "anomaly" (people behave unusually) or "state" (the camera's state changes).
        id: the same through the event's life, and of no other event.
        camera: its name.
        start_time: when it began, with a time zone.
        end_time: when it ended, with a time zone; None while it goes on.
        score: highest so far, higher is more abnormal; None: nothing is scored.
        percentile: of that score among held-out normal frames, 0 to 100.
        threshold: the score above which a frame raises the alarm.
        people: whom it is about, the most unusual first.
        things: what else it is about: what is no person, and unusual there.
        reasons: why, in plain words, the most important first.
        zone: name of the zone that it happens in; None: no zone.
        state: of kind "state", the camera's new one: one of `STATES`.
        end_reason: of type "end", why: "quiet" (no alarms any more), "long" (it has lasted for ``live.most_event_s``;
            if it goes on, another begins), "restart" (`watch` ended without a word and was started again), "shutdown"
            (`watch` was ended, the recording is over, or the camera's settings have changed), "lost" (the camera was),
            "error" (something failed in it).
        model_id: of the model that scored it.
        picture: file of its picture, or None.
        clip: file of its video, or None.

    Raises:
        ValueError: one of them is not as said.
    """

    type: str
    kind: str
    id: str
    camera: str
    start_time: datetime
    end_time: datetime | None = None
    score: float | None = None
    percentile: float | None = None
    threshold: float | None = None
    people: tuple[EventPerson, ...] = ()
    things: tuple[EventThing, ...] = ()
    reasons: tuple[str, ...] = ()
    zone: str | None = None
    state: str | None = None
    end_reason: str | None = None
    model_id: str | None = None
    picture: str | None = None
    clip: str | None = None

    def __post_init__(self) -> None:
        _expect_one_of("type", self.type, TYPES)
        _expect_one_of("kind", self.kind, KINDS)
        if not self.id or not self.camera:
            raise ValueError("LiveEvent: expected an id and a camera's name, got an empty one")
        for name in ("start_time", "end_time"):
            time = getattr(self, name)
            if time is not None and time.utcoffset() is None:
                raise ValueError(f"LiveEvent: expected {name} with a time zone, got {time}")
        _expect_finite("LiveEvent", self, "score", "percentile", "threshold")
        if self.kind == "state":
            _expect_one_of("state", self.state, STATES)
        elif self.state is not None:
            raise ValueError(f"LiveEvent: expected no state of an anomaly, got {self.state!r}")
        if self.type == "end":
            _expect_one_of("end_reason", self.end_reason, END_REASONS)
            if self.end_time is None:
                raise ValueError("LiveEvent: expected the end_time of an event that ends, got None")
        elif self.end_reason is not None:
            raise ValueError(f"LiveEvent: expected no end_reason before the end, got {self.end_reason!r}")

    def to_dict(self) -> dict[str, Any]:
        """Every field as JSON has it: times as ISO 8601 text with the offset from UTC, people and reasons as lists."""
        return {
            "type": self.type,
            "kind": self.kind,
            "id": self.id,
            "camera": self.camera,
            "start_time": self.start_time.isoformat(timespec="milliseconds"),
            "end_time": None if self.end_time is None else self.end_time.isoformat(timespec="milliseconds"),
            "score": _rounded(self.score, 6),
            "percentile": _rounded(self.percentile, 3),
            "threshold": _rounded(self.threshold, 6),
            "people": [
                {
                    "track_id": person.track_id,
                    "box": None if person.box is None else [round(float(v), 1) for v in person.box],
                    "percentile": _rounded(person.percentile, 3),
                }
                for person in self.people
            ],
            "things": [
                {"thing_id": t.thing_id, "kind": t.kind, "box": [round(float(v), 1) for v in t.box]}
                for t in self.things
            ],
            "reasons": list(self.reasons),
            "zone": self.zone,
            "state": self.state,
            "end_reason": self.end_reason,
            "model_id": self.model_id,
            "picture": self.picture,
            "clip": self.clip,
        }

    def to_json(self) -> str:
        """One line of JSON."""
        return json.dumps(self.to_dict(), ensure_ascii=False, allow_nan=False)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> LiveEvent:
        """The event that `to_dict` has written.

        Raises:
            FormatError: the values are no event.
        """
        try:
            fields = dict(values)
            fields["start_time"] = datetime.fromisoformat(fields["start_time"])
            if fields.get("end_time") is not None:
                fields["end_time"] = datetime.fromisoformat(fields["end_time"])
            fields["people"] = tuple(
                EventPerson(p["track_id"], None if p["box"] is None else tuple(p["box"]), p["percentile"])
                for p in fields.get("people", ())
            )
            fields["things"] = tuple(
                EventThing(t["thing_id"], t["kind"], tuple(t["box"])) for t in fields.get("things", ())
            )
            fields["reasons"] = tuple(fields.get("reasons", ()))
            return cls(**fields)
        except (TypeError, ValueError, KeyError, AttributeError) as error:
            raise FormatError(f"expected an event of `watch`, got {short(values)}: {error}") from error

    @classmethod
    def from_json(cls, text: str | bytes) -> LiveEvent:
        """The event that `to_json` has written.

        Raises:
            FormatError: the text is no event.
        """
        try:
            values = json.loads(text)
        except ValueError as error:
            raise FormatError(f"expected an event of `watch` as JSON: {error}") from error
        return cls.from_dict(values)


def _expect_one_of(name: str, value: str | None, options: tuple[str, ...]) -> None:
    if value not in options:
        raise ValueError(f"LiveEvent: expected {name} to be one of {', '.join(options)}, got {value!r}")


def _expect_finite(owner: str, record: object, *names: str) -> None:
    for name in names:
        value = getattr(record, name)
        if value is not None and not math.isfinite(value):
            raise ValueError(f"{owner}: expected a finite {name} or None, got {value}")


def _rounded(value: float | None, digits: int) -> float | None:
    return None if value is None else round(float(value), digits)
