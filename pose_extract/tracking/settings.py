"""Settings of tracking: the config section ``tracking``."""

from __future__ import annotations

from dataclasses import dataclass

from pose_extract.checking import expect_between


@dataclass(frozen=True)
class TrackingSettings:
    """How detections become people.

    Attributes:
        min_score: detections with a lower person score are dropped, 0..1.
        min_similarity: least similarity (box overlap and pose) at which a detection continues a track, 0..1;
            proportionally less below 10 frames a second.
        pose_weight: share of keypoint similarity in that similarity, 0..1; the rest is box overlap.
        pose_tolerance: COCO's joint tolerances are multiplied by it: people move between two frames.
        colour_weight: how much entirely different clothes take off the similarity, 0..1.
        min_colour: least similarity of clothing colours at which a track goes on, 0..1.
        exchange_margin: after two people overlapped, they are taken to have been exchanged if that fits their clothes
            better by this much, 0..1; 1 turns it off.
        direction_weight: weight of OC-SORT's direction consistency.
        coast_s: a track without detections is carried on by its motion alone for this long, seconds; at least 3 frames.
        reattach_s: a lost person who comes back within this time keeps the id, seconds.
        reattach_distance: how far from the expected place a person may come back after a second, in body heights.
        delay_s: ids are given this long after the frame, seconds: the tracker's lag.
        min_hits: detections that a new track needs within the delay; before, its detections are dropped.
    """

    min_score: float = 0.0
    min_similarity: float = 0.3
    pose_weight: float = 0.5
    pose_tolerance: float = 2.0
    colour_weight: float = 0.4
    min_colour: float = 0.4
    exchange_margin: float = 0.1
    direction_weight: float = 0.2
    coast_s: float = 0.3
    reattach_s: float = 3.0
    reattach_distance: float = 0.8
    delay_s: float = 0.5
    min_hits: int = 2

    def __post_init__(self) -> None:
        expect_between("tracking", self, 0, 1, "min_score", "min_similarity", "pose_weight", "colour_weight")
        expect_between("tracking", self, 0, 1, "min_colour", "exchange_margin")
        expect_between("tracking", self, 0, 1000, "pose_tolerance", "reattach_distance", above=True)
        expect_between("tracking", self, 0, 60, "coast_s", above=True)
        expect_between("tracking", self, 0, 1000, "direction_weight")
        expect_between("tracking", self, 0, 600, "reattach_s")
        expect_between("tracking", self, 0, 60, "delay_s")
        expect_between("tracking", self, 1, 10_000, "min_hits")
