"""Train a model (paper, section 3.5): pre-training, k-means, fine-tuning; then fit the mixture and calibrate."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from anomaly.data.training_set import TrainingSet
from anomaly.data.windows import Windows
from anomaly.networks.clustering import ClusterOccupancy, batch_target, divergence, target_distribution
from anomaly.networks.losses import reconstruction_loss
from anomaly.networks.st_gcae import Network
from anomaly.normality.mixture import fit_normality
from anomaly.normality.neighbourhood import Neighbourhoods
from anomaly.normality.parts import FittedParts
from anomaly.runtime import distributed
from anomaly.runtime.seeding import seeded
from anomaly.scoring.calibration import TailProbabilities
from anomaly.scoring.explanation import typical_windows
from anomaly.scoring.part_weights import PartWeights
from anomaly.scoring.scores import Progress
from anomaly.scoring.torch_model import TrainedModel
from anomaly.settings import ModelSettings
from anomaly.training.calibrate import calibrate
from anomaly.training.checkpoint import Checkpoint, fingerprint
from anomaly.training.curves import Curves
from anomaly.training.facts import facts_of
from anomaly.training.held_out import split_held_out
from anomaly.training.preparation import check_amount, training_windows, with_patch_channels
from anomaly.training.run import TrainingRun
from anomaly.training.steps import (
    LossSums,
    assign_all,
    encode_sample,
    make_optimizer,
    mixed_precision,
    optimizer_step,
)
from anomaly.training.surroundings import SeenSurroundings, see_surroundings
from anomaly.training.weighing import weigh_parts
from pose_extract.tracks.records import ClipTracks

logger = logging.getLogger(__name__)


@dataclass
class FittedNetwork:
    """What the two phases of training leave for the mixture and the calibration.

    Attributes:
        settings: of the model.
        seed: of everything random.
        network: trained, in evaluation mode.
        log_p: (N * G, K) log soft assignments of the training set.
        history: one dict an epoch.
        held_out: the clips to calibrate with.
        data: the training set: ``windows``, or as many of them as training asks for.
        clips: how many clips they are from.
        windows: N of them, of all clips that are not held out.
        fold: (N,) of these windows; see `FittedParts.fit`.
        around: what is around the people; None where that is not judged.
    """

    settings: ModelSettings
    seed: int
    network: Network
    log_p: NDArray[np.float32]
    history: list[dict[str, Any]]
    held_out: list[ClipTracks]
    data: TrainingSet
    clips: int
    windows: Windows
    fold: NDArray[np.int64]
    around: SeenSurroundings | None = None


def train_model(
    clips: Iterable[ClipTracks],
    settings: ModelSettings,
    seed: int = 0,
    device: str = "cpu",
    progress: Progress | None = None,
    folder: Path | None = None,
) -> TrainedModel:
    """Learn what is normal from clips that show nothing else: `fit_network`, then `fit_normality_and_calibrate`."""
    return fit_normality_and_calibrate(fit_network(clips, settings, seed, device, progress, folder), progress)


def fit_network(
    clips: Iterable[ClipTracks],
    settings: ModelSettings,
    seed: int = 0,
    device: str = "cpu",
    progress: Progress | None = None,
    folder: Path | None = None,
) -> FittedNetwork:
    """Both phases of training; processes that `distributed.joined` each other do it together.

    A share of the video is held out and calibrates the scores: whole clips or the ends of clips, never windows that
    share a frame with a training window. The same clips, settings and seed give the same model on the same machine.

    Args:
        clips: the normal clips' people; of an iterator's, memory holds each until its windows have been made.
        settings: the model's settings.
        seed: of everything random.
        device: "cpu" or a torch name of an accelerator.
        progress: called as (stage, done, total, facts) after every epoch or step of a stage.
        folder: where the checkpoint and the curves are kept; None keeps neither. If a run with the same clips,
            settings and seed was cut off there, this one goes on after its last finished epoch.

    Raises:
        TrainingError: if there is too little data, which the message quantifies, or the loss is no longer a number.
        ModelError: if the tracks' skeleton cannot be turned into the model's, or they lack patches that it asks for.
        OutputError: if the folder cannot be written.
    """
    clips = list(clips)
    progress = progress or _silent
    rng = np.random.default_rng(seed)
    checkpoint = Checkpoint(folder, fingerprint(settings, seed, device, clips) if folder else "")
    fit, held_out = split_held_out(
        clips, settings.calibration.held_out, rng, whole=settings.windows.extent == "clip"
    )
    del clips  # each is let go when its windows have been made
    people, names = sum(clip.num_tracks for clip in fit), {clip.clip for clip in fit}
    settings = with_patch_channels(settings, fit)
    around = see_surroundings(fit, held_out, settings)
    folds: list[NDArray[np.int64]] = []
    windows = Windows.concatenate(training_windows(fit, settings, progress, folds))
    check_amount(len(windows), people, len(names), settings)
    windows = windows.scaled()

    with seeded(seed, device):
        network = Network(settings).to(device)
        if distributed.world() > 1:
            distributed.share_weights(network)
            torch.manual_seed(seed + distributed.rank())  # dropout masks of its own
        data = TrainingSet(_picked(windows, settings.training.most_windows, seed), settings, device)
        run = TrainingRun(
            network, rng, device, checkpoint, Curves(folder, settings.clustering.clusters), progress
        )
        run.resume()
        pretrain(run, data, settings)
        initialise(run, data, settings, seed)
        ended = finetune(run, data, settings)
    network.eval()
    log_p = assign_all(network, data)
    run.end(ended, ClusterOccupancy.from_assignments(np.exp(log_p)))
    fold = np.concatenate(folds)
    return FittedNetwork(
        settings, seed, network, log_p, run.history, held_out, data, len(names), windows, fold, around
    )


def _picked(windows: Windows, most: int | None, seed: int) -> Windows:
    """At most so many of the windows, drawn at random."""
    if most is None or len(windows) <= most:
        return windows
    rows = np.random.default_rng(seed).choice(len(windows), most, replace=False, shuffle=False)
    return windows.pick(np.sort(rows))


def pretrain(run: TrainingRun, data: TrainingSet, settings: ModelSettings) -> None:
    """Pre-training: the autoencoder learns to reconstruct; the clustering layer stays as it is."""
    from mmengine.optim import CosineAnnealingLR

    if run.stage != "pretrain":
        return
    training, autoencoder = settings.training, run.network.autoencoder
    lowest, highest = training.pretrain_rate
    optimizer = make_optimizer(autoencoder, highest, settings)
    swing = max(training.pretrain_epochs * data.steps // training.pretrain_swings, 1)
    run.enter(
        "pretrain", optimizer, CosineAnnealingLR(optimizer, T_max=swing, eta_min=lowest, by_epoch=False)
    )
    for _ in range(run.epoch, training.pretrain_epochs):
        autoencoder.train()
        losses = LossSums(data.device)
        for _, x, total in data.epoch(run.rng, distributed.rank(), distributed.world()):
            with mixed_precision(settings, data.device):
                _, reconstruction = autoencoder(x)
            loss = reconstruction_loss(reconstruction.float(), x, settings)
            optimizer_step(optimizer, autoencoder, loss * (len(x) / total))
            losses.add(loss_rec=loss * len(x))
            rate = optimizer.param_groups[0]["lr"]
            run.schedule.step()
        run.finish_epoch(
            {**losses.means(data.items_an_epoch), "learning_rate": rate}, training.pretrain_epochs
        )


def initialise(run: TrainingRun, data: TrainingSet, settings: ModelSettings, seed: int) -> None:
    """Put k-means centroids of the latent vectors into the clustering layer."""
    if run.stage != "pretrain":
        return
    run.progress("kmeans", 0, 1, {})
    z = encode_sample(run.network, data, settings)
    if distributed.is_main():
        run.network.clustering.initialise(z, settings.clustering, seed)
    distributed.share_weights(run.network.clustering)
    run.begin_finetuning()
    run.progress("kmeans", 1, 1, {"clusters": settings.clustering.clusters})


def finetune(run: TrainingRun, data: TrainingSet, settings: ModelSettings) -> str:
    """Fine-tuning: expectation (equation 3, of the whole set) and maximisation (equation 4) in turn.

    Returns:
        Why it ended.
    """
    from mmengine.optim import ExponentialLR

    training, clustering, network = settings.training, settings.clustering, run.network
    optimizer = make_optimizer(network, training.finetune_rate, settings)
    run.enter("finetune", optimizer, ExponentialLR(optimizer, gamma=training.finetune_decay))
    ended = f"all {training.finetune_epochs} epochs are done"
    for epoch in range(run.epoch, training.finetune_epochs):
        facts = {}
        if epoch % clustering.target_every == 0:
            facts = expectation(run, data, settings)
            changed = facts.get("changed", 1.0)
            if epoch > clustering.stop_after and changed < clustering.stop_share:
                ended = f"{100 * changed:.2f} % of the windows changed their cluster"
                break
        network.train()
        losses = LossSums(data.device)
        for items, x, total in data.epoch(run.rng, distributed.rank(), distributed.world()):
            with mixed_precision(settings, data.device):
                z, reconstruction = network.autoencoder(x)
            log_p = network.clustering(z.float())
            loss_rec = reconstruction_loss(reconstruction.float(), x, settings)
            parts = divergence(log_p, batch_of_target(run, log_p, items), clustering)
            loss_cluster = parts.sum() / (1 if clustering.reduction == "sum" else total)
            optimizer_step(optimizer, network, loss_rec * (len(x) / total) + clustering.weight * loss_cluster)
            losses.add(loss_rec=loss_rec * len(x), loss_cluster=parts.sum())
        rate = optimizer.param_groups[0]["lr"]
        run.schedule.step()
        facts |= {**losses.means(data.items_an_epoch), "learning_rate": rate}
        run.finish_epoch(facts, training.finetune_epochs)
    return ended


def expectation(run: TrainingRun, data: TrainingSet, settings: ModelSettings) -> dict[str, Any]:
    """Refresh the target of the whole set; returns what it shows of the clusters."""
    p = assign_all(run.network, data, settings)
    np.exp(p, out=p)
    labels = p.argmax(axis=1).astype(np.int16)
    facts: dict[str, Any] = {} if run.labels is None else {"changed": float((labels != run.labels).mean())}
    run.labels = labels
    if settings.clustering.target == "whole":
        run.target = torch.from_numpy(target_distribution(p)).to(data.device)
    return facts | run.watch(ClusterOccupancy.from_assignments(p))


def batch_of_target(run: TrainingRun, log_p: Tensor, items: NDArray[np.int64]) -> Tensor:
    """q of a batch: out of the whole set's, or by the batch's own assignments."""
    if run.target is not None:
        return run.target[torch.from_numpy(items).to(run.device, non_blocking=True)]
    p = log_p.detach().exp()
    return batch_target(p, distributed.sum_over(p.sum(dim=0)))


def fit_normality_and_calibrate(learned: FittedNetwork, progress: Progress | None = None) -> TrainedModel:
    """The model of what was learned: fits the normality mixture and calibrates.

    Raises:
        TrainingError: if nobody is seen in the held-out video.
    """
    progress, settings, network = progress or _silent, learned.settings, learned.network
    occupancy = ClusterOccupancy.from_assignments(np.exp(learned.log_p))
    progress("normality", 0, 1, {})
    normality = fit_normality(learned.log_p, settings.normality, learned.seed)
    history = [{k: v for k, v in row.items() if k != "seconds"} for row in learned.history]
    words, shares = typical_windows(learned.log_p, learned.data)
    scale = learned.data.windows.scale
    model = TrainedModel(
        settings, normality, history=history, words=words, patch_scale=scale, network=network
    )
    reference: dict[str, NDArray[np.float64]] = {}
    if settings.fitted_parts:
        model.densities, reference = _densities(learned, model)
    if settings.neighbourhoods:  # of whole clips, which have no fitted parts
        model.neighbourhoods, reference = Neighbourhoods.fit(
            learned.windows, model.encode, settings, learned.seed
        )
    if learned.around is not None:
        model.surroundings = learned.around.fit()
    progress("normality", 1, 1, {"components": model.normality.components_used})
    found: list[PartWeights] = []

    def weigh(tails: TailProbabilities) -> NDArray[np.float64]:
        found.append(weigh_parts(model, learned.held_out, tails, learned.seed))
        return found[0].weight

    model.calibration = calibrate(model, learned.held_out, progress, reference, weigh)
    model.facts = facts_of(
        model,
        (len(learned.windows), len(learned.data.windows)),
        learned.clips,
        occupancy,
        shares,
        found[0],
        learned.data.waiting,
    )
    return model


def _densities(
    learned: FittedNetwork, model: TrainedModel
) -> tuple[FittedParts, dict[str, NDArray[np.float64]]]:
    """The densities of all normal windows, held-out ones too, and what each says of windows that it has not seen."""
    settings = learned.settings
    held_out = [model.windows_of(clip, settings.windows.train_stride) for clip in learned.held_out]
    windows = Windows.concatenate([learned.windows, *held_out])
    fold = np.concatenate([learned.fold, np.zeros(len(windows) - len(learned.windows), np.int64)])
    densities = FittedParts.fit(windows, fold, settings.fitted_parts, settings.densities, learned.seed)
    known = np.flatnonzero(fold >= 0)
    return densities, densities.anomaly(windows.pick(known), fold[known])


def _silent(stage: str, done: int, total: int, facts: dict[str, Any]) -> None:
    """Progress that nobody wants."""
