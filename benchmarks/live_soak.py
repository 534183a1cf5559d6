"""`watch` for days, in fast motion: does memory grow, is anything left behind, do days change as they should?

    python -m benchmarks.live_soak --demo demo/ --hours 24 --speed 20
    python -m benchmarks.live_soak --demo demo/ --hours 1 --speed 1 --pose movenet --settled 0.5

A street comes again and again, ten minutes with one or two people in it, one of whom runs, and twenty without anybody,
by a clock that runs so much faster: day change and retention follow that clock. A stub knows who is in each frame, and
none is dropped. With ``--pose`` it is twenty seconds of a fuller street, and the estimator looks at rendered pictures,
of which the newest counts, as of any camera. Events go to a CSV a day and to JSON lines, with pictures and clips.
"""

from __future__ import annotations

import itertools
import logging
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from numpy.typing import NDArray

from benchmarks.helpers.command import demo_model, option_parser
from pipeline.commands.options import pose_overrides
from pipeline.live.cameras import Estimators
from pipeline.live.capture.capture import Capture
from pipeline.live.capture.feed import LiveFrame
from pipeline.live.outlet import Outlet
from pipeline.live.recording.recorder import Recorder
from pipeline.live.recording.settings import RecordingSettings
from pipeline.live.settings import LiveSettings
from pipeline.live.sinks.dispatcher import Dispatcher
from pipeline.live.sinks.settings import CsvSettings, JsonLinesSettings, SinkSettings
from pipeline.live.status.monitor import Monitor
from pipeline.live.watching.camera import WatchedCamera
from pipeline.live.watching.judge import Judge
from pipeline.live.watching.open_events import OpenEvents
from pipeline.live.watching.picture import PictureWatch
from pipeline.live.watching.watcher import Watcher
from pipeline.scoring import load_scorer
from pipeline.synthetic.clips import StreetClip, render_clip, simulate_clip
from pipeline.synthetic.street.scene import StreetSettings
from pose_extract.estimators.base import PoseEstimator
from pose_extract.tracks.records import ClipTracks, Frame, PoseDetections, Uncovered

_SAMPLE_S = 20.0
_SIZE = (640, 360)
_EMPTY = 2  # times as long as with people, nobody is there
_FPS = 12.0  # frames a second of the camera, as many of them give
_START = datetime(2026, 3, 28, 20, 0).astimezone()  # of the night in which Europe's clocks go forward


class Known(PoseEstimator):
    """Knows who is in each frame of a clip that comes again and again, and that nothing else is there."""

    name = "known"
    network_stages = ()

    def __init__(self, clip: ClipTracks) -> None:
        self.skeleton, self.identity, self.timings = clip.skeleton, {"name": self.name}, {}
        bounds = np.searchsorted(clip.frame, np.arange(clip.frame_count + 1))
        self._people = [
            PoseDetections(clip.boxes[a:b], clip.keypoints[a:b], np.ones(b - a, np.float32))
            for a, b in itertools.pairwise(bounds.tolist())
        ]
        self._people += [PoseDetections.empty(clip.keypoints.shape[1])] * (_EMPTY * clip.frame_count)
        self._nothing = np.zeros(_SIZE[::-1], np.uint8)
        self._next = 0

    def start(self, fps: float, frame_size: tuple[int, int]) -> None:
        """Nothing is remembered of a video."""

    def estimate(self, frames: Sequence[Frame]) -> list[PoseDetections]:
        """Return the people of the next frames."""
        found = []
        for frame in frames:
            people = self._people[self._next % len(self._people)]
            found.append(replace(people, uncovered=Uncovered(self._nothing, frame.image)))
            self._next += 1
        return found


class FastClock(Capture):
    """A camera whose time runs faster."""

    def __init__(
        self,
        pictures: list[NDArray[np.uint8]],
        fps: float,
        seconds: float,
        speed: float,
        start: datetime,
        arrivals: threading.Condition,
        drop: bool,
    ) -> None:
        super().__init__("street", arrivals, drop)
        self._pictures, self._fps, self._seconds, self._speed = pictures, fps, seconds, speed
        self.now, self._start = start, start

    def run(self) -> None:
        """Put every frame when its time has come."""
        self.connections = 1
        began = time.monotonic()
        for number in range(round(self._seconds * self._fps)):
            time_s = number / self._fps
            time.sleep(max(0.0, began + time_s / self._speed - time.monotonic()))
            self.received, self.last_s = number + 1, time.monotonic()
            self.now = self._start + timedelta(seconds=time_s)
            image = self._pictures[number % len(self._pictures)]
            if not self.mailbox.put(LiveFrame(time_s, image, self.now, self.last_s, self._fps, 1)):
                break
        self.finished = True


def main(arguments: list[str] | None = None) -> int:
    """Run and print."""
    parser = option_parser(__doc__)
    parser.add_argument("--demo", type=Path, required=True, help="folder of `gepc-pipeline demo`")
    parser.add_argument("--hours", type=float, default=24.0, help="of video")
    parser.add_argument("--speed", type=float, default=20.0, help="so many times as fast, if the machine can")
    parser.add_argument("--pose", help="estimator that looks at pictures; without it, a stub")
    parser.add_argument(
        "--settled", type=float, default=0.25, help="share of the run after which memory shall not grow"
    )
    args = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        model = demo_model(args.demo)
        soak(model, Path(folder), args.hours * 3600, args.speed, args.pose, settled=args.settled)
    return 0


