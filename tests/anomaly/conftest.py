import pytest

from anomaly.settings import settings_from_dict
from anomaly.training.train import train_model
from tests.helpers import walkers
from tests.helpers.walkers import TINY


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
