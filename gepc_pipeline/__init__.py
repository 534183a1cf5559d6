"""The package by its own name: its Python API, and the start of the command line.

The packages that it stands on have everyday names. If another module hides one of them, this says which.
"""

from __future__ import annotations

import sys
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pipeline import (
        GepcError,
        Model,
        Pushed,
        ScoredClip,
        Stream,
        __version__,
        evaluate,
        export,
        extract,
        report,
        score,
        train,
    )

__all__ = [
    "GepcError", "Model", "Pushed", "ScoredClip", "Stream", "__version__", "evaluate", "export", "extract", "report",
    "score", "train",
]  # fmt: skip

_HERE = Path(__file__).resolve().parents[1]
_PACKAGES = ("pipeline", "anomaly", "pose_extract")


def hidden() -> str:
    """What hides a package of this installation, in words; empty if nothing does."""
    for name in _PACKAGES:
        spec = find_spec(name)
        found = [] if spec is None else [*(spec.submodule_search_locations or []), spec.origin]
        places = [Path(place).resolve() for place in found if place]
        if _HERE / name not in places:
            what = places[0] if places else "nothing"
            return f"{what} hides gepc-pipeline's package {_HERE / name}: rename it, or leave its folder"
    return ""


def main() -> int:
    """Run the command line; returns its exit code."""
    if text := hidden():
        print(f"gepc-pipeline: error: {text}", file=sys.stderr)
        return 10
    try:
        from pipeline.cli import main as run

        return run()
    except KeyboardInterrupt:  # before or after the command itself, which says more
        print("gepc-pipeline: error: interrupted", file=sys.stderr)
        return 130


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    if text := hidden():
        raise ImportError(text)
    import pipeline

    return getattr(pipeline, name)
