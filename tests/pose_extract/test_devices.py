"""The device that networks run on: the one asked for, the fastest, or an error that says what there is."""

import builtins

import pytest
import torch

from pose_extract.devices import check_device, pick_device
from pose_extract.errors import UsageError


@pytest.fixture
def machine(monkeypatch):
    """Pretends that this machine has so many GPUs, or an Apple one."""

    def has(gpus: int = 0, mps: bool = False) -> None:
        monkeypatch.setattr(torch.cuda, "is_available", lambda: gpus > 0)
        monkeypatch.setattr(torch.cuda, "device_count", lambda: gpus)
        monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)

    return has


@pytest.mark.parametrize(
    ("gpus", "mps", "fastest"), [(0, False, "cpu"), (0, True, "mps"), (2, False, "cuda"), (1, True, "cuda")]
)
def test_auto_is_the_fastest_there_is(machine, gpus, mps, fastest):
    machine(gpus, mps)
    assert pick_device("auto") == fastest


@pytest.mark.parametrize("name", ["cpu", "cuda", "cuda:0", "cuda:1"])
def test_a_device_that_is_there_is_taken(machine, name):
    machine(2)
    assert pick_device(name) == name


def test_a_device_that_is_not_there_is_an_error_that_says_what_is(machine):
    machine(0)
    for name in ("cuda", "cuda:0", "mps"):
        with pytest.raises(UsageError, match=f"device '{name}' is not there on this machine; there is: cpu$"):
            pick_device(name)
    machine(2)
    with pytest.raises(UsageError, match=r"there is: cpu, cuda \(cuda:0 to cuda:1\)"):
        pick_device("cuda:2")


@pytest.mark.parametrize(
    "name", ["tpu", "cuda:", "cuda:x", "cuda:-1", "cuda:²", "cpu:0", "CPU", "", "cuda:0\n"]
)
def test_what_names_no_device_is_an_error(name):
    for function in (check_device, pick_device):
        with pytest.raises(UsageError, match="expected cpu, cuda, cuda:N, mps or auto"):
            function(name)


def test_names_are_checked_without_torch_and_its_absence_is_told(monkeypatch):
    real = builtins.__import__

    def without_torch(name, *args, **kwargs):
        if name == "torch":
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without_torch)
    assert check_device("cuda:3") == "cuda:3"
    with pytest.raises(UsageError, match="pip install torch"):
        pick_device("cpu")
