"""Training, as section 3.5 of the paper has it: pre-training, k-means, fine-tuning, and then the normality mixture."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from anomaly.calibration import split_held_out
from anomaly.clustering import Occupancy, clustering_loss, target_distribution
from anomaly.dataset import TrainingSet
from anomaly.network import Network
from anomaly.normality import fit_normality
from anomaly.scoring import Progress, calibrate
from anomaly.trained import TrainedModel
from anomaly.windows import make_windows
from pose_extract.errors import ConfigError, TrainingError
from pose_extract.records import ClipTracks

if TYPE_CHECKING:
    from anomaly.settings import ModelSettings

logger = logging.getLogger(__name__)


def train_model(
    clips: Iterable[ClipTracks],
    settings: ModelSettings,
    seed: int = 0,
    device: str = "cpu",
    progress: Progress | None = None,
) -> TrainedModel:
    """Learn what is normal from clips that show nothing else.

    A share of the video is held out and calibrates the scores: whole clips or the ends of clips, never windows that
    share a frame with a training window. The same clips, settings and seed give the same model on the same machine.

    Args:
        clips: the normal clips' people.
        settings: the model's settings.
        seed: of everything random.
        device: "cpu" or a torch name of a GPU.
        progress: called as (stage, done, total, facts) after every epoch or step of a stage.

    Raises:
        ConfigError: if mixed precision is asked for without a GPU.
        TrainingError: if there is too little data, which the message quantifies, or the loss is no longer a number.
        ModelError: if the tracks' skeleton cannot be turned into the model's.
    """
    bfloat16 = settings.training.precision == "bfloat16"
    if bfloat16 and not device.startswith("cuda"):
        raise ConfigError(f"training.precision bfloat16 needs a GPU, but the device is {device}")
    tell = progress or (lambda stage, done, total, facts: None)
    rng = np.random.default_rng(seed)
    fit, held_out = split_held_out(clips, settings.calibration.held_out, rng)
    x = _windows_of(fit, settings, tell)
    _check_amount(len(x), fit, settings)

    with seeded(seed, device):
        network = Network(settings).to(device)
        data = TrainingSet(x, settings, device)
        history = pretrain(network, data, settings, rng, tell)
        history += finetune(network, data, settings, rng, tell, seed)
    network.eval()

    log_p = assign_all(network, data)
    occupancy = Occupancy.of(np.exp(log_p))
    occupancy.warn()
    tell("normality", 0, 1, {})
    model = TrainedModel(
        settings, fit_normality(log_p, settings.normality, seed), history=history, network=network
    )
    tell("normality", 1, 1, {"components": model.normality.components_used})
    model.calibration = calibrate(model, held_out, tell)
    model.facts = {
        "windows": len(x),
        "clips": len({clip.clip for clip in fit}),
        "clusters_used": round(occupancy.used, 2),
        "largest_cluster": round(occupancy.largest, 4),
        "saturated": round(occupancy.saturated, 4),
        "collapsed": occupancy.collapsed,
        "temperature": float(network.clustering.temperature),
        "components_used": model.normality.components_used,
        "held_out_frames": len(model.calibration.time_s),
        "parameters": sum(p.numel() for p in network.parameters()),
    }
    return model


def pretrain(
    network: Network, data: TrainingSet, settings: ModelSettings, rng: np.random.Generator, tell: Progress
) -> list[dict[str, Any]]:
    """Pre-training: the autoencoder learns to reconstruct; the clustering layer stays as it is."""
    from mmengine.optim import CosineAnnealingLR

    training, history = settings.training, []
    lowest, highest = training.pretrain_rate
    optimizer = make_optimizer(network.autoencoder, highest, settings)
    swing = max(training.pretrain_epochs * data.steps // training.pretrain_swings, 1)
    schedule = CosineAnnealingLR(optimizer, T_max=swing, eta_min=lowest, by_epoch=False)
    for epoch in range(training.pretrain_epochs):
        network.train()
        losses = []
        for _, x in data.epoch(rng):
            with optimizer.optim_context(network):
                _, reconstruction = network.autoencoder(x)
                loss = F.mse_loss(reconstruction, x)
            optimizer.update_params(loss)
            schedule.step()
            losses.append(loss.detach())
        history.append({"stage": "pretrain", "epoch": epoch + 1, "loss_rec": _mean(losses)})
        tell("pretrain", epoch + 1, training.pretrain_epochs, history[-1])
    return history


def finetune(
    network: Network,
    data: TrainingSet,
    settings: ModelSettings,
    rng: np.random.Generator,
    tell: Progress,
    seed: int,
) -> list[dict[str, Any]]:
    """Fine-tuning: k-means, then expectation (the target of the whole set) and maximisation (equation 4) in turn."""
    from mmengine.optim import ExponentialLR

    training, clustering, history = settings.training, settings.clustering, []
    tell("kmeans", 0, 1, {})
    labels = network.clustering.initialise(encode_all(network, data), clustering, seed)
    tell("kmeans", 1, 1, {"clusters": clustering.clusters})

    optimizer = make_optimizer(network, training.finetune_rate, settings)
    schedule = ExponentialLR(optimizer, gamma=training.finetune_decay)
    for epoch in range(training.finetune_epochs):
        facts: dict[str, Any] = {"stage": "finetune", "epoch": epoch + 1}
        if epoch % clustering.target_every == 0:
            p = np.exp(assign_all(network, data))
            q = torch.from_numpy(target_distribution(p)).to(data.device)
            changed = float((p.argmax(axis=1) != labels).mean())
            labels = p.argmax(axis=1)
            occupancy = Occupancy.of(p)
            facts |= {"changed": changed, "clusters_used": occupancy.used, "saturated": occupancy.saturated}
            if epoch > clustering.stop_after and changed < clustering.stop_share:
                logger.info("fine-tuning stops: %.2f %% of the windows changed their cluster", 100 * changed)
                break
        network.train()
        rec, cluster = [], []
        for items, x in data.epoch(rng):
            with optimizer.optim_context(network):
                z, reconstruction = network.autoencoder(x)
                loss_rec = F.mse_loss(reconstruction, x)
                loss_cluster = clustering_loss(network.clustering(z), q[torch.from_numpy(items).to(q.device)])
                loss = loss_rec + clustering.weight * loss_cluster
            optimizer.update_params(loss)
            rec.append(loss_rec.detach())
            cluster.append(loss_cluster.detach())
        schedule.step()
        history.append({**facts, "loss_rec": _mean(rec), "loss_cluster": _mean(cluster)})
        tell("finetune", epoch + 1, training.finetune_epochs, history[-1])
    return history


def make_optimizer(module: torch.nn.Module, rate: float, settings: ModelSettings) -> Any:
    """Adam in mmengine's wrapper, which adds mixed precision where the settings ask for it."""
    from mmengine.optim import AmpOptimWrapper, OptimWrapper

    adam = torch.optim.Adam(module.parameters(), lr=rate, weight_decay=settings.training.weight_decay)
    return (
        AmpOptimWrapper(optimizer=adam)
        if settings.training.precision == "bfloat16"
        else OptimWrapper(optimizer=adam)
    )


