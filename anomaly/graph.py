"""The static adjacency A: a skeleton's bones, split by the spatial-configuration partition (paper, section 3.2)."""

from __future__ import annotations

from collections import deque

import numpy as np
from numpy.typing import NDArray

from pose_extract.errors import ConfigError
from pose_extract.skeletons import Skeleton

NUM_SUBSETS = 3


def hops_from_centre(skeleton: Skeleton) -> NDArray[np.int64]:
    """(V,) number of bones between each joint and the skeleton's centre.

    Raises:
        ConfigError: if a joint is not connected with the centre.
    """
    neighbours: dict[int, list[int]] = {j: [] for j in range(skeleton.num_joints)}
    for a, b in skeleton.edges:
        neighbours[a].append(b)
        neighbours[b].append(a)
    hops = np.full(skeleton.num_joints, -1)
    hops[skeleton.centre] = 0
    queue = deque([skeleton.centre])
    while queue:
        joint = queue.popleft()
        for other in neighbours[joint]:
            if hops[other] < 0:
                hops[other] = hops[joint] + 1
                queue.append(other)
    if (hops < 0).any():
        lost = ", ".join(skeleton.joints[j] for j in np.flatnonzero(hops < 0))
        raise ConfigError(f"skeleton {skeleton.name}: expected one connected graph; not connected: {lost}")
    return hops


def spatial_adjacency(skeleton: Skeleton) -> NDArray[np.float32]:
    """(3, V, V) adjacency, entry [s, v, w] being the weight with which joint v feeds joint w.

    Each joint hears itself and its neighbours. The subsets are, seen from the hearing joint w: sources at the same
    distance from the body's centre (w itself among them), nearer ones (centripetal), farther ones (centrifugal).
    Weights are normalised so that what a joint hears sums to 1 over all subsets and sources.
    """
    hops = hops_from_centre(skeleton)
    linked = np.eye(skeleton.num_joints)
    for a, b in skeleton.edges:
        linked[a, b] = linked[b, a] = 1
    linked /= linked.sum(axis=0, keepdims=True)
    difference = hops[:, None] - hops[None, :]
    subsets = [linked * (difference == 0), linked * (difference < 0), linked * (difference > 0)]
    return np.stack(subsets).astype(np.float32)
