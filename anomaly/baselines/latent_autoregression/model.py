"""Train and score latent space autoregression: what is reconstructed badly or has an unlikely latent is abnormal.

Abati, Porrello, Calderara and Cucchiara, "Latent Space Autoregression for Novelty Detection", CVPR 2019, from the
paper. It differs in how the foreground is found (`LatentAutoregressionSettings.foreground`), in square frames, and in
what we do not know of it: widths, the length of training.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from anomaly.baselines.frames import (
    Clip,
    Segments,
    check_length,
    frames_of,
    mean_of_frames,
    regular_to_anomaly,
)
from anomaly.baselines.latent_autoregression.network import Network
from anomaly.baselines.latent_autoregression.settings import LatentAutoregressionSettings
from anomaly.runtime.seeding import seeded
from pose_extract.errors import ModelError, TrainingError

_WHAT = "latent space autoregression"
_SCORING_NUMBERS = 1 << 22  # of the clips that are scored in one go
_BACKGROUND_FRAMES = 25
_DIFFERENT = 20  # grey levels, in any colour
_REFERENCE = 256  # training clips that scale the two terms

log = logging.getLogger(__name__)


class LatentAutoregression:
    """Learns to reconstruct normal clips and how likely their latents are, and scores frames by both.

    Args:
        settings: of the network, training and scoring.
        seed: of the weights and of what is drawn for training.
        device: that torch knows.

    Attributes:
        losses: (steps, 2) mean of the two terms in each training step, a number of the frames and of the latent.
    """

    def __init__(
        self, settings: LatentAutoregressionSettings | None = None, seed: int = 0, device: str = "cpu"
    ) -> None:
        self.settings = settings or LatentAutoregressionSettings()
        self.seed, self.device = seed, device
        self.losses = np.zeros((0, 2))
        self._network: Network | None = None
        self._lowest, self._spread = np.zeros(2), np.ones(2)

    @property
    def fewest_frames(self) -> int:
        """Frames that a clip must have to be scored."""
        return self.settings.frames

    def fit(self, clips: Sequence[Clip]) -> None:
        """Learn from clips of ``frames`` frames drawn at random.

        Raises:
            TrainingError: all clips are too short, or the loss is no longer a number.
            ModelError: a clip is not made of colour frames.
        """
        settings = self.settings
        segments = Segments(clips, settings.frames, settings.size, _WHAT)
        backgrounds = [self._background(clips[number]) for number in range(len(clips))]
        rng = np.random.default_rng(self.seed)

        def draw(count: int) -> Tensor:
            return self._inputs(
                [(segments.clips[c], start, backgrounds[c]) for c, start in segments.places(rng, count)]
            )

        with seeded(self.seed, self.device):
            network = Network(settings).to(self.device)
            optimizer = torch.optim.Adam(network.parameters(), lr=settings.learning_rate)
            losses = []
            for _ in range(settings.steps):
                error, unlikely = (term.mean() for term in network(draw(settings.batch_size)))
                optimizer.zero_grad()
                (error + settings.weight * unlikely).backward()
                torch.nn.utils.clip_grad_norm_(
                    network.parameters(), 1e3
                )  # a first step must not throw it off
                optimizer.step()
                losses.append([error.item(), unlikely.item()])
                if not np.isfinite(losses[-1]).all():
                    raise TrainingError(
                        f"{_WHAT}: the loss is no longer a number; lower latent_autoregression.learning_rate "
                        f"({settings.learning_rate:g})"
                    )
        log.info("%s: error %.2f, minus log likelihood %.2f", _WHAT, *losses[-1])
        self.losses, self._network = np.array(losses), network.eval()
        terms = np.concatenate([self._terms(draw(8)) for _ in range(_REFERENCE // 8)])
        self._lowest = terms.min(axis=0)
        self._spread = np.maximum(terms.max(axis=0) - self._lowest, 1e-9)

    def score_frames(self, clip: Clip) -> NDArray[np.float64]:
        """(F,) anomaly of a clip's frames: both terms, scaled and added up, the mean over the clips that cover it.

        Raises:
            ModelError: nothing was learned yet, or the clip is too short or not made of colour frames.
        """
        settings = self.settings
        if self._network is None:
            raise ModelError(f"{_WHAT}: fit it before it scores")
        check_length(clip, self.fewest_frames, _WHAT)
        background = self._background(clip)
        last = len(clip) - settings.frames
        starts = np.unique(np.append(np.arange(0, last + 1, settings.score_every), last))
        batch = max(1, _SCORING_NUMBERS // settings.sample_numbers)
        terms = np.concatenate(
            [
                self._terms(self._inputs([(clip, int(start), background) for start in chunk]))
                for chunk in (starts[at : at + batch] for at in range(0, len(starts), batch))
            ]
        )
        total, count = np.zeros((len(clip), 2)), np.zeros(len(clip))
        for start, term in zip(starts, terms, strict=True):
            total[start : start + settings.frames] += term
            count[start : start + settings.frames] += 1
        covered = np.maximum.accumulate(
            np.where(count > 0, np.arange(len(clip)), 0)
        )  # score_every above frames
        mean = (total / np.maximum(count, 1)[:, None])[covered]
        if settings.normalise:
            return regular_to_anomaly(mean[:, 0]) + regular_to_anomaly(mean[:, 1])
        return ((mean - self._lowest) / self._spread).sum(axis=1)

    def score_samples(self, clips: Iterable[Clip]) -> NDArray[np.float64]:
        """(N,) anomaly of clips, the mean over their frames; higher is more abnormal."""
        return mean_of_frames(self, clips)

    @torch.no_grad()
    def _terms(self, x: Tensor) -> NDArray[np.float64]:
        """(B, 2) reconstruction error and minus log likelihood of clips."""
        assert self._network is not None
        return torch.stack(self._network.eval()(x), dim=1).cpu().numpy().astype(np.float64)

    def _background(self, clip: Clip) -> Clip | None:
        """(size, size, 3) what a clip shows most of the time; None where the foreground is not looked for."""
        if not self.settings.foreground:
            return None
        chosen = np.unique(np.linspace(0, len(clip) - 1, _BACKGROUND_FRAMES).astype(int))
        frames = np.concatenate([frames_of(clip, number, 1, self.settings.size) for number in chosen])
        return np.median(frames, axis=0).astype(np.uint8)

    def _inputs(self, places: Sequence[tuple[Clip, int, Clip | None]]) -> Tensor:
        """(B, 3, T, size, size) of 0..1 of clips that begin at places, black where they are background."""
        found = []
        for clip, start, background in places:
            frames = frames_of(clip, start, self.settings.frames, self.settings.size)
            if background is not None:
                differs = np.abs(frames.astype(np.int16) - background).max(axis=3) > _DIFFERENT
                frames = frames * differs[..., None]
            found.append(frames)
        x = torch.from_numpy(np.stack(found)).to(self.device)
        return x.permute(0, 4, 1, 2, 3).float() / 255