@torch.no_grad()
def encode_all(network: Network, data: TrainingSet) -> NDArray[np.float32]:
    """Latent vectors of all items (N * G, D)."""
    network.eval()
    return np.concatenate([network.autoencoder.encode(x).float().cpu().numpy() for x in data.in_order()])


@torch.no_grad()
def assign_all(network: Network, data: TrainingSet) -> NDArray[np.float32]:
    """Log soft assignments of all items (N * G, K)."""
    network.eval()
    return np.concatenate([network.assign(x).float().cpu().numpy() for x in data.in_order()])


@contextmanager
def seeded(seed: int, device: str) -> Iterator[None]:
    """Torch's own generators seeded for weights and dropout, and put back afterwards."""
    devices = [torch.device(device)] if device.startswith("cuda") else []
    with torch.random.fork_rng(devices=devices):
        torch.manual_seed(seed)
        yield


def _mean(losses: list[Tensor]) -> float:
    """Mean of an epoch's losses; raises TrainingError if it is not a number."""
    mean = float(torch.stack(losses).mean())
    if not np.isfinite(mean):
        raise TrainingError(
            "the loss is no longer a number: lower training.pretrain_rate or training.finetune_rate, or set "
            "training.precision to float32"
        )
    return mean


def _windows_of(clips: list[ClipTracks], settings: ModelSettings, tell: Progress) -> NDArray[np.float32]:
    """Training windows (N, C, T, V) of all clips."""
    parts = []
    for number, clip in enumerate(clips):
        parts.append(make_windows(clip, settings.windows, settings.windows.train_stride).x)
        tell("windows", number + 1, len(clips), {"windows": sum(map(len, parts))})
    return np.concatenate(parts)


def _check_amount(windows: int, clips: list[ClipTracks], settings: ModelSettings) -> None:
    """Raise TrainingError unless there are enough windows for the clusters and the mixture."""
    per_window = len(settings.training.transforms)
    mixture = -(-2 * settings.normality.components * settings.normality.every // per_window)
    needed = max(5 * settings.clustering.clusters, mixture)
    if windows < needed:
        window_s = settings.windows.frames / settings.windows.fps
        people = sum(clip.num_tracks for clip in clips)
        needed_s = (needed * settings.windows.train_stride) / settings.windows.fps + window_s
        raise TrainingError(
            f"too little to train on: at least {needed} windows of {window_s:g} s are needed, got {windows} from "
            f"{people} tracks. That is {needed_s:.0f} s or more of people in view without a gap, besides the "
            f"{100 * settings.calibration.held_out:.0f} % held out: add normal video, or lower windows.train_stride"
        )
