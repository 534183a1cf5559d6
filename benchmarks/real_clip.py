"""The three commands on a real clip: train on its beginning, score all of it, write plot and overlay.

    GEPC_SAMPLE_DATA=... python -m benchmarks.real_clip [--out DIR] [--clip CLIP] [--frames 500]

It has no labels: look at the overlay. What is printed shows that it ran, and how fast.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

from benchmarks.helpers.real_data import sample_data
from pose_extract.video.ffmpeg import find_ffmpeg


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, default=Path("real-clip"))
    parser.add_argument("--clip", default="clips/pedestrians_480x360.avi")
    parser.add_argument("--frames", type=int, default=500, help="train on so many frames from the beginning")
    args = parser.parse_args()
    data = sample_data()
    if data is None:
        print("GEPC_SAMPLE_DATA is not set: nothing to measure on")
        return 0
    clip = data / args.clip
    args.out.mkdir(parents=True, exist_ok=True)
    beginning = args.out / f"{clip.stem}_beginning{clip.suffix}"
    command = [
        find_ffmpeg(),
        "-v",
        "error",
        "-y",
        "-i",
        str(clip),
        "-frames:v",
        str(args.frames),
        "-c",
        "copy",
    ]
    subprocess.run([*command, str(beginning)], check=True)
    results = args.out / clip.stem
    workspace = ["--workspace", str(args.out / "workspace")]
    gepc = [sys.executable, "-m", "pipeline.cli"]
    subprocess.run([*gepc, "extract", str(beginning), *workspace], check=True)
    subprocess.run([*gepc, "train", *workspace], check=True)
    files = ["--out", f"{results}.csv", "--plot", f"{results}.png", "--overlay", f"{results}.mp4"]
    subprocess.run(
        [*gepc, "score", str(clip), *files, "--people", f"{results}.people.csv", *workspace], check=True
    )
    subprocess.run([*gepc, "info", *workspace], check=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
