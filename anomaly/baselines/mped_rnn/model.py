"""Train and score MPED-RNN: regularity of skeleton trajectories (Morais et al., CVPR 2019)."""

from __future__ import annotations

import logging

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from anomaly.baselines.mped_rnn.features import RobustScale, person_features
from anomaly.baselines.mped_rnn.network import MpedRnnNetwork, Parts, errors, segment_loss
from anomaly.baselines.mped_rnn.settings import MpedRnnSettings
from anomaly.data.windows import Windows
from anomaly.runtime.seeding import seeded
from anomaly.settings import WindowSettings
from pose_extract.errors import ModelError, TrainingError

__all__ = ["MpedRnn", "MpedRnnSettings"]

logger = logging.getLogger(__name__)

_LEAST = 8
_SEGMENTS_A_CALL = 4096  # when scoring


class MpedRnn:
    """Two recurrent branches, where the body is and how it is held, learn to reconstruct and to predict people.

    Segments of T + P frames slide over each window. A frame's anomaly is the mean of the perceptual errors of all
    reconstructions and predictions that it is part of (equation 16), and a window's the mean over its frames. The
    frame's highest person (equation 17) is up to the caller, but for windows of two people, whose score is the higher.

    Scores depend on where in the picture a person is and how large, as the global component is a part of the model: to
    be where nobody was in training is abnormal. They do not depend on the unit or the origin of the coordinates, as
    long as these are the same in training and scoring.

    Attributes:
        settings: of the network, its segments and its training.
        seed: of weights and of the order of segments.
        device: "cpu" or a torch name of an accelerator.
        network: None before `fit`.
        scale: of the features; None before `fit`.
        history: mean loss of each epoch.
    """

    def __init__(self, settings: MpedRnnSettings | None = None, seed: int = 0, device: str = "cpu") -> None:
        self.settings = settings or MpedRnnSettings()
        self.seed = seed
        self.device = device
        self.network: MpedRnnNetwork | None = None
        self.scale: RobustScale | None = None
        self.history: list[float] = []
        self._window_settings: WindowSettings | None = None

    def fit(self, windows: Windows) -> None:
        """Learn from windows of normal people.

        Their features are held in memory as a whole, some 400 bytes a person and frame with 17 joints.

        Raises:
            ModelError: if the windows are 3-D: a box in the picture is what the method decomposes people by.
            TrainingError: if there are too few windows, or the loss is no longer a number.
        """
        _check_flat(windows)
        settings, joints = self.settings, windows.settings.person.num_joints
        features, seen = person_features(windows)
        present = seen.any(axis=(1, 2))
        features, seen = features[present], seen[present]
        if len(features) < _LEAST:
            raise TrainingError(
                f"MPED-RNN: expected at least {_LEAST} people in windows to learn from, got {len(features)}; add "
                "normal video, or lower windows.train_stride"
            )
        self.scale = RobustScale.from_features(features, seen)
        self._window_settings = windows.settings
        x = torch.from_numpy(self.scale.apply(features)).to(self.device)
        weight = torch.from_numpy(seen.astype(np.float32)).to(self.device)
        begins = self._begins(windows.frames, settings.stride)
        rng = np.random.default_rng(self.seed)
        with seeded(self.seed, self.device):
            self.network = MpedRnnNetwork(joints, settings).to(self.device)
        adam = torch.optim.Adam(self.network.parameters(), lr=settings.learning_rate)
        self.history = []
        for _ in range(settings.epochs):
            total = torch.zeros((), device=self.device)
            order = rng.permutation(len(x) * len(begins))
            for at in range(0, len(order), settings.batch_size):
                person, which = np.divmod(order[at : at + settings.batch_size], len(begins))
                loss = segment_loss(*self._errors(x, weight, person, begins[which]), settings)
                adam.zero_grad()
                loss.mean().backward()
                adam.step()
                total += loss.detach().sum()
            self.history.append(float(total) / len(order))
            if not np.isfinite(self.history[-1]):
                raise TrainingError("MPED-RNN: the loss is no longer a number; lower mped_rnn.learning_rate")
        logger.info("MPED-RNN: %d segments, loss %.4g to %.4g", len(order), self.history[0], self.history[-1])

    def score_samples(self, windows: Windows) -> NDArray[np.float64]:
        """(N,) anomaly of N windows, higher is more abnormal; of two people in one window, the more abnormal's.

        Raises:
            ModelError: before `fit`, or if the windows are not of the kind it was fitted on.
        """
        votes = self._votes(windows)
        counted = ~np.isnan(votes)
        mean = np.where(counted, votes, 0).sum(axis=2) / np.maximum(counted.sum(axis=2), 1)
        return mean.max(axis=1)

    def score_frames(self, windows: Windows) -> NDArray[np.float64]:
        """(N, T) anomaly of each frame of N windows; 0 where nobody is seen. Raises ModelError as `score_samples`."""
        return np.nan_to_num(self._votes(windows), nan=0.0).max(axis=1)

    @torch.no_grad()
    def _votes(self, windows: Windows) -> NDArray[np.float64]:
        """(N, people, T) equation 16, NaN where a frame is part of no segment that anything is seen of."""
        _check_flat(windows)
        if self.network is None or self.scale is None:
            raise ModelError("MPED-RNN: expected a fitted model, got one without training; call fit first")
        if windows.settings != self._window_settings:
            raise ModelError(
                "MPED-RNN: expected windows made as those it was fitted on, got other windows settings; make them "
                "with the same settings"
            )
        people, frames = windows.settings.people, windows.frames
        begins = self._begins(frames, self.settings.score_stride)
        encoded, predicted = self.settings.lengths(frames)
        out = np.full((len(windows), people, frames), np.nan)
        chunk = max(_SEGMENTS_A_CALL // (len(begins) * people), 1)
        for at in range(0, len(windows), chunk):
            features, seen = person_features(windows.pick(slice(at, at + chunk)))
            x = torch.from_numpy(self.scale.apply(features)).to(self.device)
            weight = torch.from_numpy(seen.astype(np.float32)).to(self.device)
            person = np.repeat(np.arange(len(x)), len(begins))
            parts = self._errors(x, weight, person, np.tile(begins, len(x)))
            past, future = (p.image.double().cpu().numpy().reshape(len(x), len(begins)) for p in parts)
            sums, counts = np.zeros((2, len(x), frames))
            for i, begin in enumerate(begins):
                middle = begin + encoded
                for error, run in ((past, slice(begin, middle)), (future, slice(middle, middle + predicted))):
                    valid = seen[:, run].any(axis=(1, 2))
                    sums[valid, run] += error[valid, i, None]
                    counts[valid, run] += 1
            votes = np.where(counts > 0, sums / np.maximum(counts, 1), np.nan)
            out[at : at + chunk] = votes.reshape(-1, people, frames)
        return out

    def _begins(self, frames: int, stride: int) -> NDArray[np.int64]:
        """Where segments begin in a window: every ``stride`` frames, and as late as T frames fit.

        The predictions of those near the end are cut off there, as the paper's are at a trajectory's end.
        """
        last = frames - self.settings.lengths(frames)[0]
        return np.unique(np.append(np.arange(0, last, stride), last))

    def _errors(
        self, x: Tensor, seen: Tensor, person: NDArray[np.int64], begin: NDArray[np.int64]
    ) -> tuple[Parts, Parts]:
        """Errors of the segments' reconstructions and predictions, of people's scaled features and seen joints."""
        assert self.network is not None
        encoded, predicted = self.settings.lengths(x.shape[1])
        rows = begin[:, None] + np.arange(encoded + predicted)
        who = torch.from_numpy(person)[:, None].to(x.device)
        inside = torch.from_numpy(rows < x.shape[1]).to(x.device)
        at = torch.from_numpy(np.minimum(rows, x.shape[1] - 1)).to(x.device)
        joints = 2 * seen.shape[2]
        wanted = Parts(*x[who, at].split((4, joints, joints), dim=2))
        seen = seen[who, at] * inside[..., None]
        past = Parts(*(part[:, :encoded] for part in wanted))
        future = Parts(*(part[:, encoded:] for part in wanted))
        rebuilt, foreseen = self.network(past.body, past.posture, predicted)
        return errors(rebuilt, past, seen[:, :encoded]), errors(foreseen, future, seen[:, encoded:])


def _check_flat(windows: Windows) -> None:
    """Raise ModelError for 3-D joints."""
    if windows.settings.depth:
        raise ModelError(
            "MPED-RNN: expected 2-D joints, got 3-D ones: it decomposes people by their box in the picture; leave it "
            "out of experiments on 3-D poses, as the paper's table does"
        )
