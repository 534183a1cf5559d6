"""Classify normal actions with an ST-GCN; uncertainty is the anomaly score (supervised baseline, section 4.2.2).

It is the only method that sees class labels; the paper lists it for reference.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim.swa_utils import update_bn

from anomaly.baselines.classifier_settings import ClassifierSettings
from anomaly.data.augmentation import apply_transforms
from anomaly.data.training_set import TrainingSet
from anomaly.data.windows import Windows
from anomaly.networks.graph import static_adjacency
from anomaly.networks.inference import micro_batches
from anomaly.networks.layers import SpatioTemporalBlock
from anomaly.normality.mixture import NormalityModel, fit_normality
from anomaly.runtime.seeding import seeded
from anomaly.settings import ModelSettings
from anomaly.training.steps import make_optimizer, mixed_precision, optimizer_step
from pose_extract.checking import expect_one_of
from pose_extract.errors import ModelError, TrainingError

SCORES = ("max", "dirichlet")
_BATCH = 256  # windows that are scored at once, each in its transforms


class ClassifierNetwork(nn.Module):
    """ST-GCN (Yan et al., AAAI 2018) with fewer blocks: static adjacency, mean over time and joints, linear layer.

    Args:
        settings: of the classifier.
        model: settings of the windows and of the joints' partition.
        classes: K.
    """

    def __init__(self, settings: ClassifierSettings, model: ModelSettings, classes: int) -> None:
        super().__init__()
        windows = model.windows
        static = torch.from_numpy(static_adjacency(windows.body, model.model.partition))
        self.norm = nn.BatchNorm1d(windows.channels * windows.body.num_joints)  # of each joint's features
        blocks, width = [], windows.channels
        for factor, stride in zip(settings.encoder, settings.strides, strict=True):
            blocks.append(
                SpatioTemporalBlock(
                    width,
                    factor * settings.width,
                    static,
                    ("static",),
                    stride,
                    settings.temporal_kernel,
                    settings.dropout,
                )
            )
            width = factor * settings.width
        self.blocks = nn.Sequential(*blocks)
        self.classify = nn.Linear(width, classes)

    def forward(self, x: Tensor) -> Tensor:
        """Windows (N, C, T, V), T being any number of frames, -> logits (N, K)."""
        n, c, t, v = x.shape
        x = self.norm(x.permute(0, 1, 3, 2).reshape(n, c * v, t)).view(n, c, v, t).transpose(2, 3)
        features = self.blocks(x.contiguous(memory_format=torch.channels_last))
        return self.classify(features.mean(dim=(2, 3)))


class Classifier:
    """A classifier of windows whose doubt is the anomaly.

    Args:
        settings: its own.
        model_settings: those of the model that it is compared with: windows, transforms, precision and, for the
            Dirichlet normality score, the mixture.
        seed: of everything random.
        device: "cpu" or a torch name of an accelerator.

    Attributes:
        classes: (K,) the labels that `fit` saw, rising; column k of the probabilities is ``classes[k]``.
        losses: mean cross entropy of each training epoch.
    """

    def __init__(
        self, settings: ClassifierSettings, model_settings: ModelSettings, seed: int = 0, device: str = "cpu"
    ) -> None:
        training = dataclasses.replace(
            model_settings.training, batch_size=settings.batch_size, weight_decay=settings.weight_decay
        )
        self._settings = settings
        self._model_settings = dataclasses.replace(model_settings, training=training)
        self._seed, self._device = seed, device
        self._network: ClassifierNetwork | None = None
        self._normality: NormalityModel | None = None
        self.classes: NDArray[np.int64] = np.zeros(0, np.int64)
        self.losses: list[float] = []

    def fit(self, windows: Windows, labels: NDArray[np.integer]) -> None:
        """Learn to tell the classes apart, then fit the normality mixture to the training windows' softmax.

        Args:
            windows: the training windows.
            labels: (N,) their classes, any whole numbers.

        Raises:
            TrainingError: if there are fewer than two classes or too few windows, or the loss is no longer a number.
        """
        labels = np.asarray(labels)
        if labels.shape != (len(windows),) or not np.issubdtype(labels.dtype, np.integer):
            raise ValueError(
                f"expected whole-number labels of shape ({len(windows)},), got {labels.dtype} of shape {labels.shape}"
            )
        classes, targets = np.unique(labels, return_inverse=True)
        if len(classes) < 2:
            raise TrainingError(
                f"the classifier needs windows of at least 2 classes, got {len(windows)} windows of {len(classes)}"
            )
        if len(windows) < 2 * len(classes):
            raise TrainingError(
                f"the classifier needs at least {2 * len(classes)} windows, 2 for each of {len(classes)} classes, got "
                f"{len(windows)}"
            )
        with seeded(self._seed, self._device):
            network = ClassifierNetwork(self._settings, self._model_settings, len(classes)).to(self._device)
            self.losses = self._train(network, windows, targets)
        self._network, self.classes = network.eval(), classes.astype(np.int64)
        log_p = self.log_probabilities(windows)
        normality = self._model_settings.normality
        self._normality = fit_normality(log_p.reshape(-1, len(classes)), normality, self._seed)

    def score_samples(self, windows: Windows, by: str = "dirichlet") -> NDArray[np.float64]:
        """(N,) anomaly of N windows, higher is more abnormal: the mean over each window's transforms.

        Args:
            windows: any number of them; memory does not grow with it.
            by: "max", 1 - the softmax's maximum, or "dirichlet", -log likelihood of the softmax under the normality
                mixture of section 3.4, fitted to the training windows'.

        Raises:
            ConfigError: for another ``by``.
            ModelError: if `fit` has not been called.
        """
        expect_one_of("by", by, SCORES)
        parts = [np.zeros(0)]
        for log_p in self._batches(windows):
            if by == "max":
                anomaly = -np.expm1(log_p.max(axis=2))
            else:
                assert self._normality is not None
                flat = log_p.reshape(-1, log_p.shape[2])
                anomaly = -self._normality.log_likelihood(flat).reshape(log_p.shape[:2])
            parts.append(anomaly.mean(axis=1))
        return np.concatenate(parts)

    def log_probabilities(self, windows: Windows) -> NDArray[np.float64]:
        """(N, G, K) logarithm of the softmax of each window's G transformed copies.

        Raises:
            ModelError: if `fit` has not been called.
        """
        transforms = len(self._model_settings.training.transforms)
        return np.concatenate([np.zeros((0, transforms, len(self.classes))), *self._batches(windows)])

    def predict(self, windows: Windows) -> NDArray[np.int64]:
        """(N,) label of the most probable class, the probabilities being means over a window's transforms.

        Raises:
            ModelError: if `fit` has not been called.
        """
        return self.classes[np.exp(self.log_probabilities(windows)).mean(axis=1).argmax(axis=1)]

    def _train(self, network: ClassifierNetwork, windows: Windows, targets: NDArray[np.int64]) -> list[float]:
        """Train the network; returns the mean loss of each epoch. ``targets`` (N,) are columns of the softmax."""
        from mmengine.optim import CosineAnnealingLR

        settings, rng = self._model_settings, np.random.default_rng(self._seed)
        data = TrainingSet(windows, settings, self._device)
        of_items = torch.from_numpy(targets).repeat_interleave(len(data.transforms)).to(self._device)
        optimizer = make_optimizer(network, self._settings.rate, settings)
        schedule = CosineAnnealingLR(
            optimizer, T_max=self._settings.epochs * data.steps, eta_min=0, by_epoch=False
        )
        losses = []
        for _ in range(self._settings.epochs):
            network.train()
            total = torch.zeros((), device=self._device)
            for items, x, _ in data.epoch(rng):
                with mixed_precision(settings, self._device):
                    logits = network(x)
                loss = F.cross_entropy(logits.float(), of_items[torch.from_numpy(items).to(self._device)])
                optimizer_step(optimizer, network, loss)
                schedule.step()
                total += loss.detach() * len(items)
            losses.append(float(total) / data.items_an_epoch)
            if not np.isfinite(losses[-1]):
                raise TrainingError("the classifier's loss is no longer a number: lower classifier.rate")
        # Small sets take few steps, and batch norm's running statistics lag behind the weights that they are used with.
        update_bn((x for _, x, _ in data.epoch(rng)), network)
        return losses

    @torch.no_grad()
    def _batches(self, windows: Windows) -> Iterator[NDArray[np.float64]]:
        """Log softmax (n, G, K), a batch of windows at a time."""
        if self._network is None:
            raise ModelError("the classifier has learned nothing yet: call fit first")
        names, skeleton = self._model_settings.training.transforms, self._model_settings.windows.body
        for batch in windows.batches(_BATCH):
            x = torch.from_numpy(batch).to(self._device)
            copies = apply_transforms(x, names, skeleton)
            parts = [self._network(part) for part in micro_batches(copies.flatten(0, 1))]
            # In double precision, for 1 - p of a sure classifier is less than float32 can tell from 0.
            log_p = torch.cat(parts).cpu().double().log_softmax(dim=1)
            yield log_p.view(*copies.shape[:2], -1).numpy()