def soak(
    model: Path,
    out: Path,
    seconds: float,
    speed: float,
    pose: str | None = None,
    start: datetime = _START,
    settled: float = 0.25,
) -> dict[str, float]:
    """Watch so many seconds of video; prints and returns what was left behind."""
    shown = (
        StreetSettings(fps=_FPS, seconds=20) if pose else StreetSettings(fps=_FPS, seconds=600, people=(1, 2))
    )
    street = simulate_clip("street", 4, shown, abnormal=("running",))
    asked = ["scoring.frames=online", "calibration.false_alarm_rate=0.001", *pose_overrides(pose)]
    scorer = load_scorer(model, asked, "cpu")
    estimators = Estimators()
    estimator = Known(street.truth) if pose is None else estimators.estimator(scorer.settings)
    arrivals, live = threading.Condition(), LiveSettings(moved_below=0)
    capture = FastClock(
        pictures_of(street, pose is not None), _FPS, seconds, speed, start, arrivals, pose is not None
    )
    sinks = {
        "table": SinkSettings(csv=CsvSettings(str(out / "tables"))),
        "lines": SinkSettings(jsonl=JsonLinesSettings(str(out / "events.jsonl"))),
    }
    dispatcher = Dispatcher(sinks, out / "queues", ["street"])
    recorder = Recorder(RecordingSettings(keep_days=1, keep_mib=200, least_free_mib=0), out)
    monitor = Monitor(dispatcher, 30)
    outlet = Outlet(dispatcher, recorder, monitor, tables=[out / "tables"], now=lambda: capture.now)
    judge = Judge("street", scorer, estimator, live, exact=pose is None)
    camera = WatchedCamera("street", capture, judge, PictureWatch(live))
    opened = OpenEvents(out / "open.jsonl")
    watcher = Watcher([camera], live, outlet, opened, arrivals, outlet, outlet.patrol)
    monitor.cameras = lambda: watcher.cameras
    samples: list[tuple[float, float]] = []
    done = threading.Event()
    watching = threading.Thread(target=sample, args=(samples, done, camera), daemon=True)
    began = time.monotonic()
    watching.start()
    watcher.run()
    took = time.monotonic() - began
    done.set()
    watching.join(_SAMPLE_S)
    outlet.close(10.0)
    estimators.close()
    return report(samples, took, settled, camera, out)


def sample(samples: list[tuple[float, float]], done: threading.Event, camera: WatchedCamera) -> None:
    """Note memory now and then: (seconds, MiB)."""
    process, began = psutil.Process(), time.monotonic()
    while not done.wait(_SAMPLE_S / 10 if len(samples) < 10 else _SAMPLE_S):
        samples.append((time.monotonic() - began, process.memory_info().rss / 2**20))
        counts = camera.judge.counts if camera.judge is not None else None
        if len(samples) % 15 == 0 and counts is not None:
            print(
                f"{samples[-1][0]:.0f} s: {camera.capture.received / _FPS / 3600:.2f} h of video, "
                f"{counts.frames} frames judged, {samples[-1][1]:.0f} MiB, "
                f"{camera.events} events, {threading.active_count()} threads, {process.num_fds()} files",
                flush=True,
            )


def report(
    samples: list[tuple[float, float]], took: float, settled: float, camera: WatchedCamera, out: Path
) -> dict[str, float]:
    """Print what is left of the run."""
    at, memory = np.array(samples).T
    late = at > settled * took
    slope = float(np.polyfit(at[late], memory[late], 1)[0]) * 3600 if late.sum() > 2 else np.nan
    judged = camera.judge.counts.frames if camera.judge is not None else 0
    hours = camera.capture.received / _FPS / 3600
    days = {kind: sorted(p.name for p in (out / kind).glob("*")) for kind in ("clips", "pictures", "tables")}
    children = [child for child in psutil.Process().children() if "ffmpeg" in child.name()]
    values: dict[str, float] = {
        "soak_video_hours": round(hours, 2),
        "soak_times_real": round(hours * 3600 / took, 1),
        "soak_frames_judged": judged,
        "soak_frames_dropped": camera.capture.mailbox.dropped,
        "soak_memory_mib_per_hour": round(slope, 2),
        "soak_memory_mib_per_video_hour": round(slope * took / 3600 / hours, 3) if hours else np.nan,
        "soak_events": camera.events,
        "soak_processes_left": len(children),
        "soak_threads_left": threading.active_count() - 1,
        "soak_partial_files_left": len(list(out.rglob("*.gepc-part*"))),
    }
    print(f"days kept: {days}")
    for name, value in values.items():
        print(f"{name} = {value}")
    return values


def pictures_of(street: StreetClip, rendered: bool) -> list[NDArray[np.uint8]]:
    """The pictures of the street; without an estimator that looks at them, of some noise."""
    if rendered:
        return [*render_clip(street)]
    rng = np.random.default_rng(0)
    still: Any = rng.integers(60, 200, (_SIZE[1] // 8, _SIZE[0] // 8, 3), np.uint8).repeat(8, 0).repeat(8, 1)
    pictures = []
    for level in range(8):  # a frozen picture would be blind
        pictures.append(np.clip(still.astype(np.int16) + level, 0, 255).astype(np.uint8))
    return pictures


if __name__ == "__main__":
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s: %(message)s")
    sys.exit(main())
