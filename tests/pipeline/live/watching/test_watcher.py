"""Cameras that take turns."""

from __future__ import annotations

import dataclasses
import threading
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from benchmarks.helpers.scripted import ScriptedEstimator
from pipeline.live.capture.capture import Capture
from pipeline.live.capture.feed import LiveFrame
from pipeline.live.settings import LiveSettings
from pipeline.live.watching.camera import WatchedCamera
from pipeline.live.watching.judge import Judge
from pipeline.live.watching.open_events import OpenEvents
from pipeline.live.watching.picture import PictureWatch
from pipeline.live.watching.watcher import Watcher
from pipeline.scoring import Scorer
from pipeline.settings import Settings
from tests.helpers import walkers
from tests.pipeline.live.helpers import event

START = datetime(2026, 11, 29, tzinfo=UTC)


class Played(Capture):
    """Gives frames that show their numbers; none is dropped."""

    def __init__(self, name, arrivals, frames):
        super().__init__(name, arrivals, drop=False)
        self._frames = frames

    def run(self):
        for number in range(self._frames):
            image = np.full((96, 192, 3), 90 + number % 7, np.uint8)
            image[::3] = 150
            for bit in range(12):
                image[:24, 16 * bit : 16 * bit + 16] = 255 * ((number >> bit) & 1)
            self.received += 1
            time_s = number / 24
            if not self.mailbox.put(
                LiveFrame(time_s, image, START + timedelta(seconds=time_s), 0.0, 24.0, 1)
            ):
                break
        self.finished = True


class Mixing(ScriptedEstimator):
    """Takes frames of several cameras at once."""

    batch_size = 4
    mixes = True

    def __init__(self, clip):
        super().__init__(clip)
        self.sizes = []

    def estimate(self, frames):
        self.sizes.append(len(frames))
        return super().estimate(frames)


class Sink:
    def __init__(self):
        self.events = []

    def send(self, event, context=None):
        self.events.append(event)

    def close(self, timeout_s):
        pass


@pytest.fixture(scope="module")
def scorer():
    from anomaly.settings import settings_from_dict
    from anomaly.training.train import train_model

    model = train_model(
        [walkers.clip(f"walk{i}", seed=i) for i in range(4)], settings_from_dict(walkers.TINY), seed=0
    )
    scoring = dataclasses.replace(model.settings.scoring, frames="online")
    return Scorer(model, dataclasses.replace(Settings(), scoring=scoring))


def watched(scorer, estimators, out, frames=60):
    """Each camera's scores, with what was told."""
    arrivals, live, sink = threading.Condition(), LiveSettings(moved_below=0), Sink()
    cameras, scores = [], {}
    for number, estimator in enumerate(estimators):
        name = f"camera{number}"
        judge = Judge(name, scorer, estimator, live, exact=True)
        scores[name] = []
        judge.on_scores = lambda begin, part, found, name=name: scores[name].append(found.frames.score)
        cameras.append(WatchedCamera(name, Played(name, arrivals, frames), judge, PictureWatch(live)))
    Watcher(cameras, live, sink, OpenEvents(out / "open.jsonl"), arrivals).run()
    return {name: np.concatenate(found) for name, found in scores.items()}, cameras, sink


def test_cameras_take_turns_and_none_is_left_out(scorer, tmp_path):
    clip = walkers.clip("walk", people=2, frames=60, seed=5)
    scores, cameras, sink = watched(scorer, [ScriptedEstimator(clip) for _ in range(3)], tmp_path)
    assert [camera.judge.counts.frames for camera in cameras] == [60, 60, 60]
    for found in scores.values():
        np.testing.assert_array_equal(found, scores["camera0"])
    assert [e.state for e in sink.events if e.kind == "state"] == ["online"] * 3


def test_where_frames_may_be_mixed_they_are_looked_at_together_and_scores_stay(scorer, tmp_path):
    clip = walkers.clip("walk", people=2, frames=60, seed=5)
    first = Mixing(clip)
    together, cameras, _ = watched(scorer, [first, first.twin(), first.twin()], tmp_path)
    alone, _, _ = watched(scorer, [ScriptedEstimator(clip)], tmp_path)
    assert max(first.sizes) > 1
    assert sum(first.sizes) >= 3 * 60
    for camera in cameras:
        np.testing.assert_array_equal(together[camera.name], alone["camera0"])


def test_what_an_earlier_run_has_left_open_is_ended_with_its_own_id(scorer, tmp_path):
    kept = OpenEvents(tmp_path / "open.jsonl")
    kept.put(event(3, "new"))
    _, _, sink = watched(scorer, [ScriptedEstimator(walkers.clip(frames=30))], tmp_path, frames=5)
    ended = sink.events[0]
    assert (ended.id, ended.type, ended.end_reason) == ("door-3", "end", "restart")
    assert OpenEvents(tmp_path / "open.jsonl").left == ()


def test_a_camera_without_a_model_says_so_and_the_others_go_on(scorer, tmp_path):
    clip = walkers.clip("walk", people=2, frames=60, seed=5)
    arrivals, live, sink = threading.Condition(), LiveSettings(), Sink()
    judge = Judge("good", scorer, ScriptedEstimator(clip), live, exact=True)
    cameras = [
        WatchedCamera("bad", Played("bad", arrivals, 20), None, PictureWatch(live), no_model="there is none"),
        WatchedCamera("good", Played("good", arrivals, 20), judge, PictureWatch(live)),
    ]
    Watcher(cameras, live, sink, OpenEvents(tmp_path / "open.jsonl"), arrivals).run()
    states = {e.camera: (e.state, e.reasons) for e in sink.events if e.kind == "state"}
    assert states == {"bad": ("no-model", ("there is none",)), "good": ("online", ())}
    assert cameras[0].unjudged == 20
    assert judge.counts.frames == 20
