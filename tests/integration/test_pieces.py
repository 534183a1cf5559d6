"""A long video in pieces: what is found in it, whoever extracts them."""

import shutil

import numpy as np
import pytest

from pipeline.extraction import pieces as extraction_pieces
from pose_extract.errors import CacheError
from pose_extract.tracks.cache import load_tracks
from pose_extract.video import VideoWriter
from tests.helpers.scarecrow import install_estimators
from tests.helpers.videos import run_ffmpeg

FPS = 10
WATCHFUL = """
import os, signal
import cv2
import numpy as np
from pose_extract.estimators.base import PoseEstimator
from pose_extract.tracks.records import PoseDetections


class Watchful(PoseEstimator):
    '''Sees bright blocks; new ones at every fifth frame only. Killed at a dark grey picture.'''

    name, skeleton, network_stages = "watchful", "coco17", ()

    def __init__(self, options=None):
        self.identity, self.timings = {"name": self.name}, {}

    def rhythm(self, fps):
        return 5

    def start(self, fps, frame_size):
        self.seen, self.known = 0, []

    def estimate(self, frames):
        return [self.look(frame.image) for frame in frames]

    def look(self, image):
        if image.max() < 100:
            os.kill(os.getpid(), signal.SIGKILL)
        _, _, stats, _ = cv2.connectedComponentsWithStats((image.max(2) > 200).astype(np.uint8))
        blocks = [(x, y, x + w, y + h) for x, y, w, h, area in stats[1:].tolist() if area > 30]
        first = self.seen % 5 == 0
        self.seen += 1
        self.known = [b for b in blocks if first or any(abs(b[0] - k[0]) < 9 for k in self.known)]
        boxes = np.array(self.known, np.float32).reshape(-1, 4)
        points = np.full((len(boxes), 17, 3), 0.9, np.float32)
        points[..., 0] = boxes.mean(1, where=[True, False, True, False])[:, None] + np.arange(17) % 3
        points[..., 1] = np.linspace(boxes[:, 1], boxes[:, 3], 17).T
        return PoseDetections(boxes, points, np.ones(len(boxes), np.float32))
"""


@pytest.fixture
def site(tmp_path, monkeypatch):
    install_estimators(tmp_path / "site", "watchful_poses", WATCHFUL, watchful="Watchful")
    monkeypatch.syspath_prepend(tmp_path / "site")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "site"), prepend=":")


def film(path, walkers, seconds=12, dark=()):
    """People as bright blocks on grey: (first frame, last frame, first x, pixels a frame, y) each."""
    with VideoWriter(path, FPS, (160, 96)) as writer:
        for frame in range(seconds * FPS):
            image = np.full((96, 160, 3), 60 if frame in dark else 120, np.uint8)
            for begin, end, x, step, y in walkers:
                if begin <= frame < end:
                    left = x + step * (frame - begin)
                    image[y : y + 30, left : left + 12] = 255
            writer.write(image)
    return path


def extract(cli, workspace, video, *options):
    named = (*options, "--pose", "watchful", "--set", "things.find=false")
    result = cli("extract", video, "--workspace", workspace, *named)
    assert result.code == 0, result.err
    return load_tracks(workspace / "tracks" / f"{video.stem}.npz")


def test_where_nobody_crosses_pieces_make_the_tracks_of_the_whole_video(cli, tmp_path, site, caplog):
    caplog.set_level("INFO")
    walkers = [
        (3, 24, 8, 4, 20),
        (7, 25, 140, -4, 55),
        (37, 55, 8, 4, 20),
        (66, 83, 140, -4, 20),
        (96, 114, 8, 5, 9),
    ]
    video = film(tmp_path / "walks.mp4", walkers)
    whole = extract(cli, tmp_path / "whole", video)
    pieces = extract(cli, tmp_path / "pieces", video, "--pieces", 0.05, "--jobs", 1)
    assert "joined from 4 pieces; at 3 of 3 borders both see the same" in caplog.text
    assert (whole.num_tracks, len(whole)) == (3, 76)  # the later ones are taken for the third, who comes back
    for name in ("time_s", "frame", "track", "keypoints", "boxes"):
        np.testing.assert_array_equal(getattr(pieces, name), getattr(whole, name), err_msg=name)
    assert [border["people"] for border in pieces.provenance["borders"]] == [0, 1, 1]
    assert "borders" not in whole.provenance


