"""MPED-RNN (Morais et al., CVPR 2019) as a baseline."""

import dataclasses

import numpy as np
import pytest
import torch

from anomaly.baselines.mped_rnn import model as mped_rnn
from anomaly.baselines.mped_rnn.features import RobustScale, decompose, person_features
from anomaly.baselines.mped_rnn.model import MpedRnn
from anomaly.baselines.mped_rnn.network import MpedRnnNetwork, Parts, errors, segment_loss
from anomaly.baselines.mped_rnn.settings import MpedRnnSettings
from anomaly.data.windows import Windows, make_windows
from anomaly.settings import WindowSettings
from pose_extract.errors import ConfigError, ModelError, TrainingError
from tests.helpers import walkers
from tests.helpers.naive import arrays, below

QUICK = MpedRnnSettings(
    input=8, prediction=4, stride=4, score_stride=2, hidden_global=8, hidden_local=16, batch_size=64, epochs=6,
    learning_rate=1e-2,
)  # fmt: skip
SETTINGS = WindowSettings(skeleton="coco17", frames=24, train_stride=12)


def windows_of(kinds=("walk",), seeds=range(6), settings=SETTINGS, people=3):
    clips = [walkers.clip(seed=seed, kinds=kinds, people=people) for seed in seeds]
    return Windows.concatenate(make_windows(clip, settings, settings.train_stride) for clip in clips)


@pytest.fixture(scope="module")
def walking():
    return windows_of()


@pytest.fixture(scope="module")
def fitted(walking):
    """Knows walking; do not change it."""
    model = MpedRnn(QUICK)
    model.fit(walking)
    return model


def changed(windows, **arrays):
    return dataclasses.replace(windows, **arrays)


# --- The equations ----------------------------------------------------------------------------------------------------


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def linear(params, x):
    return params["weight"] @ x + params["bias"]


def gru(params, x, h):
    """A gated recurrent unit whose reset gate works on the transformed state."""
    into = np.split(params["weight_ih"] @ x + params["bias_ih"], 3)
    back = np.split(params["weight_hh"] @ h + params["bias_hh"], 3)
    reset, update = sigmoid(into[0] + back[0]), sigmoid(into[1] + back[1])
    new = np.tanh(into[2] + reset * back[2])
    return (1 - update) * new + update * h


def step(params, h_g, h_l, f_g=(), f_l=()):
    """Equations 4 to 11: both branches hear the other's state from the step before."""
    m_lg = sigmoid(linear(below(params, "to_body"), h_l))
    m_gl = sigmoid(linear(below(params, "to_posture"), h_g))
    return (
        gru(below(params, "body"), np.concatenate([f_g, m_lg]), h_g),
        gru(below(params, "posture"), np.concatenate([f_l, m_gl]), h_l),
    )


def project(params, h_g, h_l):
    f_g, f_l = linear(below(params, "body"), h_g), linear(below(params, "posture"), h_l)
    return f_g, f_l, linear(below(params, "image"), np.concatenate([f_g, f_l]))


def naive_forward(params, f_g, f_l, steps):
    """One segment's reconstructed and predicted frames, each (global, local, image)."""
    h_g, h_l = (np.zeros(params[f"encoder.{name}.weight_hh"].shape[1]) for name in ("body", "posture"))
    for t in range(len(f_g)):
        h_g, h_l = step(below(params, "encoder"), h_g, h_l, f_g[t], f_l[t])
    runs = []
    for name, count in (("reconstruction", len(f_g)), ("prediction", steps)):
        states, run = (h_g, h_l), []
        for _ in range(count):
            states = step(below(params, f"{name}.branches"), *states)
            run.append(project(below(params, name), *states))
        runs.append(run[::-1] if name == "reconstruction" else run)
    return runs


def random_network(joints=3, **changes):
    torch.manual_seed(0)
    settings = dataclasses.replace(QUICK, hidden_global=3, hidden_local=5, **changes)
    return MpedRnnNetwork(joints, settings).double()


