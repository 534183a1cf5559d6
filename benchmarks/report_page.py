"""The review page of 100 videos and a million frames, and of a day of video: its size, and how fast it shows.

    python -m benchmarks.report_page [--keep DIR]

The scores are made up (no network runs), everything else is what `gepc-pipeline report` writes. Needs Chromium and
Playwright; times are the browser's own, of a page opened from the disk with an empty cache, the median of five.
"""

from __future__ import annotations

import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast
from unittest.mock import patch

import numpy as np

from anomaly.data.windows import Windows
from anomaly.scoring.calibration import Calibration
from anomaly.scoring.model import Model
from anomaly.scoring.scores import ClipScores, FrameScores, WindowScores
from anomaly.settings import ModelSettings
from benchmarks.helpers.command import option_parser
from pipeline.review.files import NewPage
from pipeline.review.write import PageWriter, Report, ReportClip
from pipeline.scoring import Scorer
from pipeline.settings import Settings
from pose_extract.tracks.records import ClipTracks, cut_frames

FPS = 25.0
CHROMIUM = ("--no-sandbox", "--headless", "--disable-gpu", "--disable-quic", "--no-first-run",
            "--disable-background-networking", "--disable-component-update", "--disable-sync")  # fmt: skip


class MadeUpModel(Model):
    """A calibrated model without a network or a mixture: `made_up_parts` scores in its place."""

    def __init__(self) -> None:
        rng = np.random.default_rng(0)
        frames = made_up_curve(90_000, rng)
        super().__init__(ModelSettings(), cast(Any, None))
        self.calibration = Calibration(
            np.zeros(len(frames), np.int32),
            np.arange(len(frames)) / FPS,
            np.broadcast_to(frames, (4, 2, len(frames))),
            np.broadcast_to(np.sort(frames), (4, 2, len(frames))),
            np.zeros((2, 1)),
            np.ones(2),
        )


