"""Seed torch's random numbers for a while, so that they repeat."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def seeded(seed: int, device: str) -> Iterator[None]:
    """Torch's own generators seeded for weights and dropout, and put back afterwards."""
    devices = [torch.device(device)] if device.startswith("cuda") else []
    mps = torch.mps.get_rng_state() if device == "mps" else None
    with torch.random.fork_rng(devices=devices):
        torch.manual_seed(seed)
        try:
            yield
        finally:
            if mps is not None:
                torch.mps.set_rng_state(mps)
