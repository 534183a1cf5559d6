import json
import os
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from anomaly.networks.clustering import divergence
from anomaly.networks.st_gcae import Network
from anomaly.runtime import distributed
from anomaly.runtime.seeding import seeded
from anomaly.settings import settings_from_dict
from anomaly.training.train import batch_of_target, fit_network
from tests.helpers import walkers

SETTINGS = {
    "windows": {"train_stride": 4, "scale": "body"},
    "model": {
        "width": 4, "encoder": [2, 3], "strides": [2, 3], "decoder": [2, 2], "upsampling": [3, 2],
        "temporal_kernel": 3, "dropout": 0.0,
    },
    "training": {
        "transforms": ["identity", "mirror"], "batch_size": 63, "pretrain_epochs": 2, "finetune_epochs": 3,
        "pretrain_rate": [1e-5, 1e-4], "finetune_rate": 1e-4,
    },
    "clustering": {"clusters": 5, "bias": True, "temperature": 0, "kmeans_starts": 1, "stop_after": 10},
    "normality": {"components": 3, "every": 1},
}  # fmt: skip

CHILD = """
import json, sys
from pathlib import Path
import numpy as np
from tests.anomaly.runtime import test_distributed
from tests.helpers import walkers
from anomaly.runtime import distributed
from anomaly.settings.model import settings_from_dict
from anomaly.training.train import fit_network
from pose_extract.errors import GepcError

settings, folder, fail = settings_from_dict(json.loads(sys.argv[1])), Path(sys.argv[2]), sys.argv[3]

def tell(stage, done, total, facts):
    if fail == f"{stage} {done} {distributed.rank()}":
        sys.exit("this process fails")
    if distributed.is_main():
        print(stage, done, flush=True)

try:
    with distributed.joined("cpu") as device:
        if not fail:
            gradients = test_distributed.gradients(settings)
        learned = fit_network(test_distributed.clips(), settings, 4, device, tell, folder)
        if distributed.is_main():
            weights = {name: tensor.numpy() for name, tensor in learned.network.state_dict().items()}
            np.savez(folder / "weights.npz", log_p=learned.log_p, **weights)
            np.savez(folder / "gradients.npz", **gradients)
            (folder / "history.json").write_text(json.dumps(learned.history))
except GepcError as error:
    sys.exit(f"said: {error}")
"""

THREADS = """
import gc, os
from pathlib import Path
import torch
from anomaly.runtime import distributed

def gloo():
    names = [path.read_text().strip() for path in Path("/proc/self/task").glob("*/comm")]
    return sum(name.startswith(("pt_gloo", "gloo")) for name in names)

with distributed.joined("cpu"):
    from mmengine.optim import OptimWrapper  # as training does
    distributed.sum_over(torch.ones(3))
    meanwhile = gloo()
gc.collect()
# At once: two processes write into one pipe.
os.write(1, f"gloo threads: {bool(meanwhile)} {gloo()}\\n".encode())
"""


def clips():
    return [walkers.clip(f"walk{i}", seed=i) for i in range(2)]


def gradients(settings):
    """Of both losses, summed over a batch of 11 windows, in float64; the target is the batch's own."""
    with seeded(1, "cpu"):
        network = Network(settings).double().train()
        torch.nn.init.normal_(network.clustering.theta, std=0.1)
        x = torch.randn(11, 3, 12, 18, dtype=torch.float64)
    x = x[slice(*distributed.share(11))]
    z, reconstruction = network.autoencoder(x)
    log_p = network.clustering(z)
    q = batch_of_target(SimpleNamespace(target=None), log_p, None)
    loss_cluster = divergence(log_p, q, settings.clustering).sum()
    ((reconstruction - x).square().sum() + loss_cluster).backward()
    distributed.sum_gradients(network.parameters())
    return {name: p.grad.numpy() for name, p in network.named_parameters() if p.grad is not None} | {
        name: buffer.numpy() for name, buffer in network.named_buffers()
    }


def torchrun(folder, fail="", processes=2, code=CHILD):
    command = [
        sys.executable,
        "-m",
        "torch.distributed.run",
        "--standalone",
        "--nproc-per-node",
        str(processes),
    ]
    script = folder / "child.py"
    script.write_text(code)
    path = os.pathsep.join(sys.path)
    return subprocess.run(
        [*command, str(script), json.dumps(SETTINGS), str(folder), fail],
        env={**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=300,
    )


def test_without_torchrun_there_is_one_process_with_everything():
    with distributed.joined("cpu") as device:
        assert (device, distributed.rank(), distributed.world(), distributed.is_main()) == ("cpu", 0, 1, True)
        assert distributed.share(7) == (0, 7)
        assert distributed.share_bytes(b"abc", "cpu") == b"abc"


@pytest.mark.slow
@pytest.mark.skipif(not os.path.exists("/proc/self/task"), reason="Linux says which threads there are")
def test_no_thread_of_the_group_is_left_behind(tmp_path):
    done = torchrun(tmp_path, code=THREADS)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["gloo threads: True 0"] * 2


@pytest.mark.slow
def test_two_processes_learn_what_one_learns(tmp_path):
    settings = settings_from_dict(SETTINGS)
    alone = fit_network(clips(), settings, 4)
    done = torchrun(tmp_path)
    assert done.returncode == 0, done.stderr

    with np.load(tmp_path / "gradients.npz") as arrays:
        for name, array in gradients(settings).items():
            np.testing.assert_allclose(arrays[name], array, rtol=1e-9, atol=1e-9, err_msg=name)

    history = json.loads((tmp_path / "history.json").read_text())
    assert [row["stage"] for row in history] == [row["stage"] for row in alone.history]
    for theirs, own in zip(history, alone.history, strict=True):
        assert theirs.keys() == own.keys()
        for name in own.keys() - {"stage", "seconds", "reason", "occupancy"}:
            assert theirs[name] == pytest.approx(own[name], rel=1e-2), name  # rounding, which Adam magnifies
    with np.load(tmp_path / "weights.npz") as arrays:
        np.testing.assert_allclose(arrays["log_p"], alone.log_p, atol=1e-2)
        apart = [np.abs(arrays[n] - t.numpy()).ravel() for n, t in alone.network.state_dict().items()]
    # Adam turns rounding of a gradient that is nearly 0 into a step of full length, so a few weights may differ more.
    assert np.quantile(np.concatenate(apart), 0.99) < 1e-3
    assert (tmp_path / "curves.csv").read_text().count("finetune") == 3  # by process 0 alone


@pytest.mark.slow
def test_a_process_that_fails_ends_the_others_with_a_message(tmp_path):
    done = torchrun(tmp_path, fail="pretrain 1 1")
    assert done.returncode != 0
    assert "this process fails" in done.stderr
    assert "pretrain 2" not in done.stdout
