"""Map the joints of a model's data set to those of our skeletons, by their names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pose_extract.errors import EstimatorError
from pose_extract.skeletons import Skeleton

_BETWEEN = {"neck": ("left_shoulder", "right_shoulder"), "hip": ("left_hip", "right_hip")}


class JointMap:
    """Picks a skeleton's joints among a model's; a neck or hip that the model lacks lies between its two neighbours.

    Args:
        names: of the model's joints, in its order.
        skeleton: what is wanted.

    Raises:
        EstimatorError: the model lacks a joint.
    """

    def __init__(self, names: Sequence[str], skeleton: Skeleton) -> None:
        pairs = []
        for joint in skeleton.joints:
            sources = (joint, joint) if joint in names else _BETWEEN.get(joint, (joint, joint))
            if not set(sources) <= set(names):
                raise EstimatorError(
                    f"openmmlab.skeleton {skeleton.name}: the model has no {joint}; its {len(names)} joints are "
                    f"{', '.join(names[:30])}{', …' if len(names) > 30 else ''}"
                )
            pairs.append([names.index(source) for source in sources])
        self._a, self._b = np.array(pairs, np.intp).T

    def keypoints(self, points: NDArray[np.float32], scores: NDArray[np.float32]) -> NDArray[np.float32]:
        """Points (P, J, 2) and scores (P, J) of the model as keypoints (P, V, 3): x px, y px, confidence 0..1."""
        places = (points[:, self._a] + points[:, self._b]) * np.float32(0.5)
        certain = np.minimum(scores[:, self._a], scores[:, self._b]).clip(0, 1)
        keypoints = np.concatenate([places, certain[..., None]], axis=2).astype(np.float32)
        keypoints[~np.isfinite(keypoints).all(2)] = 0
        return keypoints

    def features(self, features: NDArray[np.float16]) -> NDArray[np.float16]:
        """Features (P, J, D) of the model's joints as those of the skeleton's (P, V, D)."""
        return ((features[:, self._a].astype(np.float32) + features[:, self._b]) * 0.5).astype(np.float16)


def joint_names(dataset_meta: Mapping[str, Any]) -> list[str]:
    """Names of the joints, in order, of a data set as mmpose describes it."""
    names = dataset_meta["keypoint_id2name"]
    return [str(names[i]) for i in range(len(names))]
