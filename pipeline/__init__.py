"""From raw videos to per-frame anomaly scores: commands, configs, files, and the Python API.

``from gepc_pipeline import extract, train, score`` gives functions that do what the commands of these names do; see
docs/api.md. Nothing else is imported before one of them is asked for. ``pipeline.__version__`` is the version.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

# Threads that wait shall sleep: on a busy machine, spinning ones stall each other for seconds. GNU's, which PyTorch
# brings, spin for some microseconds first: a training step has thousands of short waits, and is half as fast again so.
# Libraries read these when they are loaded.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")
os.environ.setdefault("GOMP_SPINCOUNT", "1000")

if TYPE_CHECKING:
    from pipeline.api.clips import ScoredClip
    from pipeline.api.commands import evaluate, export, extract, report, score, train
    from pipeline.api.model import Model
    from pipeline.api.stream import Pushed, Stream
    from pose_extract.errors import GepcError

    __version__: str

__all__ = [
    "GepcError", "Model", "Pushed", "ScoredClip", "Stream", "__version__", "evaluate", "export", "extract", "report",
    "score", "train",
]  # fmt: skip
_PLACES = {
    "GepcError": "pose_extract.errors",
    "Model": "pipeline.api.model",
    "Pushed": "pipeline.api.stream",
    "ScoredClip": "pipeline.api.clips",
    "Stream": "pipeline.api.stream",
}


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from pipeline.versions import package_version

        return package_version()
    if name in __all__:
        from gepc_pipeline import hidden

        if text := hidden():
            raise ImportError(text)
        from importlib import import_module

        return getattr(import_module(_PLACES.get(name, "pipeline.api.commands")), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
