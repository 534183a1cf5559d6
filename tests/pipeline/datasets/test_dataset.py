"""Data sets by config: layouts are checked with one message, clips are selected, labels fit them."""

from __future__ import annotations

import json
import os
import pickle
import shutil
from pathlib import Path

import numpy as np
import pytest

from anomaly.evaluation.intervals import runs_of
from pipeline.cli import main
from pipeline.datasets.dataset import into_workspace, prepare
from pipeline.datasets.layout import clip_of
from pipeline.labels.masks import read_masks
from pipeline.settings import Settings, load_settings, shipped_configs
from pipeline.settings.dataset import DatasetSettings
from pipeline.workspace import Workspace
from pose_extract.checking import build
from pose_extract.errors import ConfigError, FormatError, UsageError
from pose_extract.formats.base import export_clips
from pose_extract.skeletons import SKELETONS
from pose_extract.tracks.records import ClipTracks

DATASETS = ("avenue", "chad", "hr-avenue", "hr-shanghaitech", "kinetics", "ntu", "shanghaitech", "ubnormal")


def walk(clip: str, frames: int = 20, skeleton: str = "coco17", depth: bool = False) -> ClipTracks:
    """One person in the first ``frames`` - 2 frames."""
    seen = frames - 2
    joints = SKELETONS[skeleton].num_joints
    pose = np.random.default_rng(1).uniform(0, 50, (joints, 3 if depth else 2)) + 20
    points = pose + np.arange(seen)[:, None, None]
    keypoints = np.concatenate([points, np.ones((seen, joints, 1))], 2).astype(np.float32)
    boxes = np.tile(np.array([10, 10, 100, 100], np.float32), (seen, 1))
    return ClipTracks(
        clip,
        skeleton,
        24.0,
        (856, 480),
        np.arange(frames) / 24,
        np.arange(seen, dtype=np.int32),
        np.ones(seen, np.int32),
        keypoints,
        boxes,
    )


def save_masks(folder: Path, **masks: object) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for clip, mask in masks.items():
        np.save(folder / f"{clip}.npy", np.asarray(mask, np.uint8))


@pytest.fixture
def shanghaitech(tmp_path: Path) -> Path:
    """A copy of ShanghaiTech with three test clips, one of them not of HR-ShanghaiTech."""
    root = tmp_path / "shanghaitech"
    export_clips("alphapose", [walk("01_001"), walk("02_002")], root / "pose" / "train" / "tracked_person")
    test = [walk(clip) for clip in ("01_0014", "01_0015", "01_0130")]
    export_clips("alphapose", test, root / "pose" / "test" / "tracked_person")
    abnormal = np.arange(20) >= 15
    masks = {"01_0014": abnormal, "01_0015": ~abnormal, "01_0130": abnormal}
    save_masks(root / "testing" / "test_frame_mask", **masks)
    return root


def settings_of(config: str, root: Path, *more: str) -> DatasetSettings:
    return load_settings(config, [f"dataset.root={json.dumps(str(root))}", *more]).dataset


def test_every_config_is_sound():
    assert set(DATASETS) < set(shipped_configs())
    for name in shipped_configs():
        settings = load_settings(name)
        assert isinstance(settings, Settings)
        assert bool(settings.dataset.name) == (name in DATASETS)
        if name in DATASETS:
            assert settings.windows.fps == 24
            assert settings.clustering.clusters == (20 if name in ("ntu", "kinetics") else 10)


def test_the_settings_refuse_what_cannot_be():
    for section, message in (
        ({"abnormal": 2}, "abnormal: expected a number 0 to 1"),
        ({"label_kind": "mask"}, "did you mean 'masks'"),
        ({"test": "*"}, "dataset.labels: expected the file"),
        ({"tolerance": -1}, "dataset.tolerance: expected a number 0 to 1000000000"),
        ({"excluded_frames": [["a", 5, 5]]}, r"got \[a, 5, 5\]"),
        ({"excluded_frames": [["a", 5]]}, "expected 3 values"),
        ({"label_kind": "actions", "splits": {"gym": [1]}, "split": "gim"}, "did you mean 'gym'"),
        ({"splits": {"gym": ["x"]}}, r"splits\.gym\[0\]: expected int"),
    ):
        with pytest.raises(ConfigError, match=message):
            build(DatasetSettings, section, "dataset")


