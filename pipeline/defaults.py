"""Name the default workspace and config. Imports next to nothing: the command line's help needs it."""

from __future__ import annotations

import os
import shlex
from pathlib import Path

DEFAULT_WORKSPACE = Path(os.environ.get("GEPC_WORKSPACE") or "gepc-workspace")
DEFAULT_CONFIG = "default"


def workspace_config(workspace: Path) -> Path:
    """Where a workspace keeps the config that its commands go by (`gepc-pipeline config set`)."""
    return workspace / "config.yaml"


def config_for(workspace: Path | None) -> str:
    """The config where none is named: $GEPC_CONFIG, the workspace's own, or the default one."""
    if asked := os.environ.get("GEPC_CONFIG"):
        return asked
    own = None if workspace is None else workspace_config(workspace)
    return str(own) if own is not None and own.is_file() else DEFAULT_CONFIG


def workspace_option(workspace: Path) -> str:
    """The option that names a workspace, with a space before it; empty for the default one."""
    return "" if workspace == DEFAULT_WORKSPACE else f" --workspace {shlex.quote(str(workspace))}"
