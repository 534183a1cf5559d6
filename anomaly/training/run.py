"""Hold the state of a training run that changes from epoch to epoch, and resume it."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from anomaly.networks.clustering import ClusterOccupancy
from anomaly.networks.st_gcae import Network
from anomaly.runtime.distributed import collect, rank, world
from anomaly.scoring.scores import Progress
from anomaly.training.checkpoint import Checkpoint
from anomaly.training.curves import Curves

logger = logging.getLogger(__name__)

PHASES = {"pretrain": "pre-training", "finetune": "fine-tuning"}


@dataclass
class TrainingRun:
    """What a training run consists of.

    Attributes:
        network: what is trained.
        rng: draws the batches.
        device: where the network is.
        checkpoint: where the run is kept.
        curves: where its history is shown.
        progress: where progress is reported.
        stage: the phase that it is in, "pretrain" or "finetune".
        epoch: finished epochs of that phase.
        labels: (N * G,) the most likely cluster of every item when the target was last refreshed.
        target: (N * G, K) q of equation 3 as of then, on the device; None where the target is the batch's.
        history: one dict an epoch.
        optimizer: Adam of this phase, in mmengine's wrapper.
        schedule: mmengine's scheduler of its learning rate.
    """

    network: Network
    rng: np.random.Generator
    device: str
    checkpoint: Checkpoint
    curves: Curves
    progress: Progress
    stage: str = "pretrain"
    epoch: int = 0
    labels: NDArray[np.int16] | None = None
    target: Tensor | None = None
    history: list[dict[str, Any]] = field(default_factory=list)
    optimizer: Any = None
    schedule: Any = None
    _restored: tuple[dict[str, Tensor], dict[str, Any]] | None = None
    _warned: bool = False
    _since: float = field(default_factory=time.monotonic)

    def enter(self, stage: str, optimizer: Any, schedule: Any) -> None:
        """Begin a phase with its optimiser, or take up both where the checkpoint left them."""
        self.stage = stage
        self.optimizer, self.schedule = optimizer, schedule
        if self._restored is not None and self.epoch:
            tensors, facts = self._restored
            optimizer.optimizer.load_state_dict(_adam_state(tensors, facts["groups"]))
            schedule.load_state_dict(facts["schedule"])
        self._restored = None
        self._since = time.monotonic()

    def finish_epoch(self, facts: dict[str, Any], total: int) -> None:
        """Note a finished epoch, keep the run as it is now, and report."""
        self.epoch += 1
        now = time.monotonic()
        seconds, self._since = round(now - self._since, 3), now
        self.history.append({"stage": self.stage, "epoch": self.epoch, **facts, "seconds": seconds})
        self.save()
        self.progress(self.stage, self.epoch, total, self.history[-1])

    def begin_finetuning(self) -> None:
        """Leave pre-training behind, with the clustering layer initialised."""
        self.stage, self.epoch, self.optimizer, self.schedule = "finetune", 0, None, None
        self.save()

    def watch(self, occupancy: ClusterOccupancy) -> dict[str, Any]:
        """What the history notes of the clusters; the first time that something is wrong with them it is said."""
        if not self._warned:
            self._warned = occupancy.warn()
        windows = sum(occupancy.counts)
        return {
            "clusters_used": occupancy.used,
            "largest": occupancy.largest,
            "saturated": occupancy.saturated,
            "occupancy": [count / windows for count in occupancy.counts],
        }

    def end(self, reason: str, occupancy: ClusterOccupancy) -> None:
        """Note why training ended and what became of the clusters."""
        logger.info("training ends: %s", reason)
        self._warned = False
        self.history.append({"stage": "end", "epoch": self.epoch, **self.watch(occupancy), "reason": reason})
        self.curves.write(self.history)
        self.curves.close()

    def save(self) -> None:
        """Write the checkpoint and the curves."""
        if self.checkpoint.path is not None:
            tensors = {f"network.{name}": tensor for name, tensor in self.network.state_dict().items()}
            tensors |= _generator_states(self.device)
            if self.labels is not None:
                tensors["labels"] = torch.from_numpy(self.labels)
            if self.target is not None:
                tensors["target"] = self.target
            facts: dict[str, Any] = {"stage": self.stage, "epoch": self.epoch, "history": self.history}
            facts["rng"] = self.rng.bit_generator.state
            if self.optimizer is not None:
                adam = self.optimizer.optimizer.state_dict()
                tensors |= {
                    f"adam.{i}.{k}": v for i, state in adam["state"].items() for k, v in state.items()
                }
                facts |= {"groups": adam["param_groups"], "schedule": self.schedule.state_dict()}
            self.checkpoint.save(tensors, facts)
        self.curves.write(self.history)

    def resume(self) -> None:
        """Take up the run that the checkpoint keeps, if it keeps one."""
        found = self.checkpoint.load(self.device)
        if found is None:
            return
        tensors, facts = found
        weights = {n.removeprefix("network."): t for n, t in tensors.items() if n.startswith("network.")}
        if {n: t.shape for n, t in weights.items()} != {
            n: t.shape for n, t in self.network.state_dict().items()
        }:
            logger.warning(
                "%s has other weights than the network; training starts anew", self.checkpoint.path
            )
            return
        self.network.load_state_dict(weights)
        _restore_generators(tensors, self.device)
        self.rng.bit_generator.state = facts["rng"]
        self.stage, self.epoch, self.history = facts["stage"], facts["epoch"], facts["history"]
        self.labels = tensors["labels"].numpy() if "labels" in tensors else None
        self.target = tensors["target"].to(self.device) if "target" in tensors else None
        self._restored = found
        where = f"epoch {self.epoch} of {PHASES[self.stage]}" if self.epoch else "k-means"
        logger.info("going on after %s, where an earlier run was cut off", where)


def _adam_state(tensors: dict[str, Tensor], groups: list[dict[str, Any]]) -> dict[str, Any]:
    """The optimiser's state dict out of a checkpoint."""
    state: dict[int, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        kind, _, rest = name.partition(".")
        if kind == "adam":
            number, _, key = rest.partition(".")
            state.setdefault(int(number), {})[key] = tensor
    return {"state": state, "param_groups": groups}


def _generator_states(device: str) -> dict[str, Tensor]:
    """The states of torch's generators in every process, one row each."""
    states = {"generator.cpu": torch.get_rng_state()}
    kind = torch.device(device).type
    if kind != "cpu":
        states["generator.device"] = getattr(torch, kind).get_rng_state()
    return {name: collect(state[None].to(device), world()).cpu() for name, state in states.items()}


def _restore_generators(tensors: dict[str, Tensor], device: str) -> None:
    """Put torch's generators back into the states of this process's row."""
    # Cloned: torch reads a state from the beginning of the storage, whatever row of it a view is.
    torch.set_rng_state(tensors["generator.cpu"][rank()].clone())
    if "generator.device" in tensors:
        getattr(torch, torch.device(device).type).set_rng_state(tensors["generator.device"][rank()].clone())
