"""So many processors, and as many as before afterwards."""

import torch

from anomaly.runtime.processors import on_processors
from pose_extract.devices import PROCESSORS, processors


def test_networks_and_processes_have_so_many_processors_within_the_block(monkeypatch):
    monkeypatch.setenv(PROCESSORS, "5")
    before = torch.get_num_threads()
    with on_processors(3):
        assert (torch.get_num_threads(), processors()) == (3, 3)
        with on_processors(None):
            assert (torch.get_num_threads(), processors()) == (3, 3)
    assert (torch.get_num_threads(), processors()) == (before, 5)
    monkeypatch.delenv(PROCESSORS)
    usual = processors()
    with on_processors(usual + 1):
        assert processors() == usual + 1
    assert processors() == usual
