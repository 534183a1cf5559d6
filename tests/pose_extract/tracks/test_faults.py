"""Tracks that would break what comes after are refused where they are read, with what was expected and found."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from pose_extract.errors import CacheError
from pose_extract.tracks.cache import load_header, load_tracks, save_tracks
from pose_extract.tracks.faults import fault_of
from tests.helpers.two_walkers import walkers

CLIP = walkers(frames=20)


def _with(name, index, value):
    array = np.array(getattr(CLIP, name))
    array[index] = value
    return {name: array}


def test_sound_tracks_have_no_fault():
    assert fault_of(CLIP) is None
    assert fault_of(replace(CLIP, **_with("keypoints", (0, 0), np.nan))) is None  # a missing joint


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"frame_size": (0, 0)}, "found 0x0"),
        ({"frame_size": (640, 10**9)}, "frame size of 1 to 100000 pixels"),
        ({"time_s": CLIP.time_s * 1e-9}, "1e-06 to 1000 frames a second, found 2.4e\\+10"),
        ({"time_s": CLIP.time_s * 1e9}, "frames a second, found 2.4e-08"),
        ({"time_s": CLIP.time_s[::-1].copy()}, "times in seconds that grow"),
        ({"time_s": CLIP.time_s * 0}, "times in seconds that grow"),
        (_with("time_s", 5, np.nan), "times in seconds that grow"),
        (_with("time_s", -1, np.inf), "times in seconds that grow"),
        (_with("track", slice(None), 1), "each person once"),
        (_with("keypoints", (0, 0, 0), 1e30), "coordinates of -1e\\+06 to 1e\\+06, found 1e\\+30"),
        (_with("keypoints", (3, 2, 2), 7), "confidences of 0 to 1, found 7"),
        (_with("boxes", (1, 1), -np.inf), "boxes of -1e\\+07"),
    ],
)
def test_a_fault_is_an_error_that_names_the_file_and_the_value(tmp_path, changes, said):
    save_tracks(tmp_path / "a.npz", replace(CLIP, **changes))
    with pytest.raises(CacheError, match=rf"a\.npz: damaged .*{said}"):
        load_tracks(tmp_path / "a.npz")


def test_tracks_without_a_frame_are_refused(tmp_path):
    rows = {name: getattr(CLIP, name)[:0] for name in ("time_s", "frame", "track", "keypoints", "boxes")}
    save_tracks(tmp_path / "a.npz", replace(CLIP, **rows))
    with pytest.raises(CacheError, match="one frame or more"):
        load_tracks(tmp_path / "a.npz")


@pytest.mark.parametrize("stated", [1e-9, 5.0, 480.0, 1e300])
def test_the_rate_is_that_of_the_frames_whatever_the_header_says(tmp_path, stated):
    save_tracks(tmp_path / "a.npz", replace(CLIP, fps=stated))
    assert load_header(tmp_path / "a.npz")["fps"] == stated
    assert load_tracks(tmp_path / "a.npz").fps == pytest.approx(24.0)
