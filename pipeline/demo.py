"""Run the whole product on a synthetic street: render clips, extract, train, score, compare with the labels."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from anomaly.evaluation.metrics import frame_auc
from pipeline.extraction.run import extract_all
from pipeline.outputs import Outputs, write_outputs
from pipeline.pictures.action_words import write_words
from pipeline.progress import Stopwatch, stage
from pipeline.review.files import NewPage
from pipeline.review.write import PageWriter, ReportClip
from pipeline.scoring import load_scorer
from pipeline.settings import Settings
from pipeline.synthetic.clips import simulate_clip, write_clip
from pipeline.synthetic.street.scene import StreetSettings
from pipeline.training import train
from pipeline.workspace import Workspace
from pose_extract.files import write_atomically
from pose_extract.tracks.cache import load_tracks
from pose_extract.video import find_sources

# Who misbehaves how in each of the test clips.
ABNORMAL_CLIPS: tuple[tuple[str, ...], ...] = (
    ("running", "falling", "cycling"),
    ("fighting", "jumping", "crawling"),
)


@dataclass(frozen=True)
class DemoSettings:
    """How much of the street the demo shows.

    Attributes:
        normal_clips: clips to learn from.
        normal_seconds: length of each.
        test_seconds: length of each test clip.
    """

    normal_clips: int = 5
    normal_seconds: float = 20.0
    test_seconds: float = 20.0


@dataclass(frozen=True)
class DemoResult:
    """What the demo made.

    Attributes:
        auc: area under the ROC curve over all frames of the test clips.
        outputs: files of each test clip.
        words: picture of what the model takes for normal.
        page: the review page of the test clips.
        seconds: wall-clock time spent, by stage.
    """

    auc: float
    outputs: tuple[Outputs, ...]
    words: Path
    page: Path
    seconds: dict[str, float]


def make_clips(
    folder: Path, settings: DemoSettings, seed: int, quiet: bool = False
) -> tuple[list[Path], list[Path]]:
    """Render the normal clips and the test clips with their truth, unless they are there; returns the videos."""
    jobs: list[tuple[Path, str, float, Sequence[str]]] = [
        (folder / "normal", f"normal_{i + 1}", settings.normal_seconds, ())
        for i in range(settings.normal_clips)
    ]
    jobs += [
        (folder / "test", f"test_{i + 1}", settings.test_seconds, acts)
        for i, acts in enumerate(ABNORMAL_CLIPS)
    ]
    videos = []
    with stage("render the street", "clips", len(jobs), quiet) as progress:
        for number, (where, name, seconds, acts) in enumerate(jobs):
            videos.append(
                street_video(where, name, 1000 * seed + number, StreetSettings(seconds=seconds), acts)
            )
            progress.advance()
    return videos[: settings.normal_clips], videos[settings.normal_clips :]


def street_video(
    folder: Path,
    name: str,
    seed: int,
    street: StreetSettings,
    acts: Sequence[str] = (),
    things: Sequence[str] = (),
) -> Path:
    """Render a clip with its truth, unless it is there from the same seed and settings; returns the video."""
    made_from: dict[str, Any] = {"seed": seed, "acts": acts, "street": vars(street)}
    if things:
        made_from["things"] = things
    text, stamp = json.dumps(made_from, sort_keys=True), folder / f"{name}.street.json"
    video = folder / f"{name}.mp4"
    if not (stamp.is_file() and stamp.read_text() == text and video.is_file()):
        write_clip(simulate_clip(name, seed, street, acts, things), folder)
        write_atomically(stamp, text.encode())
    return video


def run_demo(
    folder: Path, settings: Settings, demo: DemoSettings, seed: int = 0, quiet: bool = False
) -> DemoResult:
    """Run the whole product in ``folder``; what is there already from the same seed and settings is used again."""
    watch = Stopwatch()
    _, test_videos = make_clips(folder / "videos", demo, seed, quiet)
    watch.lap("render")
    workspace = Workspace(folder / "workspace")
    extract_all(find_sources(folder / "videos" / "normal"), workspace, settings, quiet=quiet)
    watch.lap("extract")
    train(workspace, settings, seed=seed, device="cpu", quiet=quiet)
    watch.lap("train")
    return write_results(folder, test_videos, watch, quiet)


def write_results(folder: Path, test_videos: list[Path], watch: Stopwatch, quiet: bool = False) -> DemoResult:
    """Score the test clips with the model that is in ``folder``, and make all that there is to look at."""
    workspace = Workspace(folder / "workspace")
    scorer = load_scorer(workspace.model)
    words = folder / "results" / "words.png"
    write_words(words, scorer.model)
    labels, scores, written, clips = [], [], [], []
    with NewPage.begun(folder / "review") as page:
        writer = PageWriter(page, scorer)
        for video in test_videos:
            source = find_sources(video)[0]
            report = extract_all([source], workspace, scorer.settings, train=False, quiet=quiet)
            entry = (*report.made, *report.reused)[0]
            results = folder / "results"
            outputs = Outputs(
                results / f"{source.name}.csv",
                results / f"{source.name}.people.csv",
                results / f"{source.name}.png",
                results / f"{source.name}.overlay.mp4",
            )
            tracks = load_tracks(workspace.tracks_path(entry.clip), features=False)
            known = _labelled(video, tracks.time_s)
            score = partial(write_outputs, scorer, tracks, outputs, source, known, quiet)
            clips.append(writer.add(ReportClip(tracks, source), score, quiet))
            labels.append(np.load(video.with_suffix(".labels.npy")))
            scores.append(np.loadtxt(outputs.scores, delimiter=",", skiprows=1, usecols=2))
            written.append(outputs)
        made = writer.finish(clips, "The synthetic street")
    watch.lap("score and review page")
    auc = frame_auc(np.concatenate(scores), np.concatenate(labels))
    return DemoResult(auc, tuple(written), words, made.page, watch.seconds)


def _labelled(video: Path, time_s: np.ndarray) -> list[tuple[float, float, str]]:
    events = json.loads(video.with_suffix(".events.json").read_text())
    last = len(time_s) - 1
    return [(time_s[e["start"]], time_s[min(e["end"], last)], e["behaviour"]) for e in events]
