"""What is kept of an event: the section ``recording`` of `watch.yaml`. No implementation is imported."""

from __future__ import annotations

from dataclasses import dataclass

from pose_extract.checking import expect_between, expect_one_of

PRIVACY = ("none", "blur", "skeletons")


@dataclass(frozen=True)
class RecordingSettings:
    """Pictures and clips of events.

    Attributes:
        pictures: whether an event gets a picture, with the people's skeletons drawn.
        clips: whether it gets a video.
        privacy: "none": as filmed. "blur": people are made unrecognisable. "skeletons": skeletons on an empty ground;
            no pixel of the camera is stored or sent, or even remembered.
        before_s: a clip begins so long before its event.
        after_s: it ends so long after it.
        most_clip_s: longest clip; of a longer event the beginning is kept.
        most_clips_at_once: so many are written at a time; a further event gets a picture only.
        buffer_mib: memory for the last seconds of one camera; where that is too little for ``before_s``, clips begin
            later.
        keep_days: what is older is removed; 0: nothing is.
        keep_mib: the oldest is removed where pictures and clips take more together; 0: any size.
        least_free_mib: where the disk has less room than this, no clip is begun.
    """

    pictures: bool = True
    clips: bool = True
    privacy: str = "none"
    before_s: float = 5.0
    after_s: float = 5.0
    most_clip_s: float = 60.0
    most_clips_at_once: int = 4
    buffer_mib: float = 32.0
    keep_days: int = 14
    keep_mib: float = 10_000.0
    least_free_mib: float = 500.0

    def __post_init__(self) -> None:
        expect_one_of("recording.privacy", self.privacy, PRIVACY)
        expect_between("recording", self, 0, 600, "before_s", "after_s")
        expect_between("recording", self, 1, 3600, "most_clip_s")
        expect_between("recording", self, 1, 64, "most_clips_at_once")
        expect_between("recording", self, 1, 65_536, "buffer_mib")
        expect_between("recording", self, 0, 36_500, "keep_days")
        expect_between("recording", self, 0, 1e9, "keep_mib", "least_free_mib")
