"""Save and load the state of training: one safetensors file, replaced as a whole after every epoch. No pickle."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Iterable, Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from anomaly.runtime.distributed import is_main, share_bytes, world
from anomaly.settings import ModelSettings, settings_to_dict
from pose_extract.errors import OutputError
from pose_extract.files import read_input, write_atomically, writing
from pose_extract.tracks.records import ClipTracks

logger = logging.getLogger(__name__)

VERSION = 1
CHECKPOINT = "checkpoint.safetensors"


class Checkpoint:
    """The file that a training run goes on from.

    Args:
        folder: where it lies; None keeps no checkpoint.
        fingerprint: of all that decides the result. A checkpoint with another one belongs to another run.
    """

    def __init__(self, folder: Path | None, fingerprint: str) -> None:
        self.path = None if folder is None else folder / CHECKPOINT
        self.fingerprint = fingerprint

    def save(self, tensors: Mapping[str, Tensor], facts: Mapping[str, Any]) -> None:
        """Replace the checkpoint: a kill at any moment leaves the old one or the new one. Process 0 writes it.

        Raises:
            OutputError: if it cannot be written, because the disk is full for instance; the old one stays.
        """
        from safetensors.torch import save

        if self.path is None or not is_main():
            return
        held = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
        text = json.dumps(dict(facts))
        metadata = {"version": str(VERSION), "fingerprint": self.fingerprint, "facts": text}
        metadata["digest"] = _digest(held, text)
        try:
            write_atomically(self.path, save(held, metadata))
        except OutputError as error:
            raise OutputError(f"{error}; what was finished before is kept") from error

    def load(self, device: str) -> tuple[dict[str, Tensor], dict[str, Any]] | None:
        """The tensors and facts of the last `save`, or None if there is no checkpoint of this run that is whole."""
        if self.path is None:
            return None
        content = share_bytes(_read(self.path) if is_main() else b"", device)
        if not content:
            return None
        try:
            tensors, metadata = _parse(content)
            if metadata.get("version") != str(VERSION) or metadata.get("fingerprint") != self.fingerprint:
                logger.info(
                    "%s is of a training with other settings, data, threads or program version; training starts anew",
                    self.path,
                )
                return None
            if metadata.get("digest") != _digest(tensors, metadata["facts"]):
                raise ValueError("its content is not what was written")
            return tensors, json.loads(metadata["facts"])
        except Exception as error:  # whatever is in the file, training can start without it
            logger.warning("%s is damaged (%s); training starts anew", self.path, error)
            return None


def remove_checkpoint(folder: Path) -> None:
    """Delete the checkpoint in a training run's folder, if there is one."""
    with writing(folder / CHECKPOINT):
        (folder / CHECKPOINT).unlink(missing_ok=True)


def fingerprint(settings: ModelSettings, seed: int, device: str, clips: Iterable[ClipTracks]) -> str:
    """A digest of all that decides what training ends with: settings, data, seed, device, processors, versions."""
    digest = hashlib.blake2b(digest_size=16)
    try:
        program = version("gepc-pipeline")
    except PackageNotFoundError:
        program = "unknown"
    about = {
        "settings": settings_to_dict(settings),
        "seed": seed,
        "device": torch.device(device).type,
        "processes": world(),
        # Another number of threads adds floats in another order; processes may differ in it.
        "threads": torch.get_num_threads() if world() == 1 and torch.device(device).type == "cpu" else 0,
        "versions": [VERSION, program, torch.__version__, np.__version__],
    }
    digest.update(json.dumps(about, sort_keys=True).encode())
    for clip in clips:
        digest.update(f"{clip.clip} {clip.skeleton} {clip.fps} {clip.frame_size}".encode())
        for array in (clip.time_s, clip.frame, clip.track, clip.keypoints):
            digest.update(f"{array.dtype} {array.shape}".encode())
            digest.update(np.ascontiguousarray(array).data)
        if clip.features is not None:
            # Not all of them, which may be more than memory holds: what made them is in the tracks and in a sample.
            few = np.linspace(0, len(clip) - 1, min(len(clip), 64)).astype(np.int64)
            digest.update(f"{clip.features.dtype} {clip.features.shape}".encode())
            digest.update(np.ascontiguousarray(clip.features[few]).data)
    return digest.hexdigest()


def _read(path: Path) -> bytes:
    try:
        return read_input(path)
    except FileNotFoundError:
        return b""
    except OSError as error:
        logger.warning("%s cannot be read (%s); training starts anew", path, error.strerror or error)
        return b""


def _parse(content: bytes) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Tensors and metadata of a safetensors file (8 bytes length, then a JSON header that holds the metadata)."""
    from safetensors.torch import load

    tensors = load(content)  # checks the header against the content's length
    header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
    return tensors, dict(header.get("__metadata__", {}))


def _digest(tensors: Mapping[str, Tensor], text: str) -> str:
    digest = hashlib.blake2b(text.encode(), digest_size=16)
    for name in sorted(tensors):
        digest.update(f"{name} {tensors[name].dtype} {tuple(tensors[name].shape)}".encode())
        digest.update(tensors[name].reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()
