"""`gepc-pipeline config`: the settings that a workspace's commands go by."""

from __future__ import annotations

import argparse
from typing import Any

from pipeline.commands.options import add_config, add_workspace

HELP = "show the settings in force, list the shipped configs, or set what this workspace's commands go by"
EXAMPLE = """\
example:
  gepc-pipeline config list                                     the shipped configs
  gepc-pipeline config show scoring                             the settings in force, of one section
  gepc-pipeline config set video.fps=12 --base moving-camera    later commands here need no --config
  gepc-pipeline config set --clear                              back to the defaults

`set` writes the workspace's config.yaml, which every later command reads: extract, train, run
and the others. What counts, from the first: --set, --config, $GEPC_CONFIG, the workspace's
config.yaml, the config called default."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("action", choices=("show", "list", "set"), help="what to do")
    parser.add_argument(
        "what", nargs="*", metavar="SECTION|SECTION.KEY=VALUE", help="show: a section; set: settings to keep"
    )
    parser.add_argument(
        "--base", metavar="NAME|FILE", help="set: the config that the workspace's own is based on"
    )
    parser.add_argument("--clear", action="store_true", help="set: forget what was set before")
    add_workspace(parser)
    add_config(parser)


def run(args: argparse.Namespace) -> int:
    """Show, list or set."""
    from pose_extract.errors import UsageError

    if args.action != "set" and (args.base or args.clear):
        raise UsageError(f"config {args.action}: --base and --clear are for config set")
    if args.action == "list":
        return _list(args)
    return _show(args) if args.action == "show" else _set(args)


def _list(args: argparse.Namespace) -> int:
    from pipeline.settings.config import shipped_configs, summary_of

    names = shipped_configs()
    width = max(map(len, names))
    for name in names:
        print(f"{name:{width}}  {summary_of(name)}")
    args.result["configs"] = names
    return 0


def _show(args: argparse.Namespace) -> int:
    import dataclasses

    from pipeline.settings import load_settings
    from pose_extract.checking import plain
    from pose_extract.errors import UsageError

    found = dataclasses.asdict(load_settings(args.config, args.set))
    unknown = [name for name in args.what if name not in found]
    if unknown:
        raise UsageError(f"config show: no section {unknown[0]!r}; known: {', '.join(found)}")
    shown = {name: found[name] for name in args.what or found}
    settings = plain(shown)
    print(f"# {args.config}")
    print(_as_yaml(settings))
    args.result.update(config=args.config, settings=settings)
    return 0


def _set(args: argparse.Namespace) -> int:
    from pipeline.defaults import config_for, workspace_config
    from pipeline.settings.config import keep_config
    from pose_extract.errors import UsageError

    if args.config != config_for(args.workspace):
        raise UsageError(f"config set: name the config to go by with --base {args.config}, not with --config")
    path = workspace_config(args.workspace)
    kept = keep_config(path, args.base, [*args.what, *args.set], args.clear)
    print(f"# {path}\n{_as_yaml(kept)}" if kept else f"{path} is gone: the defaults are in force")
    args.result.update(path=str(path), settings=kept)
    return 0


def _as_yaml(settings: Any) -> str:
    import yaml

    return yaml.safe_dump(settings, sort_keys=False, allow_unicode=True).rstrip("\n")
