import numpy as np
import pytest
import torch

from anomaly.baselines.frame_prediction import losses
from anomaly.baselines.frame_prediction.flow import optical_flow, warp
from anomaly.baselines.frame_prediction.model import FramePrediction
from anomaly.baselines.frame_prediction.network import PatchDiscriminator, UNet
from anomaly.baselines.frame_prediction.settings import FramePredictionSettings
from anomaly.baselines.frames import Segments
from pose_extract.errors import ConfigError, ModelError, TrainingError
from tests.helpers.moving_squares import RIGHT, square

SMALL = {
    "size": 32,
    "width": 8,
    "scales": 3,
    "steps": 120,
    "batch_size": 8,
    "learning_rate": 3e-3,
    "discriminator_width": 4,
    "flow": 0.1,
    "adversarial": 0.0,
}


def frames(*shape, seed=0):
    """Random frames of -1..1 in float64."""
    return torch.from_numpy(np.random.default_rng(seed).uniform(-1, 1, shape))


def texture(height, width, seed=0):
    """(height, width) smooth random grey levels of -1..1, as a function of a shift (dx, dy) in pixels."""
    rng = np.random.default_rng(seed)
    waves = [(*rng.uniform(-0.6, 0.6, 2), rng.uniform(0, 6.3)) for _ in range(24)]
    y, x = np.mgrid[:height, :width]

    def at(dx=0.0, dy=0.0):
        grey = sum(np.sin(a * (x - dx) + b * (y - dy) + phase) for a, b, phase in waves) / 8
        return torch.from_numpy(np.clip(grey, -1, 1))[None, None].repeat(1, 3, 1, 1)

    return at


@pytest.fixture(scope="module")
def trained():
    """Has seen squares that move to the right."""
    model = FramePrediction(FramePredictionSettings(**SMALL), seed=1)
    model.fit([square(RIGHT, seed) for seed in range(40)])
    return model


def test_the_defaults_are_the_published_settings():
    settings = FramePredictionSettings()
    assert (settings.size, settings.past, settings.width, settings.scales) == (256, 4, 64, 4)
    assert (settings.batch_size, settings.learning_rate, settings.discriminator_rate) == (4, 2e-4, 2e-5)
    weights = (settings.intensity, settings.gradient, settings.flow, settings.adversarial)
    assert weights == (1.0, 1.0, 2.0, 0.05)


@pytest.mark.parametrize(
    "wrong",
    [
        {"size": 100},
        {"size": 8},
        {"past": 0},
        {"scales": 0},
        {"steps": 0},
        {"learning_rate": 0.0},
        {"flow": -1.0},
        {"adversarial": float("nan")},
        {"intensity": 0.0},
        {"flow_window": 4},
        {"score_every": 0},
    ],
)
def test_a_setting_out_of_range_is_named(wrong):
    with pytest.raises(ConfigError, match=f"frame_prediction.{next(iter(wrong))}: expected"):
        FramePredictionSettings(**wrong)


def test_the_intensity_loss_is_the_mean_squared_difference():
    a, b = frames(2, 3, 6, 7), frames(2, 3, 6, 7, seed=1)
    assert losses.intensity_loss(a, b).item() == pytest.approx(np.mean((a.numpy() - b.numpy()) ** 2))


def test_the_gradient_loss_compares_the_sizes_of_neighbours_differences():
    a, b = frames(2, 3, 6, 7), frames(2, 3, 6, 7, seed=1)
    across, down = [], []
    for p, q in zip(a.numpy().reshape(6, 6, 7), b.numpy().reshape(6, 6, 7), strict=True):
        for i in range(6):
            for j in range(7):
                if i:
                    down.append(abs(abs(p[i, j] - p[i - 1, j]) - abs(q[i, j] - q[i - 1, j])))
                if j:
                    across.append(abs(abs(p[i, j] - p[i, j - 1]) - abs(q[i, j] - q[i, j - 1])))
    assert losses.gradient_loss(a, b).item() == pytest.approx(np.mean(across) + np.mean(down))
    assert losses.gradient_loss(-a, a).item() == 0.0  # sizes only


def test_the_adversarial_losses_are_least_squares():
    real, predicted = frames(4, 1, 3, 3), frames(4, 1, 3, 3, seed=1)
    r, p = real.numpy(), predicted.numpy()
    assert losses.discriminator_loss(real, predicted).item() == pytest.approx(
        0.5 * np.mean((r - 1) ** 2) + 0.5 * np.mean(p**2)
    )
    assert losses.generator_loss(predicted).item() == pytest.approx(0.5 * np.mean((p - 1) ** 2))


