"""Networks of future-frame prediction: the U-Net that predicts, and the patch discriminator."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class UNet(nn.Module):
    """Predicts a frame from those before it (Liu et al., CVPR 2018, figure 3).

    Two 3x3 convolutions a scale that keep its size, 2x2 max pooling down, 3x3 deconvolution up, each scale on the way
    up next to that on the way down. No normalisation layers, so that a prediction depends on its own frames alone.

    Args:
        past: frames before, their channels stacked.
        width: channels of the first scale.
        scales: how many there are.
        change: predict what is added to the last frame, nothing to begin with, instead of the frame.
    """

    def __init__(self, past: int, width: int, scales: int, change: bool = False) -> None:
        super().__init__()
        self.change = change
        widths = [width * 2**scale for scale in range(scales)]
        self.down = nn.ModuleList(map(_two_convolutions, [3 * past, *widths], widths))
        self.deconvolution = nn.ModuleList(
            nn.ConvTranspose2d(2 * width, width, 3, stride=2, padding=1, output_padding=1)
            for width in widths[:-1]
        )
        self.up = nn.ModuleList(_two_convolutions(2 * width, width) for width in widths[:-1])
        self.last = nn.Conv2d(width, 3, 3, padding=1)
        for module in self.modules():
            if isinstance(module, nn.Conv2d | nn.ConvTranspose2d) and module is not self.last:
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
        if change:
            for parameter in self.last.parameters():
                nn.init.zeros_(parameter)

    def forward(self, past: Tensor) -> Tensor:
        """(B, 3, H, W) frame of -1..1 after the (B, 3 * past, H, W) ones; H and W divisible by 2^(scales - 1)."""
        kept: list[Tensor] = []
        x = past
        for scale, convolutions in enumerate(self.down):
            x = convolutions(x if scale == 0 else nn.functional.max_pool2d(x, 2))
            kept.append(x)
        for scale in reversed(range(len(self.up))):
            x = self.up[scale](torch.cat([kept[scale], self.deconvolution[scale](x)], 1))
        if self.change:
            return (past[:, -3:] + self.last(x)).clamp(-1, 1)
        return torch.tanh(self.last(x))


class PatchDiscriminator(nn.Module):
    """Says of each patch of a frame whether it is real, as pix2pix's does: 4x4 convolutions, leaky ReLU.

    Args:
        width: channels of the first layer; the next have twice and four times as many.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        before = 3
        for channels, stride in ((width, 2), (2 * width, 2), (4 * width, 2)):
            layers += [nn.Conv2d(before, channels, 4, stride, 1), nn.LeakyReLU(0.2)]
            before = channels
        self.layers = nn.Sequential(*layers, nn.Conv2d(before, 1, 3, 1, 1))

    def forward(self, frames: Tensor) -> Tensor:
        """(B, 1, H / 8, W / 8), near 1 where a patch looks real."""
        return self.layers(frames)


def _two_convolutions(before: int, channels: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(before, channels, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(channels, channels, 3, padding=1),
        nn.ReLU(),
    )
