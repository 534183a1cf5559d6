"""Settings of video reading: the config section ``video``."""

from __future__ import annotations

from dataclasses import dataclass

from pose_extract.checking import expect_between


@dataclass(frozen=True)
class VideoSettings:
    """How videos are read.

    Attributes:
        fps: frames a second to resample to, by repeating and leaving out frames, but not across a hole in the
            recording; None keeps every frame as it is. Of what has no clock it is the rate at which the frames were
            taken: numbered images (None: 24), raw streams that state none (None: 25, with a warning).
        max_side: longest side of the frames in pixels; larger ones are scaled down, smaller ones are left as they are.
            None keeps the size.
        pieces_min: longer videos are looked at in pieces of about so many minutes, several of them at a time, each from
            a minute before it begins, and joined (docs/scale.md says what differs); None: from the first frame to the
            last.
    """

    fps: float | None = None
    max_side: int | None = None
    pieces_min: float | None = None

    def __post_init__(self) -> None:
        if self.fps is not None:
            expect_between("video", self, 0, 1000, "fps", above=True)
        if self.max_side is not None:
            expect_between("video", self, 16, 16384, "max_side")
        if self.pieces_min is not None:
            expect_between("video", self, 0.05, 100_000, "pieces_min")
