"""Real models of OpenMMLab, built from the configs in its wheels, with fixed random weights, saved as checkpoints."""

from __future__ import annotations

import importlib.util
from pathlib import Path

POSE_CONFIGS = "configs/body_2d_keypoint"
RTMPOSE_T = f"{POSE_CONFIGS}/rtmpose/body8/rtmpose-t_8xb256-420e_body8-256x192.py"
RTMDET_NANO = "demo/mmdetection_cfg/rtmdet_nano_320-8xb32_coco-person.py"


def config_path(name: str, package: str = "mmpose") -> Path:
    """The path of a config in a wheel."""
    found = importlib.util.find_spec(package)
    assert found is not None
    assert found.origin is not None
    return Path(found.origin).parent / ".mim" / name


def save_random(config: Path, scope: str, path: Path, seed: int = 0) -> Path:
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
            if not value.is_floating_point() or "data_preprocessor" in name:
                continue
            if name.endswith("running_var"):
                value.uniform_(0.5, 1.5, generator=generator)
            elif value.dim() < 2:
                value.normal_(1.0 if name.endswith("weight") else 0.0, 0.1, generator=generator)
            else:
                fan = value[0].numel() or 1
                value.normal_(0.0, (2.0 / fan) ** 0.5, generator=generator)
        # A detector with random weights finds nothing: boxes of a size, and scores on either side of one half.
        for module in model.modules():
            for part in getattr(module, "rtm_reg", ()):
                part.bias.fill_(3.0)
            for part in getattr(module, "rtm_cls", ()):
                part.bias.fill_(-1.0)
    torch.save({"state_dict": model.state_dict(), "meta": {}}, path)
    return path
