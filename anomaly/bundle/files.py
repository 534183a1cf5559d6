"""Read and write a model bundle's files, but for the network's weights, and put a bundle in place. Imports no torch.

A bundle may come from somebody else: nothing in it is believed before it has been checked, and nothing in it can run.
"""

from __future__ import annotations

import os
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray

from anomaly.bundle.card import (
    CARD,
    CONFIG,
    ENCODER,
    NORMALITY,
    PATCH_ENCODER,
    WEIGHTS,
    check_digests,
    checked,
    digest_of,
    find_bundle,
    marked_of,
    read_card,
    with_marked,
    write_card,
)
from anomaly.data.patch_features import PatchScale
from anomaly.normality.mixture import normality_from_arrays, normality_shapes
from anomaly.normality.neighbourhood import Neighbourhoods, neighbourhood_shapes
from anomaly.normality.parts import fitted_parts_from_arrays, fitted_parts_shapes
from anomaly.normality.surroundings import AROUND, FittedSurroundings, surroundings_shapes
from anomaly.scoring.calibration import Calibration
from anomaly.scoring.model import Model
from anomaly.settings import FRAME_MODES, SCORE_KINDS, ModelSettings, settings_from_dict, settings_to_dict
from pose_extract.errors import ConfigError, ModelError, OutputError
from pose_extract.files import folder_beside, swap_folders

_MOST_VALUES = 10**8  # in one array whose length the config does not say


def write_bundle(
    model: Model,
    folder: str | Path,
    card: dict[str, Any] | None,
    network_file: str,
    write_network: Callable[[Path], Any],
    patch_encoder: bytes | None = None,
) -> None:
    """Write a model to ``folder``, replacing a bundle there: a reader finds the old or the new one, never a mixture.

    Args:
        model: a calibrated model.
        folder: where to.
        card: what to note about it, as JSON can hold it.
        network_file: `WEIGHTS` or `ENCODER`.
        write_network: writes the network to the path that it is given.
        patch_encoder: the file of the network that turns crops into features, if the model is of such.

    Raises:
        OutputError: if the folder cannot be written.
        ModelError: if the model has no calibration.
    """
    calibration = model.fitted_calibration
    folder = Path(folder)
    if folder.exists() and not _replaceable(folder):
        raise OutputError(f"{folder} exists and is not a model bundle; name another folder or remove it")
    with _writing_bundle(folder), folder_beside(folder) as temporary:
        temporary.chmod(0o755)
        write_network(temporary / network_file)
        (temporary / network_file).chmod(0o644)  # safetensors makes it private
        if patch_encoder is not None:
            (temporary / PATCH_ENCODER).write_bytes(patch_encoder)
        np.savez_compressed(temporary / NORMALITY, allow_pickle=False, **_arrays(model, calibration))
        (temporary / CONFIG).write_text(yaml.safe_dump(settings_to_dict(model.settings), sort_keys=False))
        notes = with_marked({**(card or {}), "facts": model.facts, "history": model.history}, model.marked)
        digests = {path.name: digest_of(path) for path in sorted(temporary.iterdir())}
        write_card(temporary / CARD, notes, digests)
        swap_folders(temporary, Path(os.path.realpath(folder)))


def read_bundle(folder: str | Path) -> tuple[dict[str, Any], Path]:
    """All of a bundle but its network, checked.

    Returns:
        The arguments of `Model`, and the path of the network's file: its name is `WEIGHTS` or `ENCODER`.

    Raises:
        ModelError: if it is missing, damaged, of another version, or not what a bundle may hold.
    """
    folder = find_bundle(Path(folder))
    card = read_card(folder)
    network = checked(folder, ENCODER if os.path.lexists(folder / ENCODER) else WEIGHTS)
    if network.name == ENCODER and os.path.lexists(folder / WEIGHTS):
        raise ModelError(f"{folder} has both {WEIGHTS} and {ENCODER}, expected one of them; train again")
    config, npz = checked(folder, CONFIG), checked(folder, NORMALITY)
    settings = _read_settings(config)
    arrays = _read_arrays(npz, settings)
    try:
        normality = normality_from_arrays(settings.normality, arrays, settings.clustering.clusters)
    except ValueError as error:
        raise ModelError(f"{npz} is damaged: its mixture is not one, {error}; train again") from error
    calibration = Calibration(**{name: arrays[f"calibration_{name}"] for name in _CALIBRATION})
    if not len(calibration.clip) or np.isnan(calibration.rows).all(axis=2).any():
        raise ModelError(f"{npz} is damaged: it has no calibration; train again")
    if not ((calibration.weights >= 0).all() and 0 < calibration.weights.sum() < np.inf):
        raise ModelError(f"{npz} is damaged: the weights of its parts are none; train again")
    words = arrays.get("words")
    marked = marked_of(folder, card)
    try:
        densities = fitted_parts_from_arrays(settings, arrays) if settings.fitted_parts else None
        near = Neighbourhoods.from_arrays(settings, arrays) if settings.neighbourhoods else None
    except ValueError as error:
        raise ModelError(f"{npz} is damaged: its densities: {error}; train again") from error
    surroundings = None
    if AROUND in arrays:
        try:
            surroundings = FittedSurroundings.from_arrays(settings.scoring.surroundings, arrays)
        except ValueError as error:
            raise ModelError(f"{npz} is damaged: its surroundings: {error}; train again") from error
    scale = None
    if settings.windows.patches:
        scale = PatchScale(arrays["patch_mean"], arrays["patch_deviation"])
        if not np.isfinite(scale.mean).all() or not (scale.deviation > 0).all():
            raise ModelError(f"{npz} is damaged: its patch scale is none; train again")
    if not np.isfinite(calibration.time_s).all() or (words is not None and np.isinf(words).any()):
        raise ModelError(f"{npz} is damaged: it has values that are not finite; train again")
    check_digests(folder, card.get("digests"))
    return {
        "settings": settings,
        "normality": normality,
        "calibration": calibration,
        "history": card.get("history", []),
        "facts": card.get("facts", {}),
        "words": words,
        "marked": marked,
        "patch_scale": scale,
        "densities": densities,
        "neighbourhoods": near,
        "surroundings": surroundings,
    }, network


