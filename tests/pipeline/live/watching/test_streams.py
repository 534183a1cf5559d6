"""Cameras that freeze, die and come back, over real RTSP."""

from __future__ import annotations

import threading
import time

import numpy as np
import psutil
import pytest

from benchmarks.helpers.rtsp import RtspServer
from benchmarks.helpers.scripted import ScriptedEstimator, scripted_video
from pipeline.live.backoff import Backoff
from pipeline.live.capture.capture import StreamCapture
from pipeline.live.settings import LiveSettings
from pipeline.live.watching.camera import WatchedCamera
from pipeline.live.watching.judge import Judge
from pipeline.live.watching.open_events import OpenEvents
from pipeline.live.watching.picture import PictureWatch
from pipeline.live.watching.watcher import Watcher
from pipeline.scoring.familiarity import Seen
from pipeline.settings import Settings
from pose_extract.tracks.clip_time import usual_rate
from pose_extract.video.streams import live_source
from tests.helpers import walkers
from tests.helpers.processes import own_children
from tests.pipeline.live.helpers import wait_for

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def clip():
    return walkers.clip("walk", people=2, frames=240, seed=5)


@pytest.fixture(scope="module")
def folder(tmp_path_factory, clip):
    folder = tmp_path_factory.mktemp("served")
    scripted_video(folder / "door.mp4", 240)
    return folder


@pytest.fixture(scope="module")
def server(folder):
    """One that no test harms."""
    with RtspServer(folder) as server:
        yield server


@pytest.fixture(scope="module")
def scorer():
    return walkers.online_scorer()


class Gathered:
    """A sink that keeps what it is sent, and when."""

    def __init__(self):
        self.events, self.at_s = [], []

    def send(self, event, context=None):
        self.events.append(event)
        self.at_s.append(time.monotonic())

    def close(self, timeout_s):
        pass

    def states(self, camera):
        return [e.state for e in self.events if e.kind == "state" and e.camera == camera]


class Watching:
    """Cameras that are watched in a thread."""

    def __init__(self, addresses, scorer, clip, out, live=None):
        live = live or LiveSettings()
        arrivals, self.sink = threading.Condition(), Gathered()
        self.cameras = {}
        for name, address in addresses.items():
            backoff = Backoff(live.retry_first_s, live.retry_most_s)
            capture = StreamCapture(name, [live_source(address)], arrivals, None, backoff)
            judge = Judge(name, scorer, ScriptedEstimator(clip), live, exact=False)
            self.cameras[name] = WatchedCamera(name, capture, judge, PictureWatch(live))
        self.watcher = Watcher(
            self.cameras.values(), live, self.sink, OpenEvents(out / "open.jsonl"), arrivals
        )
        self._thread = threading.Thread(target=self.watcher.run)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self.watcher.stop()
        self._thread.join(10)
        assert not self._thread.is_alive()

    def state_of(self, name):
        return self.cameras[name].state


def test_a_frozen_camera_is_lost_and_comes_back_and_no_other_one_suffers(folder, scorer, clip, tmp_path):
    live = LiveSettings(lost_after_s=2.0)
    with RtspServer(folder) as bad, RtspServer(folder) as good:
        addresses = {"bad": bad.url("door"), "good": good.url("door")}
        with Watching(addresses, scorer, clip, tmp_path, live) as watching:
            wait_for(lambda: {watching.state_of(name) for name in addresses} == {"online"}, 30)
            bad.freeze()
            wait_for(lambda: watching.state_of("bad") == "lost", 10)
            judged = watching.cameras["good"].judge.counts
            before = judged.frames
            wait_for(lambda: judged.frames > before + 48, 60)  # that it waits for nobody: test_watcher
            assert watching.state_of("bad") == "lost"
            bad.thaw()
            wait_for(lambda: watching.state_of("bad") == "online", 10)
            seen = watching.cameras["bad"].judge.counts.frames
            wait_for(lambda: watching.cameras["bad"].judge.counts.frames > seen + 24, 30)
            assert watching.sink.states("good") == ["online"]
            assert watching.sink.states("bad") == ["online", "lost", "online"]