def test_clips_and_masks_of_a_data_set(shanghaitech):
    dataset = prepare(settings_of("shanghaitech", shanghaitech))
    assert list(map(clip_of, dataset.train)) == ["01_001", "02_002"]
    clips = list(dataset.test_clips())
    assert [clip.clip for clip in clips] == ["01_0014", "01_0015", "01_0130"]
    assert [clip.frame_count for clip in clips] == [
        20
    ] * 3  # as the masks say; the last person is seen in frame 17
    assert (clips[0].fps, clips[0].frame_size) == (24.0, (856, 480))
    times = {clip.clip: clip.time_s for clip in clips}
    assert runs_of(dataset.masks(times)["01_0014"]) == [(15, 20)]
    assert all(mask.all() and len(mask) == 20 for mask in dataset.keep_masks(times).values())


def test_human_related_subsets_leave_clips_out(shanghaitech):
    dataset = prepare(settings_of("hr-shanghaitech", shanghaitech))
    assert list(map(clip_of, dataset.test)) == ["01_0014", "01_0015"]
    times = {clip.clip: clip.time_s for clip in dataset.test_clips()}
    assert set(dataset.masks(times)) == {"01_0014", "01_0015"}
    other = prepare(settings_of("shanghaitech", shanghaitech, "dataset.excluded_train=['01_001']"))
    assert list(map(clip_of, other.train)) == ["02_002"]


@pytest.mark.parametrize("ending", ["tracked_person", "results", "forvis", "alphapose-forvis"])
def test_alphaposes_clips_are_left_out_by_the_names_that_reading_gives_them(shanghaitech, ending):
    for file in shanghaitech.rglob("*_alphapose_tracked_person.json"):
        file.rename(file.with_name(file.name.replace("alphapose_tracked_person", ending)))
    dataset = prepare(settings_of("hr-shanghaitech", shanghaitech, "dataset.excluded_train=['01_001']"))
    assert [clip.clip for clip in dataset.test_clips()] == ["01_0014", "01_0015"]
    assert [part.name for part in dataset.train] == [f"02_002_{ending}.json"]


def test_what_is_missing_is_told_at_once(tmp_path):
    with pytest.raises(UsageError) as error:
        prepare(settings_of("chad", tmp_path))
    text = str(error.value)
    for line in (
        f"train {tmp_path / 'CHAD_Meta/annotations/*.pkl'} (poses, format chad)",
        f"test {tmp_path / 'CHAD_Meta/annotations/*.pkl'} (poses, format chad)",
        f"labels {tmp_path / 'CHAD_Meta/anomaly_labels'}",
        f"train_list {tmp_path / 'CHAD_Meta/splits/train_split_1.txt'}",
    ):
        assert line in text
    for name in DATASETS:
        with pytest.raises(UsageError, match="is not laid out as expected of"):
            prepare(settings_of(name, tmp_path))


def test_a_data_set_must_be_named_and_be_somewhere(tmp_path):
    with pytest.raises(UsageError, match="names no data set"):
        prepare(load_settings("paper").dataset)
    with pytest.raises(UsageError, match=r"say where your copy of UBnormal lies: --set dataset\.root"):
        prepare(load_settings("ubnormal").dataset)
    with pytest.raises(UsageError, match="expected the folder of UBnormal"):
        prepare(settings_of("ubnormal", tmp_path / "missing"))


def test_labels_that_do_not_fit_the_clips_are_listed(shanghaitech, tmp_path):
    masks = shanghaitech / "testing" / "test_frame_mask"
    (masks / "01_0014.npy").unlink()
    save_masks(masks, **{"01_0015": np.zeros(9), "09_0001": [0]})
    dataset = prepare(settings_of("shanghaitech", shanghaitech))
    with pytest.raises(UsageError) as error:
        into_workspace(dataset, Workspace(tmp_path / "workspace"), quiet=True)
    for text in ("no mask for 01_0014", "no clip for the masks 09_0001", "01_0015 (clip 18, mask 9)"):
        assert text in str(error.value)


def test_lists_select_the_clips(shanghaitech):
    (shanghaitech / "test.txt").write_text("01_0015.mp4\n\n01_0014\n")
    changes = ("dataset.test_list=test.txt", "dataset.excluded_test=['01_0130']")
    dataset = prepare(settings_of("shanghaitech", shanghaitech, *changes))
    assert list(map(clip_of, dataset.test)) == ["01_0015", "01_0014"]
    (shanghaitech / "test.txt").write_text("01_0015\n03_0001\n")
    with pytest.raises(UsageError, match=r"test poses of the clip 03_0001, which test\.txt names"):
        prepare(settings_of("shanghaitech", shanghaitech, *changes))


