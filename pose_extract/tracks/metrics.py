"""Measure extracted people against the truth: joints, boxes and identities."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment
from trackers.eval import compute_clear_metrics, compute_identity_metrics

from pose_extract.skeletons import get_skeleton
from pose_extract.skeletons.similarity import box_iou, keypoint_similarity
from pose_extract.tracks.records import ClipTracks


@dataclass(frozen=True)
class Pck:
    """Percentage of correct keypoints, as a share 0..1.

    Attributes:
        all: share of the true joints of all people looked for that were found; joints of people missed are missed.
        matched: share of the true joints of the people who were found at all that were found.
        people: share of the people looked for who were found at all.
        joints: number of true joints that ``all`` is a share of.
    """

    all: float
    matched: float
    people: float
    joints: int


def pck(
    predicted: ClipTracks,
    truth: ClipTracks,
    threshold: float = 0.1,
    min_visible: float = 0.8,
    min_iou: float = 0.3,
) -> Pck:
    """Share of true joints with a predicted joint within ``threshold`` times the larger side of the true box.

    People are matched in each frame by box overlap, at the greatest total overlap. Only the joints in sight (true
    confidence 1) of people in sight are looked for.

    Args:
        predicted: extracted people.
        truth: joints with confidence 1 (in sight), 0.5 (occluded) or 0 (outside the frame).
        threshold: allowed distance as a share of the larger side of the true box.
        min_visible: people with a smaller share of their joints in sight are not looked for.
        min_iou: least box overlap of a match.

    Returns:
        The shares; NaN where there is nothing to look for.
    """
    correct = joints = joints_matched = people = people_matched = 0
    for rows, guesses, overlap in _frames(predicted, truth):
        found = _match(overlap, min_iou)
        for i, row in enumerate(rows):
            in_sight = truth.keypoints[row, :, -1] >= 1.0
            if in_sight.mean() < min_visible:
                continue
            people += 1
            joints += int(in_sight.sum())
            if found[i] < 0:
                continue
            people_matched += 1
            joints_matched += int(in_sight.sum())
            guess = predicted.keypoints[guesses[found[i]]]
            distance = np.linalg.norm(guess[:, :2] - truth.keypoints[row, :, :2], axis=1)
            side = (truth.boxes[row, 2:] - truth.boxes[row, :2]).max()
            # NaN (a joint that was not found) is not within any distance.
            correct += int(((distance <= threshold * side) & (guess[:, -1] > 0) & in_sight).sum())
    return Pck(
        _share(correct, joints), _share(correct, joints_matched), _share(people_matched, people), joints
    )


def oks(predicted: ClipTracks, truth: ClipTracks, min_iou: float = 0.3) -> float:
    """Mean object keypoint similarity (COCO) over the true people of all frames; people missed count as 0.

    Joints with a true confidence of 0 are left out. The area is 0.53 of the true box (that of a silhouette, as COCO's
    annotations have it). NaN where there is nobody.
    """
    sigmas = get_skeleton(truth.skeleton).sigmas
    total, people = 0.0, 0
    for rows, guesses, overlap in _frames(predicted, truth):
        people += len(rows)
        for i, j in enumerate(_match(overlap, min_iou)):
            if j < 0:
                continue
            true, guess = truth.keypoints[rows[i]].copy(), predicted.keypoints[guesses[j]].copy()
            guess[:, -1] = np.where(np.isfinite(guess[:, 0]), 1.0, 0.0)
            true[:, -1] = true[:, -1] > 0
            area = 0.53 * (truth.boxes[rows[i], 2:] - truth.boxes[rows[i], :2]).prod()
            total += keypoint_similarity(true[None], guess[None], sigmas, [area]).item()
    return _share(total, people)


def box_recall(predicted: ClipTracks, truth: ClipTracks, min_iou: float = 0.5) -> tuple[float, float]:
    """Recall and precision of the boxes, matched one to one in each frame with an overlap of at least ``min_iou``.

    Every frame of the clip counts; cut both sides to the frames with annotations first if only some have any.
    """
    hits = 0
    for _, _, overlap in _frames(predicted, truth):
        hits += int((_match(overlap, min_iou) >= 0).sum())
    return _share(hits, len(truth)), _share(hits, len(predicted))


def idf1(predicted: ClipTracks, truth: ClipTracks, min_iou: float = 0.5, min_visible: float = 0.0) -> float:
    """F1 of the identities, 0..1 (Ristani et al. 2016): share of boxes whose id is right under the best assignment.

    True people with less than ``min_visible`` (0..1) of their joints in sight are left out, with their matches.
    """
    return float(
        compute_identity_metrics(*_identities(predicted, truth, min_iou, min_visible), threshold=min_iou)[
            "IDF1"
        ]
    )


def mota(predicted: ClipTracks, truth: ClipTracks, min_iou: float = 0.5, min_visible: float = 0.0) -> float:
    """Multiple object tracking accuracy, at most 1: 1 - (misses + false boxes + id switches) / true boxes."""
    return float(
        compute_clear_metrics(*_identities(predicted, truth, min_iou, min_visible), threshold=min_iou)["MOTA"]
    )


def id_switches(
    predicted: ClipTracks, truth: ClipTracks, min_iou: float = 0.5, min_visible: float = 0.0
) -> int:
    """Times that a true person's id changes."""
    return int(
        compute_clear_metrics(*_identities(predicted, truth, min_iou, min_visible), threshold=min_iou)["IDSW"]
    )


def _frames(
    predicted: ClipTracks, truth: ClipTracks
) -> Iterator[tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.float64]]]:
    """Rows of the truth, rows of the prediction and their box overlap, for each frame with anybody in either."""
    for frame in np.union1d(predicted.frame, truth.frame):
        a = np.arange(*np.searchsorted(truth.frame, [frame, frame + 1]))
        b = np.arange(*np.searchsorted(predicted.frame, [frame, frame + 1]))
        yield a, b, box_iou(truth.boxes[a], predicted.boxes[b])


def _match(overlap: NDArray[np.float64], min_iou: float) -> NDArray[np.intp]:
    """For each row the column that it is matched with, or -1."""
    found = np.full(len(overlap), -1, np.intp)
    allowed = np.where(overlap >= min_iou, overlap, 0.0)
    rows, columns = linear_sum_assignment(allowed, maximize=True)
    good = allowed[rows, columns] > 0
    found[rows[good]] = columns[good]
    return found


def _identities(
    predicted: ClipTracks, truth: ClipTracks, min_iou: float, min_visible: float
) -> tuple[list[NDArray[np.int32]], list[NDArray[np.int32]], list[NDArray[np.float64]]]:
    """Ids and overlaps frame by frame, as `trackers.eval` wants them.

    True people with a smaller share of joints in sight than ``min_visible``, and whoever is matched with them, count
    neither for nor against.
    """
    in_sight = (truth.keypoints[..., -1] >= 1.0).mean(1) >= min_visible
    ids, guesses, overlaps = [], [], []
    for a, b, overlap in _frames(predicted, truth):
        found = _match(overlap, min_iou)[~in_sight[a]]
        keep = np.ones(len(b), bool)
        keep[found[found >= 0]] = False
        ids.append(truth.track[a][in_sight[a]])
        guesses.append(predicted.track[b][keep])
        overlaps.append(overlap[in_sight[a]][:, keep])
    return ids, guesses, overlaps


def _share(part: float, whole: int) -> float:
    return part / whole if whole else float("nan")