def test_the_network_is_the_papers_equations():
    network, rng = random_network(), np.random.default_rng(0)
    f_g, f_l = rng.normal(size=(2, 7, 4)), rng.normal(size=(2, 7, 6))
    decoded = network(torch.tensor(f_g), torch.tensor(f_l), 4)
    for i in range(2):
        for parts, run in zip(decoded, naive_forward(arrays(network), f_g[i], f_l[i], 4), strict=True):
            assert len(run) == parts.body.shape[1]
            for part, frames in zip(parts, zip(*run, strict=True), strict=True):
                np.testing.assert_allclose(part[i].detach(), np.array(frames), atol=1e-12)


def test_each_branch_hears_the_other_from_the_next_step_on():
    network, rng = random_network(), np.random.default_rng(0)
    body, posture = torch.tensor(rng.normal(size=(1, 6, 4))), torch.tensor(rng.normal(size=(1, 6, 6)))
    moved = body.clone()
    moved[0, 5] += 1  # at the last encoded frame: only the decoders can still pass it on
    before, after = network(body, posture, 3)[1], network(moved, posture, 3)[1]
    apart = (before.posture - after.posture).abs().amax(dim=2)[0]
    assert (apart > 1e-6).all()
    with torch.no_grad():
        for part in (network.encoder, network.reconstruction.branches, network.prediction.branches):
            part.to_posture.weight.zero_()
    before, after = network(body, posture, 3)[1], network(moved, posture, 3)[1]
    torch.testing.assert_close(before.posture, after.posture)
    assert not torch.allclose(before.body, after.body)


def test_the_loss_is_the_papers_equations():
    rng = np.random.default_rng(0)
    settings = dataclasses.replace(QUICK, weight_global=0.5, weight_local=2.0, weight_perceptual=3.0)
    sizes, past, future = (4, 6, 6), 5, 2
    decoded = [rng.normal(size=(1, past + future, size)) for size in sizes]
    wanted = [rng.normal(size=(1, past + future, size)) for size in sizes]
    expected = 0.0
    for weight, mine, true in zip((0.5, 2.0, 3.0), decoded, wanted, strict=True):
        squares = [((mine[0, t] - true[0, t]) ** 2).sum() for t in range(past + future)]
        expected += weight / 2 * (sum(squares[:past]) / past + sum(squares[past:]) / future)
    runs = [
        errors(
            Parts(*(torch.tensor(part[:, run]) for part in decoded)),
            Parts(*(torch.tensor(part[:, run]) for part in wanted)),
            torch.ones(1, run.stop - run.start, 3),
        )
        for run in (slice(0, past), slice(past, past + future))
    ]
    assert segment_loss(*runs, settings).item() == pytest.approx(expected)


def test_joints_and_frames_that_were_not_seen_count_for_nothing():
    rng = np.random.default_rng(0)
    decoded = Parts(*(torch.tensor(rng.normal(size=(1, 4, size))) for size in (4, 6, 6)))
    wanted = Parts(*(torch.tensor(rng.normal(size=(1, 4, size))) for size in (4, 6, 6)))
    seen = torch.ones(1, 4, 3, dtype=torch.float64)
    seen[0, 1, 2] = 0
    seen[0, 3] = 0
    far = Parts(*(part.clone() for part in wanted))
    far.posture[0, 1, 4:] = far.image[0, 1, 4:] = 1e6
    for part in far:
        part[0, 3] = 1e6
    for one, other in zip(errors(decoded, wanted, seen), errors(decoded, far, seen), strict=True):
        torch.testing.assert_close(one, other)
    nothing = errors(decoded, wanted, torch.zeros(1, 4, 3))
    assert [part.item() for part in nothing] == [0, 0, 0]


def test_its_gradients_are_right():
    network, rng = random_network(joints=2), np.random.default_rng(0)
    body, posture, image = (torch.tensor(rng.normal(size=(2, 5, size))) for size in (4, 4, 4))
    seen = torch.tensor(rng.random((2, 5, 2)) > 0.3, dtype=torch.float64)

    def loss(body, posture, weight):
        del weight
        past = Parts(body[:, :3], posture[:, :3], image[:, :3])
        future = Parts(body[:, 3:], posture[:, 3:], image[:, 3:])
        rebuilt, foreseen = network(past.body, past.posture, 2)
        return segment_loss(errors(rebuilt, past, seen[:, :3]), errors(foreseen, future, seen[:, 3:]), QUICK)

    weight = network.encoder.to_body.weight
    assert torch.autograd.gradcheck(loss, (body.requires_grad_(), posture.requires_grad_(), weight))


