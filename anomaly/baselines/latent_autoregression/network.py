"""The autoencoder whose latent has an autoregressive density (Abati et al., sections 3 and 4, figure 2).

The latent z of a clip has d numbers of 0..1 for each frame. Its density is a product: each number, frame after frame
and within a frame one after another, has a multinomial over bins of 0..1, given all numbers before it.
"""

from __future__ import annotations

import itertools

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from anomaly.baselines.latent_autoregression.settings import LatentAutoregressionSettings


class CausalConv(nn.Conv3d):
    """A 3-D convolution that sees no later frame."""

    def __init__(self, before: int, after: int, kernel: int = 3, stride: int = 1) -> None:
        super().__init__(
            before, after, kernel, (1, stride, stride), padding=(0, kernel // 2, kernel // 2), bias=False
        )

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, T, H, W) -> (B, C', T, H / stride, W / stride)."""
        return super().forward(F.pad(x, (0, 0, 0, 0, self.kernel_size[0] - 1, 0)))


class Block(nn.Module):
    """A residual block that halves the frames' sides, or doubles them."""

    def __init__(self, before: int, after: int, up: bool) -> None:
        super().__init__()
        self.up, stride = up, 1 if up else 2
        self.first, self.second = CausalConv(before, after, 3, stride), CausalConv(after, after, 3)
        self.shortcut = CausalConv(before, after, 1, stride)
        self.norms = nn.ModuleList(nn.BatchNorm3d(after) for _ in range(3))

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, T, H, W) -> (B, C', T, H / 2, W / 2), or (B, C', T, 2 H, 2 W)."""
        if self.up:
            x = F.interpolate(x, scale_factor=(1, 2, 2), mode="nearest")
        inner = F.leaky_relu(self.norms[0](self.first(x)))
        out = self.norms[1](self.second(inner)) + self.norms[2](self.shortcut(x))
        return F.leaky_relu(out)


class Autoencoder(nn.Module):
    """Clips to latents and back; the fully connected layers are shared over time."""

    def __init__(self, settings: LatentAutoregressionSettings) -> None:
        super().__init__()
        widths = [settings.width * 2**i for i in range(settings.blocks)]
        self.shape = widths[-1], settings.smallest, settings.smallest
        numbers = widths[-1] * settings.smallest**2
        self.down = nn.Sequential(
            *(Block(a, b, False) for a, b in zip([3, *widths[:-1]], widths, strict=True))
        )
        self.encode_frames = nn.Sequential(
            nn.Linear(numbers, settings.latent), nn.LeakyReLU(), nn.Linear(settings.latent, settings.latent)
        )
        self.decode_frames = nn.Sequential(
            nn.Linear(settings.latent, settings.latent), nn.LeakyReLU(), nn.Linear(settings.latent, numbers)
        )
        self.up = nn.Sequential(
            *(Block(b, a, True) for a, b in zip([widths[0], *widths[:-1]][::-1], widths[::-1], strict=True))
        )
        self.last = CausalConv(widths[0], 3, 1)

    def encode(self, x: Tensor) -> Tensor:
        """(B, 3, T, H, W) -> z (B, T, d) of 0..1."""
        maps = self.down(x).transpose(1, 2).flatten(2)
        return torch.sigmoid(self.encode_frames(maps))

    def decode(self, z: Tensor) -> Tensor:
        """(B, T, d) -> (B, 3, T, H, W) of 0..1."""
        maps = F.leaky_relu(self.decode_frames(z)).unflatten(2, self.shape).transpose(1, 2)
        return torch.sigmoid(self.last(self.up(maps)))


class MaskedStackedConv(nn.Module):
    """A layer over (T, d) numbers with channels each, of which none sees what comes after it.

    The number (t, i) sees all d of the frames before, as far as the convolution reaches, and those j < i of its own
    frame; with ``own``, as in all layers but the first, itself too.

    Args:
        numbers: d.
        before: channels of the input.
        after: of the output.
        reach: frames, the own one among them.
        own: whether a number sees itself.
    """

    mask: Tensor

    def __init__(self, numbers: int, before: int, after: int, reach: int, own: bool) -> None:
        super().__init__()
        self.numbers, self.after, self.reach = numbers, after, reach
        order = torch.arange(numbers)
        earlier = (order[None] <= order[:, None]) if own else (order[None] < order[:, None])  # (to, from)
        mask = torch.ones(reach, numbers, after, numbers, before)
        mask[-1] = earlier[:, None, :, None].float()
        self.register_buffer("mask", mask.reshape(reach, numbers * after, numbers * before))
        seen = reach * numbers * before
        self.weight = nn.Parameter(torch.randn(self.mask.shape) * (2 / seen) ** 0.5)
        self.bias = nn.Parameter(torch.zeros(numbers * after))

    def forward(self, x: Tensor) -> Tensor:
        """(B, T, d, C) -> (B, T, d, C')."""
        flat = F.pad(x.flatten(2), (0, 0, self.reach - 1, 0))  # nothing before the first frame
        weight, frames = self.weight * self.mask, x.shape[1]
        out = self.bias + sum(flat[:, k : k + frames] @ weight[k].T for k in range(self.reach))
        return out.unflatten(2, (self.numbers, self.after))


class Density(nn.Module):
    """The autoregressive density of latents (B, T, d)."""

    def __init__(self, settings: LatentAutoregressionSettings) -> None:
        super().__init__()
        widths = [1, *[settings.channels] * (settings.layers - 1), settings.bins]
        self.bins = settings.bins
        self.stack = nn.ModuleList(
            MaskedStackedConv(settings.latent, a, b, settings.reach, own=number > 0)
            for number, (a, b) in enumerate(itertools.pairwise(widths))
        )

    def logits(self, z: Tensor) -> Tensor:
        """(B, T, d, bins) of each number's multinomial, given the numbers before it."""
        x = z[..., None]
        for number, layer in enumerate(self.stack):
            x = layer(F.leaky_relu(x) if number else x)
        return x

    def minus_log_likelihood(self, z: Tensor) -> Tensor:
        """(B,) minus log probability of the bins that the numbers fall into."""
        bins = (z.detach() * self.bins).long().clamp(0, self.bins - 1)
        each = F.cross_entropy(self.logits(z).flatten(0, 2), bins.flatten(), reduction="none")
        return each.view(len(z), -1).sum(dim=1)


class Network(nn.Module):
    """The autoencoder and the density of its latent."""

    def __init__(self, settings: LatentAutoregressionSettings) -> None:
        super().__init__()
        self.autoencoder, self.density = Autoencoder(settings), Density(settings)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(B,) squared error of the reconstruction of clips (B, 3, T, H, W); minus log likelihood of their latents."""
        z = self.autoencoder.encode(x)
        error = (self.autoencoder.decode(z) - x).square().flatten(1).sum(dim=1)
        return error, self.density.minus_log_likelihood(z)
