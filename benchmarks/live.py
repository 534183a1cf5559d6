"""Cameras over RTSP: how late are alarms, and what is dropped?

    python -m benchmarks.live --demo demo/ --cameras 1 2 4 --seconds 120
    python -m benchmarks.live --demo demo/ --kills 20 --minutes 10

An RTSP server on loopback plays the demo's test clips (640x360, 24 frames a second) for ever; `watch` looks at them
with the demo's model, which `gepc-pipeline demo --out demo/` makes. A delay is that from the arrival of the frame that
an event begins with to the event's being handed to the sinks; beside it stands how late pictures come, beyond what they
did at first. Where the demo's folder holds no model, the demo is run first. ``--pose``: another estimator than the
model's. ``--stub 0.02``: instead of an estimator, a stub that
knows the people and takes so many seconds a frame, to see what all the rest costs. ``--kills``: the server dies and
comes back so often; what is left behind is counted.
"""

from __future__ import annotations

import logging
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from benchmarks.helpers.command import demo_model, option_parser
from benchmarks.helpers.rtsp import RtspServer
from benchmarks.helpers.scripted import ScriptedEstimator, scripted_video
from pipeline.commands.options import pose_overrides
from pipeline.live import cameras
from pipeline.live.cameras import Cameras
from pipeline.live.events.record import LiveEvent
from pipeline.live.settings import CameraSettings, WatchSettings
from pipeline.live.watching.open_events import OpenEvents
from pipeline.live.watching.watcher import Watcher
from pipeline.synthetic.clips import simulate_clip
from pipeline.synthetic.street.scene import StreetSettings

_SETTLE_S = 15.0  # until rates are known
_LOST_S = 10.0
_COLUMNS = (
    "cameras", "come a second, each", "judged a second, each", "dropped", "pictures late, p95 (s)", "events",
    "delay p50 (s)", "delay p95 (s)",
)  # fmt: skip


class Heard:
    """A sink that only listens."""

    def __init__(self) -> None:
        self.events: list[LiveEvent] = []

    def send(self, event: LiveEvent, context: object = None) -> None:
        """Keep the event."""
        self.events.append(event)

    def close(self, timeout_s: float) -> None:
        """Nothing is left."""


class Running:
    """A watcher in a thread."""

    def __init__(self, settings: WatchSettings, model: Path, out: Path) -> None:
        self._cameras = Cameras(settings, model, out, "cpu")
        made = [self._cameras.make(name, camera) for name, camera in settings.cameras.items()]
        self.heard = Heard()
        opened = OpenEvents(out / "open.jsonl")
        self.watcher = Watcher(made, settings.live, self.heard, opened, self._cameras.arrivals)
        self._thread = threading.Thread(target=self.watcher.run)

    def __enter__(self) -> Running:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.watcher.stop()
        self._thread.join(30)
        self._cameras.close()

    def wait_for(self, state: str, seconds: float) -> float | None:
        """Seconds until every camera is in that state; None if they are not in time."""
        began = time.monotonic()
        while time.monotonic() - began < seconds:
            if all(camera.state == state for camera in self.watcher.cameras):
                return time.monotonic() - began
            time.sleep(0.05)
        return None


def main(arguments: list[str] | None = None) -> int:
    """Measure and print."""
    parser = option_parser(__doc__)
    parser.add_argument("--demo", type=Path, required=True, help="folder of `gepc-pipeline demo`")
    parser.add_argument("--cameras", type=int, nargs="+", default=[1, 2, 4])
    parser.add_argument("--seconds", type=float, default=120.0, help="of each measurement")
    parser.add_argument("--pose", help="another estimator than the model's")
    parser.add_argument(
        "--stub", type=float, metavar="SECONDS", help="a frame, of a stub in the estimator's place"
    )
    parser.add_argument("--kills", type=int, default=0, help="kill the server so often instead")
    parser.add_argument("--minutes", type=float, default=10.0, help="within so many minutes")
    args = parser.parse_args(arguments)
    changes = tuple(pose_overrides(args.pose))
    model, videos = demo_model(args.demo), args.demo / "videos" / "test"
    with tempfile.TemporaryDirectory() as folder:
        if args.stub is not None:
            videos = stub(Path(folder) / "videos", args.stub)
        with RtspServer(videos) as server:
            return measure(args, server, model, Path(folder), changes)


def measure(args: Any, server: RtspServer, model: Path, folder: Path, changes: tuple[str, ...]) -> int:
    """What the options ask for."""
    if args.kills:
        return kill(server, model, folder, args.kills, 60 * args.minutes, changes)
    rows: list[list[str]] = []
    for count in args.cameras:
        if (row := delays(server, model, folder / str(count), count, args.seconds, changes)) is not None:
            rows.append(row)
    print("# delays by cameras")
    for cells in (_COLUMNS, ["---"] * len(_COLUMNS), *rows):
        print(f"| {' | '.join(cells)} |")
    return 0


