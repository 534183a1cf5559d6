"""All forms of the method on the synthetic street, over several seeds.

python -m benchmarks.forms [--seeds 4] [--quick] [--only TEXT ...] [--cache DIR] [--csv FILE]

Models learn from clips in which everybody behaves normally and are tested on clips with each abnormal behaviour and on
normal ones; joints and tracks have the errors that were measured from rendered video
(`pipeline.synthetic.street.errors`). A seed is another street crowd, other errors and another start of training, the
same for all forms. Choices are made on seeds 0 and up; the shipped form, the paper's and a few more are measured on
other streets too, which nothing was chosen on. Prints tables in Markdown: means and standard deviations over seeds.
"""

from __future__ import annotations

import csv
import dataclasses
import hashlib
import json
import logging
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from anomaly.evaluation.metrics import (
    average_precision,
    concatenated,
    equal_error_rate,
    frame_auc,
    macro_auc,
    micro_auc,
)
from anomaly.settings import ModelSettings, settings_to_dict
from benchmarks.helpers.command import option_parser
from benchmarks.helpers.forms_list import BASES, DEFAULT, FORMS, PAPERS, QUICK, Form
from benchmarks.helpers.forms_training import Shared
from benchmarks.helpers.spread import spread
from pipeline.synthetic.clips import simulate_clip
from pipeline.synthetic.motion.behaviours import ABNORMAL
from pipeline.synthetic.street.errors import estimated
from pipeline.synthetic.street.scene import StreetSettings
from pose_extract.errors import TrainingError
from pose_extract.files import write_atomically
from pose_extract.tracks.cleaning import clean_tracks
from pose_extract.tracks.records import ClipTracks
from pose_extract.tracks.settings import CleaningSettings

MEASURES = {"micro_auc": "micro AUC", "macro_auc": "macro AUC", "ap": "AP", "eer": "EER"}


@dataclass(frozen=True)
class Amount:
    """How much of the street there is.

    Attributes:
        normal_clips: to learn from.
        normal_seconds: length of each.
        test_clips: for each abnormal behaviour, and twice as many normal ones.
        test_seconds: length of each.
        behaviours: abnormal ones.
    """

    normal_clips: int = 5
    normal_seconds: float = 20.0
    test_clips: int = 2
    test_seconds: float = 12.0
    behaviours: tuple[str, ...] = ABNORMAL


FULL = Amount()
LITTLE = Amount(normal_clips=3, test_clips=1, behaviours=("running", "falling", "crouching"))


@dataclass(frozen=True)
class TestClip:
    """A clip to score: its people, the frames' labels, and what happens in it ("" for a normal one)."""

    tracks: ClipTracks
    labels: NDArray[np.uint8]
    behaviour: str


@dataclass(frozen=True)
class Street:
    """The clips of one seed, made when they are first needed."""

    seed: int
    amount: Amount

    def _clip(
        self, number: int, seconds: float, acts: Iterable[str] = ()
    ) -> tuple[ClipTracks, NDArray[np.uint8]]:
        seed = 10_000 * (self.seed + 1) + number
        clip = simulate_clip(f"clip{number}", seed, StreetSettings(seconds=seconds), tuple(acts))
        return clean_tracks(estimated(clip.truth, seed), CleaningSettings()), clip.labels

    @cached_property
    def normal(self) -> list[ClipTracks]:
        """The clips to learn from."""
        return [self._clip(i, self.amount.normal_seconds)[0] for i in range(self.amount.normal_clips)]

    @cached_property
    def tests(self) -> list[TestClip]:
        """The clips to score."""
        count = self.amount.test_clips
        acts = [a for a in self.amount.behaviours for _ in range(count)] + [""] * (2 * count)
        made = [
            (self._clip(1000 + i, self.amount.test_seconds, (a,) if a else ()), a) for i, a in enumerate(acts)
        ]
        return [TestClip(tracks, labels, act) for (tracks, labels), act in made]


