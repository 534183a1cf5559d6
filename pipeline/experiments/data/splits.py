"""Which actions are normal: the splits of the coarse-grained setting (paper, section 4.2.1)."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.experiments.options import SPLIT_KINDS
from pose_extract.errors import UsageError


@dataclass(frozen=True)
class Split:
    """A few actions that belong together, or do not.

    Attributes:
        name: of the split.
        kind: "random" or "meaningful".
        actions: their numbers.
    """

    name: str
    kind: str
    actions: tuple[int, ...]

    def is_normal(self, action: int, direction: str) -> bool:
        """Whether an action's clips are normal: "few-vs-many", those of the split, "many-vs-few", all others."""
        return (action in self.actions) == (direction == "few-vs-many")


def random_splits(actions: int, count: int, size: int, taken: Collection[Split] = ()) -> list[Split]:
    """Splits of ``size`` actions out of ``actions``, drawn once and for all: the first ones do not depend on ``count``.

    Args:
        actions: how many there are.
        count: splits to draw.
        size: actions in each.
        taken: splits that none of them may be the same as.

    Raises:
        UsageError: there are not so many different splits.
    """
    rng = np.random.default_rng(2020)
    known = {split.actions for split in taken}
    found: list[Split] = []
    for _ in range(1000 * count):
        if len(found) == count:
            break
        drawn = tuple(sorted(rng.permutation(actions)[:size].tolist()))
        if len(drawn) == size < actions and drawn not in known:
            known.add(drawn)
            found.append(Split(f"random{len(found) + 1}", "random", drawn))
    if len(found) < count:
        raise UsageError(
            f"expected experiment.random_splits and split_actions that {actions} actions are enough for, got {count} "
            f"splits of {size}"
        )
    return found


def splits_of_config(splits: Mapping[str, Sequence[int]]) -> list[Split]:
    """The splits of a data set's config; those called ``random…`` are random ones."""
    return [
        Split(name, "random" if name.startswith("random") else "meaningful", tuple(actions))
        for name, actions in splits.items()
    ]


def pick_splits(splits: Sequence[Split], wanted: Sequence[str]) -> list[Split]:
    """The splits of these names or kinds, or all if none is given.

    Raises:
        UsageError: there is no such split.
    """
    if not wanted:
        return list(splits)
    known = {split.name for split in splits} | set(SPLIT_KINDS)
    unknown = [name for name in wanted if name not in known]
    if unknown:
        raise UsageError(
            f"no split {', '.join(map(repr, unknown))}: expected random, meaningful or names of splits: "
            + ", ".join(split.name for split in splits)
        )
    return [split for split in splits if split.name in wanted or split.kind in wanted]
