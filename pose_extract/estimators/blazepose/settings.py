"""What can be set of the estimator `blazepose`; importing this needs no network."""

from __future__ import annotations

from dataclasses import dataclass

from pose_extract.checking import expect_one_of
from pose_extract.errors import ConfigError
from pose_extract.skeletons import BLAZEPOSE33, COCO17


@dataclass(frozen=True)
class BlazePoseSettings:
    """How carefully to look for people.

    Attributes:
        min_height: smallest person looked for, pixels of the frame.
        min_score: people with a lower score are dropped, 0..1.
        max_people: at most so many people a frame, the best ones.
        search_interval_s: the whole frame is searched for people who stand still once in so many seconds of video.
        threads: worker threads; 0: two, or one where there is a single core. No effect on the result.
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
        for name, low, high in (
            ("min_height", 8, 10_000),
            ("min_score", 0, 1),
            ("max_people", 1, 1000),
            ("search_interval_s", 0.01, 3600),
            ("threads", 0, 64),
        ):
            value = getattr(self, name)
            if not low <= value <= high:
                raise ConfigError(f"blazepose.{name}: expected {low} to {high}, got {value}")
