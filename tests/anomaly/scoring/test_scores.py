import copy
import dataclasses

import numpy as np
import pytest
import torch

from anomaly.data.augmentation import apply_transforms
from anomaly.data.windows import make_windows
from anomaly.evaluation.metrics import frame_auc
from anomaly.normality.surroundings import Surroundings
from anomaly.scoring.frame_scores import NOBODY
from anomaly.scoring.model import Model
from anomaly.scoring.scores import (
    ClipScores,
    Earlier,
    FrameScores,
    clip_score,
    context_s,
    score_clip,
)
from anomaly.scoring.torch_model import TrainedModel
from anomaly.settings import FRAME_MODES, SCORE_KINDS, TRANSFORMS, ScoringSettings
from anomaly.training.calibrate import _thinned, calibrate
from anomaly.training.train import train_model
from pose_extract.errors import ConfigError, ModelError
from pose_extract.skeletons import get_skeleton
from pose_extract.tracks.records import cut_frames
from tests.helpers import walkers

RAW = ScoringSettings(smoothing_s=0)


@pytest.fixture
def trained_on_five(trained):
    """The trained model with all five transforms in its score."""
    training = dataclasses.replace(trained.settings.training, transforms=tuple(TRANSFORMS))
    return dataclasses.replace(trained, settings=dataclasses.replace(trained.settings, training=training))


def test_a_windows_score_is_the_mean_over_its_own_transforms(trained_on_five):
    x = make_windows(walkers.clip(people=2, kinds=("walk", "jump")), trained_on_five.settings.windows, 5).x
    by_transform = trained_on_five.transforms_of(x)
    assert by_transform.shape == (len(x), 5)
    together = trained_on_five.anomaly_of(x)
    alone = [float(trained_on_five.anomaly_of(x[i : i + 1])[0]) for i in range(len(x))]
    np.testing.assert_allclose(together, alone, rtol=1e-3)  # no neighbour has a part in it
    np.testing.assert_allclose(together, -by_transform.mean(axis=1))
    order = np.random.default_rng(0).permutation(len(x))
    np.testing.assert_allclose(trained_on_five.anomaly_of(x[order]), together[order], rtol=1e-3)


def test_higher_is_more_abnormal(trained):
    normal, odd = (walkers.clip(seed=50, kinds=(kind,)) for kind in ("walk", "jump"))
    a, b = (score_clip(trained, c, RAW).frames.score for c in (normal, odd))
    assert np.median(b) > np.quantile(a, 0.99)
    both = score_clip(trained, odd, RAW)
    assert np.nanmedian(both.row_percentile) > 95


def test_one_jumper_among_walkers_decides(trained):
    calm = score_clip(trained, walkers.clip(seed=60, people=4), RAW).frames
    mixed = score_clip(
        trained, walkers.clip(seed=60, people=4, kinds=("walk", "walk", "jump", "walk")), RAW
    ).frames
    assert np.median(mixed.score) > np.quantile(calm.score, 0.95)
    assert np.median(mixed.track_id) == 3


def test_a_frame_with_nobody_has_the_calibrations_floor(trained):
    keep = np.zeros((200, 3), bool)
    keep[50:100] = True
    clip = walkers.clip(frames=200, seed=70)
    points = clip.keypoints.reshape(200, 3, 17, 3)
    scores = score_clip(trained, walkers.from_array(points, keep=keep), RAW).frames
    empty = ~keep.any(axis=1)
    assert set(scores.score[empty]) == {trained.calibration.floor("backtracked")}
    assert (scores.percentile[empty] == 0).all()
    assert scores.percentile[~empty].max() > 0
    assert (scores.track_id[empty] == NOBODY).all()
    assert (scores.people[empty] == 0).all()
    assert not scores.alarm[empty].any()


