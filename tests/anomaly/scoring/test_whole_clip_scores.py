"""Scores of the coarse-grained setting: a clip is one window a person, or one of two people."""

import math

import numpy as np
import pytest

from anomaly.bundle import load_bundle, save_bundle
from anomaly.bundle.card import ENCODER
from anomaly.bundle.files import write_bundle
from anomaly.bundle.onnx_export import export_onnx
from anomaly.data.windows import make_windows
from anomaly.scoring.frame_scores import row_scores
from anomaly.scoring.scores import clip_score, context_s, score_clip
from anomaly.settings import ScoringSettings
from anomaly.settings.densities import NEIGHBOURHOODS
from anomaly.training.calibrate import calibrate
from anomaly.training.held_out import split_held_out
from anomaly.training.train import train_model
from pose_extract.errors import ModelError, TrainingError
from tests.helpers import walkers


@pytest.fixture(scope="module")
def clip_model():
    """A small model of whole clips of walkers."""
    from anomaly.settings import settings_from_dict

    settings = {name: dict(section) for name, section in walkers.TINY.items()}
    settings["windows"] |= {"extent": "clip", "frames": 24}
    settings["scoring"] = {**settings.get("scoring", {}), "parts": ["clustering", *NEIGHBOURHOODS]}
    clips = [walkers.clip(f"walk{i}", seed=i, frames=60) for i in range(12)]
    return train_model(clips, settings_from_dict(settings), seed=0)


def test_every_frame_of_a_person_has_the_score_of_its_one_window(clip_model):
    clip = walkers.clip(seed=30, people=2, kinds=("walk", "jump"), frames=70)
    scores = score_clip(clip_model, clip)
    windows = make_windows(clip, clip_model.settings.windows, 1)
    anomaly = clip_model.anomaly(windows)
    assert len(windows) == 2
    for track, score in zip(windows.track, anomaly, strict=True):
        np.testing.assert_array_equal(scores.row_score[clip.track == track], score)
    assert clip_score(clip_model, clip) == anomaly.max()
    np.testing.assert_array_equal(scores.frames.score, anomaly.max())  # smoothing has no say
    assert set(scores.frames.track_id) == {windows.track[anomaly.argmax()]}


@pytest.mark.parametrize("mode", ["backtracked", "online"])
def test_two_people_who_share_a_window_share_its_score(tiny, mode):
    clip = walkers.clip(people=3, frames=40)
    windows = make_windows(clip, tiny(windows={"extent": "clip", "frames": 24, "people": 2}).windows, 1)
    rows = row_scores(windows, np.array([5.0]), clip, mode)
    np.testing.assert_array_equal(rows[np.isin(clip.track, (1, 2))], 5.0)
    assert np.isnan(rows[clip.track == 3]).all()


def test_a_clip_with_nobody_to_score_has_the_floor(clip_model):
    empty = walkers.from_array(np.full((30, 1, 17, 3), np.nan))
    assert clip_score(clip_model, empty) == clip_model.calibration.floor("backtracked")
    by = ScoringSettings(by="both")
    assert clip_score(clip_model, empty, by) == clip_model.calibration.floor("backtracked", "both")


def test_the_highest_person_decides_by_sliding_windows_too(trained):
    calm = walkers.clip(seed=60, people=4)
    mixed = walkers.clip(seed=60, people=4, kinds=("walk", "walk", "jump", "walk"))
    assert clip_score(trained, mixed) > clip_score(trained, calm)


def test_a_whole_clip_cannot_be_scored_in_parts(clip_model):
    assert context_s(clip_model.settings) == math.inf


def test_whole_clips_are_held_out_however_few_there_are():
    clips = [walkers.clip(f"c{i}", seed=i, people=1, frames=50) for i in range(3)]
    fit, held = split_held_out(clips, 0.2, np.random.default_rng(0), whole=True)
    assert [len(fit), len(held)] == [2, 1]
    assert all(clip.frame_count == 50 for clip in (*fit, *held))
    with pytest.raises(TrainingError, match="whole clips"):
        split_held_out(clips[:1], 0.2, np.random.default_rng(0), whole=True)


def test_a_person_of_a_fresh_normal_clip_is_not_called_abnormal(clip_model):
    scores = [score_clip(clip_model, walkers.clip(seed=100 + i, frames=60)) for i in range(6)]
    assert np.mean([np.nanmedian(s.row_percentile) for s in scores]) < 95


