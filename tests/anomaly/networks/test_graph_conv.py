import pytest
import torch

from anomaly.networks import graph_conv as module
from anomaly.networks.graph_conv import graph_convolution


def operands(own_adjacency, samples=5):
    generator = torch.Generator().manual_seed(0)
    shapes = [(samples, 3, 2, 4), (6, 2 * 3), (samples, 2, 4, 4) if own_adjacency else (2, 4, 4)]
    return [torch.randn(s, generator=generator, dtype=torch.float64).requires_grad_() for s in shapes]


@pytest.mark.parametrize("own_adjacency", [False, True])
def test_it_sums_over_subsets_and_joints(own_adjacency):
    x, weight, adjacency = operands(own_adjacency)
    sample = "n" if own_adjacency else ""
    expected = torch.einsum(f"osc,nctv,{sample}svw->notw", weight.view(6, 2, 3), x, adjacency)
    torch.testing.assert_close(graph_convolution(x, weight, adjacency), expected)


@pytest.mark.parametrize("own_adjacency", [False, True])
@pytest.mark.parametrize("cache", [1, 1500, 2**20])
def test_its_gradients_are_right_whatever_fits_the_cache(own_adjacency, cache, monkeypatch):
    monkeypatch.setattr(module, "_CACHE", cache)
    assert torch.autograd.gradcheck(graph_convolution, operands(own_adjacency))


def test_a_fixed_adjacency_gets_no_gradient():
    x, weight, adjacency = operands(False)
    graph_convolution(x, weight, adjacency.detach()).sum().backward()
    assert x.grad is not None
    assert weight.grad is not None
    assert adjacency.grad is None


@pytest.mark.parametrize("own_adjacency", [False, True])
def test_under_autocast_it_runs_in_bfloat16_and_gives_gradients_in_float32(own_adjacency):
    exact = operands(own_adjacency)
    rough = [x.detach().float().requires_grad_() for x in exact]
    with torch.autocast("cpu", torch.bfloat16):
        out = graph_convolution(*rough)
    assert out.dtype == torch.bfloat16
    out.float().square().sum().backward()
    graph_convolution(*exact).square().sum().backward()
    for x, y in zip(rough, exact, strict=True):
        assert x.grad.dtype == torch.float32
        assert (x.grad - y.grad).norm() < 0.05 * y.grad.norm()
