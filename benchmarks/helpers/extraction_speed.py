"""How fast people are found in whole videos, and what of the time goes where, one estimator after another."""

from __future__ import annotations

from pathlib import Path

from pipeline.extraction.run import extract_all, find_all_sources
from pipeline.settings import load_settings
from pipeline.synthetic.clips import simulate_clip, write_clip
from pipeline.synthetic.street.scene import StreetSettings
from pipeline.workspace import Workspace

KINDS = {
    "blazepose": ["pose.estimator=blazepose"],
    "lightning": ["pose.estimator=movenet", "movenet.joints=lightning"],
    "thunder": ["pose.estimator=movenet", "movenet.joints=thunder"],
}
PEOPLE, SIZES = (1, 3, 6, 10), ((640, 360), (1280, 720))
_LEAST_SHARE = 0.01  # of the time, for a stage to be told


def measure_speed(
    scratch: Path,
    seconds: float,
    people: tuple[int, ...] = PEOPLE,
    sizes: tuple[tuple[int, int], ...] = SIZES,
) -> None:
    """Extract clips of the street with so many people in it, and print frames a second and each stage's share."""
    for width, height in sizes:
        for count in people:
            street = StreetSettings(width=width, height=height, seconds=seconds, people=(count, count))
            name = f"{width}x{height}_{count}"
            video = write_clip(simulate_clip(name, count, street), scratch / "videos")
            rates = {kind: _extract(kind, video, scratch / kind / name) for kind in KINDS}
            for kind, rate in rates.items():
                print(
                    f"speed_{kind}_{name}_fps = {rate:.1f}   ({rate / rates['blazepose']:.2f} of blazepose)"
                )


def _extract(kind: str, video: Path, workspace: Path) -> float:
    """Frames a second, the loading of the networks left out."""
    settings = load_settings("default", KINDS[kind])
    report = extract_all(find_all_sources([str(video)]), Workspace(workspace), settings, quiet=True)
    (entry,) = report.made
    spent = report.seconds - report.timings["loading"]
    stages = {stage: took / spent for stage, took in report.timings.items() if stage != "loading"}
    told = ", ".join(f"{stage} {share:.0%}" for stage, share in stages.items() if share >= _LEAST_SHARE)
    print(f"  {kind}: {entry.rows / entry.frames:.1f} people a frame; {told}", flush=True)
    return entry.frames / spent
