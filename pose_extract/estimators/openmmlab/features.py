"""Take features of each joint out of a hidden layer of the pose network, at no second pass."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import grid_sample

from pose_extract.errors import EstimatorError
from pose_extract.estimators.openmmlab.networks import Network

_NAME = re.compile(r"(?P<module>.+?)(\[(?P<index>-?\d+)\])?")
_LARGEST = float(np.finfo(np.float16).max)


class HiddenFeatures:
    """Keeps the feature map that a module of a pose network gives, and samples it at joints.

    Of several calls of the module in one prediction the first one counts: with a mirrored second pass, the picture as
    it is; of a module that several levels share, the first level.

    Args:
        network: the pose network. Its module is watched from now on.
        name: of the module, as in ``backbone.stage2``. Of several maps that it gives, the last one is taken;
            ``backbone[0]`` takes the first, and so on.

    Raises:
        EstimatorError: the network has no such module.
    """

    def __init__(self, network: Network, name: str) -> None:
        self._name = name
        match = _NAME.fullmatch(name)
        self._index = int((match and match["index"]) or -1)
        module = _find(network.model, match["module"] if match else name, name)
        # Not a hook: those do not see direct calls of `forward`, as heads of mmpose get them.
        module.forward = self._watched(module.forward)
        steps = network.config.test_dataloader.dataset.pipeline
        self._unbiased = any(step.get("use_udp", False) for step in steps)
        self._map: Tensor | None = None

    def clear(self) -> None:
        """Forget the last prediction. To be called before the next."""
        self._map = None

    def sample(
        self, samples: Sequence[Any], points: Sequence[NDArray[np.float32]]
    ) -> list[NDArray[np.float16]]:
        """The features at joints in each picture of the last prediction.

        Bilinear between the centres of the map's cells, which divide the network's input evenly; a joint outside of the
        input gets what is nearest on its border.

        Args:
            samples: mmpose's data samples of the N pictures, which say what part of the frame each of them shows.
            points: N arrays (P, J, 2) of places in the frame, px; P may differ.

        Returns:
            N arrays (P, J, D), values beyond float16's range clipped, others that are not finite 0.

        Raises:
            EstimatorError: the module took no part in the prediction.
        """
        if self._map is None or len(self._map) != len(samples):
            got = (
                "was not used"
                if self._map is None
                else f"gave {len(self._map)} maps for {len(samples)} pictures"
            )
            raise EstimatorError(
                f"openmmlab.features {self._name}: expected a module that gives one map a picture, but it {got}"
            )
        grid = np.zeros((len(points), max(map(len, points)), *points[0].shape[1:]), np.float32)
        for row, sample, places in zip(grid, samples, points, strict=True):
            row[: len(places)] = self._in_grid(places, sample.metainfo)
        with torch.inference_mode():
            values = grid_sample(
                self._map, torch.from_numpy(grid).to(self._map), padding_mode="border", align_corners=False
            )
            values = values.nan_to_num(0.0, 0.0, 0.0).clamp(-_LARGEST, _LARGEST).half()
        vectors = values.permute(0, 2, 3, 1).cpu().numpy()
        return [row[: len(places)] for row, places in zip(vectors, points, strict=True)]

    def _in_grid(self, points: NDArray[np.float32], picture: dict[str, Any]) -> NDArray[np.float32]:
        """Places in the frame, px, as ones in the network's input, whose edges are at -1 and 1."""
        size = np.asarray(picture["input_size"], np.float32)
        scale = np.asarray(picture["input_scale"], np.float32)
        # "Unbiased data processing" (Huang et al., CVPR 2020) puts the box's edges at the centres of the outer pixels.
        steps = size - 1 if self._unbiased else size
        in_input = (points - picture["input_center"] + scale / 2) / scale * steps
        in_grid: NDArray[np.float32] = (2 * (in_input + 0.5) / size - 1).astype(np.float32)
        return in_grid

    def _watched(self, forward: Callable[..., Any]) -> Callable[..., Any]:
        def watched(*args: Any, **kwargs: Any) -> Any:
            output = forward(*args, **kwargs)
            if self._map is None:
                # A copy: what follows may work in place.
                self._map = self._picked(output).to(torch.float32, copy=True)
            return output

        return watched

    def _picked(self, output: Any) -> Tensor:
        """The map asked for in what the module gave."""
        maps = output if isinstance(output, (tuple, list)) else [output]
        if not -len(maps) <= self._index < len(maps):
            raise EstimatorError(
                f"openmmlab.features {self._name}: the module gives {len(maps)} maps, numbered from 0"
            )
        picked = maps[self._index]
        if not isinstance(picked, Tensor) or picked.dim() != 4:
            raise EstimatorError(
                f"openmmlab.features {self._name}: expected a module that gives maps of shape (N, C, H, W), "
                f"this one gives {_described(output)}; the network's backbone gives some"
            )
        return picked


def _find(model: Any, module: str, name: str) -> Any:
    try:
        return model.get_submodule(module)
    except AttributeError:
        known = [known for known, _ in model.named_modules() if known]
        near = difflib.get_close_matches(module, known, 5, 0.4)
        near = near or [known for known, _ in model.named_children()]
        raise EstimatorError(
            f"openmmlab.features {name}: the pose network has no module {module}; nearest: {', '.join(near)}"
        ) from None


def _described(output: Any) -> str:
    if isinstance(output, Tensor):
        return f"a tensor of shape {tuple(output.shape)}"
    if isinstance(output, (tuple, list)):
        return f"{type(output).__name__} of {', '.join(map(_described, output)) or 'nothing'}"
    return f"a {type(output).__name__}"
