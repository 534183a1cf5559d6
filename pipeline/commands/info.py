"""`gepc-pipeline info`: what the workspace holds."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from pipeline.commands.options import add_workspace, counted
from pipeline.defaults import workspace_option

if TYPE_CHECKING:
    from pipeline.workspace import ClipEntry

HELP = "show what the workspace holds: each clip's frames, people and tracks, and the model"
EXAMPLE = """\
example:
  gepc-pipeline info
  gepc-pipeline info --json"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    add_workspace(parser)


def run(args: argparse.Namespace) -> int:
    """Print the table, or JSON."""
    from anomaly.bundle.card import read_card
    from pipeline.workspace import Workspace
    from pose_extract.errors import ModelError, UsageError

    workspace = Workspace(args.workspace, not args.no_wait)
    option = workspace_option(args.workspace)
    if not workspace.root.is_dir():
        raise UsageError(
            f"there is no workspace {workspace.root}; make one with: gepc-pipeline extract videos/{option}"
        )
    entries = workspace.entries()
    card, wrong = None, ""
    if workspace.model.exists():
        try:
            card = read_card(workspace.model)
        except ModelError as error:  # the clips can be shown nevertheless
            wrong = str(error)
    args.result.update(clips=[dict(vars(entry)) for entry in entries], model=card)
    if wrong:
        args.result["model_error"] = wrong
    if args.json:
        return 0

    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from pose_extract.formats.report import ReadReport

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column("clip", overflow="fold", min_width=10)
    for name in ("frames", "people", "tracks", "seconds", "estimator", "coverage", "for"):
        wraps = name == "estimator"  # its names may be long, and all columns must fit into 80
        table.add_column(name, justify="right", no_wrap=not wraps, overflow="fold" if wraps else "ellipsis")
    for e in entries:
        cells = (
            e.clip,
            f"{e.frames}",
            f"{e.rows / e.frames:.1f}",
            f"{e.tracks}",
            f"{e.seconds:.1f}",
            e.estimator,
            f"{e.coverage:.0%}",
            "training" if e.train else "scoring",
        )
        table.add_row(*map(Text, cells))
    console = Console()
    console.print(table)
    console.print("people: mean number in a frame; coverage: share of frames that show somebody", style="dim")
    for e in entries:
        for text in e.damage:
            console.print(Text(f"{e.clip}: damaged at {text}"))
    for e in entries:
        if e.report:
            for text in ReadReport.total([e.report]).lines():
                console.print(Text(f"{e.clip}: {text}"))
    none = (
        f"the model cannot be used: {wrong}"
        if wrong
        else f"no model yet; make one with: gepc-pipeline train{option}"
    )
    console.print(Text(f"model: {workspace.model}" if card else none))
    for text in _about(card, entries) if card else []:
        console.print(Text(f"  {text}"))
    if card and "marked_threshold" in card:
        marked = card["marked_threshold"]  # of a card that may be damaged
        facts = marked.get("facts") if isinstance(marked, dict) else None
        by = "what watch has seen" if isinstance(facts, dict) and "from_watch" in facts else "marks"
        console.print(
            Text(f"its alarm threshold is set by {by}; undo with: gepc-pipeline recalibrate --reset{option}")
        )
    return 0


def _about(card: dict[str, Any], entries: list[ClipEntry]) -> list[str]:
    """What a model's card says of it, and how it stands to the clips that are there now."""
    from pipeline.progress import format_duration
    from pipeline.scoring.expected import expected_alarms

    facts, clips = card.get("facts") or {}, card.get("clips") or {}
    learned = [entry for entry in entries if clips.get(entry.clip, {}).get("key") == entry.key]
    length = f" ({format_duration(sum(e.seconds for e in learned))})" if len(learned) == len(clips) else ""
    made_by = (card.get("versions") or {}).get("gepc-pipeline", "of unknown version")
    people = counted(sum(its.get("tracks", 0) for its in clips.values()), "person", "people")
    lines = [
        f"trained by gepc-pipeline {made_by} on {counted(len(clips), 'clip')}{length}, "
        f"{people}; seed {card.get('seed', 'unknown')}"
    ]
    weights = {part: its.get("weight") for part, its in (facts.get("parts") or {}).items()}
    if weights:
        lines.append(
            "parts of the score: " + ", ".join(f"{part} {w:.2f}" for part, w in weights.items() if w)
        )
    lines.append(expected_alarms(facts))
    new = [entry.clip for entry in entries if entry.train and entry not in learned]
    if new:
        more = f" and {len(new) - 3} more" if len(new) > 3 else ""
        lines.append(f"there is more to learn from, train again: {', '.join(new[:3])}{more}")
    return lines
