"""`gepc-pipeline evaluate` on the synthetic street's exact joints and labels."""

from __future__ import annotations

import csv
import hashlib
import json
import os
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score

from pipeline.synthetic.clips import simulate_clip
from pipeline.synthetic.street.scene import StreetSettings
from pose_extract.tracks.cache import save_tracks
from pose_extract.tracks.records import ClipTracks

ACTS = {"01_0001": ("running",), "01_0002": ("falling",), "02_0003": ("cycling",), "02_0004": ()}


@pytest.fixture(scope="module")
def labelled(tmp_path_factory):
    """Tracks and masks of four street clips."""
    folder = tmp_path_factory.mktemp("labelled")
    (folder / "masks").mkdir()
    for seed, (name, acts) in enumerate(ACTS.items()):
        clip = simulate_clip(name, 300 + seed, StreetSettings(seconds=6), acts)
        save_tracks(folder / "tracks" / f"{name}.npz", clip.truth)
        np.save(folder / "masks" / f"{name}.npy", clip.labels)
    return folder


@pytest.fixture
def evaluate(cli, labelled, truth_workspace):
    def run(*options, masks=labelled / "masks", tracks=labelled / "tracks"):
        return cli(
            "evaluate",
            "--tracks",
            tracks,
            "--masks",
            masks,
            "--workspace",
            truth_workspace,
            "--quiet",
            *options,
        )

    return run


def figure(result, name):
    found = re.search(rf"^{name} = (\S+)$", result.out, re.M)
    assert found, result.out + result.err
    return float(found[1])


