"""The workspace: a manifest that can be lost, and clips that never overwrite each other."""

import subprocess
import sys

import numpy as np
import pytest

from pipeline.workspace import ClipEntry, Workspace, entry_of
from pose_extract.tracks.cache import save_tracks
from pose_extract.tracks.records import ClipTracks


def provenance(clip: str, key: str, source: str, train: bool = True) -> dict:
    summary = {"frames": 10, "rows": 0, "tracks": 0, "seconds": 0.4, "coverage": 0.0, "damage": []}
    return {
        "source": source,
        "key": key,
        "train": train,
        "estimator": {"name": "blazepose"},
        "summary": summary,
    }


def add(workspace: Workspace, clip: str, key: str, source: str = "/v.mp4", train: bool = True) -> ClipEntry:
    info = provenance(clip, key, source, train)
    nothing = np.zeros(0, np.int32)
    tracks = ClipTracks(
        clip,
        "coco17",
        25.0,
        (64, 48),
        np.arange(10) / 25,
        nothing,
        nothing,
        np.zeros((0, 17, 3), np.float32),
        np.zeros((0, 4), np.float32),
        provenance=info,
    )
    save_tracks(workspace.tracks_path(clip), tracks)
    entry = entry_of(info, clip)
    workspace.record(entry)
    return entry


def test_a_finished_clip_is_found_by_its_key(tmp_path):
    workspace = Workspace(tmp_path)
    entry = add(workspace, "a", "key-a")
    with workspace.index() as index:
        assert index.find("key-a") == entry
    with workspace.index() as index:
        assert index.find("other") is None


def test_a_clip_whose_tracks_are_gone_counts_as_not_done(tmp_path):
    workspace = Workspace(tmp_path)
    add(workspace, "a", "key-a")
    workspace.tracks_path("a").unlink()
    assert workspace.entries() == []
    with workspace.index() as index:
        assert index.find("key-a") is None


def test_damaged_tracks_count_as_not_done(tmp_path):
    workspace = Workspace(tmp_path)
    add(workspace, "a", "key-a")
    workspace.tracks_path("a").write_bytes(b"damaged")
    with workspace.index() as index:
        assert index.find("key-a") is None


def test_two_videos_of_one_name_get_two_clips(tmp_path):
    workspace = Workspace(tmp_path)
    add(workspace, "cam", "0123456789", source="/one/cam.mp4")
    with workspace.index() as index:
        assert index.name_for("cam", "/one/cam.mp4", "new content") == "cam"
    with workspace.index() as index:
        assert index.name_for("cam", "/two/cam.mp4", "abcdefghij") == "cam-abcdefgh"
        assert index.name_for("cam", "/one/cam.mp4", "abcdefghij", train=False) == "cam-abcdefgh"
        assert index.name_for("cam", "/one/cam.mp4", "0123456789", train=False) == "cam"


def test_a_lost_manifest_is_rebuilt_from_the_tracks(tmp_path):
    workspace = Workspace(tmp_path)
    add(workspace, "a", "key-a")
    add(workspace, "b", "key-b", train=False)
    before = workspace.entries()
    for text in ("", "{", '{"version": 99}', '{"version": 1, "clips": {"a": {"what": 1}}}'):
        (workspace.tracks / "manifest.json").write_text(text)
        assert workspace.entries() == before


def test_a_deleted_manifest_is_rebuilt_too(tmp_path):
    workspace = Workspace(tmp_path)
    entry = add(workspace, "a", "key-a")
    (workspace.tracks / "manifest.json").unlink()
    assert workspace.entries() == [entry]


def test_scored_clips_are_not_trained_on_until_they_are_extracted(tmp_path):
    workspace = Workspace(tmp_path)
    entry = add(workspace, "a", "key-a", train=False)
    assert workspace.training_clips() == []
    with workspace.index() as index:
        index.promote(entry)
    assert [e.clip for e in workspace.training_clips()] == ["a"]


@pytest.mark.parametrize(
    ("work", "doing"), [("writing_tracks", "writing tracks"), ("writing_model", "training")]
)
def test_two_processes_do_not_work_in_one_workspace_at_once(tmp_path, work, doing):
    code = (
        "import sys; from pathlib import Path; from pipeline.workspace import Workspace\n"
        "from pose_extract.errors import BusyError\n"
        "try:\n"
        "    with getattr(Workspace(Path(sys.argv[1]), wait=False), sys.argv[2])(): pass\n"
        "except BusyError as error: sys.exit(f'refused: {error}')\n"
    )
    command = [sys.executable, "-c", code, str(tmp_path), work]
    with getattr(Workspace(tmp_path), work)():
        refused = subprocess.run(command, capture_output=True, text=True)
    assert f"refused: another gepc-pipeline is {doing}" in refused.stderr
    assert subprocess.run(command).returncode == 0
