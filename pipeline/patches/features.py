"""Patch features of clips: which a model needs, which the cache has, and how the one becomes the other."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from anomaly.bundle.card import CARD, read_card
from pipeline.defaults import workspace_option
from pipeline.workspace import Workspace
from pose_extract.checking import expect_kinds, expect_one_of
from pose_extract.errors import CacheError, ConfigError, ModelError, TrainingError
from pose_extract.patches.settings import PatchSettings
from pose_extract.patches.store import encoder_digest, open_patches, patches_path, read_header
from pose_extract.tracks.cache import load_header, load_tracks
from pose_extract.tracks.records import ClipTracks

logger = logging.getLogger(__name__)

PatchKind = dict[str, Any]
"""What patch features are, as JSON can hold it: two of one kind can be compared, two of different kinds cannot."""

_CROPS = ("size", "relative", "min_confidence")


def crops_kind(settings: PatchSettings, encoder: str) -> PatchKind:
    """The kind of crops' vectors: how crops are cut, and the hash of the network's file."""
    return {"source": "crops", **{name: getattr(settings, name) for name in _CROPS}, "encoder": encoder}


def crops_settings(kind: PatchKind, settings: PatchSettings | None = None) -> PatchSettings:
    """The settings that cut crops of a kind."""
    return replace(settings or PatchSettings(), source="crops", **{name: kind[name] for name in _CROPS})


def needed_by(model: Path) -> PatchKind | None:
    """The kind that a model was trained on; None if on none.

    Raises:
        ModelError: there is no model, or what its card says of them is no kind.
    """
    kind = read_card(model).get("patches")
    if kind is None:
        return None
    try:
        if kind.get("source") == "crops":
            kinds = {"encoder": str, "size": int, "relative": float, "min_confidence": float}
            expect_kinds({**dict.fromkeys(kinds), **kind}, kinds)
            crops_settings(kind)
        else:
            expect_one_of("source", str(kind.get("source")), ("crops", "network"))
            expect_kinds({"name": None, "features": None, **kind}, {"name": str, "features": str})
    except ConfigError as error:
        raise ModelError(f"{model / CARD} is damaged: patches: {error}; train again") from error
    return kind


def tracks_digest(tracks: ClipTracks) -> str:
    """What names the rows that features belong to."""
    digest = hashlib.blake2b(digest_size=16)
    for array in (tracks.frame, tracks.track, tracks.keypoints):
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()


def kind_there(path: Path, source: str, rows: str | None = None) -> PatchKind | None:
    """The kind of the features that a tracks file has from ``source``; None if it has none.

    Args:
        path: the tracks file.
        source: "crops" or "network".
        rows: of crops, the `tracks_digest` that they must be of.
    """
    if source == "crops":
        header = read_header(patches_path(path))
        if header is None or (rows is not None and header["identity"].get("tracks") != rows):
            return None
        crops = header["identity"].get("crops")
        return crops if isinstance(crops, dict) else None
    estimator = load_header(path)["provenance"].get("estimator") or {}
    if not estimator.get("features"):
        return None
    weights = {key: value for key, value in sorted(estimator.items()) if "weights" in key}
    return {"source": "network", **{k: estimator.get(k) for k in ("name", "model", "features")}, **weights}


def describe(kind: PatchKind | None) -> str:
    """A kind in words."""
    if kind is None:
        return "none"
    if kind["source"] == "network":
        return f"{kind['features']} of {kind['name']}"
    side = f"{kind['relative']:g} of the person's height" if kind["relative"] else f"{kind['size']} pixels"
    return f"crops of {side} by the encoder {str(kind['encoder'])[:8]}"


def make_command(kind: PatchKind, model: Path | None = None, workspace: Path | None = None) -> str:
    """The command that makes features of a kind."""
    place = "" if workspace is None else workspace_option(workspace)
    if kind["source"] == "network":
        name = kind["name"]
        return f"gepc-pipeline extract VIDEO --pose {name} --set {name}.features={kind['features']}{place}"
    return f"gepc-pipeline patches{'' if model is None else f' --model {model}'}{place}"


def load_with_patches(path: Path, needed: PatchKind | None, model: Path | None = None) -> ClipTracks:
    """A tracks file, with the features that a model needs and no others; they are read as they are used.

    Args:
        path: the tracks file.
        needed: what the model needs; None: it needs none.
        model: the model's folder, for the message.

    Raises:
        ModelError: the cache has none, or others; the message names the command that makes the right ones.
        CacheError: something in the cache is damaged.
    """
    if needed is None:
        return load_tracks(path, features=False)
    network = needed["source"] == "network"
    tracks = load_tracks(path, features=network)
    if not len(tracks):
        return tracks
    found = kind_there(path, needed["source"], None if network else tracks_digest(tracks))
    if found != needed or (network and tracks.features is None):
        command = make_command(needed, model)
        if not network and path.parent.name != "tracks":
            command += f" --tracks {path} --videos VIDEO"
        raise ModelError(
            f"clip {tracks.clip}: expected patch features of the kind that the model was trained on "
            f"({describe(needed)}), {path} has {describe(found)}. Make them: {command}"
        )
    if network:
        return tracks
    return replace(tracks, features=open_patches(patches_path(path), len(tracks)))


@dataclass(frozen=True)
class TrainingPatches:
    """What the clips of a training have in common.

    Attributes:
        kind: of their features.
        encoder: the file of the network that made them, for the bundle; None if the pose network did.
    """

    kind: PatchKind
    encoder: bytes | None


def patches_for_training(
    paths: Sequence[Path], settings: PatchSettings, workspace: Workspace
) -> TrainingPatches:
    """Check that all clips have the features that the settings ask for.

    Raises:
        TrainingError: some have none, or others; the message names the command that makes the right ones.
    """
    own = workspace_option(workspace.root)
    remake = (
        f"gepc-pipeline patches{own}"
        if settings.source == "crops"
        else f"gepc-pipeline extract VIDEOS --pose blazepose --set blazepose.features=heatmaps{own}, or with openmmlab "
        "--set openmmlab.features=backbone.stage2"
    )
    kinds: dict[str, list[str]] = {}
    first: PatchKind | None = None
    for path in paths:
        tracks = load_tracks(path, features=False)
        if not len(tracks):
            continue
        kind = kind_there(
            path, settings.source, tracks_digest(tracks) if settings.source == "crops" else None
        )
        if kind is None:
            raise TrainingError(
                f"clip {tracks.clip} has no patch features of patches.source {settings.source!r}. Make them: {remake}"
            )
        if settings.source == "crops" and {**kind, **crops_kind(settings, kind["encoder"])} != kind:
            raise TrainingError(
                f"clip {tracks.clip} has patch features of other settings ({describe(kind)}) than "
                f"{describe(crops_kind(settings, kind['encoder']))}. Make them again: {remake} with the same --set"
            )
        first = first or kind
        kinds.setdefault(str(kind), []).append(tracks.clip)
    if first is None:
        raise TrainingError("nobody is seen in the training clips, so there are no patch features")
    if len(kinds) > 1:
        groups = "; ".join(", ".join(clips[:3]) for clips in kinds.values())
        raise TrainingError(
            f"the clips have patch features of several kinds ({groups}). Make them again: {remake}"
        )
    if settings.source == "network":
        return TrainingPatches(first, None)
    file = Path(settings.encoder) if settings.encoder else workspace.patch_encoder
    if not file.is_file() or encoder_digest(file) != first["encoder"]:
        raise TrainingError(
            f"{file} is not the encoder that made the clips' patch features ({str(first['encoder'])[:8]}). Make them "
            f"again: {remake}"
        )
    return TrainingPatches(first, file.read_bytes())


def has_patches(path: Path, kind: PatchKind) -> bool:
    """Whether a tracks file has complete features of a kind."""
    try:
        return load_with_patches(path, kind) is not None
    except (ModelError, CacheError):
        return False
