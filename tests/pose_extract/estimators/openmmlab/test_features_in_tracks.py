"""Features on their way into the cached tracks."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest

from pose_extract.estimators.openmmlab.estimator import OpenMMLabEstimator
from pose_extract.estimators.openmmlab.settings import OpenMMLabSettings
from pose_extract.tracks.records import Frame
from tests.helpers.openmmlab_models import RTMDET_NANO, RTMPOSE_T, config_path

pytestmark = pytest.mark.openmmlab


@pytest.fixture(scope="module")
def tiny(checkpoints):
    """Settings of a small detector and a small pose model with random weights."""
    pose, detector = config_path(RTMPOSE_T), config_path(RTMDET_NANO)
    return {
        "model": pose,
        "checkpoint": checkpoints(pose),
        "detector": detector,
        "detector_checkpoint": checkpoints(detector, "mmdet"),
        "max_people": 4,
        "device": "cpu",
    }


@pytest.mark.slow
def test_tracks_in_the_cache_hold_each_persons_own_features(tiny, picture, tmp_path):
    from pipeline.cli import main
    from pose_extract.tracks.cache import load_tracks
    from pose_extract.tracks.cleaning import clean_tracks
    from pose_extract.tracks.settings import CleaningSettings

    folder, root = tmp_path / "clip", tmp_path / "workspace"
    folder.mkdir()
    images = [np.roll(picture, (n % 3, 4 * n), (0, 1)) for n in range(12)]
    for n, image in enumerate(images):
        cv2.imwrite(str(folder / f"{n:03}.png"), image)
    options = [f"--set=openmmlab.{key}={value}" for key, value in tiny.items()]
    options += ["--pose=openmmlab", "--set=openmmlab.features=backbone.stage2", "--quiet"]
    assert main(["extract", str(folder), "--workspace", str(root), *options]) == 0
    tracks = load_tracks(root / "tracks" / "clip.npz")
    assert tracks.provenance["estimator"]["features"] == "backbone.stage2"
    assert tracks.features.dtype == np.float16
    assert tracks.features.shape == (len(tracks), 17, 96)

    texts = {key: str(value) for key, value in tiny.items()}
    settings = OpenMMLabSettings(**{**texts, "max_people": 4, "features": "backbone.stage2"})
    estimator = OpenMMLabEstimator(settings)
    estimator.start(tracks.fps, tracks.frame_size)
    order, seen = [], set()
    found = [people for n in range(0, 12, 4) for people in estimator.estimate(
        [Frame(i, i / 25, images[i]) for i in range(n, n + 4)]
    )]  # fmt: skip
    for row in range(len(tracks)):
        people = found[tracks.frame[row]]
        distance = np.abs(people.keypoints - tracks.keypoints[row]).max((1, 2))
        order.append((int(tracks.frame[row]), int(distance.argmin())))
        np.testing.assert_array_equal(tracks.features[row], people.features[distance.argmin()])
        seen.add(people.features[distance.argmin()].tobytes())
    assert len(seen) == len(tracks) > 12
    assert order != sorted(order)  # the tracker's order is not the detector's

    cleaned = clean_tracks(tracks, CleaningSettings())
    rows = {
        key: row for row, key in enumerate(zip(cleaned.frame.tolist(), cleaned.track.tolist(), strict=True))
    }
    for row, key in enumerate(zip(tracks.frame.tolist(), tracks.track.tolist(), strict=True)):
        np.testing.assert_array_equal(cleaned.features[rows[key]], tracks.features[row])


@pytest.mark.slow
def test_tracks_are_made_anew_for_other_features(tiny):
    from pipeline.extraction.clip import clip_key
    from pipeline.settings import Settings

    settings = OpenMMLabSettings(**{k: str(v) if k != "max_people" else v for k, v in tiny.items()})
    estimators = [
        OpenMMLabEstimator(replace(settings, features=name)) for name in ("", "backbone", "backbone[0]")
    ]
    assert len({clip_key("content", Settings(), estimator) for estimator in estimators}) == 3
