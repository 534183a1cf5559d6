"""Each broken video is extracted as far as it goes, or refused in one line, in little time."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from pipeline.workspace import Workspace
from pose_extract.tracks.cache import load_tracks
from tests.helpers import scarecrow
from tests.robustness.broken_videos import COUNT, broken_videos
from tests.robustness.outcomes import run

QUICK = 32  # of the 200


@pytest.fixture
def estimator(tmp_path, monkeypatch):
    """One that costs nothing, of another package: what is tried here is what comes before and after it."""
    packages = tmp_path / "packages"
    packages.mkdir()
    scarecrow.install(packages)
    monkeypatch.syspath_prepend(str(packages))
    yield "scarecrow"
    sys.modules.pop("scarecrow_poses", None)


@pytest.mark.parametrize(
    ("count", "seed"),
    [(QUICK, 0), pytest.param(COUNT - QUICK, 1, marks=pytest.mark.slow)],
    ids=["quick", "others"],
)
def test_a_broken_video_ends_in_one_line_or_in_tracks(tmp_path, estimator, count, seed):
    workspace = Workspace(tmp_path / "workspace")
    wrong, used = [], 0
    (tmp_path / "videos").mkdir()
    for video in broken_videos(tmp_path / "videos", count, seed):
        before = {entry.clip for entry in workspace.entries()}
        found = run("extract", video.path, "--pose", estimator, "--workspace", workspace.root, "--quiet")
        faults = found.faults()
        new = [entry for entry in workspace.entries() if entry.clip not in before]
        if found.code == 0 and not new and "1 were done before" not in found.out:
            faults.append("no tracks and no error")
        if found.code and new:
            faults.append("tracks and an error")
        for entry in new:
            tracks = load_tracks(workspace.tracks_path(entry.clip))
            used += 1
            if not (tracks.frame_count == entry.frames >= 1 and len(tracks) == entry.rows):
                faults.append("its list does not tell what its tracks are")
            if not (np.diff(tracks.time_s) > 0).all() or not 0 < tracks.fps < 1e5:
                faults.append(f"times {tracks.time_s}, {tracks.fps} a second")
        wrong += [f"{video.what}: {fault}" for fault in faults]
    assert not wrong, "\n".join(wrong)
    assert count / 4 < used < count
