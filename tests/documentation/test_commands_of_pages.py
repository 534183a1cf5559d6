"""Every command line that README and docs show is run as it stands there, page by page, in the page's order.

README and the tutorials are run by `test_tutorials.py`, which is their test of what comes out. Here a page finds a
folder with what it names: `normal/`, `video.mp4`, `recordings/`, masks, a model that was trained in seconds. `INSTEAD`
says what stands for what cannot be had here, `NOT_RUN` what is left out and why; nothing else is. A line that several
pages show to the letter is run once.
"""

from __future__ import annotations

import json
import re
import shutil

import cv2
import numpy as np
import pytest

from tests.helpers import ROOT
from tests.helpers.camera import camera
from tests.helpers.pages import blocks, command_lines, pages, run, video

GREY = np.full((360, 640, 3), 90, np.uint8)
ELSEWHERE = (
    "README.md",
    "tutorials/alphapose.md",
    "tutorials/estimator.md",
    "tutorials/mqtt.md",
    "tutorials/shop.md",
)

# Patterns of command lines that are not run here -> why, and what runs the like.
NOT_RUN = {
    "^weights": "fetches from npm and mirrors; test_weights_command.py, from a server of its own",
    "--pose openmmlab": "needs OpenMMLab, its weights, or a GPU; test_openmmlab_commands.py",
    "--pose blazepose": "blank videos have no poses to keep features of; test_patches_command.py",
    "patches.source=network": "the features of the line before",
    "^experiment": "hours, or published data; test_experiment_command.py, small",
    "--ray": "starts, or needs, a Ray cluster; test_jobs.py",
    "^doctor": "the tutorial on a shop runs it; --offline, tests of the doctor",
    "s3://": "videos of a server; test_remote.py",
    "--from-watch": "needs 1000 watched frames; test_watch_command.py",
    "^import dataset": "the lines of the tutorial on AlphaPose files",
    "--config shanghaitech": "the same",
}
# What stands in place of what a page names: cameras (a file is watched as a camera is), places, lengths.
INSTEAD = {
    r"(rtsp|http)://[\w:@.]+/(stream1|video\.mjpg)": "video.mp4",
    r"^/(var/lib|mnt)/": r"\1/",
    r"^240$": "0.12",  # minutes
    r"^clustering\.clusters=8,16,32$": "clustering.clusters=4",
}


@pytest.fixture(scope="module")
def prepared(walking, tmp_path_factory):
    """A folder with what pages name."""
    folder = tmp_path_factory.mktemp("prepared")
    walking.chdir(folder)
    for number, name in enumerate(("normal/a", "normal/b", "normal/c")):
        video(folder / f"{name}.mp4", grey=40 * number)
    for number, name in enumerate(("video", "recordings/d", "recordings/e", "night", "short")):
        video(folder / f"{name}.mp4", grey=20 + 40 * number, frames=120 if name != "short" else 6)
    for words in (
        "extract normal/",
        "train",
        "score recordings/ --out scores/",
        "score video.mp4 --out scores.csv",
    ):
        run(["gepc-pipeline", *words.split(), "--quiet"])
    for name, source in {"videos": "normal", "new": "recordings", "mnt/recordings/a": "normal"}.items():
        shutil.copytree(folder / source, folder / name)
    shutil.copytree(folder / "recordings", folder / "mnt" / "recordings" / "b")
    (folder / "masks").mkdir()
    for name in ("d", "e", "video"):
        np.save(folder / "masks" / f"{name}.npy", np.arange(120) >= 60)
    (folder / "abnormal.csv").write_text("clip,start_s,end_s\nd,2,4\nvideo,1.5,0:03\n")
    mark = {
        "clip": "video",
        "start_frame": 40,
        "end_frame": 60,
        "start_s": 1.7,
        "end_s": 2.5,
        "peak_s": 2.0,
        "verdict": "false",
    }
    (folder / "marks.json").write_text(json.dumps({"format": "gepc-marks", "version": 1, "marks": [mark]}))
    return folder


def adapted(words: list[str]) -> list[str]:
    """A command line with what stands for what cannot be had here."""
    for pattern, instead in INSTEAD.items():
        words = [re.sub(pattern, instead, word) for word in words]
    return words


def why_not(words: list[str]) -> str:
    """Why a command line is not run; "" of one that is."""
    line = " ".join(words[1:])
    return next((why for pattern, why in NOT_RUN.items() if re.search(pattern, line)), "")


RUN_ELSEWHERE = [
    words
    for name in ELSEWHERE
    for words in command_lines((ROOT / ("" if name == "README.md" else "docs") / name).read_text())
]
PAGES = [page for page in pages() if str(page.relative_to(ROOT)).removeprefix("docs/") not in ELSEWHERE]


def lines_once():
    """Page -> its command lines that are run, each by the first page that shows it."""
    ran = list(RUN_ELSEWHERE)
    found = {}
    for page in PAGES:
        found[page] = []
        for words in command_lines(page.read_text()):
            if not why_not(words) and words not in ran:
                ran.append(words)
                found[page].append(words)
    return found


LINES = lines_once()


@pytest.mark.slow
@pytest.mark.parametrize("page", [page for page in PAGES if LINES[page]], ids=lambda page: page.stem)
def test_the_commands_of_a_page_run_in_their_order(page, prepared, walking, tmp_path):
    shutil.copytree(prepared, tmp_path, dirs_exist_ok=True)
    walking.chdir(tmp_path)
    if page.stem == "datasets":
        shanghaitech(tmp_path / "ShanghaiTech")
    for block in blocks(page):
        if block.kind == "yaml" and "cameras:" in block.text and not (tmp_path / "watch.yaml").exists():
            text = re.sub(r"source: \S+", "source: video.mp4", block.text)
            (tmp_path / "watch.yaml").write_text(re.sub(r"model: \S+.*", "model: gepc-workspace/model", text))
    for words in LINES[page]:
        run_one(adapted(words))


def run_one(words):
    if "--live" in words:  # some seconds of a camera
        with camera([GREY] * 200, pause_s=0.04) as address:
            run([address if word == "video.mp4" else word for word in words])
    elif "builtin:walkers" in words:  # its people are looked for by a real estimator
        run(["short.mp4" if word == "video.mp4" else word for word in words])
    else:
        run(words)


def shanghaitech(root):
    """Videos, numbered images and masks as ShanghaiTech has them."""
    (root / "testing" / "test_frame_mask").mkdir(parents=True)
    for number in range(3):
        video(root / "training" / "videos" / f"01_00{number}.avi", grey=40 * number)
    for grey, name in ((90, "d"), (120, "e")):  # of one content they were one clip
        (root / "testing" / "frames" / name).mkdir(parents=True)
        np.save(root / "testing" / "test_frame_mask" / f"{name}.npy", np.arange(120) >= 60)
        for number in range(120):
            cv2.imwrite(
                str(root / "testing" / "frames" / name / f"{number:03}.jpg"), np.full_like(GREY, grey)
            )


def test_what_is_left_out_is_there():
    """A line that no page shows any more needs no reason."""
    lines = [" ".join(words[1:]) for page in PAGES for words in command_lines(page.read_text())]
    for pattern in NOT_RUN:
        assert any(re.search(pattern, line) for line in lines), pattern
    words = [word for line in lines for word in line.split()]
    for pattern in INSTEAD:
        assert any(re.search(pattern, word) for word in words), pattern
