"""The published form of a clip's events as JSON: a JSON Schema (draft 2020-12) of what `score --events` writes."""

from __future__ import annotations

from typing import Any

from anomaly.settings.scoring import CAUSES
from pipeline.events.files import COLUMNS, FORMAT, VERSION
from pose_extract.tracks.things import KINDS

DRAFT = "https://json-schema.org/draft/2020-12/schema"
_BOX: dict[str, Any] = {"type": "array", "items": {"type": "number"}, "minItems": 4, "maxItems": 4}
_PERCENTILE: dict[str, Any] = {"type": ["number", "null"], "minimum": 0, "maximum": 100}
_COUNT: dict[str, Any] = {"type": "integer", "minimum": 0}
_LENGTH: dict[str, Any] = {"type": "number", "minimum": 0}


def said(description: str, **rest: Any) -> dict[str, Any]:
    """A value, with what it means."""
    return {"description": description, **rest}


def object_of(properties: dict[str, Any]) -> dict[str, Any]:
    """An object that has all of these keys and no other."""
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def clip_events_schema() -> dict[str, Any]:
    """The schema of a file of events: every key is always there, a fact that is missing is null."""
    threshold = {
        "score": said("the score above which a frame raises the alarm", type=["number", "null"]),
        "percentile": said("the same, among held-out normal frames", **_PERCENTILE),
        "from": said("what has set it", enum=["false_alarm_rate", "alarms_per_day", "marks"]),
    }
    settings = {
        "merge_gap_s": said("alarms this far apart are one event", **_LENGTH),
        "min_s": said("what is shorter is left out", **_LENGTH),
    }
    whole = {
        "format": said("of this file", const=FORMAT),
        "version": said("of the format", const=VERSION),
        "clip": said("the clip's name", type="string"),
        "source": said('the video, or what the tracks came from; "": unknown', type="string"),
        "fps": said("frames a second", type="number", exclusiveMinimum=0),
        "frame_size": said(
            "width and height in pixels", type="array", items={"type": "integer"}, minItems=2, maxItems=2
        ),
        "frames": said("how many the clip has", **_COUNT),
        "seconds": said("how long it is", **_LENGTH),
        "not_judged_s": said("for how long people are there of whom none could be judged", **_LENGTH),
        "threshold": said("of alarms", **object_of(threshold)),
        "settings": said("how alarms became events", **object_of(settings)),
        "events": said("in order of time", type="array", items=_event()),
    }
    return {
        "$schema": DRAFT,
        "title": "Events of a clip, by gepc-pipeline score --events",
        **object_of(whole),
    }


def _event() -> dict[str, Any]:
    kinds: dict[str, dict[str, Any]] = {
        "event": {"type": "integer", "minimum": 1},
        **dict.fromkeys(("start_frame", "end_frame", "peak_frame"), _COUNT),
        **dict.fromkeys(("start_s", "end_s", "peak_s"), _LENGTH),
        "score": {"type": ["number", "null"]},
        "percentile": _PERCENTILE,
    }
    return object_of(
        {key: said(COLUMNS[key], **kind) for key, kind in kinds.items()}
        | {
            "people": said(
                "who is scored in its alarm frames, the worst first, at most `events.most_people`",
                type="array",
                items=_person(),
            ),
            "cause": said(COLUMNS["cause"], enum=list(CAUSES)),
            "things": said(
                "the things that alarm frames are about, that of most frames first",
                type="array",
                items=_thing(),
            ),
        }
    )


def _person() -> dict[str, Any]:
    box = {**_BOX, "type": ["array", "null"]}
    return object_of({
        "track_id": said("the person, in this clip", type="integer", minimum=1),
        "culprit": said(
            "whether the alarm is about them: of movement the worst, and whoever is the most unusual person, or stays, "
            "in more than a tenth of the alarm frames; of a thing or a crowd nobody; the others are bystanders",
            type="boolean",
        ),
        "percentile": said("of their highest score among held-out normal people", **_PERCENTILE),
        "box": said("x1 y1 x2 y2 in pixels at the peak; null: not in that frame", **box),
    })  # fmt: skip


def _thing() -> dict[str, Any]:
    return object_of({
        "thing_id": said("the same is the same thing in this clip", type="integer", minimum=1),
        "kind": said("what it is", enum=list(KINDS.values())),
        "box": said("x1 y1 x2 y2 in pixels, where it is seen nearest to the peak", **_BOX),
    })  # fmt: skip
