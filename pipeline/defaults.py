"""Name the default workspace and config. Imports next to nothing: the command line's help needs it."""

from __future__ import annotations

import os
from pathlib import Path

DEFAULT_WORKSPACE = Path(os.environ.get("GEPC_WORKSPACE") or "gepc-workspace")
DEFAULT_CONFIG = os.environ.get("GEPC_CONFIG") or "default"


def workspace_option(workspace: Path) -> str:
    """The option that names a workspace, with a space before it; empty for the default one."""
    return "" if workspace == DEFAULT_WORKSPACE else f" --workspace {workspace}"