def test_who_crosses_keeps_the_id_and_workers_make_no_difference(cli, tmp_path, site):
    walkers = [(0, 120, 10, 1, 60), (20, 57, 4, 4, 10), (70, 107, 150, -4, 10)]
    video = film(tmp_path / "busy.mp4", walkers)
    whole = extract(cli, tmp_path / "whole", video)
    options = ("--pieces", 0.05)
    alone = extract(cli, tmp_path / "alone", video, *options, "--jobs", 1)
    extract(cli, tmp_path / "two", video, *options, "--jobs", 2)
    assert (alone.num_tracks, len(alone)) == (whole.num_tracks, len(whole)) == (3, 120 + 2 * 37)
    np.testing.assert_array_equal(alone.track[alone.boxes[:, 1] > 50], np.ones(120))
    assert [border["people"] for border in alone.provenance["borders"]] == [2, 1, 2]
    files = [(tmp_path / name / "tracks" / "busy.npz").read_bytes() for name in ("alone", "two")]
    assert files[0] == files[1]
    assert not list((tmp_path / "two" / "tracks").glob("pieces/*"))

    again = cli("extract", video, "--pose", "watchful", "--workspace", tmp_path / "two", *options,
                "--set", "things.find=false")  # fmt: skip
    assert "1 of 1 videos done (1 were done before)" in again.out


def test_a_short_video_is_not_cut_and_has_the_same_tracks_file(cli, tmp_path, site):
    video = film(tmp_path / "short.mp4", [(0, 30, 10, 1, 60)], seconds=3)
    extract(cli, tmp_path / "whole", video)
    extract(cli, tmp_path / "pieces", video, "--pieces", 1)
    files = [(tmp_path / name / "tracks" / "short.npz").read_bytes() for name in ("whole", "pieces")]
    assert files[0] == files[1]


def test_a_piece_that_kills_its_workers_costs_its_video_only(cli, tmp_path, site):
    folder = tmp_path / "videos"
    folder.mkdir()
    film(folder / "bad.mp4", [], dark=[115])
    film(folder / "good.mp4", [(0, 100, 10, 1, 60)])
    result = cli(
        "extract", folder, "--workspace", tmp_path / "w", "--pieces", 0.1, "--jobs", 2, "--pose", "watchful",
        "--set", "things.find=false",
    )  # fmt: skip
    assert result.code == 4
    assert "1 of 2 videos done" in result.out
    assert "not used: bad" in result.out
    assert "killed by signal 9" in result.out
    left = list((tmp_path / "w" / "tracks" / "pieces").rglob("*.npz"))
    assert len(left) == 1  # the good half of the bad one, for the next try


def test_pieces_of_copies_are_made_once(cli, tmp_path, site, caplog):
    caplog.set_level("INFO")
    (tmp_path / "videos").mkdir()
    video = film(tmp_path / "videos" / "a.mp4", [(0, 100, 10, 1, 60)])
    shutil.copy(video, video.with_name("b.mp4"))
    result = cli(
        "extract", tmp_path / "videos", "--workspace", tmp_path / "w", "--pieces", 0.05, "--jobs", 2, "--no-wait",
        "--pose", "watchful", "--set", "things.find=false",
    )  # fmt: skip
    assert result.code == 0, result.err
    assert "4 pieces of long videos, 2 at a time" in caplog.text
    assert [path.name for path in (tmp_path / "w" / "tracks").glob("*.npz")] == ["a.npz"]


def spoilt(path, begin, end):
    """A video of 12 s whose frames from ``begin`` to ``end`` cannot be decoded."""
    run_ffmpeg("-f", "lavfi", "-i", f"testsrc=s=64x48:r={FPS}:d=12", "-c:v", "mjpeg", path)
    content, at = bytearray(path.read_bytes()), 0
    index = content.index(b"idx1")
    for frame in range(12 * FPS):
        at = content.index(b"00dc", at, index) + 8
        size = int.from_bytes(content[at - 4 : at], "little")
        if begin <= frame < end:
            content[at : at + size] = bytes(size)
        at += size
    path.write_bytes(content)
    return path


def test_a_piece_without_a_frame_that_can_be_read_is_a_hole(cli, tmp_path, site):
    video = spoilt(tmp_path / "spoilt.avi", 25, 95)
    whole = extract(cli, tmp_path / "whole", video)
    pieces = extract(cli, tmp_path / "pieces", video, "--pieces", 0.05)
    assert whole.frame_count == 50
    np.testing.assert_array_equal(pieces.time_s, whole.time_s)
    damage = [tracks.provenance["summary"]["damage"] for tracks in (whole, pieces)]
    assert len(damage[0]) == len(damage[1]) == 1


def test_a_piece_that_stays_damaged_costs_its_video_only(cli, tmp_path, site, monkeypatch):
    (tmp_path / "videos").mkdir()
    film(tmp_path / "videos" / "long.mp4", [])
    film(tmp_path / "videos" / "short.mp4", [], seconds=4)

    def damaged(path, **options):
        raise CacheError(f"{path}: damaged tracks file")

    monkeypatch.setattr(extraction_pieces, "load_tracks", damaged)
    result = cli(
        "extract", tmp_path / "videos", "--workspace", tmp_path / "w", "--pieces", 0.05, "--jobs", 1,
        "--pose", "watchful", "--set", "things.find=false",
    )  # fmt: skip
    assert result.code == 4
    assert "1 of 2 videos done" in result.out
    assert "its piece 1 is of no use" in result.out
