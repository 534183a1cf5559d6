"""The README's three commands on clips of the demo's street: what they print, and how much of a processor they take.

python -m benchmarks.first_steps [--seconds 20] [--clips 3] [--pose NAME]

Processor time is counted, of all threads and processes, starting and loading included: minutes of one core for an hour
of video. Other work on the machine changes it less than the time by the clock.
"""

from __future__ import annotations

import re
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.figures import ROOT
from benchmarks.helpers.command import option_parser
from pipeline.commands.options import add_pose
from pipeline.demo import DemoSettings, make_clips


def commands() -> list[list[str]]:
    """The first three commands of the README, as arguments."""
    lines = re.findall(
        r"^ {4}(gepc-pipeline (?:extract|train|score)[^#\n]*)", (ROOT / "README.md").read_text(), re.M
    )
    return [line.split() for line in lines[:3]]


def run(arguments: list[str], folder: Path) -> float:
    """Run a command in a folder and print it with what it says; returns the minutes of processor time that it took."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    command = [sys.executable, "-m", "gepc_pipeline", *arguments[1:]]
    done = subprocess.run(command, cwd=folder, check=True, stdout=subprocess.PIPE, text=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    print(f"\n$ {' '.join(arguments)}\n{done.stdout}", flush=True)
    return (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime) / 60


def main(arguments: list[str] | None = None) -> int:
    """Measure and print."""
    parser = option_parser(__doc__)
    parser.add_argument("--seconds", type=float, default=20.0, help="length of each clip")
    parser.add_argument("--clips", type=int, default=3, help="clips to learn from")
    add_pose(parser)
    args = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        demo = DemoSettings(args.clips, args.seconds, args.seconds)
        normal, test = make_clips(folder / "rendered", demo, seed=0, quiet=True)
        (folder / "videos").mkdir()
        for number, path in enumerate(normal):
            path.rename(folder / "videos" / f"normal_{number + 1}.mp4")
        test[0].rename(folder / "video.mp4")
        extract, train, score = commands()
        minutes = run([*extract, *(["--pose", args.pose] if args.pose else [])], folder)
        print(f"extract_minutes_an_hour = {minutes / (args.clips * args.seconds / 3600):.0f}")
        print(f"train_minutes = {run(train, folder):.1f}")
        print(f"score_minutes_an_hour = {run(score, folder) / (args.seconds / 3600):.0f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