def made_up_curve(frames: int, rng: np.random.Generator) -> np.ndarray:
    """Normal scores with a few stretches far above them."""
    score = np.repeat(rng.gamma(2.0, size=frames // 20 + 1), 20)[:frames] + rng.normal(
        scale=0.05, size=frames
    )
    for first in rng.integers(0, frames, max(1, frames // 20_000)):
        score[first : first + 100] += rng.gamma(4.0, 3.0)
    return score


def made_up_tracks(name: str, frames: int, people: int, rng: np.random.Generator) -> ClipTracks:
    """People who are there all the time, half a minute each."""
    frame = np.repeat(np.arange(frames, dtype=np.int32), people)
    track = (1 + frame // 750 * people + np.tile(np.arange(people), frames)).astype(np.int32)
    body = rng.uniform(0, 1, (17, 2)) * (60, 170)
    corner = np.stack([np.linspace(0, 1000, len(frame)) % 900, 200 + 40 * (track % 5)], axis=1)
    keypoints = np.ones((len(frame), 17, 3), np.float32)
    keypoints[..., :2] = corner[:, None] + body
    boxes = np.concatenate([corner, corner + np.array((60, 170))], axis=1).astype(np.float32)
    return ClipTracks(
        name, "coco17", FPS, (1280, 720), np.arange(frames) / FPS, frame, track, keypoints, boxes
    )


def made_up_parts(
    scorer: Scorer, tracks: ClipTracks, part_frames: int
) -> Iterator[tuple[int, ClipTracks, ClipScores]]:
    """What `score_chunks` yields, but made up."""
    none, ids, places = np.zeros(0), np.zeros(0, np.int32), np.zeros(0, np.int64)
    windows = WindowScores(
        Windows(scorer.model.settings.windows, np.zeros((0, 18, 3), np.float32), places, ids, places, ids, ids, ()),
        none, none, places, places,
    )  # fmt: skip
    rng = np.random.default_rng(tracks.frame_count + len(tracks.clip))
    for begin in range(0, tracks.frame_count, part_frames):
        part = cut_frames(tracks, begin, min(begin + part_frames, tracks.frame_count))
        count, rows = part.frame_count, len(part)
        score = made_up_curve(count, rng)
        people = np.zeros(count, np.int32)
        frames = FrameScores(
            np.arange(count, dtype=np.int32),
            part.time_s,
            score,
            np.zeros(count),
            score > 8,
            people,
            people,
            people.astype(np.int8),
            people,
        )
        yield begin, part, ClipScores(tracks.clip, frames, np.zeros(rows), rng.uniform(0, 100, rows), windows)


def write(folder: Path, clips: int, frames: int, people: int) -> tuple[Report, float]:
    rng = np.random.default_rng(1)
    source = (
        ReportClip(made_up_tracks(f"camera_{n:03d}", frames, people, rng), name=f"camera_{n:03d}.mp4")
        for n in range(clips)
    )
    start = time.monotonic()
    with patch("pipeline.review.write.score_chunks", made_up_parts), NewPage.begun(folder) as page:
        writer = PageWriter(page, Scorer(MadeUpModel(), Settings()))
        report = writer.finish([writer.add(clip, quiet=True) for clip in source])
    return report, time.monotonic() - start


def size(paths: Iterator[Path]) -> float:
    return sum(path.stat().st_size for path in paths) / 1e6


def measure(page: Path, runs: int = 5) -> dict[str, float]:
    """Median seconds until something is painted, the list is there, the first curve is drawn; and of a slider step."""
    from playwright.sync_api import sync_playwright

    seen: dict[str, list[float]] = {"first_paint": [], "list": [], "curve": [], "slider": []}
    with sync_playwright() as playwright:
        for _ in range(runs):
            browser = playwright.chromium.launch(
                executable_path=shutil.which("chromium"), args=list(CHROMIUM)
            )
            tab = browser.new_page(viewport={"width": 1400, "height": 900})
            tab.goto(page.as_uri())
            deadline = time.monotonic() + 60
            while (
                not tab.evaluate("document.body.classList.contains('ready')") and time.monotonic() < deadline
            ):
                tab.wait_for_timeout(20)
            times = tab.evaluate(
                """() => Object.fromEntries(performance.getEntries()
                  .filter((e) => ['first-contentful-paint', 'gepc-list', 'gepc-curve'].includes(e.name))
                  .map((e) => [e.name, e.startTime / 1000]))"""
            )
            step = """() => {
              const start = performance.now();
              gepc.page.setStop(gepc.page.stop === 0 ? 20 : 0);
              return (performance.now() - start) / 1000;
            }"""
            for name, mark in (
                ("first_paint", "first-contentful-paint"),
                ("list", "gepc-list"),
                ("curve", "gepc-curve"),
            ):
                seen[name].append(times[mark])
            seen["slider"].append(max(tab.evaluate(step) for _ in range(4)))
            browser.close()
    return {name: statistics.median(values) for name, values in seen.items()}


def main(arguments: list[str] | None = None) -> int:
    parser = option_parser(__doc__)
    parser.add_argument("--videos", type=int, default=100)
    parser.add_argument("--frames", type=int, default=10_000, help="of each video")
    parser.add_argument("--day", type=int, default=24 * 3600 * 25, help="frames of the long video")
    parser.add_argument("--runs", type=int, default=5, help="times that each page is opened")
    parser.add_argument("--keep", type=Path, help="write the pages here and keep them")
    args = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="gepc-") as scratch:
        root = args.keep or Path(scratch)
        for name, clips, frames, people in (("many", args.videos, args.frames, 3), ("day", 1, args.day, 1)):
            report, seconds = write(root / name, clips, frames, people)
            folder = report.page.parent
            own = size(p for p in folder.iterdir() if p.is_file())
            first = own + size(iter([folder / "data/report.js"]))
            curves, poses = (size(folder.glob(f"data/*/{pattern}")) for pattern in ("clip.js", "poses-*.js"))
            print(
                f"{name}: {clips} videos, {clips * frames:,} frames, {people} people: written in {seconds:.1f} s, "
                f"page itself {own:.2f} MB, with the list {first:.2f} MB, curves {curves:.1f} MB, "
                f"poses {poses:.1f} MB"
            )
            for what, value in measure(report.page.resolve(), args.runs).items():
                print(f"report_{name}_{what}_s = {value:.3f}")
            print(f"report_{name}_first_mb = {first:.2f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
