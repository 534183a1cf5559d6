"""How alarms become events: the config section ``events``."""

from __future__ import annotations

from dataclasses import dataclass

from pose_extract.checking import expect_between


@dataclass(frozen=True)
class EventSettings:
    """How alarms become events (config section ``events``).

    Attributes:
        merge_gap_s: alarms no more seconds apart are one event.
        min_s: an event that is shorter, in seconds, is left out; judged after merging.
        most_people: so many of an event's people are named, the worst ones.
        margin_s: an event's video begins so many seconds before it and ends so many after it.
        most_clip_s: seconds of an event's video; of a longer event, the part around its peak.
        most_pictures: so many events of a clip get a thumbnail and a video, the worst ones.
    """

    merge_gap_s: float = 1.0
    min_s: float = 0.2
    most_people: int = 10
    margin_s: float = 2.0
    most_clip_s: float = 60.0
    most_pictures: int = 500

    def __post_init__(self) -> None:
        expect_between("events", self, 0, 86_400, "merge_gap_s", "min_s")
        expect_between("events", self, 0, 3600, "margin_s")
        expect_between("events", self, 1, 86_400, "most_clip_s")
        expect_between("events", self, 0, 1000, "most_people")
        expect_between("events", self, 0, 100_000, "most_pictures")
