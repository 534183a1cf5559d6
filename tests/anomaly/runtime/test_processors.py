"""So many processors, and as many as before afterwards."""

import os
import subprocess
import sys

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


def test_libraries_that_are_first_used_within_the_block_are_limited_too():
    """A fresh process: k-means' own threads would add floats in another order."""
    said = """
from threadpoolctl import threadpool_info
from anomaly.runtime.processors import on_processors
with on_processors(1):
    import sklearn.cluster, scipy.linalg
    print({pool["num_threads"] for pool in threadpool_info()})
"""
    environment = {**os.environ, "OMP_NUM_THREADS": "3", "OPENBLAS_NUM_THREADS": "3"}
    result = subprocess.run([sys.executable, "-c", said], env=environment, capture_output=True, text=True)
    assert result.stdout.strip() == "{1}", result.stderr
