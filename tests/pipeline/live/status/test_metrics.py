import sys

import pytest
from prometheus_client.parser import text_string_to_metric_families

from pipeline.live.recording.recorder import RecorderCounts
from pipeline.live.sinks.dispatcher import SinkFigures
from pipeline.live.status.figures import CameraFigures
from pipeline.live.status.metrics import Metrics
from pose_extract.errors import UsageError

DOOR = CameraFigures("door", "online", 0.04, 25.0, 11.5, 1000, 300, 2, 0.01, 0.02, {"schedule": 1})
YARD = CameraFigures("yard", "lost")
SINKS = {"home": SinkFigures(3, 10, 1, 2, 5, "down")}


def values(metrics: Metrics) -> dict[tuple[str, ...], float]:
    return {
        (sample.name, *(value for _, value in sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(metrics.text().decode())
        for sample in family.samples
    }


def test_a_scrape_tells_the_figures_of_the_moment():
    cameras = [DOOR, YARD]
    metrics = Metrics(lambda: cameras, lambda: SINKS, lambda: RecorderCounts(4, 3, 2, 1, 0))
    found = values(metrics)
    assert found["gepc_up", "door"] == 1
    assert found["gepc_up", "yard"] == 0
    assert found["gepc_camera_state", "yard", "lost"] == 1
    assert found["gepc_seconds_since_last_frame", "door"] == 0.04
    assert found["gepc_skipped_frames_total", "door"] == 300
    assert found["gepc_reconnects_total", "door"] == 2
    assert (found["gepc_alarm_share", "door"], found["gepc_alarm_share_expected", "door"]) == (0.01, 0.02)
    assert (found["gepc_sink_queue", "home"], found["gepc_sink_dropped_total", "home"]) == (3, 2)
    assert (found["gepc_pictures_total",], found["gepc_clips_skipped_total",]) == (4, 1)
    cameras[0] = CameraFigures("door", "blind", skipped=301, unjudged=7)
    assert values(metrics)["gepc_unjudged_frames_total", "door"] == 7
    assert values(metrics)["gepc_skipped_frames_total", "door"] == 301


def test_what_is_not_known_is_left_out_and_not_zero():
    found = values(Metrics(lambda: [YARD]))
    assert ("gepc_seconds_since_last_frame", "yard") not in found
    assert ("gepc_alarm_share", "yard") not in found


def test_distributions_and_events_are_counted():
    metrics = Metrics(lambda: [DOOR])
    for seconds in (0.03, 0.2):
        metrics.inference("door", seconds)
    metrics.alarm("door", 1.2)
    metrics.event("door", "anomaly")
    found = values(metrics)
    assert (
        found["gepc_inference_seconds_count", "door"],
        found["gepc_inference_seconds_bucket", "door", "0.05"],
    ) == (2, 1)
    assert found["gepc_frame_to_alarm_seconds_bucket", "door", "1.5"] == 1
    assert found["gepc_frame_to_alarm_seconds_bucket", "door", "1.0"] == 0
    assert found["gepc_events_total", "door", "anomaly"] == 1
    assert found["gepc_events_kept_back_total", "door", "schedule"] == 1


def test_two_of_them_in_one_process_do_not_meet():
    one, two = Metrics(lambda: [DOOR]), Metrics(lambda: [DOOR])
    one.event("door", "anomaly")
    assert ("gepc_events_total", "door", "anomaly") not in values(two)


def test_a_missing_extra_gives_the_line_that_mends_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "prometheus_client", None)
    with pytest.raises(UsageError, match=r"pip install 'gepc-pipeline\[live\]'"):
        Metrics(list)


def test_figures_as_json_have_short_numbers_and_exact_shares():
    found = CameraFigures("door", "online", 0.0412345, alarm_share=0.00012345).to_dict()
    assert (found["age_s"], found["alarm_share"], found["expected_share"]) == (0.041, 0.00012345, None)
