"""Report what a reader made of a file: what it read, what it left out and why, and whose ids people have."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass
class ReadReport:
    """The count of a clip, or of several; ``poses == kept + sum of left_out``.

    Attributes:
        poses: poses that the file has.
        kept: those that are in the clip.
        left_out: why -> how many.
        ids_made: poses whose id comes from following people.
        ids_refused: those of them whose file has an id that is none: negative, or twice in one frame.
        confidences_cut: confidences above 1, which count as 1.
    """

    poses: int = 0
    kept: int = 0
    left_out: Counter[str] = field(default_factory=Counter)
    ids_made: int = 0
    ids_refused: int = 0
    confidences_cut: int = 0

    def leave_out(self, why: str, count: int) -> None:
        """Count poses that are not kept."""
        if count:
            self.left_out[why] += count

    def as_json(self, kept: int) -> dict[str, Any]:
        """For a provenance."""
        self.kept = kept
        return {**vars(self), "left_out": dict(self.left_out)}

    @classmethod
    def total(cls, reports: Iterable[Mapping[str, Any]]) -> ReadReport:
        """The sum of several, as provenances have them; what is none counts as nothing."""
        out = cls()
        for report in reports:
            for name in ("poses", "kept", "ids_made", "ids_refused", "confidences_cut"):
                value = report.get(name)
                setattr(out, name, getattr(out, name) + (value if isinstance(value, int) else 0))
            reasons = report.get("left_out")
            for why, count in reasons.items() if isinstance(reasons, Mapping) else ():
                out.leave_out(str(why), count if isinstance(count, int) else 0)
        return out

    def lines(self) -> list[str]:
        """In words."""
        ids = "ids kept"
        if self.ids_made:
            ids = (
                "ids made by following"
                if self.ids_made >= self.kept
                else f"ids of {self.ids_made} made by following"
            )
        if self.ids_refused:
            ids += f" ({self.ids_refused} had one that is negative, or twice in one frame)"
        reasons = "".join(f", {count} {why}" for why, count in sorted(self.left_out.items()))
        text = [f"{self.poses} poses read, {sum(self.left_out.values())} left out{reasons}; {ids}"]
        if self.confidences_cut:
            text.append(
                f"{self.confidences_cut} confidences are above 1 and count as 1; if they are on another scale, say so "
                "with --confidence-scale (6 for old versions of AlphaPose)"
            )
        return text