def test_single_frames_can_be_left_out(shanghaitech, tmp_path):
    def kept(*excluded: str) -> dict[str, np.ndarray]:
        changes = f"dataset.excluded_frames=[{', '.join(excluded)}]"
        dataset = prepare(settings_of("shanghaitech", shanghaitech, "dataset.keep=keep.npz", changes))
        return into_workspace(dataset, Workspace(tmp_path / "workspace"), quiet=True).kept

    keep = {clip: np.arange(20) > 0 for clip in ("01_0014", "01_0015", "01_0130")}
    np.savez(shanghaitech / "keep.npz", **keep)
    masks = kept("['01_0014', 5, 8]", "['01_0014', 12, 20]")
    assert runs_of(~masks["01_0014"]) == [(0, 1), (5, 8), (12, 20)]
    assert runs_of(~masks["01_0015"]) == [(0, 1)]
    with pytest.raises(UsageError, match="there are no test clips 07_0001"):
        kept("['07_0001', 1, 2]")
    with pytest.raises(UsageError, match="the clip 01_0014 has 20 frames, not 90"):
        kept("['01_0014', 1, 90]")


def test_ubnormal_trains_on_normal_clips_alone(tmp_path):
    names = ["normal_scene_1_scenario_1", "abnormal_scene_1_scenario_1"]
    export_clips("alphapose", [walk(f"{name}_1") for name in names], tmp_path / "pose" / "train")
    export_clips("alphapose", map(walk, names), tmp_path / "pose" / "test")
    (tmp_path / "gt" / "Scene1").mkdir(parents=True)
    (tmp_path / "gt" / "Scene1" / f"{names[1]}_tracks.txt").write_text("1,3,6\n")
    dataset = prepare(settings_of("ubnormal", tmp_path, "dataset.frame_size=[1080, 720]"))
    assert list(map(clip_of, dataset.train)) == ["normal_scene_1_scenario_1_1"]
    times = {clip.clip: clip.time_s for clip in dataset.test_clips()}
    assert {clip: runs_of(mask) for clip, mask in dataset.masks(times).items()} == {
        names[0]: [],
        names[1]: [(3, 7)],
    }


def test_ubnormals_lists_divide_poses_that_lie_in_one_folder(tmp_path):
    names = [f"{kind}_scene_{n}_scenario_1" for kind in ("normal", "abnormal") for n in (1, 2, 3)]
    export_clips("alphapose", map(walk, names), tmp_path / "pose")
    (tmp_path / "scripts").mkdir()
    for split, n in (("training", 1), ("validation", 2), ("test", 3)):
        for kind in ("normal", "abnormal"):
            path = tmp_path / "scripts" / f"{kind}_{split}_video_names.txt"
            path.write_text(f"{kind}_scene_{n}_scenario_1")
    annotations = tmp_path / "Scene3" / f"{names[5]}_annotations"
    annotations.mkdir(parents=True)
    (annotations / f"{names[5]}_tracks.txt").write_text("1,3,6\n")
    changes = {
        "train": "pose/normal_*.json", "train_list": "scripts/normal_training_video_names.txt", "labels": ".",
        "test": "pose/*.json", "test_list": "scripts/*_test_video_names.txt", "frame_size": "[1080, 720]",
    }  # fmt: skip
    given = [f"dataset.{key}={value}" for key, value in changes.items()]
    dataset = prepare(settings_of("ubnormal", tmp_path, *given))
    assert list(map(clip_of, dataset.train)) == ["normal_scene_1_scenario_1"]
    assert sorted(map(clip_of, dataset.test)) == ["abnormal_scene_3_scenario_1", "normal_scene_3_scenario_1"]
    with pytest.raises(UsageError, match=r"test_list .*none\.txt"):
        prepare(settings_of("ubnormal", tmp_path, *given, "dataset.test_list=none.txt"))


def test_lengths_that_neither_poses_nor_labels_tell_can_be_listed(tmp_path):
    export_clips("alphapose", [walk("normal_1")], tmp_path / "pose" / "train")
    export_clips("alphapose", [walk("abnormal_1"), walk("normal_2")], tmp_path / "pose" / "test")
    (tmp_path / "gt").mkdir()
    (tmp_path / "gt" / "abnormal_1_tracks.txt").write_text("1,15,29\n")
    (tmp_path / "frames.csv").write_text("clip,frames\nabnormal_1,30\n")
    changes = ("dataset.frame_size=[1080, 720]", "dataset.frame_counts=frames.csv")
    dataset = prepare(settings_of("ubnormal", tmp_path, *changes))
    times = {clip.clip: clip.time_s for clip in dataset.test_clips()}
    assert {clip: len(t) for clip, t in times.items()} == {"abnormal_1": 30, "normal_2": 18}
    assert runs_of(dataset.masks(times)["abnormal_1"]) == [(15, 30)]
    (tmp_path / "frames.csv").unlink()
    with pytest.raises(UsageError, match=r"frame_counts .*frames\.csv"):
        prepare(settings_of("ubnormal", tmp_path, *changes))


