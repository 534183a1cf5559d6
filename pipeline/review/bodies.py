"""Describe bodies to the page: joints and bones of each skeleton, and the poses of action words."""

from __future__ import annotations

from typing import Any

import numpy as np

from anomaly.scoring.model import Model
from pipeline.pictures.action_words import upright_sign, window_joints
from pose_extract.skeletons import SKELETONS, Skeleton
from pose_extract.tracks.records import ClipTracks

_WORD_POSES = 5


def known_skeleton(tracks: ClipTracks, model: Model) -> Skeleton | None:
    """What the joints of a clip are: the model's own skeleton, or a known one of that name; None: neither."""
    person = model.settings.windows.person
    return person if person.name == tracks.skeleton else SKELETONS.get(tracks.skeleton)


def skeleton_of(tracks: ClipTracks, model: Model) -> dict[str, Any]:
    """Joints and bones of a clip's people; joints without a name and no bones where its skeleton is not known."""
    known = known_skeleton(tracks, model)
    if known is None:
        return {"joints": [str(j) for j in range(tracks.keypoints.shape[1])], "edges": []}
    return _skeleton(known)


def _skeleton(skeleton: Skeleton) -> dict[str, Any]:
    return {"joints": list(skeleton.joints), "edges": [list(edge) for edge in skeleton.edges]}


def words_of(model: Model) -> dict[str, Any] | None:
    """The most typical sequence of each action word, as some poses in thousandths; None where the model keeps none."""
    if model.words is None:
        return None
    settings = model.settings.windows.without_patches
    usable = [np.isfinite(word).all(axis=(1, 2, 3)) for word in model.words]
    upright = upright_sign(
        [(0, 0.0, word[fine]) for word, fine in zip(model.words, usable, strict=True) if fine.any()], settings
    )
    shown = np.unique(
        np.linspace(0, settings.frames - 1, min(_WORD_POSES, settings.frames)).round().astype(int)
    )
    words: list[Any] = []
    for word, fine in zip(model.words, usable, strict=True):
        if not fine.any():
            words.append(None)
            continue
        xy, seen = window_joints(word[fine][0], settings, upright)
        poses = [
            [
                [round(1000 * float(x)), round(1000 * float(y))] if s > 0 else None
                for (x, y), s in zip(pose, sure, strict=True)
            ]
            for pose, sure in zip(xy[shown], seen[shown], strict=True)
        ]
        words.append(poses)
    shares = [round(float(share), 4) for share in model.facts.get("cluster_shares") or []]
    return {**_skeleton(settings.body), "poses": words, "shares": shares}
