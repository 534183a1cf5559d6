"""What false alarms are to be expected, in words."""

import dataclasses

import pytest

from pipeline.events.settings import EventSettings
from pipeline.scoring.expected import expected_alarms, held_out_facts
from tests.helpers import walkers


@pytest.mark.parametrize(
    ("seconds", "events", "said"),
    [
        (720, 30, "about 150 an hour"),
        (720, 400, "about 2,000 an hour"),
        (7200, 5, "about 2.5 an hour"),
        (7200, 0, "under 1.5 an hour"),
        (36_000, 0, "under 0.3 an hour"),
        (599, 5, "too little to tell"),
    ],
)
def test_a_rate_is_told_in_plain_numbers(seconds, events, said):
    facts = {"held_out_s": seconds, "held_out_events": events, "held_out_share": 0.2}
    assert said in expected_alarms(facts)


def test_where_there_is_no_threshold_nothing_is_told_of_false_alarms():
    trained = walkers.trained()
    calibration = dataclasses.replace(trained.settings.calibration, alarms_per_day=1)
    short = dataclasses.replace(
        trained, settings=dataclasses.replace(trained.settings, calibration=calibration)
    )
    facts = held_out_facts(short, EventSettings())
    assert "held_out_events" not in facts
    assert expected_alarms(facts) == "0:04 of held-out normal video are too little for an alarm threshold"
    assert "false alarms in 0:04" in expected_alarms(held_out_facts(trained, EventSettings()))
