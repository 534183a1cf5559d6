"""The skeletons that come with the package: names, edges and mirror pairs of what estimators and data sets give.

Sigmas are COCO's and, for Halpe's, those of its own evaluation; where nothing is published (BlazePose's hands and
feet, NTU's spine and hands), those of the nearest COCO joint.
"""

from __future__ import annotations

from pose_extract.errors import ConfigError
from pose_extract.skeletons.skeleton import Skeleton, SkeletonDeclaration

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

def _sided(*joints: str) -> tuple[tuple[str, str], ...]:
    return tuple((f"left_{joint}", f"right_{joint}") for joint in joints)


def _both(*edges: tuple[str, str]) -> tuple[tuple[str, str], ...]:
    """Edges of both sides; a joint that starts with a dot has a side."""
    return tuple(
        (a.replace(".", f"{side}_"), b.replace(".", f"{side}_")) for side in ("left", "right") for a, b in edges
    )


# BlazePose's (MediaPipe's) own 33 landmarks. Its drawing leaves head and mouth apart from the body; here the nose
# connects them with it.
BLAZEPOSE33 = SkeletonDeclaration(
    name="blazepose33",
    joints=(
        "nose", "left_eye_inner", "left_eye", "left_eye_outer", "right_eye_inner", "right_eye", "right_eye_outer",
        "left_ear", "right_ear", "left_mouth", "right_mouth", "left_shoulder", "right_shoulder", "left_elbow",
        "right_elbow", "left_wrist", "right_wrist", "left_pinky", "right_pinky", "left_index", "right_index",
        "left_thumb", "right_thumb", "left_hip", "right_hip", "left_knee", "right_knee", "left_ankle", "right_ankle",
        "left_heel", "right_heel", "left_foot_index", "right_foot_index",
    ),
    edges=(
        ("left_mouth", "right_mouth"), ("left_shoulder", "right_shoulder"), ("left_hip", "right_hip"),
        *_both(
            ("nose", ".eye_inner"), (".eye_inner", ".eye"), (".eye", ".eye_outer"), (".eye_outer", ".ear"),
            ("nose", ".mouth"), ("nose", ".shoulder"), (".shoulder", ".elbow"), (".elbow", ".wrist"),
            (".wrist", ".pinky"), (".wrist", ".index"), (".wrist", ".thumb"), (".pinky", ".index"),
            (".shoulder", ".hip"), (".hip", ".knee"), (".knee", ".ankle"), (".ankle", ".heel"),
            (".ankle", ".foot_index"), (".heel", ".foot_index"),
        ),
    ),
    centre="nose",
    mirror=_sided(
        "eye_inner", "eye", "eye_outer", "ear", "mouth", "shoulder", "elbow", "wrist", "pinky", "index", "thumb",
        "hip", "knee", "ankle", "heel", "foot_index",
    ),
    sigmas=(
        0.026, *(0.025,) * 6, 0.035, 0.035, 0.026, 0.026, 0.079, 0.079, 0.072, 0.072, *(0.062,) * 8,
        0.107, 0.107, 0.087, 0.087, *(0.089,) * 6,
    ),
).skeleton

# NTU-RGB+D's 25 joints of a Kinect, 3-D, in the order of its skeleton files; "spine" is its joint 21, between the
# shoulders.
NTU25 = SkeletonDeclaration(
    name="ntu25",
    joints=(
        "spine_base", "spine_middle", "neck", "head", "left_shoulder", "left_elbow", "left_wrist", "left_hand",
        "right_shoulder", "right_elbow", "right_wrist", "right_hand", "left_hip", "left_knee", "left_ankle",
        "left_foot", "right_hip", "right_knee", "right_ankle", "right_foot", "spine", "left_hand_tip", "left_thumb",
        "right_hand_tip", "right_thumb",
    ),
    edges=(
        ("spine_base", "spine_middle"), ("spine_middle", "spine"), ("spine", "neck"), ("neck", "head"),
        *_both(
            ("spine", ".shoulder"), (".shoulder", ".elbow"), (".elbow", ".wrist"), (".wrist", ".hand"),
            (".hand", ".hand_tip"), (".hand", ".thumb"), ("spine_base", ".hip"), (".hip", ".knee"),
            (".knee", ".ankle"), (".ankle", ".foot"),
        ),
    ),
    centre="spine",
    mirror=_sided(
        "shoulder", "elbow", "wrist", "hand", "hip", "knee", "ankle", "foot", "hand_tip", "thumb"
    ),
    sigmas=(
        0.107, 0.107, 0.079, 0.026, *(0.079, 0.072, 0.062, 0.062) * 2, *(0.107, 0.087, 0.089, 0.089) * 2,
        0.079, *(0.062,) * 4,
    ),
).skeleton

