"""The training set: windows in their transforms, in shuffled batches or in order."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from anomaly.augment import apply_transform
from pose_extract.skeletons import get_skeleton

if TYPE_CHECKING:
    from anomaly.settings import ModelSettings

_ENCODE_BATCH = 1024


class TrainingSet:
    """Windows in their transforms: item i is window i // G in transform i % G.

    Args:
        x: (N, C, T, V) windows.
        settings: what the transforms and the joints are.
        device: where batches are put.
    """

    def __init__(self, x: NDArray[np.float32], settings: ModelSettings, device: str) -> None:
        self.x, self.device = torch.from_numpy(x), device
        self.transforms = settings.training.transforms
        self.all_transforms = settings.training.all_transforms
        self.batch_size = settings.training.batch_size
        self.skeleton = get_skeleton(settings.windows.skeleton)

    def __len__(self) -> int:
        return len(self.x) * len(self.transforms)

    @property
    def steps(self) -> int:
        """Batches an epoch."""
        return len(self._batches(np.arange(self.items_an_epoch)))

    @property
    def items_an_epoch(self) -> int:
        """Items that one epoch sees."""
        return len(self) if self.all_transforms else len(self.x)

    def _batches(self, order: NDArray[np.int64]) -> list[NDArray[np.int64]]:
        batches = np.split(order, range(self.batch_size, len(order), self.batch_size))
        if len(batches) > 1 and len(batches[-1]) < self.batch_size // 2:
            # Batch norm would learn from a handful of leftovers as much as from a full batch.
            batches[-2:] = [np.concatenate(batches[-2:])]
        return batches

    def get(self, items: NDArray[np.int64]) -> Tensor:
        """The windows (n, C, T, V) of some items."""
        windows, which = np.divmod(items, len(self.transforms))
        x = self.x[torch.from_numpy(windows)].to(self.device)
        out = torch.empty_like(x)
        for g, name in enumerate(self.transforms):
            chosen = torch.from_numpy(np.flatnonzero(which == g)).to(self.device)
            if len(chosen):
                out[chosen] = apply_transform(name, x[chosen], self.skeleton)
        return out

    def epoch(self, rng: np.random.Generator) -> Iterator[tuple[NDArray[np.int64], Tensor]]:
        """Shuffled batches: numbers of the items and their windows."""
        if self.all_transforms:
            order = rng.permutation(len(self))
        else:
            windows = rng.permutation(len(self.x))
            order = windows * len(self.transforms) + rng.integers(len(self.transforms), size=len(windows))
        for items in self._batches(order):
            yield items, self.get(items)

    def in_order(self) -> Iterator[Tensor]:
        """All items in order, in batches."""
        for begin in range(0, len(self), _ENCODE_BATCH):
            yield self.get(np.arange(begin, min(begin + _ENCODE_BATCH, len(self))))