def test_the_command_scores_a_whole_clip_at_once_whatever_its_length(clip_model):
    from pipeline.scoring import Scorer, score_chunks
    from pipeline.settings import Settings
    from pose_extract.tracks.cleaning import clean_tracks
    from pose_extract.tracks.settings import CleaningSettings

    clip = walkers.clip(seed=31, people=2, frames=90)
    own = clip_model.settings
    settings = Settings(windows=own.windows, scoring=own.scoring, cleaning=CleaningSettings())
    parts = list(score_chunks(Scorer(clip_model, settings), clip, chunk_frames=20))
    assert [begin for begin, _, _ in parts] == [0]
    whole = score_clip(clip_model, clean_tracks(clip, CleaningSettings()))
    np.testing.assert_array_equal(parts[0][2].frames.score, whole.frames.score)
    assert parts[0][2].windows.first_frame.tolist() == [0, 0]
    assert parts[0][2].windows.last_frame.tolist() == [89, 89]


def test_somebody_unlike_all_normal_clips_scores_higher_in_every_part(clip_model):
    calm, odd = (walkers.clip(seed=200, kinds=(kind,), people=1, frames=60) for kind in ("walk", "jump"))
    own = {
        name: clip_model.parts(clip_model.windows_of(clip))[:, 0]
        for name, clip in (("calm", calm), ("odd", odd))
    }
    assert (own["odd"][1:] > own["calm"][1:]).all()
    assert clip_score(clip_model, odd, ScoringSettings(by="sum")) > clip_score(
        clip_model, calm, ScoringSettings(by="sum")
    )
    tails = clip_model.calibration.tails
    learned = clip_model.facts["windows"]
    assert tails.sizes[1:] == [learned] * 4  # each among the others; of the clusters, the held-out ones alone
    assert tails.sizes[0] < learned


def test_a_bundle_and_an_exported_one_give_the_same_sum(clip_model, tmp_path):
    clip, by = walkers.clip(seed=31, people=2, kinds=("walk", "jump"), frames=60), ScoringSettings(by="sum")
    expected = score_clip(clip_model, clip, by)
    save_bundle(clip_model, tmp_path / "model")
    kept = score_clip(load_bundle(tmp_path / "model"), clip, by)
    np.testing.assert_array_equal(kept.windows.parts, expected.windows.parts)
    write_bundle(clip_model, tmp_path / "onnx", None, ENCODER, lambda path: export_onnx(clip_model, path))
    exported = score_clip(load_bundle(tmp_path / "onnx"), clip, by)
    np.testing.assert_allclose(exported.windows.parts, expected.windows.parts, rtol=1e-3, atol=2e-3)
    with np.load(tmp_path / "model" / "normality.npz") as file:
        arrays = dict(file)
    arrays["poses_spread"][3] = 0.0
    np.savez_compressed(tmp_path / "model" / "normality.npz", **arrays)
    with pytest.raises(ModelError, match="poses: a spread is not positive"):
        load_bundle(tmp_path / "model")


def couple(seed, together):
    """Two who walk at the same pace, together or each their own way: one of them alone shows nothing of it."""
    rng = np.random.default_rng(seed)
    one = walkers.person(np.arange(48) / 24, rng, "walk", rng.uniform(0.9, 1.6))
    other = one.copy()
    if not together:
        other[..., 0] = 2 * one[0, :, 0].mean() - one[..., 0]
    other[..., 0] += 40
    other[..., :2] += rng.normal(0, 0.6, other[..., :2].shape)
    both = [one, other] if rng.random() < 0.5 else [other, one]
    return walkers.from_array(np.stack(both, axis=1), name=f"couple{seed}")


def test_what_two_people_do_together_is_seen_in_one_window(tiny):
    settings = tiny(
        windows={"extent": "clip", "frames": 12, "people": 2, "scale": "body"},
        scoring={"parts": ["clustering", *NEIGHBOURHOODS], "by": "sum"},
    )
    model = train_model([couple(i, True) for i in range(40)], settings, seed=0)
    usual, unusual = (
        [clip_score(model, couple(100 + i, which)) for i in range(10)] for which in (True, False)
    )
    assert min(unusual) > max(usual)


def test_held_out_clips_without_anybody_are_told_in_clips(clip_model):
    empty = walkers.from_array(np.full((30, 1, 17, 3), np.nan))
    with pytest.raises(TrainingError, match=r"held-out clips, 1 of them.*windows.min_frames \(12\)"):
        calibrate(clip_model, [empty], lambda *told: None)