@pytest.mark.parametrize("mode", ["backtracked", "online"])
def test_clips_without_a_window_have_finite_scores(trained, mode):
    settings = ScoringSettings(frames=mode)
    for clip in (
        walkers.clip(frames=5),
        walkers.clip(frames=1),
        walkers.from_array(np.zeros((30, 1, 17, 3)), keep=np.zeros((30, 1), bool)),
        walkers.from_array(np.full((30, 1, 17, 3), np.nan)),
        walkers.from_array(np.zeros((0, 1, 17, 3))),
    ):
        scores = score_clip(trained, clip, settings)
        assert len(scores.frames) == clip.frame_count
        assert np.isfinite(scores.frames.score).all()
        assert np.isfinite(scores.frames.percentile).all()
        assert np.isnan(scores.row_score).all()


def test_missing_joints_and_people_give_no_nan(trained):
    clip = walkers.clip(frames=60)
    rng = np.random.default_rng(0)
    points = clip.keypoints.copy()
    points[rng.random(points.shape[:2]) < 0.3] = np.nan
    points[rng.random(points.shape[:2]) < 0.2, 2] = 0
    points[10, :] = 0
    scores = score_clip(trained, dataclasses.replace(clip, keypoints=points))
    assert np.isfinite(scores.frames.score).all()
    assert np.isfinite(scores.row_score).mean() > 0.9


@pytest.mark.parametrize("fps", [24.0, 29.97, 10.0])
def test_online_scores_do_not_change_when_the_future_does(trained, fps):
    clip = walkers.clip(frames=120, seed=80, fps=fps)
    settings = ScoringSettings(frames="online", smoothing_s=0.3)
    whole = score_clip(trained, clip, settings)
    for stop in (40, 77):
        past = score_clip(trained, cut_frames(clip, 0, stop), settings)
        np.testing.assert_allclose(past.frames.score, whole.frames.score[:stop], rtol=1e-4, atol=1e-4)


def test_backtracked_scores_do_know_the_future(trained):
    calm, later = walkers.clip(frames=120, seed=80), walkers.clip(frames=120, seed=80)
    jump = walkers.clip(frames=120, seed=81, kinds=("jump",)).keypoints
    keypoints = np.where((later.frame >= 60)[:, None, None], jump, later.keypoints)
    later = dataclasses.replace(later, keypoints=keypoints)
    settings = ScoringSettings(smoothing_s=0)
    a, b = (score_clip(trained, c, settings).frames.score for c in (calm, later))
    assert np.abs(a[50:60] - b[50:60]).max() > 1


@pytest.mark.parametrize("mode", ["backtracked", "online"])
@pytest.mark.parametrize("fps", [24.0, 25.0, 60.0])
def test_scoring_a_part_with_its_context_equals_scoring_the_whole(trained, mode, fps):
    clip = walkers.clip(frames=int(12 * fps), seed=90, fps=fps, kinds=("walk", "jump", "stand"))
    settings = ScoringSettings(frames=mode, smoothing_s=0.3, tail="log")
    whole = score_clip(trained, clip, settings)
    margin = int(np.ceil(context_s(trained.settings, settings, fps) * fps)) + 1
    a, b = int(5 * fps), int(7 * fps)
    part = score_clip(trained, cut_frames(clip, a - margin, b + margin), settings)
    for name in ("score", "percentile", "alarm", "people", "track_id"):
        np.testing.assert_allclose(
            getattr(part.frames, name)[margin:-margin], getattr(whole.frames, name)[a:b], rtol=1e-4, atol=1e-3
        )
    assert margin < a  # or the test would say nothing


def test_smoothing_never_crosses_a_clips_border(trained):
    calm, odd = walkers.clip(frames=60, seed=1), walkers.clip(frames=60, seed=2, kinds=("jump",))
    settings = ScoringSettings(smoothing_s=2.0)
    alone = score_clip(trained, calm, settings).frames.score
    score_clip(trained, odd, settings)
    np.testing.assert_array_equal(score_clip(trained, calm, settings).frames.score, alone)


def test_held_out_normal_video_raises_alarms_at_the_stated_rate(trained):
    reference = trained.calibration.reference("backtracked", 0.2)
    fresh = [
        score_clip(trained, walkers.clip(seed=s, frames=96), false_alarm_rate=0.1) for s in range(200, 212)
    ]
    rate = np.mean([s.frames.alarm.mean() for s in fresh])
    assert len(reference) == len(trained.calibration.time_s)
    assert rate < 0.5  # a small set: an order of magnitude, not a law
    strict = np.mean([score_clip(trained, walkers.clip(seed=200), false_alarm_rate=0.01).frames.alarm.mean()])
    loose = np.mean([score_clip(trained, walkers.clip(seed=200), false_alarm_rate=0.5).frames.alarm.mean()])
    assert strict <= loose


