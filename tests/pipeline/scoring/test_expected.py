"""What false alarms are to be expected, in words."""

import pytest

from pipeline.scoring.expected import expected_alarms


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
