"""`export coco-video` and `export parquet`: tracks and scores for FiftyOne and pandas."""

from __future__ import annotations

import json
import shutil
import sys
from dataclasses import replace

import cv2
import numpy as np
import pytest

from pipeline.scoring import load_scorer, score_chunks
from pose_extract.tracks.cache import load_tracks, save_tracks
from pose_extract.video import content_hash, find_sources


def scored(workspace, clip):
    tracks = load_tracks(workspace / "tracks" / f"{clip}.npz")
    [(_, part, scores)] = score_chunks(load_scorer(workspace / "model"), tracks)
    return part, scores


def test_coco_video_holds_frames_people_and_scores(truth_workspace, cli, tmp_path):
    result = cli(
        "export", "coco-video", tmp_path / "out", "--workspace", truth_workspace, "--clips", "normal_[01]"
    )
    assert result.code == 0
    data = json.loads((tmp_path / "out" / "labels.json").read_text())
    assert [video["name"] for video in data["videos"]] == ["normal_0", "normal_1"]
    part, scores = scored(truth_workspace, "normal_1")
    images = [image for image in data["images"] if image["video_id"] == 2]
    assert [image["frame_id"] for image in images] == list(range(part.frame_count))
    assert images[7]["file_name"] == "normal_1/000007.jpg"
    np.testing.assert_allclose([i["anomaly_score"] for i in images], scores.frames.score, atol=1e-6)
    ids = {image["id"]: image["frame_id"] for image in images}
    people = [person for person in data["annotations"] if person["image_id"] in ids]
    assert [ids[p["image_id"]] for p in people] == part.frame.tolist()
    assert [p["track_id"] for p in people] == part.track.tolist()
    row = 5
    x1, y1, x2, y2 = part.boxes[row]
    assert people[row]["bbox"] == pytest.approx([x1, y1, x2 - x1, y2 - y1], abs=0.02)
    keypoints = np.array(people[row]["keypoints"]).reshape(-1, 3)
    np.testing.assert_allclose(keypoints[:, :2], part.keypoints[row, :, :2], atol=0.01)
    assert set(keypoints[:, 2]) <= {0, 1, 2}
    told = [p.get("anomaly_score", np.nan) for p in people]
    np.testing.assert_allclose(told, scores.row_score, atol=1e-6)
    assert len({p["id"] for p in data["annotations"]}) == len(data["annotations"])
    [category] = data["categories"]
    assert len(category["keypoints"]) == len(keypoints)
    assert all(1 <= end <= len(keypoints) for edge in category["skeleton"] for end in edge)


def test_coco_video_comes_back_by_import(truth_workspace, cli, tmp_path):
    cli("export", "coco-video", tmp_path / "out", "--workspace", truth_workspace, "--clips", "normal_[01]")
    labels = tmp_path / "out" / "labels.json"
    result = cli("import", "coco", labels, "--fps", 24, "--workspace", tmp_path / "ws")
    assert result.code == 0
    path = tmp_path / "ws" / "tracks" / "normal_0.npz"
    back, (part, _) = load_tracks(path), scored(truth_workspace, "normal_0")
    assert (back.track == part.track).all()
    np.testing.assert_allclose(back.keypoints[..., :2], part.keypoints[..., :2], atol=0.01)


