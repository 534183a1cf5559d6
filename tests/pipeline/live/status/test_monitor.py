from types import SimpleNamespace
from typing import Any

import pytest

from pipeline.live.rules.limits import Limits
from pipeline.live.rules.settings import RuleSettings
from pipeline.live.sinks.dispatcher import SinkFigures
from pipeline.live.status import monitor as monitors
from pipeline.live.status.monitor import Monitor


class Clock:
    """Seconds that pass when told to."""

    def __init__(self) -> None:
        self.now = 100.0

    def monotonic(self) -> float:
        return self.now


class Sinks:
    def __init__(self) -> None:
        self.told: list[Any] = []
        self.error = ""

    def figures(self) -> dict[str, SinkFigures]:
        return {"home": SinkFigures(3, 10, 0, 1, 2, self.error)}

    def tell(self, stats: Any) -> None:
        self.told.append(stats)


@pytest.fixture
def place(monkeypatch):
    clock, sinks = Clock(), Sinks()
    monkeypatch.setattr(monitors, "time", clock)
    counts = SimpleNamespace(frames=0, scored=0, alarms=0)
    capture = SimpleNamespace(received=0, age_s=0.1, connections=1, mailbox=SimpleNamespace(dropped=0))
    camera = SimpleNamespace(
        name="door",
        state="online",
        unjudged=4,
        failed=2,
        capture=capture,
        judge=SimpleNamespace(counts=counts),
        day=SimpleNamespace(shares=None),
        limits=Limits(RuleSettings()),
    )
    monitor = Monitor(sinks, 30.0)  # type: ignore[arg-type]
    monitor.cameras = lambda: [camera]  # type: ignore[list-item,return-value]
    return SimpleNamespace(
        clock=clock, sinks=sinks, counts=counts, capture=capture, camera=camera, monitor=monitor
    )


def test_rates_are_means_over_the_latest_seconds_and_unknown_before(place):
    place.monitor.look()
    assert place.monitor.figures()[0].camera_fps is None
    for received, judged in ((250, 100), (400, 110)):
        place.clock.now += 10
        place.capture.received, place.counts.frames = received, judged
        place.monitor.look()
        figures = place.monitor.figures()[0]
    assert (figures.camera_fps, figures.processed_fps) == (15.0, 1.0)
    place.clock.now += 1
    place.capture.received = 3  # it was begun anew
    place.monitor.look()
    assert place.monitor.figures()[0].camera_fps is None


def test_figures_tell_what_is_lost_and_what_calibration_promised(place):
    place.capture.received, place.capture.connections, place.capture.mailbox.dropped = 9, 4, 5
    assert place.monitor.figures()[0].alarm_share is None
    place.camera.day.shares = 0.05, 0.01
    figures = place.monitor.figures()[0]
    assert (figures.skipped, figures.reconnects, figures.age_s, figures.unjudged) == (5, 3, 0.1, 6)
    assert (figures.alarm_share, figures.expected_share) == (0.05, 0.01)


def test_a_camera_that_gave_no_frame_has_no_age_and_one_without_a_model_no_share(place):
    place.camera.judge = place.camera.day = None
    figures = place.monitor.figures()[0]
    assert (figures.age_s, figures.alarm_share, figures.expected_share, figures.frames) == (
        None,
        None,
        None,
        0,
    )


def test_a_watcher_that_looks_no_more_does_not_live(place):
    place.monitor.look()
    place.clock.now += 29
    assert place.monitor.health()[0]
    place.clock.now += 2
    alive, said = place.monitor.health()
    assert (alive, said["status"]) == (False, "stalled")


def test_trouble_of_a_camera_or_a_sink_is_told_but_no_reason_to_restart(place):
    place.monitor.look()
    assert place.monitor.health()[1]["status"] == "ok"
    place.camera.state = "lost"
    assert place.monitor.health() == (
        True,
        {
            "status": "degraded",
            "cameras": {"door": "lost"},
            "sinks": {"home": {"queued": 3, "last_error": None}},
            "silent_s": 0.0,
        },
    )
    place.camera.state, place.sinks.error = "online", "down"
    assert place.monitor.health()[1]["status"] == "degraded"


def test_sinks_are_told_the_figures_now_and_then(place):
    for _ in range(70):
        place.clock.now += 1
        place.monitor.look()
    assert len(place.sinks.told) == 2
    assert place.sinks.told[0]["cameras"]["door"]["state"] == "online"
    assert place.sinks.told[0]["sinks"] == {"home": {"queued": 3, "delivered": 10, "dropped": 1}}
