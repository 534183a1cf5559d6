import pytest
import torch
from torch import nn

from anomaly.networks import batch_norm as normalisation
from anomaly.networks.batch_norm import BatchNorm, Dropout


@pytest.fixture
def two_processes(monkeypatch):
    """Another process that happens to have the very same batch."""
    monkeypatch.setattr(normalisation, "world", lambda: 2)
    monkeypatch.setattr(normalisation, "sum_over", lambda value: 2 * value)


def batch(dtype=torch.float64):
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(4, 3, 2, 5, generator=generator, dtype=torch.float64)
    return (3 * x + torch.tensor([100.0, 0.0, -1.0]).view(3, 1, 1)).to(dtype)


def test_processes_normalise_with_the_statistics_of_all(two_processes):
    both = torch.cat([batch(), batch()])
    ours, theirs = BatchNorm(3).double(), nn.BatchNorm2d(3).double()
    torch.testing.assert_close(ours(batch()), theirs(both)[:4])
    for (name, mine), other in zip(ours.named_buffers(), theirs.buffers(), strict=True):
        torch.testing.assert_close(mine, other, msg=name)


def test_gradients_go_through_the_statistics_of_all(two_processes):
    ours, theirs = BatchNorm(3).double(), nn.BatchNorm2d(3).double()
    weights = torch.randn_like(batch())
    x, both = batch().requires_grad_(), torch.cat([batch(), batch()]).requires_grad_()
    (ours(x) * weights).sum().backward()
    (theirs(both) * torch.cat([weights, weights])).sum().backward()
    torch.testing.assert_close(x.grad, both.grad[:4])
    torch.testing.assert_close(
        2 * ours.weight.grad, theirs.weight.grad
    )  # the processes' gradients are summed later
    torch.testing.assert_close(2 * ours.bias.grad, theirs.bias.grad)


def test_its_gradients_are_right(monkeypatch):
    monkeypatch.setattr(normalisation, "world", lambda: 2)
    monkeypatch.setattr(normalisation, "sum_over", lambda value: value)
    norm = BatchNorm(3).double()
    assert torch.autograd.gradcheck(norm, batch().requires_grad_())


def test_statistics_of_bfloat16_are_taken_in_float32(two_processes):
    x = batch(torch.bfloat16)
    ours, theirs = BatchNorm(3), nn.BatchNorm2d(3)
    out = ours(x)
    assert out.dtype == torch.bfloat16
    torch.testing.assert_close(out.float(), theirs(x.float()), atol=0.02, rtol=0.02)


def test_a_process_of_its_own_has_torchs_batch_norm():
    ours, theirs = BatchNorm(3), nn.BatchNorm2d(3)
    x = batch(torch.float32)
    torch.testing.assert_close(ours(x), theirs(x))
    torch.testing.assert_close(ours.eval()(x), theirs.eval()(x))


@pytest.mark.parametrize("p", [0.1, 0.3, 0.9])
def test_dropout_drops_its_share_and_keeps_the_mean(p):
    torch.manual_seed(0)
    mask = Dropout(p).mask(torch.zeros(50, 40, 12, 17))
    dropped = float((mask == 0).float().mean())
    assert abs(dropped - p) < 0.003
    assert abs(float(mask.mean()) - 1) < 0.01
    kept = mask[mask > 0]
    torch.testing.assert_close(kept, torch.full_like(kept, 1 / (1 - p)))
    share = (mask == 0).float().mean(dim=0)  # of each element over samples: no pattern
    assert (share - p).abs().max() < 6 * (p * (1 - p) / 50) ** 0.5


def test_dropout_is_drawn_anew_and_repeats_with_the_seed():
    x, dropout = torch.zeros(2, 3, 5, 7), Dropout(0.5)
    torch.manual_seed(1)
    first, second = dropout.mask(x), dropout.mask(x)
    torch.manual_seed(1)
    assert torch.equal(dropout.mask(x), first)
    assert not torch.equal(first, second)


def test_nothing_is_dropped_in_evaluation():
    x = torch.zeros(2, 3, 4, 5)
    assert Dropout(0.5).eval().mask(x) is None
    assert Dropout(0.0).mask(x) is None
