"""`gepc-pipeline info`: what the workspace holds."""

from __future__ import annotations

import argparse

from pipeline.commands.options import add_workspace

HELP = "show what the workspace holds: each clip's frames, people and tracks, and the model"
EXAMPLE = """\
example:
  gepc-pipeline info
  gepc-pipeline info --json"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    add_workspace(parser)
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")


def run(args: argparse.Namespace) -> int:
    """Print the table, or JSON."""
    import json

    from pipeline.workspace import Workspace
    from pose_extract.errors import UsageError

    workspace = Workspace(args.workspace, not args.no_wait)
    if not workspace.root.is_dir():
        raise UsageError(
            f"there is no workspace {workspace.root}; make one with: gepc-pipeline extract videos/"
        )
    entries = workspace.entries()
    card_path = workspace.model / "card.json"
    try:
        card = json.loads(card_path.read_text(encoding="utf-8")) if card_path.is_file() else None
    except ValueError as error:
        raise UsageError(f"{card_path} is damaged ({error}); train again") from error
    if args.json:
        print(json.dumps({"clips": [dict(vars(e)) for e in entries], "model": card}, indent=1))
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
    console.print(
        Text(f"model: {workspace.model}" if card else "no model yet; make one with: gepc-pipeline train")
    )
    if isinstance(card, dict) and "marked_threshold" in card:
        console.print(
            Text("its alarm threshold is set by marks; undo with: gepc-pipeline recalibrate --reset")
        )
    return 0
