import dataclasses
from datetime import UTC, datetime, timedelta

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.live.events.record import END_REASONS, STATES, EventPerson, EventThing, LiveEvent
from pipeline.live.events.schema import event_schema

CHECK = jsonschema.Draft202012Validator(event_schema(), format_checker=jsonschema.FormatChecker())
NUMBER = st.none() | st.floats(-1e6, 1e6)
PERCENTILE = st.none() | st.floats(0, 100)
WORDS = st.none() | st.text(max_size=20)
TIME = st.datetimes(datetime(2020, 1, 1), datetime(2040, 1, 1), timezones=st.timezones())


@st.composite
def events(draw: st.DrawFn) -> LiveEvent:
    kind = draw(st.sampled_from(["anomaly", "state"]))
    type_ = draw(st.sampled_from(["new", "update", "end"]))
    box = st.none() | st.tuples(*[st.floats(-10, 4000)] * 4)
    people = st.lists(st.builds(EventPerson, st.integers(0, 10**6), box, PERCENTILE), max_size=3)
    corners = st.tuples(*[st.floats(-10, 4000)] * 4)
    things = st.lists(st.builds(EventThing, st.integers(0, 10**6), st.text(max_size=9), corners), max_size=2)
    return LiveEvent(
        type_,
        kind,
        draw(st.text(min_size=1, max_size=9)),
        draw(st.text(min_size=1, max_size=9)),
        draw(TIME),
        end_time=draw(TIME) if type_ == "end" else None,
        score=draw(NUMBER),
        percentile=draw(PERCENTILE),
        threshold=draw(NUMBER),
        people=tuple(draw(people)),
        things=tuple(draw(things)),
        reasons=tuple(draw(st.lists(st.text(max_size=9), max_size=2))),
        zone=draw(WORDS),
        state=draw(st.sampled_from(STATES)) if kind == "state" else None,
        end_reason=draw(st.sampled_from(END_REASONS)) if type_ == "end" else None,
        model_id=draw(WORDS),
        picture=draw(WORDS),
        clip=draw(WORDS),
    )


@given(events())
def test_whatever_is_sent_is_as_the_schema_says(event):
    CHECK.validate(event.to_dict())
    assert LiveEvent.from_json(event.to_json()).to_json() == event.to_json()


def test_the_schema_is_one_and_names_every_field():
    jsonschema.Draft202012Validator.check_schema(event_schema())
    assert list(event_schema()["properties"]) == [field.name for field in dataclasses.fields(LiveEvent)]
    assert list(event_schema()["properties"]["people"]["items"]["properties"]) == [
        field.name for field in dataclasses.fields(EventPerson)
    ]
    assert list(event_schema()["properties"]["things"]["items"]["properties"]) == [
        field.name for field in dataclasses.fields(EventThing)
    ]


@pytest.mark.parametrize(
    "change",
    [
        {"type": "begin"},
        {"id": ""},
        {"start_time": "2026-11-29T10:00:00"},
        {"start_time": None},
        {"score": "high"},
        {"percentile": 101},
        {"people": [{"track_id": 1}]},
        {"people": [{"track_id": 1, "box": [1, 2, 3], "percentile": None}]},
        {"state": "online"},
        {"type": "end"},
        {"kind": "state"},
        {"more": 1},
    ],
)
def test_the_schema_refuses_what_is_no_event(change):
    event = LiveEvent("new", "anomaly", "a", "door", datetime(2026, 1, 1, tzinfo=UTC) + timedelta(hours=1))
    assert CHECK.is_valid(event.to_dict())
    assert not CHECK.is_valid(event.to_dict() | change)