def test_the_flow_loss_is_the_mean_difference_of_two_flows_from_the_previous_frame():
    previous, real, predicted = (frames(2, 3, 16, 16, seed=seed) for seed in range(3))
    found = losses.flow_loss(predicted, real, previous, 2, 2, 5).item()
    difference = optical_flow(previous, predicted, 2, 2, 5) - optical_flow(previous, real, 2, 2, 5)
    assert found == pytest.approx(np.mean(np.abs(difference.numpy())))
    assert losses.flow_loss(real, real, previous, 2, 2, 5).item() == 0.0


def test_psnr_is_that_of_the_definition_and_ends_where_eight_bits_do():
    a, b = frames(3, 3, 8, 8), frames(3, 3, 8, 8, seed=1)
    error = ((a.numpy() - b.numpy()) ** 2).mean(axis=(1, 2, 3))
    np.testing.assert_allclose(losses.psnr(a, b).numpy(), 10 * np.log10(2**2 / error))
    # The same in grey levels: the peak is 255.
    in_levels = ((a.numpy() - b.numpy()) ** 2 * 127.5**2).mean(axis=(1, 2, 3))
    np.testing.assert_allclose(losses.psnr(a, b).numpy(), 10 * np.log10(255**2 / in_levels))
    assert losses.psnr(a, a).numpy() == pytest.approx(58.92, abs=0.01)


@pytest.mark.parametrize("loss", ["intensity", "gradient", "generator", "flow"])
def test_gradients_of_the_losses_are_right(loss):
    shape = (1, 3, 8, 8)
    predicted, real = frames(*shape, seed=3).requires_grad_(), frames(*shape, seed=4)
    functions = {
        "intensity": lambda p: losses.intensity_loss(p, real),
        "gradient": lambda p: losses.gradient_loss(p, real),
        "generator": losses.generator_loss,
        "flow": lambda p: losses.flow_loss(0.2 * p, 0.2 * real, texture(8, 8)(), 1, 3, 5),
    }
    assert torch.autograd.gradcheck(functions[loss], (predicted,))


@pytest.mark.parametrize("shift", [(1, 0), (0, -2), (0.5, 0.25), (-3, 2), (2, -4)])
def test_flow_finds_how_far_a_texture_moved(shift):
    at = texture(48, 64)
    flow = optical_flow(at(), at(*shift))[0].numpy()
    inside = flow[:, 10:-10, 10:-10].reshape(2, -1)
    np.testing.assert_allclose(np.median(inside, axis=1), shift, atol=0.05)
    assert np.abs(inside - np.array(shift)[:, None]).mean() < 0.1


def test_flow_settles_down_instead_of_growing_ripples():
    at = texture(48, 64)
    errors = [
        (optical_flow(at(), at(1, 0), iterations=n)[0, 0, 10:-10, 10:-10] - 1).abs().mean() for n in (3, 20)
    ]
    assert errors[1] < 0.1


def test_nothing_moves_in_equal_frames_and_without_texture():
    assert optical_flow(texture(32, 32)(), texture(32, 32)()).abs().max() < 1e-12
    assert optical_flow(torch.zeros(1, 3, 32, 32), torch.full((1, 3, 32, 32), 0.5)).abs().max() == 0


def test_warping_by_the_flow_undoes_the_motion():
    at = texture(48, 64)
    first, second = at(), at(2, 1)
    undone = warp(second, optical_flow(first, second))
    inside = np.s_[..., 8:-8, 8:-8]
    assert (undone - first)[inside].abs().mean() < 0.1 * (second - first)[inside].abs().mean()


def test_warping_moves_whole_pixels_exactly():
    image = frames(1, 3, 6, 8)
    u = torch.zeros(1, 2, 6, 8, dtype=torch.float64)
    u[:, 0], u[:, 1] = 2, -1
    np.testing.assert_allclose(warp(image, u)[..., 1:, :-2].numpy(), image[..., :-1, 2:].numpy(), atol=1e-12)


def test_a_prediction_is_a_frame_of_the_range_and_depends_on_its_own_past_alone():
    torch.manual_seed(0)
    network = UNet(past=4, width=4, scales=3).double()
    past = 5 * frames(3, 12, 16, 24)
    together = network(past)
    assert together.shape == (3, 3, 16, 24)
    assert together.abs().max() <= 1
    np.testing.assert_allclose(network(past[1:2]).detach(), together[1:2].detach(), atol=1e-12)


