"""From raw videos to per-frame anomaly scores: commands, configs, files, and the Python API.

``from pipeline import extract, train, score`` gives functions that do what the commands of these names do; see
docs/api.md. Nothing else is imported before one of them is asked for. ``pipeline.__version__`` is the version.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pipeline.api import ScoredClip, extract, score, train

    __version__: str

__all__ = ["ScoredClip", "__version__", "extract", "score", "train"]


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from pipeline.versions import package_version

        return package_version()
    if name in __all__:
        from gepc_pipeline import hidden

        if text := hidden():
            raise ImportError(text)
        from pipeline import api

        return getattr(api, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
