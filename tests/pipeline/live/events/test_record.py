import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import numpy as np
import pytest

from pipeline.live.events.record import EventPerson, LiveEvent
from pose_extract.errors import FormatError

START = datetime(2026, 11, 29, 23, 59, 58, 125000, tzinfo=timezone(timedelta(hours=1)))
EVENT = LiveEvent(
    "new", "anomaly", "door-1", "door", START, score=2.5, percentile=99.75, threshold=2.0,
    people=(EventPerson(3, (1.0, 2.0, 30.25, 40.0), 99.9), EventPerson(4)),
    reasons=("runs faster than 99.9 % of people here",), zone="yard", model_id="9f2c", picture="p.jpg",
)  # fmt: skip


def test_an_event_comes_back_from_its_json():
    end = replace(EVENT, type="end", end_time=START + timedelta(seconds=9), end_reason="quiet")
    for event in (EVENT, end, LiveEvent("new", "state", "door-2", "door", START, state="blind")):
        assert LiveEvent.from_json(event.to_json()) == replace(
            event,
            people=tuple(replace(p, box=p.box and tuple(round(v, 1) for v in p.box)) for p in event.people),
        )


def test_times_carry_the_offset_from_utc():
    assert EVENT.to_dict()["start_time"] == "2026-11-29T23:59:58.125+01:00"
    assert replace(EVENT, start_time=START.astimezone(UTC)).to_dict()["start_time"].endswith("+00:00")


def test_an_event_is_one_line_of_json_and_speaks_any_language():
    event = replace(EVENT, reasons=("läuft\nschnell",))
    assert "\n" not in event.to_json()
    assert json.loads(event.to_json())["reasons"] == ["läuft\nschnell"]


def test_numbers_of_numpy_are_sent_as_plain_ones():
    event = replace(
        EVENT, score=np.float32(0.5), people=(EventPerson(1, tuple(np.arange(4.0)), np.float64(9)),)
    )
    assert json.loads(event.to_json())["people"][0] == {"track_id": 1, "box": [0, 1, 2, 3], "percentile": 9}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"type": "begin"}, "type to be one of new, update, end"),
        ({"kind": "alarm"}, "kind to be one of"),
        ({"start_time": datetime(2026, 1, 1)}, "with a time zone"),
        ({"score": float("nan")}, "finite score"),
        ({"percentile": float("inf")}, "finite percentile"),
        ({"state": "online"}, "no state of an anomaly"),
        ({"kind": "state"}, "state to be one of"),
        ({"type": "end"}, "end_reason to be one of"),
        ({"type": "end", "end_reason": "quiet"}, "end_time of an event that ends"),
        ({"end_reason": "quiet"}, "no end_reason before the end"),
        ({"id": ""}, "an id"),
    ],
)
def test_what_is_no_event_is_refused(change, said):
    with pytest.raises(ValueError, match=said):
        replace(EVENT, **change)


def test_a_box_of_missing_numbers_is_refused():
    with pytest.raises(ValueError, match="4 finite pixels"):
        EventPerson(1, (0.0, 0.0, float("nan"), 1.0))


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"type": "new"}', EVENT.to_json()[:-1] + ', "more": 1}', "null"]
)
def test_damaged_json_is_told_in_one_line(text):
    with pytest.raises(FormatError, match="expected an event of `watch`"):
        LiveEvent.from_json(text)
