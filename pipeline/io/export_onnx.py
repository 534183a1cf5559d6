"""Export the workspace's trained model as an ONNX bundle."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from anomaly.bundle import load_bundle
from anomaly.bundle.card import ENCODER, PATCH_ENCODER, find_bundle, read_card
from anomaly.bundle.files import write_bundle
from anomaly.bundle.onnx_export import Parity, export_onnx
from anomaly.scoring.torch_model import TrainedModel
from pipeline.patches.features import load_with_patches, needed_by
from pipeline.workspace import Workspace
from pose_extract.errors import GepcError, ModelError, UsageError

_MOST_WINDOWS = 256  # real ones to compare on


def export(workspace: Workspace, out: Path) -> Parity:
    """Write the workspace's model as an ONNX bundle, compared with torch on random windows and on the workspace's own.

    Args:
        workspace: with a trained model.
        out: folder of the new bundle; an older bundle there is replaced.

    Raises:
        ModelError: there is no trained model, or the exported one does not say the same.
        UsageError: ``out`` is where the trained model lies.
        OutputError: the folder cannot be written.
    """
    if os.path.realpath(out) == os.path.realpath(workspace.model):
        raise UsageError(f"--out {out} is the trained model's own folder; name another one")
    try:
        find_bundle(workspace.model)
    except ModelError:
        raise ModelError(
            f"no model in {workspace.model} to export: train one first (gepc-pipeline train)"
        ) from None
    model = load_bundle(workspace.model)
    if not isinstance(model, TrainedModel):
        raise UsageError(f"{workspace.model} is an exported model already; train one first")
    windows = _some_windows(workspace, model)
    encoder = workspace.model / PATCH_ENCODER
    found: list[Parity] = []
    write_bundle(
        model,
        out,
        read_card(workspace.model),
        ENCODER,
        lambda path: found.append(export_onnx(model, path, windows)),
        encoder.read_bytes() if encoder.is_file() else None,
    )
    return found[0]


def _some_windows(workspace: Workspace, model: TrainedModel) -> NDArray[np.float32] | None:
    """Windows of the first training clip that has some; None if there is none."""
    needed = needed_by(workspace.model)
    for entry in workspace.training_clips():
        try:
            windows = model.windows_of(load_with_patches(workspace.tracks_path(entry.clip), needed))
        except GepcError:  # tracks of another skeleton, or damaged ones: not this command's matter
            continue
        if len(windows):
            return windows.batch(slice(0, _MOST_WINDOWS))
    return None
