"""The Python API: what docs/api.md shows runs as it stands there."""

from __future__ import annotations

import re
import subprocess
import sys

import numpy as np
import pytest

from pose_extract.errors import GepcError, OutputError, UsageError
from pose_extract.estimators.base import PoseEstimator
from pose_extract.tracks.records import PoseDetections
from tests.helpers import ROOT

DOCS = ROOT / "docs" / "api.md"


def test_importing_the_package_loads_nothing_heavy():
    code = (
        "import sys, pipeline; from pipeline import cli; "
        "heavy = {'torch', 'numpy', 'cv2', 'scipy', 'sklearn', 'mmengine'} & set(sys.modules); "
        "assert not heavy, heavy; "
        "from pipeline import extract, score, train; assert 'torch' not in sys.modules; "
        "import pipeline.commands.extract, pipeline.extraction.run, pipeline.scoring.scorer; "
        "from pipeline import extract as again; assert again is extract and callable(extract)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("name", ["masks", "workspace/tracks", "model"])
def test_results_are_not_put_among_what_is_read(tmp_path, name):
    from pipeline import evaluate

    masks, workspace, model = (tmp_path / each for each in ("masks", "workspace", "model"))
    with pytest.raises(OutputError, match="is the input that is read"):
        evaluate(masks, workspace, models=[model], out=tmp_path / name)


def test_what_is_not_there_is_no_attribute():
    import pipeline

    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        pipeline.nothing  # noqa: B018
    with pytest.raises(ImportError):
        from pipeline import nothing  # noqa: F401


class Walking(PoseEstimator):
    """Sees two people of the street in any video, at the places where the street has them at that time."""

    name = "blazepose"
    skeleton = "coco17"
    batch_size = 8

    def __init__(self, name, *settings) -> None:
        from pipeline.synthetic.clips import simulate_clip
        from pipeline.synthetic.street.scene import StreetSettings

        self._truth = simulate_clip("walk", 0, StreetSettings(seconds=8)).truth
        self.identity = {"name": "walking"}
        self.timings = {}

    def start(self, fps, frame_size) -> None:
        pass

    def estimate(self, frames):
        truth = self._truth
        found = []
        for frame in frames:
            rows = truth.frame == frame.index
            people = PoseDetections(truth.boxes[rows], truth.keypoints[rows], np.ones(rows.sum(), np.float32))
            found.append(people)
        return found


@pytest.fixture
def videos(make_video, tmp_path, monkeypatch):
    """A folder to work in, with ``normal/`` and ``video.mp4``; a model of it trains in seconds."""
    import shutil

    from pipeline.api import stream
    from pipeline.extraction import spread as extraction
    from pipeline.settings import config as settings
    from tests.helpers.commands import TINY

    (tmp_path / "normal").mkdir()
    for number in range(2):  # of other lengths, or they were one content
        video = make_video(f"n{number}.mp4", frames=180 + number, size=(640, 360), fps=24)
        shutil.copy(video, tmp_path / "normal")
    shutil.copy(make_video("video.mp4", frames=100, size=(640, 360), fps=24), tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(extraction, "chosen_estimator", lambda name: name)
    monkeypatch.setattr(extraction, "create_estimator", Walking)
    monkeypatch.setattr(stream, "chosen_estimator", lambda name: name)
    monkeypatch.setattr(stream, "create_estimator", Walking)
    load = settings.load_settings
    tiny = [text.removeprefix("--set=") for text in TINY]
    monkeypatch.setattr(settings, "load_settings", lambda name, texts: load(name, [*tiny, *texts]))


def test_the_examples_of_the_documentation_run(videos, capsys):
    blocks = re.findall(r"```python\n(.*?)```", DOCS.read_text(), re.DOTALL)
    assert len(blocks) == 5
    names: dict[str, object] = {}
    for block in blocks:
        exec(compile(block, str(DOCS), "exec"), names)
    out = capsys.readouterr().out
    assert "2 new, 0 there already" in out
    assert "of 100 frames" in out
    clip = names["clip"]
    for name in ("report", "learned", "clip", "model", "stream", "pushed"):
        assert re.fullmatch(r"<\w+.{9,150}>", repr(names[name])), name
    frames, rows = len(clip.time_s), len(clip.tracks)
    assert frames == names["known"] == 100
    assert len(names["table"]) == 100
    for name in ("score", "percentile", "alarm", "people", "track_id"):
        assert getattr(clip, name).shape == (frames,)
    assert clip.row_score.shape == clip.row_percentile.shape == (rows,)
    assert (clip.alarm == (clip.score > clip.threshold)).all()
    assert (np.bincount(clip.tracks.frame, minlength=frames) == clip.people).all()


def test_the_api_says_what_the_command_says(truth_workspace, cli, tmp_path):
    from pipeline import score

    tracks = truth_workspace / "tracks" / "normal_0.npz"
    clip = score(tracks, truth_workspace)
    cli("score", "--workspace", truth_workspace, "--tracks", tracks, "--out", tmp_path / "s.csv")
    csv = np.loadtxt(tmp_path / "s.csv", delimiter=",", skiprows=1)
    np.testing.assert_allclose(clip.score, csv[:, 2], atol=1e-6)
    assert (clip.alarm == (csv[:, 4] == 1)).all()


def test_errors_are_the_commands_own(truth_workspace, tmp_path):
    from pipeline import extract, score, train

    with pytest.raises(GepcError, match="nothing to train on"):
        train(tmp_path / "none")
    with pytest.raises(GepcError):
        extract(tmp_path / "none.mp4", tmp_path / "ws")
    with pytest.raises(GepcError, match="no model in"):
        score("video.mp4", tmp_path / "none")
    for name in ("a.mp4", "b.mp4"):
        (tmp_path / name).write_bytes(b"x")
    with pytest.raises(UsageError, match="holds 2; call it for each"):
        score(tmp_path, truth_workspace)
