"""Train the residual network on the user's own crops, without labels: which joint is it, how is it turned?"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from pose_extract.errors import TrainingError
from pose_extract.patches.encoder import PatchEncoder, as_input
from pose_extract.patches.settings import PatchSettings

_BATCH = 128
_RATE = 4e-3
_HELD_OUT = 0.1
_FEWEST = 200  # crops
_TURNS = 4


@dataclass(frozen=True)
class EncoderFacts:
    """How well the network does what it was trained for, on crops that it did not see.

    Attributes:
        crops: learned from.
        joint: share of held-out crops whose joint it names, out of V (left and right are different joints).
        turn: share of them whose rotation by 0, 90, 180 or 270 degrees it names.
        joints: V.
    """

    crops: int
    joint: float
    turn: float
    joints: int


def train_encoder(
    crops: NDArray[np.uint8],
    joint: NDArray[np.int64],
    settings: PatchSettings,
    seed: int = 0,
    device: str = "cpu",
    progress: Callable[[int, float], None] | None = None,
) -> tuple[PatchEncoder, EncoderFacts]:
    """Train the network to tell joint and rotation of crops; the same crops and seed give the same network.

    The rotation is that of the crop, by quarters of a turn (Gidaris et al., ICLR 2018); every crop is turned anew in
    every epoch. The last tenth of the crops, in the order given, is held out.

    Args:
        crops: (N, S, S, 3) RGB uint8.
        joint: (N,) number of the joint that each is centred on.
        settings: size of the network, epochs.
        seed: of weights, order and rotations.
        device: where it is trained.
        progress: called with epochs done and the mean loss of the last one.

    Raises:
        TrainingError: there are too few crops, or the loss is no longer a number.
    """
    held = max(1, int(_HELD_OUT * len(crops)))
    count = len(crops) - held
    if count < _FEWEST:
        raise TrainingError(
            f"too little to train the patch encoder on: at least {_FEWEST} crops are needed, got {max(count, 0)} "
            f"besides {held} held out; extract more video"
        )
    joints = int(joint.max()) + 1
    rng = np.random.default_rng(seed)
    x, y = torch.from_numpy(np.ascontiguousarray(crops)), torch.from_numpy(joint.astype(np.int64))
    with torch.random.fork_rng(devices=[torch.device(device)] if device.startswith("cuda") else []):
        torch.manual_seed(seed)
        encoder = PatchEncoder(settings.width, settings.blocks).to(device)
        heads = nn.Linear(encoder.channels, joints + _TURNS).to(device)
        weights = [*encoder.parameters(), *heads.parameters()]
        optimizer = torch.optim.AdamW(weights, lr=_RATE, weight_decay=1e-4)
        steps = settings.epochs * -(-count // _BATCH)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, _RATE, total_steps=steps)
        for epoch in range(settings.epochs):
            encoder.train()
            total = 0.0
            order = rng.permutation(count)
            batches = np.array_split(order, -(-count // _BATCH))
            for rows in batches:
                turns = torch.from_numpy(rng.integers(_TURNS, size=len(rows)))
                joint_loss, turn_loss = _losses(encoder, heads, x[rows], y[rows], turns, device)
                loss = joint_loss + turn_loss
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                schedule.step()
                total += loss.item() * len(rows)
            if not np.isfinite(total):
                raise TrainingError("the patch encoder's loss is no longer a number")
            if progress is not None:
                progress(epoch + 1, total / count)
    encoder.eval()
    facts = EncoderFacts(count, *_accuracy(encoder, heads, x[count:], y[count:], device), joints)
    return encoder, facts


def turned(crops: Tensor, turns: Tensor) -> Tensor:
    """Crops (N, S, S, 3), each turned by so many quarters (N,), counterclockwise."""
    out = crops.clone()
    for quarter in range(1, _TURNS):
        mine = turns == quarter
        out[mine] = torch.rot90(crops[mine], quarter, (1, 2))
    return out


def _logits(
    encoder: PatchEncoder, heads: nn.Linear, x: Tensor, turns: Tensor, device: str
) -> tuple[Tensor, Tensor]:
    out = heads(encoder(as_input(turned(x, turns).to(device))))
    return out[:, :-_TURNS], out[:, -_TURNS:]


def _losses(
    encoder: PatchEncoder, heads: nn.Linear, x: Tensor, y: Tensor, turns: Tensor, device: str
) -> tuple[Tensor, Tensor]:
    joint, turn = _logits(encoder, heads, x, turns, device)
    return F.cross_entropy(joint, y.to(device)), F.cross_entropy(turn, turns.to(device))


@torch.no_grad()
def _accuracy(
    encoder: PatchEncoder, heads: nn.Linear, x: Tensor, y: Tensor, device: str
) -> tuple[float, float]:
    """Shares of right joints and right rotations, every crop in all four rotations."""
    joint_right = turn_right = 0
    for begin in range(0, len(x), _BATCH):
        for quarter in range(_TURNS):
            part = x[begin : begin + _BATCH]
            turns = torch.full((len(part),), quarter)
            joint, turn = _logits(encoder, heads, part, turns, device)
            joint_right += int((joint.argmax(1).cpu() == y[begin : begin + _BATCH]).sum())
            turn_right += int((turn.argmax(1).cpu() == turns).sum())
    return joint_right / (_TURNS * len(x)), turn_right / (_TURNS * len(x))
