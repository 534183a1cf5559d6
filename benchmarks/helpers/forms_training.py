"""Training of many forms that share what they have in common: windows, pre-training, fine-tuning, assignments."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from anomaly.data.training_set import TrainingSet
from anomaly.data.windows import Windows, make_windows
from anomaly.networks.clustering import ClusterOccupancy
from anomaly.networks.st_gcae import Network
from anomaly.normality.mixture import fit_normality
from anomaly.runtime.seeding import seeded
from anomaly.scoring.scores import score_clip
from anomaly.scoring.torch_model import TrainedModel
from anomaly.settings import ModelSettings
from anomaly.training.calibrate import calibrate
from anomaly.training.checkpoint import Checkpoint
from anomaly.training.curves import Curves
from anomaly.training.held_out import split_held_out
from anomaly.training.run import TrainingRun
from anomaly.training.steps import assign_all
from anomaly.training.train import finetune, initialise, pretrain
from pose_extract.tracks.records import ClipTracks

_FEW = 32  # windows whose activations stay in the processor's cache
_PRETRAINING = ("transforms", "all_transforms", "batch_size", "weight_decay", "precision")


@dataclass
class RememberingModel(TrainedModel):
    """A model that remembers what its autoencoder said of windows, by their content.

    Attributes:
        memory: shared by models with the same autoencoder.
    """

    memory: dict[Any, NDArray[Any]] = field(kw_only=True)

    @torch.no_grad()
    def assign(self, x: NDArray[np.float32]) -> NDArray[np.float32]:
        """As `TrainedModel.assign`."""
        z = self._once("latent", x, self._encode)
        log_p = self.network.clustering(torch.from_numpy(z).flatten(0, 1))
        return log_p.numpy().reshape(*z.shape[:2], -1)

    def joint_errors(self, x: NDArray[np.float32]) -> NDArray[np.float64]:
        """As `TrainedModel.joint_errors`."""
        return self._once("errors", x, super().joint_errors)

    def _encode(self, x: NDArray[np.float32]) -> NDArray[np.float32]:
        """Latent vectors (N, G, D) of windows (N, C, T, V) in their transforms."""
        parts = []
        for _, copies in self._copies(x):
            few = copies.flatten(0, 1).split(_FEW)
            parts.append(torch.cat([self._fused.encode(part) for part in few]).view(*copies.shape[:2], -1))
        return torch.cat(parts).numpy()

    def _once(self, what: str, x: NDArray[np.float32], compute: Callable[..., NDArray[Any]]) -> NDArray[Any]:
        key = what, x.shape, hashlib.blake2b(np.ascontiguousarray(x).data).digest()
        if key not in self.memory:
            self.memory[key] = compute(x)
        return self.memory[key]


class Shared:
    """Trains and scores forms on the clips of one seed; what the last form had in common with the next is kept.

    Args:
        normal: clips to learn from.
        tests: clips to score.
        seed: of everything random in training.
    """

    def __init__(self, normal: list[ClipTracks], tests: list[ClipTracks], seed: int) -> None:
        self.normal, self.tests, self.seed = normal, tests, seed
        self._kept: dict[str, tuple[str, Any]] = {}

    def keys(self, settings: ModelSettings) -> tuple[str, str, str]:
        """What pre-training, fine-tuning and the mixture depend on; forms sorted by it share the most."""
        training = asdict(settings.training)
        first = {
            "windows": asdict(settings.windows),
            "model": asdict(settings.model),
            "held_out": settings.calibration.held_out,
            "training": {k: v for k, v in training.items() if k in _PRETRAINING or k.startswith("pretrain")},
        }
        second = {"clustering": asdict(settings.clustering), "training": training}
        parts = (first, second, asdict(settings.normality))
        texts = [json.dumps(part, sort_keys=True, default=str) for part in parts]
        return texts[0], "".join(texts[:2]), "".join(texts)

    def score(self, settings: ModelSettings) -> tuple[list[NDArray[np.float64]], dict[str, Any]]:
        """Frame scores of each test clip, and what training found."""
        model = self._once("model", self.keys(settings)[2], lambda: self._model(settings))
        scores = [score_clip(model, tracks, settings.scoring).frames.score for tracks in self.tests]
        return scores, model.facts

    def _once(self, stage: str, key: str, compute: Callable[[], Any]) -> Any:
        if self._kept.get(stage, ("",))[0] != key:
            self._kept.pop(stage, None)
            self._kept[stage] = key, compute()
        return self._kept[stage][1]

    def _pretrained(self, settings: ModelSettings) -> tuple[TrainingSet, list[ClipTracks], Network]:
        """The training set, the held-out clips, and a network with the autoencoder trained."""
        rng = np.random.default_rng(self.seed)
        fit, held_out = split_held_out(self.normal, settings.calibration.held_out, rng)
        stride = settings.windows.train_stride
        windows = Windows.concatenate(make_windows(clip, settings.windows, stride) for clip in fit)
        data = TrainingSet(windows, settings, "cpu")
        with seeded(self.seed, "cpu"):
            run = self._run(Network(settings), settings, rng)
            pretrain(run, data, settings)
        return data, held_out, run.network

    def _tuned(self, settings: ModelSettings) -> tuple[Network, NDArray[np.float32], dict[Any, NDArray[Any]]]:
        """The network, the training set's log assignments, and the memory of its autoencoder."""
        first = self.keys(settings)[0]
        data, _, pretrained = self._once("pretrained", first, lambda: self._pretrained(settings))
        memory = self._once("memory", first, dict) if settings.training.finetune_epochs == 0 else {}
        with seeded(self.seed + 1, "cpu"):
            network = Network(settings)
            network.autoencoder.load_state_dict(pretrained.autoencoder.state_dict())
            run = self._run(network, settings, np.random.default_rng(self.seed + 1))
            initialise(run, data, settings, self.seed)
            finetune(run, data, settings)
        return network.eval(), assign_all(network, data), memory

    def _model(self, settings: ModelSettings) -> RememberingModel:
        network, log_p, memory = self._once("tuned", self.keys(settings)[1], lambda: self._tuned(settings))
        _, held_out, _ = self._kept["pretrained"][1]
        normality = fit_normality(log_p, settings.normality, self.seed)
        model = RememberingModel(settings, normality, network=network, memory=memory)
        model.calibration = calibrate(model, held_out, _silent)
        occupancy = ClusterOccupancy.from_assignments(np.exp(log_p))
        model.facts = {
            "clusters_used": occupancy.used,
            "largest_cluster": occupancy.largest,
            "saturated": occupancy.saturated,
            "components_used": normality.components_used,
        }
        return model

    def _run(self, network: Network, settings: ModelSettings, rng: np.random.Generator) -> TrainingRun:
        nothing_kept = Curves(None, settings.clustering.clusters)
        return TrainingRun(network, rng, "cpu", Checkpoint(None, ""), nothing_kept, _silent)


def _silent(stage: str, done: int, total: int, facts: dict[str, Any]) -> None:
    """Progress that nobody wants."""
