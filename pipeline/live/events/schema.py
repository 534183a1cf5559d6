"""The published form of an event: a JSON Schema (draft 2020-12), printed by `gepc-pipeline watch --schema`."""

from __future__ import annotations

from typing import Any

from pipeline.live.events.record import END_REASONS, KINDS, STATES, TYPES

_TIME = {"type": "string", "format": "date-time", "pattern": r"[+-]\d\d:\d\d$"}
_PERCENTILE = {"type": ["number", "null"], "minimum": 0, "maximum": 100}
_WORDS = {"type": ["string", "null"]}


def event_schema() -> dict[str, Any]:
    """The schema of `LiveEvent.to_dict`: every key is always there, a fact that is missing is null."""
    properties: dict[str, Any] = {
        "type": _said("the beginning of an event, news of it, or its end", enum=list(TYPES)),
        "kind": _said("people behave unusually, or a camera's state changes", enum=list(KINDS)),
        "id": _said("the same through an event's life, and of no other event", type="string", minLength=1),
        "camera": _said("the camera's name", type="string", minLength=1),
        "start_time": _said("when it began, with the offset from UTC", **_TIME),
        "end_time": _said("when it ended; null while it goes on", **{**_TIME, "type": ["string", "null"]}),
        "score": _said("highest so far, higher is more abnormal; null: not scored", type=["number", "null"]),
        "percentile": _said("of the score among held-out normal frames", **_PERCENTILE),
        "threshold": _said("the score above which a frame raises the alarm", type=["number", "null"]),
        "people": _said("whom it is about, the most unusual first", type="array", items=_person()),
        "reasons": _said("why, in plain words", type="array", items={"type": "string"}),
        "zone": _said("name of the zone that it happens in", **_WORDS),
        "state": _said("of kind state: the camera's new one", enum=[*STATES, None]),
        "end_reason": _said("of type end: why it ended", enum=[*END_REASONS, None]),
        "model_id": _said("the model that scored it", **_WORDS),
        "picture": _said("file of its picture", **_WORDS),
        "clip": _said("file of its video", **_WORDS),
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "An event of gepc-pipeline watch",
        **_object(properties),
        "allOf": [
            _if("type", "end", {"end_time": {"type": "string"}, "end_reason": {"type": "string"}}),
            _if("kind", "state", {"state": {"type": "string"}}),
            _if("kind", "anomaly", {"state": {"type": "null"}}),
        ],
    }


def _person() -> dict[str, Any]:
    corner = {"type": "number"}
    return _object(
        {
            "track_id": _said("their track in this camera, since the start", type="integer"),
            "box": _said(
                "x1 y1 x2 y2 in pixels of the camera's picture",
                type=["array", "null"],
                items=corner,
                minItems=4,
                maxItems=4,
            ),
            "percentile": _said("of their highest score among held-out normal people", **_PERCENTILE),
        }
    )


def _said(description: str, **rest: Any) -> dict[str, Any]:
    return {"description": description, **rest}


def _object(properties: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def _if(key: str, value: str, then: dict[str, Any]) -> dict[str, Any]:
    return {"if": {"properties": {key: {"const": value}}}, "then": {"properties": then}}
