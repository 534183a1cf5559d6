"""`gepc-pipeline onnx`: the trained model for machines without torch."""

from __future__ import annotations

import argparse
import shlex
from pathlib import Path

from pipeline.commands.options import add_workspace

HELP = "export the trained model to ONNX, to score on machines without torch"
EXAMPLE = """\
example:
  gepc-pipeline onnx --out exported/
  gepc-pipeline score video.mp4 --model exported/ --out scores.csv

The folder is a model like the trained one, with encoder.onnx in the place of the weights. It scores alike, but for what
needs the decoder (scoring.by reconstruction)."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder of the exported model")
    add_workspace(parser)


def run(args: argparse.Namespace) -> int:
    """Export, after a comparison of what both forms of the model say."""
    from pipeline.io.export_onnx import export
    from pipeline.workspace import Workspace

    parity = export(Workspace(args.workspace, not args.no_wait), args.out)
    args.result.update(model=args.out, windows=parity.windows, difference=parity.difference)
    print(
        f"log assignments of {parity.windows} windows differ from torch's by at most {parity.difference:.1g}; "
        f"the model is in {args.out}"
    )
    model = shlex.quote(str(args.out))
    print(f"next: gepc-pipeline score video.mp4 --model {model} --out scores.csv")
    return 0
