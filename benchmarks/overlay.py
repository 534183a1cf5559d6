"""How fast the overlay of a 720p video is drawn when its tracks are cached, and where the time goes.

    python -m benchmarks.overlay [--seconds 20] [--video FILE --tracks NPZ] [--processors 2]

Without --video a clip of the synthetic street, 1280x720 at 25 frames a second with sound, is rendered first. The ratio
is seconds of video for one second of work; each stage alone, then all of them side by side as `write_overlay` runs
them. Processor time is that of this process and of ffmpeg together: what does not depend on who else uses the machine.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from benchmarks.helpers.command import option_parser
from pipeline.events.timeline import ScoredTimeline
from pipeline.pictures.overlay import OverlayArtist, OverlaySettings, write_overlay
from pipeline.synthetic.clips import simulate_clip, write_clip
from pipeline.synthetic.street.scene import StreetSettings
from pose_extract.tracks.cache import load_tracks
from pose_extract.tracks.records import ClipTracks, Frame
from pose_extract.video import VideoReader, VideoWriter
from pose_extract.video.ffmpeg import find_ffmpeg


def street_with_sound(folder: Path, seconds: float) -> tuple[Path, ClipTracks]:
    """A rendered clip with a tone, and its exact tracks."""
    settings = StreetSettings(width=1280, height=720, fps=25.0, seconds=seconds, people=(4, 7))
    silent = write_clip(simulate_clip("street", 3, settings, ("running", "fighting", "falling")), folder)
    video = folder / "sound.mp4"
    tone = ["-f", "lavfi", "-i", f"sine=d={seconds}", "-c:v", "copy", "-c:a", "aac"]
    subprocess.run([find_ffmpeg(), "-v", "error", "-y", "-i", str(silent), *tone, str(video)], check=True)
    return video, load_tracks(folder / "street.truth.npz")


def processor_s() -> float:
    """Processor time so far of this process and of its children that have ended."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def timed(name: str, seconds: float, work: Callable[[], object]) -> tuple[float, float]:
    """Wall-clock and processor time of ``work``, printed beside the length of the video."""
    processor, wall = processor_s(), time.perf_counter()
    work()
    wall, processor = time.perf_counter() - wall, processor_s() - processor
    print(f"{name}: {wall:.2f} s, {processor:.2f} s of processor time; {seconds / wall:.2f} times real time")
    return wall, processor


def measure(video: Path, tracks: ClipTracks, folder: Path, repeats: int) -> None:
    rng = np.random.default_rng(0)
    noise = np.convolve(rng.normal(0.6, 0.5, tracks.frame_count), np.ones(9) / 9, "same")
    percentile = np.clip(noise, 0, 1)
    rows = 100 * rng.uniform(0, 1, len(tracks))
    timeline = ScoredTimeline(
        tracks.time_s, percentile, 100 * percentile, percentile > 0.95, 0.95, 95.0, row_percentile=rows
    )
    with VideoReader(video) as reader:
        size = reader.info.frame_size
    seconds = tracks.frame_count / tracks.fps
    people = len(tracks) / max(tracks.frame_count, 1)
    print(f"{seconds:.1f} s of {size[0]}x{size[1]} at {tracks.fps:.3g} frames/s, {people:.1f} people a frame")
    few: list[Frame] = []
    pictures: list[np.ndarray] = []

    def decode() -> None:
        with VideoReader(video) as reader:
            for frame in reader:
                if len(few) < 50:
                    few.append(frame)

    def draw() -> None:
        artist = OverlayArtist(tracks, size, timeline, OverlaySettings())
        for index in range(tracks.frame_count):
            frame = few[index % len(few)]
            picture = artist.draw(Frame(index, float(tracks.time_s[index]), frame.image.copy()))[1]
            if len(pictures) < 50:
                pictures.append(picture)

    def encode() -> None:
        height, width = pictures[0].shape[:2]
        with VideoWriter(folder / "encoded.mp4", tracks.fps, (width, height), quick=True) as writer:
            for index in range(tracks.frame_count):
                # There and back again, so that motion goes on.
                writer.write(pictures[49 - abs(index % 98 - 49)] if len(pictures) == 50 else pictures[0])

    def everything() -> None:
        write_overlay(video, tracks, folder / "overlay.mp4", timeline)

    for name, work in (("decode", decode), ("draw", draw), ("encode", encode)):
        wall, processor = timed(name, seconds, work)
        print(f"overlay_{name}_ms = {1000 * processor / tracks.frame_count:.2f}")
    found = [timed("overlay", seconds, everything) for _ in range(repeats)]
    wall, processor = min(wall for wall, _ in found), min(processor for _, processor in found)
    print(f"overlay_bytes_a_second = {(folder / 'overlay.mp4').stat().st_size / seconds:.0f}")
    print(f"overlay_processor_s_per_s = {processor / seconds:.3f}")
    print(f"overlay_times_real_time = {seconds / wall:.2f}")


def main(arguments: list[str] | None = None) -> int:
    parser = option_parser(__doc__)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--video", type=Path)
    parser.add_argument("--tracks", type=Path)
    parser.add_argument("--processors", type=int, help="use only so many (Linux)")
    parser.add_argument("--repeats", type=int, default=3, help="the quickest counts")
    args = parser.parse_args(arguments)
    if (args.video is None) != (args.tracks is None):
        parser.error("--video and --tracks belong together")
    if args.processors is not None:
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: args.processors])
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if args.video is None:
            video, tracks = street_with_sound(folder, args.seconds)
        else:
            video, tracks = args.video, load_tracks(args.tracks)
        measure(video, tracks, folder, args.repeats)
    return 0


if __name__ == "__main__":
    sys.exit(main())
