"""`score --events`, thumbnails and clips of events, as a user runs them."""

from __future__ import annotations

import csv
import json

import pytest

from tests.helpers.videos import X264

# So that a normal clip has several events.
OFTEN = ("--set=calibration.false_alarm_rate=0.6", "--set=scoring.smoothing_s=0")


@pytest.fixture
def base(truth_workspace, tmp_path):
    """What every call here has in common."""
    tracks = truth_workspace / "tracks" / "normal_0.npz"
    return ("--workspace", truth_workspace, "--tracks", tracks, "--out", tmp_path / "s.csv", *OFTEN)


def test_events_come_as_json_csv_and_captions(base, cli, tmp_path):
    files = [tmp_path / f"events{suffix}" for suffix in (".json", ".csv", ".vtt")]
    result = cli("score", *base, "--events", *files)
    assert result.code == 0
    data = json.loads(files[0].read_text())
    with open(files[1], newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(data["events"]) == len(rows) == files[2].read_text().count("-->") > 0
    with open(tmp_path / "s.csv", newline="") as file:
        frames = list(csv.DictReader(file))
    alarms = [i for i, row in enumerate(frames) if row["alarm"] == "1"]
    inside = {i for e in data["events"] for i in range(e["start_frame"], e["end_frame"])}
    short = [e for e in data["events"] if e["end_s"] - e["start_s"] < 0.2]
    assert not short
    assert set(alarms) & inside
    for e in data["events"]:
        peak = frames[e["peak_frame"]]
        assert float(peak["score"]) == pytest.approx(e["score"], abs=1e-5)
        assert e["score"] > data["threshold"]["score"]
        assert f"{e['start_s']:.2f} s to" in result.out
    assert f"events: {files[2]}" in result.out


def test_merging_is_a_setting(base, cli, tmp_path):
    counts = []
    for gap in (0, 100):
        settings = (f"--set=events.merge_gap_s={gap}", "--set=events.min_s=0")
        assert cli("score", *base, "--events", tmp_path / "e.json", *settings).code == 0
        counts.append(len(json.loads((tmp_path / "e.json").read_text())["events"]))
    assert counts[0] > counts[1] == 1


def test_thumbnails_and_clips_of_events_need_the_video(base, cli, tmp_path, make_video):
    result = cli("score", *base, "--thumbnails", tmp_path / "t")
    assert result.code == 2
    assert "--thumbnails needs the video itself" in result.err
    video = make_video("street.mp4", *X264, frames=192, fps=24)
    pictures = ("--thumbnails", tmp_path / "t", "--event-clips", tmp_path / "c")
    result = cli("score", video, *base, *pictures, "--events", tmp_path / "e.json")
    assert result.code == 0
    count = len(json.loads((tmp_path / "e.json").read_text())["events"])
    names = [f"normal_0.event-{n:04}" for n in range(1, count + 1)]
    assert sorted(p.stem for p in (tmp_path / "t").glob("*.jpg")) == names
    assert sorted(p.stem for p in (tmp_path / "c").glob("*.mp4")) == names


def test_an_unknown_kind_of_events_file_is_refused_before_any_work(base, cli, tmp_path):
    result = cli("score", *base, "--events", tmp_path / "e.srt")
    assert result.code == 2
    assert "ends in .json, .csv, .vtt" in result.err
    assert not (tmp_path / "s.csv").exists()


def test_several_videos_get_their_events_in_a_folder():
    from pathlib import Path

    from pipeline.outputs import Outputs

    files = Outputs(Path("s"), events=(Path("e"), Path("e")), thumbnails=Path("t")).in_folder_for("clip")
    assert [str(path) for path in files.events] == [f"e/clip.events{s}" for s in (".json", ".csv", ".vtt")]
    assert files.thumbnails == Path("t")
