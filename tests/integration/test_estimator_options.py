"""Which estimator the commands run, with which settings, and how they feed it."""

from __future__ import annotations

import json
import shutil
import threading
import time

import numpy as np
import pytest

from pipeline.cli import main
from pipeline.extraction import clip as extraction
from pipeline.extraction import people, spread
from pipeline.extraction.run import extract_all, find_all_sources
from pipeline.settings import Settings, load_settings
from pipeline.training import _common_settings
from pipeline.workspace import Workspace
from pose_extract.errors import EstimatorError
from pose_extract.estimators.base import PoseEstimator
from pose_extract.tracks.cache import load_header, load_tracks
from pose_extract.tracks.records import PoseDetections
from tests.helpers.bundles import without_digests
from tests.helpers.processes import own_children
from tests.helpers.scarecrow import install


class Standing(PoseEstimator):
    """Sees somebody who stands still, and remembers how it was made and what it was given."""

    name = "openmmlab"
    skeleton = "coco17"
    network_stages = ("pose",)
    made: list[tuple] = []  # noqa: RUF012  (shared: extraction makes the estimator itself)

    def __init__(self, name, settings, batch_size=5, fails_at=None) -> None:
        self.made.append((name, settings))
        self.batch_size, self.fails_at = batch_size, fails_at
        self.identity = {"name": "standing"}
        self.timings = {"pose": 0.0}
        self.batches: list[list[int]] = []

    def start(self, fps, frame_size) -> None:
        self.batches.append([])

    def estimate(self, frames):
        self.batches[-1].append(len(frames))
        if self.fails_at is not None and frames[-1].index >= self.fails_at:
            raise EstimatorError("no more memory on the device. Expected room for 16 frames")
        self.timings["pose"] += 1e-6
        keypoints = np.full((1, 17, 3), 0.9, np.float32)
        keypoints[0, :, 0] = 40 + np.arange(17)
        keypoints[0, :, 1] = 30 + 3 * np.arange(17)
        features = np.full((1, 17, 4), 0.1, np.float32)
        one = PoseDetections(
            np.array([[38, 28, 58, 80]], np.float32), keypoints, np.ones(1, np.float32), features
        )
        return [one for _ in frames]


@pytest.fixture
def standing(monkeypatch):
    """Extraction makes a `Standing`; the list of what it was made with."""
    monkeypatch.setattr(Standing, "made", [])
    monkeypatch.setattr(spread, "chosen_estimator", lambda name: name)
    monkeypatch.setattr(spread, "create_estimator", Standing)
    return Standing.made


ON_A_GPU = ("pose.estimator=openmmlab", "openmmlab.model=rtmpose-s", "openmmlab.device=cuda:7")


@pytest.fixture
def trained_with_openmmlab(truth_workspace, tmp_path):
    """A workspace whose model says that its clips were extracted on a GPU by an OpenMMLab model."""
    root = tmp_path / "workspace"
    shutil.copytree(truth_workspace, root)
    path = root / "model" / "card.json"
    card = json.loads(without_digests(root / "model").joinpath("card.json").read_text())
    card["tracks"] = load_settings("default", ON_A_GPU).for_tracks
    path.write_text(json.dumps(card))
    return root


def test_extract_takes_the_pose_model_and_the_device(standing, empty_scene, cli, tmp_path):
    result = cli(
        "extract", empty_scene, "--workspace", tmp_path, "--pose", "openmmlab:rtmpose-m", "--device", "cuda:1"
    )
    assert result.code == 0, result.err
    ((name, settings),) = standing
    assert name == "openmmlab"
    assert (settings.model, settings.device) == ("rtmpose-m", "cuda:1")


def test_pose_and_device_win_over_set_and_leave_the_rest(standing, empty_scene, cli, tmp_path):
    more = (
        "--set",
        "openmmlab.device=cpu",
        "--set",
        "openmmlab.max_people=3",
        "--set=openmmlab.model=rtmo-s",
    )
    assert (
        cli("extract", empty_scene, "--workspace", tmp_path, "--pose=openmmlab", "--device=mps", *more).code
        == 0
    )
    ((_, settings),) = standing
    assert (settings.model, settings.device, settings.max_people) == ("rtmo-s", "mps", 3)


