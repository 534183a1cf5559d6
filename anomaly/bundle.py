"""The model bundle: a folder with weights.safetensors, normality.npz, config.yaml and card.json. No pickle anywhere.

A bundle may come from somebody else: nothing in it is believed before it has been checked, and nothing in it can run.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from numpy.typing import NDArray

from anomaly.calibration import Calibration
from anomaly.network import Network
from anomaly.normality import NormalityModel
from anomaly.settings import ModelSettings, settings_from_dict, settings_to_dict
from anomaly.trained import TrainedModel
from pose_extract.errors import ConfigError, ModelError, OutputError

FORMAT, VERSION = "gepc-bundle", 1
WEIGHTS, NORMALITY, CONFIG, CARD = "weights.safetensors", "normality.npz", "config.yaml", "card.json"
_MOST_BYTES = {WEIGHTS: 2**31, NORMALITY: 2**31, CONFIG: 2**20, CARD: 2**26}
_MOST_CALIBRATION = 10**8  # values in one calibration array


def save_bundle(model: TrainedModel, folder: str | Path, card: dict[str, Any] | None = None) -> None:
    """Write a model to ``folder``, replacing a bundle there: a reader finds the old or the new one, never a mixture.

    Args:
        model: a calibrated model.
        folder: where to.
        card: what to note about it, as JSON can hold it: what it was trained on, versions, metrics.

    Raises:
        OutputError: if the folder cannot be written.
        ModelError: if the model has no calibration.
    """
    from safetensors.torch import save

    if model.calibration is None:
        raise ModelError("the model has no calibration; train it again")
    folder = Path(folder)
    if folder.exists() and not _replaceable(folder):
        raise OutputError(f"{folder} exists and is not a model bundle; name another folder or remove it")
    temporary = None
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
        temporary.chmod(0o755)
        state = {k: v.detach().cpu().contiguous() for k, v in model.network.state_dict().items()}
        (temporary / WEIGHTS).write_bytes(save(state))
        (temporary / WEIGHTS).chmod(0o644)  # safetensors makes it private
        np.savez(temporary / NORMALITY, allow_pickle=False, **_arrays(model))
        (temporary / CONFIG).write_text(yaml.safe_dump(settings_to_dict(model.settings), sort_keys=False))
        notes = {
            **(card or {}),
            "format": FORMAT,
            "version": VERSION,
            "facts": model.facts,
            "history": model.history,
        }
        (temporary / CARD).write_text(json.dumps(notes, indent=2, default=str) + "\n")
        _swap(temporary, folder)
    except OSError as error:
        raise OutputError(f"cannot write the model to {folder}: {error.strerror or error}") from error
    finally:
        if temporary is not None:
            shutil.rmtree(temporary, ignore_errors=True)


def load_bundle(folder: str | Path, device: str = "cpu") -> TrainedModel:
    """Read a model.

    Raises:
        ModelError: if it is missing, damaged, of another version, or not what a bundle may hold.
    """
    folder = Path(folder)
    previous = _previous(folder)
    if not folder.exists() and previous.is_dir():
        folder = previous  # the writer was killed between its two renames
    if not folder.is_dir():
        raise ModelError(
            f"no model in {folder}: train one first (gepc-pipeline train), or name another folder"
        )
    for name, most in _MOST_BYTES.items():
        path = folder / name
        if path.is_symlink() or not path.is_file():
            raise ModelError(f"{folder} is not a complete model bundle: expected a file {name}; train again")
        if path.stat().st_size > most:
            raise ModelError(f"{path} has {path.stat().st_size} bytes, more than a bundle may ({most})")
    card = _read_card(folder / CARD)
    settings = _read_settings(folder / CONFIG)
    network = _read_network(folder / WEIGHTS, settings)
    arrays = _read_arrays(folder / NORMALITY, settings)
    normality = NormalityModel(
        settings.normality,
        arrays["weights"],
        arrays["offsets"],
        arrays["means"],
        arrays["precision_cholesky"],
    )
    calibration = Calibration(
        arrays["calibration_clip"],
        arrays["calibration_time_s"],
        arrays["calibration_frames"],
        arrays["calibration_rows"],
    )
    history, facts = card.get("history", []), card.get("facts", {})
    model = TrainedModel(settings, normality, calibration, history, facts, network=network.eval())
    return model.to(device)


def read_card(folder: str | Path) -> dict[str, Any]:
    """What the bundle's card notes; raises ModelError as `load_bundle` does."""
    path = Path(folder) / CARD
    if path.is_symlink() or not path.is_file() or path.stat().st_size > _MOST_BYTES[CARD]:
        raise ModelError(
            f"no model in {folder}: train one first (gepc-pipeline train), or name another folder"
        )
    return _read_card(path)


def _arrays(model: TrainedModel) -> dict[str, NDArray[Any]]:
    calibration, normality = model.calibration, model.normality
    assert calibration is not None
    return {
        "weights": normality.weights,
        "offsets": normality.offsets,
        "means": normality.means,
        "precision_cholesky": normality.precision_cholesky,
        "calibration_clip": calibration.clip,
        "calibration_time_s": calibration.time_s,
        "calibration_frames": calibration.frames,
        "calibration_rows": calibration.rows,
    }