def test_scores_rest_on_motion(trained):
    clips = [walkers.clip(seed=300 + i, kinds=(k,)) for i, k in enumerate(("walk", "run", "walk", "jump"))]
    labels = np.repeat([0, 1, 0, 1], 120)

    def auc(clips):
        return frame_auc(np.concatenate([score_clip(trained, c).frames.score for c in clips]), labels)

    rng = np.random.default_rng(0)
    shuffled = []
    for clip in clips:
        points = clip.keypoints.reshape(120, 3, 17, 3)
        shuffled.append(walkers.from_array(points[rng.permutation(120)]))
    assert auc(clips) > 0.9
    assert auc(shuffled) < auc(clips) - 0.2


def test_reconstruction_is_the_autoencoders_squared_error_over_a_windows_own_transforms(trained_on_five):
    x = make_windows(walkers.clip(people=2, kinds=("walk", "jump")), trained_on_five.settings.windows, 5).x
    skeleton, expected = get_skeleton("coco18"), []
    with torch.no_grad():
        for window in torch.from_numpy(x):
            errors = []
            for name in TRANSFORMS:
                copy = apply_transforms(window[None], (name,), skeleton)[:, 0]
                _, reconstruction = trained_on_five.network.autoencoder(copy)
                errors.append(float(((reconstruction - copy) ** 2).mean()))
            expected.append(np.mean(errors))
    np.testing.assert_allclose(trained_on_five.anomaly_of(x, "reconstruction"), expected, rtol=1e-3)


def test_a_joints_error_is_its_own_in_mirrored_copies_too(trained):
    x = make_windows(walkers.clip(people=1), trained.settings.windows, 5).x
    wrist = get_skeleton("coco18").index["left_wrist"]
    x[:, 0, :, wrist] += 20
    np.testing.assert_array_equal(trained.joint_errors(x).argmax(axis=1), wrist)


def test_the_decoder_runs_only_where_it_is_asked_for(trained, monkeypatch):
    def refuse(*args):
        raise AssertionError("the decoder ran")

    monkeypatch.setattr(trained.network.autoencoder.decoder, "forward", refuse)
    score_clip(trained, walkers.clip(), ScoringSettings(by="clustering"))
    with pytest.raises(AssertionError, match="decoder"):
        score_clip(trained, walkers.clip(), ScoringSettings(by="both"))


def test_a_model_with_another_network_scores_with_that_one(trained):
    x = make_windows(walkers.clip(people=1), trained.settings.windows, 5).x
    before = trained.anomaly_of(x)  # from here on the network is fused
    other = copy.deepcopy(trained.network)
    torch.nn.init.normal_(other.clustering.theta)
    changed = dataclasses.replace(trained, network=other)
    assert np.abs(changed.anomaly_of(x) - before).max() > 1e-3
    np.testing.assert_array_equal(trained.anomaly_of(x), before)
    with torch.no_grad():
        plain = other.assign(torch.from_numpy(x)).numpy()
    np.testing.assert_allclose(changed.assign(x)[:, 0], plain, rtol=1e-4, atol=1e-5)


def test_windows_are_scored_alike_in_any_batches(trained, monkeypatch):
    from anomaly.scoring import model

    clip = walkers.clip(people=3, kinds=("walk", "jump", "stand"))
    windows = make_windows(clip, trained.settings.windows, 1)
    whole = trained.anomaly(windows)
    monkeypatch.setattr(model, "_BATCH", 7)
    np.testing.assert_allclose(trained.anomaly(windows), whole, rtol=1e-4)


def test_both_is_the_mean_of_the_two_in_units_of_held_out_normal_windows(trained):
    x = make_windows(walkers.clip(kinds=("walk", "jump")), trained.settings.windows, 5).x
    parts = []
    for number, by in enumerate(SCORE_KINDS[:2]):
        low, middle, high = np.nanquantile(trained.calibration.rows[number, 1], (0.25, 0.5, 0.75))
        parts.append((trained.anomaly_of(x, by) - middle) / (high - low))
    np.testing.assert_allclose(trained.anomaly_of(x, "both"), np.mean(parts, axis=0), rtol=1e-6)


