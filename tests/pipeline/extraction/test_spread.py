"""Extraction by several processes: of copies, of clips that are there, and what is left when it ends early."""

import os
import pty
import subprocess
import sys
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import pytest

from pipeline.extraction import spread
from pipeline.extraction.copies import first_and_copies
from pipeline.extraction.run import extract_all, find_all_sources
from pipeline.processes import locked
from pipeline.progress import stage
from pipeline.settings import load_settings
from pipeline.workers import Cluster, Done
from pipeline.workspace import Workspace
from pose_extract.errors import BusyError
from tests.helpers import ROOT
from tests.helpers.processes import own_children
from tests.helpers.scarecrow import install, install_estimators

CLUMSY = """
import os, signal, time
from scarecrow_poses import Scarecrow


class Slow(Scarecrow):
    def estimate(self, frames):
        time.sleep(0.5)
        return super().estimate(frames)


class Clumsy(Scarecrow):
    '''Finds what the other one finds; killed by a black picture.'''

    def __init__(self, options=None):
        super().__init__(options)
        self.identity = {"name": "scarecrow", "height": str(self.height)}

    def estimate(self, frames):
        if frames[0].image.max() == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().estimate(frames)
"""


@pytest.fixture
def site(tmp_path, monkeypatch):
    """Where the scarecrow is installed, and one that is slow."""
    install(tmp_path / "site")
    install_estimators(tmp_path / "site", "clumsy_poses", CLUMSY, slow="Slow")
    monkeypatch.syspath_prepend(tmp_path / "site")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "site"), prepend=os.pathsep)
    return tmp_path / "site"


@pytest.fixture
def clips(tmp_path):
    """Make a clip of a picture for each name and number, which stands for its content; 0 is black."""

    def clips(**numbers):
        for name, number in numbers.items():
            folder = tmp_path / "videos" / name
            folder.mkdir(parents=True)
            pictures = np.random.default_rng(number)
            for frame in range(2):
                image = pictures.integers(1, 255, (64, 64, 3), np.uint8) * (number > 0)
                cv2.imwrite(str(folder / f"{frame}.bmp"), image)  # all of one size
        return find_all_sources([str(tmp_path / "videos" / name) for name in numbers])

    return clips


def settings(pose="scarecrow"):
    return load_settings("default", [f"pose.estimator={pose}", "video.fps=25", "things.find=false"])


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_copy_is_extracted_once_under_the_name_that_comes_first(tmp_path, site, clips, jobs):
    sources = clips(a1=1, b1=1, a2=2, b2=2, a3=3)
    workspace = Workspace(tmp_path / "w", wait=False)
    report = extract_all(sources, workspace, settings("slow"), quiet=True, jobs=jobs)
    assert report.failed == ()
    assert [entry.clip for entry in report.made] == ["a1", "a2", "a3"]
    assert [entry.clip for entry in report.reused] == ["a1", "a2"]
    assert [entry.clip for entry in workspace.training_clips()] == ["a1", "a2", "a3"]
    assert len(list(workspace.tracks.glob("*.npz"))) == 3


def test_only_videos_that_look_alike_are_read(tmp_path, monkeypatch):
    def source(name, content):
        (tmp_path / name).write_bytes(content)
        return find_all_sources([str(tmp_path / name)])[0]

    read = []
    real = spread.first_and_copies.__globals__["content_hash"]
    monkeypatch.setattr(
        "pipeline.extraction.copies.content_hash", lambda one: read.append(one.name) or real(one)
    )
    long = bytes(1 << 16)
    sources = [
        source("a.mp4", b"one"),
        source("b.mp4", b"two"),
        source("c.mp4", long + b"1"),
        source("d.mp4", long + b"2"),
        source("e.mp4", long + b"1"),
        source("f.mp4", b"longer"),
    ]
    (tmp_path / "f.mp4").unlink()
    first, copies = first_and_copies(sources)
    assert [one.name for one in first] == ["a", "b", "c", "d", "f"]
    assert [one.name for one in copies] == ["e"]
    assert read == ["c", "d", "e"]


def test_training_clips_of_a_worker_that_is_killed_afterwards_are_in_the_list(tmp_path, site, clips):
    numbers = {f"c{number}": number for number in range(1, 7)}
    workspace = Workspace(tmp_path / "w")
    extract_all(clips(**numbers), workspace, settings(), train=False, quiet=True)
    assert workspace.training_clips() == []
    points = site / "scarecrow_poses-1.0.dist-info" / "entry_points.txt"
    points.write_text("[gepc.estimators]\nscarecrow = clumsy_poses:Clumsy\n")
    sources = [*find_all_sources([str(tmp_path / "videos")]), *clips(z1=0)]
    report = extract_all(sources, workspace, settings(), quiet=True, jobs=2)
    assert [name for name, _ in report.failed] == ["z1"]
    assert [entry.clip for entry in workspace.training_clips()] == list(numbers)


def test_what_was_scored_first_and_extracted_then_is_learned_from_though_the_list_be_lost(
    tmp_path, site, clips
):
    sources, workspace = clips(a=1), Workspace(tmp_path / "w")
    extract_all(sources, workspace, settings(), train=False, quiet=True)
    extract_all(sources, workspace, settings(), quiet=True)
    [entry] = workspace.training_clips()
    (workspace.tracks / "manifest.json").unlink()
    assert workspace.training_clips() == [entry]