def _previous(folder: Path) -> Path:
    return folder.with_name(f".{folder.name}.previous")


def _replaceable(folder: Path) -> bool:
    """Whether a folder is empty or a bundle, not somebody's other files."""
    return folder.is_dir() and ((folder / CARD).is_file() or not any(folder.iterdir()))


def _swap(temporary: Path, folder: Path) -> None:
    previous = _previous(folder)
    if folder.exists():
        shutil.rmtree(previous, ignore_errors=True)
        os.rename(folder, previous)
    os.rename(temporary, folder)
    shutil.rmtree(previous, ignore_errors=True)


def _read_card(path: Path) -> dict[str, Any]:
    try:
        card = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError, OSError) as error:
        raise ModelError(f"{path} is damaged: it is not JSON ({error}); train again") from error
    if not isinstance(card, dict) or card.get("format") != FORMAT:
        raise ModelError(f"{path} is not the card of a model bundle; train again")
    if card.get("version") != VERSION:
        raise ModelError(
            f"{path.parent} has bundle version {card.get('version')!r}, this program reads version {VERSION}: train "
            "again, or use the program's version that made it"
        )
    return card


def _read_settings(path: Path) -> ModelSettings:
    try:
        sections = yaml.safe_load(path.read_text(encoding="utf-8"))
        if not isinstance(sections, dict):
            raise ConfigError(f"expected sections, got {type(sections).__name__}")
        return settings_from_dict(sections)
    except (yaml.YAMLError, ConfigError, ValueError, TypeError, RecursionError, OSError) as error:
        raise ModelError(f"{path} is damaged or of another version: {error}; train again") from error


def _read_network(path: Path, settings: ModelSettings) -> Network:
    from safetensors import SafetensorError, safe_open

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


def _read_arrays(path: Path, settings: ModelSettings) -> dict[str, NDArray[Any]]:
    """The arrays of normality.npz, each checked by its header before it is read."""
    clusters, parts = settings.clustering.clusters, settings.normality.components
    size = clusters if settings.normality.form == "gaussian" else clusters - 1
    expected: dict[str, tuple[tuple[int | str, ...], type]] = {
        "weights": ((parts,), np.float64),
        "offsets": ((parts,), np.float64),
        "means": ((parts, size), np.float64),
        "precision_cholesky": ((parts, size, size), np.float64),
        "calibration_clip": (("F",), np.int32),
        "calibration_time_s": (("F",), np.float64),
        "calibration_frames": ((2, "F"), np.float64),
        "calibration_rows": ((2, "R"), np.float64),
    }
    lengths: dict[str, int] = {}
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
            if sorted(names) != sorted(f"{name}.npy" for name in expected):
                raise ModelError(
                    f"{path} is damaged: expected {', '.join(expected)}, got {names[:8]}; train again"
                )
            out = {}
            for name, (shape, dtype) in expected.items():
                with archive.open(f"{name}.npy") as member:
                    found, found_dtype = _npy_header(member)
                fits = len(found) == len(shape) and all(
                    (lengths.setdefault(want, got) if isinstance(want, str) else want) == got
                    for want, got in zip(shape, found, strict=True)
                )
                if (
                    not fits
                    or found_dtype != np.dtype(dtype)
                    or np.prod(found, dtype=float) > _MOST_CALIBRATION
                ):
                    raise ModelError(
                        f"{path}: expected {name} of shape {shape} and {np.dtype(dtype)}, got {found} and "
                        f"{found_dtype}; train again"
                    )
                with archive.open(f"{name}.npy") as member:
                    out[name] = np.lib.format.read_array(member, allow_pickle=False)
    except (zipfile.BadZipFile, ValueError, OSError, EOFError, NotImplementedError, RuntimeError) as error:
        raise ModelError(f"{path} is damaged: {error}; train again") from error
    finite = all(
        np.isfinite(out[k]).all()
        for k in ("weights", "offsets", "means", "precision_cholesky", "calibration_time_s")
    )
    roots = np.diagonal(out["precision_cholesky"], axis1=1, axis2=2)
    if not finite or (out["weights"] < 0).any() or (roots <= 0).any():
        raise ModelError(f"{path} is damaged: its mixture is not one; train again")
    if np.isnan(out["calibration_rows"]).all(axis=1).any() or not lengths["F"]:
        raise ModelError(f"{path} is damaged: it has no calibration; train again")
    return out


def _npy_header(member: Any) -> tuple[tuple[int, ...], np.dtype[Any]]:
    version = np.lib.format.read_magic(member)
    read = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}.get(
        version
    )
    if read is None:
        raise ValueError(f"array format {version}")
    shape, _, dtype = read(member)
    if dtype.hasobject:
        raise ValueError("it holds Python objects")
    return shape, dtype
