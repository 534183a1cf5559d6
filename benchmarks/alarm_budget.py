"""False events that an alarm budget promises, and those that come, on HR-ShanghaiTech's normal clips.

    GEPC_SAMPLE_DATA=... python -m benchmarks.alarm_budget [--splits 40] [--seed 0] [--set A.B=C]

Trains the default on half of the normal clips, with few windows, and scores the other half, about an hour and a half.
That half is then split by clips again and again: one part sets the threshold for so many false events an hour, as
`calibration.alarms_per_day` does, and events are counted in the other.
"""

from __future__ import annotations

import sys

import numpy as np
from numpy.typing import NDArray

from anomaly.scoring.alarm_budget import APART_S, DAY_S, alarm_budget
from anomaly.scoring.threshold import smoothing_of
from anomaly.training.train import train_model
from benchmarks.helpers.command import data_or_skip, option_parser
from benchmarks.helpers.real_data import SHANGHAITECH, read
from pipeline.settings import load_settings

PER_HOUR = (60.0, 20.0, 10.0, 5.0, 2.0, 1.0)
SHORT = (
    "windows.fps=24.97",
    "calibration.held_out=0.5",
    "training.most_windows=6000",
    "densities.windows=6000",
    "windows.score_stride=2",
)


def events_in(clip: NDArray[np.int32], time_s: NDArray[np.float64], alarm: NDArray[np.bool_]) -> int:
    """How many stretches of alarms there are, as the budget counts them."""
    at = np.flatnonzero(alarm)
    return int(len(at) > 0) + int(((np.diff(clip[at]) != 0) | (np.diff(time_s[at]) > APART_S)).sum())


def main(arguments: list[str] | None = None) -> int:
    """Measure and print."""
    parser = option_parser(__doc__)
    parser.add_argument("--splits", type=int, default=40)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--clips", type=int, help="so many clips only")
    parser.add_argument(
        "--set", nargs="*", default=[], metavar="A.B=C", help="settings on top of the default's"
    )
    args = parser.parse_args(arguments)
    data = data_or_skip("alarm_budget")
    if data is None:
        return 0
    settings = load_settings("default", [*SHORT, *args.set])
    model = train_model(list(read(data, SHANGHAITECH, "train"))[: args.clips], settings, args.seed)
    found, scoring = model.fitted_calibration, settings.scoring
    score = found.smoothed(scoring.frames, smoothing_of(model, scoring), scoring.tail, scoring.by)
    names = np.unique(found.clip)
    rng = np.random.default_rng(args.seed)
    real: dict[float, list[int]] = {rate: [] for rate in PER_HOUR}
    hours, within = [], dict.fromkeys(PER_HOUR, 0)
    for _ in range(args.splits):
        known = np.isin(found.clip, rng.permutation(names)[: len(names) // 2])
        hours.append((~known).sum() / settings.windows.fps / 3600)
        for rate in PER_HOUR:
            budget = alarm_budget(found.clip[known], found.time_s[known], score[known], rate * DAY_S / 3600)
            there = events_in(found.clip[~known], found.time_s[~known], score[~known] > budget.threshold)
            real[rate].append(there)
            per_day = there / hours[-1] * 24
            within[rate] += budget.low <= per_day <= budget.high
    print(
        f"{len(names)} clips held out, {np.mean(hours) * 60:.0f} minutes to count in, {args.splits} splits\n"
    )
    print("### False events an hour, promised and real")
    print("| promised | real | real / promised | within the interval |\n|---|---|---|---|")
    for rate in PER_HOUR:
        an_hour = sum(real[rate]) / sum(hours)
        share = within[rate] / args.splits
        print(f"| {rate:g} | {an_hour:.2f} | {an_hour / rate:.2f} | {share:.2f} |")
    print()
    for rate in PER_HOUR:
        print(f"alarm_budget_{rate:g}_an_hour_ratio = {sum(real[rate]) / sum(hours) / rate:.2f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
