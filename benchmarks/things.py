"""What is not a person, on the synthetic street from video: cars, prams, left bags, crowds that flee, loiterers, ...

    python -m benchmarks.things [--seeds 3] [--jobs 2] [--out DIR] [--pose NAME] [--set A.B=C] [--beside A.B=C]

Renders normal clips, a crowd in every second, and clips in which one kind of thing is all that is unusual, be it that a
crowd flees (`pipeline.synthetic.things`), finds people and things in the frames, trains on the normal clips and scores
the rest. Printed are the frame AUC of each kind; of things that pass, its mean over the kinds on which choices are made
and over those kept out of every choice; that of clips whose people misbehave; the false events in an hour of normal
clips; and of how many looks that have an unusual thing it is found in, and how many are found a minute where there are
none. `--beside` trains a second model with other settings (without a part, say) on the same tracks, to compare. A seed
is other clips and another start of training.
"""

from __future__ import annotations

import csv
import logging
import sys
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from anomaly.evaluation.metrics import frame_auc
from benchmarks.helpers.command import option_parser
from benchmarks.helpers.spread import spread
from pipeline.commands.options import add_pose, add_set, pose_overrides
from pipeline.demo import street_video
from pipeline.events.events import EventFinder
from pipeline.extraction.run import extract_all
from pipeline.scoring import Scorer, load_scorer, score_chunks
from pipeline.settings import Settings, load_settings
from pipeline.synthetic.street.scene import StreetSettings
from pipeline.synthetic.things.kinds import CHOOSE_FROM, KEPT_OUT, KINDS
from pipeline.synthetic.things.scenarios import LONGEST_STAY
from pipeline.training import train
from pipeline.workspace import Workspace
from pose_extract.skeletons.similarity import box_iou
from pose_extract.tracks.cache import load_tracks
from pose_extract.tracks.things import PERSON as STAYING
from pose_extract.video import find_sources

PEOPLE = (
    ("running", "falling"),
    ("fighting", "cycling"),
    ("jumping", "crawling"),
    ("crouching", "panicking"),
)
CROWD = (11, 15)  # people, as many as the crowds that flee have with those who are there anyhow
CHOICE, KEPT = "passing things, choose from", "passing things, kept out"
PERSON, FALSE = "people alone", "false events an hour"
FALSE_THINGS = "false things a minute"
_IS_THAT = 0.3  # overlap with an exact box from which a thing is what is there


@dataclass(frozen=True)
class Amount:
    """How much video: clips to learn from, normal clips to test, clips of each kind, clips of people's behaviours, and
    the seconds of one clip."""

    normal: int = 12
    normal_tests: int = 3
    each: int = 2
    people: int = 4
    seconds: float = 16.0


@dataclass(frozen=True)
class Clip:
    """A test clip: its video, and what is unusual in it: a kind of thing, `PERSON`, or nothing."""

    video: Path
    kind: str


def render(folder: Path, seed: int, amount: Amount, kinds: list[str]) -> list[Clip]:
    """The clips, normal ones in the folder ``normal``, the others in ``test``; returns those to test."""
    street, number = StreetSettings(seconds=amount.seconds), 100_000 + 1000 * seed
    crowd = replace(street, people=CROWD)
    tests = []
    for i in range(amount.normal):
        its = crowd if i % 2 else street
        street_video(folder / "normal", f"normal_{i + 1}", number + i, its)
    for i in range(amount.normal_tests):
        name, its = f"quiet_{i + 1}", crowd if i == 2 else street
        tests.append(Clip(street_video(folder / "test", name, number + 100 + i, its), ""))
    for i in range(amount.people):
        acts = PEOPLE[i % len(PEOPLE)]
        name = f"people_{i + 1}"
        tests.append(Clip(street_video(folder / "test", name, number + 200 + i, street, acts), PERSON))
    for kind in kinds:
        at = number + 300 + 50 * list(KINDS).index(kind)
        long = max(amount.seconds, 2 * LONGEST_STAY) if kind == "loitering" else amount.seconds
        for i in range(amount.each):
            name, its = f"{kind}_{i + 1}", StreetSettings(seconds=long)
            tests.append(Clip(street_video(folder / "test", name, at + i, its, (), (kind,)), kind))
    return tests