# --- Features ---------------------------------------------------------------------------------------------------------


def test_a_decomposed_skeleton_can_be_put_together_again():
    joints = np.random.default_rng(0).normal(300, 100, (5, 4, 17, 2))
    body, local = decompose(joints, np.ones((5, 4, 17), bool))
    composed = body[..., None, :2] + local * body[..., None, 2:]
    np.testing.assert_allclose(composed, joints, rtol=0, atol=1e-9)
    assert np.abs(local).max() == pytest.approx(0.5)
    x = joints[2, 3, :, 0]
    assert body[2, 3, 0] == pytest.approx((x.max() + x.min()) / 2)
    assert body[2, 3, 2] == pytest.approx(x.max() - x.min())


def test_posture_is_free_of_place_and_size_and_the_body_is_not():
    joints = np.random.default_rng(0).normal(size=(17, 2))
    known = np.ones(17, bool)
    body, local = decompose(joints, known)
    moved, same = decompose(joints * (2, 3) + (5, -1), known)
    np.testing.assert_allclose(local, same, atol=1e-12)
    np.testing.assert_allclose(moved, body * (2, 3, 2, 3) + (5, -1, 0, 0))


def test_joints_that_are_not_known_do_not_shape_the_box():
    joints = np.random.default_rng(0).normal(size=(3, 17, 2))
    known = np.ones((3, 17), bool)
    known[:, 4] = known[2] = False
    far = joints.copy()
    far[:, 4] = 1e6
    for one, other in zip(decompose(joints, known), decompose(far, known), strict=True):
        np.testing.assert_array_equal(one, other)
        assert np.isfinite(one).all()


def test_a_single_joint_has_a_box_without_a_size():
    joints, known = np.ones((17, 2)), np.arange(17) == 3
    body, local = decompose(joints, known)
    np.testing.assert_array_equal(body, (1, 1, 0, 0))
    np.testing.assert_array_equal(local, 0)


def test_features_are_scaled_by_the_middle_four_fifths_of_what_is_seen():
    rng = np.random.default_rng(0)
    features, seen = rng.normal(size=(50, 10, 4 + 8)).astype(np.float32), rng.random((50, 10, 2)) > 0.2
    strange = features.copy()
    strange[..., 4:6][~seen[..., 0]] = 1e6
    scale = RobustScale.from_features(strange, seen)
    values = features[..., 4][seen[..., 0]]
    assert scale.median[4] == pytest.approx(np.median(values))
    assert scale.range[4] == pytest.approx(np.quantile(values, 0.9) - np.quantile(values, 0.1), rel=1e-5)


def test_a_feature_that_never_changes_has_a_range_all_the_same():
    features = np.random.default_rng(0).normal(size=(50, 10, 12)).astype(np.float32)
    features[..., 0] = features[..., 4:] = 3
    scaled = RobustScale.from_features(features, np.ones((50, 10, 2), bool)).apply(features)
    assert np.isfinite(scaled).all()
    assert np.abs(scaled).max() < 100


# --- Segments ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("frames", "lengths"),
    [(60, (12, 6)), (18, (12, 6)), (12, (8, 4)), (17, (11, 6)), (3, (2, 1)), (2, (1, 1))],
)
def test_windows_shorter_than_a_segment_are_split_in_its_proportion(frames, lengths):
    assert MpedRnnSettings().lengths(frames) == lengths


@pytest.mark.parametrize("frames", [2, 5, 12, 13, 24, 31])
@pytest.mark.parametrize("stride", [1, 5, 8])
def test_segments_leave_no_frame_out(frames, stride):
    model = MpedRnn(dataclasses.replace(QUICK, score_stride=stride))
    encoded, _ = model.settings.lengths(frames)
    begins = model._begins(frames, min(stride, encoded))
    assert set(range(frames)) == {int(b) + t for b in begins for t in range(encoded)}
    assert begins[-1] + encoded == frames


