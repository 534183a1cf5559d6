"""Joints as a graph: known skeletons, conversions, similarity, stature."""

from pose_extract.skeletons.known import (
    BLAZEPOSE33,
    BODY25,
    COCO17,
    COCO18,
    HALPE26,
    NTU25,
    POSETRACK17,
    SKELETONS,
    get_skeleton,
)
from pose_extract.skeletons.skeleton import Skeleton, SkeletonDeclaration

__all__ = [
    "BLAZEPOSE33",
    "BODY25",
    "COCO17",
    "COCO18",
    "HALPE26",
    "NTU25",
    "POSETRACK17",
    "SKELETONS",
    "Skeleton",
    "SkeletonDeclaration",
    "get_skeleton",
]
