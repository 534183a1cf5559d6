"""Save and load a model bundle: weights.safetensors, normality.npz, config.yaml and card.json. No pickle anywhere.

An exported bundle has encoder.onnx in the place of weights.safetensors, and is read without torch.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from anomaly.bundle.card import ENCODER, WEIGHTS, read_card
from anomaly.bundle.files import read_bundle, write_bundle
from anomaly.scoring.model import Model
from anomaly.settings import ModelSettings
from pose_extract.errors import ModelError

if TYPE_CHECKING:
    from anomaly.networks.st_gcae import Network
    from anomaly.scoring.torch_model import TrainedModel

__all__ = ["load_bundle", "read_card", "save_bundle"]

_TRIES = 3  # to read a bundle in whose place another one is put meanwhile


def save_bundle(
    model: TrainedModel,
    folder: str | Path,
    card: dict[str, Any] | None = None,
    patch_encoder: bytes | None = None,
) -> None:
    """Write a model to ``folder``, replacing a bundle there: a reader finds the old or the new one, never a mixture.

    Args:
        model: a calibrated model.
        folder: where to.
        card: what to note about it, as JSON can hold it: what it was trained on, versions, metrics.
        patch_encoder: the file of the network that turns crops into features, if the model is of such.

    Raises:
        OutputError: if the folder cannot be written.
        ModelError: if the model has no calibration.
    """
    from safetensors.torch import save

    state = {k: v.detach().cpu().contiguous() for k, v in model.network.state_dict().items()}
    write_bundle(model, folder, card, WEIGHTS, lambda path: path.write_bytes(save(state)), patch_encoder)


def load_bundle(folder: str | Path, device: str = "cpu") -> Model:
    """Read a model: a `TrainedModel`, or an `OnnxModel` from an exported bundle, for which torch is not imported.

    If another is put in its place meanwhile, that one is read, never a mixture.

    Args:
        folder: the bundle.
        device: where the network runs, as torch or onnxruntime call it.

    Raises:
        ModelError: if it is missing, damaged, of another version, or not what a bundle may hold.
        UsageError: onnxruntime does not have the device.
    """
    for _ in range(_TRIES - 1):
        before = _which(folder)
        try:
            model = _load(folder, device)
        except ModelError:
            if _which(folder) == before:
                raise
        else:
            if _which(folder) == before:
                return model
    return _load(folder, device)


def _which(folder: str | Path) -> tuple[int, ...] | None:
    """What tells whether another bundle has been put into a bundle's place; None where none is."""
    try:
        about = os.stat(folder)
    except OSError:
        return None
    return about.st_dev, about.st_ino, about.st_mtime_ns


def _load(folder: str | Path, device: str) -> Model:
    parts, path = read_bundle(folder)
    if path.name == ENCODER:
        from anomaly.scoring.onnx_model import OnnxModel, OnnxNetwork

        return OnnxModel(**parts, network=OnnxNetwork(path, parts["settings"], device))

    from anomaly.scoring.torch_model import TrainedModel

    return TrainedModel(**parts, network=_read_network(path, parts["settings"]).eval()).to(device)


def _read_network(path: Path, settings: ModelSettings) -> Network:
    import torch
    from safetensors import SafetensorError, safe_open

    from anomaly.networks.st_gcae import Network

    with torch.device("meta"):  # shapes only: nothing is allocated for what the file may not hold
        expected = {k: (v.shape, v.dtype) for k, v in Network(settings).state_dict().items()}
    state = {}
    try:
        with safe_open(path, framework="pt") as file:
            names = set(file.keys())
            if names != set(expected):
                odd = sorted(names ^ set(expected))[0]
                raise ModelError(
                    f"{path} does not fit its config: {odd!r} is in one of them only; train again"
                )
            for name, (shape, dtype) in expected.items():
                found = tuple(file.get_slice(name).get_shape())
                if found != tuple(shape):
                    raise ModelError(
                        f"{path}: expected {name} of shape {tuple(shape)}, got {found}; train again"
                    )
                state[name] = file.get_tensor(name)
                if state[name].dtype != dtype:
                    raise ModelError(
                        f"{path}: expected {name} as {dtype}, got {state[name].dtype}; train again"
                    )
                if not torch.isfinite(state[name]).all():
                    raise ModelError(f"{path}: {name} has values that are not finite; train again")
    except (SafetensorError, OSError, ValueError) as error:
        raise ModelError(f"{path} is damaged: {error}; train again") from error
    network = Network(settings)
    network.load_state_dict(state)
    return network
