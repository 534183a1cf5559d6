"""Poses of other tools come into the workspace, and out of it, by commands."""

from __future__ import annotations

import json
import os
import re
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pipeline.io.export_tracks import export_all
from pipeline.workspace import Workspace
from pose_extract.formats.base import export_clips
from pose_extract.skeletons import SkeletonDeclaration
from pose_extract.tracks.cache import load_tracks, save_tracks
from tests.helpers.commands import TINY
from tests.helpers.format_cases import people
from tests.helpers.two_walkers import walkers

SCENE = ("--fps", "24", "--frame-size", "640x360")
SAMPLES = os.environ.get("GEPC_SAMPLE_DATA")
needs_samples = pytest.mark.skipif(not SAMPLES, reason="GEPC_SAMPLE_DATA is not set")


def tree(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_clips_are_imported_once_and_listed(tmp_path, cli):
    export_clips("alphapose", [walkers("01_0001"), walkers("01_0002", seed=1)], tmp_path / "in")
    w = tmp_path / "w"
    first = cli("import", "alphapose", tmp_path / "in", *SCENE, "--workspace", w)
    assert first.code == 0, first.err
    assert "2 clips imported, 0 were there before: 78 frames, 156 poses, 4 tracks" in first.out
    assert f"next: gepc-pipeline train --workspace {w}" in first.out
    before = tree(w)
    again = cli("import", "alphapose", tmp_path / "in", *SCENE, "--workspace", w)
    assert again.code == 0
    assert "0 clips imported, 2 were there before" in again.out
    assert tree(w) == before

    info = cli("info", "--workspace", w)
    for text in ("01_0001", "01_0002", "alphapose", "training", "100%"):
        assert text in info.out
    (entry, _) = Workspace(w).entries()
    assert (entry.frames, entry.rows, entry.tracks, entry.coverage) == (39, 78, 2, 1.0)
    tracks = load_tracks(w / "tracks" / "01_0001.npz")
    imported = tracks.provenance["import"]
    assert imported["format"] == "alphapose"
    assert imported["options"]["fps"] == 24
    assert tracks.provenance["source"] == str(
        (tmp_path / "in" / "01_0001_alphapose_tracked_person.json").resolve()
    )
    np.testing.assert_allclose(tracks.keypoints, walkers("01_0001").keypoints, atol=1e-3)


def test_other_options_make_a_clip_anew_in_place_of_the_old_one(tmp_path, cli):
    export_clips("alphapose", [walkers()], tmp_path / "in")
    w = tmp_path / "w"
    cli("import", "alphapose", tmp_path / "in", *SCENE, "--workspace", w)
    result = cli("import", "alphapose", tmp_path / "in", *SCENE[:1], 30, *SCENE[2:], "--workspace", w)
    assert "1 clip imported" in result.out
    (entry,) = Workspace(w).entries()
    assert load_tracks(w / "tracks" / f"{entry.clip}.npz").fps == 30


def test_a_clip_that_a_file_no_longer_has_stays_and_is_told(tmp_path, cli, caplog):
    poses, file = [v for j in range(17) for v in (100 + j, 100 + 5 * j, 0.9)], tmp_path / "a.json"
    people = [
        {"image_id": f"{clip}/{i:04d}.jpg", "keypoints": poses, "idx": 1} for clip in "xyz" for i in range(9)
    ]
    file.write_text(json.dumps(people))
    words = ("import", "alphapose", file, *SCENE, "--workspace", tmp_path / "w")
    assert cli(*words).code == 0
    file.write_text(json.dumps(people[:18]))
    caplog.clear()
    assert cli(*words).code == 0
    assert "no longer gives the clip z, which was imported from it and stays" in caplog.text
    assert [entry.clip for entry in Workspace(tmp_path / "w").entries()] == ["x", "y", "z"]
    caplog.clear()
    assert cli(*words).code == 0
    assert "no longer" not in caplog.text


def test_clips_of_one_name_from_two_folders_both_stay(tmp_path, cli):
    for folder, seed in (("train", 0), ("test", 1)):
        export_clips("alphapose", [walkers(seed=seed)], tmp_path / folder)
    w = tmp_path / "w"
    cli("import", "alphapose", tmp_path / "train", tmp_path / "test", *SCENE, "--workspace", w)
    names = [entry.clip for entry in Workspace(w).entries()]
    assert len(names) == 2
    assert names[0] == "01_0001"
    assert names[1].startswith("01_0001-")
    assert {load_tracks(w / "tracks" / f"{n}.npz").clip for n in names} == set(names)


def test_of_several_paths_the_good_ones_are_imported(tmp_path, cli):
    export_clips("alphapose", [walkers()], tmp_path / "in")
    (tmp_path / "empty").mkdir()
    paths = tmp_path / "missing", tmp_path / "empty", tmp_path / "in"
    result = cli("import", "alphapose", *paths, *SCENE, "--workspace", tmp_path / "w")
    assert result.code == 11
    assert "1 clip imported" in result.out
    assert result.out.count("not used:") == 2


def test_clips_for_scoring_are_not_trained_on_until_imported_for_training(tmp_path, cli):
    export_clips("alphapose", [walkers()], tmp_path / "in")
    w = tmp_path / "w"
    cli("import", "alphapose", tmp_path / "in", *SCENE, "--workspace", w, "--scoring")
    assert not Workspace(w).training_clips()
    result = cli("train", "--workspace", w)
    assert result.code == 8
    assert "import" in result.err
    cli("import", "alphapose", tmp_path / "in", *SCENE, "--workspace", w)
    assert len(Workspace(w).training_clips()) == 1


def test_what_is_damaged_is_left_out_and_tried_again(tmp_path, cli):
    export_clips("alphapose", [walkers(f"01_000{i}", seed=i) for i in range(3)], tmp_path / "in")
    broken = sorted((tmp_path / "in").iterdir())[1]
    whole = broken.read_bytes()
    broken.write_bytes(whole[:-100])
    w = tmp_path / "w"
    result = cli("import", "alphapose", tmp_path / "in", *SCENE, "--workspace", w)
    assert result.code == 11
    assert "2 clips imported" in result.out
    assert f"not used: {broken}: expected JSON" in result.out
    assert cli("import", "alphapose", tmp_path / "in", *SCENE, "--workspace", w).code == 11
    broken.write_bytes(whole)
    mended = cli("import", "alphapose", tmp_path / "in", *SCENE, "--workspace", w)
    assert mended.code == 0
    assert "1 clip imported, 2 were there before" in mended.out


def test_a_damaged_piece_of_a_clip_is_told_in_the_clips_own_entry(tmp_path, cli):
    export_clips("openpose", [walkers("video", "body25", frames=6)], tmp_path / "in")
    frames = sorted((tmp_path / "in").rglob("*.json"))
    frames[2].write_text("{")
    w = tmp_path / "w"
    result = cli("import", "openpose", tmp_path / "in", *SCENE, "--workspace", w)
    assert result.code == 11
    (entry,) = Workspace(w).entries()
    assert entry.frames == 6
    assert frames[2].name in entry.damage[0]
    assert 2 not in load_tracks(w / "tracks" / f"{entry.clip}.npz").frame


@pytest.mark.parametrize(
    ("format", "options", "message"),
    [
        ("alphapose", (), "--fps 24"),
        ("alphapose", ("--fps", "24"), "--frame-size 856x480"),
        ("alphapose", ("--fps", "-1"), "frame rate"),
        ("alphapose", ("--fps", "24", "--frame-size", "big"), "WIDTHxHEIGHT"),
        ("alphapose", ("--frame-counts", "nowhere.csv"), "nowhere.csv"),
        ("openpose", SCENE, "expected an object with a list 'people'"),
        ("ntu", SCENE, "*.skeleton"),
        ("alphapoze", SCENE, "did you mean 'alphapose'"),
        ("chad", SCENE, "*.pkl"),
    ],
)
def test_a_failed_import_makes_no_workspace(tmp_path, cli, format, options, message):
    export_clips("alphapose", [walkers(frames=3)], tmp_path / "in")
    result = cli("import", format, tmp_path / "in", *options, "--workspace", tmp_path / "w")
    assert result.code in (2, 11)
    assert message in result.err + result.out
    assert not (tmp_path / "w").exists()


def test_frames_without_people_at_the_end_are_told_by_a_table(tmp_path, cli):
    export_clips("alphapose", [walkers(frames=10)], tmp_path / "in")
    counts = tmp_path / "counts.csv"
    counts.write_text("clip,frames\n01_0001,55\n")
    w = tmp_path / "w"
    cli("import", "alphapose", tmp_path / "in", *SCENE, "--frame-counts", counts, "--workspace", w)
    assert [entry.frames for entry in Workspace(w).entries()] == [55]
    counts.write_text("clip,frames\n01_0001,56\nno_such,7\n")
    result = cli("import", "alphapose", tmp_path / "in", *SCENE, "--frame-counts", counts, "--workspace", w)
    assert "--frame-counts: no clip is called no_such\n" in result.out
    counts.write_text("clip,frames\n01_0001,many\n")
    result = cli("import", "alphapose", tmp_path / "in", *SCENE, "--frame-counts", counts, "--workspace", w)
    assert result.code == 11
    assert "line 2" in result.err


def test_a_link_that_leads_nowhere_does_not_stop_an_import(tmp_path, cli):
    clip = people("body25")
    export_clips("openpose", [clip], tmp_path / "in")
    (tmp_path / "in" / clip.clip / "more.txt").symlink_to("nowhere")
    result = cli("import", "openpose", tmp_path / "in", *SCENE, "--workspace", tmp_path / "w")
    assert (result.code, "1 clip imported" in result.out) == (0, True), result.err


@pytest.mark.parametrize("skeleton", [None, "coco17"])
def test_the_same_joints_keep_their_features(tmp_path, skeleton):
    features = np.ones((len(people()), 17, 2), np.float16)
    save_tracks(tmp_path / "in.npz", replace(people(), features=features))
    export_all("gepc", [tmp_path / "in.npz"], tmp_path / "out.npz", skeleton)
    np.testing.assert_array_equal(load_tracks(tmp_path / "out.npz").features[:], features)


@pytest.mark.parametrize("clip", ["../../outside", "a/b", "x" * 300, "é" * 190, "..", ""])
def test_names_out_of_a_file_stay_inside_the_workspace(tmp_path, cli, clip):
    save_tracks(tmp_path / "in" / "a.npz", walkers(clip, frames=3))
    result = cli("import", "gepc", tmp_path / "in", "--workspace", tmp_path / "w")
    assert result.code == 0, result.err
    (made,) = (tmp_path / "w" / "tracks").glob("*.npz")
    assert [e.clip for e in Workspace(tmp_path / "w").entries()] == [made.stem]
    assert load_tracks(made).clip == made.stem
    assert {p.name for p in tmp_path.iterdir()} == {"in", "w"}


def test_a_file_may_have_a_name_that_is_not_utf_8(tmp_path, cli):
    export_clips("coco", [walkers("01_0001", frames=6)], tmp_path)
    odd = os.fsencode(tmp_path) + b"/b\xff.json"
    os.rename(tmp_path / "01_0001.json", odd)
    result = cli("import", "coco", os.fsdecode(odd), *SCENE, "--workspace", tmp_path / "w")
    assert result.code == 0, result.err
    assert cli("import", "coco", "x" * 300, *SCENE, "--workspace", tmp_path / "w").code == 2


def test_of_a_release_what_is_for_testing_or_abnormal_is_not_trained_on(tmp_path, cli):
    for folder, clip in (("train", "normal_1"), ("train", "abnormal_2"), ("test", "normal_3")):
        export_clips("alphapose", [walkers(clip, frames=6)], tmp_path / "pose" / folder)
    result = cli("import", "alphapose", tmp_path / "pose", *SCENE, "--workspace", tmp_path / "w")
    assert "2 clips lie in a folder for testing, or are called abnormal" in result.out
    assert [e.clip for e in Workspace(tmp_path / "w").entries() if e.train] == ["normal_1"]


def test_a_workspaces_tracks_go_out_and_come_in_as_they_were(tmp_path, cli, truth_workspace):
    for kind in ("npz", "json"):
        out, w = tmp_path / kind, tmp_path / f"w-{kind}"
        result = cli("export", "gepc", out, "--kind", kind, "--workspace", truth_workspace)
        assert "3 clips written" in result.out
        assert cli("import", "gepc", out, "--workspace", w).code == 0
        for entry in Workspace(w).entries():
            got, want = (load_tracks(root / "tracks" / f"{entry.clip}.npz") for root in (w, truth_workspace))
            for name in ("time_s", "frame", "track", "keypoints", "boxes"):
                np.testing.assert_array_equal(getattr(got, name), getattr(want, name))
            assert (got.fps, got.frame_size, got.skeleton) == (want.fps, want.frame_size, want.skeleton)
            assert got.provenance["estimator"] == {"name": "truth"}
            assert got.provenance["original"] == want.provenance


def test_export_takes_the_clips_named_and_converts_joints(tmp_path, cli, truth_workspace):
    out = tmp_path / "out"
    result = cli("export", "kinetics-skeleton", out, "--workspace", truth_workspace, "--clips", "*_1")
    wanted = load_tracks(truth_workspace / "tracks" / "normal_1.npz")
    if wanted.skeleton != "coco18":
        assert result.code == 11
        assert "coco18" in result.err
    result = cli(
        *("export", "kinetics-skeleton", out, "--workspace", truth_workspace, "--clips", "*_1"),
        *("--skeleton", "coco18"),
    )
    assert result.code == 0, result.err
    assert [p.stem for p in out.iterdir()] == ["normal_1"]
    people = json.loads((out / "normal_1.json").read_text())["data"][0]["skeleton"]
    assert len(people[0]["score"]) == 18


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (("alphapose", "out", "--clips", "nothing*"), "nothing*"),
        (
            ("csv", "out"),
            "known: alphapose, openpose, kinetics-skeleton, ntu, mped-rnn, coco, posetrack, gepc, coco-video, p",
        ),
        (("chad", "out"), "never writes"),
        (("gepc", "out", "--layout", "results"), "layout"),
        (("chad", "out"), "pickle"),
        (("nosuch", "out"), "unknown format"),
        (("gepc", "out", "--tracks", "missing.npz"), "missing.npz"),
        (("gepc", "out", "--skeleton", "nosuch"), "unknown skeleton"),
        (("ntu", "out"), "ntu25"),
    ],
)
def test_export_says_what_is_wrong(tmp_path, cli, truth_workspace, args, message, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = cli("export", *args, "--workspace", truth_workspace)
    assert result.code != 0
    assert message in result.err


def test_two_files_of_one_clip_are_not_written_over_each_other(tmp_path, cli):
    for folder in ("a", "b"):
        save_tracks(tmp_path / folder / "c.npz", walkers("c", frames=3))
    result = cli("export", "coco", tmp_path / "out", "--tracks", tmp_path / "a", tmp_path / "b")
    assert result.code == 2
    assert "both hold a clip 'c'" in result.err


def train_and_score(cli, tmp_path, w, clip, *options):
    result = cli("train", "--workspace", w, *TINY, *options)
    assert result.code == 0, result.err
    scores = tmp_path / "scores.csv"
    result = cli("score", "--tracks", w / "tracks" / f"{clip}.npz", "--out", scores, "--workspace", w)
    assert result.code == 0, result.err
    assert cli("words", "--workspace", w, "--out", tmp_path / "words.png").code == 0
    return scores.read_text().splitlines()


def test_imported_clips_are_trained_on_and_scored(tmp_path, cli):
    export_clips("alphapose", [walkers(f"01_000{i}", frames=120, seed=i) for i in range(4)], tmp_path / "in")
    w = tmp_path / "w"
    cli("import", "alphapose", tmp_path / "in", *SCENE, "--workspace", w)
    rows = train_and_score(cli, tmp_path, w, "01_0002")
    assert len(rows) == 1 + 119


@pytest.mark.slow
def test_a_video_scored_by_a_model_of_imported_poses_is_warned_of(tmp_path, cli, caplog, empty_scene):
    clips = [walkers(f"01_000{i}", frames=120, seed=i) for i in range(4)]
    export_clips("alphapose", clips, tmp_path / "in")
    w = tmp_path / "w"
    cli("import", "alphapose", tmp_path / "in", *SCENE, "--workspace", w)
    train_and_score(cli, tmp_path, w, "01_0002")
    assert "imported poses" not in caplog.text
    assert cli("score", empty_scene, "--out", tmp_path / "v.csv", "--workspace", w).code == 0
    assert re.search(
        "found by (movenet|blazepose), those of training by alphapose: the model was trained on imported poses",
        caplog.text,
    )


@pytest.mark.slow
def test_joints_in_space_are_trained_on_and_scored(tmp_path, cli):
    for i in range(4):
        clip = walkers(f"S001C001P00{i}R001A001", "ntu25", frames=120, depth=True, seed=i)
        export_clips("ntu", [clip], tmp_path / "in")
    w = tmp_path / "w"
    result = cli("import", "ntu", tmp_path / "in", "--workspace", w)
    assert result.code == 0, result.err
    assert "before training:" in result.out
    assert "windows.features" in result.out
    assert cli("train", "--workspace", w).code == 7
    clip = Workspace(w).entries()[1].clip
    space = ("--set=windows.skeleton=ntu25", "--set=windows.features=xyz")
    result = cli("train", "--workspace", w, *space)
    assert result.code != 0
    assert "train with --config clustering" in result.err
    space = ("--config", "clustering", *space)
    rows = train_and_score(cli, tmp_path, w, clip, *space)
    assert len(rows) == 1 + load_tracks(w / "tracks" / f"{clip}.npz").frame_count


@pytest.mark.slow
def test_a_declared_skeleton_goes_all_the_way_to_the_overlay(tmp_path, cli):
    from pose_extract.video import VideoWriter

    declared = SkeletonDeclaration(
        "stick", ("head", "chest", "hip", "left_foot", "right_foot"),
        (("head", "chest"), ("chest", "hip"), ("hip", "left_foot"), ("hip", "right_foot")),
        "chest", (("left_foot", "right_foot"),),
    )  # fmt: skip
    for i in range(4):
        save_tracks(tmp_path / "in" / f"{i}.npz", walkers(f"c{i}", "stick", frames=120, seed=i))
    w = tmp_path / "w"
    assert cli("import", "gepc", tmp_path / "in", "--workspace", w).code == 0
    config = tmp_path / "stick.yaml"
    fields = {k: v for k, v in vars(declared).items() if k not in ("skeleton", "sigmas")}
    config.write_text(json.dumps({"_base_": "default", "windows": {"skeleton": fields, "min_joints": 3}}))
    train_and_score(cli, tmp_path, w, "c1", "--config", config)
    video = tmp_path / "v.mp4"
    with VideoWriter(video, 24, (640, 360)) as writer:
        for _ in range(40):
            writer.write(np.full((360, 640, 3), 128, np.uint8))
    result = cli(
        *("score", video, "--tracks", w / "tracks" / "c1.npz", "--out", tmp_path / "s.csv"),
        *("--overlay", tmp_path / "o.mp4", "--workspace", w),
    )
    assert result.code == 0, result.err
    assert (tmp_path / "o.mp4").stat().st_size > 1000


@needs_samples
def test_mped_rnns_own_files_are_those_of_hr_avenue(tmp_path, cli):
    assert SAMPLES
    folder = Path(SAMPLES) / "formats" / "mped_rnn" / "trajectories"
    result = cli(
        "import", "mped-rnn", folder, "--fps", 25, "--frame-size", "640x360", "--workspace", tmp_path
    )
    assert result.code == 0, result.err
    entries = Workspace(tmp_path).entries()
    assert [(e.clip, e.tracks) for e in entries] == [("01_08", 8), ("01_13", 26)]
    with np.load(Path(SAMPLES) / "hr-avenue" / "test.npz") as data:
        wanted = {name: data[name] for name in data.files}
    for entry in entries:
        place = wanted["clips"].tolist().index(entry.clip)
        rows = slice(*wanted["offsets"][place : place + 2])
        seen = np.flatnonzero((wanted["kp"][rows] != 0).any(axis=(1, 2)))  # rows without a joint are left out
        order = seen[np.lexsort((wanted["person"][rows][seen], wanted["frame"][rows][seen]))]
        got = load_tracks(tmp_path / "tracks" / f"{entry.clip}.npz")
        np.testing.assert_array_equal(got.frame, wanted["frame"][rows][order])
        np.testing.assert_array_equal(got.track, wanted["person"][rows][order])
        joints = wanted["kp"][rows][order]
        np.testing.assert_allclose(got.keypoints[..., :2], joints, atol=1e-3)
        np.testing.assert_array_equal(got.keypoints[..., 2] > 0, (joints != 0).any(axis=2))


@needs_samples
@pytest.mark.parametrize(
    ("format", "path", "clips"),
    [
        ("kinetics-skeleton", "formats/kinetics_skeleton_clip.json", 1),
        ("coco", "coco/test_coco.json", 4),
        ("posetrack", "posetrack18/test_posetrack18_val.json", 3),
    ],
)
def test_published_files_come_in_and_go_out(tmp_path, cli, format, path, clips):
    assert SAMPLES
    result = cli("import", format, Path(SAMPLES) / path, "--fps", 25, "--workspace", tmp_path / "w")
    assert result.code == 0, result.err
    assert len(Workspace(tmp_path / "w").entries()) == clips
    assert cli("export", format, tmp_path / "out", "--workspace", tmp_path / "w").code == 0
    assert len(list((tmp_path / "out").rglob("*.json"))) == clips


def test_a_damaged_tracks_file_in_the_workspace_is_imported_again(tmp_path, cli):
    export_clips("alphapose", [walkers(frames=4)], tmp_path / "in")
    w = tmp_path / "w"
    cli("import", "alphapose", tmp_path / "in", *SCENE, "--workspace", w)
    (w / "tracks" / "01_0001.npz").write_bytes(b"gone")
    assert "1 clip imported" in cli("import", "alphapose", tmp_path / "in", *SCENE, "--workspace", w).out
    assert load_tracks(w / "tracks" / "01_0001.npz").frame_count == 3
    shutil.rmtree(w / "tracks" / "01_0001.npz", ignore_errors=True)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"frame_size": (0, 0)}, "frame size"),
        ({"time_s": np.full(3, np.nan)}, "times"),
        ({"time_s": np.zeros(3)}, "times"),
        ({"track": np.ones(4, np.int32)}, "each person once"),
        ({"keypoints": np.full((4, 17, 3), 1e20, np.float32)}, "coordinates"),
        ({"keypoints": np.full((4, 17, 3), 7.0, np.float32)}, "confidences"),
        ({"boxes": np.full((4, 4), np.inf, np.float32)}, "boxes"),
    ],
)
def test_tracks_of_ours_that_would_break_training_are_refused(tmp_path, cli, change, message):
    save_tracks(tmp_path / "in" / "a.npz", replace(walkers(frames=3), **change))
    result = cli("import", "gepc", tmp_path / "in", "--workspace", tmp_path / "w")
    assert result.code == 11
    assert message in result.err
    assert not (tmp_path / "w").exists()
