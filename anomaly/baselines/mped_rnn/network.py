"""The message-passing encoder-decoder of MPED-RNN (Morais et al., CVPR 2019, sections 3.2 and 3.3)."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from anomaly.baselines.mped_rnn.settings import MpedRnnSettings


class Parts(NamedTuple):
    """A run of R frames of B people as the three things that the losses compare.

    Attributes:
        body: (B, R, 4) global component: centre, width and height of the box around the joints.
        posture: (B, R, 2V) local component: joints relative to that box.
        image: (B, R, 2V) joints in the picture, the paper's perceptual features.
    """

    body: Tensor
    posture: Tensor
    image: Tensor


class Branches(nn.Module):
    """A global and a local GRU that tell each other their last states; the encoder or one of the two decoders.

    Args:
        hidden: sizes of the global and the local state.
        features: sizes of the global and the local input, 0 for decoders, which see messages only.
    """

    def __init__(self, hidden: tuple[int, int], features: tuple[int, int] = (0, 0)) -> None:
        super().__init__()
        body, posture = hidden
        self.to_body = nn.Linear(posture, posture)
        self.to_posture = nn.Linear(body, body)
        self.body = nn.GRUCell(features[0] + posture, body)
        self.posture = nn.GRUCell(features[1] + body, posture)

    def forward(self, states: tuple[Tensor, Tensor], *inputs: Tensor) -> tuple[Tensor, Tensor]:
        """The next states (equations 6 to 11), after messages out of the last ones (equations 4 and 5)."""
        body, posture = states
        to_body = torch.sigmoid(self.to_body(posture))
        to_posture = torch.sigmoid(self.to_posture(body))
        if inputs:
            to_body = torch.cat([inputs[0], to_body], dim=1)
            to_posture = torch.cat([inputs[1], to_posture], dim=1)
        return self.body(to_body, body), self.posture(to_posture, posture)


class Decoder(nn.Module):
    """Branches that unroll from the encoder's last states, and what their states look like as features."""

    def __init__(self, hidden: tuple[int, int], joints: int) -> None:
        super().__init__()
        self.branches = Branches(hidden)
        self.body = nn.Linear(hidden[0], 4)
        self.posture = nn.Linear(hidden[1], 2 * joints)
        self.image = nn.Linear(4 + 2 * joints, 2 * joints)

    def forward(self, states: tuple[Tensor, Tensor], steps: int) -> Parts:
        """``steps`` frames in the order in which they are decoded."""
        found = []
        for _ in range(steps):
            states = self.branches(states)
            found.append(states)
        body = self.body(torch.stack([body for body, _ in found], dim=1))
        posture = self.posture(torch.stack([posture for _, posture in found], dim=1))
        return Parts(body, posture, self.image(torch.cat([body, posture], dim=2)))


class MpedRnnNetwork(nn.Module):
    """Encodes a segment, reconstructs it from its end to its begin, and predicts what follows.

    Each decoder has projections of its own. A frame is projected from the state after the step that decodes it: T
    steps give T reconstructed frames, where the paper's indices would also allow the encoder's last state to be taken
    for the last frame.
    """

    def __init__(self, joints: int, settings: MpedRnnSettings) -> None:
        super().__init__()
        self.hidden = hidden = (settings.hidden_global, settings.hidden_local)
        self.encoder = Branches(hidden, (4, 2 * joints))
        self.reconstruction = Decoder(hidden, joints)
        self.prediction = Decoder(hidden, joints)

    def forward(self, body: Tensor, posture: Tensor, steps: int) -> tuple[Parts, Parts]:
        """What (B, T, 4) and (B, T, 2V) are reconstructed as, in their order, and the ``steps`` frames after them."""
        states = (body.new_zeros(len(body), self.hidden[0]), body.new_zeros(len(body), self.hidden[1]))
        for inputs in zip(body.unbind(dim=1), posture.unbind(dim=1), strict=True):
            states = self.encoder(states, *inputs)
        backwards = self.reconstruction(states, body.shape[1])
        return Parts(*(part.flip(1) for part in backwards)), self.prediction(states, steps)


def errors(decoded: Parts, wanted: Parts, seen: Tensor) -> Parts:
    """(B,) squared errors of runs, a frame's summed over its features and the mean over the frames (equation 14).

    Joints that were not seen do not count, and the seen ones count for them; nor do frames that nothing is seen of, or
    that lie beyond the window's end.

    Args:
        decoded: of R frames.
        wanted: of the same frames.
        seen: (B, R, V), 1 where a joint was seen, else 0.
    """
    count = seen.sum(dim=2)
    there = (count > 0).to(seen.dtype)
    share = there / there.sum(dim=1, keepdim=True).clamp(min=1)  # a frame's in the mean
    joint = (seen * (share * seen.shape[2] / count.clamp(min=1))[..., None]).repeat_interleave(2, dim=2)
    return Parts(
        ((decoded.body - wanted.body).square().sum(dim=2) * share).sum(dim=1),
        ((decoded.posture - wanted.posture).square() * joint).sum(dim=(1, 2)),
        ((decoded.image - wanted.image).square() * joint).sum(dim=(1, 2)),
    )


def segment_loss(reconstruction: Parts, prediction: Parts, settings: MpedRnnSettings) -> Tensor:
    """(B,) the weighted loss of segments (equations 14 and 15), of both decoders' `errors`."""
    weights = (settings.weight_global, settings.weight_local, settings.weight_perceptual)
    terms = zip(weights, reconstruction, prediction, strict=True)
    return torch.stack([weight / 2 * (past + future) for weight, past, future in terms]).sum(dim=0)
