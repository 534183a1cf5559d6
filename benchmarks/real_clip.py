"""The three commands on a real clip: train on its beginning, score all of it, write plot and overlay.

    GEPC_SAMPLE_DATA=... python -m benchmarks.real_clip [--out DIR] [--clip CLIP] [--frames 500]

It has no labels: look at the overlay. What is printed shows that it ran, and how fast.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from benchmarks.helpers.command import beginning, data_or_skip, option_parser


def main(arguments: list[str] | None = None) -> int:
    parser = option_parser(__doc__)
    parser.add_argument("--out", type=Path, default=Path("real-clip"))
    parser.add_argument("--clip", default="clips/pedestrians_480x360.avi")
    parser.add_argument("--frames", type=int, default=500, help="train on so many frames from the beginning")
    parser.add_argument("--set", nargs="+", default=[], metavar="A.B=C", help="of training")
    parser.add_argument("--score-frames", type=int, help="score only so many; all by default")
    args = parser.parse_args(arguments)
    data = data_or_skip("real_clip")
    if data is None:
        return 0
    clip = data / args.clip
    args.out.mkdir(parents=True, exist_ok=True)
    first = beginning(clip, args.frames, args.out)
    if args.score_frames is not None:
        clip = beginning(clip, args.score_frames, args.out / "scored")
    results = args.out / clip.stem
    workspace = ["--workspace", str(args.out / "workspace")]
    gepc = [sys.executable, "-m", "pipeline.cli"]
    subprocess.run([*gepc, "extract", str(first), *workspace], check=True)
    subprocess.run([*gepc, "train", *workspace, *(f"--set={change}" for change in args.set)], check=True)
    files = ["--out", f"{results}.csv", "--plot", f"{results}.png", "--overlay", f"{results}.mp4"]
    subprocess.run(
        [*gepc, "score", str(clip), *files, "--people", f"{results}.people.csv", *workspace], check=True
    )
    subprocess.run([*gepc, "info", *workspace], check=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