@pytest.mark.parametrize("by", SCORE_KINDS)
@pytest.mark.parametrize("mode", FRAME_MODES)
def test_calibration_holds_the_scores_that_scoring_gives_by_every_kind_and_in_every_mode(trained, by, mode):
    clips = [walkers.clip("a", seed=5), walkers.clip("b", seed=6, frames=60)]
    fresh = dataclasses.replace(trained)
    fresh.calibration = calibrate(fresh, clips, lambda *told: None)
    scores = [score_clip(fresh, clip, ScoringSettings(frames=mode, by=by, smoothing_s=0)) for clip in clips]
    rows = np.sort(np.concatenate([s.row_score for s in scores]))
    place = SCORE_KINDS.index(by), FRAME_MODES.index(mode)
    np.testing.assert_allclose(fresh.calibration.rows[place], rows, rtol=1e-4, atol=1e-6)
    frames = np.concatenate([s.frames.score for s in scores])
    floor = fresh.calibration.floor(mode, by)
    np.testing.assert_allclose(
        np.nan_to_num(fresh.calibration.frames[place], nan=floor), frames, rtol=1e-4, atol=1e-6
    )
    assert fresh.calibration.clip.tolist() == [0] * 120 + [1] * 60


def test_windows_are_compared_with_held_out_people_who_have_one_window_s_score_and_people_with_people(
    trained,
):
    clip = walkers.clip(seed=50, kinds=("walk", "run"))
    for mode in FRAME_MODES:
        scores = score_clip(trained, clip, ScoringSettings(frames=mode, by="clustering", smoothing_s=0))
        rows = trained.calibration.rows[0]
        single, own = (r[~np.isnan(r)] for r in (rows[FRAME_MODES.index(m)] for m in ("online", mode)))
        expected = [100 * (single < score).mean() for score in scores.windows.score]
        np.testing.assert_allclose(scores.windows.percentile, expected)
        seen = ~np.isnan(scores.row_score)
        expected = [100 * (own < score).mean() for score in scores.row_score[seen]]
        np.testing.assert_allclose(scores.row_percentile[seen], expected)


@pytest.mark.parametrize("by", SCORE_KINDS)
def test_people_whose_joints_fly_about_are_abnormal_by_every_kind(trained, by):
    settings, calm = ScoringSettings(by=by, smoothing_s=0), walkers.clip(seed=50)
    keypoints = calm.keypoints.copy()
    keypoints[..., :2] += np.random.default_rng(0).normal(0, 60, keypoints[..., :2].shape)
    torn = dataclasses.replace(calm, keypoints=keypoints)
    a, b = (score_clip(trained, clip, settings) for clip in (calm, torn))
    assert np.median(b.frames.score) > np.quantile(a.frames.score, 0.99)
    assert np.nanmedian(b.row_percentile) > 95


def test_a_model_without_a_decoder_says_so(trained):
    model = Model(trained.settings, trained.normality, trained.calibration)
    with pytest.raises(ModelError, match="score by clustering"):
        score_clip(model, walkers.clip(), ScoringSettings(by="reconstruction"))


def test_a_model_without_calibration_does_not_score(trained):
    raw = TrainedModel(trained.settings, trained.normality, network=trained.network)
    with pytest.raises(ModelError, match="calibration"):
        score_clip(raw, walkers.clip())


@pytest.mark.parametrize("wrong", [{"frames": "both"}, {"smoothing_s": -1.0}, {"tail": "cubic"}])
def test_settings_out_of_range_are_refused(wrong):
    with pytest.raises(ConfigError):
        ScoringSettings(**wrong)


