"""Where the experiments' clips come from: data sets in the user's copy, the synthetic street, videos."""

from __future__ import annotations

import dataclasses
import json
import pickle
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import yaml

from pipeline.cli import main
from pipeline.experiments.ablation import Ablation
from pipeline.experiments.data.action_sets import ActionSet, DatasetActions, LabelledClip
from pipeline.experiments.data.street_clips import StreetClips
from pipeline.experiments.methods.coarse import Coarse, Task, training_clips
from pipeline.experiments.methods.fine import DatasetClips, Fine
from pipeline.experiments.settings import ExperimentSettings
from pipeline.settings import load_settings
from pipeline.workspace import Workspace
from pose_extract.checking import build
from pose_extract.errors import TrainingError
from pose_extract.formats.base import export_clips
from tests.helpers.stick_actions import ONE, TINY, Sticks, experiment, settings, stick_clip
from tests.helpers.videos import X264


def ntu_copy(root: Path) -> Path:
    """A copy of NTU RGB+D with 4 of its actions: 8 people to train on, 3 to test on."""
    names = [(p, r, a) for p in (1, 2, 4, 5, 8, 9, 13, 14, 3, 6, 7) for r in (1, 2) for a in (31, 38, 50, 51)]
    clips = []
    for person, take, action in names:
        flat = stick_clip("x", action, 10 * person + take)
        points = np.zeros((len(flat), 25, 4), np.float32)
        points[:, :17, :2], points[..., 3] = flat.keypoints[..., :2] / 100, 1
        points[..., 2] = 3
        name = f"S001C001P{person:03}R{take:03}A{action:03}"
        clips.append(replace(flat, clip=name, skeleton="ntu25", keypoints=points, fps=30.0))
    export_clips("ntu", clips, root / "nturgb+d_skeletons")
    return root


def test_a_data_sets_clips_are_divided_and_labelled_by_its_config(tmp_path):
    root = ntu_copy(tmp_path / "ntu")
    its = settings(dataset={**dataclasses.asdict(load_settings("ntu").dataset), "root": str(root)})
    actions = DatasetActions(its, Workspace(tmp_path / "w"), quiet=True)
    clips = actions.clips(0)
    assert (actions.name, actions.published, len(actions.splits)) == ("NTU RGB+D", "NTU-RGB+D", 20)
    assert {clip.action for clip in (*clips.train, *clips.test)} == {31, 38, 50, 51}
    assert all(f"A{clip.action:03}" in clip.name for clip in (*clips.train, *clips.test))
    assert {clip.name[9:12] for clip in clips.test} == {"003", "006", "007"}
    assert (len(clips.train), len(clips.test)) == (64, 24)
    arms = next(split for split in actions.splits if split.name == "arms")
    assert {c.action for c in training_clips(clips.train, Task(arms, "many-vs-few", 0))} == {50, 51}
    again = DatasetActions(its, Workspace(tmp_path / "w"), quiet=True)
    assert again.identity(0) == actions.identity(0)
    assert pickle.loads(pickle.dumps(actions)).clips(0).test[3].load().clip == clips.test[3].name


def test_ntu_is_measured_from_the_users_copy_beside_the_published_numbers(tmp_path):
    root = ntu_copy(tmp_path / "ntu")
    config = tmp_path / "small.yaml"
    sections = {
        name: TINY[name] for name in ("model", "training", "clustering", "normality", "gaussian_mixture")
    }
    config.write_text(yaml.safe_dump({"_base_": "ntu", "windows": {"frames": 12}, **sections}))
    code = run_command(
        "experiment", "table2", "--config", config, "--set", f"dataset.root={root}", "--workspace", tmp_path / "w",
        "--out", tmp_path / "out", "--splits", "arms", "fighting", "--seeds", 0, "--quiet",
        "--set", "experiment.directions=[few-vs-many]",
        "--methods", "ours-clustering", "ours", "knn", "mped-rnn", "frame-prediction",
    )  # fmt: skip
    assert code == 0
    tables = json.loads((tmp_path / "out" / "table2.json").read_text())["tables"]
    table, *_ = tables  # then how sure differences are
    rows = {row["name"]: row["values"][0] for row in table["rows"]}
    assert rows["Ours, clusters alone"]["published"] == 0.82
    for name in ("Ours", "Ours, clusters alone"):
        assert 0 <= rows[name]["mean"] <= 1
    assert rows["Liu et al."]["mean"] is None
    assert rows["Liu et al."]["published"] == 0.64
    assert "2-D poses only" in " ".join(table["notes"])


