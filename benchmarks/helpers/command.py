"""Say what a measurement takes and needs: its options, and what is absent here."""

from __future__ import annotations

import argparse
import importlib.util
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from benchmarks.helpers.real_data import sample_data
from pipeline.commands.options import add_pose, add_set
from pose_extract.video.ffmpeg import find_ffmpeg


def option_parser(doc: str | None) -> argparse.ArgumentParser:
    """A parser whose help is the module's docstring."""
    return argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)


def extraction_parser(doc: str | None) -> argparse.ArgumentParser:
    """The same with what changes how people are found in clips, and where their tracks are kept."""
    parser = option_parser(doc)
    parser.add_argument("--frames", type=int, help="only so many, from the beginning")
    parser.add_argument("--workspace", type=Path, help="use, or keep, the tracks in this workspace")
    add_pose(parser)
    add_set(parser)
    return parser


def demo_model(folder: Path) -> Path:
    """The model of `gepc-pipeline demo` in a folder, where the demo is run unless it was."""
    model = folder / "workspace" / "model"
    if not model.is_dir():
        run = [sys.executable, "-W", "ignore", "-m", "pipeline.cli", "demo", "--out", str(folder), "--quiet"]
        subprocess.run(run, check=True, stdout=subprocess.DEVNULL)
    return model


def data_or_skip(name: str) -> Path | None:
    """The folder of real data; None, and a line that says so, where there is none."""
    data = sample_data()
    if data is None:
        print(f"benchmarks.{name}: skipped, GEPC_SAMPLE_DATA is not set")
    return data


def lacks_extra(name: str, extra: str, module: str) -> bool:
    """Whether an extra is not installed, which is said in a line."""
    if importlib.util.find_spec(module) is not None:
        return False
    print(f"benchmarks.{name}: skipped, the extra {extra} is not installed (make {extra})")
    return True


def beginning(video: Path, frames: int, folder: Path) -> Path:
    """A video of the first frames of another, not encoded anew, without its sound, in a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    out = folder / f"{video.stem}_beginning{video.suffix}"
    command = [
        find_ffmpeg(),
        "-v",
        "error",
        "-y",
        "-i",
        str(video),
        "-frames:v",
        str(frames),
        "-an",
        "-c",
        "copy",
    ]
    subprocess.run([*command, str(out)], check=True)
    return out


def ratio_of_pairs(slow: Sequence[float], fast: Sequence[float]) -> float:
    """How many times as fast: the median over pairs of runs that took turns, so that a load meets both of a pair."""
    return float(np.median([a / b for a, b in zip(slow, fast, strict=True)]))


def range_of_pairs(slow: Sequence[float], fast: Sequence[float]) -> str:
    """The lowest and the highest ratio of such pairs, as text."""
    ratios = [a / b for a, b in zip(slow, fast, strict=True)]
    return f"{min(ratios):.2f} to {max(ratios):.2f}"