@pytest.mark.parametrize("pose", ["blazepose", "openmmlab"])
@pytest.mark.parametrize("name", ["tpu", "cuda:", "cuda:x", "cpu:1", "CUDA", ""])
def test_a_device_that_does_not_exist_is_told_before_anything_runs(cli, tmp_path, pose, name):
    result = cli("extract", "v.mp4", "--workspace", tmp_path, "--pose", pose, "--device", name)
    assert result.code == 2
    assert f"unknown device {name!r}; expected cpu, cuda, cuda:N, mps or auto" in result.err


def test_help_says_that_blazepose_stays_on_the_cpu(capsys):
    for command in ("extract", "score"):
        with pytest.raises(SystemExit):
            main([command, "--help"])
        assert "movenet and blazepose always run on the CPU" in " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize("options", [(), ("--device", "cpu")])
def test_score_runs_the_estimator_of_the_training_on_the_device_asked_for(
    standing, trained_with_openmmlab, empty_scene, cli, tmp_path, options
):
    out = tmp_path / "s.csv"
    result = cli("score", empty_scene, "--out", out, "--workspace", trained_with_openmmlab, *options)
    assert result.code == 0, result.err
    ((name, settings),) = standing
    assert name == "openmmlab"
    assert settings.model == "rtmpose-s"
    assert settings.device == (options[1] if options else "auto")


def test_score_can_be_told_another_device_for_the_pose_model_alone(
    standing, trained_with_openmmlab, empty_scene, cli, tmp_path
):
    options = ("--out", tmp_path / "s.csv", "--device=cpu", "--set", "openmmlab.device=cuda:1")
    assert cli("score", empty_scene, "--workspace", trained_with_openmmlab, *options).code == 0
    assert standing[0][1].device == "cuda:1"


@pytest.mark.parametrize(
    ("override", "fits"),
    [("openmmlab.device=cpu", True), ("openmmlab.people_per_batch=3", True), ("tracking.min_hits=1", False)],
)
def test_what_training_passes_on_is_that_of_its_clips(
    standing, empty_scene, caplog, tmp_path, override, fits
):
    """Clips fit together if the same pose model and the same settings made them, on whatever device."""
    workspace = Workspace(tmp_path)
    for number, more in enumerate(((), (override,))):
        video = tmp_path / f"v{number}.mp4"
        video.write_bytes(empty_scene.read_bytes() + bytes(number))
        settings = load_settings("default", [*ON_A_GPU, *more])
        extract_all(find_all_sources([str(video)]), workspace, settings, quiet=True)
    found = _common_settings(workspace, workspace.training_clips(), Settings())
    assert found["pose"]["estimator"] == "openmmlab"
    assert found["openmmlab"]["model"] == "rtmpose-s"
    assert ("different settings" in caplog.text) == (not fits)


def test_a_video_whose_people_were_found_by_another_estimator_is_extracted_again_and_that_is_said(
    empty_scene, caplog, tmp_path, monkeypatch
):
    estimator = Standing("openmmlab", None)
    run(tmp_path, empty_scene, estimator, monkeypatch)
    assert "before" not in caplog.text
    estimator.identity = {"name": "sitting"}
    assert len(run(tmp_path, empty_scene, estimator, monkeypatch).made) == 1
    assert "found by standing before, and are found by sitting now" in caplog.text
    assert len(Workspace(tmp_path).training_clips()) == 1


# -- how the estimator is fed ------------------------------------------------------------------------------------------


def run(workspace, video, estimator, monkeypatch, settings=None):
    monkeypatch.setattr(spread, "chosen_estimator", lambda name: name)
    monkeypatch.setattr(spread, "create_estimator", lambda *_: estimator)
    return extract_all(
        find_all_sources([str(video)]), Workspace(workspace), settings or Settings(), quiet=True
    )


@pytest.mark.parametrize("batch_size", [1, 5, 12, 100])
def test_frames_come_in_full_batches_and_a_last_one(empty_scene, tmp_path, monkeypatch, batch_size):
    estimator = Standing("openmmlab", None, batch_size)
    report = run(tmp_path, empty_scene, estimator, monkeypatch)
    assert report.made[0].frames == 12
    full, rest = divmod(12, batch_size)
    assert estimator.batches[-1] == [batch_size] * full + [rest] * (rest > 0)


