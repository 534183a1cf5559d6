"""The tracks of a camera, recorded to learn from."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from benchmarks.helpers.scripted import ScriptedEstimator, scripted_video
from pipeline.live import recording_tracks
from pipeline.live.capture.feed import LiveFrame
from pipeline.live.recording_tracks import LiveExtraction
from pipeline.settings import Settings
from pipeline.workspace import Workspace
from pose_extract.errors import VideoError
from pose_extract.tracks.cache import load_tracks
from pose_extract.video.streams import StreamSource
from tests.helpers import walkers


def test_a_clip_ends_before_the_hours_without_a_picture(tmp_path):
    clip = walkers.clip("walk", people=2, frames=24, seed=5)
    start = datetime(2026, 11, 29, 23, tzinfo=UTC)
    frames = [
        LiveFrame(s, np.zeros((96, 192, 3), np.uint8), start + timedelta(seconds=s), s, 24.0, 1)
        for s in [*(np.arange(24) / 24).tolist(), 7200.0]
    ]
    workspace = Workspace(tmp_path / "workspace")
    extraction = LiveExtraction(StreamSource("file", "door.mp4"), "door", workspace, Settings())
    found = extraction._clip(iter(frames), ScriptedEstimator(clip), Settings(), 24.0)
    assert found.frames == 24
    recorded = load_tracks(workspace.tracks_path(found.clip)).provenance["recorded"]
    assert recorded == {"from": start.isoformat(), "to": frames[23].at.isoformat()}


def test_pictures_of_too_few_seconds_are_not_said_to_be_none(tmp_path, monkeypatch):
    scripted_video(tmp_path / "door.mp4", 24)
    clip = walkers.clip("walk", people=2, frames=24, seed=5)
    monkeypatch.setattr(recording_tracks, "chosen_estimator", lambda name: name)
    monkeypatch.setattr(recording_tracks, "create_estimator", lambda *_: ScriptedEstimator(clip))
    source = StreamSource("file", str(tmp_path / "door.mp4"))  # a camera that ends after a second
    with pytest.raises(VideoError, match="less than the 5 s"):
        LiveExtraction(source, "door", Workspace(tmp_path / "workspace"), Settings()).run(60.0, quiet=True)
