"""Read checkpoints of OpenMMLab's models and other torch models, without running what may be in them."""

from __future__ import annotations

import logging
import re
import threading
import warnings
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.serialization import add_safe_globals, clear_safe_globals, get_safe_globals, safe_globals

from pose_extract.errors import WeightsError

logger = logging.getLogger(__name__)

_lock = threading.Lock()

# What checkpoints of trained models hold beside the weights that inference uses.
_EXPECTED_EXTRAS = ("data_preprocessor.", "ema_")


@dataclass(frozen=True)
class Checkpoint:
    """What a checkpoint holds.

    Attributes:
        state: name of a parameter or buffer -> its values, on the CPU.
        dataset_meta: what the file says of the data that it was trained on (classes, joints, colours, …) as plain
            Python and NumPy values; None if it says nothing.
    """

    state: dict[str, Tensor]
    dataset_meta: dict[str, Any] | None


def load_checkpoint(path: Path) -> Checkpoint:
    """Read a checkpoint: torch's (``.pth``, ``.pt``) or safetensors. Nothing in it is run.

    Raises:
        WeightsError: there is no such file, it is damaged or no checkpoint, or it asks for more than weights.
    """
    _expect_file(path)
    try:
        content = load_file(path, device="cpu") if path.suffix == ".safetensors" else _load(path)
        return Checkpoint(_state(content), _dataset_meta(content))
    except Exception as error:  # the file may be anything, and so may what comes of reading it
        raise WeightsError(_explain(path, error)) from error


def fill(model: nn.Module, checkpoint: Checkpoint, path: Path) -> None:
    """Put a checkpoint's weights into a model that was built for them.

    Tensors that the model has no place for are left out: trained models carry some that inference does not use.

    Args:
        model: what to fill.
        checkpoint: what `load_checkpoint` returned.
        path: the file that it came from, for the message.

    Raises:
        WeightsError: the checkpoint lacks a tensor of the model, or has one of another shape. The model is not
            usable then.
    """
    try:
        found = model.load_state_dict(checkpoint.state, strict=False)
        problems = [f"{name} is missing" for name in found.missing_keys]
    except Exception as error:  # the models' own conversion of old names may raise anything
        # torch lists all shapes that differ, after a heading.
        found, problems = None, [line.strip() for line in str(error).splitlines()]
        problems = problems[1:] or [f"{type(error).__name__}: {error}"]
    if found is None or problems:
        more = f"\n  and {len(problems) - 3} more" if len(problems) > 3 else ""
        raise WeightsError(
            f"{path} does not fit the model of the config: config and checkpoint do not belong together.\n  "
            + "\n  ".join(problems[:3])
            + more
        )
    extras = [name for name in found.unexpected_keys if not name.startswith(_EXPECTED_EXTRAS)]
    if extras:
        logger.warning(
            "%s: the model has no place for %d of its tensors (%s, …); left out", path, len(extras), extras[0]
        )


def _expect_file(path: Path) -> None:
    """Say what is wrong with a file that cannot be a checkpoint."""
    try:
        with path.open("rb") as file:
            start = file.read(512).lstrip().lower()
    except OSError as error:
        raise WeightsError(f"cannot read the weights {path}: {error.strerror or error}") from error
    if not start:
        raise WeightsError(f"{path} is empty: expected a checkpoint. Delete it and fetch it again.")
    if start.startswith((b"<!doctype", b"<html", b"<?xml", b"<head")):
        raise WeightsError(
            f"{path} is a web page, not a checkpoint: the address answered with a page. Fetch it again."
        )


def _load(path: Path) -> Any:
    """Read torch's format with exactly our list of names allowed, whatever else this process may have allowed.

    torch keeps one list for the whole process: another thread that reads a checkpoint with a list of its own at this
    very moment finds it refused.
    """
    with _lock:
        before = get_safe_globals()
        clear_safe_globals()
        try:
            with warnings.catch_warnings(), safe_globals(_ALLOWED):
                warnings.simplefilter("ignore")  # about formats; what cannot be read is an error anyway
                # Named here, it also holds where TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD is set.
                return torch.load(path, map_location="cpu", weights_only=True)
        finally:
            add_safe_globals(before)


