"""`gepc-pipeline recalibrate`: the alarm threshold set from marked events."""

from __future__ import annotations

import argparse
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.builtin import PREFIX, builtin_name
from pipeline.commands.options import add_device, add_workspace, counted
from pipeline.defaults import workspace_option

if TYPE_CHECKING:
    from pipeline.workspace import Workspace

HELP = "set the alarm threshold from events that were marked right or false"
EXAMPLE = """\
example:
  gepc-pipeline recalibrate --marks marks.json
  gepc-pipeline recalibrate --marks monday.json tuesday.csv --learn
  gepc-pipeline recalibrate --marks marks.json --keep-right 0.9 --dry-run
  gepc-pipeline recalibrate                            (after training again: the marks so far, for the new model)
  gepc-pipeline recalibrate --from-watch 7 --dry-run   (the scores of the last week that watch has kept)
  gepc-pipeline recalibrate --reset

Marks come from the review page (gepc-pipeline report). Right alarms stay alarms; of the false ones, all that score
lower than every right one become quiet. The threshold moves no further than that takes. It is kept in the model, and
the marks in the workspace: new ones are added to them. --learn makes marked false alarms normal training clips.
--from-watch takes the days for normal and moves the threshold of online scores to where calibration's false alarm rate
holds on them; a running watch takes it over within seconds."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument(
        "--marks", nargs="+", type=Path, default=[], metavar="FILE", help="marked events, .json or .csv"
    )
    parser.add_argument(
        "--keep-right",
        type=float,
        default=1.0,
        metavar="SHARE",
        help="so many of the right alarms must stay alarms (default: 1, all of them)",
    )
    parser.add_argument(
        "--learn",
        action="store_true",
        help="also add the false alarms to what the next `train` learns as normal",
    )
    parser.add_argument(
        "--from-watch",
        type=int,
        metavar="DAYS",
        help="instead of marks: the scores of so many days, today included, that watch has kept",
    )
    parser.add_argument(
        "--watched",
        type=Path,
        default=Path("gepc-watch"),
        metavar="DIR",
        help="what watch was given as --out (default: ./gepc-watch)",
    )
    parser.add_argument("--dry-run", action="store_true", help="only say what would change")
    parser.add_argument(
        "--reset",
        action="store_true",
        help="take the threshold and the marks out of use; with --learn, the training clips made of them too",
    )
    parser.add_argument(
        "--tracks",
        nargs="+",
        type=Path,
        default=[],
        metavar="NPZ",
        help="marked clips that are not in the workspace",
    )
    parser.add_argument(
        "--model", type=Path, metavar="DIR", help="the model (default: that of the workspace)"
    )
    add_workspace(parser)
    add_device(parser, "auto", "where the model runs")


def run(args: argparse.Namespace) -> int:
    """Recalibrate, or undo it."""
    from pipeline.review.false_alarms import learn_false_alarms
    from pipeline.review.marks import all_marks
    from pipeline.review.recalibrate import apply, recalibrate
    from pipeline.scoring import load_scorer
    from pipeline.workspace import Workspace
    from pose_extract.errors import UsageError

    workspace = Workspace(args.workspace, not args.no_wait)
    model = args.model or workspace.model
    if (name := builtin_name(model)).startswith(PREFIX):
        raise UsageError(
            f"{name} comes with the package and stays as it is; train a model first, then recalibrate it"
        )
    if args.from_watch is not None:
        if args.marks or args.reset or args.learn or args.tracks:
            raise UsageError("--from-watch goes without --marks, --reset, --learn and --tracks")
        return _from_watch(args, workspace, model)
    if args.reset:
        if args.marks or args.dry_run:
            raise UsageError("--reset undoes what marks have set; give it without --marks and --dry-run")
        return _reset(workspace, model, args.learn)
    marks = all_marks(workspace.marks, args.marks)
    scorer = load_scorer(model, device=args.device)
    result = recalibrate(scorer, workspace, marks, args.tracks, args.keep_right, args.quiet)
    print("\n".join(result.lines))
    args.result.update(model=model, said=result.lines, changed=not args.dry_run)
    if args.dry_run:
        print("nothing was changed (--dry-run)")
        return 0
    apply(result, workspace, model)
    print(f"kept in {model}; undo with: gepc-pipeline recalibrate --reset{_where(args)}")
    print(
        "scores, pages and videos from now on have it; those that are there keep theirs until they are made again"
    )
    if args.learn:
        made = learn_false_alarms(scorer, workspace, marks, args.tracks)
        option = workspace_option(args.workspace)
        print(f"{counted(len(made), 'new training clip')} of false alarms")
        print(f"next: gepc-pipeline train{option}, then gepc-pipeline recalibrate{_where(args)}")
    return 0


def _where(args: argparse.Namespace) -> str:
    """The options that name the same workspace and model."""
    model = "" if args.model is None else f" --model {shlex.quote(str(args.model))}"
    return f"{workspace_option(args.workspace)}{model}"


def _from_watch(args: argparse.Namespace, workspace: Workspace, model: Path) -> int:
    """Move the threshold of online scores by what `watch` has seen."""
    from pipeline.live.recalibrating import propose
    from pipeline.review.recalibrate import put_threshold

    proposal = propose(model, args.watched, args.from_watch, args.device)
    print("\n".join(proposal.lines))
    args.result.update(model=model, said=proposal.lines, changed=not args.dry_run)
    if args.dry_run:
        print("nothing was changed (--dry-run)")
        return 0
    put_threshold(proposal.marked, workspace, model)
    print(f"kept in {model}; undo with: gepc-pipeline recalibrate --reset{_where(args)}")
    return 0


def _reset(workspace: Workspace, model: Path, learned: bool) -> int:
    from pipeline.review.false_alarms import forget_false_alarms
    from pipeline.review.recalibrate import reset

    kept = reset(workspace, model)
    print(f"{model}: alarms follow no marks any more, but the model's settings")
    if kept is not None:
        print(f"the marks are in {kept}")
    if learned:
        removed = forget_false_alarms(workspace)
        print(f"{counted(len(removed), 'clip')} of false alarms removed; train again to learn without them")
    return 0
