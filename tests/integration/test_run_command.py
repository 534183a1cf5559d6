"""Extract, train, score and report in one command."""

import json

import numpy as np
import pytest

from pipeline.settings import load_settings
from pipeline.training import is_trained
from pipeline.workspace import Workspace
from pose_extract.video import VideoWriter
from tests.helpers.commands import TINY
from tests.helpers.scarecrow import install_estimators

POSES = """
import numpy as np
from pose_extract.estimators.base import PoseEstimator
from pose_extract.tracks.records import PoseDetections
from tests.helpers import walkers


class Replay(PoseEstimator):
    \"\"\"Sees the same walkers in every video.\"\"\"

    name, skeleton, network_stages = "replay", walkers.clip().skeleton, ()

    def __init__(self, options=None):
        self.identity, self.timings = {"name": self.name}, {}
        self.tracks = walkers.clip("walk", people=8, frames=120)

    def start(self, fps, frame_size):
        pass

    def estimate(self, frames):
        found = []
        for frame in frames:
            rows = self.tracks.frame == frame.index
            scores = np.ones(rows.sum(), np.float32)
            found.append(PoseDetections(self.tracks.boxes[rows], self.tracks.keypoints[rows], scores))
        return found
"""


@pytest.fixture
def videos(tmp_path, monkeypatch):
    """Three normal videos and two new ones, one of which is none."""
    install_estimators(tmp_path / "site", "replay_poses", POSES, replay="Replay")
    monkeypatch.syspath_prepend(tmp_path / "site")
    for number, path in enumerate(("normal/a", "normal/b", "normal/c", "new/d")):
        (tmp_path / path).parent.mkdir(exist_ok=True)
        with VideoWriter(tmp_path / f"{path}.mp4", 24, (640, 360)) as writer:
            for _ in range(120):
                writer.write(np.full((360, 640, 3), 40 * number, np.uint8))
    (tmp_path / "new" / "e.mp4").write_bytes(b"no video")
    return tmp_path


def run(cli, videos, new):
    return cli(
        "run", videos / "normal", videos / new, "--out", videos / "review", "--workspace", videos / "workspace",
        "--set", "pose.estimator=replay", *TINY, "--quiet",
    )  # fmt: skip


def test_one_command_ends_with_scores_and_the_page_and_does_nothing_twice(cli, videos):
    result = run(cli, videos, "new")
    assert result.code == 4, result.err  # one of the new ones is no video
    assert "1 of 2 videos could not be used" in result.err
    steps = [line for line in result.out.splitlines() if line[1:3] == "/3"]
    assert steps == ["1/3 extract", "2/3 train", "3/3 score"]
    scores = videos / "review" / "scores"
    names = ["d.csv", "d.events.csv", "d.events.json", "d.events.vtt", "events.csv"]
    assert sorted(path.name for path in scores.iterdir()) == names
    assert (videos / "review" / "index.html").is_file()
    model = videos / "workspace" / "model" / "card.json"
    trained, before = model.stat().st_mtime_ns, (scores / "d.csv").read_bytes()
    assert json.loads(model.read_text())["poses_of"] == ["replay"]
    again = run(cli, videos, "new/d.mp4")
    assert again.code == 0, again.err
    assert "2/3 train: the model is there" in again.out
    assert "(3 were done before)" in again.out
    assert model.stat().st_mtime_ns == trained
    assert (scores / "d.csv").read_bytes() == before
    assert sorted(path.name for path in scores.iterdir()) == names  # one video's are called as several are


def test_a_model_of_other_clips_settings_or_seed_is_trained_anew(truth_workspace):
    workspace, overrides = Workspace(truth_workspace), [text.removeprefix("--set=") for text in TINY]
    assert is_trained(workspace, load_settings("default", overrides))
    assert not is_trained(workspace, load_settings("default", overrides), seed=1)
    assert not is_trained(workspace, load_settings("default", [*overrides, "clustering.clusters=5"]))
    assert not is_trained(workspace, load_settings("default", [*overrides, "cleaning.smooth_s=0.1"]))
    assert not is_trained(workspace, load_settings("default", [*overrides, "events.min_s=0.9"]))
    assert not is_trained(Workspace(truth_workspace / "nothing"), load_settings("default", overrides))


def test_nothing_is_trained_where_no_normal_video_can_be_used(cli, videos):
    wrong = videos / "new" / "e.mp4"
    result = cli("run", wrong, videos / "new", "--out", videos / "review", "--workspace", videos / "w")
    assert result.code == 4
    assert "e.mp4 is not a video" in result.err
    assert "train" not in result.out


def test_a_place_that_cannot_take_the_page_is_said_before_anything_is_done(cli, tmp_path):
    (tmp_path / "file").write_text("mine")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "index.html").write_text("mine")
    for place in ("file", "folder"):
        result = cli("run", tmp_path, tmp_path, "--out", tmp_path / place, "--workspace", tmp_path / "w")
        assert (result.code, result.out) == (9, "")
    assert not (tmp_path / "w").exists()


def test_new_videos_that_are_not_there_are_said_before_anything_is_done(cli, tmp_path):
    (tmp_path / "normal").mkdir()
    (tmp_path / "normal" / "v.mp4").write_bytes(b"no video")
    result = cli(
        "run", tmp_path / "normal", tmp_path / "none", "--out", tmp_path / "r", "--workspace", tmp_path / "w"
    )
    assert (result.code, result.out) == (4, "")
    assert f"{tmp_path / 'none'}: there is no such file" in result.err
    assert not (tmp_path / "w").exists()