def stub(folder: Path, work_s: float) -> Path:
    """Let every estimator be one that knows the people of a video; returns the folder of that."""
    folder.mkdir()
    truth = simulate_clip(
        "street", 31, StreetSettings(seconds=40), abnormal=("running", "falling", "fighting")
    ).truth
    scripted_video(folder / "street.mp4", truth.frame_count, truth.fps)
    made: dict[str, Any] = {
        "chosen_estimator": lambda name: name,
        "create_estimator": lambda *_: ScriptedEstimator(truth, work_s),
    }
    vars(cameras).update(made)
    return folder


def settings_of(server: RtspServer, count: int, changes: tuple[str, ...]) -> WatchSettings:
    """So many cameras that show the test clips in turn."""
    names = sorted(path.stem for path in server.folder.glob("*.mp4"))
    named = {f"camera{i}": CameraSettings(server.url(names[i % len(names)])) for i in range(count)}
    return WatchSettings(named, set=changes)


def delays(
    server: RtspServer, model: Path, out: Path, count: int, seconds: float, changes: tuple[str, ...]
) -> list[str] | None:
    """Watch so many cameras; print and return how late their alarms are."""
    with Running(settings_of(server, count, changes), model, out) as running:
        if running.wait_for("online", 60) is None:
            print(f"{count} cameras: not online within a minute")
            return None
        time.sleep(_SETTLE_S)
        before = [camera.figures() for camera in running.watcher.cameras]
        began = time.monotonic()
        behind: list[float] = []
        while (took := time.monotonic() - began) < seconds:
            time.sleep(min(0.5, seconds - took))
            behind += [camera.capture.behind_s for camera in running.watcher.cameras]
        after = [camera.figures() for camera in running.watcher.cameras]
        late = np.array([delay for camera in running.watcher.cameras for delay in camera.delays_s])

    def per_second(key: str) -> float:
        return sum(b[key] - a[key] for a, b in zip(before, after, strict=True)) / took / count

    received, dropped = per_second("received"), per_second("dropped")
    found = [f"{value:.2f}" for value in np.quantile(late, (0.5, 0.95))] if len(late) else ["no event"] * 2
    row = [
        str(count),
        f"{received:.1f}",
        f"{per_second('judged'):.1f}",
        f"{dropped / max(received, 1e-9):.0%}",
        f"{np.quantile(behind, 0.95):.2f}",
        str(len(late)),
        *found,
    ]
    print(", ".join(f"{name} {value}" for name, value in zip(_COLUMNS, row, strict=True)), flush=True)
    return row


def kill(
    server: RtspServer, model: Path, out: Path, kills: int, seconds: float, changes: tuple[str, ...]
) -> int:
    """Kill the server again and again; print how long it takes, and what is left behind."""
    process = psutil.Process()
    facts: list[tuple[int, int, int, float]] = []
    lost: list[float] = []
    back: list[float] = []
    with Running(settings_of(server, 1, changes), model, out) as running:
        assert running.wait_for("online", 60) is not None
        time.sleep(_SETTLE_S)
        for number in range(kills):
            until = time.monotonic() + seconds / kills
            facts.append(left_open(process))
            server.kill()
            lost.append(running.wait_for("lost", 3 * _LOST_S) or np.inf)
            server.start()
            back.append(running.wait_for("online", 3 * _LOST_S) or np.inf)
            print(
                f"{number + 1}: lost after {lost[-1]:.1f} s, back after {back[-1]:.1f} s; {facts[-1][0]} open files, "
                f"{facts[-1][1]} threads, {facts[-1][2]} processes, {facts[-1][3]:.0f} MiB",
                flush=True,
            )
            time.sleep(max(0.0, until - time.monotonic()))
        facts.append(left_open(process))
    first, last = facts[min(1, len(facts) - 1)], facts[-1]
    print(
        f"live_lost_most_s = {max(lost):.1f}\nlive_back_most_s = {max(back):.1f}\n"
        f"live_files_more = {last[0] - first[0]}\nlive_threads_more = {last[1] - first[1]}\n"
        f"live_processes_more = {last[2] - first[2]}\nlive_memory_more_percent = {100 * (last[3] / first[3] - 1):.1f}"
    )
    return 0


def left_open(process: Any) -> tuple[int, int, int, float]:
    """Open files, threads and children of a process, and its memory in MiB."""
    # The RTSP server is a child as well, but while it is dead it is none: it is left out.
    children = [child for child in process.children() if "ffmpeg" in child.name()]
    return process.num_fds(), process.num_threads(), len(children), process.memory_info().rss / 2**20


if __name__ == "__main__":
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s: %(message)s")
    sys.exit(main())
