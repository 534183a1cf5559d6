"""Serve the training set: windows in their transforms, in shuffled batches or in order."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from anomaly.data.augmentation import apply_each
from anomaly.data.windows import Windows
from anomaly.settings import ModelSettings
from pose_extract.errors import ConfigError

_IN_ORDER_BATCH = 1024

A = TypeVar("A")
B = TypeVar("B")


class TrainingSet:
    """Windows in their transforms: item i is window i // G in transform i % G.

    Args:
        windows: the training windows.
        settings: what the transforms and the joints are.
        device: where batches are put.
    """

    def __init__(self, windows: Windows, settings: ModelSettings, device: str) -> None:
        self.windows, self.device = windows, device
        self.transforms = settings.training.transforms
        self.all_transforms = settings.training.all_transforms
        self.batch_size = settings.training.batch_size
        self.skeleton = settings.windows.body
        self._waited_s = self._passed_s = 0.0

    @property
    def waiting(self) -> float:
        """Share of the time of all epochs so far, 0..1, in which the network waited for windows."""
        return self._waited_s / self._passed_s if self._passed_s else 0.0

    def __len__(self) -> int:
        return len(self.windows) * len(self.transforms)

    @property
    def steps(self) -> int:
        """Batches an epoch."""
        return len(self._batches(np.arange(self.items_an_epoch)))

    @property
    def items_an_epoch(self) -> int:
        """Items that one epoch sees."""
        return len(self) if self.all_transforms else len(self.windows)

    def get(self, items: NDArray[np.int64]) -> Tensor:
        """The windows (n, C, T, V) of some items."""
        windows, which = np.divmod(items, len(self.transforms))
        picked, where = np.unique(windows, return_inverse=True)
        x = self._put(torch.from_numpy(self.windows.batch(picked)))
        if len(picked) < len(windows) or (picked != windows).any():
            x = x[self._put(torch.from_numpy(where))]
        return apply_each(x, self._put(torch.from_numpy(which)), self.transforms, self.skeleton)

    def epoch(
        self, rng: np.random.Generator, rank: int = 0, world: int = 1
    ) -> Iterator[tuple[NDArray[np.int64], Tensor, int]]:
        """Shuffled batches: numbers of the items, their windows (n, C, T, V), and the batch's size over all processes.

        With several processes, each gets its share of every batch; shares differ by at most one item. Generators in
        the same state give all processes the same batches.

        Raises:
            ConfigError: if a batch has fewer items than there are processes.
        """
        if self.all_transforms:
            order = rng.permutation(len(self))
        else:
            windows = rng.permutation(len(self.windows))
            order = windows * len(self.transforms) + rng.integers(len(self.transforms), size=len(windows))
        batches = self._batches(order)
        fewest = min(map(len, batches))
        if fewest < world:
            raise ConfigError(
                f"training: expected at least {world} items in a batch, one for each process, got {fewest}; raise "
                "training.batch_size, train on more video, or start fewer processes"
            )
        shares = [np.array_split(batch, world)[rank] for batch in batches]
        made = self._each(shares)
        begun = time.perf_counter()
        for batch, share in zip(batches, shares, strict=True):
            asked = time.perf_counter()
            x = next(made)
            self._waited_s += time.perf_counter() - asked
            yield share, x, len(batch)
            self._passed_s += time.perf_counter() - begun
            begun = time.perf_counter()

    def in_order(self, rank: int = 0, world: int = 1) -> Iterator[Tensor]:
        """The items of a process's `share`, in order, in batches (n, C, T, V)."""
        share = self.share(rank, world)
        batches = [
            np.arange(at, min(at + _IN_ORDER_BATCH, share.stop))
            for at in range(share.start, share.stop, _IN_ORDER_BATCH)
        ]
        return self._each(batches)

    def share(self, rank: int, world: int) -> range:
        """The items that one of several processes goes through in order; put together by rank they are all items."""
        return range(rank * len(self) // world, (rank + 1) * len(self) // world)

    def _each(self, batches: list[NDArray[np.int64]]) -> Iterator[Tensor]:
        """The windows of each batch of items; while an accelerator computes, a thread makes the next."""
        return map(self.get, batches) if self.device == "cpu" else ahead(self.get, batches)

    def _put(self, tensor: Tensor) -> Tensor:
        """A tensor on the device; a GPU fetches it by itself, out of memory that cannot be swapped."""
        if not self.device.startswith("cuda"):
            return tensor.to(self.device)
        return tensor.pin_memory().to(self.device, non_blocking=True)

    def _batches(self, order: NDArray[np.int64]) -> list[NDArray[np.int64]]:
        batches = np.split(order, range(self.batch_size, len(order), self.batch_size))
        if len(batches) > 1 and len(batches[-1]) < self.batch_size // 2:
            # Batch norm would learn from a handful of leftovers as much as from a full batch.
            batches[-2:] = [np.concatenate(batches[-2:])]
        return batches


def ahead(function: Callable[[A], B], arguments: Iterable[A]) -> Iterator[B]:
    """``map``, with a thread that works on the next result while the caller uses the last.

    NumPy and torch let go of Python's lock, so a caller that waits for a GPU has the next batch when it comes back. On
    a CPU that computes, the thread would only take its time from it.
    """
    with ThreadPoolExecutor(1) as pool:
        waiting = None
        for argument in arguments:
            ready, waiting = waiting, pool.submit(function, argument)
            if ready is not None:
                yield ready.result()
        if waiting is not None:
            yield waiting.result()
