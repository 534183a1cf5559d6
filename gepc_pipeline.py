"""Start `gepc-pipeline`, unless another module hides one of its packages: then say which."""

from __future__ import annotations

import sys
from importlib.util import find_spec
from pathlib import Path

_HERE = Path(__file__).resolve().parent
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
    from pipeline.cli import main as run

    return run()
