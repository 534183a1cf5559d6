"""False alarms as training clips: what is marked right later is not learned as normal."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from pipeline.adding import add_clip
from pipeline.review.false_alarms import forget_false_alarms, learn_false_alarms
from pipeline.review.marks import Mark
from pipeline.workspace import Workspace
from pose_extract.patches.store import patches_path
from pose_extract.tracks.records import ClipTracks

FPS = 10.0
SCORER = SimpleNamespace(
    model=SimpleNamespace(settings=SimpleNamespace(windows=SimpleNamespace(frames=5, fps=FPS)))
)


def mark(verdict: str, start: int, stop: int) -> Mark:
    return Mark("", "street", start, stop, start / FPS, stop / FPS, (start + 1) / FPS, None, None, verdict)


@pytest.fixture
def workspace(tmp_path) -> Workspace:
    """Two clips with one person in each of their 100 frames; the name of one looks like one of ours."""
    made = Workspace(tmp_path / "workspace")
    for name in ("street", "street-normal-1-2"):
        frame = np.arange(100, dtype=np.int32)
        tracks = ClipTracks(
            name, "coco17", FPS, (64, 48), frame / FPS, frame, np.ones(100, np.int32),
            np.ones((100, 17, 3), np.float32), np.ones((100, 4), np.float32),
        )  # fmt: skip
        add_clip(made, tracks, source=name, key=f"key of {name}", estimator={"name": "made"})
    return made


def learned(workspace: Workspace) -> list[str]:
    return [e.clip for e in workspace.entries() if e.clip not in ("street", "street-normal-1-2")]


def test_a_clip_of_a_false_alarm_goes_when_it_is_marked_right(workspace, caplog):
    [entry] = learn_false_alarms(SCORER, workspace, [mark("false", 30, 40)])
    assert entry.clip == "street-normal-25-45"
    assert learn_false_alarms(SCORER, workspace, [mark("right", 30, 40)]) == []
    assert learned(workspace) == []
    assert "street-normal-25-45 is removed: street 3.00 s to 4.00 s (right) is in it" in caplog.text


def test_a_clip_is_cut_anew_where_its_margin_is_marked_right(workspace):
    false, far = mark("false", 30, 40), mark("false", 70, 80)
    learn_false_alarms(SCORER, workspace, [false, far])
    [entry] = learn_false_alarms(SCORER, workspace, [false, far, mark("right", 42, 50)])
    assert entry.clip == "street-normal-25-42"
    assert learned(workspace) == ["street-normal-25-42", "street-normal-65-85"]
    features = patches_path(workspace.tracks_path(entry.clip))
    (features / "more").mkdir(parents=True)
    assert len(forget_false_alarms(workspace)) == 2
    assert not features.exists()
    assert [e.clip for e in workspace.entries()] == ["street", "street-normal-1-2"]