def test_the_discriminator_sees_patches():
    discriminator = PatchDiscriminator(4).double()
    image = frames(1, 3, 64, 64)
    verdict = discriminator(image)
    assert verdict.shape == (1, 1, 8, 8)
    changed = image.clone()
    changed[..., :8, :8] = 0
    moved = (discriminator(changed) - verdict).abs()[0, 0] > 0
    assert moved[0, 0]
    assert not moved[4:, 4:].any()


def test_the_losses_fall(trained):
    for name in ("intensity", "gradient", "flow", "total"):
        assert trained.losses[name][-20:].mean() < 0.7 * trained.losses[name][:5].mean(), name


def test_another_motion_scores_higher_than_the_one_that_was_learned(trained):
    usual = trained.score_samples(square(RIGHT, seed) for seed in range(100, 110))
    for velocity in ((0, -1), (3, 0), (-2, 1)):
        unusual = trained.score_samples(square(velocity, seed) for seed in range(100, 110))
        assert unusual.min() > usual.max(), velocity


def test_the_frame_in_which_something_appears_scores_highest(trained):
    for seed in range(5):
        assert trained.score_frames(square(RIGHT, seed, appears=8)).argmax() == 8


def test_scores_are_a_clips_own(trained):
    clips = [square(RIGHT, seed, frames=length) for seed, length in ((1, 5), (2, 30), (3, 9))]
    alone = [trained.score_samples([clip])[0] for clip in clips]
    np.testing.assert_array_equal(trained.score_samples(clips), alone)
    np.testing.assert_array_equal(trained.score_samples(clips[::-1]), alone[::-1])
    assert alone[1] == pytest.approx(trained.score_frames(clips[1]).mean())


def test_the_first_frames_take_the_first_score_there_is(trained):
    clip = square((0, -1), 3)
    scores = trained.score_frames(clip)
    assert scores.shape == (12,)
    assert np.isfinite(scores).all()
    assert (scores[:4] == scores[4]).all()
    assert len(set(scores[4:])) == 8
    # A frame's score comes from it and the four before it.
    np.testing.assert_allclose(trained.score_frames(clip[3:9])[4:], scores[7:9], rtol=1e-5)


def test_a_long_clip_is_predicted_in_pieces(trained, monkeypatch):
    clip = square(RIGHT, 3, frames=25)
    whole = trained.score_frames(clip)
    monkeypatch.setattr("anomaly.baselines.frame_prediction.model._SCORING_PIXELS", 3 * 32 * 32)
    np.testing.assert_allclose(trained.score_frames(clip), whole, rtol=1e-5)


def with_settings(trained, **changes):
    other = FramePrediction(FramePredictionSettings(**{**SMALL, **changes}))
    other._network = trained._network
    return other


def test_frames_left_out_take_the_score_before_them(trained):
    clip = square((0, -1), 3, frames=13)
    every, third = trained.score_frames(clip), with_settings(trained, score_every=3).score_frames(clip)
    np.testing.assert_allclose(third, every[[4, 4, 4, 4, 4, 4, 4, 7, 7, 7, 10, 10, 10]], rtol=1e-5)


def test_normalised_scores_run_from_0_to_1_in_each_clip(trained):
    clip = square((0, -1), 3)
    plain, normalised = trained.score_frames(clip), with_settings(trained, normalise=True).score_frames(clip)
    np.testing.assert_allclose(normalised, (plain - plain.min()) / (plain.max() - plain.min()))
    assert (with_settings(trained, normalise=True).score_frames(clip[:5]) == 0).all()  # one score: no spread


def test_the_same_seed_gives_the_same_scores_and_touches_no_other_generator():
    clips = [square(RIGHT, seed) for seed in range(4)]
    settings = FramePredictionSettings(**{**SMALL, "steps": 3, "adversarial": 0.05})
    scores = []
    for seed in (5, 5, 6):
        before = torch.get_rng_state()
        model = FramePrediction(settings, seed=seed)
        model.fit(clips)
        assert torch.equal(torch.get_rng_state(), before)
        scores.append(model.score_samples(clips))
    np.testing.assert_array_equal(scores[0], scores[1])
    assert (scores[0] != scores[2]).all()


def test_the_adversarial_term_trains_a_discriminator():
    model = FramePrediction(FramePredictionSettings(**{**SMALL, "steps": 60, "adversarial": 0.05}))
    model.settings = FramePredictionSettings(
        **{**SMALL, "steps": 60, "adversarial": 0.05, "discriminator_rate": 3e-3}
    )
    model.fit([square(RIGHT, seed) for seed in range(10)])
    assert set(model.losses) == {"intensity", "gradient", "flow", "adversarial", "total", "discriminator"}
    assert model.losses["discriminator"][-10:].mean() < 0.7 * model.losses["discriminator"][0]
    named = [
        weight * model.losses[name]
        for name, weight in (("intensity", 1), ("gradient", 1), ("flow", 0.1), ("adversarial", 0.05))
    ]
    np.testing.assert_allclose(model.losses["total"], sum(named), rtol=1e-5)


