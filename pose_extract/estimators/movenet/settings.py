"""Settings of the estimator `movenet`; importing this needs no network."""

from __future__ import annotations

from dataclasses import dataclass

from pose_extract.checking import expect_between, expect_one_of


@dataclass(frozen=True)
class MoveNetSettings:
    """How carefully to look for people, and at what cost.

    Attributes:
        joints: MoveNet's variant: "lightning", or "thunder" (three and a half times the cost; joints more exact
            but, on the synthetic street, more often left for right). One for everybody: a change of network looks like
            a movement.
        min_height: smallest person looked for, pixels of the frame.
        min_score: people with a lower score are dropped, 0..1.
        max_people: at most so many people a frame, the best ones.
        detector_score: least score of the detector at which a look is taken, 0..1.
        detector_side: longer side of the detector's input in pixels; larger finds smaller people and costs more.
        detector_interval_s: the detector runs once in so many seconds of video.
        search_interval_s: once in so many seconds it looks closely enough for the smallest people.
        threads: worker threads; 0: two, or one where this process has a single processor. No effect on the result.
    """

    joints: str = "lightning"
    min_height: int = 36
    min_score: float = 0.3
    max_people: int = 30
    detector_score: float = 0.3
    detector_side: int = 416
    detector_interval_s: float = 0.1
    search_interval_s: float = 2.0
    threads: int = 0

    def __post_init__(self) -> None:
        expect_one_of("movenet.joints", self.joints, ("lightning", "thunder"))
        expect_between("movenet", self, 8, 10_000, "min_height")
        expect_between("movenet", self, 0, 1, "min_score", "detector_score")
        expect_between("movenet", self, 1, 1000, "max_people")
        expect_between("movenet", self, 64, 2048, "detector_side")
        expect_between("movenet", self, 0, 3600, "detector_interval_s", "search_interval_s")
        expect_between("movenet", self, 0, 64, "threads")
