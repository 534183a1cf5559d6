"""Build the static adjacency A: a skeleton's bones, split into subsets with weights of their own (section 3.2)."""

from __future__ import annotations

from collections import deque

import numpy as np
from numpy.typing import NDArray

from pose_extract.errors import ConfigError
from pose_extract.skeletons import Skeleton


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


def static_adjacency(skeleton: Skeleton, partition: str = "spatial") -> NDArray[np.float32]:
    """(S, V, V) adjacency, entry [s, v, w] being the weight with which joint v feeds joint w.

    Each joint hears itself and its neighbours, split into S subsets by ``partition``. Seen from the hearing joint w:

    - "spatial" (S = 3): sources at the same distance from the body's centre (w itself among them), nearer ones
      (centripetal), farther ones (centrifugal);
    - "distance" (S = 2): w itself, its neighbours;
    - "uniform" (S = 1): all of them.

    Weights are normalised so that what a joint hears sums to 1 over all subsets and sources.
    """
    itself, hops = np.eye(skeleton.num_joints), hops_from_centre(skeleton)
    linked = itself.copy()
    for a, b in skeleton.edges:
        linked[a, b] = linked[b, a] = 1
    linked /= linked.sum(axis=0, keepdims=True)
    if partition == "uniform":
        subsets = [linked]
    elif partition == "distance":
        subsets = [linked * itself, linked * (1 - itself)]
    else:
        difference = hops[:, None] - hops[None, :]
        subsets = [linked * (difference == 0), linked * (difference < 0), linked * (difference > 0)]
    return np.stack(subsets).astype(np.float32)
