"""The kinds of scenario in which something other than a person's movement is unusual, divided once and for all.

Whatever is chosen by looking at labels (a setting, a weight, a form of a score) is chosen on `CHOOSE_FROM` alone;
`KEPT_OUT` says whether it holds for kinds that nothing was chosen on. Do not move a kind from one to the other.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Kind:
    """One kind of scenario.

    Attributes:
        name: of the kind; that of the thing, where there is one.
        choose_from: whether choices may be made on it.
        spacing: seconds of a clip for each time that it happens; 0: once a clip.
        half_length, half_width: metres on the ground, along its heading and across, of the thing and who is with it.
        things: whether there is a thing; else people alone are the scenario.
    """

    name: str
    choose_from: bool
    spacing: float
    half_length: float = 0.3
    half_width: float = 0.3
    things: bool = True


_ALL = (
    Kind("car", True, 6.0, 2.1, 0.9),
    Kind("pram", True, 12.0, 0.8, 0.4),
    Kind("bag", True, 0.0),
    Kind("fleeing", True, 0.0, things=False),
    Kind("bicycle", False, 12.0, 0.9, 0.6),
    Kind("dog", False, 8.0, 0.5, 0.2),
    Kind("ball", False, 5.0, 0.15, 0.15),
    Kind("skateboard", False, 8.0, 0.5, 0.4),
    Kind("loitering", False, 0.0, things=False),
)

KINDS: dict[str, Kind] = {kind.name: kind for kind in _ALL}
CHOOSE_FROM = tuple(kind.name for kind in _ALL if kind.choose_from)
KEPT_OUT = tuple(kind.name for kind in _ALL if not kind.choose_from)
