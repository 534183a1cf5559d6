"""Real models of OpenMMLab, built from the configs in its wheels, with fixed random weights, saved as checkpoints."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import cv2
import numpy as np

POSE_CONFIGS = "configs/body_2d_keypoint"
RTMPOSE_T = f"{POSE_CONFIGS}/rtmpose/body8/rtmpose-t_8xb256-420e_body8-256x192.py"
RTMDET_NANO = "demo/mmdetection_cfg/rtmdet_nano_320-8xb32_coco-person.py"


def config_path(name: str, package: str = "mmpose") -> Path:
    """The path of a config in a wheel."""
    found = importlib.util.find_spec(package)
    assert found is not None
    assert found.origin is not None
    return Path(found.origin).parent / ".mim" / name


def slim(config: Path, folder: Path) -> Path:
    """A config like another, but an HRNet has a quarter of the channels and one module a stage: built in a second."""
    from mmengine.config import Config

    loaded = Config.fromfile(config)
    backbone = loaded.model.backbone
    if backbone.type != "HRNet":
        return config
    for stage in ("stage2", "stage3", "stage4"):
        backbone.extra[stage].num_modules = 1
        backbone.extra[stage].num_channels = tuple(n // 4 for n in backbone.extra[stage].num_channels)
    loaded.model.head.in_channels //= 4
    path = folder / config.name
    loaded.dump(path)
    return path


def save_random(config: Path, scope: str, path: Path, seed: int = 0, box_gain: float = 0.0) -> Path:
    """Build a config's model, fill it with random weights that make it say something, save it as a checkpoint."""
    import torch
    from mmengine.config import Config
    from mmengine.registry import MODELS, DefaultScope

    loaded = Config.fromfile(config)
    with DefaultScope.overwrite_default_scope(loaded.get("default_scope", scope)):
        model = MODELS.build(loaded.model)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, value in model.state_dict().items():
            if value.is_floating_point() and "running" not in name and "data_preprocessor" not in name:
                if value.dim() > 1:
                    value.normal_(0.0, (2.0 / value[0].numel()) ** 0.5, generator=generator)
                else:
                    value.normal_(float(name.endswith("weight")), 0.1, generator=generator)
        # Batch norm as after a training, so that what comes out is neither nothing nor saturated.
        norms = [
            module for module in model.modules() if isinstance(module, torch.nn.modules.batchnorm._BatchNorm)
        ]
        for module in norms:
            module.reset_running_stats()
            module.momentum = None
        model.train()
        picture = torch.from_numpy(random_picture()[:192, :192].transpose(2, 0, 1).copy()).float()
        prepare = model.data_preprocessor
        if getattr(prepare, "_enable_normalize", False):
            picture = (picture - prepare.mean) / prepare.std
        size = (256, 192)
        pictures = torch.stack([picture, picture.flip(1), picture.flip(2), picture.flip(0)])
        model(torch.nn.functional.interpolate(pictures, size=size), None, mode="tensor")
        # Heads of trained networks are less excited. And random ones amplify the last bits: where boxes do not depend
        # on the picture (their places do, by their scores), crops are the same.
        for name, value in model.named_parameters():
            if "module.out_" in name or ("rtm_cls" in name and name.endswith("weight")):
                value *= 0.3
            elif "rtm_" in name:
                value.mul_(box_gain) if name.endswith("weight") else value.fill_(
                    3.0 if "reg" in name else -3.0
                )
    torch.save({"state_dict": model.state_dict(), "meta": {}}, path)
    return path


def random_picture() -> np.ndarray:
    """(240, 320, 3) BGR uint8: a texture, the same in every run."""
    rng = np.random.default_rng(5)
    coarse = rng.integers(0, 256, (30, 40, 3), dtype=np.uint8)
    fine = rng.integers(0, 40, (240, 320, 3), dtype=np.uint8)
    return cv2.add(cv2.resize(coarse, (320, 240), interpolation=cv2.INTER_CUBIC) // 2, fine)
