"""The published form of an event: a JSON Schema (draft 2020-12), printed by `gepc-pipeline watch --schema`."""

from __future__ import annotations

from typing import Any

from pipeline.events.schema import DRAFT, object_of, said
from pipeline.live.events.record import END_REASONS, KINDS, STATES, TYPES

_TIME = {"type": "string", "format": "date-time", "pattern": r"[+-]\d\d:\d\d$"}
_PERCENTILE = {"type": ["number", "null"], "minimum": 0, "maximum": 100}
_WORDS = {"type": ["string", "null"]}


def event_schema() -> dict[str, Any]:
    """The schema of `LiveEvent.to_dict`: every key is always there, a fact that is missing is null."""
    properties: dict[str, Any] = {
        "type": said("the beginning of an event, news of it, or its end", enum=list(TYPES)),
        "kind": said("people behave unusually, or a camera's state changes", enum=list(KINDS)),
        "id": said("the same through an event's life, and of no other event", type="string", minLength=1),
        "camera": said("the camera's name", type="string", minLength=1),
        "start_time": said("when it began, with the offset from UTC", **_TIME),
        "end_time": said("when it ended; null while it goes on", **{**_TIME, "type": ["string", "null"]}),
        "score": said("highest so far, higher is more abnormal; null: not scored", type=["number", "null"]),
        "percentile": said("of the score among held-out normal frames", **_PERCENTILE),
        "threshold": said("the score above which a frame raises the alarm", type=["number", "null"]),
        "people": said("whom it is about, the most unusual first", type="array", items=_person()),
        "things": said("what else it is about", type="array", items=_thing()),
        "reasons": said("why, in plain words", type="array", items={"type": "string"}),
        "zone": said("name of the zone that it happens in", **_WORDS),
        "state": said("of kind state: the camera's new one", enum=[*STATES, None]),
        "end_reason": said("of type end: why it ended", enum=[*END_REASONS, None]),
        "model_id": said("the model that scored it", **_WORDS),
        "picture": said("file of its picture", **_WORDS),
        "clip": said("file of its video", **_WORDS),
    }
    return {
        "$schema": DRAFT,
        "title": "An event of gepc-pipeline watch",
        **object_of(properties),
        "allOf": [
            _if("type", "end", {"end_time": {"type": "string"}, "end_reason": {"type": "string"}}),
            _if("kind", "state", {"state": {"type": "string"}}),
            _if("kind", "anomaly", {"state": {"type": "null"}}),
        ],
    }


def _person() -> dict[str, Any]:
    corner = {"type": "number"}
    return object_of(
        {
            "track_id": said("their track in this camera, since the start", type="integer"),
            "box": said(
                "x1 y1 x2 y2 in pixels of the camera's picture",
                type=["array", "null"],
                items=corner,
                minItems=4,
                maxItems=4,
            ),
            "percentile": said("of their highest score among held-out normal people", **_PERCENTILE),
        }
    )


def _thing() -> dict[str, Any]:
    return object_of(
        {
            "thing_id": said("the same is the same thing in this camera, since the start", type="integer"),
            "kind": said("what it is, in plain words", type="string"),
            "box": said(
                "x1 y1 x2 y2 in pixels of the camera's picture, where it was seen last",
                type="array",
                items={"type": "number"},
                minItems=4,
                maxItems=4,
            ),
        }
    )


def _if(key: str, value: str, then: dict[str, Any]) -> dict[str, Any]:
    return {"if": {"properties": {key: {"const": value}}}, "then": {"properties": then}}
