"""Configs: YAML files checked into dataclasses."""

from pipeline.settings.config import (
    PoseSettings,
    Settings,
    checked,
    load_config,
    load_settings,
    override,
    shipped_configs,
)

__all__ = [
    "PoseSettings",
    "Settings",
    "checked",
    "load_config",
    "load_settings",
    "override",
    "shipped_configs",
]
