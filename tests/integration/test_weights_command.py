"""`gepc-pipeline weights` fetches what an estimator needs and says where it is."""

from __future__ import annotations

import hashlib
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import pytest

from pipeline import progress
from pose_extract.estimators.movenet import weights
from pose_extract.estimators.openmmlab import names
from pose_extract.estimators.openmmlab.names import ModelSource


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


@pytest.fixture
def published(tmp_path, monkeypatch):
    """A server of published weights, and the names that lead there: {role: name of the file}."""
    folder = tmp_path / "served"
    folder.mkdir()
    files = {}
    for role in ("pose", "detector"):
        content = role.encode() * 1000
        files[role] = f"{role}-{hashlib.sha256(content).hexdigest()[:8]}_20230504.pth"
        (folder / files[role]).write_bytes(content)
    monkeypatch.setenv("GEPC_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    asked = []

    def source(role, settings):
        asked.append((role, settings.model))
        config = tmp_path / settings.model / "config.py"
        config.parent.mkdir(exist_ok=True)
        config.write_text("model = dict(type='TopdownPoseEstimator')")
        checkpoint = settings.checkpoint if role == "pose" else settings.detector_checkpoint
        url = f"http://127.0.0.1:{server.server_port}/{files[role]}"
        return ModelSource(role, config, checkpoint or url)

    monkeypatch.setattr(names, "pose_source", partial(source, "pose"))
    monkeypatch.setattr(names, "detector_source", partial(source, "detector"))
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder))) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield files, asked
        server.shutdown()
        thread.join()


def test_without_options_the_networks_of_the_best_embedded_estimator_are_fetched(cli, monkeypatch, tmp_path):
    monkeypatch.setattr(
        weights, "ensure_weights", lambda: {"nanodet": tmp_path / "b", "lightning": tmp_path / "a"}
    )
    result = cli("weights")
    assert (result.code, result.out) == (0, f"lightning: {tmp_path / 'a'}\nnanodet: {tmp_path / 'b'}\n")


def test_the_models_of_openmmlab_are_fetched_and_their_places_printed(cli, published, tmp_path, monkeypatch):
    monkeypatch.setattr(progress, "_PLAIN_EVERY_S", 0.0)
    files, asked = published
    result = cli("weights", "--pose", "openmmlab:rtmpose-m")
    folder = tmp_path / "cache" / "weights"
    assert result.code == 0
    assert result.out == f"detector: {folder / files['detector']}\npose: {folder / files['pose']}\n"
    assert all((folder / name).is_file() for name in files.values())
    assert asked == [("pose", "rtmpose-m"), ("detector", "rtmpose-m")]
    assert f"fetch {files['pose']}: " in result.err
    for name in files.values():
        (folder / name).unlink()
    assert cli("weights", "--pose", "openmmlab:rtmpose-m", "--quiet").err == ""


def test_a_one_stage_model_needs_no_detector(cli, published):
    files, _ = published
    result = cli("weights", "--set", "pose.estimator=openmmlab", "--set", "openmmlab.model=rtmo")
    assert result.code == 0
    assert files["pose"] in result.out
    assert "detector" not in result.out


def test_a_checkpoint_of_one_s_own_is_looked_for_and_not_fetched(cli, published, tmp_path):
    own = tmp_path / "own.pth"
    options = ("--pose", "openmmlab", "--set", f"openmmlab.checkpoint={own}")
    result = cli("weights", *options)
    assert result.code == 6
    assert f"no file {own}" in result.err
    own.write_bytes(b"x")
    assert f"pose: {own}\n" in cli("weights", *options).out


def test_offline_it_says_what_to_put_where(cli, published, monkeypatch, tmp_path):
    files, _ = published
    (tmp_path / "served" / files["detector"]).unlink()
    result = cli("weights", "--pose", "openmmlab")
    assert result.code == 6
    for text in (files["detector"], str(tmp_path / "cache" / "weights"), "GEPC_CACHE_DIR", "404"):
        assert text in result.err


def test_an_unknown_estimator_is_told(cli):
    result = cli("weights", "--pose", "openmlab")
    assert result.code == 3
    assert "openmmlab" in result.err
