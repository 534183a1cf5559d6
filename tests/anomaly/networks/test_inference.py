"""The fused network against the plain module that it was made of."""

import pytest
import torch

from anomaly.networks.inference import assign_in_micro_batches, fuse_batch_norm
from anomaly.networks.st_gcae import Network
from anomaly.settings import ModelSettings, settings_from_dict

SMALL = {"width": 4, "encoder": [2, 3], "strides": [2, 3], "decoder": [2, 2], "upsampling": [3, 2]}


def a_network(**sections):
    """A network whose batch norms have seen data, so that fusing them changes every weight."""
    torch.manual_seed(0)
    network = Network(settings_from_dict({"model": SMALL, **sections}))
    _used(network)
    return network.eval()


def _used(network):
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.1)
        for name, buffer in network.named_buffers():
            if name.endswith("running_mean"):
                buffer.normal_(0, 0.3)
            elif name.endswith("running_var"):
                buffer.uniform_(0.3, 3)


def windows(n, channels=3):
    return torch.randn(n, channels, 12, 18, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize(
    "kinds", [["static", "global", "inferred"], ["static"], ["inferred"], ["global", "static"]]
)
@pytest.mark.parametrize("partition", ["spatial", "distance", "uniform"])
def test_the_folded_network_assigns_as_the_plain_one(kinds, partition):
    network = a_network(model={**SMALL, "adjacencies": kinds, "partition": partition})
    x = windows(5)
    with torch.no_grad():
        torch.testing.assert_close(fuse_batch_norm(network)(x), network.assign(x), atol=1e-5, rtol=1e-5)


def test_the_published_network_folds_to_the_same_assignments():
    torch.manual_seed(0)
    network = Network(ModelSettings()).eval()
    _used(network)
    x = windows(3)
    with torch.no_grad():
        torch.testing.assert_close(fuse_batch_norm(network)(x), network.assign(x), atol=1e-5, rtol=1e-5)


def test_fusing_leaves_the_network_as_it_was():
    network = a_network().train()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    fused = fuse_batch_norm(network)
    assert network.training
    assert all(module.training for module in network.modules())
    assert not fused.training
    assert not any(p.requires_grad for p in fused.parameters())
    for name, value in network.state_dict().items():
        assert torch.equal(value, before[name])


def test_micro_batches_change_nothing():
    fused, x = fuse_batch_norm(a_network()), windows(77)
    torch.testing.assert_close(assign_in_micro_batches(fused, x), fused(x), atol=1e-5, rtol=1e-5)
    assert assign_in_micro_batches(fused, x[:0]).shape == (0, 10)


def test_the_folded_network_can_be_traced_for_any_number_of_windows():
    fused = fuse_batch_norm(a_network())
    exported = torch.export.export(
        fused, (windows(4),), dynamic_shapes={"x": {0: torch.export.Dim("n", min=1, max=4096)}}
    )
    torch.testing.assert_close(exported.module()(windows(9)), fused(windows(9)), atol=1e-5, rtol=1e-5)
