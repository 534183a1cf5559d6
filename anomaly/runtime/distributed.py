"""Share training among processes that torchrun started: each takes its share of every batch.

Without torchrun there is one process, and everything here does nothing.
"""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, distributed, nn

from pose_extract.errors import TrainingError, UsageError

logger = logging.getLogger(__name__)

_LOST = re.compile(r"gloo|nccl|connection|socket|timed? ?out|peer", re.IGNORECASE)


@contextmanager
def joined(device: str) -> Iterator[str]:
    """Join the other processes that torchrun started, if it did, for as long as the block runs.

    Args:
        device: "cpu" or a torch name of an accelerator.

    Yields:
        The device of this process: with "cuda", each process of a machine has a GPU of its own.

    Raises:
        UsageError: there are more processes than GPUs, or the device does not do this.
        TrainingError: another process was lost meanwhile.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) == 1 or "LOCAL_RANK" not in os.environ:
        yield device
        return
    device = _own_device(device)
    _import_what_keeps_a_group()
    distributed.init_process_group("nccl" if device.startswith("cuda") else "gloo")
    try:
        if not is_main():
            for name in ("pipeline", "pose_extract", "anomaly"):
                logging.getLogger(name).setLevel(logging.ERROR)  # process 0 says it
        yield device
    except RuntimeError as error:
        if not _LOST.search(str(error)):
            raise
        raise TrainingError(
            f"process {rank() + 1} of {world()} lost the others: one of them ended, its own message says why. Start "
            "the same command again to go on after the last finished epoch"
        ) from error
    finally:
        distributed.destroy_process_group()


def _import_what_keeps_a_group() -> None:
    """Import what keeps, as default arguments of its functions, the group that there is when it is imported.

    Imported later, it would keep ours: the group's threads would live on, and could abort Python when it exits
    (pytorch issue 190489).
    """
    import mmengine.optim  # noqa: F401
    import torch.distributed.nn.functional  # noqa: F401


def _own_device(device: str) -> str:
    local = int(os.environ["LOCAL_RANK"])
    if device == "cpu":
        return device
    if not device.startswith("cuda"):
        raise UsageError(f"torchrun's processes train on cpu or cuda, not on {device!r}; use --device cpu")
    if local >= torch.cuda.device_count():
        raise UsageError(
            f"torchrun started more processes than this machine has GPUs ({torch.cuda.device_count()}); lower "
            "--nproc-per-node, or use --device cpu"
        )
    torch.cuda.set_device(local)
    return f"cuda:{local}"


def rank() -> int:
    """Number of this process, from 0."""
    return distributed.get_rank() if _together() else 0


def world() -> int:
    """How many processes train together."""
    return distributed.get_world_size() if _together() else 1


def is_main() -> bool:
    """Whether this process is the one that shows progress and writes files."""
    return rank() == 0


def _together() -> bool:
    return distributed.is_available() and distributed.is_initialized()


def share(count: int, of: int | None = None) -> tuple[int, int]:
    """(begin, stop) of the items, out of ``count``, that a process passes through the network.

    Args:
        count: how many there are.
        of: the process's number; None for this one.
    """
    of = rank() if of is None else of
    return count * of // world(), count * (of + 1) // world()


def collect(part: Tensor, count: int) -> Tensor:
    """The (count, ...) rows of which each process has its `share`; every process gets them all."""
    if world() == 1:
        return part
    whole = part.new_empty((count, *part.shape[1:]))
    for source in range(world()):
        begin, stop = share(count, source)
        if source == rank():
            whole[begin:stop] = part
        if stop > begin:
            distributed.broadcast(whole[begin:stop], source)
    return whole


def sum_over(values: Tensor) -> Tensor:
    """The sum of a tensor over the processes."""
    if world() > 1:
        distributed.all_reduce(values)
    return values


def sum_gradients(parameters: Iterable[nn.Parameter]) -> None:
    """Replace every gradient by its sum over the processes, in one message."""
    if world() == 1:
        return
    gradients = [p.grad for p in parameters if p.grad is not None]
    flat = sum_over(torch.cat([g.reshape(-1) for g in gradients]))
    for gradient, summed in zip(gradients, flat.split([g.numel() for g in gradients]), strict=True):
        gradient.copy_(summed.view_as(gradient))


@torch.no_grad()
def share_weights(module: nn.Module) -> None:
    """Give every process the parameters and buffers that process 0 has."""
    if world() > 1:
        for tensor in module.state_dict().values():
            held = tensor.contiguous()
            distributed.broadcast(held, 0)
            tensor.copy_(held)


def share_bytes(data: bytes, device: str) -> bytes:
    """What process 0 passes in, in every process."""
    if world() == 1:
        return data
    size = torch.tensor([len(data)], device=device)
    distributed.broadcast(size, 0)
    held = torch.empty(int(size), dtype=torch.uint8, device=device)
    if is_main() and data:
        held.copy_(torch.frombuffer(bytearray(data), dtype=torch.uint8))
    if len(held):
        distributed.broadcast(held, 0)
    return held.cpu().numpy().tobytes()
