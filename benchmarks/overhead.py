"""Extraction's own overhead, and its memory on a clip and on the same clip looped to ten times its length.

    python -m benchmarks.overhead [--video FILE]

Overhead is all the time that is neither the pose network's nor the proposals': waiting for frames, tracking, cache.
Without --video a clip of the synthetic street is rendered.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.helpers.command import option_parser
from pipeline.settings import load_settings
from pipeline.synthetic.clips import simulate_clip, write_clip
from pipeline.synthetic.street.scene import StreetSettings
from pose_extract.estimators.base import chosen_estimator, estimator_class
from pose_extract.video.ffmpeg import find_ffmpeg

_CHILD = """
import json, resource, sys
from pathlib import Path
from pipeline.extraction.run import extract_all, find_all_sources
from pipeline.settings.config import load_settings
from pipeline.workspace import Workspace
report = extract_all(find_all_sources([sys.argv[1]]), Workspace(Path(sys.argv[2])), load_settings(), quiet=True)
print(json.dumps({
    "seconds": report.seconds, "frames": report.made[0].frames, "rows": report.made[0].rows,
    "timings": report.timings, "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
}))
"""


def run(video: Path, workspace: Path) -> dict:
    done = subprocess.run(
        [sys.executable, "-c", _CHILD, str(video), str(workspace)], check=True, capture_output=True, text=True
    )
    return json.loads(done.stdout.splitlines()[-1])


def measure(video: Path | None, seconds: float, scratch: Path) -> None:
    if video is None:
        video = write_clip(simulate_clip("street", 1, StreetSettings(seconds=seconds)), scratch / "video")
    looped = scratch / "looped.mp4"
    command = [find_ffmpeg(), "-v", "error", "-stream_loop", "9", "-i", str(video), "-c", "copy", str(looped)]
    subprocess.run(command, check=True)
    short, long = run(video, scratch / "short"), run(looped, scratch / "long")
    for name, result in (("clip", short), ("clip looped to 10x", long)):
        stages = ", ".join(f"{k} {v / result['seconds']:.1%}" for k, v in result["timings"].items())
        print(
            f"{name}: {result['frames']} frames, {result['rows'] / result['frames']:.1f} people a frame, "
            f"{result['frames'] / result['seconds']:.1f} frames/s, peak {result['peak_mib']:.0f} MiB; {stages}"
        )
    name = chosen_estimator(load_settings().pose.estimator)
    networks = sum(long["timings"][f"{name}.{stage}"] for stage in estimator_class(name).network_stages)
    overhead = 1 - networks / long["seconds"]
    print(f"extract_overhead_share = {overhead:.3f}")
    print(f"extract_fps = {long['frames'] / long['seconds']:.1f}")
    print(f"extract_peak_mib = {short['peak_mib']:.0f}\nextract_peak_mib_10x = {long['peak_mib']:.0f}")
    print(f"extract_memory_ratio_10x = {long['peak_mib'] / short['peak_mib']:.3f}")


def main(arguments: list[str] | None = None) -> int:
    """Measure and print."""
    parser = option_parser(__doc__)
    parser.add_argument("--video", type=Path)
    parser.add_argument("--seconds", type=float, default=4.0, help="length of the street's clip")
    args = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        measure(args.video, args.seconds, Path(folder))
    return 0


if __name__ == "__main__":
    sys.exit(main())
