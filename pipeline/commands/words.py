"""`gepc-pipeline words`: a picture of what the model takes for normal."""

from __future__ import annotations

import argparse
from pathlib import Path

from pipeline.commands.options import add_model, add_workspace

HELP = "draw what the model takes for normal"
EXAMPLE = """\
example:
  gepc-pipeline words
  gepc-pipeline words --workspace street --out words.png

A row for each action word (a cluster of the training windows): its share of them and its most typical sequences.
The words are numbered as in the table of `gepc-pipeline score ... --explain`."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    add_workspace(parser)
    add_model(parser)
    parser.add_argument(
        "--out",
        type=Path,
        default=Path("words.png"),
        metavar="PNG",
        help="picture to write (default: ./words.png)",
    )


def run(args: argparse.Namespace) -> int:
    """Draw the words of a model."""
    from anomaly.bundle import load_bundle
    from pipeline.pictures.action_words import write_words
    from pipeline.workspace import Workspace

    model = load_bundle(args.model or Workspace(args.workspace, not args.no_wait).model, "cpu")
    used = write_words(args.out, model)
    args.result.update(words=args.out, used=used)
    print(
        f"{used} of {model.settings.clustering.clusters} action words are in use; they are drawn in {args.out}"
    )
    return 0