def test_a_camera_that_training_has_not_seen_does_not_score_low_by_construction(tiny):
    """The same people under a known and an unknown camera's name: what knows no camera says the same of both."""
    clips = [walkers.clip(f"0{c}_{i}", seed=9 * c + i, people=8, frames=90) for c in (1, 2) for i in range(4)]
    settings = tiny(
        windows={"scale": "stature"},
        training={"pretrain_epochs": 1, "finetune_epochs": 1},  # no part of this sum is the network's
        scoring={"by": "sum", "parts": ["motion", "posture+swing", "place"], "smoothing_s": 0.2},
        densities={"components": 2, "pose_components": 2, "camera": "prefix", "folds": 2},
    )
    model = train_model(clips, settings, seed=0)
    known = walkers.clip("01_9", seed=77, people=8, frames=90)
    unknown = dataclasses.replace(known, clip="07_9")
    scores = {clip.clip: score_clip(model, clip).windows for clip in (known, unknown)}
    motion, pose, place = scores["07_9"].parts
    np.testing.assert_array_equal(scores["01_9"].parts[:2], np.stack([motion, pose]))
    assert np.isfinite(place).all()  # compared with all cameras
    middle = {name: float(np.median(windows.score)) for name, windows in scores.items()}
    assert 0.75 < middle["07_9"] / middle["01_9"] < 1.33, middle


def test_a_network_that_counts_nothing_in_a_sum_is_not_asked_and_the_sum_is_the_same(tiny, monkeypatch):
    clips = [walkers.clip(f"0_{i}", seed=i, people=8, frames=90) for i in range(4)]
    settings = tiny(
        training={"pretrain_epochs": 1, "finetune_epochs": 1},
        scoring={"by": "sum", "parts": ["clustering", "motion"], "weights": "equal"},
        densities={"components": 2, "folds": 2},
    )
    model = train_model(clips, settings, seed=0)
    calibration = model.fitted_calibration
    model = dataclasses.replace(
        model, calibration=dataclasses.replace(calibration, weights=np.array([0.0, 2.0]))
    )
    windows = model.windows_of(clips[0])
    asked = model.fitted_calibration.tails.sum(model.parts(windows))
    monkeypatch.setattr(type(model), "assign", lambda *_: pytest.fail("the network was asked"))
    found, parts = model.score_windows(windows, "sum")
    np.testing.assert_array_equal(found, asked)
    assert np.isneginf(parts[0]).all()
    assert np.isfinite(parts[1]).all()


# ---- small things by hand


def frames_of(score, people=None, track_id=None, first=0):
    """Frame scores with nothing else in them."""
    count = len(score)
    return FrameScores(
        np.arange(first, first + count, dtype=np.int32), np.arange(first, first + count) / 10, np.array(score, float),
        np.array(score, float) * 10, np.array(score) > 1,
        np.array(people if people is not None else [1] * count, np.int32),
        np.array(track_id if track_id is not None else [1] * count, np.int32), np.zeros(count, np.int8),
        np.zeros(count, np.int32),
    )  # fmt: skip


def test_the_context_of_a_part_is_a_window_four_sigmas_and_the_grid_on_both_sides(tiny):
    settings = tiny(windows={"frames": 12, "fps": 20, "max_missing": 2}, scoring={"smoothing_s": 0.5})
    assert context_s(settings, fps=25) == pytest.approx(12 / 20 + 4 * 0.5 + 2 / 25 + 5 / 20)
    assert context_s(settings) == pytest.approx(12 / 20 + 4 * 0.5 + 2 / 24 + 5 / 20)
    assert context_s(settings, RAW, fps=25) == pytest.approx(12 / 20 + 2 / 25 + 5 / 20)
    windows = dataclasses.replace(settings.windows, extent="clip")
    assert context_s(dataclasses.replace(settings, windows=windows)) == np.inf


def test_frames_with_people_of_whom_nobody_could_be_scored_are_not_judged():
    frames = frames_of([1, 1, 1, 1], people=[0, 2, 1, 1], track_id=[NOBODY, NOBODY, 1, 5])
    assert frames.judged.tolist() == [True, False, True, True]


