"""Shipped configs on the synthetic street, over several streets: what a gain on real poses costs there.

    python -m benchmarks.streets [--configs clustering default moving-camera] [--streets 100 101 ...] [--set A.B=C]

Each config trains on a street's normal clips as `gepc-pipeline train` does, and scores its test clips: joints and
tracks with the errors that were measured from rendered video (`pipeline.synthetic.street.errors`). Nothing was chosen
on streets 100 and up.
"""

from __future__ import annotations

import logging
import sys

from anomaly.scoring.scores import score_clip
from anomaly.training.train import train_model
from benchmarks.forms import FULL, LITTLE, Street, measure
from benchmarks.helpers.command import option_parser
from benchmarks.real import table
from pipeline.settings import load_settings

FIRST_UNSEEN = 100
UNSEEN, CHOSEN = "Streets that nothing was chosen on", "Streets used to choose"


def main(arguments: list[str] | None = None) -> int:
    """Measure and print."""
    parser = option_parser(__doc__)
    parser.add_argument("--configs", nargs="+", default=["clustering", "default", "moving-camera"])
    parser.add_argument("--streets", nargs="+", type=int, default=[100, 101, 102, 103])
    parser.add_argument("--quick", action="store_true", help="little of the street, to try whether it runs")
    parser.add_argument("--set", nargs="+", default=[], metavar="A.B=C", help="of every config")
    args = parser.parse_args(arguments)
    found: dict[str, dict[str, list[dict[str, float]]]] = {}
    for number in args.streets:
        title = UNSEEN if number >= FIRST_UNSEEN else CHOSEN
        street = Street(number, LITTLE if args.quick else FULL)
        for config in args.configs:
            model = train_model(list(street.normal), load_settings(config, args.set), seed=number)
            scores = [score_clip(model, test.tracks).frames.score for test in street.tests]
            row = measure(scores, street.tests)
            found.setdefault(title, {}).setdefault(", ".join((config, *args.set)), []).append(row)
            figures = " ".join(f"{name} {value:.3f}" for name, value in row.items())
            print(f"street {number}, {config}: {figures}", flush=True)
    for title, rows in found.items():
        print(f"### {title}\n{table(rows)}")
    return 0


if __name__ == "__main__":
    logging.getLogger("anomaly").setLevel(logging.ERROR)  # few held-out frames
    sys.exit(main())