def test_a_frame_has_the_mean_of_all_that_decodes_it(fitted, walking):
    """Equation 16, segment by segment; what is predicted beyond the window's end is cut off."""
    one = walking.pick([5])
    features, _ = person_features(one)
    x = torch.from_numpy(fitted.scale.apply(features))[0]
    votes = [[] for _ in range(24)]
    for begin in fitted._begins(24, QUICK.score_stride):
        segment = x[begin : begin + 8][None]
        decoded = fitted.network(segment[..., :4], segment[..., 4:38], 4)
        for parts, run in zip(decoded, (range(begin, begin + 8), range(begin + 8, begin + 12)), strict=True):
            run = [t for t in run if t < 24]
            if run:
                error = (parts.image[0, : len(run)] - x[run, 38:]).square().sum(dim=1).mean().item()
                for t in run:
                    votes[t].append(error)
    expected = np.array([np.mean(v) for v in votes])
    np.testing.assert_allclose(fitted.score_frames(one)[0], expected, rtol=1e-4)
    np.testing.assert_allclose(fitted.score_samples(one)[0], expected.mean(), rtol=1e-4)


# --- Learning and scoring ---------------------------------------------------------------------------------------------


def test_its_loss_falls(fitted):
    assert len(fitted.history) == QUICK.epochs
    assert fitted.history[-1] < 0.7 * fitted.history[0]


@pytest.mark.parametrize("kind", ["run", "jump"])
def test_somebody_who_moves_differently_ranks_first(fitted, kind):
    stranger = fitted.score_samples(windows_of((kind,), [100], people=1)).mean()
    others = [fitted.score_samples(windows_of(seeds=[seed], people=1)).mean() for seed in range(50, 62)]
    assert stranger > max(others)
    assert stranger > 3 * np.median(others)


def test_scores_do_not_depend_on_the_order_or_the_company_of_windows(fitted, walking, monkeypatch):
    scores = fitted.score_samples(walking)
    order = np.random.default_rng(0).permutation(len(walking))
    np.testing.assert_allclose(fitted.score_samples(walking.pick(order)), scores[order], rtol=1e-4)
    monkeypatch.setattr(mped_rnn, "_SEGMENTS_A_CALL", 1)
    np.testing.assert_allclose(fitted.score_samples(walking), scores, rtol=1e-4)


def test_scores_do_not_depend_on_how_sure_a_joint_is(fitted, walking):
    points = walking.points.copy()
    points[..., 2] *= 0.5
    np.testing.assert_array_equal(
        fitted.score_samples(changed(walking, points=points)), fitted.score_samples(walking)
    )


def test_to_be_where_nobody_was_is_abnormal(fitted, walking):
    """Place is a part of the global component, so scores are not free of it."""
    points = walking.points.copy()
    points[..., 1] -= 1.5
    assert (fitted.score_samples(changed(walking, points=points)) > fitted.score_samples(walking)).all()


def test_unit_and_origin_of_the_coordinates_do_not_matter(walking):
    """Frames' shares or pixels: the same in training and scoring, they give the same scores."""
    points = walking.points.copy()
    points[..., :2] = points[..., :2] * (640, 360) + (320, 180)
    settings, scores = dataclasses.replace(QUICK, epochs=2), []
    for windows in (walking, changed(walking, points=points)):
        model = MpedRnn(settings)
        model.fit(windows)
        scores.append(model.score_samples(windows))
    np.testing.assert_allclose(scores[0], scores[1], rtol=5e-3)


def test_it_is_the_same_again_with_the_same_seed(walking, fitted):
    torch.manual_seed(123)
    again, other = MpedRnn(QUICK), MpedRnn(dataclasses.replace(QUICK, epochs=1), seed=1)
    again.fit(walking)
    other.fit(walking)
    np.testing.assert_array_equal(again.score_samples(walking), fitted.score_samples(walking))
    assert other.history[0] != fitted.history[0]