def test_the_next_frames_are_decoded_while_the_estimator_works(empty_scene, tmp_path, monkeypatch):
    decoded = []

    class Reader(extraction.VideoReader):
        def __iter__(self):
            for frame in super().__iter__():
                decoded.append(frame.index)
                yield frame

    class Slow(Standing):
        def estimate(self, frames):
            deadline = time.monotonic() + 10
            while len(decoded) < min(12, frames[-1].index + 1 + 4) and time.monotonic() < deadline:
                time.sleep(0.005)
            ahead.append(len(decoded) - frames[-1].index - 1)
            return super().estimate(frames)

    ahead: list[int] = []
    monkeypatch.setattr(extraction, "VideoReader", Reader)
    run(tmp_path, empty_scene, Slow("openmmlab", None, 2), monkeypatch)
    assert all(4 <= n <= 6 for n in ahead[:4])  # those that wait, one in the thread's hands, one looked at
    assert ahead[-1] == 0


def test_batches_have_no_effect_on_the_file(empty_scene, tmp_path, monkeypatch):
    for batch_size in (1, 5, 12):
        run(tmp_path / str(batch_size), empty_scene, Standing("openmmlab", None, batch_size), monkeypatch)
    files = {(tmp_path / str(n) / "tracks" / "empty.npz").read_bytes() for n in (1, 5, 12)}
    assert len(files) == 1


def test_features_of_the_estimator_are_in_the_cache(empty_scene, tmp_path, monkeypatch):
    run(tmp_path, empty_scene, Standing("openmmlab", None), monkeypatch)
    tracks = load_tracks(tmp_path / "tracks" / "empty.npz")
    assert len(tracks) == 12
    assert tracks.features.dtype == np.float16
    np.testing.assert_allclose(tracks.features, 0.1, rtol=1e-3)


def test_the_times_of_the_stages_add_up_to_the_whole(empty_scene, tmp_path, monkeypatch):
    report = run(tmp_path, empty_scene, Standing("openmmlab", None), monkeypatch)
    assert set(report.timings) == {
        "loading", "opening", "decoding", "openmmlab.pose", "estimating", "tracking", "writing",
    }  # fmt: skip
    assert all(seconds > 0 for seconds in report.timings.values())
    assert sum(report.timings.values()) == pytest.approx(report.seconds, rel=0.05)


def test_an_estimator_that_fails_leaves_no_thread_no_decoder_and_no_file(street_video, tmp_path, monkeypatch):
    with pytest.raises(EstimatorError):
        run(tmp_path, street_video, Standing("openmmlab", None, 2, fails_at=3), monkeypatch)
    assert "prefetch" not in {thread.name for thread in threading.enumerate()}
    assert own_children() == []
    assert not list((tmp_path / "tracks").glob("street*"))


@pytest.mark.parametrize(
    ("batch_size", "frame_size", "ahead"),
    [
        (1, (640, 360), 4),
        (16, (1920, 1080), 16),
        (16, (3840, 2160), 10),
        (128, (640, 360), 128),
        (1, (16384, 16384), 1),
    ],
)
def test_frames_that_wait_are_few_where_they_are_large(batch_size, frame_size, ahead):
    assert people._frames_ahead(batch_size, frame_size) == ahead


def test_another_package_s_estimator_extracts_and_its_options_are_recorded(
    monkeypatch, empty_scene, cli, tmp_path
):
    install(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    options = ("--pose", "scarecrow", "--set", "pose.options={height: 30}")
    result = cli("extract", empty_scene, "--workspace", tmp_path / "w", *options)
    assert result.code == 0, result.err
    (path,) = (tmp_path / "w" / "tracks").glob("*.npz")
    tracks = load_tracks(path)
    assert (tracks.num_tracks, len(tracks)) == (1, 12)
    assert tracks.boxes[0].tolist() == [40, 20, 60, 50]
    provenance = load_header(path)["provenance"]
    assert provenance["estimator"] == {"name": "scarecrow", "height": "30"}
    assert provenance["settings"]["pose"] == {"estimator": "scarecrow", "options": {"height": 30}}
    assert "were done before" in cli("extract", empty_scene, "--workspace", tmp_path / "w", *options).out
