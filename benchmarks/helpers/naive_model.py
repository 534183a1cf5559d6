"""The model as one would first write it, to compare the product's form with. Never imported by the product.

One convolution for each adjacency, the sum over neighbours by einsum, batch norm by itself, dropout by itself; the
whole autoencoder runs to score a window; a data set of copied windows that transforms one sample at a time in Python,
behind torch's `DataLoader` with its defaults. It has the product's weights: `NaiveNetwork.load` takes a state dict of
`anomaly.networks.st_gcae.Network`.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import nn
from torch.utils.data import Dataset

from anomaly.networks.graph import static_adjacency
from anomaly.settings import TRANSFORMS


class GraphConv(nn.Module):
    """One GCN: a 1x1 convolution to all subsets at once, an einsum over subsets and joints, batch norm, ReLU."""

    def __init__(self, channels, out, subsets):
        super().__init__()
        self.subsets = subsets
        self.conv = nn.Conv2d(channels, out * subsets, 1, bias=False)
        self.norm = nn.BatchNorm2d(out)
        self.relu = nn.ReLU()

    def forward(self, x, adjacency):
        """(N, C, T, V) -> (N, C_out, T, V)."""
        x = self.conv(x)
        n, channels, t, v = x.shape
        x = x.view(n, self.subsets, channels // self.subsets, t, v)
        equation = "nsctv,svw->nctw" if adjacency.dim() == 3 else "nsctv,nsvw->nctw"
        return self.relu(self.norm(torch.einsum(equation, x, adjacency)))


class Attention(nn.Module):
    """The inferred adjacency."""

    def __init__(self, channels, width, subsets):
        super().__init__()
        self.source = nn.Conv2d(channels, width * subsets, 1)
        self.target = nn.Conv2d(channels, width * subsets, 1)
        self.subsets, self.width = subsets, width

    def forward(self, x):
        """(N, C, T, V) -> (N, S, V, V)."""
        n, _, t, v = x.shape
        source = self.source(x).view(n, self.subsets, self.width, t, v)
        target = self.target(x).view(n, self.subsets, self.width, t, v)
        product = torch.einsum("nsctv,nsctw->nsvw", source, target)
        return torch.softmax(product / (self.width * t), dim=2)


class Sagc(nn.Module):
    """The spatial attention graph convolution."""

    def __init__(self, channels, out, static):
        super().__init__()
        subsets = len(static)
        self.register_buffer("static", static)
        self.learned = nn.Parameter(torch.zeros_like(static))
        self.infer = Attention(channels, max(out // 4, 1), subsets)
        self.branches = nn.ModuleDict(
            {kind: GraphConv(channels, out, subsets) for kind in ("static", "global", "inferred")}
        )
        self.reduce = nn.Conv2d(3 * out, out, 1)
        self.residual = shortcut(channels, out, 1)

    def forward(self, x):
        """(N, C, T, V) -> (N, C_out, T, V)."""
        stacked = torch.cat(
            [
                self.branches["static"](x, self.static),
                self.branches["global"](x, self.learned),
                self.branches["inferred"](x, self.infer(x)),
            ],
            dim=1,
        )
        return self.reduce(stacked) + self.residual(x)


class Block(nn.Module):
    """The spatio-temporal block."""

    def __init__(self, channels, out, static, stride=1, kernel=9, dropout=0.0, activate=True):
        super().__init__()
        self.spatial = Sagc(channels, out, static)
        self.relu = nn.ReLU()
        self.temporal = nn.Conv2d(out, out, (kernel, 1), (stride, 1), (kernel // 2, 0), bias=False)
        self.norm = nn.BatchNorm2d(out)
        self.dropout = nn.Dropout(dropout)
        self.residual = shortcut(channels, out, stride)
        self.activate = nn.ReLU() if activate else nn.Identity()

    def forward(self, x):
        """(N, C, T, V) -> (N, C_out, T / stride, V)."""
        hidden = self.dropout(self.norm(self.temporal(self.relu(self.spatial(x)))))
        return self.activate(hidden + self.residual(x))


def shortcut(channels, out, stride):
    if channels == out and stride == 1:
        return nn.Identity()
    return nn.Sequential(nn.Conv2d(channels, out, 1, (stride, 1), bias=False), nn.BatchNorm2d(out))


class NaiveNetwork(nn.Module):
    """Autoencoder and clustering layer (equation 1) of `ModelSettings` with all three adjacencies."""

    def __init__(self, settings):
        super().__init__()
        model, windows = settings.model, settings.windows
        static = torch.from_numpy(static_adjacency(windows.body, model.partition))
        common = {"static": static, "kernel": model.temporal_kernel}
        width = windows.channels
        blocks: list[nn.Module] = []
        for factor, stride in zip(model.encoder, model.strides, strict=True):
            blocks.append(Block(width, factor * model.width, stride=stride, dropout=model.dropout, **common))
            width = factor * model.width
        self.encoder = nn.Sequential(*blocks)
        self.latent_shape = (width, windows.frames // math.prod(model.strides), windows.body.num_joints)
        blocks = []
        for factor, scale in zip(model.decoder, model.upsampling, strict=True):
            if scale > 1:
                blocks.append(nn.Upsample(scale_factor=(scale, 1), mode="bilinear", align_corners=False))
            blocks.append(Block(width, factor * model.width, dropout=model.dropout, **common))
            width = factor * model.width
        blocks.append(Block(width, windows.channels, activate=False, **common))
        self.decoder = nn.Sequential(*blocks)
        self.theta = nn.Parameter(torch.zeros(settings.clustering.clusters, math.prod(self.latent_shape)))

    def forward(self, x):
        """(N, C, T, V) -> log p (N, K), reconstruction (N, C, T, V)."""
        hidden = self.encoder(x)
        return torch.log_softmax(hidden.flatten(1) @ self.theta.T, dim=1), self.decoder(hidden)

    def load(self, state):
        """Take the weights of the product's network."""
        own = {}
        for name, value in state.items():
            name = name.removeprefix("autoencoder.").removeprefix("clustering.")
            if name.endswith("mix.weight"):  # (out, S * C) there, (S * out, C) here
                out, wide = value.shape[:2]
                name = name.replace("mix", "conv")
                channels = self.get_parameter(name).shape[1]
                value = (
                    value.view(out, wide // channels, channels).transpose(0, 1).reshape(-1, channels, 1, 1)
                )
            if name != "temperature":
                own[name] = value
        missing, unexpected = self.load_state_dict(own, strict=False)
        assert not unexpected, unexpected
        assert all(name.endswith("static") for name in missing), missing
        return self


class NaiveData(Dataset):
    """Copied windows (N, C, T, V); item i is window i // G in transform i % G, transformed in Python."""

    def __init__(self, x, transforms, skeleton):
        self.x, self.transforms, self.skeleton = x, transforms, skeleton

    def __len__(self):
        return len(self.x) * len(self.transforms)

    def __getitem__(self, item):
        window = self.x[item // len(self.transforms)]
        return item, naive_transform(window, self.transforms[item % len(self.transforms)], self.skeleton)


def naive_transform(window, name, skeleton):
    """One transform of a window (C, T, V)."""
    mirrored, degrees = TRANSFORMS[name]
    out = window.copy()
    if mirrored:
        out = out[:, :, list(skeleton.mirror)]
        out[0] = -out[0]
    if degrees:
        angle = math.radians(degrees)
        turn = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]], np.float32)
        out[:2] = np.einsum("ij,jtv->itv", turn, out[:2])
    return out