def test_scores_of_a_clip_s_chunks_are_put_together_with_frames_from_0():
    parts = [frames_of([1, 2, 3], first=7), frames_of([], first=0), frames_of([0.5, 4], first=3)]
    whole = FrameScores.concatenate(iter(parts))
    assert whole.frame.tolist() == [0, 1, 2, 3, 4]
    assert whole.frame.dtype == np.int32
    assert whole.score.tolist() == [1, 2, 3, 0.5, 4]
    np.testing.assert_allclose(whole.time_s, [0.7, 0.8, 0.9, 0.3, 0.4])
    assert whole.alarm.tolist() == [False, True, True, False, True]
    nothing = FrameScores.concatenate([])
    assert len(nothing) == 0
    assert nothing.alarm.dtype == bool


def test_what_came_earlier_is_kept_from_a_time_on():
    none = np.zeros(0)
    scores = ClipScores("c", frames_of([1, 2, 3, 4], first=2), none, none, None, np.array([5.0, 6, 7, 8]))
    earlier = Earlier(np.array([0.0, 0.1]), np.array([3.0, 4.0]))
    for since_s, kept in ((-1.0, [3, 4, 5, 6, 7, 8]), (0.1, [4, 5, 6, 7, 8]), (0.25, [6, 7, 8]), (9.0, [])):
        later = earlier.then(scores, since_s)
        assert later.raw.tolist() == kept
        assert len(later) == len(later.time_s) == len(kept)
    assert len(Earlier()) == 0


def test_at_most_a_hundred_thousand_windows_scores_evenly_out_of_all_are_kept():
    for count, step in ((7, 1), (100_000, 1), (100_001, 2), (250_000, 3)):
        scores = np.arange(float(count))
        np.testing.assert_array_equal(_thinned(scores), scores[::step])
    assert len(_thinned(np.zeros(0))) == 0


def test_a_clip_s_score_is_that_of_its_most_abnormal_person_or_the_floor(trained):
    clip = walkers.clip(seed=21, people=3, kinds=("walk", "jump", "walk"))
    assert clip_score(trained, clip) == np.nanmax(score_clip(trained, clip).row_score)
    online = dataclasses.replace(trained.settings.scoring, frames="online", by="reconstruction")
    assert clip_score(trained, clip, online) == np.nanmax(score_clip(trained, clip, online).row_score)
    nobody = walkers.from_array(np.zeros((60, 1, 17, 3)), keep=np.zeros((60, 1), bool))
    scoring, calibration = trained.settings.scoring, trained.fitted_calibration
    assert clip_score(trained, nobody) == calibration.floor(scoring.frames, scoring.by)
    assert clip_score(trained, nobody, online) == calibration.floor("online", "reconstruction")


def test_known_windows_scores_are_used_as_they_are_and_no_network_runs(trained, monkeypatch):
    clip = walkers.clip(seed=22, people=2)
    whole = score_clip(trained, clip)
    monkeypatch.setattr(Model, "score_windows", lambda *_: pytest.fail("the network runs"))
    again = score_clip(trained, clip, known=whole.windows)
    np.testing.assert_array_equal(again.frames.score, whole.frames.score)
    twice = dataclasses.replace(whole.windows, score=whole.windows.score + 1)
    np.testing.assert_allclose(score_clip(trained, clip, known=twice).row_score, whole.row_score + 1)


def test_who_does_not_count_is_as_if_nobody_had_been_scored(trained):
    clip = walkers.clip(seed=23, people=3, kinds=("walk", "jump", "walk"))
    asked = []

    def but_the_jumper(boxes, percentiles, frame_size):
        asked.append(percentiles)
        np.testing.assert_array_equal(boxes, clip.boxes)
        return clip.track != 2

    found = score_clip(trained, clip, counting=but_the_jumper)
    everybody = score_clip(trained, clip)
    np.testing.assert_array_equal(asked[0], everybody.row_percentile)
    mine = clip.track == 2
    assert np.isnan(found.row_score[mine]).all()
    assert np.isnan(found.row_percentile[mine]).all()
    np.testing.assert_array_equal(found.row_score[~mine], everybody.row_score[~mine])
    assert set(found.frames.track_id) <= {1, 3}
    assert 2 in everybody.frames.track_id
    assert (found.frames.people == 3).all()
    nobody = score_clip(trained, clip, counting=lambda boxes, *_: np.zeros(len(boxes), bool))
    assert (nobody.frames.track_id == NOBODY).all()
    assert not nobody.frames.judged.any()


