"""How late `watch` tells an event, by how many frames a second can be judged: seconds of video, on any machine.

    python -m benchmarks.live_delay --demo demo/ --rates 24 12 8 6 5 4

Streets whose people are known are judged at so many frames a second, as fast as it goes. A delay is that from the
frame that an event begins with to the frame at which it is told, in the video's time: what the way of `watch` costs
whatever the machine. The time that it takes to judge a frame comes on top; `benchmarks.live` measures all of it.
"""

from __future__ import annotations

import logging
import sys
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np

from benchmarks.helpers.command import demo_model, option_parser
from benchmarks.live_street import KnownPeople
from pipeline.live.capture.feed import LiveFrame
from pipeline.live.settings import LiveSettings
from pipeline.live.watching.judge import Judge
from pipeline.scoring import Scorer, load_scorer
from pipeline.synthetic.clips import simulate_clip
from pipeline.synthetic.street.scene import StreetSettings
from pose_extract.tracks.records import ClipTracks

_START = datetime(2026, 1, 1).astimezone()
_ABNORMAL = ("running", "falling", "fighting")


def main(arguments: list[str] | None = None) -> int:
    """Measure and print."""
    parser = option_parser(__doc__)
    parser.add_argument("--demo", type=Path, required=True, help="folder of `gepc-pipeline demo`")
    parser.add_argument("--rates", nargs="+", type=float, default=[24, 12, 8, 6, 5, 4])
    parser.add_argument("--streets", nargs="+", type=int, default=[31, 32, 33])
    parser.add_argument("--seconds", type=float, default=40.0, help="of each street")
    args = parser.parse_args(arguments)
    scorer = load_scorer(demo_model(args.demo), ["scoring.frames=online"])
    settings = StreetSettings(seconds=args.seconds)
    streets = [simulate_clip("street", seed, settings, abnormal=_ABNORMAL).truth for seed in args.streets]
    print("# delay by rate\n| judged a second | events | delay p50 (s) | delay p95 (s) |\n|---|---|---|---|")
    for rate in args.rates:
        late = np.concatenate([delays(scorer, street, rate) for street in streets])
        told = [f"{value:.2f}" for value in np.quantile(late, (0.5, 0.95))] if len(late) else ["none"] * 2
        print(f"| {rate:g} | {len(late)} | {' | '.join(told)} |", flush=True)
    return 0


def delays(scorer: Scorer, clip: ClipTracks, rate: float) -> list[float]:
    """Seconds of video from the beginning of each event to its being told, at so many frames a second."""
    kept = np.unique(np.searchsorted(clip.time_s, np.arange(0, clip.time_s[-1], 1 / rate)))
    judge = Judge(clip.clip, scorer, KnownPeople(clip, kept), LiveSettings(), exact=False)
    picture = np.zeros((clip.frame_size[1], clip.frame_size[0], 3), np.uint8)
    found = []
    for time_s in clip.time_s[kept].tolist():
        frame = LiveFrame(time_s, picture, _START + timedelta(seconds=time_s), 0.0, rate, 1)
        found += [time_s - told.event.start_s for told in judge.take(frame) if told.type == "new"]
    return found


if __name__ == "__main__":
    logging.getLogger("pipeline").setLevel(logging.ERROR)
    sys.exit(main())
