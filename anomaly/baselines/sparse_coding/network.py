"""The stacked recurrent network that temporally coherent sparse coding unrolls to (Luo et al., section 3).

A sequence x_1, x_2, ... has codes a_t that minimise, one after another,

    1/2 |x_t - A a_t|^2 + lambda_1 |a_t|_1 + lambda_2 / 2 S_t |a_t - a_(t-1)|^2

with the similarity S_t = exp(-|x_t - x_(t-1)|^2 / 2 d^2) of neighbouring frames. The sequential iterative
soft-thresholding algorithm starts from a_(t-1) and takes K steps, each a layer:

    a <- soft(a - (A'(A a - x_t) + lambda_2 S_t (a - a_(t-1))) / gamma, lambda_1 / gamma)

So A, lambda_1, lambda_2 and gamma can be learned by gradient descent, as weights of a network are.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from anomaly.baselines.sparse_coding.settings import SparseCodingSettings


class StackedRecurrent(nn.Module):
    """The network; what has to be positive is learned as the inverse of softplus.

    Args:
        settings: with the starts of lambda_1 and lambda_2.
        size: D, numbers of an input.
    """

    def __init__(self, settings: SparseCodingSettings, size: int) -> None:
        super().__init__()
        self.layers, self.width = settings.layers, settings.similarity
        self.atoms = nn.Parameter(F.normalize(torch.randn(size, settings.atoms), dim=0))
        # A step no longer than 1 / the largest eigenvalue of A'A goes downhill.
        steepest = float(torch.linalg.matrix_norm(self.atoms.detach(), 2)) ** 2
        starts = settings.sparsity, settings.coherence, steepest + settings.coherence
        self.positive = nn.Parameter(torch.tensor([_inverse_softplus(value) for value in starts]))

    def dictionary(self) -> Tensor:
        """A (D, atoms), no atom longer than 1."""
        return self.atoms / self.atoms.norm(dim=0).clamp(min=1)

    def similarity(self, x: Tensor, before: Tensor) -> Tensor:
        """(N, 1) of inputs (N, D) to those of the frame before."""
        return torch.exp(-(x - before).square().sum(dim=1, keepdim=True) / (2 * self.width**2))

    def codes(self, x: Tensor, before: Tensor | None = None, code: Tensor | None = None) -> Tensor:
        """Codes (T, N, atoms) of N sequences (T, N, D).

        Args:
            x: the sequences.
            before: (N, D) inputs of the frame before them; None: there is none.
            code: (N, atoms) its codes.
        """
        sparsity, coherence, gamma = F.softplus(self.positive)
        atoms = self.dictionary()
        keep = torch.eye(atoms.shape[1], dtype=atoms.dtype, device=atoms.device) - atoms.T @ atoms / gamma
        found = []
        for now in x:
            drive = now @ atoms / gamma
            if before is None or code is None:
                pull, last = 0.0, torch.zeros_like(drive)
            else:
                pull, last = coherence * self.similarity(now, before) / gamma, code
            code = last
            for _ in range(self.layers):
                code = _soft(code @ keep + drive - pull * (code - last), sparsity / gamma)
            found.append(code)
            before = now
        return torch.stack(found)

    def forward(
        self, x: Tensor, before: Tensor | None = None, code: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Squared errors (T, N) of reconstructing sequences (T, N, D) by their codes, and the codes."""
        codes = self.codes(x, before, code)
        return (x - codes @ self.dictionary().T).square().sum(dim=2), codes


def _soft(x: Tensor, threshold: Tensor) -> Tensor:
    return x.sign() * F.relu(x.abs() - threshold)


def _inverse_softplus(value: float) -> float:
    return value + math.log(-math.expm1(-value))
