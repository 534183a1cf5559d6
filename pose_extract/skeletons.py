"""Skeletons: the names, edges and mirror pairs of the joints that a pose estimator or a data set gives."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from pose_extract.errors import ConfigError


@dataclass(frozen=True)
class Skeleton:
    """A body's joints as a graph.

    Attributes:
        name: what configs and caches call it.
        joints: V joint names, in the order of the keypoint arrays.
        edges: pairs of joint indices that a bone connects.
        centre: index of the joint nearest the body's centre; the spatial-configuration partition measures from it.
        mirror: for each joint the index of its left-right counterpart (itself where it has none).
        sigmas: per-joint constant of object keypoint similarity (COCO's ``sigma``), relative to body scale.
    """

    name: str
    joints: tuple[str, ...]
    edges: tuple[tuple[int, int], ...]
    centre: int
    mirror: tuple[int, ...]
    sigmas: tuple[float, ...]

    def __post_init__(self) -> None:
        count = len(self.joints)
        if len(self.mirror) != count or len(self.sigmas) != count:
            raise ConfigError(
                f"skeleton {self.name}: expected {count} mirror entries and sigmas, "
                f"got {len(self.mirror)} and {len(self.sigmas)}"
            )
        if any(not 0 <= j < count for edge in self.edges for j in edge) or not 0 <= self.centre < count:
            raise ConfigError(f"skeleton {self.name}: edges and centre must name joints 0..{count - 1}")

    @property
    def num_joints(self) -> int:
        """V, the number of joints."""
        return len(self.joints)

    @cached_property
    def index(self) -> dict[str, int]:
        """Joint name -> index."""
        return {name: i for i, name in enumerate(self.joints)}


# fmt: off
_COCO_JOINTS = (
    "nose", "left_eye", "right_eye", "left_ear", "right_ear",
    "left_shoulder", "right_shoulder", "left_elbow", "right_elbow", "left_wrist", "right_wrist",
    "left_hip", "right_hip", "left_knee", "right_knee", "left_ankle", "right_ankle",
)
_COCO_SIGMAS = (
    0.026, 0.025, 0.025, 0.035, 0.035, 0.079, 0.079, 0.072, 0.072,
    0.062, 0.062, 0.107, 0.107, 0.087, 0.087, 0.089, 0.089,
)

COCO17 = Skeleton(
    name="coco17",
    joints=_COCO_JOINTS,
    edges=(
        (15, 13),
        (13, 11),
        (16, 14),
        (14, 12),
        (11, 12),
        (5, 11),
        (6, 12),
        (5, 6),
        (5, 7),
        (7, 9),
        (6, 8),
        (8, 10),
        (0, 1),
        (0, 2),
        (1, 3),
        (2, 4),
        (0, 5),
        (0, 6),
    ),
    centre=0,
    mirror=(0, 2, 1, 4, 3, 6, 5, 8, 7, 10, 9, 12, 11, 14, 13, 16, 15),
    sigmas=_COCO_SIGMAS,
)

# OpenPose's order, as ST-GCN and the paper use it: COCO's joints with a neck between the shoulders.
COCO18 = Skeleton(
    name="coco18",
    joints=(
        "nose", "neck", "right_shoulder", "right_elbow", "right_wrist", "left_shoulder", "left_elbow",
        "left_wrist", "right_hip", "right_knee", "right_ankle", "left_hip", "left_knee", "left_ankle",
        "right_eye", "left_eye", "right_ear", "left_ear",
    ),
    edges=(
        (4, 3), (3, 2), (7, 6), (6, 5), (13, 12), (12, 11), (10, 9), (9, 8), (11, 5), (8, 2),
        (5, 1), (2, 1), (0, 1), (15, 0), (14, 0), (17, 15), (16, 14),
    ),
    centre=1,
    mirror=(0, 1, 5, 6, 7, 2, 3, 4, 11, 12, 13, 8, 9, 10, 15, 14, 17, 16),
    sigmas=(
        0.026, 0.079, 0.079, 0.072, 0.062, 0.079, 0.072, 0.062, 0.107, 0.087, 0.089, 0.107, 0.087, 0.089,
        0.025, 0.025, 0.035, 0.035,
    ),
)

# fmt: on

SKELETONS: dict[str, Skeleton] = {s.name: s for s in (COCO17, COCO18)}


def get_skeleton(name: str) -> Skeleton:
    """Return the skeleton called ``name``; raises `ConfigError` that lists the known ones."""
    try:
        return SKELETONS[name]
    except KeyError:
        raise ConfigError(f"unknown skeleton {name!r}; known: {', '.join(sorted(SKELETONS))}") from None
