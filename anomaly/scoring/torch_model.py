"""Run a model's network by torch."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from anomaly.data.augmentation import apply_transforms, tables
from anomaly.networks.inference import FusedNetwork, assign_in_micro_batches, fuse_batch_norm, micro_batches
from anomaly.networks.losses import seen_joints
from anomaly.networks.st_gcae import Network
from anomaly.scoring.model import Model

_BATCH = 512  # windows at once, each in its transforms


@dataclass
class TrainedModel(Model):
    """A model with its network.

    Attributes:
        network: the learned network; it is not changed once the model has scored.
    """

    can_reconstruct: ClassVar[bool] = True
    network: Network = field(kw_only=True)

    @property
    def device(self) -> torch.device:
        """Where the network is."""
        return self.network.clustering.theta.device

    def to(self, device: str) -> TrainedModel:
        """Move the network to ``device``; returns the model."""
        self.network.to(device)
        self.__dict__.pop("_fused", None)
        return self

    @cached_property
    def _fused(self) -> FusedNetwork:
        """What scoring runs; made once, where the network is then."""
        return fuse_batch_norm(self.network)

    @torch.no_grad()
    def assign(self, x: NDArray[np.float32]) -> NDArray[np.float32]:
        """Windows (N, C, T, V) -> log soft assignments (N, G, K) of each window's G transformed copies."""
        names, clusters = self.settings.training.transforms, self.settings.clustering.clusters
        out = np.empty((len(x), len(names), clusters), np.float32)
        for rows, copies in self._copies(x):
            log_p = assign_in_micro_batches(self._fused, copies.flatten(0, 1))
            out[rows] = log_p.float().cpu().numpy().reshape(-1, len(names), clusters)
        return out

    @torch.no_grad()
    def encode(self, x: NDArray[np.float32]) -> NDArray[np.float32]:
        """Windows (N, C, T, V) -> latent vectors z (N, G, D) of each window's G transformed copies."""
        names = self.settings.training.transforms
        out = np.empty((len(x), len(names), self.network.autoencoder.latent_size), np.float32)
        for rows, copies in self._copies(x):
            z = torch.cat([self._fused.encode(part) for part in micro_batches(copies.flatten(0, 1))])
            out[rows] = z.float().cpu().numpy().reshape(-1, *out.shape[1:])
        return out

    @torch.no_grad()
    def joint_errors(self, x: NDArray[np.float32]) -> NDArray[np.float64]:
        """(N, V) squared error of the reconstruction of each joint; see `Model.joint_errors`."""
        names, skeleton = self.settings.training.transforms, self.settings.windows.body
        _, orders = tables(names, skeleton)
        back = torch.from_numpy(np.argsort(orders, axis=1)).to(self.device)
        out = np.empty((len(x), skeleton.num_joints))
        self.network.eval()
        for rows, copies in self._copies(x):
            parts = micro_batches(copies.flatten(0, 1))
            reconstruction = torch.cat([self.network.autoencoder(part)[1] for part in parts])
            errors = (reconstruction.view_as(copies) - copies).float().square()
            if self.settings.training.masked:
                seen = seen_joints(copies, self.settings)
                errors = (errors * seen).mean(dim=2).sum(dim=2) / seen.sum(dim=(2, 3)).clamp_min(
                    1
                )  # (n, G, V)
            else:
                errors = errors.mean(dim=(2, 3))
            errors = errors.gather(2, back.expand(len(errors), -1, -1))  # joints back on their side
            out[rows] = errors.double().mean(dim=1).cpu().numpy()
        return out

    def _copies(self, x: NDArray[np.float32]) -> Iterator[tuple[slice, Tensor]]:
        """Batches of windows in all their transforms, (n, G, C, T, V), with the rows of ``x`` that they are."""
        names, skeleton = self.settings.training.transforms, self.settings.windows.body
        for begin in range(0, len(x), _BATCH):
            rows = slice(begin, begin + _BATCH)
            yield rows, apply_transforms(torch.from_numpy(x[rows]).to(self.device), names, skeleton)
