"""Extraction of recordings with holes in their time, and of those whose tracks a power cut has spoilt."""

import numpy as np
import pytest

from pipeline.extraction import spread as extraction
from pipeline.extraction.run import extract_all, find_all_sources
from pipeline.scoring.familiarity import Seen
from pipeline.settings import load_settings
from pipeline.workspace import Workspace
from pose_extract.estimators.base import PoseEstimator
from pose_extract.tracks.cache import load_tracks
from pose_extract.tracks.clip_time import stretch_numbers
from pose_extract.tracks.records import PoseDetections
from tests.helpers.videos import KEYED, passthrough_option, run_ffmpeg


class Walker(PoseEstimator):
    """Sees one person, who has walked a step further in each frame since `start`."""

    name, skeleton, batch_size, network_stages = "blazepose", "coco17", 8, ()

    def __init__(self, *_):
        self.identity, self.timings, self._steps = {"name": "walker"}, {}, 0

    def start(self, fps, frame_size):
        self._steps = 0

    def estimate(self, frames):
        found = []
        for _ in frames:
            points = np.full((1, 17, 3), 0.9, np.float32)
            points[0, :, 0] = 10 + self._steps * 0.5 + np.arange(17) % 3
            points[0, :, 1] = np.linspace(5, 40, 17)
            box = np.array([[8 + self._steps * 0.5, 4, 15 + self._steps * 0.5, 42]], np.float32)
            found.append(PoseDetections(box, points, np.ones(1, np.float32)))
            self._steps += 1
        return found


@pytest.fixture
def extract(tmp_path, monkeypatch):
    """Extract a test picture's video of so many seconds, if it is not there, and return where its tracks are."""

    def extract(name, seconds, shift=""):
        path = tmp_path / name
        filters = ("-vf", shift) if shift else ()
        if not path.exists():
            run_ffmpeg(
                *("-f", "lavfi", "-i", f"testsrc=s=64x48:r=25:d={seconds}", *filters, *KEYED),
                *(*passthrough_option(), path),
            )
        monkeypatch.setattr(extraction, "create_estimator", lambda *_: Walker())
        workspace = Workspace(tmp_path / f"{name}.workspace")
        settings = load_settings("default", ["pose.estimator=blazepose"])
        report = extract_all(find_all_sources([str(path)]), workspace, settings, quiet=True)
        [entry] = report.made
        return workspace.tracks_path(entry.clip)

    return extract


@pytest.fixture
def extracted(extract):
    return lambda *asked: load_tracks(extract(*asked))


@pytest.mark.parametrize("left", ["nothing", "zeros", "a part", "rows of zeros"])
def test_tracks_that_a_power_cut_has_spoilt_are_made_again(extract, caplog, left):
    path = extract("a.mp4", 2)
    good = path.read_bytes()
    at = good.index(b"keypoints.npy") + 256
    spoilt = {
        "nothing": b"",
        "zeros": bytes(len(good)),
        "a part": good[: len(good) // 4096 * 4096 - 4096],
        "rows of zeros": good[:at] + bytes(4096) + good[at + 4096 :],
    }[left]
    assert spoilt != good
    path.write_bytes(spoilt)
    assert extract("a.mp4", 2) == path
    assert path.read_bytes() == good
    assert "it is made again" in caplog.text


def test_the_stretches_between_holes_are_extracted_as_clips_of_their_own(extracted, caplog):
    holed = extracted("holed.mp4", 6, "setpts='PTS+if(gte(N,50),600/TB,0)+if(gte(N,100),5/TB,0)'")
    alone = extracted("alone.mp4", 2)
    assert holed.fps == pytest.approx(25, rel=1e-3)
    assert "2 holes in its time" in caplog.text
    stretch = stretch_numbers(holed.time_s, holed.fps)
    assert np.bincount(stretch).tolist() == [50, 50, 50]
    ids = []
    for number in range(3):
        rows = stretch[holed.frame] == number
        assert (holed.frame[rows] - 50 * number).tolist() == alone.frame.tolist()
        np.testing.assert_allclose(holed.keypoints[rows], alone.keypoints, atol=1e-4)
        ids.append(set(holed.track[rows].tolist()))
    assert len(set.union(*ids)) == sum(map(len, ids))  # nobody is followed through a hole
    assert len(Seen.from_clips([holed, alone]).scenes) == 1  # both show one scene
