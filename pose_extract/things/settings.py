"""Settings of the config section ``things``."""

from __future__ import annotations

from dataclasses import dataclass

from pose_extract.checking import expect_between


@dataclass(frozen=True)
class ThingSettings:
    """How to look for things that are not people: see `pose_extract.things`.

    Attributes:
        find: whether to look for them at all; where nobody did, they are not judged.
        interval_s: once in so many seconds of video.
        smallest: side of the smallest thing, in statures of the people there.
        min_quality: things that are less surely such are not kept, 0..1.
        most: at most so many a frame, the largest ones; where more move at once, it is the light or the camera.
        stays_s: a person is taken to stay in one place after so many seconds there.
    """

    find: bool = True
    interval_s: float = 0.1
    smallest: float = 0.09
    min_quality: float = 0.3
    most: int = 16
    stays_s: float = 4.0

    def __post_init__(self) -> None:
        expect_between("things", self, 0, 60, "interval_s")
        expect_between("things", self, 0, 10, "smallest", above=True)
        expect_between("things", self, 0, 1, "min_quality")
        expect_between("things", self, 1, 1000, "most")
        expect_between("things", self, 0, 86_400, "stays_s")
