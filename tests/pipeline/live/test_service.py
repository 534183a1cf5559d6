"""`watch` put together: models, marks and settings that change while it runs."""

import json
import shutil
import signal
import threading
import time
from functools import partial

import numpy as np
import pytest

from anomaly.scoring.threshold import alarm_percentile
from pipeline.builtin import builtin_model
from pipeline.live import cameras
from pipeline.live.events.record import LiveEvent
from pipeline.live.service import Service, heeded_early
from pipeline.live.settings import load_watch
from pose_extract.estimators.base import PoseEstimator
from tests.pipeline.live.helpers import event, wait_for


class Nobody(PoseEstimator):
    """Sees nobody."""

    name, skeleton, network_stages = "nobody", "coco17", ()

    def __init__(self):
        self.identity, self.timings = {"name": "nobody"}, {}

    def start(self, fps, frame_size):
        pass

    def estimate(self, frames):
        return []


class Place:
    """A service that watches a camera that is not there, with a model of its own and an operator's marks."""

    def __init__(self, folder):
        self.folder, self.model, self.marks = folder, folder / "model", folder / "marks.jsonl"
        shutil.copytree(builtin_model("builtin:walkers"), self.model)
        self.write()
        self.service = Service(partial(load_watch, folder / "watch.yaml"), self.model, folder / "out", "cpu")

    def write(self, live="", sinks="", cameras=""):
        (self.folder / "watch.yaml").write_text(
            f"cameras: {{door: {{source: 'rtsp://127.0.0.1:9/x'}}{cameras}}}\n"
            f"live: {{marks: '{self.marks}'{live}}}\n"
            f"sinks: {{log: {{jsonl: {{path: '{self.folder}/out.jsonl'}}}}{sinks}}}\n"
        )

    @property
    def judge(self):
        return self.service.watcher.cameras[0].judge

    def patrol(self, reload=False):
        if reload:
            self.service.reload()
        for _ in range(2):
            self.service._looked_s = -np.inf
            self.service._patrol()

    def mark(self):
        """Mark an event as false whose score was somewhat above the threshold."""
        (self.folder / "out").mkdir(exist_ok=True)
        identity = self.service.watcher.cameras[0].model_id
        event = {"id": "a", "score": self.judge.threshold + 0.5, "model_id": identity}
        (self.folder / "out" / "history.jsonl").write_text(json.dumps(event) + "\n")
        self.marks.write_text('{"id": "a", "verdict": "false"}\n')
        self.patrol()


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.setattr(cameras, "chosen_estimator", lambda name: name)
    monkeypatch.setattr(cameras, "create_estimator", lambda *_: Nobody())
    place = Place(tmp_path)
    yield place
    for camera in place.service.watcher.cameras:
        place.service.watcher.leave(camera)
    place.service._ends.close()


def test_marks_count_after_the_settings_are_read_again(place):
    usual = place.judge.threshold
    place.mark()
    marked = place.judge.threshold
    assert marked > usual
    place.write(live=", cooldown_s: 3")
    before = place.judge
    place.patrol(reload=True)
    assert place.judge is not before
    assert place.judge.threshold == marked


def test_an_event_that_is_marked_while_it_goes_on_counts_when_it_is_over(place):
    usual = place.judge.threshold
    place.marks.write_text('{"id": "door-9", "verdict": "false"}\n')
    place.patrol()
    assert place.judge.threshold == usual
    identity = place.service.watcher.cameras[0].model_id
    for number in (8, 9):
        place.service.watcher.history.add(event(number, "end", score=usual + 0.5, model_id=identity))
        place.patrol()
        assert (place.judge.threshold > usual) == (number == 9)


def test_hysteresis_is_below_the_threshold_that_counts(place):
    place.write(live=", hysteresis: 0.5")
    place.patrol(reload=True)
    place.mark()
    judge = place.judge
    model, scoring = judge.scorer.model, judge.scorer.settings.scoring
    above, release = (alarm_percentile(model, s, scoring) for s in (judge.threshold, judge._release()))
    assert release == pytest.approx(above - 0.5, abs=0.05)


def test_the_threshold_of_another_model_is_not_taken_over(place, caplog):
    usual = place.judge.threshold
    path = place.model / "normality.npz"
    with np.load(path) as file:
        arrays = dict(file)
    frames = [name for name in arrays if name.startswith("calibration") and "frames" in name]
    assert frames
    np.savez(path, **arrays | {name: arrays[name] + 7 for name in frames})
    card = json.loads((place.model / "card.json").read_text())
    card.pop("digests", None)
    (place.model / "card.json").write_text(json.dumps(card))
    place.patrol()
    assert place.judge.threshold == usual
    assert "another model has been learned" in caplog.text
    place.patrol(reload=True)
    assert place.judge.threshold != usual


def test_settings_with_a_secret_that_is_not_set_change_nothing(place, caplog):
    outlet = place.service._outlet
    place.write(sinks=", hook: {webhook: {url: 'http://127.0.0.1:9/', secret: $NOT_SET_AT_ALL}}")
    place.patrol(reload=True)
    assert "NOT_SET_AT_ALL" in caplog.text
    assert place.service._outlet is outlet
    assert not outlet._closed


def test_a_model_that_is_gone_leaves_other_cameras_theirs(place, caplog):
    place.write(cameras=f", yard: {{source: 'rtsp://127.0.0.1:9/y', model: '{place.folder}/other'}}")
    shutil.copytree(place.model, place.folder / "other")
    place.patrol(reload=True)
    door, yard = place.service.watcher.cameras
    usual = door.judge.threshold
    place.service.watcher.cameras.reverse()
    shutil.rmtree(place.folder / "other")
    place.mark()
    assert door.judge.threshold > usual
    assert yard.judge.threshold == usual
    assert "camera yard: its threshold stays as it was" in caplog.text


def test_what_goes_on_is_told_to_sinks_that_are_made_anew(place):
    camera = place.service.watcher.cameras[0]
    camera.open_event = event(1)
    place.write(sinks=f", more: {{jsonl: {{path: '{place.folder}/more.jsonl'}}}}")
    place.patrol(reload=True)
    assert place.service.watcher.cameras == [camera]
    wait_for((place.folder / "more.jsonl").is_file)
    told = [LiveEvent.from_json(line) for line in (place.folder / "more.jsonl").read_text().splitlines()]
    assert [(each.id, each.type) for each in told if each.kind == "anomaly"] == [("door-1", "update")]


class Stubborn:
    """A sink that takes its time, until it is closed."""

    def __init__(self):
        self.closed = threading.Event()

    def deliver(self, message):
        if not self.closed.wait(60):
            raise AssertionError("nobody has closed it")

    def close(self):
        self.closed.set()


def test_who_asks_for_the_end_while_sinks_are_waited_for_gets_it(place):
    outlet = place.service._outlet
    worker = outlet.dispatcher._workers[0]
    worker.sink = Stubborn()
    outlet.send(event(1))
    threading.Timer(0.5, place.service.watcher.stop).start()
    began = time.monotonic()
    place.service._close_patiently()
    assert 0.5 <= time.monotonic() - began < 20
    assert worker.sink.closed.is_set()


@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="no such signal here")
def test_settings_that_are_to_be_read_again_while_models_load_end_nothing():
    assert threading.current_thread() is threading.main_thread()
    before = signal.getsignal(signal.SIGHUP)
    try:
        asked = heeded_early()
        assert not asked.is_set()
        signal.raise_signal(signal.SIGHUP)
        assert asked.is_set()
    finally:
        signal.signal(signal.SIGHUP, before)