def extract(folder: Path, tests: list[Clip], settings: Settings, jobs: int) -> Workspace:
    """Find what is in all clips."""
    workspace = Workspace(folder / "workspace")
    for sources, learn in (
        (find_sources(folder / "videos" / "normal"), True),
        ([find_sources(clip.video)[0] for clip in tests], False),
    ):
        report = extract_all(sources, workspace, settings, train=learn, quiet=True, jobs=jobs)
        if report.failed:
            raise RuntimeError(f"{report.failed[0][0]}: {report.failed[0][1]}")
    return workspace


def figures(workspace: Workspace, tests: list[Clip], scorer: Scorer) -> dict[str, float]:
    """Frame AUC of each kind, their means, that of people's behaviours, and false events an hour."""
    found: dict[str, list[tuple[NDArray[np.float64], NDArray[np.uint8]]]] = {}
    events, seconds = 0, 0.0
    for clip in tests:
        tracks = scorer.load(workspace.tracks_path(clip.video.stem))
        finder, scores = EventFinder(tracks.fps, scorer.settings.events), []
        for chunk in score_chunks(scorer, tracks):
            scores.append(chunk[2].frames.score)
            events += len(finder.add(*chunk)) * (not clip.kind)
        events += len(finder.finish()) * (not clip.kind)
        seconds += tracks.frame_count / tracks.fps * (not clip.kind)
        labels = np.load(clip.video.with_suffix(".labels.npy"))
        found.setdefault(clip.kind, []).append((np.concatenate(scores), labels))
    auc = {
        kind: frame_auc(*(np.concatenate(column) for column in zip(*found[kind], strict=True)))
        for kind in (*KINDS, PERSON)
        if kind in found
    }
    rows: dict[str, float] = {}
    for title, kinds in ((CHOICE, CHOOSE_FROM), (KEPT, KEPT_OUT)):
        each = {kind: auc[kind] for kind in kinds if kind in auc and KINDS[kind].spacing}
        rows |= each
        if each:
            rows[title] = float(np.mean(list(each.values())))
    rows |= {kind: value for kind, value in auc.items() if kind in KINDS and not KINDS[kind].spacing}
    if PERSON in auc:
        rows[PERSON] = auc[PERSON]
    if seconds:
        rows[FALSE] = events / seconds * 3600
    return rows


def things_found(workspace: Workspace, tests: list[Clip]) -> dict[str, float]:
    """Share of the looks at which an unusual thing is in the picture that find it, by kind; and false ones a minute."""
    seen: dict[str, list[bool]] = {}
    false, seconds = 0, 0.0
    for clip in tests:
        tracks = load_tracks(workspace.tracks_path(clip.video.stem))
        assert tracks.things is not None
        if not clip.kind:
            things = tracks.things.things
            false += len(np.unique(things.ids[things.kinds != STAYING]))
            seconds += tracks.frame_count / tracks.fps
        exact = exact_boxes(clip.video.with_suffix(".things.csv"))
        for frame in tracks.things.looked.tolist():
            if frame in exact:
                overlap = box_iou(tracks.things.at(frame).boxes, exact[frame])
                seen.setdefault(clip.kind, []).append(bool((overlap >= _IS_THAT).any()))
    shares = {f"{kind}, found": float(np.mean(seen[kind])) for kind in KINDS if kind in seen}
    return shares | ({FALSE_THINGS: false / seconds * 60} if seconds else {})


