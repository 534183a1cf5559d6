"""Define skeletons, joints as a graph: declare one's own, and convert joints from one to another."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from pose_extract.errors import ConfigError

_MOST_JOINTS = 300  # a config from elsewhere must not be able to ask for all memory
_USUAL_SIGMA = 0.079  # COCO's of a shoulder
_SIDES = ("left_", "right_")


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

    def unconnected(self) -> tuple[str, ...]:
        """Names of the joints that no path of edges leads to from the centre."""
        reached, grown = {self.centre}, True
        while grown:
            more = {j for edge in self.edges if reached & set(edge) for j in edge}
            grown = not more <= reached
            reached |= more
        return tuple(name for j, name in enumerate(self.joints) if j not in reached)


@dataclass(frozen=True)
class SkeletonDeclaration:
    """A skeleton in names, as a config states it.

    Attributes:
        name: what the tracks that follow it call it.
        joints: V joint names, in the order of the keypoint arrays.
        edges: pairs of joint names that a bone connects; all joints must hang together.
        centre: name of the joint nearest the body's centre.
        mirror: pairs (left, right) of joints that change places in a mirror; the others stay themselves.
        sigmas: per-joint constant of object keypoint similarity, used to match people between frames; a shoulder's
            for all joints if left out.
    """

    name: str
    joints: tuple[str, ...]
    edges: tuple[tuple[str, str], ...]
    centre: str
    mirror: tuple[tuple[str, str], ...] = ()
    sigmas: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        where = f"skeleton {self.name!r}"
        if not self.name.strip():
            raise ConfigError("skeleton: expected a name that is not empty")
        if not 2 <= len(self.joints) <= _MOST_JOINTS:
            raise ConfigError(f"{where}: expected 2 to {_MOST_JOINTS} joints, got {len(self.joints)}")
        twice = [joint for joint, count in Counter(self.joints).items() if count > 1]
        if twice:
            raise ConfigError(f"{where}: each joint needs a name of its own, but {twice[0]!r} is there twice")
        index = {joint: i for i, joint in enumerate(self.joints)}
        for part, names in (("edges", self.edges), ("mirror", self.mirror), ("centre", ((self.centre,),))):
            for joint in (joint for group in names for joint in group):
                if joint not in index:
                    raise ConfigError(
                        f"{where}: {part} names {joint!r}, which is none of its joints ({', '.join(self.joints)})"
                    )
        bones = Counter(frozenset(edge) for edge in self.edges)
        for bone, count in bones.items():
            if len(bone) == 1 or count > 1:
                what = "is there twice" if count > 1 else "connects a joint with itself"
                raise ConfigError(f"{where}: the edge {sorted(bone)} {what}; list each bone once")
        self._check_mirror(where)
        if self.sigmas and (len(self.sigmas) != len(self.joints) or min(self.sigmas) <= 0):
            raise ConfigError(
                f"{where}: expected {len(self.joints)} sigmas above 0 or none, got {list(self.sigmas)}"
            )
        lost = self.skeleton.unconnected()
        if lost:
            raise ConfigError(
                f"{where}: no edges lead from its centre {self.centre!r} to {', '.join(lost)}; add the missing edges"
            )

    @cached_property
    def skeleton(self) -> Skeleton:
        """The skeleton in indices."""
        index = {joint: i for i, joint in enumerate(self.joints)}
        mirror = list(range(len(self.joints)))
        for left, right in self.mirror:
            mirror[index[left]], mirror[index[right]] = index[right], index[left]
        return Skeleton(
            self.name,
            self.joints,
            tuple((index[a], index[b]) for a, b in self.edges),
            index[self.centre],
            tuple(mirror),
            self.sigmas or (_USUAL_SIGMA,) * len(self.joints),
        )

    def _check_mirror(self, where: str) -> None:
        """Raise ConfigError unless a mirror turns each joint into one other joint, and back."""
        seen = Counter(joint for pair in self.mirror for joint in pair)
        for joint, count in seen.items():
            if count > 1:
                raise ConfigError(
                    f"{where}: mirror has {joint!r} {count} times; give one pair [left, right] for each pair of joints"
                )
        # A pair forgotten would turn a mirrored person's left wrist into a left wrist, without a word.
        for joint in self.joints if self.mirror else ():
            if joint.startswith(_SIDES) and joint not in seen:
                raise ConfigError(
                    f"{where}: mirror says nothing of {joint!r}; add the pair that it belongs to"
                )


def two_people(body: Skeleton) -> Skeleton:
    """Two copies of a skeleton as one graph, joined by an edge between their centres; the second's joints end in _2.

    A mirror swaps the sides within each person; the first stays the first.
    """
    count = body.num_joints
    return Skeleton(
        f"{body.name}, two people",
        (*body.joints, *(f"{joint}_2" for joint in body.joints)),
        (*body.edges, *((a + count, b + count) for a, b in body.edges), (body.centre, body.centre + count)),
        body.centre,
        (*body.mirror, *(j + count for j in body.mirror)),
        body.sigmas * 2,
    )


def convert_joints(
    keypoints: NDArray[np.float32], source: Skeleton, target: Skeleton
) -> NDArray[np.float32] | None:
    """Keypoints (M, V, D + 1) of one skeleton in the joints of another, matched by name.

    A neck that the source lacks lies between the shoulders and is as certain as the less certain one. None if a joint
    of the target is not to be had.
    """
    columns: list[NDArray[np.float32]] = []
    for joint in target.joints:
        if joint in source.index:
            columns.append(keypoints[:, source.index[joint]])
        elif joint == "neck" and {"left_shoulder", "right_shoulder"} <= source.index.keys():
            left, right = (keypoints[:, source.index[f"{side}_shoulder"]] for side in ("left", "right"))
            neck = (left + right) * np.float32(0.5)
            neck[:, -1] = np.minimum(left[:, -1], right[:, -1])
            columns.append(neck)
        else:
            return None
    return np.stack(columns, axis=1)


def joint_sources(source: Skeleton, target: Skeleton) -> NDArray[np.intp] | None:
    """(2, W) the two joints of a skeleton that each of W joints of another lies between, mostly twice the same.

    None if a joint of the target is not to be had: as `convert_joints`, for what is not a place.
    """
    pairs = []
    for joint in target.joints:
        if joint in source.index:
            pairs.append((source.index[joint],) * 2)
        elif joint == "neck" and {"left_shoulder", "right_shoulder"} <= source.index.keys():
            pairs.append((source.index["left_shoulder"], source.index["right_shoulder"]))
        else:
            return None
    return np.array(pairs, np.intp).T