def test_actions_of_ntu_are_split_by_person_and_class(tmp_path):
    names = [f"S001C001P{p:03}R001A{a:03}" for p in (1, 3) for a in (31, 38, 50)]
    clips = [walk(name, skeleton="ntu25", depth=True) for name in names]
    export_clips("ntu", clips, tmp_path / "nturgb+d_skeletons")
    dataset = prepare(settings_of("ntu", tmp_path))
    assert list(map(clip_of, dataset.train)) == names[:2]  # person 1, arms
    assert list(map(clip_of, dataset.test)) == names[3:]  # person 3, all
    times = {clip.clip: clip.time_s for clip in dataset.test_clips()}
    assert [bool(mask.all()) for mask in dataset.masks(times).values()] == [False, False, True]
    rest = prepare(settings_of("ntu", tmp_path, "dataset.normal=rest"))
    assert list(map(clip_of, rest.train)) == names[2:3]
    assert [bool(mask.any()) for mask in rest.masks(times).values()] == [True, True, False]


def test_actions_of_kinetics_are_read_from_their_list(tmp_path):
    for folder, names in (("kinetics_train", ["aa", "bb"]), ("kinetics_val", ["_cc", "dd"])):
        for name in names:
            clip = walk("clip", skeleton="coco18")
            export_clips("kinetics-skeleton", [clip], tmp_path / folder / f"{name}.json")
        labels = {name: {"label_index": 183 + i} for i, name in enumerate(names)}
        (tmp_path / f"{folder}_label.json").write_text(json.dumps(labels))
    dataset = prepare(settings_of("kinetics", tmp_path))
    assert list(map(clip_of, dataset.train)) == ["aa"]
    clips = into_workspace(dataset, Workspace(tmp_path / "workspace"), quiet=True)
    assert {clip: bool(mask.all()) for clip, mask in clips.abnormal.items()} == {"cc": False, "dd": True}
    (tmp_path / "kinetics_val_label.json").write_text('{"_cc": {"label_index": "x"}}')
    with pytest.raises(FormatError, match=r"label\.json: \['_cc'\]\['label_index'\]: expected the number"):
        prepare(settings_of("kinetics", tmp_path))
    (tmp_path / "kinetics_val_label.json").write_text("[]")
    with pytest.raises(FormatError, match="expected an object"):
        prepare(settings_of("kinetics", tmp_path))


def test_a_split_without_clips_is_an_error(tmp_path):
    clips = [walk(f"S001C001P{p:03}R001A050", skeleton="ntu25", depth=True) for p in (1, 3)]
    export_clips("ntu", clips, tmp_path / "nturgb+d_skeletons")
    with pytest.raises(UsageError, match="no clips of the split 'arms' to train on"):
        prepare(settings_of("ntu", tmp_path))


@pytest.fixture
def chad(tmp_path: Path) -> Path:
    """A copy of CHAD with a video to train on, one to test on, one of neither; masks of all."""
    meta = tmp_path / "CHAD_Meta"
    (meta / "annotations").mkdir(parents=True)
    (meta / "splits").mkdir()
    pose = np.empty(2, object)
    pose[:] = [np.array([10.0, 10.0, 90.0, 200.0]), np.arange(51.0).reshape(17, 3)]
    for name in ("1_001_0", "1_002_1", "4_003_1"):
        content = pickle.dumps({frame: {1: pose} for frame in range(15)})
        (meta / "annotations" / f"{name}.pkl").write_bytes(content)
        save_masks(meta / "anomaly_labels", **{name: np.arange(20) >= 18})
    (meta / "splits" / "train_split_1.txt").write_text("1_001_0.mp4\n")
    (meta / "splits" / "test_split_1.txt").write_text("1_002_1.mp4\n")
    return tmp_path


def test_chads_pickles_are_refused_until_they_are_trusted(chad):
    dataset = prepare(settings_of("chad", chad))
    assert (list(map(clip_of, dataset.train)), list(map(clip_of, dataset.test))) == (["1_001_0"], ["1_002_1"])
    with pytest.raises(UsageError, match="pickle"):
        list(dataset.test_clips())