def exact_boxes(path: Path) -> dict[int, NDArray[np.float32]]:
    """Frame -> (K, 4) where the unusual things are that are in the picture."""
    boxes: dict[int, list[list[float]]] = {}
    if path.exists():
        for row in csv.DictReader(path.read_text().splitlines()):
            if row["unusual"] == "1":
                sides = [float(row[side]) for side in ("left", "top", "right", "bottom")]
                boxes.setdefault(int(row["frame"]), []).append(sides)
    return {frame: np.array(each, np.float32) for frame, each in boxes.items()}


def main(arguments: list[str] | None = None) -> int:
    """Measure and print."""
    parser = option_parser(__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=Amount.seconds, help="length of each clip")
    parser.add_argument("--clips", type=int, default=Amount.normal, help="normal clips to learn from")
    parser.add_argument("--quiet-clips", type=int, default=Amount.normal_tests, help="normal clips to test")
    parser.add_argument("--each", type=int, default=Amount.each, help="clips of each kind")
    parser.add_argument("--people", type=int, default=Amount.people, help="clips of people who misbehave")
    parser.add_argument("--kinds", nargs="+", choices=list(KINDS), default=list(KINDS))
    parser.add_argument(
        "--beside", action="append", default=[], metavar="A.B=C", help="setting of a second model"
    )
    parser.add_argument("--jobs", type=int, default=2, help="videos at once")
    parser.add_argument("--out", type=Path, help="keep videos and tracks here, and use them again")
    add_pose(parser)
    add_set(parser)
    args = parser.parse_args(arguments)
    amount = Amount(args.clips, args.quiet_clips, args.each, args.people, args.seconds)
    forms = {"": [*args.set, *pose_overrides(args.pose)]}
    if args.beside:
        forms = {"beside": [*forms[""], *args.beside], **forms}
    results: dict[str, list[dict[str, float]]] = {form: [] for form in forms}
    found: list[dict[str, float]] = []
    with tempfile.TemporaryDirectory() as scratch:
        for seed in range(args.seeds):
            folder = (args.out or Path(scratch)) / f"seed_{seed}"
            tests = render(folder / "videos", seed, amount, args.kinds)
            workspace = extract(folder, tests, load_settings("default", forms[""]), args.jobs)
            found.append(things_found(workspace, tests))
            for form, overrides in forms.items():
                train(workspace, load_settings("default", overrides), seed=seed, device="cpu", quiet=True)
                results[form].append(figures(workspace, tests, load_scorer(workspace.model)))
                cells = ", ".join(f"{name} {value:.3f}" for name, value in results[form][-1].items())
                print(f"seed {seed}{form and f', {form}'}: {cells}", flush=True)
    show(results, found, args.beside)
    return 0


def show(
    results: dict[str, list[dict[str, float]]], found: list[dict[str, float]], beside: list[str]
) -> None:
    """Print the tables and the figures by name."""
    columns = {"frame AUC": results[""]}
    if "beside" in results:
        columns[" ".join(beside)] = results["beside"]
    print(f"### Things\n| | {' | '.join(columns)} |\n|---{'|---' * len(columns)}|")
    for name in results[""][0]:
        form = ".0f" if name == FALSE else ".3f"
        cells = [spread([row[name] for row in rows], form) for rows in columns.values()]
        print(f"| {name} | {' | '.join(cells)} |")
    print("### Things found\n| | share of looks; false ones a minute |\n|---|---|")
    for name in found[0]:
        print(f"| {name.removesuffix(', found')} | {spread([row[name] for row in found], '.2f')} |")
    for rows in (results[""], found):
        for name in rows[0]:
            key = name.replace(", ", "_").replace(" ", "_")
            ending = "" if name in (FALSE, FALSE_THINGS) or rows is found else "_auc"
            form = ".0f" if name == FALSE else ".2f" if rows is found else ".3f"
            print(f"things_{key}{ending} = {spread([row[name] for row in rows], form)}")


if __name__ == "__main__":
    logging.getLogger("anomaly").setLevel(logging.ERROR)  # few held-out frames
    sys.exit(main())
