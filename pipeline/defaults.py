"""Name the default workspace. Imports nothing: the command line's help needs it."""

from __future__ import annotations

from pathlib import Path

DEFAULT_WORKSPACE = Path("gepc-workspace")


def workspace_option(workspace: Path) -> str:
    """The option that names a workspace, with a space before it; empty for the default one."""
    return "" if workspace == DEFAULT_WORKSPACE else f" --workspace {workspace}"