def test_masks_of_clips_that_are_not_tested_do_not_matter(chad, tmp_path):
    dataset = prepare(settings_of("chad", chad, "dataset.trust_pickle=true"))
    clips = into_workspace(dataset, Workspace(tmp_path / "workspace"), quiet=True)
    assert {clip: runs_of(mask) for clip, mask in clips.abnormal.items()} == {"1_002_1": [(18, 20)]}
    (chad / "CHAD_Meta" / "annotations" / "1_002_1.pkl").write_bytes(b"")
    with pytest.raises(UsageError, match="none of the test clips could be read"):
        into_workspace(dataset, Workspace(tmp_path / "other"), quiet=True)


def test_training_and_test_clips_may_have_the_same_names(tmp_path):
    root = tmp_path / "hr"
    for folder, frames in (("training", 30), ("testing", 20)):
        export_clips("mped-rnn", [walk("01_01", frames), walk("01_02", frames)], root / folder)
    save_masks(root / "testing" / "frame_level_masks" / "01", **{"01_01": np.ones(20), "01_02": np.zeros(20)})
    dataset = prepare(settings_of("hr-avenue", root, "dataset.excluded_frames=[]"))
    workspace = Workspace(tmp_path / "workspace")
    for _ in range(2):  # the second time all is there
        clips = into_workspace(dataset, workspace, quiet=True)
        assert {clip: len(clips.load(clip).time_s) for clip in clips.paths} == {"01_01": 20, "01_02": 20}
        assert [entry.frames for entry in workspace.training_clips()] == [28, 28]
    assert clips.abnormal["01_01"].all()
    (root / "testing" / "trajectories" / "01" / "01" / "0002.csv").write_text("0" + ",5" * 34 + "\n")
    with pytest.raises(UsageError, match="has another clip called 01_01"):
        other = Workspace(tmp_path / "other")
        shutil.copytree(workspace.tracks, other.tracks)
        elsewhere = shutil.copytree(root, tmp_path / "elsewhere")
        into_workspace(prepare(settings_of("hr-avenue", elsewhere, "dataset.excluded_frames=[]")), other)


def test_the_command_imports_a_data_set(shanghaitech, tmp_path, capsys):
    options = ["--config", "shanghaitech", "--workspace", str(tmp_path / "w"), "--quiet"]
    assert main(["import", "dataset", *options, str(shanghaitech)]) == 0
    out = capsys.readouterr().out
    assert "5 clips imported" in out
    assert "gepc-pipeline train --config shanghaitech" in out
    assert main(["import", "dataset", str(tmp_path), *options]) == 2
    assert "is not laid out as expected of ShanghaiTech Campus" in capsys.readouterr().err
    assert main(["import", "dataset", str(tmp_path), str(tmp_path), *options]) == 2


SAMPLES = os.environ.get("GEPC_SAMPLE_DATA")


@pytest.mark.skipif(not SAMPLES, reason="GEPC_SAMPLE_DATA is not set: no real poses of HR-Avenue")
def test_hr_avenues_excluded_frames_are_those_of_its_release(tmp_path):
    source = Path(str(SAMPLES)) / "hr-avenue"
    poses = np.load(source / "test.npz")
    published = read_masks(source / "hr_keep_mask.npz")
    labels = read_masks(source / "masks.npz")
    root = tmp_path / "hr-avenue"
    for i, clip in enumerate(poses["clips"].tolist()):
        rows = slice(poses["offsets"][i], poses["offsets"][i] + 40)
        camera, number = clip.split("_")
        for part in ("training", "testing"):
            folder = root / part / "trajectories" / camera / number
            folder.mkdir(parents=True)
            for person in np.unique(poses["person"][rows]):
                its = poses["person"][rows] == person
                points = poses["kp"][rows][its].reshape(its.sum(), -1)
                table = np.concatenate([poses["frame"][rows][its, None], points], 1)
                np.savetxt(folder / f"{person:04d}.csv", table, delimiter=",", fmt="%.6g")
    save_masks(root / "testing" / "frame_level_masks" / "01", **labels)
    clips = into_workspace(prepare(settings_of("hr-avenue", root)), Workspace(tmp_path / "w"), False, True)
    assert clips.frames == 15324
    assert sum(int(mask.sum()) for mask in clips.abnormal.values()) == 3712
    for clip, mask in published.items():
        assert (clips.kept[clip] == mask).all(), clip
