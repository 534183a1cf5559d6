"""Train and score temporally coherent sparse coding: what a learned dictionary cannot put together is abnormal.

Luo, Liu and Gao, "A Revisit of Sparse Coding Based Anomaly Detection in Stacked RNN Framework", ICCV 2017, from the
paper. It differs in what is coded (`SparseCodingSettings.patch`; the paper has features of a network that was trained
on labelled actions, pooled over the same grids) and in what we do not know of it: the number of atoms, the steps.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence

import cv2
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
from anomaly.baselines.sparse_coding.network import StackedRecurrent
from anomaly.baselines.sparse_coding.settings import SparseCodingSettings
from anomaly.runtime.seeding import seeded
from pose_extract.errors import ModelError, TrainingError

_WHAT = "sparse coding"
_CHUNK = 64  # frames at once
_SCALED_BY = 8  # batches that the patches' mean and scale are of
_LEAST = 1e-6

log = logging.getLogger(__name__)


class SparseCoding:
    """Learns a dictionary of normal patches, and scores frames by how badly it puts together their worst patch.

    Args:
        settings: of the patches, the network and training.
        seed: of the weights and of what is drawn for training.
        device: that torch knows.

    Attributes:
        losses: (steps,) mean squared error of the patches of each training step.
    """

    def __init__(
        self, settings: SparseCodingSettings | None = None, seed: int = 0, device: str = "cpu"
    ) -> None:
        self.settings = settings or SparseCodingSettings()
        self.seed, self.device = seed, device
        self.losses = np.zeros(0)
        self._network: StackedRecurrent | None = None
        self._scale = (np.zeros(0, np.float32), np.float32(1))

    @property
    def fewest_frames(self) -> int:
        """Frames that a clip must have to be scored: two show a change."""
        return 2

    def fit(self, clips: Sequence[Clip]) -> None:
        """Learn from runs of frames drawn at random, all patches of a run alike.

        Raises:
            TrainingError: all clips are too short, or the loss is no longer a number.
            ModelError: a clip is not made of colour frames.
        """
        settings = self.settings
        segments = Segments(clips, settings.steps_in_time + 1, settings.size, _WHAT)
        rng = np.random.default_rng(self.seed)
        first = np.concatenate(
            [patches(segments.draw(rng, settings.batch_size), settings) for _ in range(_SCALED_BY)]
        )
        mean = first.mean(axis=(0, 1))
        length = np.sqrt(np.square(first - mean).sum(axis=2).mean())
        self._scale = mean, np.float32(max(float(length), _LEAST))
        with seeded(self.seed, self.device):
            network = StackedRecurrent(settings, first.shape[2]).to(self.device)
            optimizer = torch.optim.Adam(network.parameters(), lr=settings.learning_rate)
            losses = []
            for _ in range(settings.steps):
                x = self._inputs(segments.draw(rng, settings.batch_size))
                loss = network(x)[0].mean()
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                losses.append(loss.item())
                if not np.isfinite(losses[-1]):
                    raise TrainingError(
                        "sparse coding: the loss is no longer a number; lower sparse_coding.learning_rate "
                        f"({settings.learning_rate:g})"
                    )
        log.info("sparse coding: error %.4f after %d steps", losses[-1], settings.steps)
        self.losses, self._network = np.array(losses), network.eval()

    @torch.no_grad()
    def score_frames(self, clip: Clip) -> NDArray[np.float64]:
        """(F,) anomaly of a clip's frames: the squared error of the worst patch. The first takes the second's.

        Raises:
            ModelError: nothing was learned yet, or the clip is too short or not made of colour frames.
        """
        if self._network is None:
            raise ModelError("sparse coding: fit it before it scores")
        check_length(clip, self.fewest_frames, _WHAT)
        found, before, code = [], None, None
        for begin in range(1, len(clip), _CHUNK):
            frames = frames_of(clip, begin - 1, _CHUNK + 1, self.settings.size)
            x = self._inputs(frames[None])
            errors, codes = self._network(x, before, code)
            found.append(errors.amax(dim=1).cpu().numpy())
            before, code = x[-1], codes[-1]
        anomaly = np.concatenate([found[0][:1], *found]).astype(np.float64)
        return regular_to_anomaly(anomaly) if self.settings.normalise else anomaly

    def score_samples(self, clips: Iterable[Clip]) -> NDArray[np.float64]:
        """(N,) anomaly of clips, the mean over their frames; higher is more abnormal."""
        return mean_of_frames(self, clips)

    def _inputs(self, runs: Clip) -> Tensor:
        """Runs of frames (B, T + 1, size, size, 3) -> sequences of their patches (T, B * P, D)."""
        mean, length = self._scale
        x = torch.from_numpy((patches(runs, self.settings) - mean) / length).to(self.device)
        count = len(runs)
        x = x.view(count, runs.shape[1] - 1, -1, x.shape[2])  # (B, T, P, D)
        return x.transpose(0, 1).reshape(x.shape[1], -1, x.shape[3])


def patches(runs: Clip, settings: SparseCodingSettings) -> NDArray[np.float32]:
    """What is coded of runs (B, T + 1, H, W, 3): (B * T, P, D), P patches of every frame but the first of a run.

    D is twice the patch's pixels: grey levels of 0..1, and their change from the frame before.
    """
    count, frames, height, width, _ = runs.shape
    grey = runs.reshape(-1, height, width, 3).mean(axis=3, dtype=np.float32) / 255
    parts = []
    for grid in settings.grids:
        side = grid * settings.patch
        small = np.stack([cv2.resize(one, (side, side), interpolation=cv2.INTER_AREA) for one in grey])
        cut = small.reshape(count, frames, grid, settings.patch, grid, settings.patch)
        parts.append(cut.swapaxes(3, 4).reshape(count, frames, grid * grid, -1))
    level = np.concatenate(parts, axis=2)
    both = np.concatenate([level[:, 1:], np.diff(level, axis=1)], axis=3)
    return both.reshape(-1, *both.shape[2:])