def _state(content: Any) -> dict[str, Tensor]:
    """The weights in what a file holds, under the names that a bare model has."""
    if not isinstance(content, dict):
        raise ValueError(f"expected a dictionary of tensors, found {type(content).__name__}")
    # mmengine keeps averaged weights, if there are any, in `state_dict` too.
    state = content.get("state_dict", content.get("ema_state_dict", content))
    if not isinstance(state, dict) or not any(isinstance(value, Tensor) for value in state.values()):
        raise ValueError(f"expected a dictionary of tensors, found the entries {list(content)[:5]}")
    bare = OrderedDict(
        (str(name).removeprefix("module."), value)
        for name, value in state.items()
        if isinstance(value, Tensor)
    )
    # Versions of layers' formats: torch and mmcv convert older ones.
    metadata = getattr(state, "_metadata", None)
    if isinstance(metadata, dict) and all(isinstance(entry, dict) for entry in metadata.values()):
        bare._metadata = metadata  # type: ignore[attr-defined]
    return bare


def _dataset_meta(content: dict[str, Any]) -> dict[str, Any] | None:
    """What a checkpoint says of its training data."""
    meta = content.get("meta")
    found = meta.get("dataset_meta") if isinstance(meta, dict) else None
    return _plain(found) if isinstance(found, dict) else None


def _explain(path: Path, error: Exception) -> str:
    """The message for a file that could not be read as weights."""
    asked = re.search(r"GLOBAL ([\w.]+)", str(error))
    if asked is None:
        # torch advises to load without this protection; nobody should read that here.
        own = [
            part
            for part in str(error).split("\n\n")
            if not part.startswith(("Weights only", "Check the doc"))
        ]
        reason = own[0].split(". ")[0].strip() if own else ""
        return (
            f"{path} cannot be read as weights: it is damaged or no checkpoint ({type(error).__name__}: {reason}). "
            "If it was fetched, delete it and fetch it again."
        )
    name = asked[1]
    message = f"{path} is refused: it asks for {name}, which weights do not need and which could run code."
    if name.startswith("mmengine.") or name == "getattr":
        # What a training run saves beside the weights.
        return (
            f"{message} A checkpoint straight from training does so. If it is your own, keep its weights only:\n"
            "  python -c \"import torch; c = torch.load('IN.pth', map_location='cpu', weights_only=False); "
            "torch.save({'state_dict': c['state_dict']}, 'OUT.pth')\""
        )
    return f"{message} Do not use it; fetch the weights from their publisher."


# NumPy's own functions must not read arrays out of a file that nobody vouches for: a dtype made of forged flags turns
# bytes into pointers, and the interpreter crashes or worse. The names stand for these instead.


class _Dtype:
    """A dtype of plain numbers or text; no objects, no fields."""

    def __init__(self, code: str, *_: Any) -> None:
        if not re.fullmatch(r"[biufcSU]\d{1,6}", code):
            raise ValueError(f"arrays of dtype {code!r} are not read")
        self.dtype = np.dtype(code)

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        self.dtype = self.dtype.newbyteorder(state[1])


class _Array:
    """An array while it is being read."""

    def __init__(self, *_: Any) -> None:
        self.values = np.zeros(0)

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        _, shape, dtype, fortran, content = state
        flat = np.frombuffer(content, dtype.dtype)
        self.values = flat.reshape(shape, order="F" if fortran else "C").copy()


def _scalar(dtype: _Dtype, content: bytes) -> Any:
    """A NumPy scalar."""
    return np.frombuffer(content, dtype.dtype)[0]


def _no_bytes() -> bytes:
    """An empty array's content, which pickle writes as a call of `bytes` without arguments."""
    return b""


_ALLOWED: list[Any] = [(_Array, "numpy.ndarray"), (_Dtype, "numpy.dtype"), (_no_bytes, "builtins.bytes")]
for _module in ("numpy.core.multiarray", "numpy._core.multiarray"):  # before and since NumPy 2
    _ALLOWED += [(_Array, f"{_module}._reconstruct"), (_scalar, f"{_module}.scalar")]


def _plain(value: Any) -> Any:
    """The same with every `_Array` in it replaced by NumPy's."""
    if isinstance(value, _Array):
        return value.values
    if isinstance(value, dict):
        return {key: _plain(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(_plain(entry) for entry in value)
    return value