# Halpe Full-Body's 26: COCO's, then head top, neck, middle of the hips, and the feet.
HALPE26 = SkeletonDeclaration(
    name="halpe26",
    joints=(
        *_COCO_JOINTS, "head", "neck", "hip", "left_big_toe", "right_big_toe", "left_small_toe", "right_small_toe",
        "left_heel", "right_heel",
    ),
    edges=(
        ("head", "nose"), ("nose", "neck"), ("neck", "hip"),
        *_both(
            ("nose", ".eye"), (".eye", ".ear"), ("neck", ".shoulder"), (".shoulder", ".elbow"), (".elbow", ".wrist"),
            ("hip", ".hip"), (".hip", ".knee"), (".knee", ".ankle"), (".ankle", ".big_toe"),
            (".ankle", ".small_toe"), (".ankle", ".heel"),
        ),
    ),
    centre="neck",
    mirror=_sided(
        "eye", "ear", "shoulder", "elbow", "wrist", "hip", "knee", "ankle", "big_toe", "small_toe", "heel"
    ),
    sigmas=(*_COCO_SIGMAS, 0.026, 0.026, 0.066, *(0.079,) * 6),
).skeleton

# OpenPose's BODY_25: COCO's joints in its own order, with neck, middle of the hips, and the feet.
BODY25 = SkeletonDeclaration(
    name="body25",
    joints=(
        "nose", "neck", "right_shoulder", "right_elbow", "right_wrist", "left_shoulder", "left_elbow", "left_wrist",
        "hip", "right_hip", "right_knee", "right_ankle", "left_hip", "left_knee", "left_ankle", "right_eye",
        "left_eye", "right_ear", "left_ear", "left_big_toe", "left_small_toe", "left_heel", "right_big_toe",
        "right_small_toe", "right_heel",
    ),
    edges=(
        ("nose", "neck"), ("neck", "hip"),
        *_both(
            ("nose", ".eye"), (".eye", ".ear"), ("neck", ".shoulder"), (".shoulder", ".elbow"), (".elbow", ".wrist"),
            ("hip", ".hip"), (".hip", ".knee"), (".knee", ".ankle"), (".ankle", ".big_toe"),
            (".big_toe", ".small_toe"), (".ankle", ".heel"),
        ),
    ),
    centre="neck",
    mirror=_sided(
        "eye", "ear", "shoulder", "elbow", "wrist", "hip", "knee", "ankle", "big_toe", "small_toe", "heel"
    ),
    sigmas=(
        0.026, 0.079, *(0.079, 0.072, 0.062) * 2, 0.066, *(0.107, 0.087, 0.089) * 2, 0.025, 0.025, 0.035, 0.035,
        *(0.079,) * 6,
    ),
).skeleton

# PoseTrack18's 17: a neck and the top of the head where COCO has eyes. (Its ears are seldom annotated.)
POSETRACK17 = SkeletonDeclaration(
    name="posetrack17",
    joints=("nose", "neck", "head", *_COCO_JOINTS[3:]),
    edges=(
        ("nose", "neck"), ("nose", "head"),
        *_both(
            ("nose", ".ear"), ("neck", ".shoulder"), (".shoulder", ".elbow"), (".elbow", ".wrist"),
            (".shoulder", ".hip"), (".hip", ".knee"), (".knee", ".ankle"),
        ),
        ("left_hip", "right_hip"),
    ),
    centre="neck",
    mirror=_sided("ear", "shoulder", "elbow", "wrist", "hip", "knee", "ankle"),
    sigmas=(0.026, 0.079, 0.026, *_COCO_SIGMAS[3:]),
).skeleton

# fmt: on

SKELETONS: dict[str, Skeleton] = {
    s.name: s for s in (COCO17, COCO18, BLAZEPOSE33, NTU25, HALPE26, BODY25, POSETRACK17)
}


def get_skeleton(name: str) -> Skeleton:
    """Return the skeleton called ``name``; raises `ConfigError` that lists the known ones."""
    try:
        return SKELETONS[name]
    except KeyError:
        raise ConfigError(f"unknown skeleton {name!r}; known: {', '.join(sorted(SKELETONS))}") from None
