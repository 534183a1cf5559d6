"""A soak of two minutes: the whole of `watch` over a midnight, by a clock of its own."""

from datetime import datetime

import pytest

from benchmarks.live_soak import soak

pytestmark = pytest.mark.slow


def test_a_day_changes_and_nothing_is_left_behind(truth_workspace, tmp_path):
    start = datetime(2026, 3, 28, 23, 58, 58).astimezone()
    old = tmp_path / "pictures" / "2026-03-20"
    old.mkdir(parents=True)
    (old / "street-20260320T101500-0a1b2c3d.jpg").write_bytes(b"old")
    (tmp_path / "pictures" / "mine.jpg").write_bytes(b"not ours")
    found = soak(truth_workspace / "model", tmp_path, 120.0, 1000.0, start=start)
    assert found["soak_video_hours"] == pytest.approx(120 / 3600, abs=0.01)
    assert found["soak_events"] >= 2
    for left in ("soak_processes_left", "soak_partial_files_left"):
        assert found[left] == 0
    assert not old.exists()
    assert (tmp_path / "pictures" / "mine.jpg").exists()
    days = {path.name[7:17] for path in (tmp_path / "tables").glob("events-*.csv")}
    assert days >= {"2026-03-28", "2026-03-29"}  # states are of the day that it really is
    assert (tmp_path / "events.jsonl").read_text().count('"type": "end"') >= 2
    assert (tmp_path / "open.jsonl").read_text() == ""
    assert list(tmp_path.glob("clips/*/*.mp4"))