def test_clips_are_others_once_an_action_is_and_videos_concern_the_methods_of_frames_alone(tmp_path):
    root = ntu_copy(tmp_path / "ntu")
    dataset = {**dataclasses.asdict(load_settings("ntu").dataset), "root": str(root)}
    names = [path.stem for path in (root / "nturgb+d_skeletons").iterdir()]

    def keys(change=None, densities=None, **videos):
        actions = dict.fromkeys(names, 31) | (change or {})
        (root / "actions.json").write_text(json.dumps(actions))
        listed = {"train_actions": "actions.json", "test_actions": "actions.json"}
        its = settings(dataset=dataset | listed, experiment=videos, densities=densities or {})
        found = DatasetActions(its, Workspace(tmp_path / "w"), quiet=True)
        measured = Coarse(its, found, ONE, ("knn", "ours", "sparse-coding"), tmp_path)
        return {method: str(measured.made_from(ONE[0].cell, method)) for method in measured.methods}

    first = keys()
    assert keys() == first
    assert not keys({names[0]: 50}).items() & first.items()
    assert first.items() - keys(densities={"components": 5}).items() == {("ours", first["ours"])}
    filmed = keys(videos="RGB/{clip}_rgb.avi")
    assert dict(filmed.items() & first.items()).keys() == {"knn", "ours"}
    elsewhere = keys(videos="RGB/{clip}_rgb.avi", train_videos="train/{clip}.avi")
    assert dict(elsewhere.items() & filmed.items()).keys() == {"knn", "ours"}


def campus(root: Path, config: str, tmp_path: Path, **dataset) -> DatasetClips:
    """A copy of ShanghaiTech Campus with a clip to train on and two to test on."""
    its = dataclasses.asdict(load_settings(config).dataset)
    if not root.exists():
        export_clips("alphapose", [stick_clip("01_001", 0, 1)], root / "pose" / "train" / "tracked")
        test = [stick_clip("01_0014", 0, 2), stick_clip("01_0130", 1, 3)]
        export_clips("alphapose", test, root / "pose" / "test" / "tracked")
        (root / "testing" / "test_frame_mask").mkdir(parents=True)
        for clip in test:
            np.save(root / "testing" / "test_frame_mask" / f"{clip.clip}.npy", np.arange(24) >= 12)
    changes = {**its, **dataset, "root": str(root)}
    filmed = {"videos": str(root / "frames" / "{clip}.mp4")}
    return DatasetClips(
        build(ExperimentSettings, {"dataset": changes, "experiment": filmed}), Workspace(tmp_path), True
    )


def test_the_papers_numbers_stand_beside_those_of_all_of_its_clips_only(tmp_path):
    assert campus(tmp_path / "st", "shanghaitech", tmp_path / "w").published
    assert not campus(tmp_path / "st", "hr-shanghaitech", tmp_path / "hr").published
    assert not campus(tmp_path / "st", "shanghaitech", tmp_path / "w", name="Our yard").published


def test_a_video_has_the_name_of_its_clip_whatever_alphapose_adds_to_it(tmp_path):
    asked = []
    cache = SimpleNamespace(video=lambda path: asked.append(Path(path).name))
    clips = campus(tmp_path / "st", "shanghaitech", tmp_path / "w")
    clips.frames(0, "01_0014", False, cache)
    clips.frames(0, "01_001", True, cache)
    assert asked == ["01_0014.mp4", "01_001.mp4"]


