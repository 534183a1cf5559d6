"""Settings of windows: the config section ``windows``."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

from pose_extract.checking import expect_between, expect_one_of
from pose_extract.errors import ConfigError, short
from pose_extract.skeletons import SKELETONS, Skeleton, SkeletonDeclaration, get_skeleton
from pose_extract.skeletons.skeleton import two_people
from pose_extract.skeletons.stature import FEWEST_STANDING, standing_joints

COORDINATES = {"pose": 3, "xyc": 3, "xy": 2, "xyz": 3, "xyzc": 4}
PATCH = "patch"
FEATURES = (*COORDINATES, PATCH, *(f"{name}+{PATCH}" for name in COORDINATES))
SCALES = ("none", "largest", "body", "stature")
EXTENTS = ("sliding", "clip")


@dataclass(frozen=True)
class WindowSettings:
    """How tracks become windows; the defaults are the published ones of untrimmed video.

    Attributes:
        skeleton: joints of the model, by name or declared (`SkeletonDeclaration`). Tracks that follow another skeleton
            are converted where they have all these joints by name; a neck is made from the shoulders.
        features: channels of a joint: "pose" or "xyc" (x, y, confidence), "xy", or "xyz" and "xyzc" for 3-D joints;
            "patch", the joint's appearance (config section ``patches``); or both, "pose+patch", "xy+patch", ... With
            patches every window is seen as it is: training.transforms counts for poses only.
        patch_channels: D, length of the appearance vectors; 0: as long as those of the training clips.
        extent: "sliding", windows of ``frames`` frames at ``fps`` slide over each track, or "clip", each person of a
            clip is one window: the time from its first frame to its last, resampled to ``frames`` frames. There, fps,
            train_stride, score_stride and max_missing mean nothing.
        people: 2 puts the two people of a clip who are seen longest into one window, as a graph of 2V joints; who
            is alone has a second person whose joints are all missing. With extent "clip" only.
        frames: T, frames of a window.
        fps: the model's frame rate; tracks are resampled to it.
        train_stride: frames from one training window of a person to the next.
        score_stride: frames from one window of a person to the next when scoring.
        max_missing: at most this many of a window's frames may be missing from its track.
        shortest: unbroken pieces of a track that are shorter than a window, but have this many frames, are one window
            whose first frames are missing; 0: they are left out.
        min_frames: with extent "clip", a person seen in fewer of the clip's frames than this is left out.
        min_confidence: a joint below this confidence counts as missing.
        min_joints: a person with fewer joints than this in a frame counts as missing from that frame.
        min_certainty: a window whose joints have a mean confidence below this is left out, in training and in scoring:
            what is hardly seen, at the frame's edge or where nobody is, would look most abnormal of all.
        scale: "none" (the frame's size is 2 units, the paper's form; 3-D joints keep their unit), "largest" (a window's
            largest coordinate is 1) or "body" (joints lie 1 unit from the body's centre on the whole, whatever the
            distance to the camera) or "stature" (a standing figure laid over the seen joints is 1 high, its trunk's
            middle the origin, and joints that the window lacks are where that figure has them).
        smoothing_s: sigma of the Gaussian over each joint's places in a sliding window, in seconds; 0: as they were
            seen. Estimated joints tremble, and their speed even more.
    """

    skeleton: str | SkeletonDeclaration = "coco18"
    features: str = "xyc"
    patch_channels: int = 0
    extent: str = "sliding"
    people: int = 1
    frames: int = 12
    fps: float = 24.0
    train_stride: int = 8
    score_stride: int = 1
    max_missing: int = 2
    shortest: int = 0
    min_frames: int = 12
    min_confidence: float = 0.0
    min_joints: int = 1
    min_certainty: float = 0.0
    scale: str = "none"
    smoothing_s: float = 0.0

    def __post_init__(self) -> None:
        if isinstance(self.skeleton, SkeletonDeclaration) and self.skeleton.name in SKELETONS:
            raise ConfigError(
                f"windows.skeleton: {self.skeleton.name!r} is the name of a skeleton that comes with the package; give "
                "your own another name"
            )
        joints = self.person.num_joints
        expect_one_of("windows.features", self.features, FEATURES)
        expect_one_of("windows.extent", self.extent, EXTENTS)
        expect_one_of("windows.scale", self.scale, SCALES)
        expect_between("windows", self, 1, 2, "people")
        if self.people == 2 and self.extent != "clip":
            raise ConfigError(
                f"windows: expected people of 1, or 2 with extent clip, got {short(self.people)} with "
                f"extent {self.extent}"
            )
        if self.patches and self.extent == "clip":
            raise ConfigError(
                "windows: patch features are those of sliding windows; set windows.extent to sliding"
            )
        expect_between("windows", self, 0, 65_536, "patch_channels")
        if self.patch_channels and not self.patches:
            raise ConfigError(
                f"windows: expected patch_channels of 0 without patch features, got {self.patch_channels}"
            )
        expect_between("windows", self, 2, 1000, "frames")
        expect_between("windows", self, 0, 1000, "fps", above=True)
        expect_between("windows", self, 1, 1_000_000, "train_stride", "score_stride")
        expect_between("windows", self, 0, self.frames - 2, "max_missing")
        if self.shortest:
            expect_between("windows", self, 2, self.frames, "shortest")
        if self.scale == "stature" and (
            self.depth or self.people != 1 or standing_joints(self.person) < FEWEST_STANDING
        ):
            raise ConfigError(
                "windows: scale stature is that of one person's 2-D joints whose names it knows; use body"
            )
        expect_between("windows", self, 0, 10, "smoothing_s")
        if self.smoothing_s and self.extent == "clip":
            raise ConfigError(
                f"windows: expected a smoothing_s of 0 with extent clip, got {self.smoothing_s}"
            )
        expect_between("windows", self, 2, 1_000_000, "min_frames")
        expect_between("windows", self, 1, joints, "min_joints")
        expect_between("windows", self, 0, 1, "min_confidence", "min_certainty", below=True)

    @cached_property
    def person(self) -> Skeleton:
        """The joints of one person."""
        return (
            self.skeleton.skeleton
            if isinstance(self.skeleton, SkeletonDeclaration)
            else get_skeleton(self.skeleton)
        )

    @cached_property
    def body(self) -> Skeleton:
        """The graph that a window is: one person's joints, or two people's."""
        return self.person if self.people == 1 else two_people(self.person)

    @property
    def coordinates(self) -> str:
        """The part of ``features`` that is a place, "xyc" for instance; "" for patches alone."""
        name = self.features.partition("+")[0]
        return {"pose": "xyc", PATCH: ""}.get(name, name)

    @property
    def patches(self) -> bool:
        """Whether joints have an appearance vector."""
        return self.features.endswith(PATCH)

    @property
    def without_patches(self) -> WindowSettings:
        """The same windows without appearance: their coordinates, or x, y and confidence if they have none."""
        return replace(self, features=self.coordinates or "xyc", patch_channels=0) if self.patches else self

    @property
    def channels(self) -> int:
        """C, features of a joint."""
        return COORDINATES.get(self.coordinates, 0) + self.patch_channels

    @property
    def depth(self) -> bool:
        """Whether joints are 3-D."""
        return self.coordinates.startswith("xyz")

    @property
    def confidence(self) -> bool:
        """Whether a joint's confidence is the last of its coordinates."""
        return self.coordinates.endswith("c")

    @property
    def confidence_channel(self) -> int:
        """Which of the C features is a joint's confidence; there is one if `confidence`."""
        return COORDINATES[self.coordinates] - 1

    @property
    def duration_s(self) -> float:
        """Seconds from a sliding window's first frame to its last."""
        return (self.frames - 1) / self.fps