def measure(scores: list[NDArray[np.float64]], tests: list[TestClip]) -> dict[str, float]:
    """The figures of one model: over all clips, and for each behaviour over its clips and the normal ones."""
    labels = [test.labels for test in tests]
    together = concatenated(scores, labels)
    figures = {
        "micro_auc": micro_auc(scores, labels),
        "macro_auc": macro_auc(scores, labels),
        "ap": average_precision(*together),
        "eer": equal_error_rate(*together),
    }
    for behaviour in dict.fromkeys(test.behaviour for test in tests if test.behaviour):
        picked = [i for i, test in enumerate(tests) if test.behaviour in (behaviour, "")]
        figures[behaviour] = frame_auc(
            *concatenated([scores[i] for i in picked], [labels[i] for i in picked])
        )
    return figures


class Cells:
    """Figures of forms and seeds, kept in a folder: a file a cell, named by everything that it depends on."""

    def __init__(self, folder: Path, amount: Amount) -> None:
        self.folder, self.amount = folder, amount
        folder.mkdir(parents=True, exist_ok=True)

    def path(self, settings: ModelSettings, seed: int) -> Path:
        """The cell's file."""
        text = json.dumps([settings_to_dict(settings), seed, dataclasses.asdict(self.amount)], sort_keys=True)
        return self.folder / f"{hashlib.sha256(text.encode()).hexdigest()[:24]}.json"

    def get(self, form: Form, seed: int) -> dict[str, Any] | None:
        """The cell, or None where it has not been measured."""
        path = self.path(form.settings, seed)
        if not path.is_file():
            return None
        return {"base": form.base, "form": form.name, "seed": seed, **json.loads(path.read_text())}

    def measured(self, form: Form, seeds: list[int]) -> dict[int, dict[str, Any]]:
        """The cells of those seeds for which there are figures."""
        found = {seed: self.get(form, seed) for seed in seeds}
        return {seed: cell for seed, cell in found.items() if cell and "failed" not in cell}

    def save(self, form: Form, seed: int, figures: dict[str, Any]) -> None:
        """Keep a cell."""
        write_atomically(self.path(form.settings, seed), json.dumps(figures, indent=1).encode())


def fill(cells: Cells, forms: Iterable[Form], seed: int, say: Callable[[str], None]) -> None:
    """Measure what is missing of one seed; forms that share a part of their training are trained together."""
    missing = [form for form in forms if cells.get(form, seed) is None]
    if not missing:
        return
    street = Street(seed, cells.amount)
    shared = Shared(street.normal, [test.tracks for test in street.tests], seed)
    # Forms with the same pre-training, then the same fine-tuning, next to each other.
    for form in sorted(missing, key=lambda f: shared.keys(f.settings)):
        start = time.perf_counter()
        try:
            scores, facts = shared.score(form.settings)
            figures = {**measure(scores, street.tests), **facts}
        except TrainingError as error:
            figures = {"failed": str(error)}
        seconds = time.perf_counter() - start
        cells.save(form, seed, {**figures, "seconds": seconds})
        result = f"{figures['micro_auc']:.3f}" if "micro_auc" in figures else figures["failed"]
        say(f"seed {seed}: {result} in {seconds:.1f} s: {form.title}")


def row(figures: list[dict[str, Any]], names: Iterable[str]) -> str:
    """Cells of a Markdown row: mean and sample deviation over seeds."""
    return " | ".join(spread([f[name] for f in figures]) for name in names)


def table(cells: Cells, forms: Iterable[Form], seeds: list[int]) -> list[str]:
    """Lines of a Markdown table of forms; the last column is the mean of the differences on the same streets."""
    lines = [
        f"| form | {' | '.join(MEASURES.values())} | micro AUC, against its base |",
        f"|---|{'---|' * (len(MEASURES) + 1)}",
    ]
    for form in forms:
        found = cells.measured(form, seeds)
        base = cells.measured(BASES[form.base], list(found))
        if found:
            short = "" if len(found) == len(seeds) else f" ({len(found)} seeds)"
            gains = [found[seed]["micro_auc"] - base[seed]["micro_auc"] for seed in base]
            against = spread(gains, "+.3f") if gains and form is not BASES[form.base] else ""
            lines.append(f"| {form.title}{short} | {row(list(found.values()), MEASURES)} | {against} |")
    return lines


