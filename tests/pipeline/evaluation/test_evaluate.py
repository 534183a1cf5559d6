"""Tracks and masks brought together, and the report of an evaluation."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from anomaly.evaluation.bootstrap import auc_intervals
from anomaly.evaluation.figures import LabelledScores, evaluate
from pipeline.evaluation import files
from pipeline.evaluation.evaluate import EvaluationSettings, ModelEvaluation
from pipeline.evaluation.files import EvaluationFolder, evaluate_models, plot_clip
from pipeline.evaluation.labelled import LabelledClips, find_labelled, lengthened
from pipeline.evaluation.report import Evaluation, as_json, print_report
from pipeline.workspace import Workspace
from pose_extract.errors import ConfigError, ModelError, UsageError
from pose_extract.tracks.cache import save_tracks
from pose_extract.tracks.records import ClipTracks


def empty_clip(name, frames, fps=25.0):
    return ClipTracks(
        clip=name,
        skeleton="coco17",
        fps=fps,
        frame_size=(64, 48),
        time_s=np.arange(frames) / fps,
        frame=np.zeros(0, np.int32),
        track=np.zeros(0, np.int32),
        keypoints=np.zeros((0, 17, 3), np.float32),
        boxes=np.zeros((0, 4), np.float32),
    )


@pytest.fixture
def tracks(tmp_path):
    for name, frames in (("01_0001", 10), ("01_0002", 20)):
        save_tracks(tmp_path / "tracks" / f"{name}.npz", empty_clip(name, frames))
    return tmp_path / "tracks"


def find(tracks, masks, **options):
    return find_labelled(tracks, Workspace(tracks.parent), masks, **options)


def masks_of(first=10, second=20):
    return {"01_0001": np.arange(first) > 4, "01_0002": np.zeros(second, bool)}


def test_clips_and_masks_of_the_same_name_belong_together(tracks):
    found = find(tracks, masks_of())
    assert list(found.paths) == ["01_0001", "01_0002"]
    np.testing.assert_array_equal(found.abnormal["01_0001"], np.arange(10) > 4)
    assert all(kept.all() for kept in found.kept.values())
    assert found.frames == 30


@pytest.mark.parametrize(
    ("masks", "said"),
    [
        ({"01_0001": np.zeros(10, bool)}, "no mask for 01_0002"),
        ({**masks_of(), "9": np.zeros(3, bool)}, "no clip for the masks 9"),
        (masks_of(second=25), r"01_0002 \(clip 20, mask 25\)"),
        (masks_of(first=8), r"01_0001 \(clip 10, mask 8\)"),
    ],
)
def test_what_does_not_fit_is_an_error_that_lists_it(tracks, masks, said):
    with pytest.raises(UsageError, match=said):
        find(tracks, masks)


def test_a_mask_may_be_one_frame_shorter_or_longer_than_its_clip(tracks):
    found = find(tracks, masks_of(11, 19))
    assert [len(mask) for mask in found.abnormal.values()] == [10, 20]


def test_a_clip_goes_on_without_people_to_the_end_of_its_mask_if_asked_to(tracks):
    found = find(tracks, masks_of(10, 25), lengthen=True)
    clip = found.load("01_0002")
    assert clip.frame_count == 25
    np.testing.assert_allclose(clip.time_s, np.arange(25) / 25)
    assert found.load("01_0001").frame_count == 10
    with pytest.raises(UsageError, match=r"01_0001 \(clip 10, mask 5\)"):  # that is another thing
        find(tracks, masks_of(5), lengthen=True)


def test_a_clip_of_no_frames_is_lengthened_from_0():
    np.testing.assert_allclose(lengthened(empty_clip("a", 0), 3).time_s, [0, 0.04, 0.08])


def test_masks_of_what_to_keep_are_of_the_same_clips(tracks):
    keep = {"01_0001": np.arange(10) < 3, "01_0002": np.zeros(20, bool)}
    assert find(tracks, masks_of(), keep=keep).kept["01_0001"].sum() == 3
    with pytest.raises(UsageError, match="no mask for 01_0002"):
        find(tracks, masks_of(), keep={"01_0001": np.ones(10, bool)})
    with pytest.raises(UsageError, match="no frame is left"):
        find(tracks, masks_of(), keep={name: np.zeros_like(m) for name, m in masks_of().items()})


def test_a_folder_without_tracks_is_an_error(tmp_path):
    with pytest.raises(UsageError, match="there are no clips to evaluate"):
        find(tmp_path, masks_of())


def test_the_scene_is_what_comes_before_the_first_underscore_or_what_the_pattern_finds():
    assert [EvaluationSettings().scene_of(c) for c in ("01_0014", "01_0014_x", "lobby", "_1")] == [
        "01",
        "01",
        "lobby",
        "-",
    ]
    assert EvaluationSettings(scene=r"cam(\d+)").scene_of("cam12-b") == "12"
    assert EvaluationSettings(scene=r"cam(\d+)?").scene_of("cam") == "-"


@pytest.mark.parametrize(
    ("options", "error", "said"),
    [
        ({"protocol": "newest"}, ConfigError, "protocol"),
        ({"scene": "("}, ConfigError, "regular expression"),
        ({"normalise": "clip"}, UsageError, "legacy"),
    ],
)
def test_settings_that_mean_nothing_are_errors(options, error, said):
    with pytest.raises(error, match=said):
        EvaluationSettings(**options)


def test_the_report_says_which_protocol_it_is():
    assert "inside each clip" in EvaluationSettings().describe()
    text = EvaluationSettings("legacy", "clip").describe()
    assert "LEGACY" in text
    assert "lowest and highest" in text


# The report


def made_up_model(folder, seed, clips, modes=("backtracked", "online"), alarms=True):
    rng = np.random.default_rng(seed)
    curves = {}
    for mode in modes:
        curves[mode] = []
        for name, abnormal in clips.items():
            score = rng.normal(size=len(abnormal)) + 2 * abnormal
            alarm = score > 2 if alarms else None
            curves[mode].append(
                LabelledScores(
                    name, np.arange(len(score)) / 25, score, abnormal, np.ones(len(score), bool), alarm, 25.0
                )
            )
    return ModelEvaluation(
        Path(folder),
        {"card_sha256": "0" * 64},
        {
            "scoring": {"frames": "backtracked"},
            "calibration": {"false_alarm_rate": 0.05, "alarms_per_day": None},
            "alarms_follow": {"backtracked": "marks", "online": "false_alarm_rate"},
        },
        curves,
        {m: evaluate(c) for m, c in curves.items()},
        {m: auc_intervals(c) for m, c in curves.items()},
        {m: {"01": evaluate(c), "02": evaluate(c[:1])} for m, c in curves.items()},
        {m: {c.clip: evaluate([c]) for c in its} for m, its in curves.items()},
    )


CLIPS = {f"0{i % 2}_{i:04d}_with_a_rather_long_name": (np.arange(120) > 60) & (i % 5 != 3) for i in range(30)}


def evaluation_of(count=2, **options):
    models = [made_up_model(f"models/seed{i}", i, CLIPS, **options) for i in range(count)]
    protocol = "current" if options.get("alarms", True) else "legacy"
    return Evaluation(EvaluationSettings(protocol), models, {"masks": "masks"})


@pytest.mark.parametrize("count", [1, 2])
def test_tables_fit_into_80_columns_with_every_heading(capsys, count):
    print_report(evaluation_of(count))
    out = capsys.readouterr().out
    assert max(map(len, out.splitlines())) <= 80
    assert "…" not in out
    for text in (
        "frame AUC, micro",
        "backtracked",
        "online",
        "false alarms an hour",
        "the 20 with the lowest AUC",
        "a false alarm is",
        "threshold is backtracked: the one that your marks have set, online: the score that 5 % of the held-out",
    ):
        assert text in " ".join(out.split())
    assert ("±" in out) == (count > 1)


def test_the_legacy_report_shows_no_alarms(capsys):
    print_report(evaluation_of(1, modes=("backtracked",), alarms=False))
    out = capsys.readouterr().out
    assert "LEGACY" in out
    assert "alarm" not in out
    assert "online" not in out


def test_json_holds_everything_and_no_nan():
    evaluation = evaluation_of(2)
    data = json.loads(json.dumps(as_json(evaluation), allow_nan=False))
    assert data["protocol"] == "current"
    assert data["figures"]["online"]["auc_micro"]["deviation"] > 0
    assert data["figures"]["backtracked"]["auc_micro"]["mean"] == pytest.approx(
        np.mean([m.figures["backtracked"].auc_micro for m in evaluation.models])
    )
    assert len(data["models"]) == 2
    clip = "01_0003_with_a_rather_long_name"  # it has normal frames only
    assert data["models"][0]["clips"]["backtracked"][clip]["auc_micro"] is None
    assert data["models"][0]["scenes"]["online"]["02"]["clips"] == 1
    assert {"python", "numpy"} <= set(data["versions"])


def test_the_folder_has_the_curves_of_every_model_and_pictures(tmp_path):
    import cv2

    evaluation = evaluation_of(2)
    two = dict(list(CLIPS.items())[:2])
    folder = EvaluationFolder(tmp_path / "out", "current")
    for seed in range(2):
        folder.add(made_up_model("m", seed, two))
    folder.finish(evaluation)
    files = {p.relative_to(tmp_path / "out").as_posix() for p in (tmp_path / "out").rglob("*") if p.is_file()}
    assert files == {
        *("evaluation.json", "frames.csv", "frames-2.csv", "roc.png", "pr.png"),
        *(f"clips/{name}.png" for name in two),
    }
    rows = (tmp_path / "out" / "frames.csv").read_text().splitlines()
    assert len(rows) == 1 + 240
    assert rows[0].startswith(
        "clip,frame,time_s,abnormal,kept,score_backtracked,alarm_backtracked,score_online"
    )
    for picture in (tmp_path / "out").rglob("*.png"):
        assert cv2.imread(str(picture)).std() > 5


def test_a_folder_s_earlier_evaluation_leaves_nothing_behind(tmp_path):
    def write(models, clips):
        folder = EvaluationFolder(tmp_path, "current")
        made = [made_up_model("m", seed, clips) for seed in range(models)]
        for model in made:
            folder.add(model)
        folder.finish(Evaluation(EvaluationSettings(), [model.without_curves() for model in made], {}))

    half = np.arange(20) > 9
    write(2, {"a": half, "b": half})
    (tmp_path / "clips" / "mine.png").write_bytes(b"")
    (tmp_path / "frames-old.csv").write_bytes(b"")
    write(1, {"b": np.zeros(20, bool)})  # of one kind, so that there is no curve
    files = {p.relative_to(tmp_path).as_posix() for p in tmp_path.rglob("*") if p.is_file()}
    assert files == {"evaluation.json", "frames.csv", "clips/b.png", "clips/mine.png", "frames-old.csv"}


def test_what_ends_an_evaluation_of_several_models_is_told_before_the_first_is_scored(tmp_path, monkeypatch):
    def load_scorer(folder, *rest):
        return SimpleNamespace(settings=SimpleNamespace(scoring=SimpleNamespace(frames=folder.name)))

    clips, legacy = LabelledClips({}, {}, {}), EvaluationSettings("legacy")
    models = [tmp_path / "backtracked", tmp_path / "online"]
    with pytest.raises(ModelError, match="backtracked"):
        evaluate_models(models, clips, EvaluationSettings(), out=tmp_path / "out")
    monkeypatch.setattr(files, "load_scorer", load_scorer)
    monkeypatch.setattr(files, "read_card", lambda folder: {})
    with pytest.raises(
        UsageError, match=r"one mode, but .*backtracked is set to backtracked, .*online is set"
    ):
        evaluate_models(models, clips, legacy, out=tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_clips_of_one_frame_or_none_are_drawn_too(tmp_path):
    folder = EvaluationFolder(tmp_path, "current")
    folder.add(made_up_model("m", 0, {"one": np.zeros(1, bool), "none": np.zeros(0, bool)}))
    assert (tmp_path / "clips" / "one.png").stat().st_size > 0
    assert (tmp_path / "clips" / "none.png").stat().st_size > 0


@pytest.mark.parametrize("name", ["cam$_$1", "a\udcff", "摄像头"])
def test_clips_of_any_name_are_written_and_drawn(tmp_path, name):
    model = made_up_model("models/seed0", 0, {name: np.arange(20) > 10})
    EvaluationFolder(tmp_path, "current").add(model)
    assert (tmp_path / "clips" / f"{name}.png").is_file()
    rows = (tmp_path / "frames.csv").read_text().splitlines()
    assert len(rows) == 21
    assert rows[1].startswith(f"{name},".encode(errors="backslashreplace").decode())


def test_an_event_of_one_frame_can_be_seen_in_the_picture_of_an_hour(tmp_path):
    import cv2

    abnormal = np.zeros(90_000, bool)
    pixels = []
    for events in ([], [50_000]):
        abnormal[events] = True
        model = made_up_model("m", 0, {"hour": abnormal})
        calm = [dataclasses.replace(its[0], alarm=abnormal & False) for its in model.curves.values()]
        plot_clip(tmp_path / "hour.png", list(model.curves), calm, "current")
        b, g, r = np.moveaxis(cv2.imread(str(tmp_path / "hour.png")).astype(int), 2, 0)
        # above the curves and the legend, reddish
        pixels.append(int(((r > g + 8) & (r > b + 8) & (r > 235))[20:45].sum()))
    assert pixels[0] == 0
    assert pixels[1] > 10
