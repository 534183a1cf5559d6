"""What an event is told to be about, and how rare that is."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np

from anomaly.normality.surroundings import Surroundings
from pipeline.events.events import Event
from pipeline.live.watching.judge import Judge


def event(cause, kinds=()):
    none = np.zeros(0)
    ids = tuple(range(1, len(kinds) + 1))
    boxes = np.zeros((len(kinds), 4))
    return Event(
        0, 9, 0.0, 1.0, 4, 0.5, 5.0, 99.9, (), none, none.reshape(0, 4), (), cause, ids, kinds, boxes
    )


def test_reasons_begin_with_what_the_event_is_about_and_the_rarest_moment_of_it_counts():
    model = SimpleNamespace(surroundings=SimpleNamespace(looks=1000))
    judge = SimpleNamespace(scorer=SimpleNamespace(model=model), _rarest={})
    assert Judge._about(judge, event("things", (2,))) == ["car, unusual here"]  # nothing is known of it yet
    cause = np.array([1, 1, 1, 3, 0], np.int8)
    for p in ([0.004, 0.002, 1e-6, 0.005, 1], [0.003, 0.004, 1e-6, 0.005, 1]):
        scores = SimpleNamespace(
            around=Surroundings(np.array(p), cause - 1, np.zeros(5, np.int32)),
            frames=SimpleNamespace(cause=cause),
        )
        Judge._remember_causes(
            judge, scores, np.array([True, True, False, True, True])
        )  # one raises no alarm
    assert Judge._about(judge, event("things", (2,))) == ["car, unusual here, 1 in 500"]
    assert Judge._about(judge, event("flow")) == ["many move as they usually do not here, 1 in 200"]
    assert Judge._about(judge, event("movement")) == []


def test_without_surroundings_there_is_nothing_to_remember():
    judge = SimpleNamespace(_rarest={})
    Judge._remember_causes(judge, SimpleNamespace(around=None), np.ones(3, bool))
    assert judge._rarest == {}