def behaviour_table(cells: Cells, forms: list[Form], seeds: list[int]) -> list[str]:
    """Lines of a Markdown table of behaviours, a column a form."""
    columns = [list(cells.measured(form, seeds).values()) for form in forms]
    lines = [
        f"| behaviour | {' | '.join(form.title for form in forms)} |",
        f"|---|{'---|' * len(forms)}",
    ]
    for behaviour in cells.amount.behaviours:
        lines.append(f"| {behaviour} | {' | '.join(row(c, [behaviour]) if c else '-' for c in columns)} |")
    return lines


def write_csv(path: Path, cells: Cells, jobs: list[tuple[Form, int]]) -> None:
    """One line a form and seed."""
    found = [cell for form, seed in jobs if (cell := cells.get(form, seed))]
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(dict.fromkeys(key for cell in found for key in cell)))
        writer.writeheader()
        writer.writerows(found)


def main(arguments: list[str] | None = None) -> int:
    parser = option_parser(__doc__)
    parser.add_argument("--seeds", type=int, default=4, help="number of streets to choose on")
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--held-out", type=int, default=100, help="first of as many other streets")
    parser.add_argument("--quick", action="store_true", help="few forms, little of the street")
    parser.add_argument("--only", nargs="+", help="forms whose 'base: name' contains one of these texts")
    parser.add_argument(
        "--cache", type=Path, help="folder of measured cells; an interrupted run goes on there"
    )
    parser.add_argument("--print", action="store_true", help="print what the cache has, measure nothing")
    parser.add_argument("--csv", type=Path, help="write every cell to this file")
    args = parser.parse_args(arguments)
    forms, amount = (QUICK, LITTLE) if args.quick else (FORMS, FULL)
    if args.only:
        forms = [form for form in forms if any(text in form.title for text in args.only)]
    seeds = list(range(args.first_seed, args.first_seed + args.seeds))
    held_out = [args.held_out + seed for seed in seeds]
    chosen = [form for form in forms if form.chosen]
    with tempfile.TemporaryDirectory() as scratch:
        cells = Cells(args.cache or Path(scratch), amount)
        for seed, wanted in [(s, forms) for s in seeds] + [(s, chosen) for s in held_out]:
            if not args.print:
                fill(cells, wanted, seed, lambda text: print(text, file=sys.stderr, flush=True))
        print(f"### Used to choose\n\nStreets {seeds}.\n")
        print("\n".join(table(cells, forms, seeds)))
        failed: dict[str, list[str]] = {}
        for form, seed in [(f, s) for f in forms for s in seeds] + [(f, s) for f in chosen for s in held_out]:
            if "failed" in (cell := cells.get(form, seed) or {}):
                failed.setdefault(cell["failed"], []).append(f"{form.title}, street {seed}")
        for message, whose in failed.items():
            print(f"\nNot trained: {message}: {'; '.join(whose)}.")
        if chosen:
            print(f"\n### Held out\n\nStreets {held_out}.\n")
            print("\n".join(table(cells, chosen, held_out)))
            print("\n### Each behaviour\n\nFrame AUC of its clips and the normal ones; held-out streets.\n")
            print("\n".join(behaviour_table(cells, chosen, held_out)))
        jobs = [(f, s) for s in seeds for f in forms] + [(f, s) for s in held_out for f in chosen]
        if args.csv:
            write_csv(args.csv, cells, jobs)
        for form in chosen:
            figures = [cell["micro_auc"] for cell in cells.measured(form, held_out).values()]
            if form in (DEFAULT, PAPERS) and figures:
                print(f"forms_{form.base}_micro_auc = {np.mean(figures):.3f}")
    return 0


if __name__ == "__main__":
    logging.getLogger("anomaly").setLevel(logging.ERROR)  # collapsed clusters are in the table
    sys.exit(main())
