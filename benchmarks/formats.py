"""How fast tracked-person JSON (person -> frame -> keypoints) is read, beside the standard library's way.

    python -m benchmarks.formats [--rows 1000000] [--frames 500] [--files 1]

The files are written first: people of 17 joints, a person 500 frames long, numbers as AlphaPose writes them. Then two
processes, one after the other, make (M, 17, 3) keypoints with frames and track ids in order of it: one by
``json.load`` and a loop over the rows, one by `import_clips`, which checks every value and makes boxes besides. A third
runs the whole import, with the file's hash and the tracks written to a workspace. All work on one thread, so the
figures are of CPU time, which other programs on the machine disturb less; the seconds on the clock stand beside it.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from benchmarks.helpers.command import option_parser

_CHILD = """
import json, resource, sys, time
from benchmarks import formats
import pipeline.io.import_poses, pose_extract.formats.alphapose, pose_extract.formats.base
start, cpu = time.perf_counter(), time.process_time()
rows = getattr(formats, sys.argv[1])(sys.argv[2], sys.argv[3])
print(json.dumps({"seconds": time.perf_counter() - start, "cpu": time.process_time() - cpu, "rows": rows,
                  "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}))
"""
_AT_ONCE = 10  # people in a frame
_PARTS = (
    ("plain", "json and a loop"),
    ("reading", "import_clips"),
    ("importing", "import, tracks written"),
)


def write_file(path: Path, rows: int, frames: int, seed: int) -> int:
    """Write a file of about ``rows`` rows; returns its bytes."""
    rng = np.random.default_rng(seed)
    with open(path, "w") as file:
        file.write("{")
        for person in range(1, max(1, rows // frames) + 1):
            start = (person - 1) // _AT_ONCE * frames
            keypoints = rng.uniform(0, (856, 480, 1), (frames, 17, 3)).astype(np.float32)
            people = {
                f"{frame + start:04d}": {
                    "keypoints": pose.ravel().tolist(),
                    "scores": float(pose[:, 2].mean()),
                }
                for frame, pose in enumerate(keypoints)
            }
            file.write((", " if person > 1 else "") + f'"{person}": ' + json.dumps(people))
        file.write("}")
    return path.stat().st_size


def plain(folder: str, scratch: str) -> int:
    """The standard library and a loop over the rows."""
    count = 0
    for path in sorted(Path(folder).iterdir()):
        frame, track, keypoints = [], [], []
        with open(path) as file:
            for person, frames in json.load(file).items():
                for number, entry in frames.items():
                    frame.append(int(number))
                    track.append(int(person))
                    keypoints.append(np.array(entry["keypoints"], np.float32).reshape(-1, 3))
        order = np.lexsort((track, frame))
        np.array(frame, np.int32)[order], np.array(track, np.int32)[order]
        count += len(np.stack(keypoints)[order])
    return count


def reading(folder: str, scratch: str) -> int:
    """The package's reader."""
    from pose_extract.errors import FormatError
    from pose_extract.formats.base import import_clips  # the child has done so before the clock starts

    count = 0
    for clip in import_clips("alphapose", folder, fps=24.0, frame_size=(856, 480)):
        if isinstance(clip, FormatError):
            raise clip
        count += len(clip)
    return count


def importing(folder: str, scratch: str) -> int:
    """The whole command."""
    from pipeline.io.import_poses import import_all
    from pipeline.workspace import Workspace
    from pose_extract.formats.options import ImportOptions

    options = ImportOptions(fps=24.0, frame_size=(856, 480))
    report = import_all("alphapose", Path(folder), Workspace(Path(scratch) / "w"), options, quiet=True)
    return sum(entry.rows for entry in report.made)


def main(arguments: list[str] | None = None) -> int:
    parser = option_parser(__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--frames", type=int, default=500, help="that each person is seen in")
    parser.add_argument("--files", type=int, default=1)
    args = parser.parse_args(arguments)
    results = {}
    with tempfile.TemporaryDirectory(prefix="gepc-formats-") as scratch:
        folder = Path(scratch) / "in"
        folder.mkdir()
        start = time.perf_counter()
        size = sum(
            write_file(folder / f"01_{i:04d}.json", args.rows // args.files, args.frames, i)
            for i in range(args.files)
        )
        print(
            f"{size / 1e6:.0f} MB of JSON in {args.files} files, written in {time.perf_counter() - start:.0f} s"
        )
        for part, title in _PARTS:
            done = subprocess.run(
                [sys.executable, "-c", _CHILD, part, str(folder), scratch],
                check=True, stdout=subprocess.PIPE, text=True,
            )  # fmt: skip
            results[part] = found = json.loads(done.stdout.splitlines()[-1])
            print(
                f"{title}: {found['rows']} rows in {found['seconds']:.2f} s (CPU {found['cpu']:.2f} s), "
                f"{found['rows'] / found['cpu']:.0f} rows/s, peak {found['peak_mib']:.0f} MiB",
                flush=True,
            )
    for part, found in results.items():
        print(f"{part}_cpu_s = {found['cpu']:.2f}\n{part}_peak_mib = {found['peak_mib']:.0f}")
    print(f"import_rows_per_second = {results['importing']['rows'] / results['importing']['cpu']:.0f}")
    print(f"import_speed_ratio = {results['plain']['cpu'] / results['reading']['cpu']:.1f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