def test_what_shapes_a_figure_of_untrimmed_video_is_in_its_name(tmp_path):
    methods = ("knn", "ours", "sparse-coding")
    base = fine(tmp_path, methods)
    for section, change, theirs in (
        ("densities", {"components": 5}, {"ours"}),
        ("events", {"min_s": 3.0}, set(methods)),
        ("clustering", {**TINY["clustering"], "clusters": 4}, {"knn", "ours"}),
    ):
        changed = fine(tmp_path, methods, **{section: change})
        cell = base.cells()[0]
        assert {m for m in methods if changed.made_from(cell, m) != base.made_from(cell, m)} == theirs
        parts = Ablation({section: change}, base.clips, (0,), tmp_path)
        first = parts.cells()[0]
        whole = Ablation({}, base.clips, (0,), tmp_path)
        assert parts.made_from(first, "ours") != whole.made_from(first, "ours")


def test_frames_are_kept_in_the_folder_of_the_results(tmp_path, monkeypatch):
    its = fine(tmp_path / "out", ("sparse-coding",))
    made = []

    class Refusing:
        def __init__(self, folder, size):
            made.append(folder)

    monkeypatch.setattr("pipeline.experiments.methods.fine.FrameCache", Refusing)
    nothing = SimpleNamespace(seed=0, workspace=SimpleNamespace(training_clips=list))
    with pytest.raises(TrainingError):
        its._by_frames(nothing, "sparse-coding")
    assert made == [tmp_path / "out" / "frames"]


def run_command(*arguments):
    return main([str(a) for a in arguments])


def fine(folder, methods, **changes):
    options = {"street_normal_clips": 2, "street_normal_s": 8, "street_test_clips": 1, "street_test_s": 4}
    sections = {name: section for name, section in TINY.items() if name not in ("windows", "scoring")}
    its = build(ExperimentSettings, {**sections, "experiment": options, **changes})
    clips = StreetClips(its.experiment, folder / "street")
    return Fine(its, clips, (0,), methods, folder)


@pytest.mark.slow
def test_a_baseline_goes_the_way_from_windows_to_frames_that_ours_goes(tmp_path):
    """With our own window scores in the baseline's place, every figure is ours."""
    its = fine(tmp_path, ("ours", "knn"))
    shared = its.begin(its.cells()[0])
    ours = its.measure(shared, "ours")
    model = shared.methods.trained()
    shared.methods._known["knn"] = SimpleNamespace(score_samples=model.anomaly)
    assert its.measure(shared, "knn") == pytest.approx(ours, nan_ok=True)
    assert ours["backtracked_frames"] == 12 * 4 * 24


@pytest.mark.slow
def test_the_streets_clips_are_kept_and_another_seed_is_another_street(tmp_path):
    its = fine(tmp_path, ("ours",))
    workspace, clips = its.clips.clips(0)
    assert len(workspace.training_clips()) == 2
    assert len(clips.paths) == 12
    assert sum(mask.any() for mask in clips.abnormal.values()) >= 9
    before = {path: path.stat().st_mtime_ns for path in clips.paths.values()}
    again = its.clips.clips(0)[1]
    assert {path: path.stat().st_mtime_ns for path in again.paths.values()} == before
    other = its.clips.clips(1)[1]
    assert (other.load("clip1000").keypoints[:5] != clips.load("clip1000").keypoints[:5]).any()


def test_frames_of_videos_are_predicted_where_the_config_says_where_they_lie(tmp_path, make_video):
    video = make_video("a.mp4", *X264, frames=30, size=(32, 32))
    clips = tuple(
        LabelledClip(
            f"{a}-{i}", a, lambda a=a, i=i: stick_clip(f"{a}-{i}", a, i), lambda cache: cache.video(video)
        )
        for a in range(4)
        for i in range(6)
    )

    class Filmed(Sticks):
        has_frames = True

        def clips(self, seed):
            return ActionSet(clips, clips[::2])

    small = {"size": 16, "width": 4, "scales": 2, "steps": 3, "adversarial": 0}
    its = experiment(tmp_path, ("frame-prediction",), actions=Filmed(), frame_prediction=small)
    shared = its.begin(its.cells()[0])
    scores = its.scores(shared, "frame-prediction")
    assert scores.shape == (12,)
    np.testing.assert_allclose(scores, scores[0])  # the same video has the same score
    assert len(list((tmp_path / "frames").glob("*.npy"))) == 1