def test_missing_joints_are_no_trouble(walking):
    rng = np.random.default_rng(0)
    points = walking.points.copy()
    points[rng.random(points.shape[:2]) < 0.2] = 0
    points[:, 3] = 0  # an ear that nobody has
    points[::10] = 0  # frames without anybody
    holes = changed(walking, points=points)
    model = MpedRnn(QUICK)
    model.fit(holes)
    assert np.isfinite(model.history).all()
    assert model.history[-1] < model.history[0]
    scores = model.score_samples(holes)
    assert np.isfinite(scores).all()
    assert (scores > 0).all()


def test_a_joint_that_is_missing_for_a_moment_hardly_matters(fitted, walking):
    points = walking.points.copy()
    points[np.arange(0, len(points), 6), 9] = 0
    np.testing.assert_allclose(
        fitted.score_samples(changed(walking, points=points)), fitted.score_samples(walking), rtol=0.2
    )


def test_a_window_in_which_nothing_is_seen_is_not_abnormal(fitted, walking):
    nothing = changed(walking.pick([0]), points=np.zeros_like(walking.points))
    assert fitted.score_samples(nothing) == 0
    assert (fitted.score_frames(nothing) == 0).all()


def test_of_two_people_in_a_window_the_more_abnormal_counts():
    alone = WindowSettings(skeleton="coco17", extent="clip", frames=12)
    both = dataclasses.replace(alone, people=2)
    clips = [walkers.clip(seed=i, people=2) for i in range(10)]
    model, pairs = MpedRnn(QUICK), MpedRnn(QUICK)
    singles = Windows.concatenate(make_windows(clip, alone, 1) for clip in clips)
    couples = Windows.concatenate(make_windows(clip, both, 1) for clip in clips)
    model.fit(singles)
    pairs.fit(couples)
    np.testing.assert_allclose(
        pairs.score_samples(couples), model.score_samples(singles).reshape(10, 2).max(axis=1), rtol=1e-3
    )
    lonely = make_windows(walkers.clip(seed=3, people=1), both, 1)
    assert np.isfinite(pairs.score_samples(lonely)).all()


def test_no_windows_have_no_scores(fitted, walking):
    assert fitted.score_samples(walking.pick(slice(0))).shape == (0,)
    assert fitted.score_frames(walking.pick(slice(0))).shape == (0, 24)


# --- What it refuses --------------------------------------------------------------------------------------------------


def test_three_dimensions_are_refused(walking):
    flat = WindowSettings(skeleton="coco17", features="xyz", frames=24)
    deep = Windows(flat, np.zeros((48, 17, 4), np.float32), *(np.zeros(1, int) for _ in range(5)), ())
    for refuse in (MpedRnn(QUICK).fit, MpedRnn(QUICK).score_samples):
        with pytest.raises(ModelError, match="expected 2-D joints, got 3-D"):
            refuse(deep)


def test_too_few_windows_are_refused(walking):
    with pytest.raises(TrainingError, match="at least 8 people in windows to learn from, got 7"):
        MpedRnn(QUICK).fit(walking.pick(slice(7)))


def test_a_loss_that_explodes_is_told(walking, monkeypatch):
    monkeypatch.setattr("anomaly.baselines.mped_rnn.settings.MOST_RATE", 1e30)
    with pytest.raises(TrainingError, match="no longer a number"):
        MpedRnn(dataclasses.replace(QUICK, learning_rate=1e30)).fit(walking)


def test_scores_need_a_fitted_model_and_windows_of_its_kind(fitted, walking):
    with pytest.raises(ModelError, match="call fit first"):
        MpedRnn(QUICK).score_samples(walking)
    other = changed(walking, settings=dataclasses.replace(SETTINGS, frames=12))
    with pytest.raises(ModelError, match="other windows settings"):
        fitted.score_samples(other)


@pytest.mark.parametrize(
    "wrong",
    [
        {"input": 0}, {"prediction": 0}, {"stride": 0}, {"score_stride": 13}, {"hidden_global": 0},
        {"hidden_local": 10**6}, {"weight_global": -1.0}, {"weight_perceptual": 0.0}, {"batch_size": 0}, {"epochs": 0},
        {"learning_rate": 0.0},
    ],
)  # fmt: skip
def test_settings_out_of_range_are_refused(wrong):
    with pytest.raises(ConfigError, match=rf"mped_rnn\.{next(iter(wrong))}: expected"):
        MpedRnnSettings(**wrong)
