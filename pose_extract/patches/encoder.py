"""Encode crops as vectors by a small residual network (He et al., CVPR 2016, the form for CIFAR-10)."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from pose_extract.errors import WeightsError
from pose_extract.files import write_atomically

_MEAN, _STD = (0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)  # CIFAR-10's channels, 0..1
_BLOCK = re.compile(r"layer([123])\.(\d+)\.conv1\.weight")
_IGNORED = re.compile(r"(fc|linear|classifier)\..*|.*\.num_batches_tracked")
_MOST_BYTES = 1 << 28
_BATCH = 2048  # crops at once


class _Block(nn.Module):
    """Two 3x3 convolutions with a shortcut: 1x1 where the file has one, otherwise padded with zeros."""

    def __init__(self, before: int, after: int, stride: int, projected: bool) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(before, after, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(after)
        self.conv2 = nn.Conv2d(after, after, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(after)
        self.downsample = (
            nn.Sequential(nn.Conv2d(before, after, 1, stride, bias=False), nn.BatchNorm2d(after))
            if projected
            else None
        )
        self._stride, self._more = stride, after - before

    def forward(self, x: Tensor) -> Tensor:
        out = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        if self.downsample is not None:
            x = self.downsample(x)
        elif self._stride > 1 or self._more:
            low = self._more // 2
            x = F.pad(x[:, :, :: self._stride, :: self._stride], (0, 0, 0, 0, low, self._more - low))
        return F.relu(out + x)


def _stage(before: int, after: int, stride: int, blocks: int, projected: bool) -> nn.Sequential:
    """Blocks, the first of which changes the size."""
    rest = (_Block(after, after, 1, False) for _ in range(blocks - 1))
    return nn.Sequential(_Block(before, after, stride, projected), *rest)


class PatchEncoder(nn.Module):
    """Crops (N, 3, S, S), RGB 0..1, to vectors (N, 4 * width): three stages of residual blocks, then the mean.

    Args:
        width: channels of the first stage; the others have twice and four times as many.
        blocks: residual blocks a stage; 3 make ResNet-20.
        projected: whether shortcuts that change the size are 1x1 convolutions.
        mean: of the channels of the input.
        std: their deviation.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self,
        width: int = 16,
        blocks: int = 1,
        projected: bool = False,
        mean: tuple[float, ...] = _MEAN,
        std: tuple[float, ...] = _STD,
    ) -> None:
        super().__init__()
        self.width, self.blocks, self.projected = width, blocks, projected
        self.register_buffer("mean", torch.tensor(mean).view(3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(std).view(3, 1, 1), persistent=False)
        self.conv1 = nn.Conv2d(3, width, 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.layer1 = _stage(width, width, 1, blocks, False)
        self.layer2 = _stage(width, 2 * width, 2, blocks, projected)
        self.layer3 = _stage(2 * width, 4 * width, 2, blocks, projected)

    @property
    def channels(self) -> int:
        """D, length of a vector."""
        return 4 * self.width

    def forward(self, x: Tensor) -> Tensor:
        """(N, 3, S, S) -> (N, D)."""
        x = F.relu(self.bn1(self.conv1((x - self.mean) / self.std)))
        return self.layer3(self.layer2(self.layer1(x))).mean(dim=(2, 3))

    @torch.no_grad()
    def embed(self, crops: NDArray[np.uint8], usable: NDArray[np.bool_]) -> NDArray[np.float16]:
        """Vectors (..., D) of crops (..., S, S, 3) RGB; zeros where a crop is not usable (...)."""
        self.eval()
        out = np.zeros((*usable.shape, self.channels), np.float16)
        chosen = crops[usable]
        parts = []
        for begin in range(0, len(chosen), _BATCH):
            x = torch.from_numpy(np.ascontiguousarray(chosen[begin : begin + _BATCH])).to(self.mean.device)
            parts.append(self(as_input(x)).float().cpu().numpy())
        if parts:
            out[usable] = np.clip(np.concatenate(parts), -65504, 65504)
        return out


def as_input(crops: Tensor) -> Tensor:
    """Crops (N, S, S, 3) uint8 as the network's input (N, 3, S, S), 0..1, channels last."""
    return crops.permute(0, 3, 1, 2).float().div_(255)


def save_encoder(encoder: PatchEncoder, path: Path, facts: dict[str, Any] | None = None) -> None:
    """Write the network as safetensors; its metadata have the input's mean and deviation, and ``facts``."""
    from safetensors.torch import save

    state = {name: value.detach().cpu().contiguous() for name, value in encoder.state_dict().items()}
    state = {name: value for name, value in state.items() if not _IGNORED.fullmatch(name)}
    metadata = {
        "mean": json.dumps(encoder.mean.flatten().tolist()),
        "std": json.dumps(encoder.std.flatten().tolist()),
        **{key: json.dumps(value) for key, value in (facts or {}).items()},
    }
    write_atomically(path, save(state, metadata))


def load_encoder(path: Path, device: str = "cpu") -> PatchEncoder:
    """Read a network from safetensors: ours, or a CIFAR ResNet of another program.

    The tensors tell its shape. They are named ``conv1``, ``bn1`` and ``layerK.i.conv1``, ``bn1``, ``conv2``, ``bn2``
    with ``downsample.0``, ``.1`` (or ``shortcut``) where there is a 1x1 shortcut; a classifier's (``fc``, ``linear``)
    are left out. Metadata ``mean`` and ``std`` (JSON lists of three) say how the input is scaled; without, CIFAR-10's.

    Raises:
        WeightsError: the file is missing, damaged, or no such network. Nothing in it is ever executed.
    """
    from safetensors import SafetensorError, safe_open

    try:
        if path.stat().st_size > _MOST_BYTES:
            raise WeightsError(f"{path}: expected a small network, got {path.stat().st_size} bytes")
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            state = {
                name.replace(".shortcut.", ".downsample."): file.get_tensor(name).float()
                for name in file.keys()  # noqa: SIM118, not a dict
                if not _IGNORED.fullmatch(name)
            }
        mean, std = (
            tuple(float(v) for v in json.loads(metadata[key])) if key in metadata else usual
            for key, usual in (("mean", _MEAN), ("std", _STD))
        )
        if len(mean) != 3 or len(std) != 3 or not min(std) > 0:
            raise ValueError(f"mean and std of three channels expected, got {mean} and {std}")
        found = [match for name in state if (match := _BLOCK.fullmatch(name))]
        blocks = 1 + max((int(match[2]) for match in found), default=-1)
        if not 1 <= blocks <= 64 or "conv1.weight" not in state:
            raise ValueError("expected tensors conv1.weight, layer1.0.conv1.weight, ... of a CIFAR ResNet")
        with torch.device("meta"):
            width = int(state["conv1.weight"].shape[0])
            projected = any(".downsample." in name for name in state)
            expected = PatchEncoder(width, blocks, projected).state_dict()
        expected = {name: value for name, value in expected.items() if not _IGNORED.fullmatch(name)}
        for name in sorted(set(expected) | set(state)):
            if name not in expected or name not in state or expected[name].shape != state[name].shape:
                want = tuple(expected[name].shape) if name in expected else "no such tensor"
                got = tuple(state[name].shape) if name in state else "none"
                raise ValueError(f"{name}: expected {want}, got {got}")
            if not torch.isfinite(state[name]).all():
                raise ValueError(f"{name} has values that are not finite")
        encoder = PatchEncoder(width, blocks, projected, mean, std)
        encoder.load_state_dict(state, strict=False)
    except FileNotFoundError:
        raise WeightsError(f"{path}: there is no such file of patch encoder weights") from None
    except (SafetensorError, OSError, ValueError, TypeError) as error:
        raise WeightsError(
            f"{path}: expected the weights of a small residual network in safetensors: {error}"
        ) from error
    return encoder.eval().to(device)
