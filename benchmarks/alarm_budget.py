"""False events that an alarm budget promises, and those that come: on real normal clips, or on days of a street.

    GEPC_SAMPLE_DATA=... python -m benchmarks.alarm_budget [--splits 40] [--seed 0] [--set A.B=C]
    python -m benchmarks.alarm_budget --street-days 4 [--learned-hours 2] [--known-hours 3] [--keep SCORES.npz]

Trains the default on half of HR-ShanghaiTech's normal clips, with few windows, and scores the other half, about an hour
and a half. That half is then split by clips again and again: one part sets the threshold for so many false events an
hour, as `calibration.alarms_per_day` does, and events are counted in the other.

``--street-days``: the same with the synthetic street, with video enough for one event a day: exact joints with an
estimator's errors, 12 frames a second, never the same people twice. The model learns from hours that are not counted;
so many hours of the days, drawn again and again, set the threshold, and events are counted in all others. ``--keep``
keeps the scores, and takes them from there the next time, so that another rule for thresholds is tried in a minute.
"""

from __future__ import annotations

import argparse
import dataclasses
import multiprocessing
import sys
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from anomaly.scoring.alarm_budget import APART_S, DAY_S, alarm_budget
from anomaly.scoring.scores import score_clip
from anomaly.scoring.threshold import smoothing_of
from anomaly.scoring.torch_model import TrainedModel
from anomaly.training.train import train_model
from benchmarks.helpers.command import data_or_skip, option_parser
from benchmarks.helpers.real_data import SHANGHAITECH, read
from pipeline.settings import load_settings
from pipeline.synthetic.clips import simulate_clip
from pipeline.synthetic.street.errors import estimated
from pipeline.synthetic.street.scene import StreetSettings
from pose_extract.tracks.cleaning import clean_tracks
from pose_extract.tracks.records import ClipTracks
from pose_extract.tracks.settings import CleaningSettings

PER_HOUR = (60.0, 20.0, 10.0, 5.0, 2.0, 1.0)
PER_DAY = (24.0, 12.0, 6.0, 3.0, 2.0, 1.0)
STREET_FPS = 12.0
STRETCH_S = 120.0
FIRST_STRETCH = 5_000_000  # seeds that nothing else uses
FEW_WINDOWS = (
    "calibration.held_out=0.5",
    "training.most_windows=6000",
    "densities.windows=6000",
)


def events_in(clip: NDArray[np.int32], time_s: NDArray[np.float64], alarm: NDArray[np.bool_]) -> int:
    """How many stretches of alarms there are, as the budget counts them."""
    at = np.flatnonzero(alarm)
    return int(len(at) > 0) + int(((np.diff(clip[at]) != 0) | (np.diff(time_s[at]) > APART_S)).sum())


@dataclass(frozen=True)
class Normal:
    """Scores of normal video that training has not seen.

    Attributes:
        clip: (F,) number of each frame's clip.
        time_s: (F,) its time in its clip.
        score: (F,) smoothed, as scores are that raise alarms.
        fps: frames a second.
    """

    clip: NDArray[np.int32]
    time_s: NDArray[np.float64]
    score: NDArray[np.float64]
    fps: float

    def hours(self, of: NDArray[np.bool_]) -> float:
        """How long some of the frames last."""
        return float(of.sum()) / self.fps / 3600

    def pick(
        self, of: NDArray[np.bool_]
    ) -> tuple[NDArray[np.int32], NDArray[np.float64], NDArray[np.float64]]:
        """Clip, time and score of some of the frames."""
        return self.clip[of], self.time_s[of], self.score[of]


def real_clips(args: argparse.Namespace) -> Normal | None:
    """Half of ShanghaiTech's normal clips, scored by a model of the other half; None without the data."""
    data = data_or_skip("alarm_budget")
    if data is None:
        return None
    settings = load_settings("default", ["windows.fps=24.97", *FEW_WINDOWS, *args.set])
    model = train_model(list(read(data, SHANGHAITECH, "train"))[: args.clips], settings, args.seed)
    found, scoring = model.fitted_calibration, settings.scoring
    score = found.smoothed(scoring.frames, smoothing_of(model, scoring), scoring.tail, scoring.by)
    return Normal(found.clip, found.time_s, score, settings.windows.fps)


def stretch(number: int) -> ClipTracks:
    """The people of a stretch of the street, as an estimator would see them, cleaned."""
    street = StreetSettings(seconds=STRETCH_S, fps=STREET_FPS)
    truth = simulate_clip(f"street_{number:05d}", number, street).truth
    return clean_tracks(estimated(truth, number), CleaningSettings())


