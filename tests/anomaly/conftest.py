import pytest
import walkers

from anomaly.settings import settings_from_dict
from anomaly.training import train_model

TINY = {
    "windows": {"train_stride": 4, "scale": "body"},
    "model": {
        "width": 4, "encoder": [2, 3], "strides": [2, 3], "decoder": [2, 2], "upsampling": [3, 2],
        "temporal_kernel": 3, "dropout": 0.1,
    },
    "training": {
        "transforms": ["identity", "mirror"], "all_transforms": False, "batch_size": 64, "pretrain_epochs": 3,
        "finetune_epochs": 2, "pretrain_rate": [1e-4, 3e-3],
    },
    "clustering": {"clusters": 5, "bias": True, "temperature": 0, "weight": 0.1, "kmeans_starts": 1},
    "normality": {"components": 3, "every": 1, "form": "logratio"},
    "scoring": {"smoothing_s": 0.2},
}  # fmt: skip


@pytest.fixture
def tiny():
    """Settings of a model that trains in a few seconds; change sections with `tiny(section={...})`."""

    def make(**changes):
        names = [*TINY, *(name for name in changes if name not in TINY)]
        return settings_from_dict({name: {**TINY.get(name, {}), **changes.get(name, {})} for name in names})

    return make


@pytest.fixture(scope="session")
def walking_clips():
    return [walkers.clip(f"walk{i}", seed=i) for i in range(4)]


@pytest.fixture(scope="session")
def trained(walking_clips):
    """A small model that knows walking; do not change it."""
    return train_model(walking_clips, settings_from_dict(TINY), seed=0)
