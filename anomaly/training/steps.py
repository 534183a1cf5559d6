"""Take optimisation steps, run passes over the training set, and sum up losses."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from anomaly.data.training_set import TrainingSet
from anomaly.networks.st_gcae import Network
from anomaly.runtime import distributed
from anomaly.settings import ModelSettings
from pose_extract.errors import TrainingError

_PASS_BATCH = 1024  # windows a call when the whole set passes through the network


def make_optimizer(module: torch.nn.Module, rate: float, settings: ModelSettings) -> Any:
    """Adam in mmengine's wrapper."""
    from mmengine.optim import OptimWrapper

    parameters = list(module.parameters())
    fused = parameters[0].device.type in (
        "cpu",
        "cuda",
    )  # one pass over all weights instead of hundreds of small ones
    adam = torch.optim.Adam(parameters, lr=rate, weight_decay=settings.training.weight_decay, fused=fused)
    return OptimWrapper(optimizer=adam)


def mixed_precision(settings: ModelSettings | None, device: str) -> torch.autocast:
    """Forward passes in bfloat16 where the settings ask for it. mmengine's own wrapper does not do that on a CPU."""
    wanted = settings is not None and settings.training.precision == "bfloat16"
    return torch.autocast(torch.device(device).type, torch.bfloat16, enabled=wanted)


def encode_sample(network: Network, data: TrainingSet, settings: ModelSettings) -> NDArray[np.float32]:
    """Latent vectors (n, D) of at most ``clustering.kmeans_windows`` items, evenly spread over the set."""
    # Not every n-th item: where n is a multiple of the transforms' number, all would be in the same transform.
    count = min(len(data), settings.clustering.kmeans_windows)
    items = np.linspace(0, len(data) - 1, count).astype(np.int64)
    begin, stop = distributed.share(len(items))
    batches = (data.get(items[at : min(at + _PASS_BATCH, stop)]) for at in range(begin, stop, _PASS_BATCH))
    return _pass(
        network.autoencoder.encode, network, batches, len(items), mixed_precision(settings, data.device)
    )


def assign_all(
    network: Network, data: TrainingSet, settings: ModelSettings | None = None
) -> NDArray[np.float32]:
    """Log soft assignments of all items (N * G, K), in the settings' precision or, without settings, in float32."""
    batches = data.in_order(distributed.rank(), distributed.world())
    return _pass(network.assign, network, batches, len(data), mixed_precision(settings, data.device))


@torch.no_grad()
def _pass(
    function: Callable[[Tensor], Tensor],
    network: Network,
    batches: Iterable[Tensor],
    count: int,
    precision: torch.autocast,
) -> NDArray[np.float32]:
    """What the network in evaluation mode makes of ``count`` items, of which each process passes its share through."""
    network.eval()
    with precision:
        parts = [function(x).float() for x in batches]
    return distributed.collect(torch.cat(parts), count).cpu().numpy()


def optimizer_step(optimizer: Any, module: torch.nn.Module, loss: Tensor) -> None:
    """One step down the gradient of the loss, which is this process's part of the batch's."""
    optimizer.backward(loss)
    distributed.sum_gradients(module.parameters())
    optimizer.step()
    optimizer.zero_grad()


class LossSums:
    """Sums of an epoch's losses, kept on the device so that no step waits for them."""

    def __init__(self, device: str) -> None:
        self._device = device
        self._sums: dict[str, Tensor] = {}

    def add(self, **losses: Tensor) -> None:
        """Add a step's sums."""
        for name, loss in losses.items():
            loss = loss.detach().double() if self._device != "mps" else loss.detach()
            self._sums[name] = self._sums[name] + loss if name in self._sums else loss

    def means(self, items: int) -> dict[str, float]:
        """The means over all processes' items; raises TrainingError if one is not a number."""
        summed = distributed.sum_over(torch.stack(list(self._sums.values()))).tolist()
        if not np.isfinite(summed).all():
            raise TrainingError(
                "the loss is no longer a number: lower training.pretrain_rate or training.finetune_rate, or set "
                "training.precision to float32"
            )
        return {name: value / items for name, value in zip(self._sums, summed, strict=True)}