def frames_of(folder):
    with open(folder / "frames.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    return {key: np.array([row[key] for row in rows]) for key in rows[0]}


def test_tracks_and_masks_come_to_figures_that_scikit_learn_confirms(evaluate, tmp_path, truth_workspace):
    result = evaluate("--out", tmp_path / "out")
    assert result.code == 0, result.err
    assert result.out.splitlines()[-2].startswith("frame_auc_micro = 0.")
    assert result.out.splitlines()[-1].startswith("frame_auc_macro = 0.")
    assert max(map(len, result.out.splitlines()[:-3])) <= 80
    data = json.loads((tmp_path / "out" / "evaluation.json").read_text())
    frames = frames_of(tmp_path / "out")
    labels = frames["abnormal"] == "1"
    for mode in ("backtracked", "online"):
        scores = frames[f"score_{mode}"].astype(float)
        found = data["models"][0]["figures"][mode]
        assert found["auc_micro"] == pytest.approx(roc_auc_score(labels, scores), abs=1e-4)  # CSV's rounding
        assert found["ap"] == pytest.approx(average_precision_score(labels, scores), abs=1e-4)
        own = [
            roc_auc_score(labels[at], scores[at])
            for at in (frames["clip"] == clip for clip in ACTS)
            if 0 < labels[at].mean() < 1
        ]
        assert found["auc_macro"] == pytest.approx(np.mean(own), abs=1e-3)
    assert figure(result, "frame_auc_micro") == round(data["figures"]["backtracked"]["auc_micro"]["mean"], 3)
    card = (truth_workspace / "model" / "card.json").read_bytes()
    assert data["models"][0]["card_sha256"] == hashlib.sha256(card).hexdigest()
    assert list(data["models"][0]["scenes"]["online"]) == ["01", "02"]
    assert (tmp_path / "out" / "roc.png").is_file()
    assert (tmp_path / "out" / "clips" / "02_0004.png").is_file()


def test_scores_and_alarms_are_those_that_score_writes(evaluate, cli, labelled, truth_workspace, tmp_path):
    assert evaluate("--out", tmp_path / "out").code == 0
    frames = frames_of(tmp_path / "out")
    for mode in ("backtracked", "online"):
        scored = tmp_path / f"{mode}.csv"
        tracks = labelled / "tracks" / "01_0002.npz"
        options = ("--tracks", tracks, "--out", scored, "--workspace", truth_workspace)
        assert cli("score", *options, "--set", f"scoring.frames={mode}").code == 0
        score, alarm = np.loadtxt(scored, delimiter=",", skiprows=1, usecols=(2, 4), unpack=True)
        mine = frames["clip"] == "01_0002"
        np.testing.assert_allclose(frames[f"score_{mode}"][mine].astype(float), score, rtol=1e-4, atol=1e-5)
        np.testing.assert_array_equal(frames[f"alarm_{mode}"][mine].astype(float), alarm)


def test_the_other_polarity_turns_the_auc_round(evaluate):
    right, wrong = evaluate(), evaluate("--abnormal", 0)
    total = figure(right, "frame_auc_micro") + figure(wrong, "frame_auc_micro")
    assert total == pytest.approx(1, abs=2e-3)


def test_the_mode_of_the_last_lines_is_the_models(evaluate, tmp_path):
    result = evaluate("--set", "scoring.frames=online", "--out", tmp_path)
    data = json.loads((tmp_path / "evaluation.json").read_text())
    assert figure(result, "frame_auc_micro") == round(data["figures"]["online"]["auc_micro"]["mean"], 3)
    assert set(data["figures"]) == {"backtracked", "online"}


def test_scores_do_not_depend_on_how_many_clips_are_scored_at_a_time(evaluate, tmp_path):
    one, two = (evaluate("--jobs", jobs, "--out", tmp_path / jobs) for jobs in ("1", "2"))
    assert one.out.replace(str(tmp_path / "1"), "") == two.out.replace(str(tmp_path / "2"), "")
    assert (tmp_path / "1" / "frames.csv").read_bytes() == (tmp_path / "2" / "frames.csv").read_bytes()


def test_several_models_give_mean_and_deviation(evaluate, truth_workspace, tmp_path):
    model = truth_workspace / "model"
    result = evaluate("--model", model, model, "--out", tmp_path)
    assert result.code == 0, result.err
    assert "± 0.000" in result.out
    data = json.loads((tmp_path / "evaluation.json").read_text())
    assert len(data["models"]) == 2
    assert data["figures"]["online"]["ap"]["deviation"] == 0
    assert (tmp_path / "frames-2.csv").read_bytes() == (tmp_path / "frames.csv").read_bytes()


def test_the_legacy_protocol_joins_and_smooths_clips_and_says_so(evaluate, tmp_path):
    for name, options in {"raw": ("--set", "scoring.smoothing_s=0"), "old": ("--protocol", "legacy")}.items():
        result = evaluate(*options, "--out", tmp_path / name)
        assert result.code == 0, result.err
    assert "LEGACY" in result.out
    raw, old = frames_of(tmp_path / "raw"), frames_of(tmp_path / "old")
    joined = [raw["score_backtracked"][raw["clip"] == clip].astype(float) for clip in sorted(ACTS)]
    gauss = np.exp(-0.5 * (np.arange(-160, 161) / 40) ** 2)  # to 4 sigmas
    expected = np.convolve(np.pad(np.concatenate(joined), 160, "symmetric"), gauss / gauss.sum(), "valid")
    np.testing.assert_allclose(old["score_backtracked"].astype(float), expected, rtol=1e-4, atol=1e-5)
    found = roc_auc_score(raw["abnormal"] == "1", expected)
    assert figure(result, "frame_auc_micro") == pytest.approx(found, abs=6e-4)
    data = json.loads((tmp_path / "old" / "evaluation.json").read_text())
    assert data["protocol"] == "legacy"
    assert list(data["figures"]) == ["backtracked"]


def test_frames_left_out_are_scored_but_count_for_nothing(evaluate, labelled, tmp_path):
    keep = {p.stem: np.load(p) for p in (labelled / "masks").glob("*.npy")}
    keep = {name: (np.arange(len(mask)) >= 30).astype(np.uint8) for name, mask in keep.items()}
    np.savez(tmp_path / "keep.npz", **keep)
    result = evaluate("--keep", tmp_path / "keep.npz", "--out", tmp_path / "out")
    assert evaluate("--out", tmp_path / "all").code == result.code == 0
    frames, whole = frames_of(tmp_path / "out"), frames_of(tmp_path / "all")
    np.testing.assert_array_equal(frames["score_online"], whole["score_online"])
    kept = frames["kept"] == "1"
    assert (~kept).sum() == 30 * len(ACTS)
    auc = roc_auc_score(frames["abnormal"][kept] == "1", frames["score_backtracked"][kept].astype(float))
    assert figure(result, "frame_auc_micro") == pytest.approx(auc, abs=6e-4)


def test_only_normal_video_gives_false_alarms_an_hour_and_an_error_for_the_auc(evaluate, labelled, tmp_path):
    (tmp_path / "masks").mkdir()
    for path in (labelled / "masks").glob("*.npy"):
        np.save(tmp_path / "masks" / path.name, np.zeros(len(np.load(path)), np.uint8))
    result = evaluate("--out", tmp_path / "out", masks=tmp_path / "masks")
    assert result.code == 2
    assert "there is no frame AUC: it needs normal and abnormal frames" in result.err
    assert re.search(r"false alarms an hour: - \(\d+ in 0:\d\d of normal video", " ".join(result.out.split()))
    assert "frame_auc" not in result.out
    data = json.loads((tmp_path / "out" / "evaluation.json").read_text())
    assert data["figures"]["online"]["false_alarms"]["mean"] >= 0
    assert data["figures"]["online"]["false_alarms_per_hour"]["mean"] is None  # of seconds
    assert data["figures"]["online"]["auc_micro"]["mean"] is None


def test_the_workspaces_clips_are_those_that_were_not_trained_on(cli, labelled, truth_workspace, tmp_path):
    workspace = tmp_path / "workspace"
    shutil.copytree(truth_workspace, workspace)
    result = cli("import", "gepc", labelled / "tracks", "--scoring", "--workspace", workspace, "--quiet")
    assert result.code == 0, result.err
    result = cli("evaluate", "--masks", labelled / "masks", "--workspace", workspace, "--quiet")
    assert result.code == 0, result.err
    assert "4 clips" in result.out


def test_a_data_sets_config_stands_for_tracks_and_masks(cli, evaluate, labelled, truth_workspace, tmp_path):
    config = tmp_path / "street.yaml"
    config.write_text(
        "dataset: {name: street, format: gepc, train: 'tracks/*.npz', test: 'tracks/*.npz', labels: masks,"
        " excluded_test: ['02_0004'], excluded_frames: [['01_0001', 0, 20]]}"
    )
    options = ("--model", truth_workspace / "model", "--workspace", tmp_path / "new", "--quiet")
    root = f"dataset.root={labelled}"
    result = cli("evaluate", "--config", config, "--set", root, "--set=scoring.smoothing_s=0.1", *options)
    assert result.code == 0, result.err
    assert "3 clips" in result.out
    keep = {p.stem: np.ones(len(np.load(p)), np.uint8) for p in (labelled / "masks").glob("*.npy")}
    keep["01_0001"][:20] = 0
    keep["02_0004"][:] = 0
    np.savez(tmp_path / "keep.npz", **keep)
    same = evaluate("--keep", tmp_path / "keep.npz", "--set=scoring.smoothing_s=0.1")
    assert figure(result, "frame_auc_micro") == figure(same, "frame_auc_micro")
    for wrong, said in (
        (("--config", config), "dataset.root"),
        (("--config", config, "--masks", labelled / "masks"), "either --masks"),
        ((), "either --masks"),
        (("--config", config, "--set", root, "--keep", "k.npz"), "leave them out"),
    ):
        result = cli("evaluate", *wrong, *options)
        assert (result.code, said in result.err) == (2, True), result.err


def test_clips_that_were_trained_on_are_evaluated_with_a_warning(cli, truth_workspace, tmp_path, caplog):
    frames = 8 * 24
    for name in ("normal_0", "normal_1"):
        (tmp_path / "masks").mkdir(exist_ok=True)
        np.save(tmp_path / "masks" / f"{name}.npy", np.arange(frames) > 100)
    result = cli("evaluate", "--masks", tmp_path / "masks", "--workspace", truth_workspace, "--quiet")
    assert result.code == 0, result.err
    assert "trained on clips that it is evaluated on: normal_0, normal_1" in caplog.text
    assert "2 clips" in result.out
    caplog.clear()
    other = simulate_clip("normal_0", 900, StreetSettings(seconds=4))  # another clip of this name
    save_tracks(tmp_path / "tracks" / "normal_0.npz", other.truth)
    np.save(tmp_path / "masks" / "normal_0.npy", np.arange(other.truth.frame_count) > 50)
    (tmp_path / "masks" / "normal_1.npy").unlink()
    options = ("--tracks", tmp_path / "tracks", "--workspace", truth_workspace, "--quiet")
    assert cli("evaluate", "--masks", tmp_path / "masks", *options).code == 0
    assert "trained on" not in caplog.text


@pytest.mark.parametrize(
    ("options", "code", "said"),
    [
        (("--model", "nowhere"), 7, "no model in nowhere"),
        (("--set", "windows.frames=18"), 3, "can only be scored with"),
        (("--scene", "("), 3, "regular expression"),
        (("--normalise", "clip"), 2, "legacy"),
        (("--keep", "nowhere.npz"), 11, "nowhere.npz"),
    ],
)
def test_what_cannot_be_done_is_said(evaluate, options, code, said):
    result = evaluate(*options)
    assert (result.code, said in result.err) == (code, True), result.err


def test_clips_without_a_mask_are_left_out_and_named(evaluate, labelled, tmp_path):
    (tmp_path / "masks").mkdir()
    source = labelled / "masks" / "01_0001.npy"
    (tmp_path / "masks" / "01_0001.npy").write_bytes(source.read_bytes())
    result = evaluate(masks=tmp_path / "masks")
    assert result.code == 0
    assert "3 clips have no mask and are left out: 01_0002, 02_0003, 02_0004" in result.err
    assert "1 clips, " in result.out
    (tmp_path / "masks" / "01_0001.npy").rename(tmp_path / "masks" / "other.npy")
    result = evaluate(masks=tmp_path / "masks")
    assert result.code == 2
    assert "no clip for the masks other" in result.err


def test_an_output_folder_that_is_a_file_is_said_before_anything_is_scored(evaluate, tmp_path):
    (tmp_path / "out").write_text("")
    result = evaluate("--out", tmp_path / "out", "--model", "nowhere")  # which would be the next error
    assert result.code == 9


@pytest.mark.slow
def test_poses_of_hr_avenue_come_to_the_figures_that_they_came_to(cli, tmp_path):
    if "GEPC_SAMPLE_DATA" not in os.environ:
        pytest.skip("GEPC_SAMPLE_DATA is not set: the poses of HR-Avenue are not part of the project")
    folder = Path(os.environ["GEPC_SAMPLE_DATA"]) / "hr-avenue"
    write_avenue(folder / "train.npz", tmp_path / "train", 3)
    names = write_avenue(folder / "test.npz", tmp_path / "test", 3)
    for name in ("masks", "hr_keep_mask"):
        with np.load(folder / f"{name}.npz") as masks:
            np.savez(tmp_path / f"{name}.npz", **{clip: masks[clip] for clip in names})
    workspace = ("--workspace", tmp_path / "workspace", "--quiet")
    assert cli("import", "gepc", tmp_path / "train", *workspace).code == 0
    short = ("training.pretrain_epochs=2", "training.finetune_epochs=1", "windows.train_stride=12",
             "windows.score_stride=4", "densities.predictor_epochs=3", "densities.pretext_epochs=1")  # fmt: skip
    assert cli("train", *(f"--set={setting}" for setting in short), *workspace).code == 0
    result = cli(
        "evaluate", "--tracks", tmp_path / "test", "--masks", tmp_path / "masks.npz",
        "--keep", tmp_path / "hr_keep_mask.npz", "--lengthen", *workspace,
    )  # fmt: skip
    assert result.code == 0, result.err
    assert figure(result, "frame_auc_micro") >= 0.905  # it was 0.939


def write_avenue(path, folder, count):
    """The first clips of a file of poses as tracks files; returns their names."""
    with np.load(path) as data:
        poses = {name: data[name] for name in data.files}
    names = [str(clip) for clip in poses["clips"][:count]]
    for i, name in enumerate(names):
        rows = np.arange(*poses["offsets"][i : i + 2])
        rows = rows[poses["kp"][rows].any(axis=(1, 2))]
        rows = rows[np.lexsort((poses["person"][rows], poses["frame"][rows]))]
        points = poses["kp"][rows]
        found = points.any(axis=2)
        low = np.where(found[..., None], points, np.inf).min(axis=1)
        high = np.where(found[..., None], points, -np.inf).max(axis=1)
        tracks = ClipTracks(
            clip=name,
            skeleton="coco17",
            fps=25.0,
            frame_size=(640, 360),
            time_s=np.arange(poses["frame"][rows].max() + 1) / 25,
            frame=poses["frame"][rows].astype(np.int32),
            track=np.unique(poses["person"][rows], return_inverse=True)[1].astype(np.int32) + 1,
            keypoints=np.concatenate([points, found[..., None]], axis=2).astype(np.float32),
            boxes=np.concatenate([low, high], axis=1).astype(np.float32),
        )
        save_tracks(folder / f"{name}.npz", tracks)
    return names
