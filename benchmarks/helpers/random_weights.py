"""OpenMMLab's published models with fixed random weights, for times that do not depend on what was learnt.

Arithmetic costs the same whatever the weights are, but what follows a detector depends on what it finds. An RTMDet's
head is therefore set so that it finds a hundred boxes of a person's shape before NMS (a trained one, that order too),
at the same places in every picture; `max_people` says how many of them count.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from mmengine.config import Config
from mmengine.registry import MODELS, DefaultScope
from torch import nn

_SIDES = (1.0, 2.5, 1.0, 2.5)  # left, top, right, bottom of a person's box, in strides of the coarsest map
_NOBODY = -10.0  # logit


def save_random(config: Path, scope: str, path: Path, image: np.ndarray) -> Path:
    """Build a config's model with random weights and save them as a checkpoint.

    Args:
        config: path of a config of mmpose or mmdet.
        scope: "mmpose" or "mmdet".
        path: of the checkpoint.
        image: (H, W, 3) BGR, by which batch norm is set as after a training.
    """
    loaded = Config.fromfile(config)
    with DefaultScope.overwrite_default_scope(loaded.get("default_scope", scope)):
        model = MODELS.build(loaded.model)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for name, value in model.state_dict().items():
            if value.dim() > 1:
                value.normal_(0.0, (2.0 / value[0].numel()) ** 0.5, generator=generator)
            elif name.endswith("bias"):
                value.zero_()
        for module in model.modules():
            if isinstance(module, nn.modules.batchnorm._BatchNorm):
                module.reset_running_stats()
                module.momentum = None
        model.train()
        x = _input(image, 320, 320) if scope == "mmdet" else _input(image, *loaded.codec["input_size"])
        model(torch.cat([x, x.flip(3)]), None, mode="tensor")
        if scope == "mmdet":
            _find(model.bbox_head)
    torch.save({"state_dict": model.state_dict(), "meta": {}}, path)
    return path


def _input(image: np.ndarray, width: int, height: int) -> torch.Tensor:
    """A picture as networks get it: scaled, filled up to the size, normalised."""
    scale = min(width / image.shape[1], height / image.shape[0])
    small = cv2.resize(image, None, fx=scale, fy=scale)
    below, right = height - small.shape[0], width - small.shape[1]
    whole = cv2.copyMakeBorder(small, 0, below, 0, right, cv2.BORDER_CONSTANT, value=(114,) * 3)
    return (torch.from_numpy(whole).permute(2, 0, 1)[None].float() - 114) / 58


def _find(head: Any) -> None:
    """Set an RTMDet's head so that every place of its coarsest map is a person's box, whatever the picture."""
    for conv in head.rtm_reg:
        conv.weight.zero_()
        conv.bias.copy_(torch.tensor(_SIDES))
    for conv in head.rtm_cls:
        conv.weight.zero_()
        conv.bias.fill_(0.0 if conv is head.rtm_cls[-1] else _NOBODY)
