"""Settings of the estimator `blazepose`; importing this needs no network."""

from __future__ import annotations

from dataclasses import dataclass

from pose_extract.checking import expect_between, expect_one_of
from pose_extract.skeletons import BLAZEPOSE33, COCO17


@dataclass(frozen=True)
class BlazePoseSettings:
    """How carefully to look for people.

    Attributes:
        min_height: smallest person looked for, pixels of the frame.
        min_score: people with a lower score are dropped, 0..1.
        max_people: at most so many people a frame, the best ones.
        search_interval_s: the whole frame is searched for people who stand still once in so many seconds of video.
        threads: worker threads; 0: two, or one where this process has a single processor. No effect on the result.
        skeleton: joints of a person, "coco17" or "blazepose33", the network's own with hands, feet and mouth.
        features: "heatmaps" keeps with each joint what all 39 heat maps of the landmark network say at its place; ""
            keeps nothing. Joints and tracks are the same either way.
    """

    min_height: int = 36
    min_score: float = 0.3
    max_people: int = 30
    search_interval_s: float = 2.0
    threads: int = 0
    skeleton: str = COCO17.name
    features: str = ""

    def __post_init__(self) -> None:
        expect_one_of("blazepose.features", self.features, ("", "heatmaps"))
        expect_one_of("blazepose.skeleton", self.skeleton, (COCO17.name, BLAZEPOSE33.name))
        expect_between("blazepose", self, 8, 10_000, "min_height")
        expect_between("blazepose", self, 0, 1, "min_score")
        expect_between("blazepose", self, 1, 1000, "max_people")
        expect_between("blazepose", self, 0.01, 3600, "search_interval_s")
        expect_between("blazepose", self, 0, 64, "threads")