def test_that_another_video_is_in_the_place_of_one_is_said(tmp_path, site, clips, caplog):
    caplog.set_level("INFO")
    workspace = Workspace(tmp_path / "w")
    extract_all(clips(a=1), workspace, settings(), quiet=True)
    assert "that is replaced" not in caplog.text
    cv2.imwrite(str(tmp_path / "videos" / "a" / "0.bmp"), np.full((64, 64, 3), 7, np.uint8))
    sources = find_all_sources([str(tmp_path / "videos" / "a")])
    [entry] = extract_all(sources, workspace, settings(), quiet=True).made
    assert workspace.entries() == [entry]
    assert (
        "a: it was extracted before, as another video or with other settings; that is replaced" in caplog.text
    )


@pytest.mark.parametrize("spoilt", [False, True])
def test_what_is_only_scored_takes_no_clip_from_training(tmp_path, site, clips, spoilt):
    """With other settings a scored clip has a place of its own; what was spoilt is made again, and still learned."""
    sources, workspace = clips(a=1), Workspace(tmp_path / "w")
    [there] = extract_all(sources, workspace, settings(), quiet=True).made
    before = workspace.tracks_path("a").read_bytes()
    others = settings()
    if spoilt:
        workspace.tracks_path("a").write_bytes(before[:-1])
    else:
        others = load_settings("default", ["pose.estimator=scarecrow", "video.fps=12", "things.find=false"])
    report = extract_all(sources, workspace, others, train=False, quiet=True)
    assert [entry.train for entry in report.made] == [spoilt]
    assert workspace.tracks_path("a").read_bytes() == before
    assert workspace.training_clips() == [there]
    assert [entry.clip == "a" for entry in report.made] == [spoilt]


def test_workers_end_when_who_hears_of_a_video_raises(tmp_path, site, clips):
    def ended(source, outcome):
        raise ValueError("the consumer")

    numbers = {f"c{number}": number for number in range(1, 9)}
    with pytest.raises(ValueError, match="the consumer") as raised:
        extract_all(clips(**numbers), Workspace(tmp_path / "w"), settings(), quiet=True, jobs=2, ended=ended)
    assert own_children() == []  # while the error, and all that its traceback holds, is kept
    assert raised


def test_tracks_that_were_brought_leave_no_file_behind(tmp_path, site, clips, monkeypatch):
    """The cluster is stood in for by this process."""
    files = []

    def here(make, jobs, workers, told):
        with make(told) as work:
            for job in jobs:
                result = work(job)
                assert not any(file.exists() for file in files)
                files.append(Path(result.file))
                yield Done(job, result)

    monkeypatch.setattr(spread, "side_by_side", here)
    sources = clips(a1=1, a2=2, b1=1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("pipeline.extraction.run.jobs_for", lambda count, asked: 1)
        report = extract_all(
            sources, Workspace(tmp_path / "w"), settings(), quiet=True, jobs=Cluster(apart=True)
        )
    assert len(files) == 2
    assert [entry.clip for entry in report.made] == ["a1", "a2"]
    assert [entry.clip for entry in report.reused] == ["a1"]


def test_a_piece_that_another_process_makes_is_not_made_beside_it_nor_after_its_clip(tmp_path, site, clips):
    long = load_settings(
        "default",
        ["pose.estimator=scarecrow", "video.fps=0.1", "video.pieces_min=0.05", "things.find=false"],
    )
    sources, workspace = clips(a=1), Workspace(tmp_path / "w", wait=False)
    how = spread.Extraction(workspace, long, True, None)
    with how.opened(partial(stage, quiet=True)) as run:
        first, *others = run.pieces_to_make(sources[0])
        assert others
        lock = run.work._path(first.key, 0).with_suffix(".lock")
        with locked(lock), pytest.raises(BusyError, match="is making a, piece 1"):
            run.make_piece(first)
        extract_all(sources, workspace, long, quiet=True)
        run.make_piece(first)
    assert [path.name for path in workspace.tracks.rglob("*.npz")] == ["a.npz"]


def test_names_of_several_folders_differ_where_upper_and_lower_case_are_one(tmp_path):
    for name in ("one/cam", "two/Cam", "three/cam"):
        (tmp_path / name).mkdir(parents=True)
        cv2.imwrite(str(tmp_path / name / "0.bmp"), np.zeros((8, 8, 3), np.uint8))
    found = find_all_sources([str(tmp_path / name) for name in ("one", "two", "three")])
    assert [source.name for source in found] == ["cam", "Cam-2", "cam-3"]


DRAWING = """
import sys
from pathlib import Path
from pipeline.extraction.run import extract_all, find_all_sources
from pipeline.progress import stage
from pipeline.settings import load_settings
from pipeline.workspace import Workspace

def draw(source, entry):
    with stage(f"score {entry.clip}", "frames", 3) as progress:
        for _ in range(3):
            progress.advance()

if __name__ == "__main__":
    videos, workspace = sys.argv[1:]
    settings = load_settings("default", ["pose.estimator=scarecrow", "video.fps=25", "things.find=false"])
    extract_all(find_all_sources([videos]), Workspace(Path(workspace)), settings, jobs=2, then=draw)
"""


def test_workers_draw_nothing_over_the_bar_of_all(tmp_path, site, clips):
    clips(a1=1, a2=2)
    (tmp_path / "drawing.py").write_text(DRAWING)
    terminal, theirs = pty.openpty()
    path = os.pathsep.join([str(tmp_path / "site"), str(ROOT)])
    command = [sys.executable, "drawing.py", str(tmp_path / "videos"), str(tmp_path / "w")]
    with subprocess.Popen(
        command, cwd=tmp_path, env=os.environ | {"PYTHONPATH": path}, stdout=theirs, stderr=theirs
    ) as process:
        os.close(theirs)
        shown = b""
        try:
            while some := os.read(terminal, 1 << 16):
                shown += some
        except OSError:  # all have closed it
            pass
    os.close(terminal)
    assert process.returncode == 0, shown
    assert b"extract" in shown
    assert b"score" not in shown