def _replaceable(folder: Path) -> bool:
    """Whether a folder is empty or a bundle, not somebody's other files."""
    return folder.is_dir() and ((folder / CARD).is_file() or not any(folder.iterdir()))


@contextmanager
def _writing_bundle(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise OutputError(f"cannot write the model to {folder}: {error.strerror or error}") from error


def _read_settings(path: Path) -> ModelSettings:
    try:
        sections = yaml.safe_load(path.read_text(encoding="utf-8"))
        if not isinstance(sections, dict):
            raise ConfigError(f"expected sections, got {type(sections).__name__}")
        settings = settings_from_dict(sections)
        whole = settings_to_dict(settings)
        lacking = [
            f"{section}.{key}"
            for section, values in whole.items()
            for key in values
            if key not in (sections.get(section) or {})
        ]
        if lacking:  # defaults in their place would be another model's
            raise ConfigError(f"it lacks {', '.join(lacking[:3])}")
        return settings
    except (yaml.YAMLError, ConfigError, ValueError, TypeError, RecursionError, OSError) as error:
        raise ModelError(f"{path} is damaged or of another version: {error}; train again") from error


# Types and shapes; a letter is a length that the file decides, the same one for the same letter.
_CALIBRATION: dict[str, tuple[tuple[int | str, ...], type]] = {
    "clip": (("F",), np.int32),
    "time_s": (("F",), np.float64),
    "frames": ((len(SCORE_KINDS), len(FRAME_MODES), "F"), np.float64),
    "rows": ((len(SCORE_KINDS), len(FRAME_MODES), "R"), np.float64),
    "parts": (("P", "W"), np.float64),
    "weights": (("P",), np.float64),
    "alone": ((len(FRAME_MODES), "F"), np.float64),
}


def _arrays(model: Model, calibration: Calibration) -> dict[str, NDArray[Any]]:
    arrays: dict[str, NDArray[Any]] = dict(model.normality.arrays())
    arrays |= {f"calibration_{name}": getattr(calibration, name) for name in _CALIBRATION}
    if model.densities is not None:
        arrays |= model.densities.arrays()
    if model.neighbourhoods is not None:
        arrays |= model.neighbourhoods.arrays()
    if model.surroundings is not None:
        arrays |= model.surroundings.arrays()
    if model.patch_scale is not None:
        arrays |= {"patch_mean": model.patch_scale.mean, "patch_deviation": model.patch_scale.deviation}
    return arrays if model.words is None else {**arrays, "words": model.words}


def array_shapes(settings: ModelSettings) -> dict[str, tuple[tuple[int | str, ...], Any]]:
    """Name -> shape and type of each array of a bundle; a letter is a length that the file decides."""
    windows, clusters = settings.windows, settings.clustering.clusters
    shapes = normality_shapes(settings.normality, clusters)
    patch = (windows.body.num_joints, windows.patch_channels), np.float32
    return {
        **fitted_parts_shapes(settings),
        **neighbourhood_shapes(settings),
        **surroundings_shapes(settings.scoring.surroundings),
        **({"patch_mean": patch, "patch_deviation": patch} if windows.patches else {}),
        **{name: (shape, np.float64) for name, shape in shapes.items()},
        **{f"calibration_{name}": kind for name, kind in _CALIBRATION.items()},
        "calibration_parts": ((len(settings.scoring.parts), "W"), np.float64),
        "calibration_weights": ((len(settings.scoring.parts),), np.float64),
        "words": (
            (clusters, "E", windows.without_patches.channels, windows.frames, windows.body.num_joints),
            np.float32,
        ),
    }


def _read_arrays(path: Path, settings: ModelSettings) -> dict[str, NDArray[Any]]:
    """The arrays of normality.npz, each checked by its header before it is read; "words" may be missing."""
    expected = array_shapes(settings)
    lengths: dict[str, int] = {}
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
            if "words.npy" not in names:
                del expected["words"]
            if f"{AROUND}.npy" not in names:  # nobody looked at what is around
                for name in surroundings_shapes(settings.scoring.surroundings):
                    del expected[name]
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
                if not fits or found_dtype != np.dtype(dtype) or np.prod(found, dtype=float) > _MOST_VALUES:
                    raise ModelError(
                        f"{path}: expected {name} of shape {shape} and {np.dtype(dtype)}, got {found} and "
                        f"{found_dtype}; train again"
                    )
                with archive.open(f"{name}.npy") as member:
                    out[name] = np.lib.format.read_array(member, allow_pickle=False)
    except (
        zipfile.BadZipFile, zlib.error, ValueError, OSError, EOFError, NotImplementedError, RuntimeError
    ) as error:  # fmt: skip
        raise ModelError(f"{path} is damaged: {error}; train again") from error
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
