"""Real files of some formats, where the machine has them."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from pose_extract.formats.base import import_clips
from tests.helpers.format_cases import read


@pytest.fixture
def samples() -> Path:
    folder = os.environ.get("GEPC_SAMPLE_DATA")
    if not folder:
        pytest.skip("GEPC_SAMPLE_DATA is not set: no real files to read")
    return Path(folder)


def test_avenue_trajectories_are_those_of_the_data_set(samples):
    clips = read("mped-rnn", samples / "formats" / "mped_rnn", fps=25, frame_size=(640, 360))
    assert [(c.clip, c.num_tracks) for c in clips] == [("01_08", 8), ("01_13", 26)]
    masks = samples / "formats" / "mped_rnn" / "frame_level_masks" / "01"
    for clip in clips:
        assert clip.frame_count <= len(np.load(masks / f"{clip.clip}.npy"))
        assert 0.6 < (clip.keypoints[..., 2] > 0).mean() < 0.9
        assert clip.keypoints[..., 0].max() < 700


def test_kinetics_skeleton_people_are_followed(samples):
    (clip,) = import_clips("kinetics-skeleton", samples / "formats" / "kinetics_skeleton_clip.json")
    assert (clip.frame_count, clip.skeleton) == (150, "coco18")
    assert 1 <= clip.num_tracks <= 5


def test_coco_stills_are_clips_of_one_frame(samples):
    clips = list(import_clips("coco", samples / "coco" / "test_coco.json", 1.0))
    assert len(clips) == 4
    assert all(clip.frame_count == 1 and len(clip) for clip in clips)


def test_posetrack_sequences(samples):
    clips = list(import_clips("posetrack", samples / "posetrack18" / "test_posetrack18_val.json", 25.0))
    assert {clip.clip: clip.frame_count for clip in clips} == {"012834": 140, "009473": 101, "003418": 149}
    assert clips[0].skeleton == "posetrack17"
    assert len(clips[0]) == 11
