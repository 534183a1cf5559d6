"""The tutorials and the README's commands run as they are written, on small clips of people who walk.

What a page shows is what runs, but for three things: trainings are small (`SMALL`), the estimator is one that sees the
walkers in any video, and what pip would install is put into a folder of the path.
"""

from __future__ import annotations

import json
import shutil
import tomllib

import numpy as np
import pytest

from pose_extract.formats import alphapose
from tests.helpers import ROOT, walkers
from tests.helpers.pages import blocks, command_lines, run, video
from tests.helpers.scarecrow import install_estimators
from tests.pipeline.live.helpers import MqttBroker, MqttListener, free_port, wait_for

TUTORIALS = ROOT / "docs" / "tutorials"
WITH_A_CAMERA = {"rtsp://camera/stream"}


def follow(page, change=lambda text: text, install=None):
    """Write the files of a page and run its commands, in order; returns how many ran."""
    ran = 0
    for block in blocks(page):
        if block.title:
            path = ROOT.__class__(block.title)
            path.parent.mkdir(exist_ok=True)
            path.write_text(change(block.text))
        if block.kind != "bash":
            continue
        for line in block.text.splitlines():
            if line.startswith("pip install"):
                assert install is not None, line
                install(line)
        for words in command_lines(block.text):
            run(words)
            ran += 1
    return ran


@pytest.fixture(scope="module")
def shop(walking, tmp_path_factory):
    """The folder of the first tutorial, after its commands."""
    folder = tmp_path_factory.mktemp("shop")
    walking.chdir(folder)
    for number, name in enumerate(("normal/a", "normal/b", "normal/c", "new/d", "new/e")):
        video(folder / f"{name}.mp4", grey=40 * number)
    assert follow(TUTORIALS / "shop.md") == 7
    return folder


def test_a_shop_with_one_camera(shop):
    assert {path.name for path in (shop / "scores").iterdir()} >= {"d.csv", "e.csv"}
    assert (shop / "review" / "index.html").is_file()


def test_the_commands_of_the_readme(shop, walking, tmp_path):
    walking.chdir(tmp_path)
    shutil.copytree(shop / "normal", tmp_path / "videos")
    shutil.copy(shop / "new" / "d.mp4", tmp_path / "video.mp4")
    lines = [
        words for words in command_lines((ROOT / "README.md").read_text()) if not WITH_A_CAMERA & set(words)
    ]
    assert [words[1] for words in lines] == ["extract", "train", "score", "report"]
    for words in lines:
        run(words)
    assert len((tmp_path / "scores.csv").read_text().splitlines()) == 121
    assert (tmp_path / "review" / "index.html").is_file()


def test_alphapose_files_of_shanghaitech(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    root = tmp_path / "ShanghaiTech"
    for part, names in {"train": ("01_001", "01_002", "01_003"), "test": ("01_0014",)}.items():
        (root / "pose" / part).mkdir(parents=True)
        alphapose.write((walkers.clip(name, people=8, frames=120) for name in names), root / "pose" / part)
    (root / "testing" / "test_frame_mask").mkdir(parents=True)
    np.save(root / "testing" / "test_frame_mask" / "01_0014.npy", np.arange(120) >= 60)
    assert follow(TUTORIALS / "alphapose.md") == 6
    for out in ("paper", "default"):
        assert json.loads((tmp_path / out / "evaluation.json").read_text())


def test_alarms_by_mqtt(shop, walking, tmp_path):
    walking.chdir(tmp_path)
    shutil.copytree(shop / "gepc-workspace", tmp_path / "gepc-workspace")
    shutil.copy(shop / "new" / "d.mp4", tmp_path / "recording.mp4")
    broker = MqttBroker(free_port())
    listener = MqttListener(broker.port)
    ran = follow(
        TUTORIALS / "mqtt.md",
        lambda text: text.replace("host: localhost", f"host: localhost, port: {broker.port}"),
        lambda line: None,  # the extra is one of the tests' own
    )
    assert ran == 4
    wait_for(lambda: listener.last("gepc/available") == "offline")  # after it has been online
    assert listener.last("gepc/door/status")
    assert all(
        json.loads(line)["camera"] == "door" for line in (tmp_path / "events.jsonl").read_text().splitlines()
    )
    listener.close()
    broker.close()


def test_your_own_pose_estimator(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def install(line):
        folder = tmp_path / line.split()[-1]
        points = tomllib.loads((folder / "pyproject.toml").read_text())["project"]["entry-points"]
        ((name, made),) = points["gepc.estimators"].items()
        module, _, cls = made.partition(":")
        install_estimators(tmp_path / "site", module, (folder / f"{module}.py").read_text(), **{name: cls})
        monkeypatch.syspath_prepend(tmp_path / "site")

    def people(offset):
        def draw(picture, number):
            for person in range(4) if number else ():
                x = int(20 + 150 * person + (2 + offset) * (number % 60))
                picture[120 + 20 * person : 260 + 20 * person, x : x + 50 + number % 7] = 200

        return draw

    for offset, name in enumerate(("normal/a.mp4", "normal/b.mp4", "normal/c.mp4")):
        video(tmp_path / name, draw=people(offset / 4))
    shutil.copy(tmp_path / "normal" / "a.mp4", tmp_path / "video.mp4")
    assert follow(TUTORIALS / "estimator.md", install=install) == 5
    assert len((tmp_path / "scores.csv").read_text().splitlines()) == 121
