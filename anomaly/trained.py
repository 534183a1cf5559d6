"""A trained model whose network torch runs."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray

from anomaly.augment import TRANSFORMS, apply_transform
from anomaly.model import Model
from anomaly.network import Network
from pose_extract.skeletons import get_skeleton

_BATCH = 512


@dataclass
class TrainedModel(Model):
    """A model with its network.

    Attributes:
        network: the learned network, in evaluation mode.
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
        return self

    @torch.no_grad()
    def assign(self, x: NDArray[np.float32]) -> NDArray[np.float32]:
        """Windows (N, C, T, V) -> log soft assignments (N, G, K) of each window's G transformed copies."""
        self.network.eval()
        skeleton = get_skeleton(self.settings.windows.skeleton)
        names = self.settings.training.transforms
        out = np.empty((len(x), len(names), self.settings.clustering.clusters), np.float32)
        for begin in range(0, len(x), _BATCH):
            batch = torch.from_numpy(x[begin : begin + _BATCH]).to(self.device)
            for g, name in enumerate(names):
                log_p = self.network.assign(apply_transform(name, batch, skeleton))
                out[begin : begin + len(batch), g] = log_p.float().cpu().numpy()
        return out

    @torch.no_grad()
    def joint_errors(self, x: NDArray[np.float32]) -> NDArray[np.float64]:
        """(N, V) squared error of the reconstruction of each joint; see `Model.joint_errors`."""
        self.network.eval()
        skeleton = get_skeleton(self.settings.windows.skeleton)
        names = self.settings.training.transforms
        out = np.zeros((len(x), skeleton.num_joints))
        for begin in range(0, len(x), _BATCH):
            batch = torch.from_numpy(x[begin : begin + _BATCH]).to(self.device)
            for name in names:
                copy = apply_transform(name, batch, skeleton)
                _, reconstruction = self.network.autoencoder(copy)
                error = (reconstruction - copy).square().mean(dim=(1, 2))
                mirrored, _ = TRANSFORMS[name]
                if mirrored:
                    error = error[:, list(skeleton.mirror)]
                out[begin : begin + len(batch)] += error.double().cpu().numpy() / len(names)
        return out