def test_a_clip_that_goes_on_is_smoothed_from_the_frames_before(trained):
    clip = walkers.clip(seed=24, people=2, frames=120, kinds=("walk", "jump"))
    online = dataclasses.replace(trained.settings.scoring, frames="online", smoothing_s=0.5)
    whole = score_clip(trained, clip, online)
    before = Earlier(clip.time_s[:60], whole.raw[:60])
    later = dataclasses.replace(
        whole.windows, first_frame=whole.windows.first_frame, windows=whole.windows.windows
    )
    rest = score_clip(trained, cut_frames(clip, 60, 120), online, known=later, earlier=before)
    np.testing.assert_allclose(rest.frames.score, whole.frames.score[60:])
    assert len(rest.raw) == 60
    np.testing.assert_allclose(rest.raw, whole.raw[60:])
    alone = score_clip(trained, cut_frames(clip, 60, 120), online, known=later)
    assert np.abs(alone.frames.score - whole.frames.score[60:])[:10].max() > 1e-6


def test_windows_say_which_frames_of_the_clip_they_begin_and_end_with_and_frames_how_many_people_they_have(
    trained,
):
    keep = np.ones((60, 2), bool)
    keep[50:, 1] = False
    clip = walkers.from_array(walkers.clip(people=2, frames=60).keypoints.reshape(60, 2, 17, 3), keep=keep)
    found = score_clip(trained, clip)
    windows = found.windows
    np.testing.assert_array_equal(
        windows.first_frame, windows.windows.first
    )  # 24 frames a second, as the model's grid
    np.testing.assert_array_equal(windows.last_frame, windows.windows.first + 11)
    assert len(windows) == len(windows.windows)
    assert found.frames.people.tolist() == [2] * 50 + [1] * 10
    assert found.frames.frame.tolist() == list(range(60))
    assert found.clip == clip.clip
    low = score_clip(trained, clip, false_alarm_rate=0.9).frames
    assert low.alarm.sum() > found.frames.alarm.sum()


@pytest.mark.parametrize("by", ["clustering", "sum"])
def test_frames_in_which_the_surroundings_decide_say_what_they_are_about(trained, monkeypatch, by):
    monkeypatch.setattr(Model, "surroundings_of", lambda *_: pytest.fail("they are known"))
    alone = np.tile(1e6 + np.arange(1000.0), (len(FRAME_MODES), 1))  # above all that people score
    calibration = dataclasses.replace(trained.fitted_calibration, alone=alone)
    model = dataclasses.replace(trained, calibration=calibration)
    clip, scoring = walkers.clip(seed=25, people=2, frames=60), dataclasses.replace(RAW, by=by)
    p, part, who = np.ones(60), np.full(60, -1, np.int8), np.zeros(60, np.int32)
    for place, (first, someone) in enumerate(((10, 77), (20, 2), (30, 0))):  # a thing, who stays, a crowd
        p[first : first + 10], part[first : first + 10], who[first : first + 10] = 1e-6, place, someone
    p[45], part[45], who[45] = 0.01, 0, 77  # as one normal moment in a hundred: it does not count
    around = Surroundings(p, part, who)
    people = score_clip(model, clip, scoring, around=Surroundings(np.ones(60), np.full(60, -1, np.int8), who))
    found = score_clip(model, clip, scoring, around=around)
    assert found.around is around
    frames, decided = found.frames, p < 1e-3
    assert frames.cause.tolist() == [0] * 10 + [1] * 10 + [2] * 10 + [3] * 10 + [0] * 20
    assert frames.thing_id.tolist() == [0] * 10 + [77] * 10 + [0] * 40
    expected = people.frames.track_id.copy()
    expected[20:30] = 2
    np.testing.assert_array_equal(frames.track_id, expected)
    assert set(expected[decided]) == {1, 2}
    assert [frames.cause.dtype, frames.thing_id.dtype, frames.track_id.dtype] == [np.int8, np.int32, np.int32]
    np.testing.assert_array_equal(frames.score[~decided], people.frames.score[~decided])
    assert (frames.score[decided] > 1e6).all()
    assert not people.frames.cause.any()