def test_frames_of_another_size_are_scaled():
    model = FramePrediction(FramePredictionSettings(**{**SMALL, "steps": 2}))
    clip = square(RIGHT, 0)
    model.fit([clip.repeat(2, 1).repeat(3, 2)])
    np.testing.assert_allclose(
        model.score_frames(clip.repeat(2, 1).repeat(3, 2)), model.score_frames(clip), rtol=1e-6
    )


def test_only_the_frames_that_are_drawn_are_read():
    class Watched:
        """A clip that says how much of it was asked for."""

        def __init__(self, clip):
            self.clip, self.read = clip, 0
            self.ndim, self.shape, self.dtype = clip.ndim, clip.shape, clip.dtype

        def __len__(self):
            return len(self.clip)

        def __getitem__(self, index):
            self.read += len(self.clip[index])
            return self.clip[index]

    clips = [Watched(square(RIGHT, seed, frames=200)) for seed in range(5)]
    settings = FramePredictionSettings(**{**SMALL, "steps": 2})
    FramePrediction(settings).fit(clips)
    assert sum(clip.read for clip in clips) == 2 * 8 * 5


def test_every_segment_is_as_likely_as_another():
    def numbered(first, count):  # the grey level is the frame's number
        return np.broadcast_to(
            np.arange(first, first + count, dtype=np.uint8)[:, None, None, None], (count, 32, 32, 3)
        )

    segments = Segments([numbered(0, 5), numbered(10, 3), numbered(20, 7)], 5, 32, "a test")
    drawn = segments.draw(np.random.default_rng(0), 4000)[:, :, 0, 0, 0]
    assert (np.diff(drawn, axis=1) == 1).all()
    starts, counts = np.unique(drawn[:, 0], return_counts=True)
    assert starts.tolist() == [0, 20, 21, 22]  # the clip of 3 frames is too short for one
    assert counts.min() > 900


def test_clips_that_are_too_short_or_no_clips_are_refused(trained):
    with pytest.raises(ModelError, match="at least 5 frames, got 4"):
        trained.score_frames(square(RIGHT, 0, frames=4))
    with pytest.raises(TrainingError, match="at least 5 frames, got 2 clips"):
        FramePrediction(FramePredictionSettings(**SMALL)).fit([square(RIGHT, 0, frames=4)] * 2)
    with pytest.raises(TrainingError, match="got 0 clips"):
        FramePrediction(FramePredictionSettings(**SMALL)).fit([])
    with pytest.raises(ModelError, match=r"\(F, H, W, 3\) uint8, got float64 \(12, 32, 32, 3\)"):
        trained.score_frames(square(RIGHT, 0) / 255)
    with pytest.raises(ModelError, match=r"got uint8 \(12, 32, 32\)"):
        trained.score_frames(square(RIGHT, 0)[..., 0])
    with pytest.raises(ModelError, match="fit it before"):
        FramePrediction(FramePredictionSettings(**SMALL)).score_frames(square(RIGHT, 0))


def test_training_that_breaks_down_says_so(monkeypatch):
    monkeypatch.setattr("anomaly.baselines.frame_prediction.settings.MOST_FACTOR", 1e40)
    settings = FramePredictionSettings(**{**SMALL, "intensity": 1e39, "steps": 5})
    with pytest.raises(TrainingError, match=r"no longer a number; lower frame_prediction\.learning_rate"):
        FramePrediction(settings).fit([square(RIGHT, 0)])


def test_predicting_the_change_starts_from_the_last_frame():
    torch.manual_seed(0)
    network = UNet(past=4, width=4, scales=3, change=True).double()
    past = frames(2, 12, 16, 16)
    np.testing.assert_array_equal(network(past).detach(), past[:, -3:])


def test_predicting_the_change_learns_motion_sooner(trained):
    model = FramePrediction(FramePredictionSettings(**{**SMALL, "change": True, "steps": 60}), seed=1)
    model.fit([square(RIGHT, seed) for seed in range(40)])
    usual, unusual = ([square(v, seed) for seed in range(100, 110)] for v in (RIGHT, (0, -1)))
    assert model.score_samples(usual).mean() < trained.score_samples(usual).mean()
    assert model.score_samples(unusual).min() > model.score_samples(usual).max()