def street_days(args: argparse.Namespace) -> Normal:
    """Days of the street, scored by a model of hours of it."""
    settings = load_settings("default", [f"windows.fps={STREET_FPS:g}", *args.set])
    learned = max(4, round(args.learned_hours * 3600 / STRETCH_S))
    counted = max(4, round(args.street_days * DAY_S / STRETCH_S))
    first = FIRST_STRETCH + 100_000 * args.seed
    model = train_model([stretch(first + n) for n in range(learned)], settings, args.seed)
    numbers = range(first + learned, first + learned + counted)
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(args.processes, context, initializer=_keep, initargs=(model,)) as pool:
        found = list(pool.map(_score_street, numbers, chunksize=8))
    clip = np.repeat(np.arange(counted, dtype=np.int32), [len(score) for _, score in found])
    time_s, score = (np.concatenate(values) for values in zip(*found, strict=True))
    return Normal(clip, time_s, score, STREET_FPS)


_kept: list[TrainedModel] = []  # by a worker


def _keep(model: TrainedModel) -> None:
    torch.set_num_threads(1)
    _kept.append(model)


def _score_street(number: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    frames = score_clip(_kept[0], stretch(number)).frames
    return frames.time_s, frames.score


def compare(normal: Normal, per_day: Sequence[float], known_share: float, args: argparse.Namespace) -> None:
    """Set thresholds by some of the clips, again and again, count events in the others, and print both."""
    names = np.unique(normal.clip)
    rng = np.random.default_rng(args.seed)
    real: dict[float, list[int]] = {rate: [] for rate in per_day}
    hours: list[float] = []
    within = dict.fromkeys(per_day, 0)
    for _ in range(args.splits):
        of_known = rng.permutation(names)[: max(2, int(known_share * len(names)))]
        known = np.isin(normal.clip, of_known)
        hours.append(normal.hours(~known))
        for rate in per_day:
            budget = alarm_budget(*normal.pick(known), rate)
            clip, time_s, score = normal.pick(~known)
            there = events_in(clip, time_s, score > budget.threshold)
            real[rate].append(there)
            within[rate] += budget.low <= there / hours[-1] * 24 <= budget.high
    counted = np.mean(hours)
    print(f"{len(names)} clips, {counted:.1f} hours to count in, {args.splits} splits\n")
    unit, by = ("a day", 1.0) if args.street_days else ("an hour", 24.0)
    print(f"### False events {unit}, promised and real")
    print("| promised | real | real / promised | within the interval |\n|---|---|---|---|")
    ratios = {rate: sum(real[rate]) / sum(hours) * 24 / rate for rate in per_day}
    for rate, ratio in ratios.items():
        share = within[rate] / args.splits
        print(f"| {rate / by:g} | {ratio * rate / by:.2f} | {ratio:.2f} | {share:.2f} |")
    print()
    for rate, ratio in ratios.items():
        print(f"alarm_budget_{rate / by:g}_{unit.replace(' ', '_')}_ratio = {ratio:.2f}")


def main(arguments: list[str] | None = None) -> int:
    """Measure and print."""
    parser = option_parser(__doc__)
    parser.add_argument("--splits", type=int, default=40)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--clips", type=int, help="so many real clips only")
    parser.add_argument("--street-days", type=float, metavar="DAYS", help="of the street to score")
    parser.add_argument("--learned-hours", type=float, default=2.0, help="of the street to learn from")
    parser.add_argument("--known-hours", type=float, default=3.0, help="of them that set a threshold")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument(
        "--keep", type=Path, metavar="NPZ", help="keep the scores there, or take them from there"
    )
    parser.add_argument(
        "--set", nargs="*", default=[], metavar="A.B=C", help="settings on top of the default's"
    )
    args = parser.parse_args(arguments)
    if args.keep is not None and args.keep.exists():
        with np.load(args.keep) as kept:
            normal: Normal | None = Normal(kept["clip"], kept["time_s"], kept["score"], float(kept["fps"]))
    else:
        normal = street_days(args) if args.street_days else real_clips(args)
    if normal is None:
        return 0
    if args.keep is not None and not args.keep.exists():
        args.keep.parent.mkdir(parents=True, exist_ok=True)
        np.savez(args.keep, **dataclasses.asdict(normal))
    if args.street_days:
        compare(normal, PER_DAY, args.known_hours / 24 / args.street_days, args)
    else:
        compare(normal, [24 * rate for rate in PER_HOUR], 0.5, args)
    return 0


if __name__ == "__main__":
    sys.exit(main())
