"""Train and score future-frame prediction: a frame that cannot be predicted from those before it is abnormal.

Liu, Luo, Lian and Gao, "Future Frame Prediction for Anomaly Detection - A New Baseline", CVPR 2018, from the paper. It
differs in the optical flow (`frame_prediction_flow`, where the paper has a pre-trained FlowNet), in the losses' means
over pixels, and in what the paper leaves open: the number of steps, the initial weights, the last layer (tanh).
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from anomaly.baselines.frame_prediction.losses import (
    discriminator_loss,
    flow_loss,
    generator_loss,
    gradient_loss,
    intensity_loss,
    psnr,
)
from anomaly.baselines.frame_prediction.network import PatchDiscriminator, UNet
from anomaly.baselines.frame_prediction.settings import FramePredictionSettings
from anomaly.baselines.frames import (
    Clip,
    Segments,
    check_length,
    frames_of,
    mean_of_frames,
    regular_to_anomaly,
)
from anomaly.runtime.seeding import seeded
from pose_extract.errors import ModelError, TrainingError

__all__ = ["FramePrediction", "FramePredictionSettings"]

_SCORING_PIXELS = 1 << 18  # of the frames that are predicted in one go

log = logging.getLogger(__name__)

_WHAT = "future-frame prediction"


class FramePrediction:
    """Learns to predict the next frame of normal clips, and scores clips by how badly it predicts them.

    A clip is (F, H, W, 3) uint8 frames, in memory or mapped from a file; they are scaled to squares where they are of
    another size. Which order the colours have does not matter as long as it is always the same.

    Args:
        settings: of the network, of training and of scoring.
        seed: of the weights and of what is drawn for training.
        device: that torch knows.

    Attributes:
        losses: of each training step, by name; "total" is the weighted sum that the network descends.
    """

    def __init__(
        self, settings: FramePredictionSettings | None = None, seed: int = 0, device: str = "cpu"
    ) -> None:
        self.settings = settings or FramePredictionSettings()
        self.seed = seed
        self.device = device
        self.losses: dict[str, NDArray[np.float64]] = {}
        self._network: UNet | None = None

    @property
    def fewest_frames(self) -> int:
        """Frames that a clip must have to be scored."""
        return self.settings.past + 1

    def fit(self, clips: Sequence[Clip]) -> None:
        """Learn from segments drawn at random; each is as likely as another, whatever the length of its clip.

        Memory does not grow with the clips if ``clips`` opens them only when asked, as
        `pipeline.experiments.data.frames.FrameClips` does. Clips too short for a segment are left out.

        Raises:
            TrainingError: all clips are too short, or the loss is no longer a number.
            ModelError: a clip is not made of colour frames.
        """
        settings = self.settings
        segments = Segments(clips, settings.past + 1, settings.size, _WHAT)
        rng = np.random.default_rng(self.seed)
        with seeded(self.seed, self.device):
            network = UNet(settings.past, settings.width, settings.scales, settings.change)
            # a third faster on a CPU; missing in torch's types
            network.to(self.device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
            trainer = _Trainer(network, settings, self.device)
            history = []
            for step in range(settings.steps):
                frames = _to_range(torch.from_numpy(segments.draw(rng, settings.batch_size)).to(self.device))
                history.append(trainer.step(frames))
                if not np.isfinite(history[-1]["total"]):
                    raise TrainingError(
                        "future-frame prediction: the loss is no longer a number; lower "
                        f"frame_prediction.learning_rate ({settings.learning_rate:g})"
                    )
                if (step + 1) % max(settings.steps // 10, 1) == 0:
                    log.info(
                        "frame prediction: step %d of %d, loss %.4f",
                        step + 1,
                        settings.steps,
                        history[-1]["total"],
                    )
        self.losses = {name: np.array([row[name] for row in history]) for name in history[0]}
        self._network = network.eval()

    def score_frames(self, clip: Clip) -> NDArray[np.float64]:
        """(F,) anomaly of a clip's frames, higher is more abnormal: -PSNR in dB, or 1 - the paper's regular score.

        The first ``past`` frames, which nothing is predicted for, take the score of the first that is.

        Raises:
            ModelError: nothing was learned yet, or the clip is too short or not made of colour frames.
        """
        settings = self.settings
        anomaly = -self._predict(clip)
        if settings.normalise:
            anomaly = regular_to_anomaly(anomaly)
        scored = np.arange(len(clip)) - settings.past
        return anomaly[np.maximum(scored, 0) // settings.score_every]

    def score_samples(self, clips: Iterable[Clip]) -> NDArray[np.float64]:
        """(N,) anomaly of clips, the mean over their frames; higher is more abnormal."""
        return mean_of_frames(self, clips)

    @torch.no_grad()
    def _predict(self, clip: Clip) -> NDArray[np.float64]:
        """PSNR in dB of every ``score_every``-th frame from ``past`` on."""
        if self._network is None:
            raise ModelError("future-frame prediction: fit it before it scores")
        settings = self.settings
        check_length(clip, self.fewest_frames, _WHAT)
        starts = np.arange(0, len(clip) - settings.past, settings.score_every)
        batch = max(1, _SCORING_PIXELS // settings.size**2)
        found = []
        for chunk in (starts[at : at + batch] for at in range(0, len(starts), batch)):
            segments = np.stack(
                [frames_of(clip, int(start), settings.past + 1, settings.size) for start in chunk]
            )
            past, real = _split(_to_range(torch.from_numpy(segments).to(self.device)))
            found.append(psnr(self._network(past), real).cpu().numpy())
        return np.concatenate(found).astype(np.float64)


class _Trainer:
    """The network, its discriminator if there is one, and a step of both."""

    def __init__(self, network: UNet, settings: FramePredictionSettings, device: str) -> None:
        self.settings = settings
        self.network = network.train()
        self.optimizer = torch.optim.Adam(network.parameters(), lr=settings.learning_rate)
        self.discriminator: PatchDiscriminator | None = None
        if settings.adversarial > 0:
            self.discriminator = PatchDiscriminator(settings.discriminator_width).to(device)
            self.judge = torch.optim.Adam(self.discriminator.parameters(), lr=settings.discriminator_rate)

    def step(self, frames: Tensor) -> dict[str, float]:
        """One step on (B, past + 1, 3, H, W) frames of -1..1; returns the losses."""
        settings = self.settings
        past, real = _split(frames)
        predicted = self.network(past)
        losses = {"intensity": intensity_loss(predicted, real), "gradient": gradient_loss(predicted, real)}
        if settings.flow > 0:
            losses["flow"] = flow_loss(
                predicted,
                real,
                frames[:, -2],
                settings.flow_levels,
                settings.flow_iterations,
                settings.flow_window,
            )
        if self.discriminator is not None:
            losses["adversarial"] = generator_loss(self.discriminator(predicted))
        total = torch.stack([getattr(settings, name) * loss for name, loss in losses.items()]).sum()
        self.optimizer.zero_grad()
        total.backward()
        self.optimizer.step()
        losses["total"] = total
        if self.discriminator is not None:
            losses["discriminator"] = discriminator_loss(
                self.discriminator(real), self.discriminator(predicted.detach())
            )
            self.judge.zero_grad()
            losses["discriminator"].backward()
            self.judge.step()
        names = list(losses)
        return dict(zip(names, torch.stack([losses[name].detach() for name in names]).tolist(), strict=True))


def _to_range(frames: Tensor) -> Tensor:
    """(B, T, 3, H, W) float32 of -1..1 from (B, T, H, W, 3) uint8."""
    return frames.permute(0, 1, 4, 2, 3).float() / 127.5 - 1


def _split(frames: Tensor) -> tuple[Tensor, Tensor]:
    """(B, 3 * past, H, W) frames that a prediction is made from, and (B, 3, H, W) the one after them."""
    return frames[:, :-1].flatten(1, 2), frames[:, -1]