def test_a_server_that_dies_again_and_again_leaves_nothing_behind(folder, scorer, clip, tmp_path):
    live = LiveSettings(lost_after_s=1.0, retry_most_s=1.0)
    me = psutil.Process()
    server = RtspServer(folder)
    server.start()
    before = None
    with Watching({"door": server.url("door")}, scorer, clip, tmp_path, live) as watching:
        for _ in range(3):
            wait_for(lambda: watching.state_of("door") == "online", 30)
            facts = me.num_fds(), threading.active_count(), len(own_children(me))
            before = before or facts
            assert facts <= before
            server.kill()
            wait_for(lambda: watching.state_of("door") == "lost", 10)
            server.start()
        wait_for(lambda: watching.state_of("door") == "online", 30)
    server.kill()
    assert not own_children(me)
    assert watching.sink.states("door") == ["online", "lost"] * 3 + ["online"]
    assert not any(thread.name.startswith(("capture-", "ffmpeg-")) for thread in threading.enumerate())


def test_old_frames_are_dropped_and_delay_does_not_grow(server, scorer, clip, tmp_path):
    with Watching({"door": server.url("door")}, scorer, clip, tmp_path) as watching:
        camera = watching.cameras["door"]
        camera.judge.estimator._work_s = 0.2  # five frames a second of 24, at most
        judge = camera.judge.take
        taken = []

        def take(frame, people=None):
            taken.append(frame.time_s)
            yield from judge(frame, people)

        camera.judge.take = take
        wait_for(lambda: camera.judge.counts.restarts, 60)  # it has seen how many it can judge
        mailbox, before, first = camera.capture.mailbox, camera.capture.mailbox.dropped, len(taken)
        wait_for(lambda: len(taken) >= first + 15, 60)
        rate = usual_rate(np.array(taken[first:]))
        # Of about 24 / 5 frames that come, one is taken and the others go; none queue up.
        assert mailbox.dropped - before >= 15 * (24 / rate - 1) * 0.7
        assert 0 <= camera.capture.received - mailbox.dropped - mailbox.taken <= 2
        assert rate < 5.5
        assert camera.judge.fps == pytest.approx(rate, rel=0.4)


def test_tracks_of_a_camera_are_recorded_to_learn_from_and_no_picture_is_kept(
    server, clip, tmp_path, monkeypatch
):
    from pipeline.live import recording_tracks
    from pipeline.workspace import Workspace
    from pose_extract.tracks.cache import load_tracks

    monkeypatch.setattr(recording_tracks, "chosen_estimator", lambda name: name)
    monkeypatch.setattr(recording_tracks, "create_estimator", lambda *_: ScriptedEstimator(clip))
    monkeypatch.setattr(recording_tracks, "_TRIAL_S", 1.0)
    workspace = Workspace(tmp_path / "workspace")
    source = live_source(server.url("door"))
    extraction = recording_tracks.LiveExtraction(source, "door", workspace, Settings(), clip_s=2.0)
    found = extraction.run(8.0, quiet=True)
    assert [entry.clip for entry in workspace.training_clips()] == sorted(entry.clip for entry in found)
    assert len(found) >= 2
    assert all(entry.clip.startswith("door-2") and entry.tracks >= 2 for entry in found)
    tracks = load_tracks(workspace.tracks_path(found[0].clip))
    assert 1.5 < tracks.time_s[-1] <= 2.0
    assert tracks.time_s[0] == 0
    assert tracks.provenance["source"].startswith("rtsp://127.0.0.1")
    assert (
        len(Seen.from_clips([tracks]).sketches) == 1
    )  # of the scene, to see later that the camera was moved
    kept = {path.suffix for path in workspace.root.rglob("*") if path.is_file()}
    assert kept <= {".npz", ".json", ".lock", ""}