def test_pictures_of_alarms_lie_where_fiftyone_looks(truth_workspace, cli, tmp_path, make_video):
    from tests.helpers.bundles import without_digests
    from tests.helpers.videos import X264, grey

    root = tmp_path / "ws"
    shutil.copytree(truth_workspace, root)
    config = without_digests(root / "model") / "config.yaml"
    config.write_text(config.read_text().replace("false_alarm_rate: 0.05", "false_alarm_rate: 0.5"))
    path = root / "tracks" / "normal_0.npz"
    tracks = load_tracks(path)
    tracks = replace(
        tracks,
        **{n: np.array(getattr(tracks, n)) for n in ("time_s", "frame", "track", "keypoints", "boxes")},
    )
    video = make_video("street.mp4", *X264, frames=192, fps=24)
    save_tracks(path, replace(tracks, provenance={**tracks.provenance, "source": str(video)}))
    asked = ("--workspace", root, "--clips", "normal_0", "--pictures")
    result = cli("export", "coco-video", tmp_path / "out", *asked, "--frames", "alarms")
    assert result.code == 0
    images = json.loads((tmp_path / "out" / "labels.json").read_text())["images"]
    assert 0 < len(images) < 192
    assert all(image["alarm"] for image in images)
    files = {str(p.relative_to(tmp_path / "out" / "data")) for p in (tmp_path / "out").rglob("*.jpg")}
    assert files == {image["file_name"] for image in images}
    last = images[-1]
    picture = cv2.imread(str(tmp_path / "out" / "data" / last["file_name"]))
    assert abs(picture.mean() - grey(last["frame_id"])) < 5
    video.rename(tmp_path / "gone.mp4")
    result = cli(
        "export", "coco-video", tmp_path / "o2", "--workspace", root, "--clips", "normal_0", "--pictures"
    )
    assert result.code == 2
    assert "--pictures needs the video" in result.err
    assert not (tmp_path / "o2" / "labels.json").exists()
    (tmp_path / "gone.mp4").rename(video)

    def export(out, **provenance):
        facts = {**tracks.provenance, "source": str(video), **provenance}
        save_tracks(path, replace(tracks, provenance=facts))
        return cli("export", "coco-video", tmp_path / out, *asked, "--frames", "alarms")

    result = export("o3", content="that of another video")
    assert result.code == 2
    assert "street.mp4 is another one now" in result.err
    own = content_hash(*find_sources(video))
    assert export("o4", content=own, learned={"clip": "street", "first_frame": 60}).code == 0
    [first, *_] = sorted((tmp_path / "o4").rglob("*.jpg"))
    assert abs(cv2.imread(str(first)).mean() - grey(60 + int(first.stem))) < 5


def test_parquet_is_two_tables_for_pandas(truth_workspace, cli, tmp_path):
    pq = pytest.importorskip("pyarrow.parquet")
    assert cli("export", "parquet", tmp_path, "--workspace", truth_workspace).code == 0
    frames, people = pq.read_table(tmp_path / "frames.parquet"), pq.read_table(tmp_path / "people.parquet")
    part, scores = scored(truth_workspace, "normal_2")
    own = [i for i, clip in enumerate(frames["clip"].to_pylist()) if clip == "normal_2"]
    np.testing.assert_allclose(frames["score"].to_numpy()[own], scores.frames.score)
    assert frames["frame"].to_pylist()[own[0]] == 0
    rows = [i for i, clip in enumerate(people["clip"].to_pylist()) if clip == "normal_2"]
    assert (people["track_id"].to_numpy()[rows] == part.track).all()
    np.testing.assert_allclose(people["nose_x"].to_numpy()[rows], part.keypoints[:, 0, 0])
    score = np.array([np.nan if v is None else v for v in people["score"].to_pylist()])[rows]
    np.testing.assert_allclose(score, scores.row_score)
    about = json.loads(people.schema.metadata[b"gepc"])
    assert about["clips"]["normal_2"]["fps"] == 24.0
    assert not list(tmp_path.glob(".*"))


def test_without_a_model_there_are_tracks_without_scores(truth_workspace, cli, tmp_path):
    shutil.copytree(truth_workspace / "tracks", tmp_path / "ws" / "tracks")
    result = cli("export", "coco-video", tmp_path / "out", "--workspace", tmp_path / "ws")
    assert result.code == 0
    assert "without scores" in result.out
    data = json.loads((tmp_path / "out" / "labels.json").read_text())
    assert data["annotations"]
    assert not any("anomaly_score" in one for one in data["annotations"] + data["images"])
    result = cli("export", "coco-video", tmp_path / "o", "--workspace", tmp_path / "ws", "--frames", "alarms")
    assert "needs a model" in result.err
    pq = pytest.importorskip("pyarrow.parquet")
    assert cli("export", "parquet", tmp_path / "out", "--workspace", tmp_path / "ws").code == 0
    assert pq.read_table(tmp_path / "out" / "frames.parquet")["score"].null_count == 3 * 192


def test_without_pyarrow_the_line_that_installs_it_is_said(truth_workspace, cli, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    result = cli("export", "parquet", tmp_path / "out", "--workspace", truth_workspace)
    assert result.code == 2
    assert "pip install 'gepc-pipeline[parquet]'" in result.err
    assert not (tmp_path / "out").exists()


def test_options_of_other_formats_are_refused(truth_workspace, cli, tmp_path):
    for format, option in (("parquet", ("--frames", "all")), ("coco-video", ("--kind", "json"))):
        result = cli("export", format, tmp_path / "out", "--workspace", truth_workspace, *option)
        assert result.code == 2
        assert f"has no option {option[0]}" in result.err
