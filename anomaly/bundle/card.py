"""Read and write a bundle's card: what made the model, its facts, a threshold set by marks, and digests of the files.

The card may come from somebody else: it has a digest of itself, and each of its values is checked for its type.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
from pathlib import Path
from typing import Any

from anomaly.scoring.marked_threshold import MarkedThreshold, marked_from_json
from pose_extract.checking import expect_kinds
from pose_extract.errors import ConfigError, ModelError, short
from pose_extract.files import previous_of, write_atomically

FORMAT, VERSION = "gepc-bundle", 7
WEIGHTS, ENCODER = "weights.safetensors", "encoder.onnx"  # a bundle has one of them
NORMALITY, CONFIG, CARD = "normality.npz", "config.yaml", "card.json"
PATCH_ENCODER = "patch_encoder.safetensors"  # only in bundles of models of crops
FILES = {
    WEIGHTS: "the network's weights",
    ENCODER: "in a bundle of `gepc-pipeline onnx`, in the place of the weights: the network, to be run without torch",
    NORMALITY: "the arrays below",
    CONFIG: "the model's sections of the config, every setting written out",
    PATCH_ENCODER: "of models of pictures around joints: the network that makes features of them",
    CARD: "what made the model, and a digest (SHA-256) of each of the other files",
}
_MOST_BYTES = {WEIGHTS: 2**31, ENCODER: 2**31, NORMALITY: 2**31, CONFIG: 2**20, CARD: 2**26}
_OTHERS = (WEIGHTS, ENCODER, NORMALITY, CONFIG, PATCH_ENCODER)
_MARKED = "marked_threshold"  # its key in the card; there only if marks have set one

KINDS: dict[str, Any] = {
    "clips": dict[str, dict[str, Any]],
    "tracks": dict[str, dict[str, Any]],
    "patches": dict[str, Any],
    "poses_of": tuple[str, ...],
    "seen": dict[str, Any],
    "facts": dict[str, Any],
    "history": tuple[dict[str, Any], ...],
    "digests": dict[str, str],
}
"""Of what the program reads from a card; what else is in there is for people."""

_FACT_KINDS: dict[str, Any] = {
    "cluster_shares": tuple[float, ...],
    "alarm_budget": str,
    "held_out_frames": int,
    "held_out_s": float,
    "held_out_share": float,
    "held_out_events": int,
}


def read_card(folder: str | Path) -> dict[str, Any]:
    """What a bundle's card notes.

    Raises:
        ModelError: there is no bundle, or its card is damaged or of another version; names the key.
    """
    path = checked(find_bundle(Path(folder)), CARD)
    try:
        card = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError, OSError) as error:
        raise ModelError(f"{path} is damaged: it is not JSON ({error}); train again") from error
    if not isinstance(card, dict) or card.get("format") != FORMAT:
        raise ModelError(f"{path} is not the card of a model bundle; train again")
    if card.get("version") != VERSION:
        raise ModelError(
            f"{path.parent} has bundle version {short(card.get('version'))}, this program reads version {VERSION}: "
            "train again, or use the program's version that made it"
        )
    try:
        expect_kinds(card, KINDS)
        expect_kinds(card.get("facts", {}), _FACT_KINDS, "facts.")
        if not all(map(math.isfinite, card.get("facts", {}).get("cluster_shares", ()))):
            raise ConfigError("facts.cluster_shares: expected finite numbers")
    except ConfigError as error:
        raise ModelError(f"{path} is damaged: {error}; train again") from error
    stated = card.get("digests", {}).get(CARD)
    if stated is not None and stated != _own_digest(card):
        raise ModelError(f"{path} is damaged: it is not what was written there; train again")
    return card


def write_card(path: Path, card: dict[str, Any], files: dict[str, str]) -> None:
    """Write a card with the digests of the bundle's other files, and its own."""
    others = {name: digest for name, digest in files.items() if name in _OTHERS}
    notes = {**card, "format": FORMAT, "version": VERSION, "digests": others}
    card = json.loads(json.dumps(notes, default=str))
    card["digests"] |= {CARD: _own_digest(card), _MARKED: _digest_of_json(card.get(_MARKED))}
    write_atomically(path, (json.dumps(card, indent=2) + "\n").encode(), into_model=True)


def marked_of(folder: Path, card: dict[str, Any]) -> MarkedThreshold | None:
    """The alarm threshold that marks have set; raises ModelError if it is none."""
    try:
        stated = card.get("digests", {}).get(_MARKED)
        if stated is not None and stated != _digest_of_json(card.get(_MARKED)):
            raise ValueError("it is not what was written there")
        return marked_from_json(card.get(_MARKED))
    except ValueError as error:
        raise ModelError(
            f"{folder / CARD} is damaged: its {_MARKED}: {error}; set it again, or undo it "
            "(gepc-pipeline recalibrate --reset)"
        ) from error


def write_marked(folder: str | Path, marked: MarkedThreshold | None) -> None:
    """Put an alarm threshold into a bundle, or take it out; nothing else of the bundle changes.

    A reader finds the old card or the new one, never a mixture.

    Raises:
        ModelError: there is no bundle, or its card is damaged.
        OutputError: the card cannot be written.
    """
    place = find_bundle(Path(folder))
    card = with_marked(read_card(place), marked)
    files = card.get("digests")
    if files is None:  # a bundle older than digests
        files = {name: digest_of(place / name) for name in _OTHERS if (place / name).is_file()}
    write_card(place / CARD, card, files)


def with_marked(card: dict[str, Any], marked: MarkedThreshold | None) -> dict[str, Any]:
    """A card with this threshold, or none, in the place of its own."""
    rest = {key: value for key, value in card.items() if key != _MARKED}
    return rest if marked is None else {**rest, _MARKED: dataclasses.asdict(marked)}


def check_digests(folder: Path, digests: dict[str, str] | None) -> None:
    """Raise ModelError unless the files are, byte for byte, those that were written; older bundles do not tell."""
    if digests is None:
        return
    for name in _OTHERS:
        path = folder / name
        if path.is_file() and digests.get(name) != digest_of(path):
            raise ModelError(f"{path} is damaged: it is not what was written there; train again")


def digest_of(path: Path) -> str:
    """SHA-256 of a file."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def find_bundle(folder: Path) -> Path:
    """The folder of a bundle; raises ModelError if there is none."""
    previous = previous_of(folder)
    if not folder.exists() and previous.is_dir():
        return previous  # the writer was killed between its two renames
    if not folder.is_dir():
        raise ModelError(
            f"no model in {folder}: train one first (gepc-pipeline train), or name another with --model; "
            "--model builtin:walkers gives a first, rough result"
        )
    return folder


def checked(folder: Path, name: str) -> Path:
    """A file of a bundle; raises ModelError unless it is a regular one, and no larger than it may be."""
    path = folder / name
    if path.is_symlink() or not path.is_file():
        raise ModelError(f"{folder} is not a complete model bundle: expected a file {name}; train again")
    if path.stat().st_size > _MOST_BYTES[name]:
        raise ModelError(
            f"{path} has {path.stat().st_size} bytes, more than a bundle may ({_MOST_BYTES[name]})"
        )
    return path


def _own_digest(card: dict[str, Any]) -> str:
    """Of all that a card says, but for this and the threshold, which can be set anew."""
    others = {name: digest for name, digest in card["digests"].items() if name in _OTHERS}
    rest = {key: value for key, value in card.items() if key != _MARKED}
    return _digest_of_json({**rest, "digests": others})


def _digest_of_json(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()
