"""Our model, trained once and kept: what was cut off goes on, what is finished is read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from anomaly.bundle import load_bundle, save_bundle
from anomaly.bundle.card import read_card
from anomaly.settings import ModelSettings
from anomaly.training.checkpoint import remove_checkpoint
from anomaly.training.train import train_model
from pipeline.versions import versions
from pose_extract.errors import ModelError
from pose_extract.tracks.records import ClipTracks

if TYPE_CHECKING:
    from anomaly.scoring.torch_model import TrainedModel


def train_or_load(
    folder: Path,
    clips: list[ClipTracks],
    settings: ModelSettings,
    seed: int,
    device: str,
    made_from: dict[str, Any],
) -> TrainedModel:
    """The model of some clips. It is always read from its bundle, so that it scores the same whether it was there.

    Args:
        folder: where it is kept; nobody else may be training there.
        clips: normal ones.
        settings: of the model.
        seed: of everything random.
        device: where it is trained and run.
        made_from: everything that shapes it, as JSON can hold it; a bundle made from something else is made again.

    Raises:
        TrainingError: there is too little to learn from, or training broke down.
        OutputError: the folder cannot be written.
    """
    if not _is_there(folder, made_from):
        model = train_model(clips, settings, seed, device, folder=folder / "training")
        save_bundle(model, folder / "model", {"made_from": made_from, "seed": seed, "versions": versions()})
        remove_checkpoint(folder / "training")
    return load_bundle(folder / "model", device)  # type: ignore[return-value]


def _is_there(folder: Path, made_from: dict[str, Any]) -> bool:
    try:
        return json.dumps(read_card(folder / "model")["made_from"], sort_keys=True) == json.dumps(
            made_from, sort_keys=True
        )
    except (ModelError, KeyError, TypeError):
        return False
